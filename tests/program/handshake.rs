//! The opening handshake over real sockets: the answer that RFC 6455 4.2 states, however the request comes.

use wsinspect::wire::{CloseCode, Opcode};

use crate::support::{Client, Program, Response, UPGRADE, exchange, request};

/// A client that does everything right is served.
#[track_caller]
fn assert_unharmed(program: &Program) {
    let mut client = Client::open(program.address());
    client.echoes("still here");
    client.close(CloseCode::NORMAL, "");
}

/// `request` is refused with `status`, and the server goes on.
#[track_caller]
fn refused(request: impl AsRef<[u8]>, status: u16) -> Response {
    let program = Program::json(&[]);
    let response = exchange(program.address(), request.as_ref());
    assert_eq!(response.status, status, "{}", response.head);
    assert!(response.header("Connection").is_some_and(|value| value.ends_with("close")), "{}", response.head);
    let length = response.header("Content-Length").unwrap().parse::<usize>().unwrap();
    assert_eq!(response.body.len(), length);
    assert!(length > 10, "the body says what was wrong");
    assert_unharmed(&program);
    response
}

#[test]
fn the_example_of_rfc_6455_1_3_is_answered_as_printed_there() {
    let program = Program::json(&[]);
    let client = Client::open_with(
        program.address(),
        "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n",
    );
    assert!(client.response.head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    for (name, value) in
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
    {
        assert_eq!(client.response.header(name), Some(value));
    }
    assert_eq!(client.response.header("Sec-WebSocket-Protocol"), None, "none is spoken here");
    assert_eq!(client.response.header("Sec-WebSocket-Extensions"), None);
}

#[test]
fn a_handshake_that_comes_byte_by_byte_is_accepted() {
    let program = Program::json(&[]);
    let mut client = Client::bare(program.address());
    for byte in request("").as_bytes() {
        client.send(&[*byte]);
    }
    client.read_opened();
    client.echoes("slowly");
}

#[test]
fn frames_in_the_same_segment_as_the_handshake_are_not_lost() {
    let program = Program::json(&[]);
    let mut client = Client::bare(program.address());
    let mut all = request("").into_bytes();
    for text in ["one", "two"] {
        all.extend(wsinspect::wire::frame(&crate::support::masked(Opcode::TEXT, 3), text.as_bytes()));
    }
    client.send(&all);
    client.read_opened();
    assert_eq!(client.read_frame().1, b"one");
    assert_eq!(client.read_frame().1, b"two");
}

#[test]
fn a_request_with_100_kb_of_headers_is_answered_431() {
    let many = "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(2000);
    refused(request(&many), 431);
    refused(request(&format!("X-Filler: {}\r\n", "a".repeat(100_000))), 431);
    refused(format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000)), 431);
}

#[test]
fn bare_line_feeds_are_answered_400() {
    refused(request("").replace("\r\n", "\n"), 400);
    refused(request("X-A: b\nX-C: d\r\n"), 400);
}

#[test]
fn a_request_without_host_is_answered_400() {
    refused(format!("GET /chat HTTP/1.1\r\n{UPGRADE}\r\n"), 400);
    refused("GET / HTTP/1.1\r\n\r\n", 400);
}

#[test]
fn a_version_other_than_13_is_answered_426_and_told_the_one_that_is_spoken() {
    for version in ["8", "14", "013", ""] {
        let version = format!("Version: {version}\r\n");
        let response = refused(request("").replace("Version: 13\r\n", &version), 426);
        assert_eq!(response.header("Sec-WebSocket-Version"), Some("13"));
        assert_eq!(response.header("Upgrade"), Some("websocket"));
        assert_eq!(response.header("Connection"), Some("Upgrade, close"));
    }
}

#[test]
fn a_method_other_than_get_is_answered_405_with_the_one_that_is_allowed() {
    for request in [
        request("").replacen("GET", "POST", 1),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        assert_eq!(refused(request, 405).header("Allow"), Some("GET"));
    }
}

#[test]
fn http_1_0_is_answered_505() {
    refused(request("").replace("HTTP/1.1", "HTTP/1.0"), 505);
}

#[test]
fn a_missing_or_broken_header_of_the_handshake_is_answered_400() {
    refused(request("").replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400);
    refused(request("").replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400);
    refused(request("").replace("Connection: Upgrade\r\n", "Connection: keep-alive\r\n"), 400);
    refused(request("Sec-WebSocket-Extensions: ;;\r\n"), 400);
}

#[test]
fn bytes_that_are_no_http_are_answered_and_do_no_harm() {
    let program = Program::json(&[]);
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..], b"\r\n\r\n\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        assert_eq!(exchange(program.address(), bytes).status / 100, 4);
    }
    assert_unharmed(&program);
}

#[test]
fn only_a_listed_origin_is_let_in_and_who_is_no_browser_has_none() {
    let program = Program::json(&["--origin", "http://good.example", "--origin", "https://also.example:8443"]);
    for foreign in ["http://evil.example", "https://good.example", "http://good.example.evil", "null"] {
        let response = exchange(program.address(), request(&format!("Origin: {foreign}\r\n")).as_bytes());
        assert_eq!(response.status, 403, "{foreign}");
    }
    for known in ["Origin: http://good.example\r\n", "Origin: https://also.example:8443\r\n", ""] {
        Client::open_with(program.address(), known).echoes("let in");
    }
}

#[test]
fn a_browser_that_asks_for_the_page_gets_it_and_nothing_from_elsewhere() {
    let program = Program::json(&[]);
    for (path, kind) in [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
        let response = exchange(program.address(), request.as_bytes());
        assert_eq!(response.status, 200);
        assert!(response.header("Content-Type").unwrap().starts_with(kind));
        let policy = response.header("Content-Security-Policy").unwrap();
        for directive in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(directive), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"));
    }
    assert_eq!(exchange(program.address(), b"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n").status, 404);
    assert_unharmed(&program);
}

#[test]
fn headers_given_with_h_are_in_the_response() {
    let program = Program::json(&["-H", "X-One: 1", "--header", "Set-Cookie: a=b; Path=/"]);
    let client = Client::open(program.address());
    assert_eq!(client.response.header("X-One"), Some("1"));
    assert_eq!(client.response.header("Set-Cookie"), Some("a=b; Path=/"));
}

#[test]
fn of_the_subprotocols_offered_the_clients_first_that_is_spoken_is_chosen() {
    let program = Program::json(&["--subprotocol", "v1.chat", "--subprotocol", "v2.chat"]);
    for (offer, chosen) in [
        ("Sec-WebSocket-Protocol: v2.chat, v1.chat\r\n", Some("v2.chat")),
        ("Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: v1.chat\r\n", Some("v1.chat")),
        ("Sec-WebSocket-Protocol: other\r\n", None),
        ("", None),
    ] {
        let client = Client::open_with(program.address(), offer);
        assert_eq!(client.response.header("Sec-WebSocket-Protocol"), chosen, "{offer}");
    }
    for (n, chosen) in [Some("v2.chat"), Some("v1.chat"), None, None].into_iter().enumerate() {
        let open = program.event("the opening", |event| event["event"] == "open" && event["conn"] == n + 1);
        assert_eq!(open["subprotocol"].as_str(), chosen);
    }
}
