//! `wsinspect open`: recordings and captures shown again.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use wsinspect::wire::{CloseCode, Opcode};

use crate::support::{
    Client, Lines, Output, PATIENCE, Program, Terminal, eventually, exchange, have, masked, request, run, run_with,
    skip,
};

fn open(file: &Path, arguments: &[&str]) -> Output {
    run(&[&["open", file.to_str().unwrap()], arguments].concat())
}

/// A session with all kinds of frames, endings and findings; the lines that were printed live.
fn session(file: &Path) -> String {
    let arguments = ["--record", file.to_str().unwrap(), "--messages", "--ping-interval", "300ms", "--no-auto-pong"];
    let mut program = Program::json(&arguments);
    let mut first = Client::open(program.address());
    first.echoes("Hello");
    first.message(Opcode::BINARY, &vec![7; 200_000]);
    first.send_frame(&masked(Opcode::TEXT, 2).with_fin(false), b"ab");
    first.message(Opcode::PING, b"hm");
    first.send_frame(&masked(Opcode::CONTINUATION, 1), b"c");
    let mut broken = Client::open(program.address());
    broken.message(Opcode::TEXT, b"\xff");
    broken.read_to_end();
    let mut cut = Client::open(program.address());
    cut.send(&[0x81, 0xFE, 0x01, 0x00, 1, 2, 3, 4, 5]);
    drop(cut);
    exchange(program.address(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange(program.address(), request("").replace("13", "12").as_bytes());
    // it answers no ping and is given up
    program.close_event(1);
    drop(first);
    let last = Client::open(program.address());
    program.event("the last one", |event| event["event"] == "open" && event["conn"] == 6);
    program.signal(Signal::TERM);
    assert_eq!(program.wait(PATIENCE).code(), Some(0));
    drop(last);
    program.stdout().all().iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[track_caller]
fn assert_same(live: &str, opened: &str) {
    for (live, opened) in live.lines().zip(opened.lines()) {
        assert!(live == opened, "live:   {live:.400}\nopened: {opened:.400}");
    }
    assert_eq!(live.len(), opened.len());
}

#[test]
fn a_recording_prints_the_lines_that_were_printed_live_from_a_file_a_pipe_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let live = session(&file);
    let kinds =
        ["\"open\"", "\"refused\"", "\"close\"", "\"timeout\"", "\"fin\"", "\"endpoint\"", "\"complete\":false"];
    for kind in kinds {
        assert!(live.contains(kind), "{kind}");
    }
    let arguments = ["--format", "json", "--messages"];
    let output = open(&file, &arguments);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_same(&live, &output.stdout);
    let bytes = std::fs::read(&file).unwrap();
    let output = run_with(&["open", "-", "--format", "json", "--messages"], &bytes, &[]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_same(&live, &output.stdout);
    let packed = folder.path().join("chat.pcapng.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&bytes).unwrap();
    std::fs::write(&packed, encoder.finish().unwrap()).unwrap();
    assert_same(&live, &open(&packed, &arguments).stdout);
}

#[test]
fn findings_of_the_level_that_is_asked_about_make_the_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    session(&file);
    for (level, code) in [("must", 3), ("should", 3), ("advice", 3)] {
        assert_eq!(open(&file, &["--fail-on", level]).code, Some(code), "{level}");
    }
    assert_eq!(open(&file, &[]).code, Some(0));
    let good = folder.path().join("good.pcapng");
    let program = Program::json(&["--record", good.to_str().unwrap()]);
    let mut client = Client::open(program.address());
    client.echoes("fine");
    client.close(CloseCode::NORMAL, "");
    program.finish();
    assert_eq!(open(&good, &["--fail-on", "advice"]).code, Some(0));
}

#[test]
fn what_a_killed_program_leaves_opens_and_what_is_torn_or_no_capture_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let mut program = Program::json(&["--record", file.to_str().unwrap()]);
    let mut client = Client::open(program.address());
    client.echoes("shown");
    program.event("the echo", |event| event["n"] == 2);
    program.signal(Signal::KILL);
    program.wait(PATIENCE);
    let output = open(&file, &["--format", "json"]);
    assert_same(&program.stdout().all().join("\n"), output.stdout.trim_end());
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let output = open(&file, &[]);
    assert_eq!((output.code, output.stderr.lines().count()), (Some(0), 1));
    assert!(output.stderr.starts_with("wsinspect: the file is cut short: the block at byte "), "{}", output.stderr);
    std::fs::write(&file, "no capture").unwrap();
    let output = open(&file, &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("expected a pcapng or pcap capture"), "{}", output.stderr);
    assert_eq!(open(&folder.path().join("none"), &[]).code, Some(1));
}

#[test]
fn in_the_screen_nothing_can_be_sent_and_damage_stands_in_the_title() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    session(&file);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let mut terminal = Terminal::start(program, (160, 40), &["open", file.to_str().unwrap()]);
    terminal.wait_for("open chat.pcapng");
    terminal.wait_for("the file is cut short");
    terminal.wait_for("\"Hello\"");
    terminal.wait_for("quit");
    let screen = terminal.screen().contents();
    let (title, footer) = (screen.lines().next().unwrap(), screen.lines().last().unwrap());
    assert!(title.contains("open chat.pcapng") && !title.contains("rec"), "{title}");
    assert!(footer.contains("help") && !footer.contains("ping") && !footer.contains("to:"), "{footer}");
    // a prompt would hear this key first
    terminal.keys("pct?");
    terminal.wait_for("freeze the view");
    assert!(!terminal.screen().contents().contains("send a"));
    terminal.keys("q");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}

#[test]
fn a_recording_is_followed_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let program = Program::json(&["--record", file.to_str().unwrap()]);
    let mut client = Client::open(program.address());
    client.echoes("before");
    let mut follower = Running::start(
        Command::new(env!("CARGO_BIN_EXE_wsinspect"))
            .args(["open", file.to_str().unwrap(), "--follow", "--format", "json"])
            .env("XDG_STATE_HOME", folder.path())
            .stdout(Stdio::piped()),
    );
    let lines = Lines::follow(follower.0.stdout.take().unwrap());
    let seen = |text: &str| lines.wait(text, |lines| lines.iter().any(|line| line.contains(text)).then_some(()));
    seen("before");
    client.message(Opcode::BINARY, &vec![0; 300_000]);
    client.read_frame();
    client.echoes("after");
    seen("after");
    seen("\"length\":300000");
    rustix::process::kill_process(rustix::process::Pid::from_child(&follower.0), Signal::TERM).unwrap();
    assert_eq!(follower.0.wait().unwrap().code(), Some(0));
}

/// A program that is killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[track_caller]
fn connect(port: u16) -> Client {
    let address = ([127, 0, 0, 1], port).into();
    eventually("the server", || std::net::TcpStream::connect(address).ok());
    Client::open(address)
}

#[test]
fn a_recording_on_standard_output_is_the_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (file, port) = (folder.path().join("out.pcapng"), free_port());
    let mut server = Running::start(
        Command::new(env!("CARGO_BIN_EXE_wsinspect"))
            .args(["serve", &port.to_string(), "--record", "-"])
            .env("XDG_STATE_HOME", folder.path())
            .stdout(std::fs::File::create(&file).unwrap()),
    );
    let mut client = connect(port);
    client.echoes("streamed");
    // as it happens, not at the end
    eventually("the echo in the output", || open(&file, &[]).stdout.contains("streamed").then_some(()));
    client.close(CloseCode::NORMAL, "");
    rustix::process::kill_process(rustix::process::Pid::from_child(&server.0), Signal::TERM).unwrap();
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    let output = open(&file, &["--format", "json"]);
    assert_eq!(output.stderr, "");
    assert!(output.stdout.contains("\"how\":\"handshake\""), "{}", output.stdout);
    // the store that it was read from is gone
    assert_eq!(std::fs::read_dir(folder.path().join("wsinspect")).unwrap().count(), 0);
}

#[test]
fn tshark_reads_the_recording_from_a_pipe() {
    if !have("tshark", "--version") {
        return skip("tshark reads the recording from a pipe", "tshark");
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut server = Running::start(
        Command::new(env!("CARGO_BIN_EXE_wsinspect"))
            .args(["serve", &port.to_string(), "--record", "-"])
            .env("XDG_STATE_HOME", folder.path())
            .stdout(Stdio::piped()),
    );
    let mut tshark = crate::support::tshark();
    tshark.args(["-l", "-r", "-", "-Y", "websocket", "-T", "fields", "-e", "websocket.opcode"]);
    let tshark = tshark.stdin(server.0.stdout.take().unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut tshark = tshark.spawn().unwrap();
    let lines = Lines::follow(tshark.stdout.take().unwrap());
    let mut client = connect(port);
    client.echoes("for tshark");
    client.close(CloseCode::NORMAL, "");
    rustix::process::kill_process(rustix::process::Pid::from_child(&server.0), Signal::TERM).unwrap();
    assert_eq!(lines.all(), ["1", "1", "8", "8"]);
    assert!(tshark.wait().unwrap().success());
}

/// The frames in the JSON of a capture: FIN, RSV, opcode, MASK, key, length.
fn frames(json: &str) -> Vec<[String; 6]> {
    let events = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let bit = |value: &Value| u8::from(value.as_bool().unwrap()).to_string();
    let key = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let frames = events.filter(|event| event["event"] == "frame" && event["complete"].is_null());
    let fields = |e: Value| {
        [
            bit(&e["fin"]),
            e["rsv"].to_string(),
            e["opcode"].to_string(),
            bit(&e["masked"]),
            key(&e["masking_key"]),
            e["length"].to_string(),
        ]
    };
    frames.map(fields).collect()
}

/// The same as tshark sees it.
fn frames_of_tshark(file: &Path, port: u16) -> Vec<[String; 6]> {
    let names = [
        "fin",
        "rsv",
        "opcode",
        "mask",
        "masking_key",
        "payload_length",
        "payload_length_ext_16",
        "payload_length_ext_64",
    ];
    let mut command = crate::support::tshark();
    command.arg("-r").arg(file).args(["-Y", "websocket", "-T", "fields", "-d", &format!("tcp.port=={port},http")]);
    command.args(names.iter().flat_map(|name| ["-e".to_owned(), format!("websocket.{name}")]));
    let output = command.stderr(Stdio::null()).output().unwrap();
    let mut frames = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let columns: Vec<Vec<&str>> = line.split('\t').map(|values| values.split(',').collect()).collect();
        let (mut keys, mut long, mut longer) = (columns[4].iter(), columns[6].iter(), columns[7].iter());
        let bit = |value: &str| u8::from(["1", "True"].contains(&value)).to_string();
        let number = |value: &str| {
            let hex = value.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16).unwrap());
            hex.unwrap_or_else(|| value.parse().unwrap()).to_string()
        };
        for (n, opcode) in columns[2].iter().enumerate() {
            let length = match columns[5][n] {
                "126" => (*long.next().unwrap()).to_owned(),
                "127" => (*longer.next().unwrap()).to_owned(),
                length => length.to_owned(),
            };
            let mask = bit(columns[3][n]);
            let key = if mask == "1" { keys.next().unwrap().replace(':', "").replace("0x", "") } else { String::new() };
            frames.push([bit(columns[0][n]), number(columns[1][n]), (*opcode).to_owned(), mask, key, length]);
        }
    }
    frames
}

#[test]
fn frame_by_frame_it_agrees_with_tshark() {
    if !have("tshark", "--version") {
        return skip("frame by frame it agrees with tshark", "tshark");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let program = Program::json(&["--record", file.to_str().unwrap(), "--tolerant"]);
    let port = program.port();
    let mut client = Client::open(program.address());
    for length in [0, 125, 126, 65_535, 65_536, 200_000] {
        client.message(Opcode::BINARY, &vec![0x5A; length]);
        client.read_frame();
    }
    for first in [0x41, 0x83, 0xA2, 0x70, 0x89] {
        let mut frame = wsinspect::wire::frame(&masked(Opcode::TEXT, 3), b"abc");
        frame[0] = first;
        client.send(&frame);
    }
    client.close_unread();
    program.close_event(1);
    program.finish();
    let opened = frames(&open(&file, &["--format", "json"]).stdout);
    assert!(opened.len() >= 17, "{opened:?}");
    let (mut ours, mut theirs) = (opened, frames_of_tshark(&file, port));
    // tshark puts a frame of several packets where its last one is, as we do; the order of the two sides is that of packets
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

#[test]
fn what_is_captured_on_loopback_opens_to_the_frames_that_were_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loopback.pcap");
    let program = Program::json(&[]);
    let filter = format!("tcp port {}", program.port());
    let path = file.to_str().unwrap();
    let mut tcpdump = if have("tcpdump", "--version") {
        let mut tcpdump = Command::new("tcpdump");
        tcpdump.args(["-i", "lo", "-U", "-w", path, &filter]);
        tcpdump
    } else if have("dumpcap", "--version") {
        let mut dumpcap = Command::new("dumpcap");
        dumpcap.args(["-q", "-i", "lo", "-w", path, "-f", &filter]);
        dumpcap
    } else {
        return skip("what is captured on loopback opens", "tcpdump, and dumpcap,");
    };
    let mut tcpdump = Running(tcpdump.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let errors = Lines::follow(tcpdump.0.stderr.take().unwrap());
    let captures = eventually("the capture to begin", || {
        let ended = tcpdump.0.try_wait().unwrap();
        file.exists().then_some(true).or(ended.map(|_| false))
    });
    if !captures {
        return skip(&format!("what is captured on loopback opens: {:?}", errors.all()), "the right to capture");
    }
    let mut client = Client::open(program.address());
    client.echoes("over the loopback");
    client.message(Opcode::BINARY, &vec![9; 300_000]);
    client.read_frame();
    client.close(CloseCode::NORMAL, "bye");
    let sent = program.finish().iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    eventually("the end in the capture", || open(&file, &[]).stdout.contains("closed").then_some(()));
    assert_eq!(frames(&open(&file, &["--format", "json"]).stdout), frames(&sent));
}
