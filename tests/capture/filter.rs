//! The display filter: what expressions mean, what is wrong with those that mean nothing, and the thread that applies them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use proptest::prelude::*;
use wsinspect::capture::filter::{Filter, Matcher, Sieve, complete, head_of, parts_of};
use wsinspect::capture::{Capture, Note, Origin};
use wsinspect::wire::{Header, Opcode, Rsv, Side, frame};

use crate::support::{Recorded, Script, masked, plain, until};

/// Fourteen frames on two connections, a millisecond apart from 22:13:20.008 UTC on.
fn traffic() -> Recorded {
    use Side::{Client, Server};
    let fragment =
        |opcode, fin, payload: &[u8]| frame(&Header::new(opcode, None, payload.len() as u64).with_fin(fin), payload);
    let reserved = Header { rsv: Rsv::new(5), ..Header::new(Opcode::new(3), None, 2) };
    let by_user = vec![Note { offset: 0, origin: Origin::User }];
    Script::new()
        .opened(1)
        .opened(2)
        .chunk(1, Client, &masked(Opcode::TEXT, b"the price is 7")) // 1
        .chunk(2, Server, &plain(Opcode::BINARY, &[1, 2, 0xff, b'p', b'r'])) // 2
        .chunk(1, Server, &fragment(Opcode::TEXT, false, b"Hello, ")) // 3
        .noted_chunk(1, Server, &plain(Opcode::PING, b"hi!!"), by_user) // 4
        .chunk(2, Client, &masked(Opcode::TEXT, b"PRICE 12")) // 5
        .chunk(1, Client, &masked(Opcode::PONG, b"hi!!")) // 6, two milliseconds after
        .chunk(1, Server, &fragment(Opcode::CONTINUATION, false, b"Web")) // 7
        .chunk(1, Server, &fragment(Opcode::CONTINUATION, true, b"Socket!")) // 8
        .chunk(2, Client, &plain(Opcode::TEXT, b"unmasked")) // 9
        .chunk(2, Client, &frame(&reserved, b"??")) // 10
        .chunk(2, Client, &masked(Opcode::PONG, b"nobody asked")[..5])
        .chunk(2, Client, &masked(Opcode::PONG, b"nobody asked")[5..]) // 11
        .chunk(2, Server, &plain(Opcode::TEXT, b"")) // 12
        .chunk(2, Client, &masked(Opcode::CLOSE, b"\x03\xe9bye")) // 13
        .chunk(2, Server, &plain(Opcode::CLOSE, b"")) // 14
        .record()
}

fn matches(capture: &Capture, expression: &str) -> Vec<u64> {
    let filter = Filter::parse_in(expression, TimeZone::UTC).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut matcher = Matcher::of(filter);
    let mut found = Vec::new();
    matcher.look(capture, u64::MAX, &mut found);
    matcher.give_up_waiting(capture, &mut found);
    found.sort_unstable();
    found
}

#[test]
fn an_expression_matches_these_frames_and_no_others() {
    let recorded = traffic();
    let all: Vec<u64> = (1..=14).collect();
    for (expression, expected) in [
        // Wireshark's names
        ("fin", &[1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14][..]),
        ("websocket.fin == 0", &[3, 7]),
        ("fin != true", &[3, 7]),
        ("rsv == 5", &[10]),
        ("rsv > 0", &[10]),
        ("opcode == text", &[1, 3, 5, 9, 12]),
        ("websocket.opcode == 0x8", &[13, 14]),
        ("opcode >= 9", &[4, 6, 11]),
        ("opcode in {ping, pong}", &[4, 6, 11]),
        ("opcode in {0 8..9}", &[4, 7, 8, 13, 14]),
        ("mask", &[1, 5, 6, 11, 13]),
        ("mask == false and from == client", &[9, 10]),
        ("masking_key == 37:fa:21:04", &[6]),
        ("masking_key == 37fa210e", &[1]),
        ("masking_key", &[1, 5, 6, 11, 13]),
        ("payload_length == 0", &[12, 14]),
        ("payload_length > 7 and payload_length <= 12", &[5, 9, 11]),
        ("payload.close.status_code == 1001", &[13]),
        ("payload.close.status_code < 1001", &[]),
        ("payload.close.status_code", &[13]),
        // payloads
        ("payload contains \"price\"", &[1]),
        ("payload contains price", &[1]),
        ("payload contains 01:02:ff", &[2]),
        ("payload contains 0xff", &[2]),
        ("payload contains \"\\xff\"", &[2]),
        ("payload matches \"(?i)price \\d+\"", &[5]),
        ("payload matches \"^h.*!$\"", &[4, 6]),
        ("payload matches '(?-u)\\xff'", &[2]),
        ("payload == \"hi!!\"", &[4, 6]),
        ("payload != \"hi!!\" and payload_length == 4", &[]),
        ("payload == 01:02:ff:70:72", &[2]),
        ("payload.text contains \"e\"", &[1, 3, 7, 8, 9]),
        ("payload.text", &[1, 3, 5, 7, 8, 9, 12]),
        ("payload", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13]),
        ("price", &[1]),
        ("\"pr\"", &[1, 2]),
        ("'the price'", &[1]),
        ("bye", &[13]),
        // ours
        ("conn == 2", &[2, 5, 9, 10, 11, 12, 13, 14]),
        ("n in {1..3, 12}", &[1, 2, 3, 12]),
        ("n", &all),
        ("from == client", &[1, 5, 6, 9, 10, 11, 13]),
        ("from != client", &[2, 3, 4, 7, 8, 12, 14]),
        ("origin == user", &[4]),
        ("edit", &[4]),
        ("edit == injected", &[4]),
        ("edit == changed", &[]),
        ("chunks > 1", &[11]),
        ("compressed", &[]),
        ("fragments", &[1, 2, 3, 5, 7, 8, 9, 10, 12]),
        ("fragments > 1", &[3, 7, 8]),
        ("fragments == 3", &[3, 7, 8]),
        ("fragments == 2", &[]),
        ("fragments == 1 and conn == 1", &[1]),
        ("finding", &[9, 10, 11]),
        ("rule == unmasked-client-frame", &[9, 10]),
        ("rule in {reserved-opcode, pong-unsolicited}", &[10, 11]),
        ("rule != unmasked-client-frame", &[11]),
        ("not rule == unmasked-client-frame and finding", &[11]),
        ("level >= should", &[9, 10]),
        ("level == advice", &[11]),
        ("rtt", &[6]),
        ("rtt > 1ms", &[6]),
        ("rtt >= 0.002", &[6]),
        ("rtt > 50ms", &[]),
        ("not rtt > 1ms and opcode == pong", &[11]),
        // times
        ("time == 22:13:20.007", &[1]),
        ("time < 22:13:20.009", &[1, 2]),
        ("time >= 22:13:21", &[]),
        ("time == 22:13", &all),
        ("time > 1700000000.018", &[12, 13, 14]),
        ("time in {1700000000.007 .. 1700000000.008}", &[1, 2]),
        // operators
        ("not finding", &[1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14]),
        ("!finding && opcode == text && from == client", &[1, 5]),
        ("opcode == ping or opcode == pong and from == server", &[4]),
        ("(opcode == ping or opcode == pong) and from == client", &[6, 11]),
        ("not opcode == text and conn == 1", &[4, 6, 7, 8]),
        ("not (opcode == text or conn == 1)", &[2, 10, 11, 13, 14]),
        ("not not mask", &[1, 5, 6, 11, 13]),
        ("opcode == close || rsv == 5 || price", &[1, 10, 13, 14]),
        ("payload contains \"e\" and not payload contains \"the\"", &[3, 7, 8, 9, 11, 13]),
    ] {
        assert_eq!(matches(&recorded.capture, expression), expected, "{expression}");
    }
}

#[test]
fn a_time_of_day_is_in_the_time_zone() {
    let recorded = traffic();
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    let mut found = Vec::new();
    let filter = Filter::parse_in("time == 00:13:20.007", zone).unwrap();
    Matcher::of(filter).look(&recorded.capture, u64::MAX, &mut found);
    assert_eq!(found, [1]);
}

#[test]
fn an_error_says_in_one_line_where_it_is_and_what_was_expected() {
    for (expression, error) in [
        ("", "column 1: expected a field such as opcode, or a text to look for"),
        ("opcode ==", "column 10: expected a value after \"==\" such as 1 or text"),
        ("opcode == ", "column 10: expected a value after \"==\" such as 1 or text"),
        ("opcode == and fin", "column 11: expected a value after \"==\" such as 1 or text, found \"and\""),
        ("opcode = 1", "column 8: expected ==, found \"=\""),
        ("opcde == 1", "column 1: there is no field \"opcde\"; did you mean opcode?"),
        ("fin and websocket.banana", "column 9: there is no field \"websocket.banana\"; expected one such as"),
        ("banana > 1", "column 1: there is no field \"banana\"; expected one such as opcode, payload or conn"),
        ("opcode == \"text\"", "column 11: opcode is not compared with \"text\"; expected a value such as 1 or text"),
        ("opcode == txt", "column 11: opcode is not compared with \"txt\"; expected a value such as text"),
        ("from == clint", "column 9: from is not compared with \"clint\"; expected a value such as client"),
        ("from < server", "column 6: from is not compared by <; expected ==, != or in"),
        ("opcode contains \"x\"", "column 8: opcode is not compared by contains; expected ==, !=, <, <=, >, >= or in"),
        ("payload > 5", "column 9: payload is not compared by >; expected contains, matches, == or !="),
        ("payload contains", "column 17: expected a value after \"contains\" such as \"price\" or 01:02:ff"),
        ("payload matches \"(\"", "column 17: expected a regular expression: unclosed group"),
        ("payload matches \"\\pL{9999}\"", "column 17: expected a regular expression:"),
        ("payload contains \"x", "column 18: expected a closing quotation mark before the end"),
        ("(fin or mask", "column 13: expected and, or, or a closing parenthesis"),
        ("fin)", "column 4: expected and, or, or the end, found \")\""),
        ("fin mask", "column 5: expected and, or, or the end, found \"mask\""),
        ("and fin", "column 1: expected a field such as opcode, or a text to look for, found \"and\""),
        ("fin or", "column 7: expected a field such as opcode, or a text to look for"),
        ("n in 1", "column 6: expected a set in braces such as {1 or 0x7f}, found \"1\""),
        ("n in {}", "column 7: expected a value such as 1 or 0x7f, found \"}\""),
        ("n in {1, ", "column 9: expected a value after \"{\" such as 1 or 0x7f"),
        ("from in {client..server}", "column 16: expected a comma or a closing brace, found \"..\""),
        (
            "level >= banana",
            "column 10: level is not compared with \"banana\"; expected a value such as must, should or",
        ),
        (
            "rule == unmasked-client",
            "column 9: rule is not compared with \"unmasked-client\"; expected a value such as",
        ),
        ("rtt > fast", "column 7: rtt is not compared with \"fast\"; expected a value such as 50ms or 1.5s"),
        ("time > noon", "column 8: time is not compared with \"noon\"; expected a value such as 12:00:01.203 or"),
        ("fin == 2", "column 8: fin is not compared with \"2\"; expected a value such as 1 or 0"),
        (
            "masking_key == 37fa",
            "column 16: masking_key is not compared with \"37fa\"; expected a value such as 37fa213d",
        ),
        ("größe == 1", "column 1: there is no field \"größe\"; expected one such as"),
        ("ümlaut and opcode ==", "column 21: expected a value after"),
    ] {
        let found = Filter::parse(expression).map(|_| ()).expect_err(expression).to_string();
        assert!(found.starts_with(error), "{expression}\n{found}\n{error}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn length_and_depth_are_bounded_with_an_error() {
    let long = vec!["fin"; 2000].join(" and ");
    assert_eq!(Filter::parse(&long).unwrap_err().to_string(), "column 1: expected an expression of at most 4096 bytes");
    let wide = vec!["fin"; 500].join(" and ");
    assert!(Filter::parse(&wide).is_ok());
    for deep in ["(".repeat(2000), "!".repeat(4000), "not ".repeat(1000)] {
        let error = Filter::parse(&deep).unwrap_err().to_string();
        assert!(error.ends_with("expected at most 50 levels of parentheses and not"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_input_makes_the_parser_or_the_completion_panic(text in "\\PC{0,60}", at in 0_usize..80) {
        let _ = Filter::parse(&text);
        complete(&text, at);
    }

    #[test]
    fn nor_does_any_sequence_of_its_own_words(words in proptest::collection::vec(0_usize..26, 0..24)) {
        const WORDS: [&str; 26] = [
            "opcode", "payload", "payload.text", "time", "rtt", "rule", "==", "!=", "<", ">=", "contains", "matches", "in",
            "{", "}", "..", ",", "(", ")", "not", "and", "or", "1", "\"x\"", "text", "12:00",
        ];
        let text = words.into_iter().map(|word| WORDS[word]).collect::<Vec<_>>().join(" ");
        match Filter::parse(&text) {
            Ok(_) => {}
            Err(error) => {
                let error = error.to_string();
                prop_assert!(error.starts_with("column ") && error.lines().count() == 1, "{}", error);
            }
        }
    }
}

#[test]
fn the_thread_finds_the_same_frames_and_the_messages_that_they_belong_to() {
    let recorded = traffic();
    let sieve = Sieve::start(recorded.capture.clone(), Some(Filter::parse("Socket or price").unwrap())).unwrap();
    until(|| sieve.looked_at() == 14);
    let sifted = sieve.sifted();
    let all =
        |numbers: &wsinspect::capture::filter::Numbers| (0..numbers.len()).map_while(|i| numbers.get(i)).collect();
    let (frames, messages): (Vec<u64>, Vec<u64>) = (all(&sifted.frames), all(&sifted.messages));
    assert_eq!((frames, messages), (vec![1, 8], vec![1, 3]));
    let thread = *sifted.thread(3).unwrap();
    assert_eq!((thread.first, thread.last, thread.fragments, thread.inside, thread.length), (3, 8, 3, 1, 17));
    assert!(sifted.thread(1).is_none());
    assert_eq!(parts_of(&recorded.capture, &thread, 0), [3, 4, 7, 8]);
    for (n, head) in [(1, 1), (3, 3), (4, 3), (6, 6), (7, 3), (8, 3), (13, 13)] {
        assert_eq!(head_of(&recorded.capture, n), head, "{n}");
    }
}

#[test]
fn without_a_filter_the_messages_are_put_together() {
    let recorded = traffic();
    let sieve = Sieve::start(recorded.capture.clone(), None).unwrap();
    until(|| sieve.looked_at() == 14);
    let sifted = sieve.sifted();
    let messages: Vec<_> = (0..sifted.messages.len()).map_while(|i| sifted.messages.get(i)).collect();
    assert_eq!(messages, [1, 2, 3, 5, 6, 9, 10, 11, 12, 13, 14]);
    assert!(sifted.frames.is_empty());
}

#[test]
fn the_thread_goes_on_as_frames_arrive_and_ends_when_it_is_dropped() {
    let mut live = crate::support::Live::new();
    let sieve =
        Sieve::start(live.capture.clone(), Some(Filter::parse("opcode == ping or fragments == 2").unwrap())).unwrap();
    let found = || {
        let sifted = sieve.sifted();
        (0..sifted.frames.len()).map_while(|i| sifted.frames.get(i)).collect::<Vec<_>>()
    };
    live.frame(Opcode::TEXT, false, b"begun");
    live.frame(Opcode::PING, true, b"");
    until(|| sieve.looked_at() == 2);
    assert_eq!(found(), [2], "whether frame 1 matches is not known yet");
    live.frame(Opcode::CONTINUATION, true, b"done");
    until(|| sieve.looked_at() == 3 && found() == [1, 2, 3]);
    let held = Arc::strong_count(&live.capture);
    drop(sieve);
    // both the handle and the thread, which was waiting for traffic, have let go of the capture
    until(|| Arc::strong_count(&live.capture) == held - 2);
}

#[test]
fn a_filter_over_payloads_is_given_up_at_once_when_it_is_dropped() {
    let mut live = crate::support::Live::new();
    let big = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        live.frame(Opcode::BINARY, true, &big);
    }
    live.wait(100);
    let before = Arc::strong_count(&live.capture);
    let sieve =
        Sieve::start(live.capture.clone(), Some(Filter::parse("payload matches \"(x+x+)+y\"").unwrap())).unwrap();
    let began = Instant::now();
    drop(sieve);
    until(|| Arc::strong_count(&live.capture) == before);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
