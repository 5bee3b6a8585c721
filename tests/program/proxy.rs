//! The proxy: what crosses a tunnel or is asked for in absolute form comes out as it went in, and is inspected if it is a
//! WebSocket.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::ServerConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::relay::Random;
use crate::screen::address_after;
use crate::support::{
    Authority, Client, Duplex, PATIENCE, Program, Terminal, UPGRADE, client_config, exchange, run, server_config,
};

/// Conversations for each way through.
const CONVERSATIONS: u64 = 150;
/// The same where there is time.
const CONVERSATIONS_IN_CI: u64 = 500;

const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A proxy, and a server that its clients ask for, which does what the test says.
pub(crate) struct Proxy {
    pub(crate) program: Program,
    listener: TcpListener,
    data: TempDir,
    /// What the server's certificates come from.
    authority: Authority,
}

impl Proxy {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(Authority::new(), arguments)
    }

    /// One that trusts a test's authority, which the server's certificates come from.
    fn trusting(arguments: &[&str]) -> Self {
        let authority = Authority::new();
        let ca = authority.file();
        Self::start_with(authority, &[&["--ca", ca.to_str().unwrap()], arguments].concat())
    }

    fn start_with(authority: Authority, arguments: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let data = TempDir::new().unwrap();
        let environment = [("XDG_DATA_HOME", data.path().to_str().unwrap())];
        let program = Program::proxy("0", arguments, &environment);
        Self { program, listener, data, authority }
    }

    /// The server, as a client asks for it.
    pub(crate) fn target(&self) -> String {
        format!("localhost:{}", self.listener.local_addr().unwrap().port())
    }

    /// The server's end of the next connection.
    pub(crate) fn accept(&self) -> TcpStream {
        let stream = self.listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Both ends of a tunnel.
    fn tunnel(&self) -> (Client, TcpStream) {
        let mut client = Client::bare(self.program.address());
        let target = self.target();
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes());
        let server = self.accept();
        assert_eq!(read_head(&mut client.stream), "HTTP/1.1 200 Connection established\r\n\r\n");
        (client, server)
    }

    /// Both ends of a tunnel with TLS in it, which a server does by that configuration.
    fn tls_tunnel(&self, server: &Arc<ServerConfig>) -> (Duplex, Duplex) {
        let (client, tcp) = self.tunnel();
        let server = server.clone();
        let server = std::thread::spawn(move || Duplex::accept(tcp, server).unwrap());
        let ca = client_config(&self.data.path().join("wsinspect/ca/ca.pem"));
        let client = Duplex::connect_over(client.stream, ca, "localhost").unwrap();
        (client, server.join().unwrap())
    }

    fn server_config(&self) -> Arc<ServerConfig> {
        server_config(&self.authority.certify(&["localhost"], 1, 30))
    }

    pub(crate) fn event(&self, name: &str) -> Value {
        self.program.event(name, |event| event["event"] == name)
    }
}

/// Reads up to the end of a head, byte by byte: what follows it stays where it is.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[track_caller]
pub(crate) fn read(stream: &mut impl Read, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(expected));
}

/// Sends `up` and `down` in any pieces at once, and looks at what comes out and how it ends. The server's end may come
/// about only once the client has sent something.
pub(crate) fn converse(
    n: u64,
    random: &mut Random,
    (mut client, server): (Duplex, impl FnOnce() -> Duplex),
    up: &[u8],
    down: &[u8],
) {
    let (sent_up, sent_down) = (up.to_vec(), down.to_vec());
    let (mut one, mut two) = (Random(random.0 | 1), Random(random.0 | 2));
    let mut sender = client.clone();
    let client_sends = std::thread::spawn(move || {
        one.send(&mut sender, &sent_up);
        sender.end();
    });
    let mut server = server();
    let mut sender = server.clone();
    let resets = n % 4 == 3;
    let server_sends = std::thread::spawn(move || {
        two.send(&mut sender, &sent_down);
        if !resets {
            sender.end();
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
        server.reset();
    }
    drop(server);
    match client.read(&mut [0; 16]) {
        Ok(0) => assert!(!resets, "conversation {n}"),
        Err(error) => assert!(resets && error.kind() == ErrorKind::ConnectionReset, "conversation {n}: {error}"),
        Ok(_) => panic!("conversation {n}: more than was sent"),
    }
}

fn conversations() -> u64 {
    if std::env::var_os("WSINSPECT_CI").is_some() { CONVERSATIONS_IN_CI } else { CONVERSATIONS }
}

/// Hostile bytes, half of the time after a request that can be found.
fn hostile(random: &mut Random) -> Vec<u8> {
    let found: &[u8] = if random.below(2) == 0 { b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" } else { b"" };
    [found, &random.bytes()].concat()
}

#[test]
fn bytes_come_out_of_a_tunnel_as_they_went_in_and_so_do_their_ends() {
    for only in [&[][..], &["--only", "elsewhere.invalid"]] {
        let proxy = Proxy::start(&[&["--payload-limit", "0"], only].concat());
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for n in 0..conversations() {
            let (up, down) = (hostile(&mut random), random.bytes());
            let (client, server) = proxy.tunnel();
            let ends = (Duplex::plain(client.stream), Duplex::plain(server));
            converse(n, &mut random, (ends.0, || ends.1), &up, &down);
        }
    }
}

#[test]
fn bytes_come_out_of_tls_in_a_tunnel_as_they_went_in_and_so_do_their_ends() {
    let proxy = Proxy::trusting(&["--payload-limit", "0"]);
    let config = proxy.server_config();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for n in 0..conversations() {
        let (up, down) = (hostile(&mut random), random.bytes());
        let ends = proxy.tls_tunnel(&config);
        converse(n, &mut random, (ends.0, || ends.1), &up, &down);
    }
}

#[test]
fn bytes_after_an_upgrade_in_absolute_form_come_out_as_they_went_in_and_so_do_their_ends() {
    for only in [&[][..], &["--only", "elsewhere.invalid"]] {
        let proxy = Proxy::start(&[&["--payload-limit", "0"], only].concat());
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let target = proxy.target();
        for n in 0..conversations() {
            let (up, down) = (random.bytes(), [ACCEPTED, &random.bytes()].concat());
            let mut client = TcpStream::connect(proxy.program.address()).unwrap();
            let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: {0}\r\n{UPGRADE}\r\n", proxy.target());
            client.write_all(head(&format!("ws://{target}/chat")).as_bytes()).unwrap();
            let mut server = proxy.accept();
            assert_eq!(read_head(&mut server), head("/chat"));
            converse(n, &mut random, (Duplex::plain(client), || Duplex::plain(server)), &up, &down);
        }
    }
}

#[test]
fn a_websocket_in_a_tunnel_is_shown_with_whom_it_is_for_and_reopens_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.pcapng");
    let proxy = Proxy::trusting(&["--record", file.to_str().unwrap()]);
    let config = proxy.server_config();
    let request = format!("GET /chat HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n");
    let (client, server) = proxy.tunnel();
    let (secure_client, secure_server) = proxy.tls_tunnel(&config);
    for (mut client, mut server) in
        [(Duplex::plain(client.stream), Duplex::plain(server)), (secure_client, secure_server)]
    {
        client.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_head(&mut server), request, "nothing changes in it");
        server.write_all(&[ACCEPTED, b"\x81\x02hi\x88\x00"].concat()).unwrap();
        read(&mut client, &[ACCEPTED, b"\x81\x02hi\x88\x00"].concat());
        client.write_all(b"\x88\x80keys").unwrap();
        read(&mut server, b"\x88\x80keys");
        server.end();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        client.end();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }
    for conn in [1, 2] {
        let open = proxy.program.event("the opening", |event| event["event"] == "open" && event["conn"] == conn);
        assert_eq!((&open["target"], &open["findings"]), (&json!("/chat"), &json!([])));
        assert_eq!(open["tunnel"]["target"], proxy.target(), "{open}");
        assert_eq!(open["tunnel"]["opened"], true);
        assert_eq!(open["tunnel"]["request"]["line"], format!("CONNECT {} HTTP/1.1", proxy.target()));
        assert_eq!(open["tunnel"]["request"]["headers"], json!([["Host", proxy.target()]]));
        assert_eq!((&open["sent_on"]["lines"], &open["sent_on"]["removed"]), (&json!([]), &Value::Null));
        assert_eq!(open["tls"]["client"]["alpn"], if conn == 2 { json!("http/1.1") } else { Value::Null }, "{open}");
        assert_eq!(open["tls"]["server"]["sni"], if conn == 2 { json!("localhost") } else { Value::Null }, "{open}");
        let close = proxy.program.close_event(conn);
        assert_eq!((&close["clean"], &close["by"]), (&json!(true), &json!("server")));
    }
    let live: Vec<Value> = proxy.program.finish();
    assert_reopens(&live, file.to_str().unwrap());
}

/// A recording opens to the lines that were shown live.
#[track_caller]
fn assert_reopens(live: &[Value], file: &str) {
    let opened = run(&["open", file, "--headless", "--format", "json"]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let opened: Vec<Value> = opened.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(opened, live);
}

#[test]
fn what_is_not_looked_into_is_counted_and_said_why_and_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.pcapng");
    let proxy = Proxy::start(&["--only", "localhost", "--record", file.to_str().unwrap()]);
    let port = proxy.listener.local_addr().unwrap().port();
    let mut exchanges = Vec::new();
    // the server speaks first; the client says nothing known; nothing at all; another host; HTTP/2
    for (host, up, down, why) in [
        ("localhost", "", "220 hello, secret\r\n", "the server spoke first"),
        ("localhost", "EHLO secret\r\n", "", "it does not begin with a request of HTTP/1.1"),
        ("localhost", "", "", "nothing came before the client's end"),
        ("127.0.0.1", "GET /secret HTTP/1.1\r\n\r\n", "", "its host is not among those of --only"),
        ("localhost", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsecret", "", "it is HTTP/2"),
    ] {
        let mut client = Client::bare(proxy.program.address());
        client.send(format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n").as_bytes());
        let mut server = proxy.accept();
        assert_eq!(read_head(&mut client.stream), "HTTP/1.1 200 Connection established\r\n\r\n");
        server.write_all(down.as_bytes()).unwrap();
        read(&mut client.stream, down.as_bytes());
        client.send(up.as_bytes());
        read(&mut server, up.as_bytes());
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        drop(server);
        client.ended();
        let n = exchanges.len() + 1;
        let event = proxy.program.event("the tunnel", |event| event["event"] == "http" && event["n"] == n);
        assert_eq!((&event["target"], &event["status"]), (&json!(format!("{host}:{port}")), &json!(200)));
        assert_eq!((&event["request_length"], &event["response_length"]), (&json!(up.len()), &json!(down.len())));
        assert_eq!((&event["complete"], &event["tunnel"]["opened"]), (&json!(true), &json!(false)), "{event}");
        assert_eq!(event["tunnel"]["why"], format!("It is not looked into: {why}."), "{event}");
        exchanges.push(event);
    }
    assert_eq!(proxy.program.finish(), exchanges, "there is nothing else to be told");
    assert_reopens(&exchanges, file.to_str().unwrap());
    let recorded = std::fs::read(&file).unwrap();
    assert!(!recorded.windows(6).any(|bytes| bytes == b"secret"), "the recording has none of it");
}

#[test]
fn a_partial_request_line_that_never_ends_goes_on_after_a_while() {
    let proxy = Proxy::start(&[]);
    let (mut client, mut server) = proxy.tunnel();
    client.send(b"GET");
    read(&mut server, b"GET");
    server.write_all(b"\0").unwrap();
    read(&mut client.stream, b"\0");
    client.stream.shutdown(Shutdown::Write).unwrap();
    drop(server);
    client.ended();
    assert_eq!(proxy.event("http")["request_length"], 3);
}

#[test]
fn a_servers_bad_certificate_is_a_502_by_tls_with_the_sentence_and_k_accepts_it() {
    for (arguments, is_accepted) in [(&[][..], false), (&["-k"], true)] {
        let proxy = Proxy::start_with(Authority::new(), &[&["--payload-limit", "0"], arguments].concat());
        let config = proxy.server_config();
        let (client, tcp) = proxy.tunnel();
        let server = std::thread::spawn(move || Duplex::accept(tcp, config));
        let ca = client_config(&proxy.data.path().join("wsinspect/ca/ca.pem"));
        let mut client = Duplex::connect_over(client.stream, ca, "localhost").unwrap();
        client.write_all(format!("GET /chat HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n").as_bytes()).unwrap();
        let server = server.join().unwrap();
        if is_accepted {
            let mut server = server.unwrap();
            read_head(&mut server);
            server.write_all(ACCEPTED).unwrap();
            read(&mut client, ACCEPTED);
            let open = proxy.event("open");
            let unverified = open["tls"]["server"]["unverified"].as_str().unwrap();
            assert!(unverified.contains("Authority of a test"), "{open}");
        } else {
            let head = read_head(&mut client);
            assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
            let mut body = String::new();
            client.read_to_string(&mut body).unwrap();
            let refused = proxy.event("refused");
            assert_eq!(refused["reason"], body.trim_end());
            assert_eq!((&refused["status"], &refused["request"]["line"]), (&json!(502), &json!("GET /chat HTTP/1.1")));
            assert!(body.contains("whom this system does not trust"), "{body}");
        }
    }
}

#[test]
fn a_client_that_does_not_trust_the_authority_is_told_of_with_what_to_do() {
    let proxy = Proxy::trusting(&[]);
    let (client, server) = proxy.tunnel();
    let stranger = client_config(&proxy.authority.file());
    let Err(error) = Duplex::connect_over(client.stream, stranger, "localhost") else { panic!("it trusts") };
    assert!(error.to_string().contains("certificate"), "{error}");
    let refused = proxy.event("refused");
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("does not trust"), "{reason}");
    assert!(reason.contains("wsinspect ca") && reason.contains("--only"), "{reason}");
    assert_eq!(refused["tunnel"]["target"], proxy.target());
    drop(server);
}

#[test]
fn what_can_not_be_had_is_answered_and_shown_with_a_sentence() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let long = format!("GET http://a/ HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let upgrade = "GET https://a/ HTTP/1.1\r\n\r\n";
    for (request, status, says) in [
        (format!("CONNECT {gone} HTTP/1.1\r\n\r\n"), 502, "refused the connection: nothing listens there."),
        (format!("GET http://{gone}/ HTTP/1.1\r\n\r\n"), 502, "refused the connection: nothing listens there."),
        (
            "CONNECT no-such-host.invalid:1 HTTP/1.1\r\n\r\n".to_owned(),
            502,
            "The host of no-such-host.invalid:1 was not",
        ),
        ("CONNECT localhost HTTP/1.1\r\n\r\n".to_owned(), 400, "CONNECT asks for a host and a port"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400, "This is a proxy and no server"),
        (upgrade.to_owned(), 400, "by CONNECT, so that TLS goes through it."),
        ("GET ftp://a/ HTTP/1.1\r\n\r\n".to_owned(), 400, "A proxy is asked for a URL such as"),
        (long, 431, "The head of the request is too long."),
    ] {
        let program = Program::proxy("0", &[], &[]);
        let response = exchange(program.address(), request.as_bytes());
        let body = String::from_utf8(response.body).unwrap();
        assert!(response.status == status && body.contains(says), "{status}: {body}");
        let event = program.event("the refusal", |event| event["event"] == "refused");
        assert_eq!((&event["status"], &event["reason"]), (&json!(status), &json!(body.trim_end())), "{event}");
    }
}

#[test]
fn it_does_not_connect_to_itself() {
    for listen in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let program = Program::proxy(listen, &[], &[]);
        let port = program.port();
        let mut address = program.address();
        address.set_ip([127, 0, 0, 1].into());
        for request in [
            format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"),
            format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ] {
            let response = exchange(address, request.as_bytes());
            let body = String::from_utf8(response.body).unwrap();
            assert!(response.status == 508 && body.contains("is this proxy itself"), "{listen}: {body}");
        }
    }
}

#[test]
fn the_screen_says_whom_each_connection_is_for() {
    for (columns, rows) in [(80, 24), (120, 36)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("localhost:{}", listener.local_addr().unwrap().port());
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_wsinspect"));
        let mut terminal = Terminal::start(program, (columns, rows), &["proxy", "127.0.0.1:0"]);
        terminal.wait_for("proxy 127.0.0.1:");
        let address = address_after(&terminal, "proxy ");
        let mut client = Client::bare(address);
        client.send(
            format!("CONNECT {target} HTTP/1.1\r\n\r\nGET /chat HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n").as_bytes(),
        );
        let mut server = listener.accept().unwrap().0;
        read_head(&mut client.stream);
        read_head(&mut server);
        server.write_all(&[ACCEPTED, b"\x81\x02hi"].concat()).unwrap();
        let shown = format!("proxy {address} ⇄ {target}");
        terminal.wait_for(&shown);
        terminal.keys("2");
        terminal.wait_until("the connections", |screen| {
            let lines = screen.contents();
            lines.lines().any(|line| line.contains(" open ") && line.contains(&target))
        });
        terminal.keys("q");
        assert!(terminal.wait_for_end().success());
    }
}
