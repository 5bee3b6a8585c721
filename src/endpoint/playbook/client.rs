//! RFC 6455 5 to 7 as the client: an OPEN connection, and how it ends.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::broken_server::limited;
use super::*;
use crate::compose::{Composed, ComposedFrame};
use crate::endpoint::{Ask, End, How, MaskingKeys, Reply, State};
use crate::wire::{DeflateOffer, Deflater, Inflater, Parsed, Rsv, Side, WindowOffer, mask};

/// The response of RFC 6455 1.3, without a subprotocol.
pub(super) const ANSWER: &str = ACCEPTED;

/// The request of RFC 6455 1.3, without its subprotocols.
pub(super) fn ask() -> Ask {
    Ask {
        target: "/chat".to_owned(),
        host: "server.example.com".to_owned(),
        key: *b"the sample nonce",
        origin: None,
        subprotocols: Vec::new(),
        deflate: None,
        headers: Vec::new(),
    }
}

/// What a client asks for, and how it behaves.
pub(super) struct Asked {
    pub(super) ask: Ask,
    pub(super) config: Config,
}

impl Default for Asked {
    fn default() -> Self {
        Self { ask: ask(), config: Config { reply: Reply::Nothing, ..Config::default() } }
    }
}

/// The masking keys that are handed in: 1, 2, 3, …
fn counted() -> MaskingKeys {
    let mut last = 0_u32;
    MaskingKeys::new(move || {
        last += 1;
        MaskingKey(last.to_be_bytes())
    })
}

impl Asked {
    /// A TCP connection on which the request was sent.
    pub(super) fn play(self) -> Play {
        let now = Instant::now();
        let request = self.ask.request();
        let endpoint = Endpoint::client(self.config, &self.ask, counted(), now);
        let mut play = Play { endpoint, now, by_user: Vec::new() };
        play.says(request);
        assert_eq!(play.by_user, [0_usize; 0]);
        play
    }
}

pub(super) fn open(config: Config) -> Play {
    let mut play = Asked { config, ..Asked::default() }.play();
    play.hears(ANSWER);
    assert!(matches!(play.event(), Some(Event::Opened(..))));
    play
}

/// The handshake is done, with the compression that was offered and answered.
pub(super) fn compressing(offer: DeflateOffer, answer: &str) -> Play {
    let config = Config { reply: Reply::Echo, ..Config::default() };
    let mut play = Asked { ask: Ask { deflate: Some(offer), ..ask() }, config }.play();
    play.hears(ANSWER.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {answer}\r\n\r\n")));
    assert!(matches!(play.event(), Some(Event::Opened(..))));
    play
}

/// What the client said: headers and payloads, unmasked; every frame is masked.
#[track_caller]
fn said(mut bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let Parsed::Complete(header) = Header::parse(bytes) else { panic!("no header: {bytes:?}") };
        let (frame, rest) = bytes.split_at(header.len() + header.length as usize);
        let mut payload = frame[header.len()..].to_vec();
        mask(&mut payload, header.masking_key.expect("a client masks"), 0);
        frames.push((header, payload));
        bytes = rest;
    }
    frames
}

/// The same without the keys.
#[track_caller]
pub(super) fn frames(bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    said(bytes).into_iter().map(|(header, payload)| (header.opcode, payload)).collect()
}

/// The code and the reason of the Close that the client said last.
#[track_caller]
pub(super) fn closed_with(play: &mut Play) -> (u16, String) {
    let (opcode, body) = frames(&play.takes()).pop().expect("there is a Close");
    assert_eq!(opcode, Opcode::CLOSE);
    (u16::from_be_bytes([body[0], body[1]]), String::from_utf8(body[2..].to_vec()).unwrap())
}

#[track_caller]
pub(super) fn ended(play: &mut Play) -> End {
    let events = play.events();
    let [Event::Closed(end)] = &events[..] else { panic!("{events:?}") };
    end.clone()
}

/// All is said, and TCP is the server's to end; once it does, it is over.
#[track_caller]
pub(super) fn is_left_by_the_server(play: &mut Play) {
    assert!(play.endpoint.outbox().is_empty(), "something waits to be written");
    assert!(!play.endpoint.wants_shutdown(), "the server goes first");
    assert!(!play.endpoint.is_finished(), "it does not wait for the server");
    play.hears_the_end().is_over();
}

#[test]
fn every_frame_is_masked_with_a_key_of_its_own() {
    let mut play = open(Config { reply: Reply::Echo, ..Config::default() });
    play.hears(server(Opcode::TEXT, "echo")).hears(server(Opcode::PING, "p"));
    play.endpoint.send_text("text").unwrap();
    play.endpoint.send_binary(&vec![0; 70_000]).unwrap();
    play.endpoint.send_fragments("fragments", 3, true).unwrap();
    play.endpoint.send_ping(b"ping").unwrap();
    play.endpoint.send_pong(b"pong").unwrap();
    play.endpoint.close(CloseCode::NORMAL, "bye", play.now).unwrap();
    let said = said(&play.takes());
    let keys: Vec<_> = said.iter().map(|(header, _)| header.masking_key.unwrap()).collect();
    let handed_in: Vec<_> = (1..=said.len() as u32).map(|n| MaskingKey(n.to_be_bytes())).collect();
    assert_eq!(keys, handed_in, "each key once, in order");
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 11);
    let payloads: Vec<_> = said.iter().map(|(_, payload)| &payload[..payload.len().min(20)]).collect();
    let expected: [&[u8]; 11] = [
        b"echo",
        b"p",
        b"text",
        &[0; 20],
        b"fra",
        b"between fragments",
        b"gme",
        b"nts",
        b"ping",
        b"pong",
        b"\x03\xe8bye",
    ];
    assert_eq!(payloads, expected);
}

#[test]
fn a_composed_frame_goes_out_as_it_is() {
    let mut play = open(Config::default());
    let frame = ComposedFrame::new(Opcode::TEXT, None, b"unmasked");
    play.endpoint.send_composed(&Composed::new(vec![frame], 1, Duration::ZERO).unwrap(), play.now).unwrap();
    play.says(server(Opcode::TEXT, "unmasked"));
    assert_eq!(play.by_user, [0]);
}

#[test]
fn a_close_is_answered_and_the_server_ends_tcp_first() {
    let mut play = open(Config::default());
    play.hears(server(Opcode::CLOSE, close_body(4000, "bye")));
    assert_eq!(closed_with(&mut play), (4000, String::new()));
    let end = ended(&mut play);
    assert_eq!((end.by, end.is_clean(), end.code()), (Side::Server, true, CloseCode(4000)));
    is_left_by_the_server(&mut play);
}

#[test]
fn our_close_goes_out_behind_what_waits_and_what_comes_until_the_answer_still_counts() {
    let mut play = open(Config { reply: Reply::HandOver, ..Config::default() });
    play.endpoint.send_text("a").unwrap();
    play.endpoint.close(CloseCode::NORMAL, "", play.now).unwrap();
    let said = frames(&play.takes());
    assert_eq!(said, [(Opcode::TEXT, b"a".to_vec()), (Opcode::CLOSE, close_body(1000, ""))]);
    play.hears(server(Opcode::TEXT, "a"));
    assert!(matches!(play.event(), Some(Event::Message(message)) if message.payload == b"a"));
    play.hears(server(Opcode::CLOSE, close_body(1000, ""))).says_nothing();
    let end = ended(&mut play);
    assert_eq!((end.by, end.is_clean(), end.code()), (Side::Client, true, CloseCode::NORMAL));
    is_left_by_the_server(&mut play);
}

#[test]
fn who_leaves_closes_once_all_was_read_and_the_server_is_quiet() {
    let mut play = open(Config { reply: Reply::Nothing, ..Config::default() });
    play.endpoint.send_text("a").unwrap();
    play.endpoint.leave(SECOND, play.now).unwrap();
    let said = frames(&play.takes());
    assert_eq!(said, [(Opcode::TEXT, b"a".to_vec()), (Opcode::PING, b"end of input".to_vec())]);
    play.waits(4 * SECOND).hears(server(Opcode::PONG, "end of input"));
    // answers that take their time
    for _ in 0..10 {
        play.waits(SECOND * 9 / 10).says_nothing().hears(server(Opcode::TEXT, "answer"));
    }
    play.waits(SECOND);
    assert_eq!(closed_with(&mut play), (1000, String::new()));
    assert!(play.endpoint.leave(SECOND, play.now).is_err(), "it is closing already");

    // without a pong it is given five seconds
    let mut mute = open(Config { reply: Reply::Nothing, ..Config::default() });
    mute.endpoint.leave(SECOND, mute.now).unwrap();
    mute.takes();
    mute.waits(SECOND * 49 / 10).says_nothing().waits(SECOND / 10);
    assert_eq!(closed_with(&mut mute), (1000, String::new()));
}

#[test]
fn a_server_that_has_much_to_answer_before_its_close_is_waited_for() {
    let mut play = open(Config::default());
    play.endpoint.close(CloseCode::NORMAL, "", play.now).unwrap();
    play.takes();
    for _ in 0..100 {
        play.waits(4 * SECOND).hears(server(Opcode::TEXT, "one more"));
    }
    play.waits(4 * SECOND).hears(server(Opcode::CLOSE, close_body(1000, ""))).says_nothing();
    assert!(ended(&mut play).is_clean());
    // when the program ends, that is over
    let mut play = open(Config::default());
    play.endpoint.shutdown(play.now);
    play.takes();
    play.waits(SECOND * 9 / 10).hears(server(Opcode::TEXT, "one more")).waits(SECOND / 10).is_over();
}

#[test]
fn a_server_that_never_answers_a_close_or_never_ends_tcp_is_left_after_five_seconds() {
    let mut silent = open(Config::default());
    silent.endpoint.close(CloseCode::NORMAL, "", silent.now).unwrap();
    silent.takes();
    silent.waits(5 * SECOND).is_over();
    assert_eq!(ended(&mut silent).how, How::Timeout);

    let mut lingering = open(Config::default());
    lingering.hears(server(Opcode::CLOSE, "")).takes();
    lingering.waits(Duration::from_millis(4999));
    assert!(!lingering.endpoint.is_finished());
    lingering.waits(Duration::from_millis(1)).is_over();
    assert_eq!(ended(&mut lingering).how, How::Handshake);
}

#[test]
fn an_end_without_a_close_is_the_servers_doing() {
    for reset in [false, true] {
        let mut play = open(Config::default());
        if reset {
            play.endpoint.receive_reset(play.now);
        } else {
            play.hears_the_end();
        }
        play.is_over();
        let end = ended(&mut play);
        assert_eq!((end.by, end.code()), (Side::Server, CloseCode::ABNORMAL));
        assert_eq!(end.how, if reset { How::Reset } else { How::Fin });
    }
}

#[test]
fn when_the_program_ends_the_server_is_told_and_has_a_second() {
    let mut play = open(Config::default());
    play.endpoint.shutdown(play.now);
    assert_eq!(closed_with(&mut play), (1001, "the client is shutting down".to_owned()));
    play.waits(SECOND).is_over();
}

#[test]
fn pings_are_answered_unless_that_is_turned_off_and_a_dead_server_is_noticed() {
    let mut mute = open(Config { auto_pong: false, ..Config::default() });
    mute.hears(server(Opcode::PING, "p")).says_nothing();

    let mut play = open(Config { ping_interval: Some(20 * SECOND), ..Config::default() });
    play.waits(20 * SECOND);
    assert_eq!(frames(&play.takes()), [(Opcode::PING, b"keepalive 1".to_vec())]);
    play.hears(server(Opcode::PONG, "keepalive 1")).waits(20 * SECOND);
    assert_eq!(frames(&play.takes()), [(Opcode::PING, b"keepalive 2".to_vec())]);
    play.waits(20 * SECOND);
    assert_eq!(closed_with(&mut play), (1011, "keepalive ping timeout".to_owned()));
    let end = ended(&mut play);
    assert_eq!((end.by, end.how.clone()), (Side::Client, How::Timeout));
    play.waits(5 * SECOND).is_over();
}

/// What a client that offers `offer` sends after `answer`: "Hello" twice, as it is on the wire.
fn hello_twice(offer: DeflateOffer, answer: &str) -> [(bool, Vec<u8>); 2] {
    let mut play = compressing(offer, answer);
    [(); 2].map(|()| {
        play.endpoint.send_text("Hello").unwrap();
        let (header, payload) = said(&play.takes()).remove(0);
        (header.rsv.rsv1(), payload)
    })
}

#[test]
fn messages_are_compressed_as_was_agreed_on_and_as_the_offer_promised() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec();
    let again = b"\xf2\x00\x11\x00\x00".to_vec();
    let deflate = "permessage-deflate";
    let any = DeflateOffer { client_max_window_bits: Some(WindowOffer::Any), ..DeflateOffer::default() };
    let alone = DeflateOffer { client_no_context_takeover: true, ..any };
    let plain = (false, b"Hello".to_vec());
    for (offer, answer, expected) in [
        (any, "", [(true, hello.clone()), (true, again.clone())]),
        (any, "; client_no_context_takeover", [(true, hello.clone()), (true, hello.clone())]),
        // what was offered holds, whether or not the answer repeats it
        (alone, "", [(true, hello.clone()), (true, hello.clone())]),
        (any, "; client_max_window_bits=9", [(true, hello.clone()), (true, again)]),
        // nobody can keep to a window of 256 bytes with the usual compressor
        (any, "; client_max_window_bits=8", [plain.clone(), plain]),
    ] {
        assert_eq!(hello_twice(offer, &format!("{deflate}{answer}")), expected, "{answer}");
    }
}

#[test]
fn every_window_and_size_comes_back_as_it_was_sent() {
    for bits in 9..=15_u8 {
        let offer = DeflateOffer {
            client_max_window_bits: Some(WindowOffer::UpTo(bits)),
            server_max_window_bits: Some(bits),
            ..DeflateOffer::default()
        };
        let mut play = compressing(offer, &format!("permessage-deflate; server_max_window_bits={bits}"));
        let mut deflater = Deflater::new(true, bits).unwrap();
        let mut inflater = Inflater::new(true, 1 << 20);
        for length in [0, 5, 1000, 140_000, 5] {
            let message: Vec<u8> = (0..length).map(|n: u32| (n.wrapping_mul(n) >> 9) as u8).collect();
            let mut compressed = Vec::new();
            deflater.message(&message, &mut compressed);
            let header = Header { rsv: Rsv::RSV1, ..Header::new(Opcode::BINARY, None, compressed.len() as u64) };
            play.hears(frame(&header, &compressed));
            let (_, echo) = said(&play.takes()).remove(0);
            let mut came_back = Vec::new();
            inflater.push(&echo, |piece| came_back.extend_from_slice(piece)).unwrap();
            inflater.finish().unwrap();
            assert!(came_back == message, "{bits} bits: {length} bytes");
        }
    }
}

#[test]
fn nothing_is_sent_before_the_handshake_is_over() {
    let mut play = Asked::default().play();
    assert!(play.endpoint.send_text("early").is_err());
    assert!(play.endpoint.close(CloseCode::NORMAL, "", play.now).is_err());
    play.hears(ANSWER);
    assert_eq!(play.endpoint.state(), State::Open);
    play.endpoint.send_text("now").unwrap();
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_bring_forth_the_same(
        is_answered in any::<bool>(),
        bytes in vec(any::<u8>(), 0..600),
        sizes in vec(1_usize..100, 1..10),
        tolerant in any::<bool>(),
    ) {
        let stream = if is_answered { [ANSWER.as_bytes(), &bytes].concat() } else { [&b"HTTP/1."[..], &bytes].concat() };
        let outcome = |sizes: &[usize]| {
            let mut play = Asked { config: Config { tolerant, ..limited() }, ..Asked::default() }.play();
            let mut rest = &stream[..];
            for &size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at(size.clamp(1, rest.len()));
                play.hears(piece);
                rest = later;
            }
            play.hears_the_end();
            (play.takes(), play.events())
        };
        prop_assert_eq!(outcome(&[stream.len()]), outcome(&sizes));
    }
}
