//! RFC 6455 4.1: the client's side of the opening handshake.

use super::client::{ANSWER, Asked};
use super::*;
use crate::endpoint::{Ask, State};
use crate::lint::{Rule, check_request};
use crate::wire::handshake::{Head, Request};
use crate::wire::{DeflateOffer, Opcode, WindowOffer};

fn with(from: &str, to: &str) -> String {
    assert!(ANSWER.contains(from), "{from}");
    ANSWER.replacen(from, to, 1)
}

/// What comes of the answer: the status, the sentence, the beginning of the body.
#[track_caller]
fn refusal(asked: Asked, answer: impl AsRef<[u8]>) -> (Option<u16>, String, String) {
    let mut play = asked.play();
    play.hears(answer).hears_the_end();
    let events = play.events();
    let [Event::Refused { status, reason, body, .. }] = &events[..] else { panic!("{events:?}") };
    play.says_nothing().is_over();
    assert_eq!(play.endpoint.end(), None, "it never was open");
    (*status, reason.clone(), String::from_utf8(body.clone()).unwrap())
}

#[test]
fn the_request_is_one_that_no_server_has_to_complain_about() {
    let ask = Ask {
        origin: Some("http://example.com".to_owned()),
        subprotocols: vec!["chat".to_owned(), "superchat".to_owned()],
        deflate: Some(DeflateOffer { client_max_window_bits: Some(WindowOffer::Any), ..DeflateOffer::default() }),
        headers: vec![("Authorization".to_owned(), "Basic YTpi".to_owned())],
        ..client::ask()
    };
    let expected = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nAuthorization: Basic YTpi\r\n\r\n";
    assert_eq!(String::from_utf8(ask.request()).unwrap(), expected);
    let request = Request::read(Head::parse(ask.request()));
    assert_eq!(check_request(&request), []);
    assert!(request.opening().is_ok());
}

#[test]
fn a_header_of_the_users_takes_the_place_of_ours() {
    let headers = vec![("host".to_owned(), "other".to_owned()), ("Sec-WebSocket-Version".to_owned(), "8".to_owned())];
    let request = String::from_utf8(Ask { headers, ..client::ask() }.request()).unwrap();
    assert!(request.contains("\r\nhost: other\r\n") && !request.contains("Host:"), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Version: 8\r\n") && !request.contains("13"), "{request}");
    // the answer is judged by the key that was sent
    let key = ("Sec-WebSocket-Key".to_owned(), "AQIDBAUGBwgJCgsMDQ4PEA==".to_owned());
    let ask = Ask { headers: vec![key], ..client::ask() };
    let (status, reason, _) = refusal(Asked { ask, ..Asked::default() }, ANSWER);
    assert_eq!(status, Some(101));
    assert!(reason.contains("rule accept-wrong"), "{reason}");
}

#[test]
fn the_answer_of_rfc_6455_1_3_is_accepted_and_may_come_in_two_pieces_with_frames_right_behind_it() {
    let stream = [ANSWER.as_bytes(), &server(Opcode::PING, "early")].concat();
    for split in 0..=stream.len() {
        let mut play = Asked::default().play();
        assert_eq!(play.endpoint.state(), State::Connecting);
        play.hears(&stream[..split]).hears(&stream[split..]);
        assert_eq!(play.endpoint.state(), State::Open);
        assert!(matches!(&play.events()[..], [Event::Opened(opening, accepted)]
            if opening.target == "/chat" && accepted.subprotocol.is_none()));
        assert_eq!(client::frames(&play.takes()), [(Opcode::PONG, b"early".to_vec())]);
    }
}

#[test]
fn each_bad_answer_is_refused_by_the_rule_that_it_breaks() {
    let upgrade = "Upgrade: websocket\r\n";
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let extension = |value: &str| format!("{upgrade}Sec-WebSocket-Extensions: {value}\r\n");
    for (from, to, rule) in [
        (upgrade, "", Rule::UpgradeMissing),
        (upgrade, "Upgrade: h2c\r\n", Rule::UpgradeMissing),
        ("Connection: Upgrade\r\n", "", Rule::ConnectionMissing),
        (accept, "", Rule::AcceptMissing),
        ("s3pPLM", "S3pPLM", Rule::AcceptWrong),
        (upgrade, &format!("{upgrade}Sec-WebSocket-Protocol: soap\r\n"), Rule::SubprotocolNotOffered),
        (upgrade, &extension("x-made-up"), Rule::ExtensionNotOffered),
        (upgrade, &extension("permessage-deflate; made_up"), Rule::ExtensionParameterInvalid),
        (upgrade, &extension("permessage-deflate; client_max_window_bits=9"), Rule::ExtensionParameterInvalid),
        (upgrade, &extension(";"), Rule::ExtensionParameterInvalid),
        ("Connection:", "Connection :", Rule::HeaderMalformed),
    ] {
        let offering =
            || Asked { ask: Ask { deflate: Some(DeflateOffer::default()), ..client::ask() }, ..Asked::default() };
        let answer = with(from, to);
        let (status, reason, _) = refusal(offering(), &answer);
        assert_eq!(status, Some(101), "{answer}");
        assert!(reason.contains(&format!("rule {})", rule.id())), "{rule}: {reason}");
        // who is tolerant goes on
        let mut tolerant = offering();
        tolerant.config.tolerant = true;
        let mut play = tolerant.play();
        play.hears(&answer);
        assert_eq!(play.endpoint.state(), State::Open, "{rule}");
    }
}

#[test]
fn a_refusal_has_the_status_and_the_beginning_of_the_body_however_that_is_sent() {
    let head = "HTTP/1.1 403 Forbidden\r\n";
    for answer in [
        format!("{head}Content-Length: 14\r\n\r\nno entry\nhere\nand more"),
        format!("{head}Connection: close\r\n\r\nno entry\nhere\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n9\r\nno entry\n\r\n5\r\nhere\n\r\n0\r\n\r\n"),
    ] {
        let (status, reason, body) = refusal(Asked::default(), answer);
        assert_eq!(status, Some(403));
        assert_eq!(reason, "The server refused the WebSocket with status 403 Forbidden.");
        assert_eq!(body, "no entry\nhere\n");
    }
    let moved = "HTTP/1.1 301 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let (status, reason, body) = refusal(Asked::default(), moved);
    assert_eq!((status, body.as_str()), (Some(301), ""));
    assert_eq!(reason, "The server refused the WebSocket with status 301 Moved. It is to be found at /there.");
    // the tolerant can't make a WebSocket of that either
    let tolerant = Asked { config: Config { tolerant: true, ..Config::default() }, ..Asked::default() };
    assert_eq!(refusal(tolerant, moved).0, Some(301));
}

#[test]
fn a_refusal_with_a_known_length_is_over_with_its_last_byte() {
    let mut play = Asked::default().play();
    play.hears("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno").says_nothing();
    assert!(!play.endpoint.is_finished() && play.endpoint.wants_read());
    play.hears("pe").is_over();
    assert!(matches!(play.event(), Some(Event::Refused { status: Some(404), body, .. }) if body == b"nope"));
}

#[test]
fn of_a_body_no_more_than_four_kilobytes_and_two_seconds_are_waited_for() {
    let head = "HTTP/1.1 500 Internal Server Error\r\n\r\n";
    let mut long = Asked::default().play();
    long.hears(head);
    for _ in 0..4 {
        assert!(!long.endpoint.is_finished());
        long.hears([b'x'; 1024]);
    }
    long.is_over();
    assert!(matches!(long.event(), Some(Event::Refused { body, .. }) if body.len() == 4096));

    let mut slow = Asked::default().play();
    slow.hears(head).hears("wait");
    slow.waits(SECOND * 19 / 10);
    assert_eq!(slow.event(), None);
    slow.waits(SECOND / 10).is_over();
    assert!(matches!(slow.event(), Some(Event::Refused { status: Some(500), body, .. }) if body == b"wait"));
}

#[test]
fn a_server_that_is_busy_late_or_gone_is_told_from_one_that_does_not_want_to() {
    let is_transient = |hear: &dyn Fn(&mut Play) -> &mut Play| {
        let mut play = Asked::default().play();
        hear(&mut play);
        match play.event() {
            Some(Event::Refused { transient, .. }) => transient,
            other => panic!("{other:?}"),
        }
    };
    let status =
        |status: u16| is_transient(&|play| play.hears(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")));
    assert!([408, 425, 429, 500, 502, 503, 504].into_iter().all(status));
    assert!(![200, 301, 400, 401, 403, 404, 426, 501, 505].into_iter().any(status));
    assert!(is_transient(&|play| play.hears_the_end()));
    assert!(is_transient(&|play| play.waits(10 * SECOND)));
    assert!(!is_transient(&|play| play.hears("SSH")));
    assert!(!is_transient(&|play| play.hears(with("s3pPLM", "S3pPLM"))));
}

#[test]
fn whoever_speaks_no_http_is_told_apart_at_once() {
    for (answer, says) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "it begins with \"SSH-2.0-OpenSSH_9.2\""),
        ("HTTP/2", "it begins with \"HTTP/2\""),
        ("220 \x1b[31mmail\r\n", "\"220 \\x1b[31mmail\""),
        ("\x15\x03\x01\0\x02\x02\x46", "wss://"),
        ("HTTP/1.1 hello\r\n\r\n", "it begins with \"HTTP/1.1 hello\""),
    ] {
        let mut play = Asked::default().play();
        play.hears(answer).is_over();
        let Some(Event::Refused { status: None, reason, .. }) = play.event() else { panic!("{answer}") };
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn an_answer_that_is_too_long_too_late_or_missing_is_no_answer() {
    let mut long = Asked::default().play();
    long.hears("HTTP/1.1 101 Switching Protocols\r\n");
    for _ in 0..40 {
        long.hears(format!("X: {}\r\n", "x".repeat(1000)));
    }
    long.is_over();
    let sentence = |play: &mut Play| match play.event() {
        Some(Event::Refused { status: None, reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(sentence(&mut long), "The head of the response is too long: more than 32768 bytes.");

    let mut slow = Asked::default().play();
    for byte in ANSWER.bytes().take(99) {
        slow.hears([byte]).waits(SECOND / 10);
    }
    slow.waits(SECOND / 10).is_over();
    assert_eq!(sentence(&mut slow), "The server did not answer the opening handshake within 10s.");

    let mut gone = Asked::default().play();
    gone.hears(&ANSWER[..50]).hears_the_end().is_over();
    assert_eq!(sentence(&mut gone), "The connection ended before the server had answered.");
    let mut reset = Asked::default().play();
    reset.endpoint.receive_reset(reset.now);
    reset.is_over();
    assert_eq!(sentence(&mut reset), "The connection failed before the server had answered.");
    let mut stopped = Asked::default().play();
    stopped.endpoint.shutdown(stopped.now);
    stopped.is_over();
    assert_eq!(sentence(&mut stopped), "The program ended before the server had answered.");
}
