//! `wsinspect explain` and `wsinspect rules`: the RFC's own examples, close codes, rules, and input that is none of it.

use crate::support::{Output, run, run_unread, run_with};

#[track_caller]
fn explained(arguments: &[&str], says: &[&str]) -> Output {
    let output = run(arguments);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    // where a line is broken is of no interest here
    let words = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for says in says {
        assert!(words.contains(says), "{arguments:?}: no {says:?} in {}", output.stdout);
    }
    output
}

#[track_caller]
fn wrong(arguments: &[&str], stdin: &[u8], says: &str) {
    let output = run_with(arguments, stdin, &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{arguments:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(output.stderr.starts_with("wsinspect: ") && output.stderr.contains(says), "{}", output.stderr);
}

#[test]
fn the_examples_of_rfc_6455_5_7_are_explained_as_printed_there() {
    for (hex, says) in [
        ("810548656c6c6f", &["frame 1 at byte 0: text, FIN, 5 bytes, unmasked, from server", "Hello"][..]),
        ("818537fa213d7f9f4d5158", &["text, FIN, 5 bytes, masked, from client", "37 fa 21 3d", "Hello"]),
        (
            "010348656c80026c6f",
            &[
                "frame 1 at byte 0: text, not FIN, 3 bytes",
                "frame 2 at byte 5: continuation of text, FIN, 2 bytes",
                "Hel",
                "lo",
            ],
        ),
        ("890548656c6c6f", &["ping, FIN, 5 bytes, unmasked", "Hello"]),
        ("8a8537fa213d7f9f4d5158", &["pong, FIN, 5 bytes, masked", "Hello"]),
    ] {
        explained(&["explain", hex], says);
    }
    for (header, length) in [("82 7E 0100", 256), ("82 7F 0000000000010000", 65536)] {
        let output = run_with(&["explain"], format!("{header} {}", "00".repeat(length)).as_bytes(), &[]);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert!(output.stdout.contains(&format!("binary, FIN, {length} bytes, unmasked")), "{length}");
    }
}

#[test]
fn hex_is_read_however_it_is_written_and_from_standard_input_too() {
    for arguments in [
        &["explain", "81", "05", "48", "65", "6c", "6c", "6f"][..],
        &["explain", "81 05 48:65:6c 6c 6f"],
        &["explain", "0x81,0x05,0x48,0x65,0x6C,0x6C,0x6F"],
    ] {
        explained(arguments, &["text, FIN, 5 bytes, unmasked", "Hello"]);
    }
    let output = run_with(&["explain"], b"8105 4865\n6c6c 6f\n", &[]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert!(output.stdout.contains("Hello"));
}

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

#[test]
fn the_handshake_of_rfc_6455_1_3_is_explained_with_its_accept_key_step_by_step() {
    let output = run_with(&["explain", "--fail-on", "advice"], format!("{REQUEST}{RESPONSE}").as_bytes(), &[]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    for says in [
        "\"/chat\"",
        "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
        "b37a4f2cc0624f1690f64606cf385945b2bec4ea",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "chose \"chat\"",
    ] {
        assert!(output.stdout.contains(says), "{says}: {}", output.stdout);
    }
}

#[test]
fn an_accept_key_is_derived_step_by_step() {
    explained(
        &["explain", "--accept", "dGhlIHNhbXBsZSBub25jZQ=="],
        &["b37a4f2cc0624f1690f64606cf385945b2bec4ea", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
    );
}

#[test]
fn a_close_code_is_explained_with_its_section() {
    explained(&["explain", "1006"], &["abnormal closure", "Never on the wire", "RFC 6455 7.4.1"]);
    explained(&["explain", "1000"], &["normal closure"]);
    explained(&["explain", "4242"], &["RFC 6455 7.4.2"]);
}

#[test]
fn every_rule_of_the_catalogue_is_listed_and_explained_with_level_and_section() {
    let rules = explained(&["rules"], &[]).stdout;
    for rule in wsinspect::lint::Rule::ALL {
        assert!(rules.contains(rule.id()), "{rule}");
        explained(
            &["explain", "--rule", rule.id()],
            &[rule.id(), rule.level().name(), rule.section(), rule.sentence()],
        );
    }
}

#[test]
fn with_fail_on_a_broken_rule_of_that_level_is_exit_code_3() {
    // a frame of a client without a mask; a pong that nobody asked for
    let (must, advice) = (["8105", "48656c6c6f", "--from", "client"], ["8a80", "01020304"]);
    for (frame, level, code) in [
        (&must[..], "must", 3),
        (&must, "advice", 3),
        (&advice, "must", 0),
        (&advice, "should", 0),
        (&advice, "advice", 3),
    ] {
        let output = run(&[&["explain"], frame, &["--fail-on", level]].concat());
        assert_eq!((output.code, output.stderr.as_str()), (Some(code), ""), "{frame:?} {level}");
        assert!(output.stdout.contains("frame 1"), "what is wrong is still explained");
    }
    assert_eq!(run(&[&["explain"], &must[..]].concat()).code, Some(0));
    let broken = REQUEST.replace("Version: 13", "Version: 12");
    assert_eq!(run_with(&["explain", "--fail-on", "must"], broken.as_bytes(), &[]).code, Some(3));
}

#[test]
fn bad_input_is_exit_code_2_and_one_line_that_says_where() {
    wrong(&["explain", "81zz"], b"", "'z' at line 1, column 3");
    wrong(&["explain", "8"], b"", "column 1");
    wrong(&["explain"], b"8105\n48g5\n", "'g' at line 2, column 3");
    wrong(&["explain"], b"", "nothing to explain");
    wrong(&["explain", "--rule", "no-such-rule"], b"", "no-such-rule");
    wrong(&["explain", "--rule", "length-top-bit", "81"], b"", "--rule");
    wrong(&["explain", "8105", "--fail-on", "never"], b"", "must, should, advice");
    wrong(&["rules", "extra"], b"", "extra");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    for arguments in [&["rules"][..], &["explain", "8100"], &["--help"]] {
        assert_eq!(run_unread(arguments).code, Some(0), "{arguments:?}");
        assert_eq!(run_unread(arguments).stderr, "", "{arguments:?}");
    }
}

#[test]
fn what_is_explained_is_fit_for_a_terminal_and_ascii_if_asked() {
    // a text of controls, and a target of a handshake
    let text = "8117 1b5b324a 07 9b c29b e280ae 0d0a 41 f09f9880 e282ac c3a9".replace(' ', "");
    for arguments in [&["explain", &text][..], &["explain", &text, "--ascii"]] {
        let output = run(arguments);
        assert!(output.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{}", output.stdout);
        assert!(!output.stdout.contains('\u{202e}'));
        assert!(arguments.len() == 2 || output.stdout.is_ascii(), "{}", output.stdout);
    }
    assert!(run(&["explain", "8100", "--color", "always"]).stdout.contains("\x1b["));
    assert!(!run(&["explain", "8100"]).stdout.contains('\x1b'));
}
