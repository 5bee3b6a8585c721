//! What is shown, searched and exported of compressed messages is what they were before they were compressed.

use base64::Engine as _;
use serde_json::{Value, json};
use wsinspect::capture::filter::{Filter, Matcher};
use wsinspect::capture::{Capture, MessageReader};
use wsinspect::formats::export::{Kind, Progress, Selection, Stop, write};
use wsinspect::formats::jsonl::{JsonLines, Options};
use wsinspect::wire::{Deflater, Opcode, Side};

use crate::deflate::{bomb, compressed, deflated, deflating};
use crate::har;
use crate::support::{Recorded, Script, masked, plain};

/// A text in one frame, the same again as a reference back in three, with a ping in between, bytes that are binary, and
/// a text that is not compressed. Then something that is no DEFLATE, and what might refer to it.
fn traffic() -> Recorded {
    let mut deflater = Deflater::new(true, 15).unwrap();
    let mut payload = |message: &[u8]| deflated(&mut deflater, message);
    let server = Side::Server;
    let first = compressed(server, Opcode::TEXT, &payload("{\"price\": \"7 \u{20ac}\"}".as_bytes()), 1).concat();
    let again = compressed(server, Opcode::TEXT, &payload("{\"price\": \"8 \u{20ac}\"}".as_bytes()), 3);
    let binary = compressed(server, Opcode::BINARY, &payload(&[0, 0xff].repeat(500)), 1).concat();
    let after = payload(b"never to be read");
    deflating(Script::new(), 1, "permessage-deflate")
        .chunk(1, server, &first) // 1
        .chunk(1, server, &again[0]) // 2
        .chunk(1, server, &plain(Opcode::PING, b"?")) // 3
        .chunk(1, server, &again[1]) // 4
        .chunk(1, server, &again[2]) // 5
        .chunk(1, server, &binary) // 6
        .chunk(1, Side::Client, &masked(Opcode::TEXT, b"what price?")) // 7
        .chunk(1, server, &compressed(server, Opcode::TEXT, &[0xff; 5], 1).concat()) // 8
        .chunk(1, server, &compressed(server, Opcode::TEXT, &after, 1).concat()) // 9
        .record()
}

fn json_lines(recorded: &Recorded, payload_limit: u64) -> Vec<Value> {
    let mut lines = JsonLines::new(Options { payload_limit, messages: true });
    let mut out = Vec::new();
    for item in recorded.items() {
        lines.write(&mut out, &recorded.capture, &item).unwrap();
    }
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn exported(capture: &Capture, kind: Kind, selection: &Selection) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::new();
    write(capture, kind, selection, &Progress::default(), &mut out).map(|_| out)
}

#[test]
fn json_has_messages_inflated_and_frames_as_on_the_wire() {
    let events = json_lines(&traffic(), u64::MAX);
    let messages: Vec<_> = events.iter().filter(|event| event["event"] == "message").collect();
    assert_eq!(messages.len(), 6);
    let first = messages[0];
    assert_eq!(
        (&first["text"], &first["length"], &first["compressed"]),
        (&json!("{\"price\": \"7 \u{20ac}\"}"), &json!(18), &json!(true))
    );
    assert!(first["wire_length"].as_u64().unwrap() > 0 && first.get("payload").is_none() && first.get("why").is_none());
    assert_eq!(
        (&messages[1]["first"], &messages[1]["last"], &messages[1]["fragments"]),
        (&json!(2), &json!(5), &json!(3))
    );
    assert_eq!(messages[1]["text"], "{\"price\": \"8 \u{20ac}\"}");
    assert_eq!((&messages[2]["payload"], &messages[2]["length"]), (&json!("00ff".repeat(500)), &json!(1000)));
    assert_eq!((&messages[3]["text"], &messages[3]["compressed"]), (&json!("what price?"), &json!(false)));
    for (message, why) in [(messages[4], "no DEFLATE"), (messages[5], "from frame 8 on")] {
        assert_eq!(
            (&message["text"], &message["payload"], &message["length"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert!(message.as_object().unwrap().contains_key("text"));
        assert!(message["why"].as_str().unwrap().contains(why), "{message}");
    }
    let frame = events.iter().find(|event| event["event"] == "frame").unwrap();
    assert_eq!((&frame["text"], &frame["compressed"], &frame["rsv"]), (&Value::Null, &json!(true), &json!(4)));
    assert_eq!(frame["payload"].as_str().unwrap().len() as u64, 2 * frame["length"].as_u64().unwrap());
    let messages: Vec<_> = json_lines(&traffic(), 5).into_iter().filter(|event| event["event"] == "message").collect();
    assert_eq!(
        (&messages[0]["text"], &messages[0]["truncated"], &messages[0]["length"]),
        (&json!("{\"pri"), &json!(true), &json!(18))
    );
}

#[test]
fn text_shows_a_message_with_its_last_frame() {
    let recorded = traffic();
    let text = String::from_utf8(exported(&recorded.capture, Kind::Text, &Selection::All).unwrap()).unwrap();
    let line = |n: u64| {
        let number = format!(" {n:>6}    1  ");
        text.lines().find(|line| line.contains(&number)).unwrap_or_else(|| panic!("no frame {n} in\n{text}"))
    };
    assert!(line(1).ends_with("deflated, 18 bytes inflated  \"{\"price\": \"7 \u{20ac}\"}\""), "{text}");
    assert!(line(2).ends_with("deflated") && line(4).ends_with("deflated"), "{text}");
    assert!(line(5).contains("18 bytes inflated  \"{\"price\": \"8"), "{text}");
    assert!(line(6).contains("1000 bytes inflated  00ff00ff"), "{text}");
    assert!(line(9).contains("not inflated: it may refer to earlier messages"), "{text}");
}

#[test]
fn a_har_holds_what_was_compressed_inflated_and_says_so() {
    let recorded = traffic();
    let har: Value = serde_json::from_slice(&exported(&recorded.capture, Kind::Har, &Selection::All).unwrap()).unwrap();
    let messages = har["log"]["entries"][0]["_webSocketMessages"].as_array().unwrap();
    let of = |last: u64| {
        let ends = |one: &&Value| one["_wsinspect"]["frames"].as_array().unwrap().last().unwrap()["n"] == last;
        messages.iter().find(ends).unwrap()
    };
    assert_eq!(of(1)["data"], "{\"price\": \"7 \u{20ac}\"}");
    assert_eq!(of(5)["data"], "{\"price\": \"8 \u{20ac}\"}");
    let extras = &of(5)["_wsinspect"];
    assert_eq!((&extras["compressed"], &extras["length"], &extras["missing"]), (&json!(true), &json!(18), &json!(0)));
    assert!(extras["wire_length"].is_u64() && extras.get("why").is_none());
    let base64 = &base64::engine::general_purpose::STANDARD;
    assert_eq!(base64.decode(of(6)["data"].as_str().unwrap()).unwrap(), [0, 0xff].repeat(500));
    assert_eq!(base64.decode(of(8)["data"].as_str().unwrap()).unwrap(), [0xff; 5]);
    assert!(of(8)["_wsinspect"]["why"].as_str().unwrap().contains("no DEFLATE"));
}

#[test]
fn the_payload_of_a_message_is_what_it_was_inflated_to() {
    let recorded = traffic();
    let payload = |numbers: &[u64]| exported(&recorded.capture, Kind::Payload, &Selection::Frames(numbers.to_vec()));
    assert_eq!(payload(&[1]).unwrap(), "{\"price\": \"7 \u{20ac}\"}".as_bytes());
    assert_eq!(payload(&[4]).unwrap(), "{\"price\": \"8 \u{20ac}\"}".as_bytes());
    assert_eq!(payload(&[6]).unwrap(), [0, 0xff].repeat(500));
    assert!(payload(&[9]).unwrap_err().to_string().contains("can't be inflated"));
}

#[test]
fn chosen_frames_come_with_the_compressed_messages_that_they_refer_to() {
    let recorded = traffic();
    let reopened = |chosen: &[u64]| {
        let file = exported(&recorded.capture, Kind::Pcapng, &Selection::Frames(chosen.to_vec())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chosen.pcapng");
        std::fs::write(&path, file).unwrap();
        let opened = wsinspect::capture::open(&path, wsinspect::lint::Limits::default(), "a test").unwrap();
        let capture = opened.capture.clone();
        opened.reading.run(false, &std::sync::atomic::AtomicBool::new(false));
        (capture, folder)
    };
    // one fragment of the second message: all of it, and the first one, without the ping
    let (capture, _folder) = reopened(&[4]);
    assert_eq!(capture.index().totals().frames, 4);
    let mut reader = MessageReader::default();
    let (_, bytes) = reader.beginning(&capture, 2, usize::MAX).unwrap();
    assert_eq!(bytes, "{\"price\": \"8 \u{20ac}\"}".as_bytes());
    // what is not compressed needs nothing else
    assert_eq!(reopened(&[3, 7]).0.index().totals().frames, 2);
}

#[test]
fn a_filter_searches_what_was_compressed_and_the_first_frame_stands_for_it() {
    let recorded = traffic();
    let matches = |expression: &str| {
        let mut matcher = Matcher::of(Filter::parse(expression).unwrap());
        let mut found = Vec::new();
        matcher.look(&recorded.capture, u64::MAX, &mut found);
        matcher.give_up_waiting(&recorded.capture, &mut found);
        found.sort_unstable();
        found
    };
    for (expression, expected) in [
        ("price", &[1, 2, 7][..]),
        ("payload contains \"8 \u{20ac}\"", &[2]),
        ("payload.text matches \"[78] .\"", &[1, 2]),
        ("payload.text contains 00:ff", &[]),
        ("payload contains 00:ff:00", &[6]),
        ("payload contains ff:ff:ff:ff:ff", &[8]),
        ("payload.text == \"what price?\"", &[7]),
        ("compressed and payload contains \"price\"", &[1, 2]),
        ("compressed", &[1, 2, 4, 5, 6, 8, 9]),
        ("compressed and fragments == 3 and not price", &[4, 5]),
        ("never", &[]),
    ] {
        assert_eq!(matches(expression), expected, "{expression}");
    }
}

#[test]
fn a_bomb_in_json_says_that_inflating_stopped() {
    let server = Side::Server;
    let recorded = deflating(Script::new(), 1, "permessage-deflate; server_no_context_takeover")
        .chunk(1, server, &compressed(server, Opcode::BINARY, &bomb(), 1).concat())
        .chunk(
            1,
            server,
            &compressed(server, Opcode::TEXT, &deflated(&mut Deflater::new(false, 15).unwrap(), b"on"), 1).concat(),
        )
        .record();
    let events = json_lines(&recorded, 100);
    let messages: Vec<_> = events.iter().filter(|event| event["event"] == "message").collect();
    assert!(messages[0]["why"].as_str().unwrap().contains("more than 67108864 bytes"), "{}", messages[0]);
    assert_eq!(messages[1]["text"], "on");
}

#[test]
fn a_har_of_ours_opens_to_the_messages_inflated_and_not_to_what_no_one_could_read() {
    let recorded = traffic();
    let opened = har::open(exported(&recorded.capture, Kind::Har, &Selection::All).unwrap());
    let capture = &opened.capture;
    let frames = capture.index().frames(1..u64::MAX);
    let payloads: Vec<Vec<u8>> = frames.iter().map(|(_, one)| capture.payload(one, 0..u64::MAX).unwrap()).collect();
    let said: [&[u8]; 5] = [
        "{\"price\": \"7 \u{20ac}\"}".as_bytes(),
        b"?",
        "{\"price\": \"8 \u{20ac}\"}".as_bytes(),
        &[0, 0xff].repeat(500),
        b"what price?",
    ];
    assert_eq!(payloads, said);
    assert!(frames.iter().all(|(_, entry)| entry.is_archived() && !entry.has_findings()));
    assert_eq!(opened.sentences, ["compressed messages that were not inflated, and left out: 2"]);
}
