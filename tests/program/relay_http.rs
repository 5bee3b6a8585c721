//! HTTP through the relay: every request on a connection that is kept alive, and the socket that comes of one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use serde_json::{Value, json};
use wsinspect::wire::Opcode;
use wsinspect::wire::handshake::accept_key;

use crate::support::{Client, KEY, PATIENCE, Program, UPGRADE, run};

/// A relay, and the server behind it, which does what the test says.
struct Relay {
    program: Program,
    listener: TcpListener,
}

impl Relay {
    fn start(arguments: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let program = Program::relay("0", &[&[&upstream, "--format", "json"], arguments].concat());
        Self { program, listener }
    }

    fn client(&self) -> Client {
        Client::bare(self.program.address())
    }

    fn accept(&self) -> TcpStream {
        let stream = self.listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn http(&self, n: u64) -> Value {
        self.program.event("the exchange", |event| event["event"] == "http" && event["n"] == n)
    }

    /// What a request for `client` becomes.
    fn sent_on(&self, request: &str) -> String {
        request.replace("Host: client", &format!("Host: {}", self.listener.local_addr().unwrap()))
    }
}

#[track_caller]
fn read(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

fn accepted() -> String {
    let accept = accept_key(KEY);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

#[test]
fn every_request_goes_on_with_the_servers_host_and_is_listed_and_then_a_socket_is_inspected() {
    let relay = Relay::start(&[]);
    let mut client = relay.client();
    let page = "GET /page HTTP/1.1\r\nHost: client\r\n\r\n";
    client.send(page.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(page));
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    read(&mut client.stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");

    let post = "POST /form HTTP/1.1\r\nHost: client\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(post.as_bytes());
    read(&mut server, &relay.sent_on(post));
    server.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    read(&mut client.stream, "HTTP/1.1 100 Continue\r\n\r\n");
    // a body goes on at once, piece by piece, and what looks like a head in it stays as it is
    for piece in ["1F\r\n", "GET / HTTP/1.1\r\nHost: client\r\n\r", "\r\n", "0\r\n\r\n"] {
        client.send(piece.as_bytes());
        read(&mut server, piece);
    }
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    read(&mut client.stream, "HTTP/1.1 204 No Content\r\n\r\n");

    let upgrade = format!("GET /socket HTTP/1.1\r\nHost: client\r\n{UPGRADE}\r\n");
    client.send(upgrade.as_bytes());
    read(&mut server, &relay.sent_on(&upgrade));
    server.write_all(&[accepted().as_bytes(), b"\x81\x02hi"].concat()).unwrap();
    client.read_opened();
    assert_eq!(client.read_frame().1, b"hi");
    client.message(Opcode::TEXT, b"yes");

    let first = relay.http(1);
    assert_eq!(
        (&first["conn"], &first["target"], &first["status"]),
        (&json!(1), &json!("/page"), &json!(200)),
        "{first}"
    );
    assert_eq!((&first["response_length"], &first["complete"]), (&json!(5), &json!(true)));
    assert_eq!(first["request"]["headers"], json!([["Host", "client"]]), "what the client sent");
    assert_eq!(first["sent_on"]["lines"][0], relay.sent_on("Host: client"));
    let second = relay.http(2);
    assert_eq!((&second["status"], &second["request_length"]), (&json!(204), &json!(42)), "{second}");
    let open = relay.program.event("the opening", |event| event["event"] == "open");
    assert_eq!((&open["conn"], &open["target"], &open["findings"]), (&json!(1), &json!("/socket"), &json!([])));
    assert_eq!(open["sent_on"]["lines"][0], relay.sent_on("Host: client"));
    let frame = relay.program.event("the frame", |event| event["event"] == "frame" && event["from"] == "client");
    assert_eq!(frame["text"], "yes");
}

#[test]
fn requests_that_come_together_are_each_changed_and_answered_in_order() {
    let relay = Relay::start(&[]);
    let mut client = relay.client();
    let requests = [1, 2, 3, 4, 5].map(|n| format!("GET /{n} HTTP/1.1\r\nHost: client\r\n\r\n")).concat();
    client.send(requests.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(&requests));
    for n in 1..=5 {
        server.write_all(format!("HTTP/1.1 21{n} OK\r\nContent-Length: 1\r\n\r\n{n}").as_bytes()).unwrap();
    }
    for n in 1..=5 {
        let event = relay.http(n);
        assert_eq!((&event["target"], &event["status"]), (&json!(format!("/{n}")), &json!(210 + n)));
        assert_eq!(event["sent_on"]["lines"][0], relay.sent_on("Host: client"));
    }
}

#[test]
fn a_socket_that_is_refused_first_may_be_asked_for_again() {
    let relay = Relay::start(&["--rewrite-origin"]);
    let mut client = relay.client();
    let upgrade = format!("GET /socket HTTP/1.1\r\nHost: client\r\n{UPGRADE}\r\n");
    client.send(upgrade.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(&upgrade));
    let refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?";
    server.write_all(refusal.as_bytes()).unwrap();
    read(&mut client.stream, refusal);
    let again = upgrade.replace("\r\n\r\n", "\r\nAuthorization: me\r\nOrigin: http://client\r\n\r\n");
    client.send(again.as_bytes());
    let changed = again.replace("http://client", &format!("http://{}", relay.listener.local_addr().unwrap()));
    read(&mut server, &relay.sent_on(&changed));
    server.write_all(accepted().as_bytes()).unwrap();
    client.read_opened();
    let refused = relay.program.event("the refusal", |event| event["event"] == "refused");
    assert_eq!((&refused["status"], &refused["conn"]), (&json!(401), &json!(1)), "{refused}");
    assert_eq!(refused["reason"], "The server answered with status 401: who?");
    let open = relay.program.event("the opening", |event| event["event"] == "open");
    assert_eq!((&open["conn"], &open["request"]["headers"][6][0]), (&json!(1), &json!("Origin")), "{open}");
}

#[test]
fn a_socket_that_the_server_does_not_answer_is_a_504_also_after_a_page() {
    let relay = Relay::start(&[]);
    let mut client = relay.client();
    let page = "GET / HTTP/1.1\r\nHost: client\r\n\r\n";
    client.send(page.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(page));
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    server.write_all(answer.as_bytes()).unwrap();
    read(&mut client.stream, answer);
    client.send(format!("GET /socket HTTP/1.1\r\nHost: client\r\n{UPGRADE}\r\n").as_bytes());
    read(&mut client.stream, "HTTP/1.1 504 Gateway Timeout\r\n");
    let refused = relay.program.event("the refusal", |event| event["event"] == "refused");
    assert_eq!(refused["reason"], "The server did not answer within 10 seconds.");
    assert_eq!((&refused["status"], &refused["request"]["line"]), (&json!(504), &json!("GET /socket HTTP/1.1")));
    assert_eq!(relay.http(1)["status"], 204);
}

#[test]
fn what_can_be_read_in_two_ways_goes_on_as_it_is_and_that_is_said() {
    let relay = Relay::start(&[]);
    let mut client = relay.client();
    let odd = "POST / HTTP/1.1\r\nHost: client\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rest = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: client\r\n\r\n";
    client.send(odd.as_bytes());
    client.send(rest.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(odd));
    read(&mut server, rest);
    server.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    let event = relay.http(1);
    assert_eq!(event["status"], 400);
    assert!(event["unclear"].as_str().unwrap().contains("both Content-Length and Transfer-Encoding"), "{event}");
}

#[test]
fn a_body_up_to_the_end_of_the_connection_is_whole_with_its_end_and_cut_short_by_a_reset() {
    let relay = Relay::start(&[]);
    for (n, resets) in [(1, false), (2, true)] {
        let mut client = relay.client();
        client.send(b"GET / HTTP/1.0\r\n\r\n");
        let mut server = relay.accept();
        read(&mut server, "GET / HTTP/1.0\r\n\r\n");
        server.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it").unwrap();
        read(&mut client.stream, "HTTP/1.0 200 OK\r\n\r\nall of it");
        if resets {
            rustix::net::sockopt::set_socket_linger(&server, Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(server);
        if !resets {
            assert_eq!(client.read_to_end(), b"");
        }
        let event = relay.http(n);
        assert_eq!((&event["complete"], &event["response_length"]), (&json!(!resets), &json!(9)), "{event}");
    }
}

#[test]
fn a_head_that_stops_in_its_middle_goes_on_with_the_end_of_its_client() {
    let relay = Relay::start(&[]);
    let mut client = relay.client();
    let page = "GET / HTTP/1.1\r\nHost: client\r\n\r\n";
    client.send(page.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(page));
    client.send(b"GET /half HTTP/1.1\r\nHost: cli");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    server.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "GET /half HTTP/1.1\r\nHost: cli");
}

#[test]
fn whoever_resets_before_there_is_a_socket_is_said_to_have_done_so() {
    let relay = Relay::start(&[]);
    let mut client = relay.client();
    client.send(b"GET / HT");
    // it has been read by then
    relay.program.stderr().wait("the start", |lines| (!lines.is_empty()).then_some(()));
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    let event = relay.program.event("the refusal", |event| event["event"] == "refused");
    assert_eq!(event["reason"], "The client reset the TCP connection (RST) before the request was whole.");
    let mut client = relay.client();
    let upgrade = format!("GET / HTTP/1.1\r\nHost: client\r\n{UPGRADE}\r\n");
    client.send(upgrade.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(&upgrade));
    rustix::net::sockopt::set_socket_linger(&server, Some(std::time::Duration::ZERO)).unwrap();
    drop(server);
    let event = relay.program.event("the refusal", |event| event["event"] == "refused" && event["conn"] == 2);
    assert_eq!(event["reason"], "The server reset the TCP connection (RST) before an answer came.");
}

#[test]
fn a_recording_shows_again_how_requests_were_sent_on_and_how_long_that_took() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relayed.pcapng");
    let relay = Relay::start(&["--record", path.to_str().unwrap()]);
    let mut client = relay.client();
    let page = "GET /page HTTP/1.1\r\nHost: client\r\n\r\n";
    client.send(page.as_bytes());
    let mut server = relay.accept();
    read(&mut server, &relay.sent_on(page));
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    read(&mut client.stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let upgrade = format!("GET /socket HTTP/1.1\r\nHost: client\r\n{UPGRADE}\r\n");
    client.send(upgrade.as_bytes());
    read(&mut server, &relay.sent_on(&upgrade));
    server.write_all(&[accepted().as_bytes(), b"\x89\x01a\x89\x01b"].concat()).unwrap();
    client.read_opened();
    client.message(Opcode::PONG, b"b");
    client.message(Opcode::PONG, b"unasked");
    server.read_exact(&mut [0; 20]).unwrap();
    server.write_all(b"\x88\x02\x03\xe8").unwrap();
    client.read_frame();
    client.read_frame();
    assert_eq!(client.read_close().0, Some(wsinspect::wire::CloseCode::NORMAL));
    client.message(Opcode::CLOSE, b"\x03\xe9");
    server.read_exact(&mut [0; 8]).unwrap();
    drop(server);
    client.ended();
    let close = relay.program.close_event(1);
    assert_eq!(
        close["verdict"],
        "The server closed with 1000 (normal closure), and the client answered with 1001 (going away): \
         the closing handshake is complete; then the server ended the TCP connection (FIN)."
    );
    let pings = &close["pings"]["server"];
    let counts = ["sent", "answered", "passed_over", "unanswered"].map(|name| pings[name].as_u64().unwrap());
    assert_eq!(counts, [2, 1, 1, 0], "{close}");
    assert_eq!(close["pings"]["client"]["unsolicited_pongs"], 1);
    assert!(close["delay"]["client"]["mean"].as_f64() <= close["delay"]["client"]["most"].as_f64(), "{close}");
    let live = relay.program.finish();
    let opened = run(&["open", path.to_str().unwrap(), "--format", "json"]);
    let again: Vec<Value> = opened.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(live, again);
}
