//! Every rule about the opening handshake (RFC 6455 4): heads that break it and it alone, and heads that only just do not.

use wsinspect::lint::{Finding, Rule, check_request, check_response};
use wsinspect::wire::handshake::{Head, Opening, Request, Response};

use crate::catalogue::assert_reads_well;

/// The request of RFC 6455 1.3, with an offer of RFC 7692 7.1.
const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// The response that accepts it.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n\r\n";

/// A change to one of the two heads that breaks a rule, and one that does not.
struct Case {
    rule: Rule,
    /// What is replaced.
    from: &'static str,
    hostile: &'static str,
    /// The text of the changed head that shows it; empty where something is missing.
    at: &'static str,
    clean: &'static str,
}

const fn case(rule: Rule, from: &'static str, hostile: &'static str, at: &'static str, clean: &'static str) -> Case {
    Case { rule, from, hostile, at, clean }
}

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const ANSWER: &str = "permessage-deflate; client_max_window_bits=12";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const REQUESTS: &[Case] = &[
    case(Rule::RequestNotGet, "GET", "POST", "POST", "GET"),
    case(Rule::RequestNotGet, "GET", "get", "get", "GET"),
    case(Rule::RequestHttpVersion, "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/1.2"),
    case(Rule::RequestHttpVersion, "HTTP/1.1", "HTTP/2.0", "HTTP/2.0", "HTTP/1.9"),
    case(Rule::RequestHttpVersion, "HTTP/1.1", "HTTP/+1.1", "HTTP/+1.1", "HTTP/1.1"),
    case(Rule::HostMissing, "Host:", "X-Host:", "", "hOsT:"),
    case(Rule::UpgradeMissing, "Upgrade: websocket", "Upgrade: h2c", "Upgrade: h2c", "upgrade: h2c, WebSocket"),
    case(Rule::UpgradeMissing, "Upgrade: websocket\r\n", "", "", "Upgrade:\twebsocket \r\n"),
    case(
        Rule::ConnectionMissing,
        "Connection: Upgrade",
        "Connection: keep-alive",
        "Connection: keep-alive",
        "Connection: keep-alive, upgrade",
    ),
    case(Rule::ConnectionMissing, "Connection: Upgrade\r\n", "", "", "Connection: a\r\nConnection: UPGRADE\r\n"),
    case(Rule::KeyMissing, "Sec-WebSocket-Key:", "Sec-WebSocket-Lock:", "", "sec-websocket-key:"),
    case(Rule::KeyNot16Bytes, KEY, "dGhl", "Sec-WebSocket-Key: dGhl", "AAAAAAAAAAAAAAAAAAAAAA=="),
    case(Rule::KeyNot16Bytes, KEY, "", "Sec-WebSocket-Key: ", "/+//////////////////+w=="),
    case(Rule::VersionNot13, "Version: 13", "Version: 8", "Sec-WebSocket-Version: 8", "Version:13"),
    case(Rule::VersionNot13, "Sec-WebSocket-Version: 13\r\n", "", "", "sec-websocket-version:  13\r\n"),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "permessage-deflate;",
        "Sec-WebSocket-Extensions: permessage-deflate;",
        "permessage-deflate",
    ),
    case(Rule::ExtensionParameterInvalid, OFFER, "", "Sec-WebSocket-Extensions: ", "x-unknown; anything=1"),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "permessage-deflate; server_max_window_bits=16",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=15",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "permessage-deflate; server_max_window_bits=08",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=\"8\"",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "permessage-deflate; server_max_window_bits",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "permessage-deflate; client_no_context_takeover=1",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover=1",
        "x-webkit-deflate-frame; client_no_context_takeover=1",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "permessage-deflate; client_max_window_bits, , permessage-deflate; client_max_window_bits=9",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "permessage-deflate; windows=12",
        "Sec-WebSocket-Extensions: permessage-deflate; windows=12",
        ", permessage-deflate",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        OFFER,
        "x; y=\"a b\"",
        "Sec-WebSocket-Extensions: x; y=\"a b\"",
        "x; y=\"a\\b\"",
    ),
    case(Rule::HeaderMalformed, "GET /chat", "GET  /chat", "GET  /chat HTTP/1.1", "GET /chat?a=%20"),
    case(Rule::HeaderMalformed, " HTTP/1.1", "", "GET /chat", " HTTP/1.1"),
    case(
        Rule::HeaderMalformed,
        "Upgrade: websocket\r\n",
        "Upgrade: websocket\n",
        "Upgrade: websocket",
        "Upgrade: websocket\r\n",
    ),
    case(Rule::HeaderMalformed, "Origin: ", "Origin ", "Origin http://example.com", "Origin:"),
    case(Rule::HeaderMalformed, "Origin: ", "Origin : ", "Origin : http://example.com", "Origin:\t"),
    case(Rule::HeaderMalformed, "Origin: ", " Origin: ", " Origin: http://example.com", "X-Origin: "),
    case(
        Rule::HeaderMalformed,
        "Origin: http",
        "Origin: \u{1}http",
        "Origin: \u{1}http://example.com",
        "Origin: \thttp",
    ),
    case(Rule::HeaderMalformed, "Origin:", "Host: b\r\nOrigin:", "Host: b", "X-Host: b\r\nOrigin:"),
];

const RESPONSES: &[Case] = &[
    case(Rule::StatusNot101, "101 Switching Protocols", "200 OK", "HTTP/1.1 200 OK", "101 "),
    case(Rule::StatusNot101, "101 Switching Protocols", "426 No", "HTTP/1.1 426 No", "101 No"),
    case(Rule::UpgradeMissing, "Upgrade: websocket\r\n", "", "", "upgrade: WEBSOCKET\r\n"),
    case(Rule::UpgradeMissing, "Upgrade: websocket", "Upgrade: h2c", "Upgrade: h2c", "Upgrade:websocket"),
    case(Rule::ConnectionMissing, "Connection: Upgrade\r\n", "", "", "Connection: x, upgrade\r\n"),
    case(Rule::AcceptMissing, "Sec-WebSocket-Accept:", "X-Accept:", "", "SEC-WEBSOCKET-ACCEPT:"),
    case(Rule::AcceptWrong, "s3pPLM", "S3pPLM", "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", " s3pPLM"),
    case(Rule::AcceptWrong, "xOo=", "xOo", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "xOo= "),
    case(
        Rule::SubprotocolNotOffered,
        "Protocol: chat",
        "Protocol: soap",
        "Sec-WebSocket-Protocol: soap",
        "Protocol: superchat",
    ),
    case(
        Rule::SubprotocolNotOffered,
        "Protocol: chat",
        "Protocol: chat, superchat",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Protocol:  chat",
    ),
    case(Rule::ExtensionNotOffered, ANSWER, "x-unknown", "Sec-WebSocket-Extensions: x-unknown", "permessage-deflate"),
    case(
        Rule::ExtensionParameterInvalid,
        ANSWER,
        "permessage-deflate;",
        "Sec-WebSocket-Extensions: permessage-deflate;",
        "permessage-deflate; server_max_window_bits=9",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        ANSWER,
        OFFER,
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        ANSWER,
        "permessage-deflate, permessage-deflate",
        "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate",
        "permessage-deflate, ",
    ),
    case(
        Rule::ExtensionParameterInvalid,
        ANSWER,
        "permessage-deflate; server_max_window_bits=7",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=8",
    ),
    case(Rule::HeaderMalformed, "HTTP/1.1 101", "ICY 101", "ICY 101 Switching Protocols", "HTTP/1.1 101"),
    case(Rule::HeaderMalformed, "Connection: ", "X: a\u{7F}b\r\nConnection: ", "X: a\u{7F}b", "Connection:\t"),
    case(Rule::HeaderMalformed, "\r\n\r\n", "\r\nx\r\n\r\n", "x", "\r\nx:\r\n\r\n"),
];

/// The rules for which there is a case here.
pub(crate) fn rules() -> Vec<Rule> {
    REQUESTS.iter().chain(RESPONSES).map(|case| case.rule).collect()
}

fn judge_request(head: &str) -> Vec<Finding> {
    check_request(&Request::read(Head::parse(head.as_bytes().to_vec())))
}

fn judge_response(head: &str) -> Vec<Finding> {
    judge_response_to(REQUEST, head)
}

fn judge_response_to(request: &str, head: &str) -> Vec<Finding> {
    let request = Request::read(Head::parse(request.as_bytes().to_vec()));
    let opening: Opening = request.opening().expect("an opening handshake");
    check_response(&Response::read(Head::parse(head.as_bytes().to_vec())), &opening)
}

fn check(original: &str, cases: &[Case], judge: fn(&str) -> Vec<Finding>) {
    assert_eq!(judge(original), []);
    for Case { rule, from, hostile, at, clean } in cases {
        assert_eq!(original.matches(from).count().min(1), 1, "{from:?} stands in the original");
        let changed = original.replacen(from, hostile, 1);
        let found = judge(&changed);
        let [finding] = &found[..] else { panic!("{from:?} → {hostile:?}: {found:#?}") };
        assert_eq!(finding.rule, *rule, "{from:?} → {hostile:?}");
        let shown = &changed[finding.at.start as usize..finding.at.end as usize];
        assert_eq!(shown, *at, "{rule}: {from:?} → {hostile:?}");
        if at.is_empty() {
            let line_end = changed.find("\r\n").unwrap_or_default() as u64;
            assert_eq!(finding.at, line_end..line_end, "{rule}: what is missing is missed after the first line");
        }
        assert_reads_well(finding);
        assert_eq!(judge(&original.replacen(from, clean, 1)), [], "{rule}: {from:?} → {clean:?}");
    }
}

#[test]
fn a_hostile_request_breaks_the_one_rule_and_its_neighbour_none() {
    check(REQUEST, REQUESTS, judge_request);
}

#[test]
fn a_hostile_response_breaks_the_one_rule_and_its_neighbour_none() {
    check(RESPONSE, RESPONSES, judge_response);
}

#[test]
fn a_window_for_the_client_is_answered_only_where_the_client_offered_one() {
    let offered_none = REQUEST.replace(OFFER, "permessage-deflate");
    let found = judge_response_to(&offered_none, RESPONSE);
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::ExtensionParameterInvalid]);
    found.iter().for_each(assert_reads_well);
    assert_eq!(judge_response_to(&offered_none, &RESPONSE.replace(ANSWER, "permessage-deflate")), []);
}

#[test]
fn an_answer_fits_one_of_the_offers() {
    for (offers, answer, fits) in [
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate", false),
        ("permessage-deflate; server_no_context_takeover, permessage-deflate", "permessage-deflate", true),
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", true),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate", false),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=11", false),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10", true),
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=10", true),
        ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=11", false),
        ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=9", true),
        ("permessage-deflate; client_max_window_bits=10", "permessage-deflate", true),
        (
            "permessage-deflate; server_no_context_takeover, permessage-deflate; server_max_window_bits=9",
            "permessage-deflate",
            false,
        ),
    ] {
        let found = judge_response_to(&REQUEST.replace(OFFER, offers), &RESPONSE.replace(ANSWER, answer));
        let expected: &[Rule] = if fits { &[] } else { &[Rule::ExtensionParameterInvalid] };
        assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), expected, "{offers}: {answer}");
        found.iter().for_each(assert_reads_well);
    }
}

#[test]
fn what_a_peer_writes_is_shortened_and_cleaned_before_it_is_quoted() {
    let long = "x".repeat(20_000);
    let mut found = judge_response(&RESPONSE.replace(ANSWER, &long));
    found.extend(judge_response(&RESPONSE.replace("Protocol: chat", &format!("Protocol: {long}"))));
    found.extend(judge_request(&REQUEST.replace("GET", &long)));
    found.extend(judge_request(&REQUEST.replace(OFFER, &format!("permessage-deflate; {long}={long}"))));
    found.extend(judge_request(
        &REQUEST.replace(OFFER, &format!("permessage-deflate; server_max_window_bits=\"{long}\"")),
    ));
    found.extend(judge_request(&REQUEST.replace(OFFER, "permessage-deflate; server_max_window_bits=\"\u{1b}[2J\"")));
    assert!(found.len() >= 6, "{found:#?}");
    found.iter().for_each(assert_reads_well);
}

#[test]
fn an_empty_request_and_one_of_random_bytes_have_findings_and_no_panic() {
    for raw in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b":\n:\n\n",
        "é é é\r\n\r\n".as_bytes(),
    ] {
        let found = check_request(&Request::read(Head::parse(raw.to_vec())));
        assert!(!found.is_empty());
        for finding in &found {
            assert!(finding.at.end <= raw.len() as u64, "{finding:?} reaches past {raw:?}");
            assert_reads_well(finding);
        }
    }
}
