//! What the user puts into a relayed connection goes in at a border, and is seen as theirs everywhere.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use wsinspect::capture::{self, Capture, Clock, ConnectionId, Follower, Recording};
use wsinspect::control::{Command, Control, Outgoing};
use wsinspect::formats::jsonl::{JsonLines, Options};
use wsinspect::lint::Limits;
use wsinspect::net::{self, RelayOptions, Rewriting};
use wsinspect::wire::{Header, MaskingKey, Opcode, Parsed, Side, frame, mask};

use crate::support::{Client, Terminal, eventually, request};

const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A relay within the test, with an open WebSocket through it.
pub(crate) struct Relay {
    runtime: tokio::runtime::Runtime,
    server: net::Server,
    recorder: capture::RecorderThread,
    capture: Arc<Capture>,
    control: Control,
    folder: tempfile::TempDir,
    pub(crate) client: TcpStream,
    pub(crate) upstream: TcpStream,
}

impl Relay {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording::create(Some(&folder.path().join("relay.pcapng")), false).unwrap();
        let capture = Arc::new(Capture::new(recording.reader()));
        let writer = recording.writer("a test").unwrap();
        let (recorder, thread) = capture::start(writer, capture.clone(), Limits::default()).unwrap();
        let (control, commands) = Control::new();
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = RelayOptions {
            upstream: upstream.local_addr().unwrap().to_string().parse().unwrap(),
            rewriting: Rewriting { host: true, origin: false },
            clock: Clock::start(),
            max_connections: 100,
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (server, address) = runtime.block_on(async {
            let listener = net::listen("127.0.0.1", 0).await.unwrap();
            let address = listener.local_addr().unwrap();
            (net::relay(listener, options, recorder, commands), address)
        });
        let mut client = Client::bare(address).stream;
        client.write_all(request("").as_bytes()).unwrap();
        let mut upstream = accept(&upstream);
        upstream.write_all(ACCEPTED).unwrap();
        assert_eq!(read(&mut client, ACCEPTED.len()), ACCEPTED);
        Self { runtime, server, recorder: thread, capture, control, folder, client, upstream }
    }

    pub(crate) fn send(&self, to: Side, send: Outgoing) {
        self.control.send(Command { connection: ConnectionId(1), to, send });
    }

    /// Ends the relay while the connection is open.
    pub(crate) fn stop(self) {
        self.runtime.block_on(self.server.stop());
        drop((self.client, self.upstream));
        self.recorder.join();
    }

    /// Ends the connection in order and the relay too; the frames as JSON, and the recording.
    pub(crate) fn finish(mut self) -> (Vec<Value>, Vec<u8>) {
        for stream in [&mut self.client, &mut self.upstream] {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        for stream in [&mut self.client, &mut self.upstream] {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "nothing but the end is left");
        }
        self.runtime.block_on(self.server.stop());
        self.recorder.join();
        let mut json = JsonLines::new(Options { payload_limit: 1000, messages: false });
        let mut out = Vec::new();
        for item in Follower::default().next(&self.capture, 1000) {
            json.write(&mut out, &self.capture, &item).unwrap();
        }
        let events = out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let events = events.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        let frames = events.filter(|event| event["event"] == "frame").collect();
        (frames, std::fs::read(self.folder.path().join("relay.pcapng")).unwrap())
    }
}

/// The server's end of the next connection, its request read.
fn accept(listener: &TcpListener) -> TcpStream {
    let mut stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read(&mut stream, 1));
    }
    stream
}

pub(crate) fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

pub(crate) fn read_frame(stream: &mut TcpStream) -> (Header, Vec<u8>) {
    let mut bytes = read(stream, 2);
    loop {
        match Header::parse(&bytes) {
            Parsed::Partial(needed) => bytes.extend(read(stream, needed - bytes.len())),
            Parsed::Complete(header) => {
                let mut payload = read(stream, usize::try_from(header.length).unwrap());
                if let Some(key) = header.masking_key {
                    mask(&mut payload, key, 0);
                }
                return (header, payload);
            }
        }
    }
}

fn text(text: &str) -> Outgoing {
    Outgoing::Text(text.to_owned())
}

#[test]
fn what_is_put_in_waits_for_the_end_of_a_frame_in_transit() {
    let mut relay = Relay::open();
    let big = frame(&Header::new(Opcode::BINARY, Some(MaskingKey(*b"keys")), 1_000_000), &vec![7; 1_000_000]);
    let (first, rest) = big.split_at(300_000);
    relay.client.write_all(first).unwrap();
    assert!(read(&mut relay.upstream, first.len()) == first);
    // in the midst of a frame, even of its header, nothing of ours goes in
    relay.send(Side::Server, Outgoing::Ping(b"in".to_vec()));
    relay.send(Side::Server, text("between"));
    relay.send(Side::Client, Outgoing::Ping(b"other way".to_vec()));
    assert_eq!(read_frame(&mut relay.client).1, b"other way", "the other direction does not wait");
    // the frame's end and the beginning of the next one come in one piece
    let next = frame(&Header::new(Opcode::TEXT, Some(MaskingKey(*b"next")), 4), b"next");
    relay.client.write_all(&[rest, &next].concat()).unwrap();
    assert!(read(&mut relay.upstream, rest.len()) == rest, "the frame goes on unharmed");
    let (ping, payload) = read_frame(&mut relay.upstream);
    assert_eq!((ping.opcode, payload.as_slice()), (Opcode::PING, &b"in"[..]));
    let (between, payload) = read_frame(&mut relay.upstream);
    assert_eq!((between.opcode, payload.as_slice()), (Opcode::TEXT, &b"between"[..]));
    assert_eq!(read_frame(&mut relay.upstream).1, b"next");
    let keys = [ping.masking_key, between.masking_key];
    assert!(keys.iter().all(Option::is_some) && keys[0] != keys[1], "each masked with a key of its own");

    let (frames, recording) = relay.finish();
    let seen: Vec<_> = frames
        .iter()
        .map(|frame| [&frame["from"], &frame["type"], &frame["origin"], &frame["edit"]].map(|value| value.as_str()))
        .collect();
    let (user, injected) = (Some("user"), Some("injected"));
    for expected in [
        [Some("server"), Some("ping"), user, injected],
        [Some("client"), Some("binary"), Some("peer"), None],
        [Some("client"), Some("ping"), user, injected],
        [Some("client"), Some("text"), user, injected],
        [Some("client"), Some("text"), Some("peer"), None],
    ] {
        assert!(seen.contains(&expected), "{expected:?} in {seen:?}");
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    let marks = recording.windows(22).filter(|bytes| bytes == b"wsinspect: origin=user").count();
    assert_eq!(marks, 3, "the recording says so too");
}

#[test]
fn between_the_fragments_of_a_message_goes_a_ping_and_no_text() {
    let mut relay = Relay::open();
    relay.upstream.write_all(b"\x01\x03one").unwrap();
    assert_eq!(read(&mut relay.client, 5), b"\x01\x03one");
    relay.send(Side::Client, Outgoing::Ping(Vec::new()));
    assert_eq!(read(&mut relay.client, 2), b"\x89\x00");
    relay.send(Side::Client, Outgoing::Fragments { text: "fragments".to_owned(), count: 2, ping_between: true });
    relay.send(Side::Client, Outgoing::Close { code: None, reason: String::new() });
    relay.upstream.write_all(b"\x00\x03two").unwrap();
    assert_eq!(read(&mut relay.client, 5), b"\x00\x03two");
    relay.upstream.write_all(b"\x80\x02!!\x81\x00").unwrap();
    // the message goes on first; then what waits goes in, in its order, at that border or at the next
    let text = b"\x01\x04frag\x89\x11between fragments\x80\x05ments";
    let (end, next, close) = (b"\x80\x02!!", b"\x81\x00", b"\x88\x00");
    let expected = [
        [&end[..], text, close, next].concat(),
        [&end[..], text, next, close].concat(),
        [&end[..], next, text, close].concat(),
    ];
    let got = read(&mut relay.client, expected[0].len());
    assert!(expected.contains(&got), "{got:02x?}");
    let (frames, _) = relay.finish();
    assert!(
        frames.iter().all(|frame| frame["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|f| f["rule"] == "frame-after-close"))
    );
}

#[test]
fn the_keys_of_the_panel_send_to_either_side() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let mut terminal = Terminal::start(program, (120, 36), &["relay", "127.0.0.1:0", &upstream]);
    terminal.wait_for(&format!("⇄ ws://{upstream}"));
    let screen = terminal.screen().contents();
    let address = screen.split_once("relay ").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
    let mut client = Client::bare(address);
    client.send(request("").as_bytes());
    let mut server = accept(&listener);
    server.write_all(ACCEPTED).unwrap();
    client.read_opened();
    terminal.wait_for("to: server >");
    terminal.keys("p");
    assert_eq!(read_frame(&mut server).0.opcode, Opcode::PING);
    terminal.wait_for("ping sent to the server");
    terminal.keys("<");
    terminal.wait_for("to: client <");
    terminal.keys("p");
    assert_eq!(client.read_frame().0.opcode, Opcode::PING);
    terminal.wait_for("sent by you");
    terminal.keys("3");
    terminal.wait_for("method: A plain GET");
    terminal.keys("G");
    terminal.wait_for(&format!("to {upstream}, but for"));
    terminal.wait_for(&format!("Host: {upstream}"));
    terminal.keys("q");
    let (header, _) = client.read_frame();
    assert_eq!(header.opcode, Opcode::CLOSE);
    eventually("the end", || (terminal.wait_for_end().code() == Some(0)).then_some(()));
}
