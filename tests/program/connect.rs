//! `wsinspect connect` as scripts and people use it: standard input and output, the request, the screen.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use wsinspect::wire::{CloseBody, CloseCode, Opcode};

use crate::support::{Lines, Peer, Piped, Program, Server, eventually, node_modules, python, run, run_with, skip};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/clients");

fn url(program: &Program) -> String {
    format!("ws://{}/chat", program.address())
}

/// The program connected to `server`, with more arguments.
#[track_caller]
fn connected(server: &Server, arguments: &[&str]) -> (Piped, Peer) {
    let piped = Piped::start(&[&["connect", &server.url()], arguments].concat());
    let peer = server.open();
    (piped, peer)
}

/// Reads the client's Close, which has this code, answers it, and waits for a good end.
#[track_caller]
fn closes(mut piped: Piped, mut peer: Peer, code: u16) {
    assert_eq!(peer.read_close().0, Some(CloseCode(code)));
    peer.end(CloseCode(code));
    assert_eq!(piped.wait(), Some(0), "{:?}", piped.stderr.all());
    assert_eq!(piped.stderr.all(), [""; 0]);
}

#[test]
fn lines_of_standard_input_are_sent_and_their_echoes_printed_in_order() {
    let server = Program::serve(&[]);
    for arguments in [&[][..], &["--deflate", "off"], &["--headless"], &["--client-no-context-takeover"]] {
        let lines = (0..3000).map(|n| format!("line {n}, \u{20ac}\n")).collect::<Vec<_>>().concat();
        let output = run_with(&[&["connect", &url(&server)], arguments].concat(), lines.as_bytes(), &[]);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(output.stdout == lines, "{arguments:?}: {:.300}", output.stdout);
    }
    // a last line without a line break, and empty lines
    let output = run_with(&["connect", &url(&server)], b"\na\n\nb", &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "\na\n\nb\n"));
    let output = run_with(&["connect", &url(&server)], b"", &[]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn each_answer_is_printed_before_the_next_line_is_there() {
    let server = Program::serve(&[]);
    let mut piped = Piped::start(&["connect", &url(&server)]);
    let (mut stdin, mut stdout) = (piped.stdin.take().unwrap(), BufReader::new(piped.stdout.take().unwrap()));
    for n in 0..20 {
        writeln!(stdin, "question {n}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("question {n}\n"));
    }
    drop(stdin);
    assert_eq!(piped.wait(), Some(0));
}

/// A server of another library, which prints its port first.
struct Other {
    child: Child,
    port: String,
}

impl Other {
    #[track_caller]
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = Lines::follow(child.stdout.take().unwrap());
        let port = lines.wait("the port", |lines| lines.first().cloned());
        Self { child, port }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server of another library echoes is what was sent to it.
#[track_caller]
fn assert_echoes(server: &Other) {
    let url = format!("ws://127.0.0.1:{}/", server.port);
    let lines = (0..1000).map(|n| format!("line {n}, \u{20ac} {}\n", "x".repeat(n % 300))).collect::<Vec<_>>().concat();
    for arguments in [&[][..], &["--server-no-context-takeover", "--client-max-window-bits", "9"]] {
        // its programs are slow on a machine that is busy
        let patient = ["connect", &url, "--linger", "5s"];
        let output = run_with(&[&patient[..], arguments].concat(), lines.as_bytes(), &[]);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert!(output.stdout == lines, "{:.300}", output.stdout);
    }
    let large = "x".repeat(300_000);
    let output = run_with(&["connect", &url, "--one-message", "--linger", "5s"], large.as_bytes(), &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout == large + "\n");
}

#[test]
fn pythons_websockets_echoes() {
    let Some(python) = python() else {
        return skip("Python's websockets echoes", "a Python with the package websockets (WSINSPECT_PYTHON)");
    };
    assert_echoes(&Other::start(Command::new(python).arg(format!("{FOLDER}/deflate_server.py"))));
}

#[test]
fn nodes_ws_echoes() {
    let Some(modules) = node_modules() else {
        return skip("Node's ws echoes", "Node or a folder with ws (WSINSPECT_NODE_MODULES)");
    };
    let script = format!("{FOLDER}/deflate_server.cjs");
    assert_echoes(&Other::start(Command::new("node").env("NODE_PATH", modules).arg(script)));
}

#[test]
fn what_a_server_answers_is_waited_for_before_the_close_and_after_it() {
    let server = Server::bind();
    let (mut piped, mut peer) = connected(&server, &["--deflate", "off"]);
    let mut stdin = piped.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\n").unwrap();
    drop(stdin);
    assert_eq!([peer.read_text(), peer.read_text()], ["one", "two"]);
    let (header, ping) = peer.read_frame();
    assert_eq!(header.opcode, Opcode::PING);
    peer.message(Opcode::TEXT, b"to one");
    peer.message(Opcode::PONG, &ping);
    peer.message(Opcode::TEXT, b"to two");
    assert_eq!(peer.read_close(), (Some(CloseCode::NORMAL), String::new()));
    peer.message(Opcode::TEXT, b"a late one");
    let stdout = piped.lines();
    peer.end(CloseCode::NORMAL);
    assert_eq!(piped.wait(), Some(0));
    assert_eq!(stdout.all(), ["to one", "to two", "a late one"]);
    assert_eq!(piped.stderr.all(), [""; 0]);
}

#[test]
fn it_stays_after_the_end_of_standard_input_if_asked() {
    let server = Server::bind();
    let (mut piped, mut peer) = connected(&server, &["--no-close", "--reply", "echo", "--deflate", "off"]);
    piped.stdin = None;
    let stdout = piped.lines();
    for text in ["a", "b"] {
        peer.message(Opcode::TEXT, text.as_bytes());
        assert_eq!(peer.read_text(), text, "it is answered with itself");
    }
    stdout.wait("both messages", |lines| (lines == ["a", "b"]).then_some(()));
    peer.message(Opcode::CLOSE, &CloseBody::encode(CloseCode::NORMAL, ""));
    assert_eq!(peer.read_close().0, Some(CloseCode::NORMAL));
    peer.hang_up();
    assert_eq!(piped.wait(), Some(0));
}

#[test]
fn a_reader_that_has_read_enough_ends_it_without_a_complaint() {
    let server = Server::bind();
    let (mut piped, mut peer) = connected(&server, &[]);
    peer.message(Opcode::TEXT, b"first");
    let mut stdout = BufReader::new(piped.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    drop(stdout);
    // it is noticed when there is more to print
    peer.message(Opcode::TEXT, b"one too many");
    closes(piped, peer, 1001);
}

#[test]
fn a_signal_closes_with_the_closing_handshake() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::bind();
        let (piped, mut peer) = connected(&server, &[]);
        peer.message(Opcode::PING, b"are you there?");
        assert_eq!(peer.read_frame().0.opcode, Opcode::PONG);
        piped.signal(signal);
        closes(piped, peer, 1001);
    }
}

#[test]
fn bytes_go_both_ways_as_they_are() {
    let server = Server::bind();
    let (mut piped, mut peer) = connected(&server, &["--binary", "--one-message", "--deflate", "off"]);
    let bytes: Vec<u8> = (0..=255).collect();
    let mut stdin = piped.stdin.take().unwrap();
    stdin.write_all(&bytes).unwrap();
    drop(stdin);
    let (header, payload) = peer.read_frame();
    assert_eq!((header.opcode, &payload), (Opcode::BINARY, &bytes));
    peer.message(Opcode::BINARY, &bytes);
    peer.message(Opcode::BINARY, b"\n");
    assert_eq!(peer.read_close().0, Some(CloseCode::NORMAL));
    peer.end(CloseCode::NORMAL);
    let mut came = Vec::new();
    piped.stdout.take().unwrap().read_to_end(&mut came).unwrap();
    assert!(came == [&bytes[..], b"\n"].concat());
    assert_eq!(piped.wait(), Some(0));

    // lines are messages unless all is one; what is binary among text is a line of hex
    let server = Program::serve(&[]);
    let output = run_with(&["connect", &url(&server), "--binary"], b"a\nb", &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "ab\n"), "the last line break is of the test's reader");
    let server = Server::bind();
    let (mut piped, mut peer) = connected(&server, &[]);
    let stdout = piped.lines();
    peer.message(Opcode::BINARY, b"\x00\xff");
    peer.message(Opcode::TEXT, b"text");
    stdout.wait("both", |lines| (lines == ["00ff", "text"]).then_some(()));
    piped.stdin = None;
    closes(piped, peer, 1000);
}

#[test]
fn all_of_standard_input_can_be_one_message() {
    let server = Program::serve(&[]);
    let output = run_with(&["connect", &url(&server), "--one-message"], b"a\nb\n", &[]);
    // as it was, and the line break that each text gets
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "a\nb\n\n"));
}

#[test]
fn frames_are_printed_instead_where_a_format_is_asked_for() {
    let server = Program::serve(&[]);
    let output = run_with(&["connect", &url(&server), "--format", "json"], b"a\na\n", &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let events: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let open = &events[0];
    assert_eq!((&open["event"], &open["extensions"]), (&"open".into(), &"permessage-deflate".into()));
    assert!(open["findings"].as_array().unwrap().is_empty(), "{open}");
    let from = |side: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["event"] == "frame" && event["from"] == side).collect()
    };
    let (ours, theirs) = (from("client"), from("server"));
    let summary = |frames: &[&Value]| -> Vec<(String, String, bool)> {
        let text = |frame: &Value, key: &str| frame[key].as_str().unwrap().to_owned();
        frames.iter().map(|frame| (text(frame, "type"), text(frame, "origin"), frame["masked"] == true)).collect()
    };
    let row = |kind: &str, origin: &str, masked| (kind.to_owned(), origin.to_owned(), masked);
    let ours_expected = [
        row("text", "user", true),
        row("text", "user", true),
        row("ping", "endpoint", true),
        row("close", "endpoint", true),
    ];
    assert_eq!(summary(&ours), ours_expected);
    let theirs_expected = ["text", "text", "pong", "close"].map(|kind| row(kind, "peer", false));
    assert_eq!(summary(&theirs), theirs_expected);
    assert_ne!(ours[0]["masking_key"], ours[1]["masking_key"]);
    assert!(events.iter().all(|event| event["findings"].as_array().is_none_or(Vec::is_empty)), "{}", output.stdout);
    let close = events.last().unwrap();
    assert_eq!((&close["by"], &close["clean"], &close["code"]), (&"wsinspect".into(), &true.into(), &1000.into()));

    let output = run_with(&["connect", &url(&server), "--format", "text", "-Y", "from == server"], b"one\n", &[]);
    assert!(output.stdout.contains("\"one\"") && !output.stdout.contains("──▶"), "{}", output.stdout);
    let output = run_with(&["connect", &url(&server), "-Y", "payload contains two"], b"one\ntwo\nthree\n", &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "two\n"));
}

#[test]
fn the_request_says_what_it_is_told_to() {
    let server = Server::bind();
    let arguments = [
        "-H",
        "X-One: 1",
        "-H",
        "Host: elsewhere",
        "--subprotocol",
        "v2.chat",
        "--subprotocol",
        "chat",
        "--origin",
        "http://localhost:8080",
        "--basic-auth",
        "me:se:cret",
        "--server-max-window-bits",
        "10",
        "--client-max-window-bits",
        "9",
        "--server-no-context-takeover",
        "--client-no-context-takeover",
    ];
    let mut piped = Piped::start(&[&["connect", &server.url()], &arguments[..]].concat());
    let mut peer = server.accept();
    assert!(peer.request.starts_with("GET /chat HTTP/1.1\r\n"), "{}", peer.request);
    for (name, value) in [
        ("X-One", "1"),
        ("Host", "elsewhere"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "v2.chat, chat"),
        ("Origin", "http://localhost:8080"),
        ("Authorization", "Basic bWU6c2U6Y3JldA=="),
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(peer.header(name), Some(value), "{}", peer.request);
    }
    let answer = peer.acceptance(
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
         server_max_window_bits=9\r\n",
    );
    peer.send(answer.as_bytes());
    piped.stdin = None;
    closes(piped, peer, 1000);

    let server = Server::bind();
    let (mut piped, peer) = connected(&server, &["--deflate", "off"]);
    assert_eq!(peer.header("Sec-WebSocket-Extensions"), None);
    assert_eq!(peer.header("Host"), Some(server.address().to_string().as_str()));
    piped.stdin = None;
    closes(piped, peer, 1000);
}

#[test]
fn each_connection_has_a_key_of_its_own() {
    let server = Server::bind();
    let keys = [(); 2].map(|()| {
        let (mut piped, peer) = connected(&server, &[]);
        let key = peer.header("Sec-WebSocket-Key").unwrap().to_owned();
        piped.stdin = None;
        closes(piped, peer, 1000);
        key
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn standard_input_waits_for_a_server_that_does_not_read() {
    const LINE: usize = 1000;
    const LINES: usize = 64 << 10;
    let server = Server::bind();
    let (mut piped, mut peer) = connected(&server, &["--deflate", "off"]);
    let written = Arc::new(AtomicUsize::new(0));
    let (counter, mut stdin) = (written.clone(), piped.stdin.take().unwrap());
    let writer = std::thread::spawn(move || {
        for n in 0..LINES {
            stdin.write_all(format!("{n:0>999}\n").as_bytes()).unwrap();
            counter.store(n, Ordering::Relaxed);
        }
    });
    // it gets going, and comes to a stop
    let (mut last, mut since) = (0, Instant::now());
    eventually("standard input to wait", || {
        let now = written.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (now > 0 && since.elapsed() >= Duration::from_millis(500)).then_some(())
    });
    // 4 MiB in our program, and what the system's buffers take
    assert!(last * LINE < 48 << 20, "{last} lines were taken");
    for n in 0..LINES {
        assert_eq!(peer.read_text(), format!("{n:0>999}"));
    }
    writer.join().unwrap();
    closes(piped, peer, 1000);
}

#[test]
fn a_recording_opens_to_what_was_seen() {
    let server = Program::serve(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let file = file.to_str().unwrap();
    let live = run_with(&["connect", &url(&server), "--format", "json", "--record", file], b"one\ntwo\n", &[]);
    assert_eq!(live.code, Some(0), "{}", live.stderr);
    let opened = run(&["open", file, "--format", "json"]);
    assert_eq!(opened.stdout, live.stdout);
}
