//! RFC 6455 7.1.7 as the client: what a server can break fails the connection, by the table of rules.

use super::client::{closed_with, compressing, ended, frames, is_left_by_the_server, open};
use super::*;
use crate::endpoint::{How, Reply};
use crate::lint::{Limits, Rule};
use crate::wire::{DeflateOffer, LengthForm, Rsv, Side};

/// What a server can break, and the code that answers it.
fn breaches() -> Vec<(Rule, u16, Vec<u8>)> {
    let text = Opcode::TEXT;
    let header = |opcode, length| Header::new(opcode, None, length);
    let rsv = Header { rsv: Rsv::new(2), ..header(text, 0) };
    let long = Header { length_form: LengthForm::Bits16, ..header(text, 5) };
    let lost = Header { length_form: LengthForm::Bits64, ..header(text, 1 << 63) };
    let begun = |payload: &[u8]| frame(&header(Opcode::BINARY, payload.len() as u64).with_fin(false), payload);
    let begun_text = frame(&header(text, 1).with_fin(false), b"a");
    vec![
        (Rule::MaskedServerFrame, 1002, client(text, "a")),
        (Rule::MaskedServerFrame, 1002, client(Opcode::PING, "a")),
        (Rule::RsvWithoutExtension, 1002, frame(&rsv, b"")),
        (Rule::ReservedOpcode, 1002, server(Opcode::new(3), "")),
        (Rule::ReservedOpcode, 1002, server(Opcode::new(0xB), "")),
        (Rule::FragmentedControl, 1002, frame(&header(Opcode::PING, 0).with_fin(false), b"")),
        (Rule::ControlTooLong, 1002, server(Opcode::PING, [0; 126])),
        (Rule::LengthNotMinimal, 1002, frame(&long, b"")),
        (Rule::LengthTopBit, 1002, frame(&lost, b"")),
        (Rule::ContinuationWithoutStart, 1002, server(Opcode::CONTINUATION, "a")),
        (Rule::DataInsideMessage, 1002, [begun_text, server(text, "b")].concat()),
        (Rule::InvalidUtf8, 1007, server(text, b"ab\xc0")),
        (Rule::CloseBodyOneByte, 1002, server(Opcode::CLOSE, [3])),
        (Rule::CloseCodeForbidden, 1002, server(Opcode::CLOSE, close_body(1005, ""))),
        (Rule::CloseCodeUnassigned, 1002, server(Opcode::CLOSE, close_body(2999, ""))),
        (Rule::CloseReasonInvalidUtf8, 1007, server(Opcode::CLOSE, b"\x03\xe8\xff")),
        (Rule::FrameTooBig, 1009, frame(&header(Opcode::BINARY, 1001), b"")),
        (Rule::MessageTooBig, 1009, [begun(&[0; 900]), server(Opcode::CONTINUATION, [0; 601])].concat()),
    ]
}

/// The same where compression was agreed on.
fn compressed_breaches() -> Vec<(Rule, u16, Vec<u8>)> {
    let with = |rsv, opcode, fin, payload: &[u8]| {
        let header = Header { rsv, ..Header::new(opcode, None, payload.len() as u64).with_fin(fin) };
        frame(&header, payload)
    };
    let continued = with(Rsv::RSV1, Opcode::CONTINUATION, true, b"\xc9\x07\x00");
    vec![
        (Rule::InflateFailed, 1007, with(Rsv::RSV1, Opcode::TEXT, true, b"\xff")),
        (Rule::Rsv1OnControl, 1002, with(Rsv::RSV1, Opcode::PING, true, b"p")),
        (
            Rule::Rsv1OnContinuation,
            1002,
            [with(Rsv::RSV1, Opcode::TEXT, false, b"\xf2\x48\xcd\xc9"), continued].concat(),
        ),
    ]
}

pub(super) fn limited() -> Config {
    Config { limits: Limits { max_frame: 1000, max_message: 1500 }, reply: Reply::Echo, ..Config::default() }
}

#[test]
fn each_enforced_rule_fails_the_connection_with_its_code_and_says_why() {
    let plain = breaches().into_iter().map(|breach| (breach, false));
    let compressed = compressed_breaches().into_iter().map(|breach| (breach, true));
    for ((rule, code, bytes), is_compressed) in plain.chain(compressed) {
        let mut play =
            if is_compressed { compressing(DeflateOffer::default(), "permessage-deflate") } else { open(limited()) };
        play.hears(&bytes).hears(server(Opcode::PING, "not looked at"));
        let (found, reason) = closed_with(&mut play);
        assert_eq!(found, code, "{rule}");
        assert!(reason.starts_with(rule.id()), "{rule}: {reason}");
        let end = ended(&mut play);
        assert!(matches!(&end.how, How::Failed(finding) if finding.rule == rule), "{rule}: {end:?}");
        assert_eq!((end.by, end.code(), end.is_clean()), (Side::Client, CloseCode(code), false), "{rule}");
        is_left_by_the_server(&mut play);
    }
}

#[test]
fn every_rule_about_a_servers_frames_that_has_a_close_code_is_enforced() {
    let breaches = [breaches(), compressed_breaches()].concat();
    let untested = |rule: &&Rule| rule.close_code().is_some() && !breaches.iter().any(|(broken, ..)| broken == *rule);
    assert_eq!(Rule::ALL.iter().filter(untested).collect::<Vec<_>>(), [&Rule::UnmaskedClientFrame]);
}

#[test]
fn the_tolerant_go_on() {
    for bytes in [client(Opcode::TEXT, "masked"), server(Opcode::TEXT, b"\xff"), server(Opcode::new(3), "")] {
        let mut play = open(Config { tolerant: true, reply: Reply::Nothing, ..Config::default() });
        play.hears(bytes).says_nothing();
        play.hears(server(Opcode::PING, "p"));
        assert_eq!(frames(&play.takes()), [(Opcode::PONG, b"p".to_vec())]);
    }
}
