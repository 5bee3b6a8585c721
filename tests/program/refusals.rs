//! Opening handshakes that come to nothing, or to something in spite of all, as the JSON reports them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Client, Program, exchange, request};

#[test]
fn a_refused_handshake_is_reported_with_its_answer_and_what_was_wrong() {
    let program = Program::json(&["--origin", "http://good.example"]);
    let long = request(&format!("X-Long: {}\r\n", "a".repeat(100_000)));
    let wrong_version = request("").replace("Version: 13", "Version: 8");
    let foreign = request("Origin: http://evil.example\r\n");
    let unkeyed = request("").replace("Sec-WebSocket-Key", "X-Key");
    for (conn, (request, status, rule)) in (1..).zip([
        (wrong_version, 426, Some("version-not-13")),
        (unkeyed, 400, Some("key-missing")),
        (foreign, 403, None),
        (long, 431, None),
    ]) {
        exchange(program.address(), request.as_bytes());
        let event = program.event("the refusal", |event| event["event"] == "refused" && event["conn"] == conn);
        let keys: Vec<&String> = event.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["client", "conn", "event", "findings", "reason", "request", "response", "status", "time"]);
        assert_eq!(event["status"], status, "{event}");
        assert!(event["reason"].as_str().unwrap().ends_with('.'), "{event}");
        let response = event["response"]["line"].as_str().unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        if status == 431 {
            assert_eq!(event["request"], Value::Null, "it never came whole");
            assert!(event["reason"].as_str().unwrap().contains("too long"), "{event}");
            continue;
        }
        assert_eq!(event["request"]["line"], "GET /chat HTTP/1.1");
        if let Some(rule) = rule {
            let finding = &event["findings"][0];
            assert_eq!(finding["rule"], rule);
            let [from, to] = [0, 1].map(|i| finding["at"][i].as_u64().unwrap() as usize);
            let shown = if rule == "version-not-13" { "Sec-WebSocket-Version: 8" } else { "" };
            assert_eq!(&request[from..to], shown, "{finding}");
        }
    }
}

#[test]
fn a_client_that_goes_before_its_request_is_whole_is_reported_without_a_status() {
    let program = Program::json(&[]);
    let mut client = Client::bare(program.address());
    client.send(b"GET / HTTP/1.1\r\nHost:");
    drop(client);
    let event = program.event("the refusal", |event| event["event"] == "refused");
    assert_eq!((&event["status"], &event["request"], &event["response"]), (&Value::Null, &Value::Null, &Value::Null));
}

#[test]
fn a_tolerated_handshake_is_reported_with_what_is_wrong_with_it() {
    let program = Program::json(&["--tolerant"]);
    let mut client = Client::bare(program.address());
    client.send(request("").replace("Version: 13", "Version: 8").as_bytes());
    client.read_opened();
    let event = program.event("the opening", |event| event["event"] == "open");
    assert_eq!(event["findings"][0]["rule"], "version-not-13");
}

#[test]
fn a_request_that_trickles_in_is_answered_408_after_ten_seconds() {
    let program = Program::json(&[]);
    let mut slow = Client::bare(program.address());
    let began = Instant::now();
    slow.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    let answer = String::from_utf8(slow.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(began.elapsed() > Duration::from_secs(9), "{:?}", began.elapsed());
    let event = program.event("the refusal", |event| event["event"] == "refused");
    assert_eq!((&event["status"], &event["request"]), (&Value::from(408), &Value::Null));
    assert_eq!(event["reason"], "The request did not come in time.");
    Client::open(program.address()).echoes("served");
}
