//! Real clients: what they send and get, as the JSON tells it.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Lines, Program, have, node_modules, python, skip};

pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/clients");
/// A client starts slowly on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(2);
/// Above the longest payload but the one of 16 MiB, and above Chromium's longest fragment.
pub(crate) const LIMIT: usize = 140_000;

/// The server that the clients find. It compresses nothing, so that every byte of a message shows.
fn server() -> Program {
    Program::json(&["--subprotocol", "chat", "--payload-limit", &LIMIT.to_string(), "--deflate", "off"])
}

/// Runs a client to its end, which is a good one.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) {
    struct Running(Child);
    impl Drop for Running {
        fn drop(&mut self) {
            // it has ended if all went well
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let errors = Lines::follow(running.0.stderr.take().unwrap());
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = running.0.try_wait().unwrap() {
            assert!(status.success(), "{command:?}: {status}: {:#?}", errors.all());
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{command:?} still ran after {PATIENCE:?}");
}

/// Reads the frames of one connection, one after the other.
struct Frames<'a> {
    frames: std::slice::Iter<'a, Value>,
    offsets: [u64; 2],
}

impl Frames<'_> {
    /// The next frame, whose every field is consistent with itself, its direction and the bytes of its header.
    #[track_caller]
    fn next(&mut self, from: &str) -> Value {
        let frame = self.frames.next().expect("one more frame").clone();
        let client = from == "client";
        assert_eq!(frame["from"], from, "{frame:.300}");
        assert_eq!(frame["masked"], client);
        assert_eq!(frame["masking_key"].is_string(), client);
        assert_eq!(frame["origin"], if client { "peer" } else { "endpoint" });
        assert_eq!((&frame["edit"], &frame["compressed"], &frame["rsv"]), (&Value::Null, &json!(false), &json!(0)));
        assert_eq!(frame["findings"], json!([]));
        assert!(frame["chunks"].as_u64().unwrap() >= 1);
        assert_eq!(frame.get("complete"), None);
        let length = frame["length"].as_u64().unwrap();
        let form = if length < 126 {
            7
        } else if length < 65536 {
            16
        } else {
            64
        };
        assert_eq!(frame["length_form"], form);
        let header = hex::decode(frame["header"].as_str().unwrap()).unwrap();
        assert_eq!(header[0], u8::from(frame["fin"] == true) << 7 | frame["opcode"].as_u64().unwrap() as u8);
        assert_eq!(
            header.len(),
            2 + [(7, 0), (16, 2), (64, 8)].into_iter().find(|of| of.0 == form).unwrap().1 + 4 * usize::from(client)
        );
        if client {
            assert_eq!(hex::encode(&header[header.len() - 4..]), frame["masking_key"].as_str().unwrap());
        }
        let offset = &mut self.offsets[usize::from(client)];
        assert_eq!(frame["offset"], *offset);
        *offset += header.len() as u64 + length;
        let shown = frame["payload"].as_str().unwrap().len() / 2;
        assert_eq!(shown as u64, length.min(LIMIT as u64));
        assert_eq!(frame.get("truncated").is_some(), length > LIMIT as u64);
        frame
    }

    /// A message in one frame, and its echo.
    #[track_caller]
    fn echoed(&mut self, kind: &str, payload: &[u8]) {
        for from in ["client", "server"] {
            let frame = self.next(from);
            assert_eq!(
                (&frame["type"], &frame["fin"], &frame["length"]),
                (&json!(kind), &json!(true), &json!(payload.len()))
            );
            let shown = &payload[..payload.len().min(LIMIT)];
            assert!(frame["payload"].as_str().unwrap() == hex::encode(shown), "{from}: {kind} of {}", payload.len());
            let text = (kind == "text").then(|| std::str::from_utf8(payload).unwrap());
            assert!(frame["text"].as_str() == text, "{from}: text of {}", payload.len());
            assert_eq!(frame["close"], Value::Null);
        }
    }

    /// Text and binary of each length that the header writes in another way, and 16 MiB.
    #[track_caller]
    fn lengths(&mut self) {
        for length in [0, 125, 126, 65535, 65536] {
            let text = "é".repeat(length / 2) + &"a".repeat(length % 2);
            self.echoed("text", text.as_bytes());
            self.echoed("binary", &pattern(length));
        }
        self.large(&pattern(16 << 20));
    }

    /// A binary message in as many frames as the client likes, and its echo in one.
    #[track_caller]
    fn large(&mut self, payload: &[u8]) {
        for from in ["client", "server"] {
            let mut at = 0;
            loop {
                let frame = self.next(from);
                assert_eq!(frame["type"], if at == 0 { "binary" } else { "continuation" });
                let length = frame["length"].as_u64().unwrap() as usize;
                let shown = &payload[at..at + length.min(LIMIT)];
                assert!(frame["payload"].as_str().unwrap() == hex::encode(shown), "{from}: the fragment at {at}");
                assert!(frame["chunks"].as_u64().unwrap() > 1 || length < 1 << 20, "{from}: in one read");
                at += length;
                if frame["fin"] == true {
                    break;
                }
                assert_eq!(from, "client", "the server does not fragment");
            }
            assert_eq!(at, payload.len(), "{from}");
        }
    }

    #[track_caller]
    fn ping_and_fragments(&mut self) {
        for (from, kind) in [("client", "ping"), ("server", "pong")] {
            let frame = self.next(from);
            assert_eq!((&frame["type"], &frame["payload"]), (&json!(kind), &json!(hex::encode("are you there?"))));
        }
        let mut whole = String::new();
        for n in 0.. {
            let frame = self.next("client");
            assert_eq!(frame["type"], if n == 0 { "text" } else { "continuation" });
            whole += frame["text"].as_str().unwrap();
            if frame["fin"] == true {
                assert!(n >= 2, "at least three fragments");
                break;
            }
        }
        assert_eq!(whole, "one, two, three");
        assert_eq!(self.next("server")["text"], whole);
    }

    /// Both close frames, and nothing after them.
    #[track_caller]
    fn closed(&mut self, code: u16, reason: &str) {
        let frame = self.next("client");
        assert_eq!((&frame["type"], &frame["close"]), (&json!("close"), &json!({"code": code, "reason": reason})));
        assert_eq!(frame["text"], Value::Null);
        let frame = self.next("server");
        assert_eq!((&frame["type"], &frame["close"]), (&json!("close"), &json!({"code": code, "reason": ""})));
        assert_eq!(self.frames.next(), None);
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// The WebSockets of a session: opening, frames, close.
#[track_caller]
pub(crate) fn websockets(program: Program, count: usize) -> Vec<(Value, Vec<Value>, Value)> {
    // megabytes are printed before it
    program.stdout().wait_within(PATIENCE, "the last close", |lines| {
        (lines.iter().filter(|line| line.starts_with(r#"{"event":"close""#)).count() == count).then_some(())
    });
    let events = program.finish();
    let of = |kind, conn: &Value| -> Vec<Value> {
        events.iter().filter(|event| event["event"] == kind && event["conn"] == *conn).cloned().collect()
    };
    let opened: Vec<&Value> = events.iter().filter(|event| event["event"] == "open").collect();
    assert_eq!(opened.len(), count);
    opened
        .into_iter()
        .map(|open| (open.clone(), of("frame", &open["conn"]), of("close", &open["conn"]).remove(0)))
        .collect()
}

/// A session as every client holds it, with pings and fragments where the client's library lets it.
#[track_caller]
pub(crate) fn assert_session(
    (open, frames, close): &(Value, Vec<Value>, Value),
    subprotocol: Option<&str>,
    has_frames: bool,
) {
    assert_eq!((&open["subprotocol"], &open["extensions"]), (&json!(subprotocol), &Value::Null));
    assert_eq!(open["findings"], json!([]));
    assert_eq!(open["request"]["line"], format!("GET {} HTTP/1.1", open["target"].as_str().unwrap()));
    assert_eq!(open["response"]["line"], "HTTP/1.1 101 Switching Protocols");
    let mut frames = Frames { frames: frames.iter(), offsets: [0, 0] };
    frames.lengths();
    if has_frames {
        frames.ping_and_fragments();
    }
    frames.closed(4001, "done, thank you");
    assert_closed(close, 4001, "done, thank you");
}

#[track_caller]
fn assert_closed(close: &Value, code: u16, reason: &str) {
    assert_eq!((&close["code"], &close["reason"]), (&json!(code), &json!(reason)));
    assert_eq!((&close["by"], &close["clean"], &close["how"]), (&json!("client"), &json!(true), &json!("handshake")));
}

#[test]
fn pythons_websockets_is_shown_frame_by_frame() {
    let Some(python) = python() else {
        return skip("Python's websockets is shown", "a Python with the package websockets (WSINSPECT_PYTHON)");
    };
    let program = server();
    let url = format!("ws://{}/python?a=b", program.address());
    succeed(Command::new(python).arg(format!("{FOLDER}/client.py")).arg(url));
    assert_session(&websockets(program, 1)[0], Some("chat"), true);
}

#[test]
fn nodes_ws_is_shown_frame_by_frame() {
    let Some(modules) = node_modules() else {
        return skip("Node's ws is shown", "Node or a folder with ws (WSINSPECT_NODE_MODULES)");
    };
    let program = server();
    let url = format!("ws://{}/node", program.address());
    succeed(Command::new("node").env("NODE_PATH", modules).arg(format!("{FOLDER}/client.cjs")).arg(url));
    assert_session(&websockets(program, 1)[0], Some("chat"), true);
}

/// Runs a client with every way to offer compression, and with its default against a server that wants all it can.
#[track_caller]
fn compress(client: &dyn Fn() -> Command) {
    let program = Program::json(&["--payload-limit", "0"]);
    succeed(client().arg(format!("ws://{}/", program.address())));
    let sockets = websockets(program, 56);
    for (open, frames, close) in &sockets {
        assert_eq!((&open["findings"], &close["code"]), (&json!([]), &json!(1000)), "{open}");
        let agreed = open["extensions"].to_string();
        assert!(agreed.contains("server_max_window_bits") && agreed.contains("client_max_window_bits"), "{agreed}");
        assert!(frames.iter().all(|frame| frame["findings"] == json!([])), "{agreed}");
        let from_server = |frame: &&Value| frame["from"] == "server" && frame["type"] != "close";
        assert!(frames.iter().filter(from_server).all(|frame| frame["compressed"] == true), "{agreed}");
        assert!(frames.iter().any(|frame| frame["from"] == "client" && frame["compressed"] == true), "{agreed}");
    }
    let answers: BTreeSet<_> = sockets.iter().map(|(open, ..)| open["extensions"].to_string()).collect();
    // two windows of 12 are offered twice
    assert_eq!(answers.len(), 52, "each offer has an answer of its own");
    let all = ["--server-no-context-takeover", "--client-no-context-takeover", "--server-max-window-bits", "10"];
    let program = Program::json(&[&all[..], &["--client-max-window-bits", "11", "--payload-limit", "0"]].concat());
    succeed(client().args([&format!("ws://{}/", program.address()), "default"]));
    let (open, frames, _) = &websockets(program, 1)[0];
    assert_eq!(
        open["extensions"],
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
         client_max_window_bits=11"
    );
    assert!(frames.iter().all(|frame| frame["findings"] == json!([])), "{open}");
}

#[test]
fn pythons_websockets_and_the_server_compress_for_each_other_in_every_way() {
    let Some(python) = python() else {
        return skip("Python's websockets compresses", "a Python with the package websockets (WSINSPECT_PYTHON)");
    };
    compress(&|| {
        let mut command = Command::new(&python);
        command.arg(format!("{FOLDER}/deflate.py"));
        command
    });
}

#[test]
fn nodes_ws_and_the_server_compress_for_each_other_in_every_way() {
    let Some(modules) = node_modules() else {
        return skip("Node's ws compresses", "Node or a folder with ws (WSINSPECT_NODE_MODULES)");
    };
    compress(&|| {
        let mut command = Command::new("node");
        command.env("NODE_PATH", &modules).arg(format!("{FOLDER}/deflate.cjs"));
        command
    });
}

/// Chromium, and Node, which drives it.
pub(crate) fn chromium(test: &str) -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| have(name, "--version"));
    if found.is_none() {
        skip(test, "Chromium");
    } else if !have("node", "--version") {
        skip(test, "Node, which drives it");
        return None;
    }
    found
}

/// A session from the test page, and one from a script.
#[track_caller]
fn browse(chromium: &str, program: &Program) -> String {
    let profile = tempfile::tempdir().unwrap();
    let page = format!("http://{}/", program.address());
    let script = format!("{FOLDER}/browser.cjs");
    succeed(Command::new("node").args([script.as_str(), chromium]).arg(profile.path()).arg(&page));
    page
}

#[test]
fn chromium_and_the_server_compress_for_each_other() {
    let Some(chromium) = chromium("Chromium compresses") else { return };
    let program = Program::json(&["--subprotocol", "chat", "--payload-limit", "0"]);
    browse(chromium, &program);
    for (open, frames, close) in websockets(program, 2) {
        assert_eq!((&open["extensions"], &open["findings"]), (&json!("permessage-deflate"), &json!([])));
        for from in ["client", "server"] {
            let compressed = |frame: &Value| frame["from"] == from && frame["compressed"] == true;
            assert!(frames.iter().any(compressed), "{from}");
        }
        assert!(frames.iter().all(|frame| frame["findings"] == json!([])));
        assert_eq!(close["clean"], true);
    }
}

#[test]
fn chromium_is_shown_frame_by_frame_from_the_test_page_and_from_a_script() {
    let Some(chromium) = chromium("Chromium is shown") else { return };
    let program = server();
    let page = browse(chromium, &program);
    let origin = json!(["Origin", page.trim_end_matches('/')]);
    let sockets = websockets(program, 2);
    for (open, ..) in &sockets {
        assert!(open["request"]["headers"].as_array().unwrap().contains(&origin), "{open}");
    }
    let (_, frames, close) = &sockets[0];
    let mut frames = Frames { frames: frames.iter(), offsets: [0, 0] };
    let mut seen = Vec::new();
    for _ in 0..4 {
        let from = frames.frames.as_slice()[0]["from"].as_str().unwrap().to_owned();
        let frame = frames.next(&from);
        seen.push(format!("{from} {} {}", frame["type"].as_str().unwrap(), frame["payload"].as_str().unwrap()));
    }
    seen.sort();
    let text = hex::encode("from the page");
    assert_eq!(
        seen,
        [
            "client binary 00ff7f",
            &format!("client text {text}"),
            "server binary 00ff7f",
            &format!("server text {text}")
        ]
    );
    frames.closed(3999, "enough");
    assert_closed(close, 3999, "enough");
    assert_session(&sockets[1], Some("chat"), false);
}

#[test]
fn websocat_is_shown_frame_by_frame() {
    if !have("websocat", "--version") {
        // no package of the systems that CI runs on
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: websocat is not on the PATH\n");
        return;
    }
    let program = Program::json(&[]);
    let url = format!("ws://{}/", program.address());
    let mut child =
        Command::new("websocat").args(["-n1", &url]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), "héllo\n".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "héllo\n");
    let sockets = websockets(program, 1);
    let mut frames = Frames { frames: sockets[0].1.iter(), offsets: [0, 0] };
    frames.echoed("text", "héllo\n".as_bytes());
}
