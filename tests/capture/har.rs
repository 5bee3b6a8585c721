//! HARs opened. Those beside this file are written by hand, in the shape in which the source code of each program writes
//! them; none was taken from a running one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use wsinspect::capture::filter::{Filter, Matcher};
use wsinspect::capture::{self, Capture, Cause, Note, Origin, Recording, SocketEnd, Vantage};
use wsinspect::formats::export::{Kind, Progress, Selection, write};
use wsinspect::lint::Limits;
use wsinspect::wire::{Header, Opcode, Side, frame};

use crate::support::{Recorded, Script, masked, plain};

const CHROME: &str = include_str!("har/chrome.har");
const FIREFOX: &str = include_str!("har/firefox.har");
const HTTP_TOOLKIT: &str = include_str!("har/http-toolkit.har");
const MITMPROXY: &str = include_str!("har/mitmproxy.har");

/// A HAR that was opened to its end.
pub(crate) struct Opened {
    pub(crate) capture: Arc<Capture>,
    pub(crate) sentences: Vec<String>,
    recording: Option<Recording>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(recording) = &self.recording {
            recording.remove_unless_kept();
        }
    }
}

#[track_caller]
pub(crate) fn open(har: impl AsRef<[u8]>) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.har");
    std::fs::write(&path, har).unwrap();
    let opened = capture::open(&path, Limits::default(), "a test").unwrap_or_else(|error| panic!("{error}"));
    let sentences = opened.reading.run(false, &AtomicBool::new(false));
    Opened { capture: opened.capture, sentences, recording: opened.recording }
}

/// What is printed of a capture as JSON.
fn events(capture: &Capture) -> Vec<Value> {
    let lines = String::from_utf8(exported(capture, Kind::JsonLines)).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn exported(capture: &Capture, kind: Kind) -> Vec<u8> {
    let mut out = Vec::new();
    write(capture, kind, &Selection::All, &Progress::default(), &mut out).unwrap();
    out
}

impl Opened {
    fn events(&self, kind: &str) -> Vec<Value> {
        events(&self.capture).into_iter().filter(|event| event["event"] == kind).collect()
    }

    /// Who sent each frame, when, its opcode and payload.
    fn messages(&self) -> Vec<(u64, String, f64, u64, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let row = |event: &Value| {
            let (conn, opcode) = (event["conn"].as_u64().unwrap(), event["opcode"].as_u64().unwrap());
            (conn, text(&event["from"]), event["time"].as_f64().unwrap(), opcode, text(&event["payload"]))
        };
        self.events("frame").iter().map(row).collect()
    }

    fn rules(&self) -> Vec<Value> {
        let events = events(&self.capture);
        let findings = events.iter().flat_map(|event| event["findings"].as_array().into_iter().flatten());
        findings.map(|finding| finding["rule"].clone()).collect()
    }

    fn matches(&self, expression: &str) -> Vec<u64> {
        let mut found = Vec::new();
        Matcher::of(Filter::parse(expression).unwrap()).look(&self.capture, u64::MAX, &mut found);
        found.sort_unstable();
        found
    }
}

fn message(conn: u64, from: &str, time: f64, opcode: u64, payload: &[u8]) -> (u64, String, f64, u64, String) {
    (conn, from.to_owned(), time, opcode, hex::encode(payload))
}

#[test]
fn of_chromes_messages_what_it_says_is_shown_and_what_it_cannot_know_is_null() {
    let opened = open(CHROME);
    assert_eq!((&opened.sentences[..], opened.rules()), (&[][..], Vec::new()));
    assert_eq!(
        opened.messages(),
        [
            message(1, "client", 1_763_632_801.203_4, 1, br#"{"op":"subscribe"}"#),
            message(1, "server", 1_763_632_801.207_112, 1, "price 12 €".as_bytes()),
            message(1, "server", 1_763_632_802.5, 2, &[0, 1, 2, 0xFD, 0xFE, 0xFF]),
        ]
    );
    let frame = &opened.events("frame")[1];
    let unknown = ["offset", "fin", "rsv", "masked", "masking_key", "length_form", "header", "compressed", "chunks"];
    for name in unknown {
        assert_eq!(frame.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!((&frame["length"], &frame["text"]), (&json!(12), &json!("price 12 €")));
    for name in ["fragments", "compressed", "wire_length"] {
        assert_eq!(opened.events("message")[1].get(name), Some(&Value::Null), "{name}");
    }
    let begun = &opened.events("open")[0];
    assert_eq!((&begun["client"], &begun["server"]), (&Value::Null, &Value::Null));
    assert_eq!((&begun["time"], &begun["target"]), (&json!(1_763_632_801.1), &json!("/chat?room=1")));
    assert_eq!(begun["request"]["headers"].as_array().unwrap().len(), 7);
    assert_eq!(begun["response"]["line"], "HTTP/1.1 101 Switching Protocols");
    let close = &opened.events("close")[0];
    assert_eq!(close["time"], 1_763_632_803.25);
    for name in ["code", "reason", "by", "clean", "how"] {
        assert_eq!(close.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!(close["verdict"], "The connection failed; the HAR says: Received unexpected continuation frame.");
}

#[test]
fn of_firefox_the_handshake_is_shown_and_that_there_is_no_message_is_said() {
    let opened = open(FIREFOX);
    assert_eq!(opened.sentences, ["WebSockets of which the HAR holds no message: 1"]);
    let begun = &opened.events("open")[0];
    assert_eq!((&begun["time"], &begun["server"]), (&json!(1_763_632_801.1), &json!("127.0.0.1:9002")));
    assert_eq!((opened.events("close").len(), opened.rules().len()), (0, 0), "it does not say how it ended");
}

#[test]
fn of_http_toolkit_the_close_code_is_shown_and_messages_of_two_connections_are_in_order() {
    let opened = open(HTTP_TOOLKIT);
    assert_eq!((&opened.sentences[..], opened.rules()), (&[][..], Vec::new()));
    assert_eq!(
        opened.messages(),
        [
            message(1, "client", 1_763_632_801.5, 1, b"hello"),
            message(2, "client", 1_763_632_801.75, 1, b"in between"),
            message(1, "server", 1_763_632_802.0, 2, &[0xFF, 0]),
        ]
    );
    let begun = opened.events("open");
    assert_eq!(begun[0]["subprotocol"], "chat");
    assert_eq!((&begun[1]["request"], &begun[1]["response"]), (&Value::Null, &Value::Null), "without headers");
    let close = opened.events("close");
    assert_eq!(
        (&close[0]["conn"], &close[0]["verdict"]),
        (&json!(2), &json!("The connection failed; the HAR says: aborted."))
    );
    assert_eq!((&close[1]["code"], &close[1]["reason"], &close[1]["by"]), (&json!(1001), &json!("bye"), &Value::Null));
    assert_eq!(close[1]["time"], 1_763_632_803.100_5, "its own time counts from elsewhere");
}

#[test]
fn of_mitmproxy_every_message_is_shown() {
    let opened = open(MITMPROXY);
    assert_eq!((&opened.sentences[..], opened.rules()), (&[][..], Vec::new()));
    assert_eq!(
        opened.messages(),
        [
            message(1, "client", 1_763_632_801.123_457, 1, "grüße 😀".as_bytes()),
            message(1, "server", 1_763_632_801.125, 2, &[]),
        ]
    );
    assert_eq!(opened.events("open")[0]["server"], "[::1]:9002");
}

/// Connections with fragments, control frames in between, long frames, broken rules, every way to end, and one that is cut.
fn session() -> Recorded {
    use Side::{Client, Server};
    let part =
        |opcode, fin, payload: &[u8]| frame(&Header::new(opcode, None, payload.len() as u64).with_fin(fin), payload);
    let user = || vec![Note { offset: 0, origin: Origin::User }];
    let (long, mut deflated) = (masked(Opcode::BINARY, &vec![7; 70_000]), plain(Opcode::TEXT, &[0xCA, 0x48, 0xCD]));
    deflated[0] |= 0x40;
    let deflating = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    Script::new()
        .connected(1)
        .chunk(1, Client, b"GET /old HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n\r\n")
        .chunk(1, Server, b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n\r\n")
        .closed(1, None)
        .seen_from(2, Vantage::End(Server))
        .opened(3)
        .chunk(2, Client, &masked(Opcode::TEXT, b"say \"hello\"\n"))
        .chunk(3, Client, &masked(Opcode::TEXT, b"elsewhere"))
        .chunk(2, Server, &part(Opcode::TEXT, false, "1 €".as_bytes().split_at(3).0))
        .noted_chunk(2, Server, &plain(Opcode::PING, b"hi!!"), user())
        .chunk(2, Server, &part(Opcode::CONTINUATION, true, "1 €".as_bytes().split_at(3).1))
        .chunk(2, Client, &masked(Opcode::PONG, b"hi!!"))
        .chunk(2, Client, &long[..1])
        .chunk(2, Client, &long[1..40_000])
        .chunk(2, Client, &long[40_000..])
        .chunk(2, Client, &plain(Opcode::TEXT, b"\xff\xfe"))
        .chunk(2, Client, &masked(Opcode::CLOSE, b"\x03\xe8bye"))
        .chunk(2, Server, &plain(Opcode::CLOSE, b"\x03\xe8bye"))
        .ended(2, Server, SocketEnd::Fin)
        .ended(2, Client, SocketEnd::Fin)
        .closed(2, None)
        .noted_chunk(3, Server, &plain(Opcode::TEXT, b"put in"), user())
        .ended(3, Client, SocketEnd::Reset)
        .closed(3, None)
        .connected(4)
        .chunk(4, Client, crate::support::REQUEST)
        .chunk(4, Server, deflating)
        .chunk(4, Server, &deflated)
        .chunk(4, Client, &[0x81, 0xFE, 0x01, 0x00, 1, 2, 3, 4, 5])
        .closed(4, Some(Cause::PingUnanswered))
        .opened(5)
        .chunk(5, Server, &part(Opcode::TEXT, false, b"goes on"))
        .record()
}

#[test]
fn our_own_export_opens_to_the_very_lines_that_the_recording_prints() {
    let recorded = session();
    let opened = open(exported(&recorded.capture, Kind::Har));
    assert_eq!(opened.sentences, [""; 0]);
    let (before, after) = (events(&recorded.capture), events(&opened.capture));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
    for n in 1..=recorded.capture.index().totals().frames {
        let bytes = |capture: &Capture| {
            let entry = capture.index().frame(n).unwrap();
            capture.frame_bytes(&entry, 0..u64::MAX).unwrap()
        };
        assert!(bytes(&recorded.capture) == bytes(&opened.capture), "frame {n}, byte for byte");
    }
    // and so it can become a capture file
    assert!(!exported(&opened.capture, Kind::Pcapng).is_empty());
}

#[test]
fn what_was_unknown_stays_unknown_when_it_is_exported_and_opened_once_more() {
    for har in [CHROME, FIREFOX, HTTP_TOOLKIT, MITMPROXY] {
        let first = open(har);
        let second = open(exported(&first.capture, Kind::Har));
        let (before, after) = (events(&first.capture), events(&second.capture));
        assert_eq!(before, after);
    }
}

#[test]
fn where_even_our_own_export_cannot_tell_all_frames_are_unknown() {
    use Side::Client;
    // frames that had to be searched for; the first one was not seen
    let text = |text: &str| masked(Opcode::TEXT, text.as_bytes());
    let script = Script::new().seen_from(1, Vantage::Late).chunk(1, Client, &[1, 2, 3]);
    let recorded = script.chunk(1, Client, &[text("one"), text("two")].concat()).record();
    assert_eq!(recorded.capture.index().totals().frames, 2);
    let opened = open(exported(&recorded.capture, Kind::Har));
    let frames = opened.events("frame");
    assert_eq!((&frames[1]["text"], &frames[1]["fin"], frames.len()), (&json!("two"), &Value::Null, 2));
}

#[test]
fn no_capture_file_is_made_of_what_was_never_seen_on_a_wire() {
    let opened = open(CHROME);
    let mut out = Vec::new();
    for selection in [Selection::All, Selection::Frames(vec![2])] {
        let error = write(&opened.capture, Kind::Pcapng, &selection, &Progress::default(), &mut out).unwrap_err();
        assert!(error.to_string().starts_with("a HAR does not say what was on the wire"), "{error}");
    }
    assert_eq!(out, b"");
    let text = String::from_utf8(exported(&opened.capture, Kind::Text)).unwrap();
    assert_eq!(text.matches('?').count(), 3 * 5 + 1, "FIN, RSV, the key; and a target: {text}");
}

#[test]
fn a_filter_on_what_is_unknown_matches_nothing_nor_does_its_opposite() {
    let opened = open(CHROME);
    let unknown = [
        "fin",
        "rsv == 0",
        "rsv != 0",
        "mask",
        "masking_key == 00:00:00:00",
        "fragments == 1",
        "fragments",
        "chunks < 9",
        "compressed == 0",
    ];
    for expression in unknown {
        assert_eq!(opened.matches(expression), [0; 0], "{expression}");
        assert_eq!(opened.matches(&format!("not ({expression})")), [0; 0], "not {expression}");
        assert_eq!(opened.matches(&format!("{expression} or opcode == binary")), [3], "{expression}");
    }
    assert_eq!(opened.matches("price and opcode == text"), [2]);
    assert_eq!(opened.matches("not opcode == text and payload_length == 6"), [3]);
}

/// A HAR with one WebSocket: its messages, its request's headers.
fn har(messages: &Value, headers: &Value) -> String {
    json!({"log": {"version": "1.2", "entries": [{
        "startedDateTime": "2025-11-20T10:00:01.100Z",
        "time": 1,
        "request": {"method": "GET", "url": "ws://a/", "httpVersion": "HTTP/1.1", "headers": headers},
        "response": {"status": 101, "statusText": "", "httpVersion": "", "headers": []},
        "_webSocketMessages": messages
    }]}})
    .to_string()
}

#[test]
fn what_is_known_is_judged_and_what_is_not_is_not() {
    let messages = json!([
        {"type": "receive", "time": 1.0, "opcode": 10, "data": "aGk="},
        {"type": "send", "time": 2.0, "opcode": 0, "data": ""},
        {"type": "send", "time": 3.0, "opcode": 3, "data": "aGk="},
        {"type": "send", "time": 4.0, "opcode": 8, "data": "A+4="},
        {"type": "send", "time": 5.0, "opcode": 1, "data": "after"},
    ]);
    let opened = open(har(
        &messages,
        &json!([{"name": "Host", "value": "a\r\nX: y"}, {"name": "Upgrade", "value": "websocket"}]),
    ));
    let rules = ["connection-missing", "key-missing", "version-not-13", "reserved-opcode", "close-code-forbidden"];
    let mut found = opened.rules();
    found.sort_by_key(|rule| rules.iter().position(|name| rule == name));
    assert_eq!(found, rules);
    assert_eq!(opened.events("frame")[2]["findings"][0]["at"], Value::Null, "where in a frame is not known");
    let headers = &opened.events("open")[0]["request"]["headers"];
    assert_eq!(headers[0], json!(["Host", "a  X: y"]), "no value makes a header of its own");
    assert_eq!(open(har(&messages, &json!([]))).rules().len(), 2, "no headers, no judgement on them");
}

#[test]
fn an_answer_opens_a_websocket_or_does_not_as_its_status_says() {
    let entry = |method: &str, version: &str, status: u64, messages: Option<Value>| {
        let headers = json!([{"name": ":path", "value": "/"}, {"name": "sec-websocket-version", "value": "13"}]);
        let mut entry = json!({
            "startedDateTime": "2025-11-20T10:00:01.100Z",
            "time": 250,
            "_resourceType": "websocket",
            "request": {"method": method, "url": "wss://a/", "httpVersion": version, "headers": headers},
            "response": {"status": status, "statusText": "", "httpVersion": version, "headers": [], "_error": "net::ERR_FAILED"},
        });
        if let Some(messages) = messages {
            entry["_webSocketMessages"] = messages;
        }
        open(json!({"log": {"entries": [entry]}}).to_string())
    };
    let messages = || Some(json!([{"type": "send", "time": 1_763_632_802.0, "opcode": 1, "data": "hi"}]));
    let kinds = |opened: &Opened| {
        let kinds = events(&opened.capture).into_iter().map(|event| event["event"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    let http2 = entry("CONNECT", "h2", 200, messages());
    assert_eq!(kinds(&http2), ["open", "frame", "message", "close"]);
    assert_eq!(http2.events("open")[0]["request"]["line"], "CONNECT / HTTP/2");
    assert_eq!(http2.rules(), [Value::Null; 0], "the rules are those of HTTP/1");
    assert_eq!(kinds(&entry("GET", "HTTP/1.1", 200, None)), ["refused"]);
    assert_eq!(kinds(&entry("GET", "HTTP/1.1", 0, messages())), ["open", "frame", "message", "close"]);
    let failed = entry("GET", "HTTP/1.1", 0, None);
    assert_eq!(kinds(&failed), ["refused"]);
    assert_eq!(failed.events("refused")[0]["reason"], "The HAR holds no answer; it says: net::ERR_FAILED.");
}

#[test]
fn what_is_no_message_is_counted_and_left_out() {
    let messages = json!([
        {"type": "send", "time": 1.0, "opcode": 1, "data": "one"},
        {"type": "sideways", "time": 1.0, "opcode": 1, "data": "no"},
        {"type": "send", "time": 1.0, "opcode": 16, "data": "no"},
        {"type": "send", "time": 1.0, "opcode": 1, "data": null},
        17,
        {"type": "receive", "time": "soon", "opcode": 2, "data": "no base64!"},
        {"type": "receive", "opcode": "2", "data": "AAE", "_wsinspect": {"frames": [{"fin": true}, null]}},
    ]);
    let opened = open(har(&messages, &json!(null)));
    assert_eq!(
        opened.sentences,
        [
            "messages without a direction, an opcode or data, and left out: 4",
            "messages whose data should be base64 and is not, and shown as it stands there: 1"
        ]
    );
    // those without a time have that of the one before
    let (one, other) = (message(1, "server", 1.0, 2, b"no base64!"), message(1, "server", 1.0, 2, &[0, 1]));
    assert_eq!(opened.messages(), [message(1, "client", 1.0, 1, b"one"), one, other]);
}

#[test]
fn a_har_that_is_cut_anywhere_opens_up_to_there_and_the_place_is_named() {
    let whole = open(CHROME).messages();
    let end = CHROME.trim_end().len();
    let mut most = 0;
    for cut in (40..end).step_by(97).chain([end - 1]) {
        let opened = open(&CHROME.as_bytes()[..cut]);
        let [damage] = &opened.sentences[..] else { panic!("{cut}: {:?}", opened.sentences) };
        let line = 1 + CHROME[..cut].matches('\n').count();
        let expected = format!("the HAR is cut short at line {line}, column ");
        assert!(damage.starts_with(&expected) && damage.ends_with("it is read up to there"), "{cut}: {damage}");
        let messages = opened.messages();
        assert_eq!(messages[..], whole[..messages.len()], "{cut}");
        assert!(messages.len() >= most, "{cut}: more of it tells no less");
        most = messages.len();
        assert_eq!(opened.rules(), [Value::Null; 0], "{cut}: half a head is not judged");
    }
    assert_eq!(most, whole.len());
}

#[test]
fn damage_inside_is_named_with_its_line_and_column_and_the_rest_is_there() {
    let damaged =
        CHROME.replace(r#"{"type": "receive", "time": 1763632802.5"#, r#"{"type": !receive", "time": 1763632802.5"#);
    let opened = open(&damaged);
    let line = damaged.lines().position(|line| line.contains('!')).unwrap() + 1;
    let damage = format!("the HAR is damaged at line {line}, column 20: expected value; it is read up to there");
    assert_eq!(opened.sentences, std::slice::from_ref(&damage));
    assert_eq!(opened.capture.index().damage(), Some(&*damage));
    assert_eq!((opened.messages().len(), opened.events("close").len()), (2, 0));
    let deep = har(&json!([{"type": "send", "time": 1, "opcode": 1, "data": "seen"}]), &json!([]));
    let deep = deep.replace("}],\"version\"", &format!(",\"_other\":{}", "[".repeat(1_000_000)));
    let opened = open(deep);
    assert!(opened.sentences[0].contains("more than 100 values stand within each other"), "{:?}", opened.sentences);
    assert_eq!(opened.messages().len(), 1);
}

#[test]
fn what_holds_no_websocket_or_is_no_har_is_said() {
    for (har, sentence) in [
        (r#"{"log":{"entries":[]}}"#, "the HAR holds no WebSocket: none of its 0 entries is one"),
        (
            r#" {"log":{"entries":[{"request":{"url":"http://a/"}},3]}}"#,
            "the HAR holds no WebSocket: none of its 2 entries is one",
        ),
        (r#"{"log":{"pages":[]}}"#, "this is no HAR: it has no log.entries"),
        ("\u{feff}{\n \"log\":[]}", "this is no HAR: it has no log.entries"),
    ] {
        assert_eq!(open(har).sentences, [sentence], "{har}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    std::fs::write(&path, r#"{"event":"open","log":{}}"#).unwrap();
    let error = capture::open(&path, Limits::default(), "a test").err().unwrap().to_string();
    assert!(error.ends_with("expected a pcapng or pcap capture or a HAR, found something else"), "{error}");
}
