//! Connections to servers through another proxy, of HTTP and of SOCKS5, and what can go wrong with it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::proxy::{read, read_head};
use crate::support::{Client, PATIENCE, Program, exchange, request};

/// A proxy that serves one connection as `serve` does; its address.
fn proxy_of(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        serve(stream);
    });
    address
}

/// Passes on what comes on either side until it ends.
fn pass(client: TcpStream, server: TcpStream) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let up = std::thread::spawn(move || {
        // an end on either side ends both
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
    up.join().unwrap();
}

/// Opens a WebSocket by a relay to `server` through a proxy, and sends a text and reads its echo.
#[track_caller]
fn echoes_through(proxy: &str, server: &Program) {
    let upstream = format!("localhost:{}", server.port());
    let relay = Program::relay("0", &[&upstream, "--upstream-proxy", proxy, "--format", "json"]);
    let mut client = Client::open(relay.address());
    client.echoes("through both");
    client.close(wsinspect::wire::CloseCode::NORMAL, "");
    assert_eq!(relay.event("the opening", |event| event["event"] == "open")["status"], json!(null));
}

#[test]
fn a_relay_goes_through_a_proxy_of_http_with_a_name_and_a_password() {
    let server = Program::serve(&[]);
    let address = server.address();
    let target = format!("localhost:{}", server.port());
    let proxy = proxy_of(move |mut client| {
        let expected =
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n");
        assert_eq!(read_head(&mut client), expected);
        client.write_all(b"HTTP/1.0 200 Fine\r\nVia: me\r\n\r\n").unwrap();
        pass(client, TcpStream::connect(address).unwrap());
    });
    echoes_through(&format!("http://user:p%40ss@{proxy}"), &server);
}

#[test]
fn a_relay_goes_through_a_proxy_of_socks5_which_looks_names_up() {
    let server = Program::serve(&[]);
    let (address, port) = (server.address(), server.port().to_be_bytes());
    let ask = [&b"\x05\x01\x00\x03\x09localhost"[..], &port].concat();
    let expected = ask.clone();
    let proxy = proxy_of(move |mut client| {
        read(&mut client, b"\x05\x01\x00");
        client.write_all(b"\x05\x00").unwrap();
        read(&mut client, &expected);
        // the bound address is a name, which is passed over
        client.write_all(b"\x05\x00\x00\x03\x01a\x00\x00").unwrap();
        pass(client, TcpStream::connect(address).unwrap());
    });
    echoes_through(&format!("socks5://{proxy}"), &server);
    let proxy = proxy_of(move |mut client| {
        read(&mut client, b"\x05\x02\x00\x02");
        client.write_all(b"\x05\x02").unwrap();
        read(&mut client, b"\x01\x04user\x04p@ss");
        client.write_all(b"\x01\x00").unwrap();
        read(&mut client, &ask);
        client.write_all(b"\x05\x00\x00\x04aaaaaaaaaaaaaaaa\x00\x00").unwrap();
        pass(client, TcpStream::connect(address).unwrap());
    });
    echoes_through(&format!("socks5://user:p%40ss@{proxy}"), &server);
}

#[test]
fn a_relay_and_a_proxy_go_through_a_proxy_of_ours() {
    let server = Program::serve(&[]);
    let ours = Program::proxy("0", &[], &[]);
    let upstream = format!("http://{}", ours.address());
    echoes_through(&upstream, &server);
    let first = Program::proxy("0", &["--upstream-proxy", &upstream], &[]);
    let mut client = Client::bare(first.address());
    client.send(format!("CONNECT {} HTTP/1.1\r\n\r\n", server.address()).as_bytes());
    assert_eq!(read_head(&mut client.stream), "HTTP/1.1 200 Connection established\r\n\r\n");
    client.send(request("").as_bytes());
    client.read_opened();
    client.echoes("through two");
    client.close(wsinspect::wire::CloseCode::NORMAL, "");
    let open = first.event("the opening", |event| event["event"] == "open");
    assert_eq!(open["tunnel"]["to"], ours.address().to_string(), "{open}");
    let open = ours.event("the opening", |event| {
        event["event"] == "open" && event["tunnel"]["target"] == server.address().to_string()
    });
    assert_eq!(open["target"], "/chat");
}

#[test]
fn what_is_wrong_with_a_proxy_is_said_in_a_sentence() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let http = |answer: &'static [u8]| {
        let proxy = proxy_of(move |mut client| {
            read_head(&mut client);
            client.write_all(answer).unwrap();
            // whoever has read enough goes
            let _ = client.read(&mut [0; 100]);
        });
        format!("http://{proxy}")
    };
    let socks5 = |answers: &'static [&'static [u8]]| {
        let proxy = proxy_of(move |mut client| {
            for answer in answers {
                assert!(client.read(&mut [0; 600]).unwrap() > 0);
                client.write_all(answer).unwrap();
            }
            let _ = client.read(&mut [0; 100]);
        });
        format!("socks5://{proxy}")
    };
    let with_password = |proxy: String| proxy.replace("://", "://user:secret@");
    for (proxy, says) in [
        (format!("http://{gone}"), "The proxy PROXY refused the connection: nothing listens there."),
        ("http://no-such-host.invalid:1".to_owned(), "The host of the proxy PROXY was not found."),
        (
            http(b"HTTP/1.1 403 Not for you\r\nX: y\r\n\r\n"),
            "The proxy PROXY did not connect to ws://localhost:1: it answered with status 403 (Not for you).",
        ),
        (http(b"HTTP/1.1 407 Who\r\n\r\n"), "The proxy PROXY wants to know who asks: give a name and a password"),
        (
            with_password(http(b"HTTP/1.1 407 Who\r\n\r\n")),
            "The proxy PROXY does not take the name and the password that it was given.",
        ),
        (http(b"SSH-2.0-x\r\n"), "The proxy PROXY does not answer like an HTTP proxy"),
        (http(b"HTTP/1.1 nothing\r\n\r\n"), "The proxy PROXY does not answer like an HTTP proxy"),
        (http(b"HTTP/1.1 200 "), "The proxy PROXY did not connect to ws://localhost:1 within 10 seconds."),
        (
            socks5(&[b"\x05\x00", b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"]),
            "The proxy PROXY did not connect to ws://localhost:1: it answered with reply 5 (connection refused).",
        ),
        (socks5(&[b"\x05\xff"]), "The proxy PROXY wants to know who asks"),
        (with_password(socks5(&[b"\x05\xff"])), "The proxy PROXY does not take the name and the password"),
        (with_password(socks5(&[b"\x05\x02", b"\x01\x01"])), "The proxy PROXY does not take the name and the password"),
        (socks5(&[b"HTTP/1.1 400 Bad\r\n\r\n"]), "The proxy PROXY does not answer like a SOCKS5 proxy"),
        (socks5(&[b"\x05\x07"]), "The proxy PROXY does not answer like a SOCKS5 proxy"),
        (socks5(&[b"\x05\x00", b"\x05\x00\x00\x09"]), "The proxy PROXY does not answer like a SOCKS5 proxy"),
    ] {
        check(&proxy, says);
    }
    let ended = proxy_of(|mut client| drop(read_head(&mut client)));
    check(
        &format!("http://{ended}"),
        "The proxy PROXY ended the connection instead of connecting to ws://localhost:1.",
    );
    let endless = proxy_of(|mut client| {
        read_head(&mut client);
        let head = [&b"HTTP/1.1 200 OK\r\n"[..], &b"X: y\r\n".repeat(3000)].concat();
        // it is not read to its end
        let _ = client.write_all(&head);
        let _ = client.read(&mut [0; 100]);
    });
    check(&format!("http://{endless}"), "The proxy PROXY does not answer like an HTTP proxy");
}

#[track_caller]
fn check(proxy: &str, says: &str) {
    let relay = Program::relay("0", &["localhost:1", "--upstream-proxy", proxy, "--format", "json"]);
    let response = exchange(relay.address(), request("").as_bytes());
    let body = String::from_utf8(response.body).unwrap();
    let says = says.replace("PROXY", &proxy.replace("user:secret@", ""));
    assert!(body.starts_with(&says), "{says}: {body}");
    assert!(!body.contains("secret"), "{body}");
    assert_eq!(response.status, if says.contains("within 10 seconds") { 504 } else { 502 });
    let event = relay.event("the refusal", |event| event["event"] == "refused");
    assert_eq!(event["reason"], body.trim_end());
}
