//! RFC 7692: what is agreed on, and compressed messages both ways.

use super::*;
use crate::endpoint::{How, Origin, Reply};
use crate::lint::{Limits, Rule};
use crate::wire::{DeflateAgreement, Deflater, Inflater, Message, Opcode, Rsv, parse_extensions};

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
/// "Hello" once more, RFC 7692 7.2.3.2.
const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";

fn wishes(answer: &str) -> DeflateAgreement {
    DeflateAgreement::parse(&parse_extensions(&format!("permessage-deflate{answer}")).unwrap()[0]).unwrap()
}

fn with_offer(offer: &str) -> String {
    REQUEST.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"))
}

/// The handshake is done, with compression.
fn open(config: Config, offer: &str) -> Play {
    let mut play = Play::connected(config);
    play.hears(with_offer(offer));
    assert!(String::from_utf8(play.takes()).unwrap().contains("\r\nSec-WebSocket-Extensions: permessage-deflate"));
    play.events();
    play
}

fn compressing() -> Play {
    open(Config::default(), "permessage-deflate")
}

/// The first frame of a compressed message, as a client sends it.
fn packed(opcode: Opcode, payload: impl AsRef<[u8]>, fin: bool) -> Vec<u8> {
    let mut frame = part(opcode, payload, fin);
    frame[0] |= 0x40;
    frame
}

fn compress(message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    Deflater::new(true, 15).unwrap().message(message, &mut compressed);
    compressed
}

/// A message in one frame as a server sends it.
fn said(opcode: Opcode, compressed: &[u8]) -> Vec<u8> {
    frame(&Header { rsv: Rsv::RSV1, ..Header::new(opcode, None, compressed.len() as u64) }, compressed)
}

#[test]
fn the_first_offer_that_can_be_accepted_is_answered_in_words_that_rfc_7692_allows() {
    let deflate = "permessage-deflate";
    for (wished, offers, answered) in [
        ("", "permessage-deflate", Some("")),
        ("", "permessage-deflate; client_max_window_bits", Some("")),
        ("", "permessage-deflate; server_max_window_bits=15", Some("; server_max_window_bits=15")),
        ("", "permessage-deflate; server_max_window_bits=8", None),
        ("", "permessage-deflate; server_max_window_bits=8, permessage-deflate", Some("")),
        (
            "",
            "permessage-deflate; windows=12, permessage-deflate; server_max_window_bits=9",
            Some("; server_max_window_bits=9"),
        ),
        ("", "x-unknown, permessage-deflate; server_no_context_takeover", Some("; server_no_context_takeover")),
        ("", "x-webkit-deflate-frame", None),
        ("; client_max_window_bits=9", "permessage-deflate", Some("")),
        (
            "; client_max_window_bits=9",
            "permessage-deflate; client_max_window_bits",
            Some("; client_max_window_bits=9"),
        ),
        (
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=12",
            Some("; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9"),
        ),
    ] {
        let mut play = Play::connected(Config { deflate: Some(wishes(wished)), ..Config::default() });
        let line = answered.map(|answer| format!("Sec-WebSocket-Extensions: {deflate}{answer}\r\n"));
        play.hears(with_offer(offers)).says(format!(
            "{}{}\r\n",
            &ACCEPTED[..ACCEPTED.len() - 2],
            line.unwrap_or_default()
        ));
    }
}

#[test]
fn compressed_messages_are_echoed_compressed_with_the_window_carried_over() {
    let mut play = compressing();
    play.hears(packed(Opcode::TEXT, HELLO, true)).says(said(Opcode::TEXT, HELLO));
    // what came as it is goes back compressed: either is legal, and this shows what was agreed on
    play.hears(client(Opcode::TEXT, "Hello")).says(said(Opcode::TEXT, HELLO_AGAIN));
    play.hears(packed(Opcode::BINARY, [0], true)).says(said(Opcode::BINARY, &[0]));
    assert_eq!(play.hears(packed(Opcode::TEXT, HELLO_AGAIN, true)).takes()[0], 0xC1);
    play.hears(client(Opcode::PING, "Hello")).says(server(Opcode::PONG, "Hello"));
}

#[test]
fn without_takeover_each_message_stands_for_itself() {
    let mut play =
        open(Config::default(), "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    for _ in 0..2 {
        play.hears(packed(Opcode::TEXT, HELLO, true)).says(said(Opcode::TEXT, HELLO));
    }
    play.hears(packed(Opcode::TEXT, HELLO_AGAIN, true));
    assert_eq!(last_close(&play.takes()).0, 1007, "it refers to what is not there");
}

#[test]
fn a_compressed_message_comes_in_fragments_with_pings_between_however_it_is_cut() {
    for first in 0..=HELLO.len() {
        for second in first..=HELLO.len() {
            let mut play = compressing();
            play.hears(packed(Opcode::TEXT, &HELLO[..first], false)).says_nothing();
            play.hears(client(Opcode::PING, "p")).says(server(Opcode::PONG, "p"));
            play.hears(part(Opcode::CONTINUATION, &HELLO[first..second], false)).says_nothing();
            play.hears(client(Opcode::CONTINUATION, &HELLO[second..])).says(said(Opcode::TEXT, HELLO));
        }
    }
}

#[test]
fn what_the_user_sends_is_compressed_and_only_its_first_frame_marked() {
    let mut play = compressing();
    play.endpoint.send_text("Hello").unwrap();
    play.says(said(Opcode::TEXT, HELLO));
    play.endpoint.send_fragments("Hello", 2, true).unwrap();
    let second = server(Opcode::CONTINUATION, &HELLO_AGAIN[2..]);
    let mut first = said(Opcode::TEXT, &HELLO_AGAIN[..2]);
    first[0] &= 0x7F;
    play.says([first, server(Opcode::PING, "between fragments"), second].concat());
    assert_eq!(play.by_user.len(), 3);
    play.endpoint.send_ping(b"Hello").unwrap();
    play.says(server(Opcode::PING, "Hello"));
}

#[test]
fn a_broadcast_is_compressed_by_each_connection_for_itself() {
    let message = Message { opcode: Opcode::TEXT, payload: b"Hello".to_vec(), fragments: 1 };
    let handing_over = || Config { reply: Reply::HandOver, ..Config::default() };
    let mut fresh = open(handing_over(), "permessage-deflate");
    let mut used = open(handing_over(), "permessage-deflate");
    used.hears(packed(Opcode::TEXT, HELLO, true));
    assert_eq!(used.events(), [Event::Message(message.clone())]);
    used.endpoint.send_message(&message, Origin::Endpoint).unwrap();
    used.takes();
    for (play, expected) in [(&mut fresh, HELLO), (&mut used, HELLO_AGAIN)] {
        play.endpoint.send_message(&message, Origin::Endpoint).unwrap();
        play.says(said(Opcode::TEXT, expected));
    }
    let mut plain = Play::open(handing_over());
    plain.endpoint.send_message(&message, Origin::Endpoint).unwrap();
    plain.says(server(Opcode::TEXT, "Hello"));
}

#[test]
fn every_window_and_size_comes_back_as_it_was_sent() {
    for bits in 9..=15_u8 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}");
        for takeover in ["", "; server_no_context_takeover; client_no_context_takeover"] {
            let mut play = open(Config::default(), &format!("{offer}{takeover}"));
            let mut deflater = Deflater::new(takeover.is_empty(), bits).unwrap();
            let mut inflater = Inflater::new(takeover.is_empty(), 1 << 20);
            for length in [0, 5, 1000, 140_000, 5] {
                let message: Vec<u8> = (0..length).map(|n: u32| (n.wrapping_mul(n) >> 9) as u8).collect();
                let mut compressed = Vec::new();
                deflater.message(&message, &mut compressed);
                let echo = play.hears(packed(Opcode::BINARY, &compressed, true)).takes();
                let crate::wire::Parsed::Complete(header) = Header::parse(&echo) else { panic!("a header") };
                let mut came_back = Vec::new();
                inflater.push(&echo[header.len()..], |piece| came_back.extend_from_slice(piece)).unwrap();
                inflater.finish().unwrap();
                assert!(came_back == message, "{bits} bits{takeover}: {length} bytes");
            }
        }
    }
}

const LIMITS: Limits = Limits { max_frame: 1000, max_message: 5000 };

/// What breaks each rule where compression was agreed on, and the code that answers it.
pub(super) fn breaches() -> Vec<(Rule, u16, Vec<u8>)> {
    let continuation = |payload: &[u8]| client(Opcode::CONTINUATION, payload);
    let marked = |mut frame: Vec<u8>| {
        frame[0] |= 0x40;
        frame
    };
    vec![
        (Rule::InflateFailed, 1007, packed(Opcode::TEXT, [0xFF], true)),
        (Rule::InflateFailed, 1007, packed(Opcode::TEXT, &HELLO[..5], true)),
        (Rule::InflateFailed, 1007, packed(Opcode::TEXT, "", true)),
        (Rule::Rsv1OnControl, 1002, marked(client(Opcode::PING, "p"))),
        (
            Rule::Rsv1OnContinuation,
            1002,
            [packed(Opcode::TEXT, &HELLO[..3], false), marked(continuation(&HELLO[3..]))].concat(),
        ),
        (Rule::RsvWithoutExtension, 1002, {
            let mut frame = client(Opcode::TEXT, "a");
            frame[0] |= 0x20;
            frame
        }),
        (Rule::InvalidUtf8, 1007, packed(Opcode::TEXT, compress(b"ab\xff"), true)),
        // it shows before the frame is complete
        (Rule::InvalidUtf8, 1007, {
            let mut frame = packed(Opcode::TEXT, compress(&[&b"ab\xff"[..], &[b'a'; 40]].concat()), true);
            frame.truncate(frame.len() - 2);
            frame
        }),
        (Rule::InvalidUtf8, 1007, packed(Opcode::TEXT, compress(b"\xe2\x82"), true)),
        (Rule::MessageTooBig, 1009, packed(Opcode::BINARY, compress(&[0; 5001]), true)),
    ]
}

#[test]
fn what_compression_can_break_fails_the_connection() {
    for (rule, code, bytes) in breaches() {
        let mut play = open(Config { limits: LIMITS, ..Config::default() }, "permessage-deflate");
        play.hears(&bytes);
        let (found, reason) = last_close(&play.takes());
        assert_eq!(found, code, "{rule}: {reason}");
        assert!(reason.starts_with(rule.id()), "{rule}: {reason}");
        let Some(Event::Closed(end)) = play.event() else { panic!("{rule}") };
        assert!(matches!(&end.how, How::Failed(finding) if finding.rule == rule), "{rule}: {end:?}");
    }
    let mut play = open(Config { limits: LIMITS, ..Config::default() }, "permessage-deflate");
    play.hears(packed(Opcode::BINARY, compress(&[0; 5000]), true));
    assert_eq!(play.takes()[0], 0xC2, "what is just within the limit");
}

#[test]
fn the_limit_is_for_what_is_inflated_not_for_what_is_sent() {
    let limits = Limits { max_frame: 1000, max_message: 5 };
    let mut play = open(Config { limits, ..Config::default() }, "permessage-deflate");
    play.hears(packed(Opcode::TEXT, HELLO, true)).says(said(Opcode::TEXT, HELLO));
}

#[test]
fn a_bomb_is_not_inflated_past_the_limit() {
    let mut play = open(
        Config { limits: Limits { max_frame: 1 << 20, max_message: 100_000 }, ..Config::default() },
        "permessage-deflate",
    );
    let bomb = packed(Opcode::BINARY, compress(&vec![0; 64 << 20]), true);
    for piece in bomb.chunks(1000) {
        play.hears(piece);
    }
    let (code, reason) = last_close(&play.takes());
    assert_eq!((code, reason.as_str()), (1009, "message-too-big: Inflated, the message has more than 100000 bytes."));
}

#[test]
fn the_tolerant_drop_what_they_cannot_inflate_and_what_may_refer_to_it() {
    let mut play = open(Config { tolerant: true, ..Config::default() }, "permessage-deflate");
    play.hears(packed(Opcode::TEXT, [0xFF], true)).says_nothing();
    play.hears(packed(Opcode::TEXT, HELLO, true)).says_nothing();
    play.hears(client(Opcode::TEXT, "Hello")).says(said(Opcode::TEXT, HELLO));
}
