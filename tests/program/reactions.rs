//! Real servers that get broken frames: what they do about them is told beside what RFC 6455 asks of them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wsinspect::capture::{self, Capture, Clock, ConnectionId, Did, Reaction, Recording};
use wsinspect::compose::{Composed, Preset};
use wsinspect::control::{Command, Control, Outgoing};
use wsinspect::lint::{Group, Limits};
use wsinspect::net::{self, Dialler, RelayOptions, Rewriting};
use wsinspect::wire::{CloseBody, CloseCode, Header, MaskingKey, Opcode, Parsed, Side, frame};

use crate::screen::{address_after, quit};
use crate::support::{Client, Lines, Terminal, eventually, node_modules, python, skip};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/clients");
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
/// How long a server may think about a frame before it is taken to have let it pass. Whoever takes longer is judged all
/// the same, but not compared.
const THOUGHT: Duration = Duration::from_secs(5);

/// An echo server of another program's, until this is dropped.
struct Echo {
    child: Child,
    address: SocketAddr,
}

impl Echo {
    fn start(command: &mut Process) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = Lines::follow(child.stdout.take().unwrap());
        let port: u16 = lines.wait("the port", |lines| lines.first()?.parse().ok());
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn python(test: &str) -> Option<Self> {
        let python = python();
        if python.is_none() {
            skip(test, "Python with websockets");
        }
        python.map(|python| Self::start(Process::new(python).arg(format!("{FOLDER}/echo_server.py"))))
    }

    fn node(test: &str) -> Option<Self> {
        let modules = node_modules();
        if modules.is_none() {
            skip(test, "Node with ws");
        }
        let modules = modules?;
        Some(Self::start(Process::new("node").env("NODE_PATH", modules).arg(format!("{FOLDER}/echo_server.cjs"))))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client sees of a server that got a frame, with a ping after it.
#[derive(Debug, PartialEq)]
enum Seen {
    Closed(Option<CloseCode>),
    Ended,
    Pong,
    Nothing,
}

fn watch(client: &mut Client) -> Seen {
    let ping = frame(&Header::new(Opcode::PING, Some(MaskingKey(*b"ping")), 5), b"still");
    // who has ended the connection takes nothing more
    let _ = client.stream.write_all(&ping);
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (mut bytes, mut buffer, began) = (Vec::new(), [0; 4096], Instant::now());
    while began.elapsed() < THOUGHT {
        match client.stream.read(&mut buffer) {
            Ok(0) => return Seen::Ended,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return Seen::Ended,
        }
        while let Parsed::Complete(header) = Header::parse(&bytes) {
            let end = header.len() + header.length as usize;
            if bytes.len() < end {
                break;
            }
            let payload = bytes[header.len()..end].to_vec();
            bytes.drain(..end);
            match (header.opcode, CloseBody::parse(&payload)) {
                (Opcode::CLOSE, CloseBody::Code(code, _)) => return Seen::Closed(Some(code)),
                (Opcode::CLOSE, _) => return Seen::Closed(None),
                (Opcode::PONG, _) if payload == b"still" => return Seen::Pong,
                _ => {}
            }
        }
    }
    Seen::Nothing
}

/// Sends each preset through a relay to `server`, and compares what is told with what the client saw.
fn every_preset(server: &Echo) -> Vec<Reaction> {
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::create(Some(&folder.path().join("relay.pcapng")), false).unwrap();
    let capture = Arc::new(Capture::new(recording.reader()));
    let writer = recording.writer("a test").unwrap();
    let (recorder, thread) = capture::start(writer, capture.clone(), Limits::default()).unwrap();
    let (control, commands) = Control::new();
    let options = RelayOptions {
        upstream: server.address.to_string().parse().unwrap(),
        rewriting: Rewriting { host: true, origin: false },
        tls: None,
        upstream_tls: None,
        dialler: Dialler::default(),
        clock: Clock::start(),
        max_connections: 100,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (relay, address) = runtime.block_on(async {
        let listener = net::listen("127.0.0.1", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        (net::relay(listener, options, recorder, commands), address)
    });
    let mut told = Vec::new();
    for (conn, preset) in (1..).zip(Preset::all(Side::Client, true)) {
        let rule = if let Preset::Breaks(rule) = preset { Some(rule) } else { None };
        let deflate = rule.is_some_and(|rule| rule.group() == Group::Compression);
        let mut client = Client::open_with(address, if deflate { DEFLATE } else { "" });
        let mut next = 0_u32;
        let fresh = || {
            next += 0x0101_0107;
            MaskingKey((conn * 0x10_0003 + next).to_be_bytes())
        };
        let composed = Composed::new(preset.frames(Side::Client, fresh), 1, Duration::ZERO).unwrap();
        control.send(Command { connection: ConnectionId(conn), to: Side::Server, send: Outgoing::Composed(composed) });
        eventually(&format!("the bytes of {}", preset.name()), || {
            let index = capture.index();
            index.connection(ConnectionId(conn)).filter(|one| one.bytes[Side::Client as usize] > 0).map(drop)
        });
        let seen = watch(&mut client);
        drop(client);
        let connection = eventually("its end", || {
            let connection = capture.index().connection(ConnectionId(conn)).cloned();
            connection.filter(|connection| connection.ended.is_some())
        });
        let name = preset.name();
        let reactions: Vec<_> = connection.reactions().filter(|reaction| reaction.of == Side::Server).collect();
        let Some(code) = rule.and_then(wsinspect::lint::Rule::close_code) else {
            assert_eq!(reactions, [], "{name}: nothing was due");
            continue;
        };
        let [reaction] = &reactions[..] else { panic!("{name}: {reactions:?}") };
        assert_eq!((reaction.due.rule, reaction.due.code), (rule.unwrap(), code), "{name}");
        let expected = match seen {
            Seen::Closed(with) if with == Some(code) => Some(Did::Failed),
            Seen::Closed(_) => Some(Did::ClosedOtherwise),
            Seen::Ended => Some(Did::Dropped),
            Seen::Pong => Some(Did::Passed),
            Seen::Nothing => None,
        };
        if let Some(expected) = expected {
            assert_eq!(reaction.did, expected, "{name}: the client saw {seen:?}; {}", reaction.sentence);
        }
        told.push(reaction.clone());
    }
    runtime.block_on(relay.stop());
    thread.join();
    told
}

#[test]
fn what_pythons_websockets_does_about_each_broken_rule_is_told_as_it_was() {
    let Some(server) = Echo::python("reactions of Python") else { return };
    let told = every_preset(&server);
    assert!(told.iter().any(|reaction| reaction.did == Did::Failed), "{told:#?}");
}

#[test]
fn what_nodes_ws_does_about_each_broken_rule_is_told_as_it_was() {
    let Some(server) = Echo::node("reactions of Node") else { return };
    let told = every_preset(&server);
    assert!(told.iter().any(|reaction| reaction.did == Did::Failed), "{told:#?}");
}

#[test]
fn composed_by_keys_a_broken_frame_shows_what_a_real_server_did_about_it() {
    for server in [Echo::python("reactions on the screen"), Echo::node("reactions on the screen")].iter().flatten() {
        let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
        let upstream = server.address.to_string();
        let mut terminal = Terminal::start(program, (200, 50), &["relay", "127.0.0.1:0", &upstream]);
        terminal.wait_for("relay 127.0.0.1:");
        let _client = Client::open(address_after(&terminal, "relay "));
        terminal.wait_for("conn 1  to: server >");
        terminal.keys("b");
        terminal.wait_for("compose, to the server of connection 1");
        terminal.keys("f");
        terminal.wait_for("! fragmented-control");
        terminal.keys("\r");
        terminal.wait_for("frame sent to");
        terminal.keys("2");
        terminal.wait_for("The server failed the connection with 1002");
        terminal.keys("1g");
        terminal.wait_for("after frame 1 broke fragmented-control, as it has to.");
        quit(&mut terminal);
    }
}
