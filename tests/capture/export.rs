//! What leaves a capture.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use serde_json::Value;
use wsinspect::capture::filter::{Filter, Sieve};
use wsinspect::capture::{Capture, ConnectionId, Item, Note, Origin, SocketEnd};
use wsinspect::formats::export::{Kind, Progress, Selection, Stop, sifted, to_file, write};
use wsinspect::formats::jsonl;
use wsinspect::wire::{Header, Opcode, Side, frame};

use crate::support::{Feed, RESPONSE, Recorded, Script, masked, plain};

/// Two connections with a little of everything, and a page and a refusal beside them.
fn recorded() -> Recorded {
    use Side::{Client, Server};
    let big = "ä€x".repeat(400_000);
    let part =
        |opcode, fin, payload: &[u8]| frame(&Header::new(opcode, None, payload.len() as u64).with_fin(fin), payload);
    Script::new()
        .connected(1)
        .chunk(1, Client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .chunk(1, Server, b"HTTP/1.1 200 OK\r\n\r\npage")
        .closed(1, None)
        .connected(2)
        .chunk(2, Client, b"GET /old HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n\r\n")
        .chunk(2, Server, b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n\r\n")
        .closed(2, None)
        .connected(3)
        .chunk(
            3,
            Client,
            b"GET /chat?room=1&name=x HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nCookie: a=b; c=d\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .chunk(3, Server, RESPONSE)
        .opened(4)
        .chunk(3, Client, &masked(Opcode::TEXT, b"say \"hello\"\n"))
        .chunk(4, Client, &masked(Opcode::TEXT, b"elsewhere"))
        .chunk(3, Server, &part(Opcode::TEXT, false, "1 \u{20ac}".as_bytes().split_at(3).0))
        .noted_chunk(3, Server, &plain(Opcode::PING, b"hi!!"), vec![Note { offset: 0, origin: Origin::User }])
        .chunk(3, Server, &part(Opcode::CONTINUATION, true, "1 \u{20ac}".as_bytes().split_at(3).1))
        .chunk(3, Client, &masked(Opcode::PONG, b"hi!!"))
        .chunk(3, Client, &plain(Opcode::TEXT, b"\xff\xfe"))
        .chunk(3, Server, &plain(Opcode::BINARY, &[0, 1, 2, 253, 254, 255, 7]))
        .chunk(3, Server, &plain(Opcode::TEXT, big.as_bytes()))
        .chunk(3, Client, &masked(Opcode::CLOSE, b"\x03\xe8bye"))
        .chunk(3, Server, &plain(Opcode::CLOSE, b"\x03\xe8bye"))
        .ended(3, Server, SocketEnd::Fin)
        .ended(3, Client, SocketEnd::Fin)
        .closed(3, None)
        .chunk(4, Server, &part(Opcode::TEXT, false, b"goes on"))
        .record()
}

fn exported(capture: &Capture, kind: Kind, selection: &Selection) -> Vec<u8> {
    let mut out = Vec::new();
    write(capture, kind, selection, &Progress::default(), &mut out).unwrap();
    out
}

/// The frames of connection 3.
fn of_connection(recorded: &Recorded, id: u32) -> Selection {
    let index = recorded.capture.index();
    let numbers = 1..=index.totals().frames;
    Selection::Frames(numbers.filter(|n| index.frame(*n).unwrap().connection() == ConnectionId(id)).collect())
}

type Check = fn(&Value) -> bool;

/// What Chrome's importer demands of an object: fields with their kinds.
#[track_caller]
fn assert_fields(object: &Value, what: &str, fields: &[(&str, Check)]) {
    for (name, is_right) in fields {
        let value = &object[*name];
        assert!(is_right(value), "{what}.{name} is {value:.100}");
    }
}

/// The rules of the HAR importer of Chrome's developer tools (its HARFormat and its Importer).
#[track_caller]
fn assert_importable(har: &Value) {
    let is_date = |value: &Value| value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok());
    let pairs = |value: &Value| {
        value
            .as_array()
            .is_some_and(|pairs| pairs.iter().all(|pair| pair["name"].is_string() && pair["value"].is_string()))
    };
    let log = &har["log"];
    assert_eq!((&log["version"], log["pages"].is_array()), (&"1.2".into(), true));
    assert_fields(&log["creator"], "creator", &[("name", Value::is_string), ("version", Value::is_string)]);
    for entry in log["entries"].as_array().unwrap() {
        assert_fields(
            entry,
            "entry",
            &[
                ("startedDateTime", is_date),
                ("time", Value::is_number),
                ("cache", Value::is_object),
                ("connection", Value::is_string),
                ("serverIPAddress", Value::is_string),
            ],
        );
        assert_fields(
            &entry["timings"],
            "timings",
            &["blocked", "dns", "connect", "ssl", "send", "wait", "receive"]
                .map(|name| (name, Value::is_number as Check)),
        );
        assert_fields(
            &entry["request"],
            "request",
            &[
                ("method", Value::is_string),
                ("url", Value::is_string),
                ("httpVersion", Value::is_string),
                ("headers", pairs),
                ("queryString", pairs),
                ("cookies", pairs),
                ("headersSize", Value::is_i64),
                ("bodySize", Value::is_i64),
            ],
        );
        assert_fields(
            &entry["response"],
            "response",
            &[
                ("status", Value::is_u64),
                ("statusText", Value::is_string),
                ("httpVersion", Value::is_string),
                ("headers", pairs),
                ("cookies", pairs),
                ("redirectURL", Value::is_string),
                ("headersSize", Value::is_i64),
                ("bodySize", Value::is_i64),
            ],
        );
        let content = &entry["response"]["content"];
        assert_fields(content, "content", &[("size", Value::is_u64), ("mimeType", Value::is_string)]);
        let timings = ["send", "wait", "receive"].map(|name| entry["timings"][name].as_f64().unwrap());
        assert!(
            (timings.iter().sum::<f64>() - entry["time"].as_f64().unwrap()).abs() < 0.001,
            "HAR 1.2: the sum of all"
        );
        assert_eq!(entry["_resourceType"], "websocket");
        for message in entry["_webSocketMessages"].as_array().unwrap() {
            assert!(["send", "receive"].contains(&message["type"].as_str().unwrap()));
            let kinds: [(&str, Check); 3] =
                [("time", Value::is_f64), ("opcode", Value::is_u64), ("data", Value::is_string)];
            assert_fields(message, "message", &kinds);
        }
    }
}

/// What a message of a HAR holds: type, opcode, payload.
fn har_message(message: &Value) -> (&str, u64, Vec<u8>) {
    let data = message["data"].as_str().unwrap();
    let payload = match message["_wsinspect"]["data"].as_str().unwrap() {
        "text" => data.as_bytes().to_vec(),
        _ => base64::engine::general_purpose::STANDARD.decode(data).unwrap(),
    };
    (message["type"].as_str().unwrap(), message["opcode"].as_u64().unwrap(), payload)
}

#[test]
fn a_har_is_one_that_chrome_imports_with_an_entry_a_connection_and_every_message() {
    let recorded = recorded();
    let har: Value = serde_json::from_slice(&exported(&recorded.capture, Kind::Har, &Selection::All)).unwrap();
    assert_importable(&har);
    let entries = har["log"]["entries"].as_array().unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry["request"]["url"].as_str().unwrap(), entry["response"]["status"].as_u64().unwrap()))
        .collect();
    let chat = "ws://server.example.com/chat";
    assert_eq!(seen, [("ws://a/old", 426), (&*format!("{chat}?room=1&name=x"), 101), (chat, 101)]);
    let entry = &entries[1];
    assert_eq!(entry["request"]["queryString"][1]["name"], "name");
    assert_eq!(entry["request"]["cookies"][1]["value"], "d");
    assert_eq!(entry["response"]["statusText"], "Switching Protocols");
    assert_eq!(entry["_wsinspect"]["close"]["code"], 1000);
    let messages = entry["_webSocketMessages"].as_array().unwrap();
    let big = "ä€x".repeat(400_000);
    let expected: Vec<(&str, u64, &[u8])> = vec![
        ("send", 1, b"say \"hello\"\n"),
        ("receive", 9, b"hi!!"),
        ("receive", 1, "1 €".as_bytes()),
        ("send", 10, b"hi!!"),
        ("send", 1, b"\xff\xfe"),
        ("receive", 2, &[0, 1, 2, 253, 254, 255, 7]),
        ("receive", 1, big.as_bytes()),
        ("send", 8, b"\x03\xe8bye"),
        ("receive", 8, b"\x03\xe8bye"),
    ];
    let found: Vec<_> = messages.iter().map(har_message).collect();
    assert!(found.iter().map(|(side, opcode, data)| (*side, *opcode, &data[..])).eq(expected), "{:?}", found.len());
    let extras = |n: usize| &messages[n]["_wsinspect"];
    assert_eq!(extras(2)["frames"].as_array().unwrap().len(), 2, "fragments");
    assert_eq!(extras(1)["frames"][0]["origin"], "user");
    assert_eq!(extras(4)["frames"][0]["findings"][0]["rule"], "unmasked-client-frame");
    let unfinished = &entries[2]["_webSocketMessages"][1];
    assert_eq!((&unfinished["_wsinspect"]["complete"], &unfinished["data"]), (&false.into(), &"goes on".into()));
}

#[test]
fn of_a_har_of_some_frames_the_others_are_not_in_it() {
    let recorded = recorded();
    let selection = Selection::Frames(vec![3]);
    let har: Value = serde_json::from_slice(&exported(&recorded.capture, Kind::Har, &selection)).unwrap();
    assert_importable(&har);
    let entries = har["log"]["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["_wsinspect"]["conn"]), (1, &Value::from(3)));
    let messages = entries[0]["_webSocketMessages"].as_array().unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(har_message(&messages[0]).2, "1 €".as_bytes(), "a message of which a fragment is chosen is whole");
}

#[test]
fn all_as_pcapng_is_the_recording_itself() {
    let recorded = recorded();
    assert!(exported(&recorded.capture, Kind::Pcapng, &Selection::All) == std::fs::read(&recorded.path).unwrap());
}

#[test]
fn chosen_frames_as_pcapng_are_a_sound_conversation_of_those_alone() {
    let recorded = recorded();
    let file = exported(&recorded.capture, Kind::Pcapng, &of_connection(&recorded, 3));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chosen.pcapng");
    std::fs::write(&path, &file).unwrap();
    let tshark = |filter: &str, fields: &[&str]| {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&path).args(["-d", "tcp.port==9002,http", "-Y", filter, "-T", "fields"]);
        command.args(fields.iter().flat_map(|field| ["-e", field])).output().ok().map(|output| {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        })
    };
    let Some(complaints) = tshark("_ws.malformed || tcp.analysis.flags", &["frame.number"]) else {
        assert!(std::env::var_os("WSINSPECT_CI").is_none_or(|value| value != "1"), "tshark is missing here");
        eprintln!("SKIPPED: chosen frames as pcapng: tshark is missing here");
        return;
    };
    assert_eq!(complaints, "");
    let opcodes = tshark("websocket", &["tcp.srcport", "websocket.opcode"]).unwrap();
    let lines: Vec<_> = opcodes.lines().collect();
    let expected = [
        "50003\t1",
        "9002\t1",
        "9002\t9",
        "9002\t0",
        "50003\t10",
        "50003\t1",
        "9002\t2",
        "9002\t1",
        "50003\t8",
        "9002\t8",
    ];
    assert_eq!(lines, expected);
    let times = tshark("websocket", &["frame.time_epoch"]).unwrap();
    let entry = recorded.capture.index().frame(1).unwrap();
    let first: f64 = times.lines().next().unwrap().parse().unwrap();
    assert!((first - entry.time().seconds()).abs() < 1e-6);
    assert_eq!(tshark("tcp.flags.fin == 1", &["tcp.stream"]).unwrap().lines().count(), 2);
}

#[test]
fn json_lines_are_those_that_are_printed() {
    let recorded = recorded();
    let lines = exported(&recorded.capture, Kind::JsonLines, &Selection::All);
    let mut printed = Vec::new();
    let mut writer = jsonl::JsonLines::new(jsonl::Options { payload_limit: 64 << 20, messages: true });
    for item in recorded.items() {
        writer.write(&mut printed, &recorded.capture, &item).unwrap();
    }
    assert!(lines == printed);
    let some = exported(&recorded.capture, Kind::JsonLines, &Selection::Frames(vec![5]));
    let events: Vec<Value> = some
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["open", "frame", "message", "close"]);
    assert_eq!(events[2]["text"], "1 €", "of the last fragment the message is whole");
}

#[test]
fn text_has_a_line_for_each_thing_that_was_chosen() {
    let recorded = recorded();
    let lines = |selection| String::from_utf8(exported(&recorded.capture, Kind::Text, &selection)).unwrap();
    assert_eq!(lines(Selection::All).lines().count(), recorded.items().len());
    let frames = recorded
        .items()
        .iter()
        .filter(|item| matches!(item, Item::Frame(_, entry, _) if entry.connection() == ConnectionId(3)))
        .count();
    assert_eq!(lines(of_connection(&recorded, 3)).lines().count(), frames + 2);
}

#[test]
fn the_payload_of_a_message_is_its_fragments_unmasked_and_joined_whichever_was_chosen() {
    let recorded = recorded();
    let payload = |numbers: &[u64]| {
        let mut out = Vec::new();
        write(&recorded.capture, Kind::Payload, &Selection::Frames(numbers.to_vec()), &Progress::default(), &mut out)
            .map(|_| out)
    };
    for numbers in [&[3][..], &[5], &[3, 5]] {
        assert_eq!(payload(numbers).unwrap(), "1 €".as_bytes(), "{numbers:?}");
    }
    assert_eq!(payload(&[4]).unwrap(), b"hi!!", "a ping between them is a payload of its own");
    assert_eq!(payload(&[1]).unwrap(), b"say \"hello\"\n");
    assert!(payload(&[9]).unwrap() == "ä€x".repeat(400_000).as_bytes());
    assert_eq!(payload(&[12]).unwrap(), b"goes on", "what is unfinished, as far as it has come");
    assert!(payload(&[1, 2]).unwrap_err().to_string().contains("one message"));
    assert!(payload(&[]).is_err());
}

#[test]
fn a_file_appears_when_it_is_whole_for_its_owner_alone_and_replaces_none_unasked() {
    let recorded = recorded();
    let folder = tempfile::tempdir().unwrap();
    let names =
        || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let path = folder.path().join("chat.har");
    let export = |path: &Path, force| {
        to_file(&recorded.capture, path, Kind::Har, |_| Ok(Selection::All), &Progress::default(), force)
    };
    assert_eq!(export(&path, false).unwrap(), 12);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, "mine").unwrap();
    let error = export(&path, false).unwrap_err();
    assert!(error.is_taken() && error.to_string().ends_with("exists already; choose another name"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    export(&path, true).unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(b"{\"log\""));
    assert!(export(&folder.path().join("no/such.har"), false).unwrap_err().to_string().contains("no such folder"));
    let cancelled = Progress::default();
    cancelled.cancel();
    let other = folder.path().join("other.har");
    let error = to_file(&recorded.capture, &other, Kind::Har, |_| Ok(Selection::All), &cancelled, false).unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(names(), ["chat.har"], "nothing else is left behind");
}

#[test]
fn marks_go_along_with_chosen_frames_under_their_new_numbers() {
    let mut feed = Feed::unnamed();
    let text = |text: &[u8]| masked(Opcode::TEXT, text);
    feed.feed(Script::new().opened(1).chunk(1, Side::Client, &[text(b"a"), text(b"bc"), text(b"def")].concat()), 3);
    feed.mark(3, Some("odd"));
    let recorded = feed.done();
    let file = exported(&recorded.capture, Kind::Pcapng, &Selection::Frames(vec![2, 3]));
    assert!(String::from_utf8_lossy(&file).contains("wsinspect: mark frame=2 text=odd"));
    let har = exported(&recorded.capture, Kind::Har, &Selection::All);
    assert!(String::from_utf8_lossy(&har).contains("\"mark\":\"odd\""));
}

#[test]
fn a_kind_is_known_by_the_suffix_or_by_its_name() {
    for (name, kind) in [
        ("a.pcapng", Kind::Pcapng),
        ("b.HAR", Kind::Har),
        ("c.jsonl", Kind::JsonLines),
        ("c.json", Kind::JsonLines),
        ("d.txt", Kind::Text),
        ("e.bin", Kind::Payload),
    ] {
        assert_eq!(Kind::of_path(Path::new(name)), Some(kind));
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert_eq!(Kind::of_path(Path::new("capture.pcap")), None);
    assert!("xml".parse::<Kind>().unwrap_err().contains("pcapng, har, jsonl, text, payload"));
}

#[test]
fn what_a_filter_lets_through_is_known_once_it_has_looked_at_all_that_was_asked_for() {
    let mut live = crate::support::Live::new();
    let sieve = Sieve::start(live.capture.clone(), Some(Filter::parse("opcode == ping").unwrap())).unwrap();
    live.frame(Opcode::PING, true, b"hidden");
    live.frame(Opcode::PING, true, b"");
    live.frame(Opcode::TEXT, true, b"");
    live.wait(3);
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sifted(&sieve, 1, 5, &progress));
        // as far as there is anything to look at
        while progress.so_far() != (3, 5) {
            std::thread::yield_now();
        }
        assert!(progress.is_filtering() && !waiting.is_finished());
        (0..3).for_each(|_| live.frame(Opcode::PING, true, b""));
        assert_eq!(waiting.join().unwrap().unwrap(), Selection::Frames(vec![2, 4, 5]));
    });
    assert!(!progress.is_filtering());
    progress.cancel();
    assert!(matches!(sifted(&sieve, 1, 100, &progress), Err(Stop::Cancelled)));
}
