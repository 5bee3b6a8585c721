//! RFC 6455 4.2: the server's side of the opening handshake.

use super::*;
use crate::endpoint::{Page, State};
use crate::wire::Opcode;

/// What `request` is refused with: the status and the whole response.
fn refusal(config: Config, request: impl AsRef<[u8]>) -> (u16, String) {
    let mut play = Play::connected(config);
    play.hears(request);
    let response = String::from_utf8(play.takes()).unwrap();
    let Some(Event::Refused { status: Some(status), reason, .. }) = play.events().pop() else { panic!("{response}") };
    assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, format!("{reason}\n"));
    let head = format!("{head}\r\n");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: close\r\n") || status == 426, "{head}");
    play.hears("what follows is not looked at").says_nothing().hangs_up();
    assert_eq!(play.endpoint.end(), None, "it never was open");
    (status, response)
}

fn with_page() -> Config {
    let headers = vec![
        ("Content-Type".to_owned(), "text/html".to_owned()),
        ("Content-Security-Policy".to_owned(), "default-src 'self'".to_owned()),
    ];
    Config { pages: vec![Page { path: "/", body: b"<p>hi".into(), headers }], ..Config::default() }
}

#[test]
fn the_example_of_rfc_6455_1_3_is_accepted() {
    let mut play = Play::connected(Config::default());
    assert_eq!(play.endpoint.state(), State::Connecting);
    play.hears(REQUEST).says(ACCEPTED);
    assert_eq!(play.endpoint.state(), State::Open);
    let events = play.events();
    let [Event::Request(request), Event::Opened(opening, accepted)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(request.head.raw(), REQUEST.as_bytes());
    assert_eq!((opening.target.as_str(), &accepted.subprotocol), ("/chat", &None));
    assert_eq!(play.by_user, [0_usize; 0]);
}

#[test]
fn the_request_may_come_in_two_pieces_split_anywhere_with_frames_right_behind_it() {
    let stream = [REQUEST.as_bytes(), &client(Opcode::TEXT, "early")].concat();
    let expected = [ACCEPTED.as_bytes(), &server(Opcode::TEXT, "early")].concat();
    for split in 0..=stream.len() {
        let (first, second) = stream.split_at(split);
        let mut play = Play::connected(Config::default());
        play.hears(first).hears(second).says(&expected);
        assert_eq!(play.by_user, [0_usize; 0]);
    }
    let mut play = Play::connected(Config::default());
    for byte in &stream {
        play.hears([*byte]);
    }
    play.says(&expected);
}

#[test]
fn each_bad_request_is_refused_with_its_status_and_a_reason() {
    for (from, to, status, reason) in [
        ("Upgrade: websocket\r\n", "Upgrade: websocket\n", 400, "LF alone"),
        ("\r\n\r\n", "\n\n", 400, "LF alone"),
        ("Host:", "Host :", 400, "header-malformed"),
        ("Host:", "Host: b\r\nHost:", 400, "may stand only once"),
        ("GET /chat", "GET", 400, "no request or status line"),
        ("Host: server.example.com\r\n", "", 400, "There is no Host header."),
        ("Upgrade: websocket\r\n", "", 400, "There is no Upgrade header."),
        ("Connection: Upgrade\r\n", "", 400, "There is no Connection header."),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, "There is no Sec-WebSocket-Key header."),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 400, "16 random bytes in base64"),
        ("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Extensions: a;;\r\n", 400, "cannot be read"),
        ("GET", "POST", 405, "The method is \"POST\"."),
        ("HTTP/1.1", "HTTP/1.0", 505, "The version is \"HTTP/1.0\"."),
        ("HTTP/1.1", "HTTP/2.0", 505, "HTTP/1.1 or a higher version of HTTP/1"),
        ("Version: 13", "Version: 8", 426, "Sec-WebSocket-Version: 8"),
        ("Sec-WebSocket-Version: 13\r\n", "", 426, "There is no Sec-WebSocket-Version header."),
    ] {
        assert!(REQUEST.contains(from));
        let (found, response) = refusal(Config::default(), REQUEST.replace(from, to));
        assert_eq!(found, status, "{from:?} → {to:?}: {response}");
        assert!(response.contains(reason), "{reason:?} is not in {response}");
    }
}

#[test]
fn the_gravest_fault_decides_the_status() {
    let bad = REQUEST.replace("Version: 13", "Version: 8");
    assert_eq!(refusal(Config::default(), &bad).0, 426);
    let bad = bad.replace("Connection: Upgrade\r\n", "");
    assert_eq!(refusal(Config::default(), &bad).0, 400);
    let bad = bad.replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(refusal(Config::default(), &bad).0, 505);
    let bad = bad.replace("GET", "PUT");
    assert_eq!(refusal(Config::default(), &bad).0, 405);
    assert_eq!(refusal(Config::default(), bad.replace("Host:", "Host")).0, 400);
}

#[test]
fn a_refusal_names_what_would_be_right_in_the_headers_that_http_has_for_it() {
    let (_, response) = refusal(Config::default(), REQUEST.replace("GET", "POST"));
    assert!(response.contains("\r\nAllow: GET\r\n"));
    let (_, response) = refusal(Config::default(), REQUEST.replace("Version: 13", "Version: 25"));
    assert!(response.contains("\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
}

#[test]
fn a_hundred_kilobytes_of_headers_are_refused_however_they_are_cut() {
    let long = REQUEST.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(100_000)));
    assert_eq!(refusal(Config::default(), &long).0, 431);
    let mut play = Play::connected(Config::default());
    for piece in long.as_bytes().chunks(1000) {
        play.hears(piece);
    }
    assert!(play.takes().starts_with(b"HTTP/1.1 431 "));
    play.hangs_up();
}

#[test]
fn a_head_that_trickles_in_has_the_time_of_one_that_does_not_come() {
    let mut silent = Play::connected(Config::default());
    silent.waits(9 * SECOND).says_nothing().waits(SECOND);
    assert!(silent.takes().starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
    silent.hangs_up();

    let mut slow = Play::connected(Config::default());
    for byte in REQUEST.bytes().take(100) {
        slow.hears([byte]).waits(SECOND / 10);
    }
    assert!(slow.takes().starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
    let Some(Event::Refused { status: Some(408), reason, .. }) = slow.event() else { panic!() };
    assert_eq!(reason, "The head of the request was not whole after 10s.");
    slow.hangs_up();
}

#[test]
fn bytes_that_come_before_anybody_looked_at_the_clock_come_too_late_all_the_same() {
    let mut play = Play::connected(Config::default());
    play.now += 11 * SECOND;
    play.hears(REQUEST);
    assert!(play.takes().starts_with(b"HTTP/1.1 408 "));
}

#[test]
fn a_peer_that_goes_before_its_request_is_whole_is_told_of_without_a_status() {
    for reset in [false, true] {
        let mut play = Play::connected(Config::default());
        play.hears(&REQUEST[..50]);
        if reset {
            play.endpoint.receive_reset(play.now);
        } else {
            play.hears_the_end();
        }
        assert!(matches!(play.event(), Some(Event::Refused { status: None, .. })));
        play.is_over();
    }
}

#[test]
fn the_first_of_the_clients_subprotocols_that_is_spoken_here_is_chosen() {
    let spoken = |names: &[&str]| {
        let subprotocols = names.iter().map(|&name| name.to_owned()).collect();
        let mut play = Play::connected(Config { subprotocols, ..Config::default() });
        play.hears(REQUEST);
        let chosen = play.events().into_iter().find_map(|event| match event {
            Event::Opened(_, accepted) => accepted.subprotocol,
            _ => None,
        });
        let response = String::from_utf8(play.takes()).unwrap();
        let line = chosen.as_ref().map(|name| format!("\r\nSec-WebSocket-Protocol: {name}\r\n"));
        assert!(line.map_or(!response.contains("Protocol:"), |line| response.contains(&line)), "{response}");
        chosen
    };
    assert_eq!(spoken(&["superchat", "chat"]).as_deref(), Some("chat"));
    assert_eq!(spoken(&["soap", "superchat"]).as_deref(), Some("superchat"));
    assert_eq!(spoken(&["soap"]), None);
    assert_eq!(spoken(&[]), None);
}

#[test]
fn what_is_not_wanted_is_not_agreed_on_and_a_configured_header_is_sent() {
    let headers = vec![("Server".to_owned(), "wsinspect".to_owned())];
    let mut play = Play::connected(Config { headers, deflate: None, ..Config::default() });
    play.hears(REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"))
        .says(ACCEPTED.replace("\r\n\r\n", "\r\nServer: wsinspect\r\n\r\n"));
}

#[test]
fn only_listed_origins_may_connect_and_whoever_sends_none() {
    let config = |origin: &str| Config { origins: vec![origin.to_owned()], ..Config::default() };
    for allowed in ["http://example.com", "HTTP://Example.com:80", "http://example.com/"] {
        Play::open(config(allowed));
    }
    for other in ["https://example.com", "http://example.com:8080", "example.com"] {
        assert_eq!(refusal(config(other), REQUEST).0, 403, "{other}");
    }
    let twice = REQUEST.replace("Origin:", "Origin: http://evil.example\r\nOrigin:");
    assert_eq!(refusal(config("http://example.com"), twice).0, 403);
    let none = REQUEST.replace("Origin: http://example.com\r\n", "");
    Play::connected(config("http://other.example")).hears(none).says(ACCEPTED);
}

#[test]
fn a_browser_that_asks_for_a_page_gets_it() {
    for request in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?x=1 HTTP/1.0\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"]
    {
        let mut play = Play::connected(with_page());
        play.hears(request).says(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\n\
            Content-Security-Policy: default-src 'self'\r\nContent-Length: 5\r\n\r\n<p>hi",
        );
        assert!(matches!(play.events()[..], [Event::Request(_), Event::Page]));
        play.hangs_up();
    }
}

#[test]
fn a_plain_request_for_anything_else_is_refused() {
    let host = "Host: a\r\n\r\n";
    assert_eq!(refusal(with_page(), format!("GET /favicon.ico HTTP/1.1\r\n{host}")).0, 404);
    assert_eq!(refusal(with_page(), format!("HEAD / HTTP/1.1\r\n{host}")).0, 405);
    assert_eq!(refusal(with_page(), format!("POST / HTTP/1.1\r\n{host}")).0, 405);
    assert_eq!(refusal(with_page(), format!("GET / HTTP/3.0\r\n{host}")).0, 505);
    assert_eq!(refusal(with_page(), "GET / HTTP/1.1\r\n\r\n").0, 400);
    assert_eq!(refusal(with_page(), "GET /\r\n\r\n").0, 400);
    assert_eq!(refusal(with_page(), format!("GET / HTTP/1.1\n{host}")).0, 400);
    assert_eq!(refusal(Config::default(), format!("GET / HTTP/1.1\r\n{host}")).0, 426);
}

#[test]
fn the_tolerant_accept_any_request_to_which_an_answer_can_be_made() {
    let tolerant = Config { tolerant: true, ..Config::default() };
    for (from, to) in [("Version: 13", "Version: 8"), ("Host: server.example.com\r\n", ""), ("\r\n", "\n")] {
        Play::connected(tolerant.clone()).hears(REQUEST.replace(from, to)).says(ACCEPTED);
    }
    assert_eq!(refusal(tolerant, REQUEST.replace("Sec-WebSocket-Key", "Key")).0, 400);
}

#[test]
fn when_the_program_ends_a_request_that_is_coming_in_gets_an_answer() {
    let mut play = Play::connected(Config::default());
    play.hears(&REQUEST[..50]);
    play.endpoint.shutdown(play.now);
    assert!(play.takes().starts_with(b"HTTP/1.1 503 "));
    play.waits(SECOND).is_over();
}
