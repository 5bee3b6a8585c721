//! Compressed conversations through the relay: nobody's decompression breaks, and all of it is shown.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use wsinspect::capture::{self, Capture, Clock, ConnectionId, MessageReader, Recording};
use wsinspect::control::{Command as Wish, Control, Outgoing};
use wsinspect::lint::Limits;
use wsinspect::net::{self, Dialler, RelayOptions, Rewriting};
use wsinspect::wire::{Deflater, Header, IMPLIED_TAIL, Opcode, Rsv, Side, frame};

use crate::support::{Client, PATIENCE, Program, node_modules, python, request, skip};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/clients");

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // it has ended if all went well
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Python's server, and where it listens.
fn python_server(python: std::ffi::OsString) -> (Running, SocketAddr) {
    let mut command = Command::new(python);
    let child = command.arg(format!("{FOLDER}/deflate_server.py")).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut server = Running(child.unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    (server, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn messages_put_in_between_compressed_ones_break_nobodys_decompression() {
    const MESSAGES: usize = 600;
    let Some(modules) = node_modules() else {
        return skip(
            "compressed traffic with messages in between",
            "Node or a folder with ws (WSINSPECT_NODE_MODULES)",
        );
    };
    let Some(python) = python() else {
        return skip("compressed traffic with messages in between", "a Python with websockets (WSINSPECT_PYTHON)");
    };
    let (_server, upstream) = python_server(python);
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::create(Some(&folder.path().join("relay.pcapng")), false).unwrap();
    let capture = Arc::new(Capture::new(recording.reader()));
    let (recorder, thread) =
        capture::start(recording.writer("a test").unwrap(), capture.clone(), Limits::default()).unwrap();
    let (control, commands) = Control::new();
    let options = RelayOptions {
        tls: None,
        upstream_tls: None,
        max_connections: 100,
        upstream: upstream.to_string().parse().unwrap(),
        rewriting: Rewriting { host: true, origin: false },
        dialler: Dialler::default(),
        clock: Clock::start(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (relay, address) = runtime.block_on(async {
        let listener = net::listen("127.0.0.1", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        (net::relay(listener, options, recorder, commands), address)
    });
    let mut seed = u64::from(std::process::id());
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut client = Running(
        Command::new("node")
            .env("NODE_PATH", modules)
            .arg(format!("{FOLDER}/deflate_client.cjs"))
            .args([format!("ws://{address}/"), (1 + random(1 << 30)).to_string(), MESSAGES.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let deadline = Instant::now() + 3 * PATIENCE;
    let frames = || capture.index().totals().frames;
    let (mut next, mut sent) = (1, 0);
    let status = loop {
        if let Some(status) = client.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the client still ran after {} frames", frames());
        if frames() < next {
            std::thread::sleep(std::time::Duration::from_millis(1));
            continue;
        }
        let text = format!("put in: number {sent}, price symbol WSI");
        let outgoing = match random(3) {
            0 => Outgoing::Fragments { text, count: 3, ping_between: true },
            1 => Outgoing::Ping(vec![b'?'; random(50) as usize]),
            _ => Outgoing::Text(text),
        };
        control.send(Wish { connection: ConnectionId(1), to: Side::BOTH[random(2) as usize], send: outgoing });
        sent += 1;
        next = frames() + random(20);
    };
    assert!(status.success(), "the client ended with {status} after {sent} messages in between");
    runtime.block_on(relay.stop());
    thread.join();

    let index = capture.index();
    let connection = index.connection(ConnectionId(1)).unwrap().clone();
    let all = index.frames(1..u64::MAX);
    drop(index);
    for side in Side::BOTH {
        let deflated = connection.deflated[side as usize];
        assert_eq!(deflated.failed, 0, "{side}");
        assert!(deflated.messages >= MESSAGES as u64, "{side}: {deflated:?}");
        assert!(all.iter().any(|(_, entry)| entry.is_injected() && entry.from() == side), "nothing was put in");
    }
    assert!(all.iter().all(|(_, entry)| !(entry.is_injected() && entry.is_compressed())));
    // what the client said and what the server echoed, but for what was put in
    let mut reader = MessageReader::default();
    let mut said = [Vec::new(), Vec::new()];
    for (n, entry) in all {
        if let Some((message, bytes)) = reader.beginning(&capture, n, usize::MAX) {
            assert_eq!(message.outcome, Ok(()), "frame {n}");
            if !bytes.starts_with(b"put in") {
                said[entry.from() as usize].push(bytes);
            }
        }
    }
    assert_eq!(said[0].len(), MESSAGES);
    assert!(said[0] == said[1], "the echoes differ");
}

/// Ends of a relayed connection that agreed on compression.
fn open(program: &Program, listener: &TcpListener) -> (Client, TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let mut client = Client::bare(program.address());
    client.send(request(OFFER).as_bytes());
    let mut server = listener.accept().unwrap().0;
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains(OFFER), "the offer goes on as it was made: {head}");
    server.write_all(ANSWER).unwrap();
    client.read_opened();
    (client, server)
}

#[test]
fn a_bomb_is_passed_on_and_inflated_no_further_than_to_the_limit() {
    let mut deflater = Deflater::new(false, 15).unwrap();
    let mut piece = Vec::new();
    deflater.message(&vec![0; 1 << 20], &mut piece);
    piece.extend(IMPLIED_TAIL);
    // 300 MiB
    let mut bomb = piece.repeat(300);
    bomb.truncate(bomb.len() - IMPLIED_TAIL.len());
    let header = Header { rsv: Rsv::RSV1, ..Header::new(Opcode::BINARY, None, bomb.len() as u64) };
    let bomb = frame(&header, &bomb);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    let program = Program::relay(
        "0",
        &[&upstream, "--format", "json", "--messages", "--payload-limit", "1000", "--max-message", "8MiB"],
    );
    let (mut client, mut server) = open(&program, &listener);
    server.write_all(&bomb).unwrap();
    server.write_all(b"\x81\x02on").unwrap();
    let (_, payload) = client.read_frame();
    assert_eq!(payload.len(), bomb.len() - header.len());
    assert_eq!(client.read_frame().1, b"on", "the traffic goes on");
    let is_last = |line: &String| line.contains(r#""event":"message""#) && line.contains(r#""text":"on""#);
    program.stdout().wait("what came after the bomb", |lines| lines.iter().any(is_last).then_some(()));
    let memory = program.resident_megabytes();
    assert!(memory < 100, "{memory} MB");
    let events: Vec<Value> = program.finish();
    let message = events.iter().find(|event| event["event"] == "message").unwrap();
    assert_eq!((&message["payload"], &message["compressed"]), (&Value::Null, &Value::Bool(true)));
    assert!(message["why"].as_str().unwrap().contains("more than 8388608 bytes"), "{message}");
}
