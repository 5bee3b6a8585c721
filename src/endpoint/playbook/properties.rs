//! What holds for any bytes in any pieces.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::endpoint::Reply;
use crate::lint::Limits;
use crate::wire::Opcode;

/// Everything that `input` in pieces of these sizes (over and over) brings forth: bytes, notes, events.
fn outcome(config: Config, input: &[u8], sizes: &[usize]) -> (Vec<u8>, Vec<Event>) {
    let mut play = Play::connected(config);
    let mut rest = input;
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
}

/// A session with something of everything.
fn session() -> Vec<u8> {
    [
        REQUEST.as_bytes().to_vec(),
        client(Opcode::TEXT, "Hello"),
        part(Opcode::TEXT, b"\xe2\x82", false),
        client(Opcode::PING, "ping"),
        client(Opcode::CONTINUATION, b"\xac"),
        client(Opcode::BINARY, vec![0xAB; 300]),
        client(Opcode::PONG, ""),
        client(Opcode::CLOSE, close_body(1000, "bye")),
        b"and more".to_vec(),
    ]
    .concat()
}

#[test]
fn every_split_of_a_session_brings_forth_the_same() {
    let session = session();
    let whole = outcome(Config::default(), &session, &[session.len()]);
    assert_eq!(whole.1.len(), 3);
    for split in 1..session.len() {
        assert_eq!(outcome(Config::default(), &session, &[split, session.len()]), whole, "split at {split}");
    }
    assert_eq!(outcome(Config::default(), &session, &[1]), whole);
}

#[test]
fn sixteen_mebibytes_in_65_537_fragments_are_echoed_in_linear_time() {
    let payload = vec![b'*'; 16 << 20];
    let mut stream = Vec::new();
    let fragments = 65_537;
    for (i, fragment) in payload.chunks(payload.len().div_ceil(fragments)).enumerate() {
        let opcode = if i == 0 { Opcode::TEXT } else { Opcode::CONTINUATION };
        stream.extend(part(opcode, fragment, false));
    }
    stream.extend(client(Opcode::CONTINUATION, ""));
    let mut play = Play::open(Config::default());
    for piece in stream.chunks(4096) {
        play.hears(piece);
    }
    let mut said = Vec::new();
    while !play.endpoint.outbox().is_empty() {
        let n = play.endpoint.outbox().len().min(1500);
        said.extend_from_slice(&play.endpoint.outbox()[..n]);
        play.endpoint.written(n, play.now);
    }
    assert!(said == server(Opcode::TEXT, &payload));
}

/// Frames of a client that is mostly right, in any order.
fn mostly_right() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![4 => 0_u8..3, 2 => 8_u8..11, 1 => 0_u8..16];
    let frame = (opcode, vec(any::<u8>(), 0..200), any::<bool>());
    vec(frame, 0..30).prop_map(|frames| {
        let frame = |(opcode, payload, fin): (u8, Vec<u8>, bool)| part(Opcode::new(opcode), payload, fin || opcode > 7);
        frames.into_iter().flat_map(frame).collect()
    })
}

fn configs() -> impl Strategy<Value = Config> {
    let reply = prop_oneof![Just(Reply::Echo), Just(Reply::HandOver), Just(Reply::Nothing)];
    (reply, any::<bool>(), any::<bool>()).prop_map(|(reply, tolerant, auto_pong)| {
        let limits = Limits { max_frame: 1000, max_message: 2000 };
        Config { reply, tolerant, auto_pong, limits, high_water: 3000, ..Config::default() }
    })
}

proptest! {
    #[test]
    fn any_pieces_of_any_frames_bring_forth_the_same(
        frames in prop_oneof![3 => mostly_right(), 1 => vec(any::<u8>(), 0..300)],
        sizes in vec(1_usize..100, 1..10),
        config in configs(),
    ) {
        let stream = [REQUEST.as_bytes(), &frames].concat();
        let whole = outcome(config.clone(), &stream, &[stream.len()]);
        prop_assert_eq!(outcome(config, &stream, &sizes), whole);
    }

    #[test]
    fn random_bytes_instead_of_a_request_never_panic(bytes in vec(any::<u8>(), 0..2000), sizes in vec(1_usize..50, 1..5)) {
        let config = Config { max_head: 500, ..Config::default() };
        let whole = outcome(config.clone(), &bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(outcome(config, &bytes, &sizes), whole);
    }

    #[test]
    fn what_waits_is_bounded_if_input_stops_when_it_is_not_wanted(
        frames in vec(mostly_right(), 1..20),
        config in configs(),
    ) {
        let bound = config.high_water + config.limits.max_message as usize + 1000;
        let mut play = Play::connected(config);
        play.hears(REQUEST);
        for piece in frames.concat().chunks(500) {
            if !play.endpoint.wants_read() {
                break;
            }
            play.hears(piece);
            prop_assert!(play.endpoint.outbox().len() <= bound);
        }
    }
}
