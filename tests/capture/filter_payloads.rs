//! A filter reads payloads many at a time; what it finds in them is what is found in each of them alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use memchr::memmem;
use proptest::prelude::*;
use regex::bytes::Regex;
use wsinspect::capture::filter::{Filter, Matcher, Numbers, Sieve, head_of};
use wsinspect::capture::{Capture, SocketEnd};
use wsinspect::wire::{Header, MaskingKey, Opcode, Side, frame};

use crate::support::{Recorded, Script, until};

/// A frame that one side sends.
#[derive(Clone, Debug)]
struct Sent {
    connection: u32,
    from: Side,
    opcode: Opcode,
    fin: bool,
    payload: Vec<u8>,
    key: Option<[u8; 4]>,
    /// Where the frame is cut into reads, in thousandths of it.
    cuts: Vec<usize>,
    /// Bytes that are not seen after it.
    gap: u8,
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let length =
        prop_oneof![60 => 0_usize..40, 12 => 100_usize..2000, 2 => 60_000_usize..140_000, 1 => Just(300_000_usize)];
    // letters of which short words come about by chance, and all over a long payload
    (length, any::<u64>()).prop_map(|(length, seed)| {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        (0..length).map(|_| if length < 2000 { b"abc"[(next() % 3) as usize] } else { next() as u8 }).collect()
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    let key = proptest::option::of(any::<[u8; 4]>());
    let cuts = proptest::collection::vec(0_usize..1000, 0..3);
    let gap = prop_oneof![30 => Just(0_u8), 1 => 1_u8..9];
    let connection = proptest::sample::select(CONNECTIONS);
    // most traffic is whole messages
    let first = prop_oneof![20 => Just((Opcode::BINARY, true)), 1 => Just((Opcode::TEXT, true)),
        1 => (proptest::sample::select(&[Opcode::BINARY, Opcode::CONTINUATION, Opcode::PING]), any::<bool>())];
    (connection, any::<bool>(), first, payload(), key, cuts, gap).prop_map(
        |(connection, client, (opcode, fin), payload, key, cuts, gap)| {
            let from = if client { Side::Client } else { Side::Server };
            Sent { connection, from, opcode, fin, payload, key, cuts, gap }
        },
    )
}

/// So far from one another that what is kept of a connection may stand where that of another stood.
const CONNECTIONS: &[u32] = &[1, 2, 129, 130, 257];

/// All of it recorded; the reads of a frame come one in turn with those of frames on other connections.
fn record(traffic: &[Sent]) -> Recorded {
    let mut script = CONNECTIONS.iter().copied().fold(Script::new(), Script::opened);
    let mut queues: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
    for one in traffic {
        let header = Header::new(one.opcode, one.key.map(MaskingKey), one.payload.len() as u64).with_fin(one.fin);
        let bytes = frame(&header, &one.payload);
        let mut cuts: Vec<usize> = one.cuts.iter().map(|cut| cut * bytes.len() / 1000).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let queue = queues.entry((one.connection, one.from as usize)).or_default();
        let reads = cuts.windows(2).map(|cut| (bytes[cut[0]..cut[1]].to_vec(), 0));
        queue.extend(reads.filter(|(bytes, _)| !bytes.is_empty()));
        if let Some((_, gap)) = queue.back_mut() {
            *gap = one.gap;
        }
    }
    while queues.values().any(|queue| !queue.is_empty()) {
        for ((id, from), queue) in &mut queues {
            let from = Side::BOTH[*from];
            let Some((bytes, gap)) = queue.pop_front() else { continue };
            script = script.chunk(*id, from, &bytes);
            if gap > 0 {
                script = script.gap(*id, from, gap.into());
            }
        }
    }
    // a frame may be cut short by the end
    script = script.chunk(1, Side::Client, &[0x82, 0xFE, 1, 0, 0, 0, 0, 0, b'a', b'b']);
    script.ended(1, Side::Client, SocketEnd::Reset).closed(1, None).record()
}

fn matches(capture: &Capture, expression: &str) -> Vec<u64> {
    let mut matcher = Matcher::of(Filter::parse(expression).unwrap());
    let mut found = Vec::new();
    matcher.look(capture, u64::MAX, &mut found);
    found.sort_unstable();
    found
}

/// The frames whose payload, read alone, is as it should be.
fn alone(capture: &Capture, is_match: impl Fn(&[u8]) -> bool) -> Vec<u64> {
    let frames = capture.index().totals().frames;
    let frame = |n| capture.index().frame(n).unwrap();
    (1..=frames).filter(|n| is_match(&capture.payload(&frame(*n), 0..u64::MAX).unwrap_or_default())).collect()
}

fn assert_same(capture: &Capture) -> Result<(), TestCaseError> {
    let contains = |word: &'static [u8]| move |bytes: &[u8]| memmem::find(bytes, word).is_some();
    prop_assert_eq!(matches(capture, "payload contains \"abc\""), alone(capture, contains(b"abc")));
    prop_assert_eq!(matches(capture, "payload contains 00:01"), alone(capture, contains(b"\x00\x01")));
    let regex = Regex::new("^a+b.*c$").unwrap();
    prop_assert_eq!(matches(capture, "payload matches \"^a+b.*c$\""), alone(capture, |bytes| regex.is_match(bytes)));
    let both = |bytes: &[u8]| contains(b"ab")(bytes) && !contains(b"ca")(bytes);
    prop_assert_eq!(matches(capture, "payload contains \"ab\" and not payload contains \"ca\""), alone(capture, both));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_found_in_many_is_what_is_found_in_each(
        traffic in proptest::collection::vec(sent(), 1..50),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::weighted(0.2, any::<proptest::sample::Index>()),
    ) {
        let recorded = record(&traffic);
        assert_same(&recorded.capture)?;
        // and wherever the file is damaged behind the index
        let mut bytes = std::fs::read(&recorded.path).unwrap();
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&recorded.path, bytes).unwrap();
        assert_same(&recorded.capture)?;
    }
}

#[test]
fn of_so_many_that_they_are_looked_at_in_pieces_and_by_two_threads_each_is_found() {
    // more than a MiB of it, without which there is one thread
    let rest = |n| " ".repeat(if n < 5000 { 0 } else { 300 });
    let traffic: Vec<Sent> = (0..10_000_u32)
        .map(|n| Sent {
            connection: CONNECTIONS[n as usize % CONNECTIONS.len()],
            from: if n % 2 == 0 { Side::Client } else { Side::Server },
            opcode: Opcode::BINARY,
            fin: true,
            payload: (n.to_string().replace('7', "abc") + &rest(n)).into_bytes(),
            key: (n % 2 == 0).then(|| n.to_be_bytes()),
            cuts: Vec::new(),
            gap: 0,
        })
        .collect();
    let recorded = record(&traffic);
    assert_eq!(matches(&recorded.capture, "payload contains \"abc\"").len(), 3439, "those with a 7");
    assert_same(&recorded.capture).unwrap();
}

/// Whole messages, most of them; some take several frames, with pings in between.
fn mixed(frames: u32) -> Vec<Sent> {
    let mut goes_on = [false; 2];
    (0..frames)
        .map(|n| {
            // long stretches of whole messages, too
            let turn = n.wrapping_mul(0x9E37_79B9) >> 27;
            let is_mixed = n / 500 % 2 == 1;
            let client = turn % 2 == 0;
            let open = &mut goes_on[usize::from(client)];
            let (opcode, fin) = match turn {
                0..3 => (Opcode::PING, true),
                3..8 if is_mixed && !*open => (Opcode::TEXT, false),
                _ if *open => (Opcode::CONTINUATION, turn > 16),
                _ => (Opcode::TEXT, true),
            };
            *open = if opcode == Opcode::PING { *open } else { !fin };
            Sent {
                connection: 1,
                from: if client { Side::Client } else { Side::Server },
                opcode,
                fin,
                payload: n.to_string().replace('7', "abc").into_bytes(),
                key: client.then(|| n.to_be_bytes()),
                cuts: Vec::new(),
                gap: 0,
            }
        })
        .collect()
}

#[test]
fn what_is_listed_is_what_matches_and_the_messages_that_it_belongs_to() {
    let recorded = record(&mixed(5000));
    let capture = &recorded.capture;
    let frames = capture.index().totals().frames;
    let all = |numbers: &Numbers| (0..numbers.len()).map_while(|place| numbers.get(place)).collect::<Vec<_>>();
    let sifted = |filter: Option<&str>| {
        let filter = filter.map(|expression| Filter::parse(expression).unwrap());
        let sieve = Sieve::start(capture.clone(), filter).unwrap();
        until(|| sieve.looked_at() == frames);
        // what is looked at was found before
        let sifted = sieve.sifted();
        (all(&sifted.frames), all(&sifted.messages))
    };
    let heads = |frames: &[u64]| -> Vec<u64> {
        let heads: BTreeSet<_> = frames.iter().map(|n| head_of(capture, *n)).collect();
        heads.into_iter().collect()
    };
    let every: Vec<u64> = (1..=frames).collect();
    assert_eq!(sifted(None), (Vec::new(), heads(&every)));
    let entry = |n: &u64| capture.index().frame(*n).unwrap();
    let holds_abc = alone(capture, |bytes| memmem::find(bytes, b"abc").is_some());
    let is_ping = |n: &u64| entry(n).header().opcode == Opcode::PING;
    let is_masked = |n: &u64| entry(n).header().masking_key.is_some();
    let chosen = |choose: &dyn Fn(&u64) -> bool| every.iter().copied().filter(|n| choose(n)).collect::<Vec<_>>();
    for (expression, expected) in [
        ("payload contains \"abc\"", holds_abc.clone()),
        ("opcode == ping", chosen(&is_ping)),
        ("opcode == ping or payload contains \"abc\"", chosen(&|n| is_ping(n) || holds_abc.binary_search(n).is_ok())),
        ("mask and not payload contains \"abc\"", chosen(&|n| is_masked(n) && holds_abc.binary_search(n).is_err())),
    ] {
        assert!(!expected.is_empty() && expected.len() < every.len(), "{expression}");
        assert_eq!(matches(capture, expression), expected, "{expression}");
        let heads = heads(&expected);
        assert_eq!(sifted(Some(expression)), (expected, heads), "{expression}");
    }
}
