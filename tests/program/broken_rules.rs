//! Frames that break a rule: how the JSON reports them, and how the server answers.

use serde_json::json;
use wsinspect::wire::{CloseCode, Header, LengthForm, Opcode, Rsv, frame};

use crate::support::{Client, Program, masked};

/// What a client sends, the rule that its last frame breaks, and how a strict server fails the connection.
struct Illegal {
    rule: &'static str,
    section: &'static str,
    level: &'static str,
    at: [u64; 2],
    close: Option<u16>,
    frames: Vec<Vec<u8>>,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn illegal() -> Vec<Illegal> {
    let text = || frame(&masked(Opcode::TEXT, 2), b"hi");
    let with = |change: &dyn Fn(&mut Header), opcode, payload: &[u8]| {
        let mut header = masked(opcode, payload.len());
        change(&mut header);
        frame(&header, payload)
    };
    let of = |opcode, payload: &[u8]| with(&|_| {}, opcode, payload);
    let (start, key) = (|| with(&|header| header.fin = false, Opcode::TEXT, b"a"), masked(Opcode::TEXT, 0).masking_key);
    let illegal = |rule, section, level, at, close, frames| Illegal { rule, section, level, at, close, frames };
    vec![
        illegal(
            "unmasked-client-frame",
            "5.1",
            "must",
            [1, 2],
            Some(1002),
            vec![with(&|h| h.masking_key = None, Opcode::TEXT, b"hi")],
        ),
        illegal(
            "rsv-without-extension",
            "5.2",
            "must",
            [0, 1],
            Some(1002),
            vec![with(&|h| h.rsv = Rsv::new(5), Opcode::TEXT, b"hi")],
        ),
        illegal("reserved-opcode", "5.2", "must", [0, 1], Some(1002), vec![of(Opcode::new(3), b"hi")]),
        illegal("reserved-opcode", "5.2", "must", [0, 1], Some(1002), vec![of(Opcode::new(11), b"")]),
        illegal(
            "fragmented-control",
            "5.5",
            "must",
            [0, 1],
            Some(1002),
            vec![with(&|h| h.fin = false, Opcode::PING, b"")],
        ),
        illegal("control-too-long", "5.5", "must", [1, 4], Some(1002), vec![of(Opcode::PING, &[b'a'; 126])]),
        illegal(
            "length-not-minimal",
            "5.2",
            "must",
            [1, 4],
            Some(1002),
            vec![with(&|h| h.length_form = LengthForm::Bits16, Opcode::TEXT, b"hi")],
        ),
        illegal(
            "length-not-minimal",
            "5.2",
            "must",
            [1, 10],
            Some(1002),
            vec![with(&|h| h.length_form = LengthForm::Bits64, Opcode::TEXT, b"hi")],
        ),
        illegal(
            "masking-key-reused",
            "5.3",
            "should",
            [2, 6],
            None,
            vec![
                with(&|h| h.masking_key = key, Opcode::TEXT, b"a"),
                with(&|h| h.masking_key = key, Opcode::TEXT, b"b"),
            ],
        ),
        illegal("continuation-without-start", "5.4", "must", [0, 1], Some(1002), vec![of(Opcode::CONTINUATION, b"b")]),
        illegal("data-inside-message", "5.4", "must", [0, 1], Some(1002), vec![start(), text()]),
        illegal("invalid-utf8", "8.1", "must", [7, 8], Some(1007), vec![of(Opcode::TEXT, b"a\xFFb")]),
        illegal("close-body-one-byte", "5.5.1", "must", [6, 7], Some(1002), vec![of(Opcode::CLOSE, b"\x03")]),
        illegal(
            "close-code-forbidden",
            "7.4",
            "must",
            [6, 8],
            Some(1002),
            vec![of(Opcode::CLOSE, &1005_u16.to_be_bytes())],
        ),
        illegal(
            "close-code-unassigned",
            "7.4.2",
            "must",
            [6, 8],
            Some(1002),
            vec![of(Opcode::CLOSE, &2000_u16.to_be_bytes())],
        ),
        illegal(
            "close-reason-invalid-utf8",
            "5.5.1",
            "must",
            [8, 9],
            Some(1007),
            vec![of(Opcode::CLOSE, b"\x03\xE8\xFF")],
        ),
        illegal("pong-unsolicited", "5.5.3", "advice", [0, 6], None, vec![of(Opcode::PONG, b"")]),
        illegal("frame-too-big", "10.4", "should", [1, 4], Some(1009), vec![of(Opcode::BINARY, &[0; 1001])]),
        illegal(
            "message-too-big",
            "10.4",
            "should",
            [1, 4],
            Some(1009),
            vec![with(&|h| h.fin = false, Opcode::BINARY, &[0; 800]), of(Opcode::CONTINUATION, &[0; 800])],
        ),
    ]
}

#[test]
fn a_broken_rule_is_reported_at_its_bytes_and_a_must_fails_the_connection_with_its_code() {
    let program = Program::json(&["--max-frame", "1000", "--max-message", "1500"]);
    for (conn, Illegal { rule, section, level, at, close, frames }) in (1..).zip(illegal()) {
        let mut client = Client::open(program.address());
        client.send(&frames.concat());
        if let Some(code) = close {
            let (answer, reason) = client.read_close();
            assert_eq!(answer, Some(CloseCode(code)), "{rule}");
            assert!(reason.starts_with(&format!("{rule}: ")), "{reason}");
            client.ended();
            let end = program.close_event(conn);
            if !rule.starts_with("close") {
                assert_eq!((&end["code"], &end["reason"]), (&json!(code), &json!(reason)), "{rule}");
                assert_eq!((&end["by"], &end["clean"]), (&json!("wsinspect"), &json!(false)), "{rule}");
            }
        } else {
            client.message(Opcode::PING, b"still open?");
            while client.read_frame().0.opcode != Opcode::PONG {}
        }
        let event = program.event(rule, |event| {
            event["conn"] == conn && event["findings"].as_array().is_some_and(|findings| !findings.is_empty())
        });
        let finding = &event["findings"][0];
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["at", "level", "rule", "section", "sees"], "{rule}");
        assert_eq!(finding["rule"], rule);
        assert_eq!(finding["section"], format!("RFC 6455 {section}"), "{rule}");
        assert_eq!(finding["level"], level, "{rule}");
        assert_eq!(finding["at"], json!(at), "{rule}");
        assert!(finding["sees"].as_str().unwrap().ends_with('.'), "{finding}");
        assert_eq!(event["findings"].as_array().unwrap().len(), 1, "{rule}: {}", event["findings"]);
        let bytes = hex::encode(frames.last().unwrap());
        assert!(bytes.starts_with(event["header"].as_str().unwrap()), "{rule}: the header is as it was sent");
        assert_eq!(event.get("complete"), None, "{rule}: {event}");
    }
}

#[test]
fn with_tolerant_the_same_frames_are_reported_and_fail_nothing() {
    let program = Program::json(&["--tolerant", "--max-frame", "1000", "--max-message", "1500"]);
    for (conn, Illegal { rule, frames, .. }) in (1..).zip(illegal()) {
        let mut client = Client::open(program.address());
        client.send(&frames.concat());
        if rule.starts_with("close") {
            client.read_close();
        } else {
            client.message(Opcode::PING, b"still open?");
            while client.read_frame().1 != b"still open?" {}
        }
        program.event(rule, |event| {
            event["conn"] == conn && event["findings"].as_array().is_some_and(|f| f.iter().any(|f| f["rule"] == rule))
        });
    }
}

#[test]
fn a_length_with_its_top_bit_set_ends_the_stream_and_its_frame_is_never_complete() {
    for arguments in [&[][..], &["--tolerant"]] {
        let program = Program::json(arguments);
        let mut client = Client::open(program.address());
        let header = Header { length: 1 << 63, length_form: LengthForm::Bits64, ..masked(Opcode::BINARY, 0) };
        client.send_frame(&header, b"abc");
        assert_eq!(client.read_close().0, Some(CloseCode::PROTOCOL_ERROR));
        client.ended();
        program.close_event(1);
        let events = program.finish();
        assert_eq!(events[1]["length"], 1_u64 << 63);
        assert_eq!(events[1]["complete"], false);
        assert_eq!(events[1]["findings"][0]["rule"], "length-top-bit");
    }
}
