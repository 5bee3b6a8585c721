//! Chunks in, frames and verdicts out.

use wsinspect::capture::{ConnectionId, ConnectionState, Follower, Item, Note, Origin, SocketEnd};
use wsinspect::lint::Rule;
use wsinspect::wire::{Opcode, Side};

use crate::support::{REQUEST, RESPONSE, Script, masked, plain};

const FIRST: ConnectionId = ConnectionId(1);

#[test]
fn any_split_into_chunks_derives_the_same_frames_with_the_same_payloads() {
    let stream = [
        masked(Opcode::TEXT, b"Hello"),
        masked(Opcode::PING, b"hi"),
        masked(Opcode::BINARY, &[7; 300]),
        masked(Opcode::CLOSE, b"\x03\xe8bye"),
    ]
    .concat();
    for size in [1, 2, 3, 7, 64, 1000] {
        let mut script = Script::new().opened(1);
        for chunk in stream.chunks(size) {
            script = script.chunk(1, Side::Client, chunk);
        }
        let recorded = script.record();
        let index = recorded.capture.index();
        let frames: Vec<_> = (1..=4)
            .map(|n| index.frame(n).unwrap())
            .map(|entry| (entry.header().opcode, entry.header().length, entry.offset()))
            .collect();
        assert_eq!(
            frames,
            [(Opcode::TEXT, 5, 0), (Opcode::PING, 2, 11), (Opcode::BINARY, 300, 19), (Opcode::CLOSE, 5, 327)],
            "chunks of {size}"
        );
        let chunks = index.frame(3).unwrap().chunks();
        let (start, end) = (19 / size, 326 / size);
        assert_eq!(usize::from(chunks), end - start + 1, "chunks of {size}");
        drop(index);
        assert_eq!(recorded.payload(1), b"Hello");
        assert_eq!(recorded.payload(3), [7; 300]);
    }
}

#[test]
fn frames_that_a_client_sends_before_the_answer_are_derived_once_it_is_there() {
    let pipelined = [REQUEST, &masked(Opcode::TEXT, b"early")[..]].concat();
    let recorded = Script::new()
        .connected(1)
        .chunk(1, Side::Client, &pipelined)
        .chunk(1, Side::Client, &masked(Opcode::TEXT, b"and more"))
        .chunk(1, Side::Server, RESPONSE)
        .record();
    assert_eq!(recorded.capture.index().totals().frames, 2);
    assert_eq!((recorded.payload(1), recorded.payload(2)), (b"early".to_vec(), b"and more".to_vec()));
    assert_eq!(recorded.capture.head(FIRST, Side::Client).unwrap().unwrap(), REQUEST);
    assert_eq!(recorded.capture.head(FIRST, Side::Server).unwrap().unwrap(), RESPONSE);
}

#[test]
fn who_made_a_frame_is_told_by_the_notes_of_its_chunk() {
    let bytes = [plain(Opcode::TEXT, b"echo"), plain(Opcode::PING, b"mine")].concat();
    let notes = vec![Note { offset: 0, origin: Origin::Endpoint }, Note { offset: 6, origin: Origin::User }];
    let recorded = Script::new()
        .opened(1)
        .noted_chunk(1, Side::Server, &bytes, notes)
        .chunk(1, Side::Client, &masked(Opcode::PONG, b"mine"))
        .record();
    let index = recorded.capture.index();
    let origin = |n| index.frame(n).unwrap().origin();
    assert_eq!((origin(1), origin(2), origin(3)), (Origin::Endpoint, Origin::User, Origin::Peer));
    assert_eq!(index.connection(FIRST).unwrap().pings[Side::Server as usize].last, Some(1_000_000));
    assert_eq!(index.totals().findings, 0, "the pong answers a ping");
}

#[test]
fn a_frame_that_is_cut_short_is_recorded_as_incomplete_when_the_connection_ends() {
    let whole = masked(Opcode::TEXT, b"never whole");
    let recorded = Script::new()
        .opened(1)
        .chunk(1, Side::Client, &whole[..10])
        .ended(1, Side::Client, SocketEnd::Fin)
        .closed(1, None)
        .record();
    let entry = recorded.capture.index().frame(1).unwrap();
    assert!(!entry.is_complete());
    assert_eq!(entry.header().length, 11);
    assert_eq!(recorded.payload(1), b"neve");
}

#[test]
fn after_a_length_without_a_border_the_rest_of_the_stream_is_no_frame() {
    let lost = [0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x81, 0x00];
    let recorded = Script::new().opened(1).chunk(1, Side::Server, &lost).closed(1, None).record();
    let index = recorded.capture.index();
    assert_eq!(index.totals().frames, 1);
    assert!(index.findings(1).iter().any(|(_, finding)| finding.rule == Rule::LengthTopBit));
}

#[test]
fn findings_are_kept_by_frame_and_counted_by_rule() {
    let recorded = Script::new()
        .opened(1)
        .chunk(1, Side::Client, &plain(Opcode::TEXT, b"naked"))
        .chunk(1, Side::Client, &masked(Opcode::TEXT, b"fine"))
        .chunk(1, Side::Client, &masked(Opcode::new(3), b""))
        .record();
    let index = recorded.capture.index();
    let rules = |n| index.findings(n).iter().map(|(_, finding)| finding.rule).collect::<Vec<_>>();
    assert_eq!((rules(1), rules(2), rules(3)), (vec![Rule::UnmaskedClientFrame], vec![], vec![Rule::ReservedOpcode]));
    assert_eq!((index.finding_after(1), index.finding_before(3)), (Some(3), Some(1)));
    assert_eq!(index.rule_count(Rule::ReservedOpcode), 1);
}

#[test]
fn things_are_followed_in_the_order_in_which_they_happened() {
    let recorded = Script::new()
        .opened(1)
        .chunk(1, Side::Client, &masked(Opcode::TEXT, b"a"))
        .opened(2)
        .chunk(2, Side::Client, &masked(Opcode::TEXT, b"b"))
        .closed(1, None)
        .chunk(2, Side::Client, &masked(Opcode::TEXT, b"cc"))
        .connected(3)
        .chunk(3, Side::Client, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        .chunk(3, Side::Server, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .record();
    let told: Vec<_> = recorded
        .items()
        .iter()
        .map(|item| match item {
            Item::Opened(connection) => format!("open {}", connection.id),
            Item::Refused(connection) => format!("refused {}", connection.id),
            Item::Frame(n, entry, _) => format!("frame {n} of {}", entry.connection()),
            Item::Closed(connection) => format!("close {}", connection.id),
            Item::Gone(frames) => format!("gone {frames:?}"),
            Item::Exchanged(connection, _) => format!("http {}", connection.id),
        })
        .collect();
    assert_eq!(told, ["open 1", "frame 1 of 1", "open 2", "frame 2 of 2", "close 1", "frame 3 of 2", "refused 3"]);
}

#[test]
fn a_page_is_neither_opened_nor_refused_but_listed() {
    let recorded = Script::new()
        .connected(1)
        .chunk(1, Side::Client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .chunk(1, Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        .closed(1, None)
        .record();
    let items = recorded.items();
    let [Item::Exchanged(_, exchange)] = &items[..] else { panic!("{items:?}") };
    assert_eq!((exchange.n, exchange.status, exchange.body, exchange.complete), (1, Some(200), [0, 2], true));
    let head = recorded.capture.exchange_head(exchange, Side::Server).unwrap().unwrap();
    assert_eq!(head, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(recorded.capture.index().connection(FIRST).unwrap().state, ConnectionState::Http);
}

#[test]
fn whoever_follows_a_capture_gets_what_is_wanted_in_order_and_all_that_happens_between() {
    let mut script = Script::new();
    for id in 1..=7 {
        script = script.opened(id);
        for n in 0..40_u32 {
            script = script.chunk(id, Side::Client, &masked(Opcode::TEXT, n.to_string().as_bytes()));
        }
        script = script.closed(id, None);
    }
    let recorded = script.record();
    // a number for a frame, a word for what else there is
    let told = |item: &Item| match item {
        Item::Frame(n, ..) => n.to_string(),
        Item::Opened(_) => "opened".to_owned(),
        Item::Closed(_) => "closed".to_owned(),
        other => panic!("{other:?}"),
    };
    let all: Vec<String> = recorded.items().iter().map(told).collect();
    assert_eq!(all.len(), 7 * 42);
    for every in [1, 2, 3, 63, 64, 65, 81, 1000] {
        for (max, end) in [(1, u64::MAX), (7, u64::MAX), (500, u64::MAX), (5, 123), (500, 1)] {
            let mut follower = Follower::default();
            let mut got = Vec::new();
            loop {
                let items = follower.next_of(&recorded.capture, max, end, |n| Some(n.next_multiple_of(every)));
                assert!(items.len() <= max);
                if items.is_empty() {
                    break;
                }
                got.extend(items.iter().map(told));
            }
            let mut last = 0;
            let passes = |item: &&String| match item.parse::<u64>() {
                Ok(n) => {
                    last = n;
                    n % every == 0 && n < end
                }
                Err(_) => last < end,
            };
            let expected: Vec<String> = all.iter().filter(passes).cloned().collect();
            assert_eq!(got, expected, "every {every}, {max} at a time, up to {end}");
        }
    }
}
