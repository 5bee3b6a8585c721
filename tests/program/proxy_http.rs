//! Requests in absolute form: for any server on one connection, changed as RFC 9112 3.2.2 asks, and no further.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::proxy::{Proxy, read, read_head};
use crate::support::{Client, PATIENCE, UPGRADE};

/// Another server, and its address.
fn another() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    (listener, target)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[test]
fn a_request_gets_origin_form_the_urls_host_and_loses_what_is_for_the_proxy() {
    let proxy = Proxy::start(&[]);
    let target = proxy.target();
    let mut client = Client::bare(proxy.program.address());
    client.send(
        format!(
            "POST http://{target}/form?a HTTP/1.1\r\nhost:  other \r\nProxy-Connection: keep-alive\r\nX-Odd :y\r\n\
             Content-Length: 5\r\nProxy-Authorization: Basic eA==\r\n\r\nhello"
        )
        .as_bytes(),
    );
    let mut server = proxy.accept();
    let expected = format!("POST /form?a HTTP/1.1\r\nhost:  {target} \r\nX-Odd :y\r\nContent-Length: 5\r\n\r\nhello");
    read(&mut server, expected.as_bytes());
    server.write_all(b"HTTP/1.1 204 No Content\r\nConnection: x\r\n\r\n").unwrap();
    read(&mut client.stream, b"HTTP/1.1 204 No Content\r\nConnection: x\r\n\r\n");
    let http = proxy.event("http");
    assert_eq!((&http["target"], &http["status"]), (&json!(format!("http://{target}/form?a")), &json!(204)));
    assert_eq!(http["request"]["headers"][0], json!(["host", "other"]), "what the client sent is kept");
    assert_eq!(http["sent_on"]["lines"], json!(["POST /form?a HTTP/1.1", format!("host:  {target} ")]));
    let removed = ["Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA=="];
    assert_eq!(http["sent_on"]["removed"], json!(removed), "{http}");
    assert_eq!(http["request_length"], 5);
}

#[test]
fn requests_on_one_connection_go_to_the_server_that_each_is_for_once_those_before_are_answered() {
    let proxy = Proxy::start(&[]);
    let (second, other) = another();
    let target = proxy.target();
    let mut client = Client::bare(proxy.program.address());
    let request = |server: &str, path: &str| format!("GET http://{server}{path} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    let origin = |server: &str, path: &str| format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    // all at once: two for the first server, one for the second one, and the first one again
    let all = [request(&target, "/1"), request(&target, "/2"), request(&other, "/3"), request(&target, "/4")].concat();
    client.send(all.as_bytes());
    let mut server = proxy.accept();
    read(&mut server, [origin(&target, "/1"), origin(&target, "/2")].concat().as_bytes());
    let body = vec![b'b'; 300_000];
    let long = [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    let (answer, mut writer) = (long.clone(), server.try_clone().unwrap());
    let answers = std::thread::spawn(move || {
        writer.write_all(b"HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\n").unwrap();
        writer.write_all(&answer).unwrap();
    });
    read(&mut client.stream, b"HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\n");
    let mut got = vec![0; long.len()];
    client.stream.read_exact(&mut got).unwrap();
    assert!(got == long, "the whole response comes before the next server is asked");
    answers.join().unwrap();
    let mut at_second = accept(&second);
    read(&mut at_second, origin(&other, "/3").as_bytes());
    at_second.write_all(b"HTTP/1.1 203 C\r\nContent-Length: 0\r\n\r\n").unwrap();
    read(&mut client.stream, b"HTTP/1.1 203 C\r\nContent-Length: 0\r\n\r\n");
    let mut again = proxy.accept();
    read(&mut again, origin(&target, "/4").as_bytes());
    again.write_all(b"HTTP/1.1 204 D\r\n\r\n").unwrap();
    read(&mut client.stream, b"HTTP/1.1 204 D\r\n\r\n");
    // and then a WebSocket, again elsewhere
    client.send(format!("GET ws://{other}/chat HTTP/1.1\r\nHost: {other}\r\n{UPGRADE}\r\n").as_bytes());
    let mut at_second = accept(&second);
    assert!(read_head(&mut at_second).starts_with("GET /chat HTTP/1.1\r\n"));
    at_second
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi",
        )
        .unwrap();
    client.read_opened();
    assert_eq!(client.read_frame().1, b"hi");
    for (n, (server, path, status)) in
        (1..).zip([(&target, "/1", 201), (&target, "/2", 200), (&other, "/3", 203), (&target, "/4", 204)])
    {
        let http = proxy.program.event("the exchange", |event| event["event"] == "http" && event["n"] == n);
        assert_eq!((&http["target"], &http["status"]), (&json!(format!("http://{server}{path}")), &json!(status)));
        assert!(
            http["sent_on"]["to"].as_str().unwrap().rsplit(':').next() == server.rsplit(':').next(),
            "sent to whom it is for: {http}"
        );
    }
    assert_eq!(proxy.event("open")["target"], format!("ws://{other}/chat"));
}

#[test]
fn a_server_of_the_second_request_that_is_not_there_is_a_502() {
    let proxy = Proxy::start(&[]);
    let gone = another().1;
    let target = proxy.target();
    let mut client = Client::bare(proxy.program.address());
    client.send(format!("GET http://{target}/ HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let mut server = proxy.accept();
    read_head(&mut server);
    server.write_all(b"HTTP/1.1 204 A\r\n\r\n").unwrap();
    read(&mut client.stream, b"HTTP/1.1 204 A\r\n\r\n");
    client.send(format!("GET http://{gone}/ HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let answer = String::from_utf8(client.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains(&format!("{gone} refused")), "{answer}");
    assert_eq!(server.read(&mut [0]).unwrap(), 0, "the first server's connection ends");
}

#[test]
fn a_tunnel_is_not_made_of_a_connection_that_has_been_used() {
    let proxy = Proxy::start(&[]);
    let target = proxy.target();
    let mut client = Client::bare(proxy.program.address());
    client.send(format!("GET http://{target}/ HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let mut server = proxy.accept();
    read_head(&mut server);
    server.write_all(b"HTTP/1.1 204 A\r\n\r\n").unwrap();
    read(&mut client.stream, b"HTTP/1.1 204 A\r\n\r\n");
    client.send(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes());
    let answer = String::from_utf8(client.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("A tunnel has to be asked for by the first request of a connection.\n"), "{answer}");
}

#[test]
fn requests_for_a_host_that_is_not_looked_at_are_sent_on_and_counted_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.pcapng");
    let (shown, other) = another();
    let proxy = Proxy::start(&["--only", &other, "--record", file.to_str().unwrap()]);
    let target = proxy.target();
    let mut client = Client::bare(proxy.program.address());
    let secret = format!("GET http://{target}/secret HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(secret.as_bytes());
    let mut server = proxy.accept();
    assert_eq!(read_head(&mut server), format!("GET /secret HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").unwrap();
    read(&mut client.stream, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    // one for a host that is looked at needs another connection, which clients make
    client.send(format!("GET http://{other}/ HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    assert_eq!(client.read_to_end(), b"");
    let mut client = Client::bare(proxy.program.address());
    client.send(format!("GET http://{other}/ HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let mut at_shown = accept(&shown);
    read_head(&mut at_shown);
    at_shown.write_all(b"HTTP/1.1 204 A\r\n\r\n").unwrap();
    read(&mut client.stream, b"HTTP/1.1 204 A\r\n\r\n");
    // and so does one that is not, after it
    client.send(secret.as_bytes());
    assert_eq!(client.read_to_end(), b"");
    let tunnel = proxy.program.event("what was not looked at", |event| event["tunnel"]["target"] == target);
    assert_eq!((&tunnel["event"], &tunnel["request_length"]), (&json!("http"), &json!(secret.len())));
    assert_eq!((&tunnel["tunnel"]["opened"], &tunnel["tunnel"]["request"]), (&json!(false), &json!(null)));
    let looked_at = proxy.program.event("what was", |event| event["status"] == 204);
    assert_eq!(looked_at["target"], format!("http://{other}/"));
    proxy.program.finish();
    let recorded = std::fs::read(&file).unwrap();
    assert!(!recorded.windows(6).any(|bytes| bytes == b"secret"), "the recording has none of it");
}
