//! RFC 6455 7.1.7: failing the connection, by the table of rules.

use super::*;
use crate::endpoint::How;
use crate::lint::{Limits, Rule};
use crate::wire::{CloseCode, LengthForm, Opcode, Rsv, Side};

fn limited() -> Config {
    Config { limits: Limits { max_frame: 1000, max_message: 1500 }, ..Config::default() }
}

/// What breaks each rule, and the code that answers it.
fn breaches() -> Vec<(Rule, u16, Vec<u8>)> {
    let key = crate::wire::MaskingKey([1, 2, 3, 4]);
    let header = |opcode, length| Header::new(opcode, Some(key), length);
    let text = Opcode::TEXT;
    let rsv = Header { rsv: Rsv::new(2), ..header(text, 0) };
    let long = Header { length_form: LengthForm::Bits16, ..header(text, 5) };
    let lost = Header { length_form: LengthForm::Bits64, ..header(text, 1 << 63) };
    let continuation = |length| client(Opcode::CONTINUATION, vec![0; length]);
    vec![
        (Rule::UnmaskedClientFrame, 1002, server(text, "a")),
        (Rule::RsvWithoutExtension, 1002, frame(&rsv, b"")),
        (Rule::ReservedOpcode, 1002, client(Opcode::new(3), "")),
        (Rule::ReservedOpcode, 1002, client(Opcode::new(0xB), "")),
        (Rule::FragmentedControl, 1002, part(Opcode::PING, "", false)),
        (Rule::ControlTooLong, 1002, client(Opcode::PING, [0; 126])),
        (Rule::LengthNotMinimal, 1002, frame(&long, b"")),
        (Rule::LengthTopBit, 1002, frame(&lost, b"")),
        (Rule::ContinuationWithoutStart, 1002, continuation(1)),
        (Rule::DataInsideMessage, 1002, [part(text, "a", false), client(text, "b")].concat()),
        (Rule::InvalidUtf8, 1007, client(text, b"ab\xc0")),
        (Rule::InvalidUtf8, 1007, client(text, b"\xe2\x82")),
        (Rule::CloseBodyOneByte, 1002, client(Opcode::CLOSE, [3])),
        (Rule::CloseCodeForbidden, 1002, client(Opcode::CLOSE, close_body(1005, ""))),
        (Rule::CloseCodeForbidden, 1002, client(Opcode::CLOSE, close_body(65535, ""))),
        (Rule::CloseCodeUnassigned, 1002, client(Opcode::CLOSE, close_body(2999, ""))),
        (Rule::CloseReasonInvalidUtf8, 1007, client(Opcode::CLOSE, b"\x03\xe8\xff")),
        (Rule::FrameTooBig, 1009, frame(&header(Opcode::BINARY, 1001), b"")),
        (Rule::MessageTooBig, 1009, [part(Opcode::BINARY, [0; 900], false), continuation(601)].concat()),
    ]
}

#[test]
fn each_enforced_rule_fails_the_connection_with_its_code_and_says_why() {
    for (rule, code, bytes) in breaches() {
        let mut play = Play::open(limited());
        play.hears(client(Opcode::TEXT, "before")).hears(&bytes);
        play.hears(client(Opcode::TEXT, "after")).hears(client(Opcode::CLOSE, ""));
        let said = play.takes();
        assert!(said.starts_with(b"\x81\x06before\x88"), "{rule}: {}", said.escape_ascii());
        let (found, reason) = last_close(&said);
        assert_eq!(found, code, "{rule}");
        assert!(reason.starts_with(rule.id()), "{rule}: {reason}");
        let Some(Event::Closed(end)) = play.event() else { panic!("{rule}") };
        assert!(matches!(&end.how, How::Failed(finding) if finding.rule == rule), "{rule}: {end:?}");
        assert_eq!((end.by, end.code(), end.is_clean()), (Side::Server, CloseCode(code), false), "{rule}");
        play.hangs_up();
    }
}

#[test]
fn every_rule_about_a_clients_frames_that_has_a_close_code_is_enforced() {
    let breaches = [breaches(), super::deflate::breaches()].concat();
    let untested = |rule: &&Rule| rule.close_code().is_some() && !breaches.iter().any(|(broken, ..)| broken == *rule);
    assert_eq!(Rule::ALL.iter().filter(untested).collect::<Vec<_>>(), [&Rule::MaskedServerFrame]);
}

#[test]
fn the_header_fails_before_its_payload_comes_and_text_at_its_first_bad_byte() {
    let mut play = Play::open(limited());
    play.hears(&client(Opcode::BINARY, [0; 1001])[..8]);
    assert_eq!(last_close(&play.takes()).0, 1009);

    // Autobahn 6.4.1 to 6.4.4: κόσμε, a byte sequence beyond U+10FFFF, then more
    let text = client(Opcode::TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited");
    let payload_at = text.len() - 21;
    let mut play = Play::open(Config::default());
    play.hears(&text[..payload_at + 12]).says_nothing();
    play.hears(&text[payload_at + 12..=payload_at + 12]);
    let (code, reason) = last_close(&play.takes());
    assert_eq!((code, reason.as_str()), (1007, "invalid-utf8: Byte 11 of the message is not valid UTF-8."));
}

#[test]
fn a_rule_broken_after_our_close_ends_it_without_a_second_close() {
    let mut play = Play::open(Config::default());
    play.endpoint.close(CloseCode::NORMAL, "", play.now).unwrap();
    play.says(server(Opcode::CLOSE, close_body(1000, "")));
    play.hears(b"\xff\x80\0\0\0\0").says_nothing().hangs_up();
    assert!(matches!(play.event(), Some(Event::Closed(end)) if matches!(end.how, How::Failed(_))));
}

#[test]
fn the_tolerant_take_what_they_can() {
    let text = Opcode::TEXT;
    for (_, _, bytes) in breaches() {
        let mut play = Play::open(Config { tolerant: true, ..limited() });
        // each breach is made whole, so that the next frame begins where it should
        let whole = match bytes.as_slice() {
            [0x82, 0xFE, ..] => client(Opcode::BINARY, [0; 1001]),
            [0x81, 0xFE, ..] => [bytes.clone(), vec![0; 5]].concat(),
            _ => bytes.clone(),
        };
        play.hears(whole);
        let is_over = play.endpoint.end().is_some();
        let ends = bytes[0] == 0x88 || bytes[..3] == [0x81, 0xFF, 0x80];
        assert_eq!(is_over, ends, "{}", bytes.escape_ascii());
        play.takes();
        if !ends {
            play.hears(client(text, "still here")).says(server(text, "still here"));
            play.hears(client(Opcode::PING, "p")).says(server(Opcode::PONG, "p"));
        }
    }
}

#[test]
fn the_tolerant_answer_what_can_be_answered() {
    let tolerant = Config { tolerant: true, ..limited() };
    let mut play = Play::open(tolerant.clone());
    play.hears(server(Opcode::TEXT, "unmasked")).says(server(Opcode::TEXT, "unmasked"));
    play.hears(client(Opcode::TEXT, b"\xff")).says(server(Opcode::TEXT, b"\xff"));
    play.hears(client(Opcode::PING, [7; 300])).says(server(Opcode::PONG, [7; 125]));
    play.hears(part(Opcode::PING, "p", false)).says(server(Opcode::PONG, "p"));
    play.hears([part(Opcode::TEXT, "a", false), client(Opcode::TEXT, "b")].concat()).says(server(Opcode::TEXT, "b"));
    play.hears(client(Opcode::BINARY, [0; 1501])).says_nothing();
    play.hears(client(Opcode::new(3), "reserved")).says_nothing();
    for (body, answer) in
        [(vec![3], vec![]), (close_body(1006, ""), vec![]), (close_body(2999, "x"), close_body(2999, ""))]
    {
        let mut play = Play::open(tolerant.clone());
        play.hears(client(Opcode::CLOSE, body)).says(server(Opcode::CLOSE, answer)).hangs_up();
    }
}
