//! The relay: every byte goes on as it came, in both directions, and what the user puts in goes in at a border.

use std::io::{ErrorKind, Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Client, PATIENCE, Program, exchange, request};

/// Connections with hostile traffic.
const CONVERSATIONS: u64 = 2_000;
/// The same where there is time.
const CONVERSATIONS_IN_CI: u64 = 10_000;

const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A relay, and the server behind it, which does what the test says.
struct Relay {
    program: Program,
    listener: TcpListener,
}

impl Relay {
    fn start(arguments: &[&str]) -> Self {
        Self::start_at("", arguments)
    }

    fn start_at(path: &str, arguments: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = format!("ws://{}{path}", listener.local_addr().unwrap());
        let program = Program::relay("0", &[&[&upstream, "--format", "json"], arguments].concat());
        Self { program, listener }
    }

    fn upstream(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The server's end of the next connection.
    fn accept(&self) -> TcpStream {
        let stream = self.listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A WebSocket, both ends of it.
    fn open(&self) -> (Client, TcpStream) {
        let mut client = Client::bare(self.program.address());
        client.send(request("").as_bytes());
        let mut server = self.accept();
        read_head(&mut server);
        server.write_all(ACCEPTED).unwrap();
        client.read_opened();
        (client, server)
    }
}

/// Reads up to the end of a head, byte by byte: what follows it stays where it is.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Whether the connection ends by a reset, after everything that was sent before.
fn is_reset(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return true,
            Err(error) => panic!("{error}"),
        }
    }
}

fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}

/// Numbers that are the same in every run (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    /// Bytes that are nothing, or nearly a request, or frames, legal and not.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.below(6) {
            match self.below(7) {
                0 => bytes.extend_from_slice(b"\r\n\r\n"),
                1 => bytes.extend_from_slice(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nX: \xff\0\r\n Y\n\n"),
                2 => bytes.extend_from_slice(ACCEPTED),
                3 => bytes.extend_from_slice(b"\x81\x85keys\x00\x01\x02\x03\x04\x89\x00\x03\xff\xff"),
                4 => bytes.extend_from_slice(b"\x82\xff\xff\0\0\0\0\0\0\0"),
                5 => bytes.extend(std::iter::repeat_n(b'x', self.below(50_000))),
                _ => bytes.extend((0..self.below(300)).map(|i| (i * 7) as u8)),
            }
        }
        bytes
    }

    /// Sends bytes in pieces of any size.
    pub(crate) fn send(&mut self, stream: &mut impl Write, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = 1 + self.below(bytes.len().min(20_000));
            stream.write_all(&bytes[..n]).unwrap();
            bytes = &bytes[n..];
        }
    }
}

#[test]
fn the_bytes_that_come_out_are_those_that_went_in_both_ways_and_so_are_their_ends() {
    let relay = Relay::start(&["--payload-limit", "0"]);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let in_ci = std::env::var_os("WSINSPECT_CI").is_some();
    for n in 0..if in_ci { CONVERSATIONS_IN_CI } else { CONVERSATIONS } {
        let (up, down) = (random.bytes(), random.bytes());
        // a request that can be found, half of the time; Host stands in none, so that nothing changes
        let up = if random.below(2) == 0 {
            [&b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"[..], &up].concat()
        } else {
            up
        };
        let mut client = Client::bare(relay.program.address()).stream;
        let (sent_up, sent_down) = (up.clone(), down.clone());
        let (mut one, mut two) = (Random(random.0 | 1), Random(random.0 | 2));
        let mut sender = client.try_clone().unwrap();
        let client_sends = std::thread::spawn(move || {
            one.send(&mut sender, &sent_up);
            sender.shutdown(Shutdown::Write).unwrap();
        });
        let mut server = relay.accept();
        let mut sender = server.try_clone().unwrap();
        let resets = n % 4 == 3;
        let server_sends = std::thread::spawn(move || {
            two.send(&mut sender, &sent_down);
            if !resets {
                sender.shutdown(Shutdown::Write).unwrap();
            }
        });
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).expect("the client's end is passed on as an end");
            (seen, server)
        });
        let mut seen = vec![0; down.len()];
        client.read_exact(&mut seen).unwrap();
        assert!(seen == down, "conversation {n}: what the client got differs");
        client_sends.join().unwrap();
        server_sends.join().unwrap();
        let (seen, server) = reader.join().unwrap();
        assert!(seen == up, "conversation {n}: what the server got differs");
        if resets {
            reset(&server);
        }
        drop(server);
        assert_eq!(is_reset(&mut client), resets, "conversation {n}");
    }
}

#[test]
fn a_reset_of_either_side_reaches_the_other_one_and_is_reported() {
    let relay = Relay::start(&[]);
    let (client, mut server) = relay.open();
    reset(&client.stream);
    drop(client);
    assert!(is_reset(&mut server));
    let close = relay.program.close_event(1);
    assert_eq!((&close["how"], &close["by"]), (&Value::from("reset"), &Value::from("client")));
    let (mut client, server) = relay.open();
    reset(&server);
    drop(server);
    assert!(is_reset(&mut client.stream));
    assert_eq!(relay.program.close_event(2)["by"], "server");
}

#[test]
fn the_request_goes_on_as_it_was_sent_but_for_host_and_what_was_asked_for() {
    let odd = "GET /chat?a=b HTTP/1.1\r\nhoST:  old:1 \r\nX-Odd :y\r\n folded\r\nUpgrade: websocket\r\nOrigin: http://old:1\r\n\r\n";
    for (path, arguments, changes) in [
        ("", &[][..], &[("  old:1 ", "  UP ")][..]),
        ("", &["--keep-host"], &[]),
        ("", &["--rewrite-origin"], &[("  old:1 ", "  UP "), ("http://old:1", "http://UP")]),
        ("/other?c", &[], &[("/chat?a=b", "/other?c"), ("  old:1 ", "  UP ")]),
    ] {
        let relay = Relay::start_at(path, arguments);
        let mut client = Client::bare(relay.program.address());
        client.send(odd.as_bytes());
        let mut server = relay.accept();
        let upstream = relay.upstream().to_string();
        let expected =
            changes.iter().fold(odd.to_owned(), |head, (old, new)| head.replace(old, &new.replace("UP", &upstream)));
        assert_eq!(read_head(&mut server), expected, "{arguments:?}");
        server.write_all(ACCEPTED).unwrap();
        let open = relay.program.event("the opening", |event| event["event"] == "open");
        assert_eq!(open["sent_on"]["to"], upstream);
        assert_eq!(open["sent_on"]["lines"].as_array().unwrap().len(), changes.len(), "{open}");
        assert_eq!(open["request"]["headers"][0][1], "old:1", "what the client sent is kept");
    }
}

#[test]
fn the_client_has_no_answer_before_the_server_has_given_one() {
    let relay = Relay::start(&[]);
    let mut client = Client::bare(relay.program.address());
    client.send(request("").as_bytes());
    let mut server = relay.accept();
    read_head(&mut server);
    client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(client.stream.read(&mut [0]).is_err(), "nothing has come");
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // also a part of an answer goes on at once
    server.write_all(&ACCEPTED[..20]).unwrap();
    assert_eq!(read(&mut client.stream, 20), &ACCEPTED[..20]);
    server.write_all(&ACCEPTED[20..]).unwrap();
    assert_eq!(read(&mut client.stream, ACCEPTED.len() - 20), &ACCEPTED[20..]);
}

#[test]
fn a_server_that_is_not_there_is_a_502_with_a_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (upstream, says) in [(gone.as_str(), "refused the connection"), ("no-such-host.invalid:1", "was not found")] {
        let program = Program::relay("0", &[upstream, "--format", "json"]);
        for (conn, request) in (1..).zip([request(""), "GET / HTTP/1.1\r\n\r\n".to_owned()]) {
            let response = exchange(program.address(), request.as_bytes());
            assert_eq!(response.status, 502);
            let body = String::from_utf8(response.body).unwrap();
            assert!(body.contains(says), "{body}");
            let event = program.event("the refusal", |event| event["event"] == "refused" && event["conn"] == conn);
            assert_eq!(event["reason"], body.trim_end());
            assert_eq!(event["status"], 502);
        }
    }
}

#[test]
fn a_server_that_says_nothing_is_a_504_after_ten_seconds() {
    let relay = Relay::start(&[]);
    let began = Instant::now();
    let response = exchange(relay.program.address(), request("").as_bytes());
    assert_eq!(response.status, 504);
    assert!(began.elapsed() > Duration::from_secs(9), "{:?}", began.elapsed());
    let event = relay.program.event("the refusal", |event| event["event"] == "refused");
    assert_eq!(event["reason"], "The server did not answer within 10 seconds.");
}

#[test]
fn what_a_server_answers_goes_on_whatever_it_is() {
    let relay = Relay::start(&[]);
    for answer in [&b"SSH-2.0-nothing\r\n"[..], b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n", b"\0\xff"] {
        let mut client = Client::bare(relay.program.address());
        client.send(request("").as_bytes());
        let mut server = relay.accept();
        read_head(&mut server);
        server.write_all(answer).unwrap();
        drop(server);
        assert_eq!(client.read_to_end(), answer);
    }
    let event = relay.program.event("the refusal", |event| event["status"] == 403);
    assert!(event["reason"].is_string(), "{event}");
}

#[test]
fn a_page_and_a_socket_of_one_server_come_through_one_port() {
    let server = Program::serve(&[]);
    let program = Program::relay("0", &[&server.address().to_string()]);
    let page = exchange(program.address(), b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let direct = exchange(server.address(), b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!((page.status, &page.head, &page.body), (200, &direct.head, &direct.body));
    let mut client = Client::open(program.address());
    client.echoes("through");
    client.close(wsinspect::wire::CloseCode::NORMAL, "done");
}

#[test]
fn a_receiver_that_reads_nothing_holds_back_the_sender() {
    let relay = Relay::start(&["--payload-limit", "0"]);
    let (mut client, mut server) = relay.open();
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let block = vec![0x55; 1 << 16];
    let mut sent = 0;
    while let Ok(n) = client.stream.write(&block) {
        sent += n;
        assert!(sent < 256 << 20, "nobody reads, and all of it was taken");
    }
    assert!(relay.program.resident_megabytes() < 100, "{} MB", relay.program.resident_megabytes());
    drop(client);
    let mut seen = 0;
    let mut bytes = block;
    while let Ok(n @ 1..) = server.read(&mut bytes) {
        assert!(bytes[..n].iter().all(|&byte| byte == 0x55));
        seen += n;
    }
    assert_eq!(seen, sent, "it all came once it was read");
}

#[test]
fn a_signal_closes_both_sides_with_1001() {
    let mut relay = Relay::start(&[]);
    let (mut client, mut server) = relay.open();
    relay.program.signal(Signal::TERM);
    assert_eq!(client.read_close().0, Some(wsinspect::wire::CloseCode::GOING_AWAY));
    let header = read(&mut server, 6);
    assert_eq!((header[0], header[1] & 0x80), (0x88, 0x80), "a masked close frame");
    read(&mut server, usize::from(header[1] & 0x7F));
    client.message(wsinspect::wire::Opcode::CLOSE, &1001_u16.to_be_bytes());
    server.write_all(b"\x88\x02\x03\xe9").unwrap();
    client.ended();
    assert_eq!(server.read(&mut [0]).unwrap(), 0, "nothing follows");
    assert_eq!(relay.program.wait(PATIENCE).code(), Some(0));
    let close: Value = serde_json::from_str(relay.program.stdout().all().last().unwrap()).unwrap();
    assert_eq!((&close["by"], &close["code"], &close["clean"]), (&"wsinspect".into(), &1001.into(), &true.into()));
}

#[test]
fn a_signal_in_the_midst_of_a_frame_ends_the_program_in_about_a_second() {
    let mut relay = Relay::start(&[]);
    let (mut client, mut server) = relay.open();
    client.send(b"\x82\xff\0\0\0\0\0\x0f\0\0keysbegun");
    assert_eq!(read(&mut server, 19).len(), 19);
    let _unread = Client::bare(relay.program.address());
    let began = Instant::now();
    relay.program.signal(Signal::INT);
    assert_eq!(relay.program.wait(PATIENCE).code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "nothing of ours within a frame");
}
