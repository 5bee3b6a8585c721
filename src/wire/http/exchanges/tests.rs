//! Requests and responses of whole connections, and what is told of each.

use super::*;

/// What happens, a word each, when `up` and `down` come in turn in pieces of `size`.
fn follow(turns: &[(&[u8], &[u8])], size: usize) -> (Vec<String>, Option<Unclear>) {
    let mut exchanges = Exchanges::default();
    let mut told: Vec<String> = Vec::new();
    let mut tell = |word: String| {
        if told.last() != Some(&word) || word.starts_with('H') {
            told.push(word);
        }
    };
    for (up, down) in turns {
        for mut piece in up.chunks(size) {
            while !piece.is_empty() {
                tell(match exchanges.client(&mut piece) {
                    ClientStep::Head(request) => format!("HEAD {}", request.target),
                    ClientStep::Partial | ClientStep::Blank => continue,
                    ClientStep::Body => "body".to_owned(),
                    ClientStep::Undecided => "undecided".to_owned(),
                    ClientStep::Blind | ClientStep::TooLong(_) => "blind".to_owned(),
                    ClientStep::Frames => {
                        piece = &[];
                        "frames".to_owned()
                    }
                });
            }
        }
        for mut piece in down.chunks(size) {
            while !piece.is_empty() {
                tell(match exchanges.server(&mut piece) {
                    ServerStep::Head { response, is_interim, is_whole } => {
                        let status = response.status.unwrap_or(0);
                        format!("HEAD {status}{}{}", if is_interim { "…" } else { "" }, if is_whole { "." } else { "" })
                    }
                    ServerStep::Partial | ServerStep::Body { is_whole: false } => continue,
                    ServerStep::Body { is_whole: true } => "whole".to_owned(),
                    ServerStep::Blind => "unknown".to_owned(),
                    ServerStep::Frames => {
                        piece = &[];
                        "frames back".to_owned()
                    }
                });
            }
        }
    }
    (told, exchanges.unclear())
}

#[track_caller]
fn check(turns: &[(&[u8], &[u8])], expected: &[&str], unclear: Option<Unclear>) {
    for size in [1, 2, 3, 5, 17, 1000] {
        let (told, why) = follow(turns, size);
        assert_eq!((told, why), (expected.iter().map(|&word| word.to_owned()).collect(), unclear), "by {size}");
    }
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

#[test]
fn requests_follow_each_other_and_then_comes_a_socket() {
    let pipelined = [b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\r\n", UPGRADE].concat();
    check(
        &[
            (&pipelined, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
            (b"", &[ACCEPTED, b"\x81\x00"].concat()),
            (b"\x81\x80keys", b""),
        ],
        &[
            "HEAD /1",
            "HEAD /2",
            "body",
            "HEAD /ws",
            "HEAD 200",
            "whole",
            "HEAD 100…",
            "HEAD 204.",
            "HEAD 101.",
            "frames back",
            "frames",
        ],
        None,
    );
}

#[test]
fn a_refused_upgrade_may_be_asked_for_again_unless_something_was_sent_before_the_answer() {
    let refused = b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n";
    check(&[(UPGRADE, refused), (UPGRADE, ACCEPTED)], &["HEAD /ws", "HEAD 401.", "HEAD /ws", "HEAD 101."], None);
    check(
        &[(&[UPGRADE, b"x"].concat(), refused), (UPGRADE, refused)],
        &["HEAD /ws", "undecided", "HEAD 401.", "blind", "HEAD 401"],
        Some(Unclear::BeforeAnswer),
    );
    check(&[(&[UPGRADE, b"x"].concat(), ACCEPTED)], &["HEAD /ws", "undecided", "HEAD 101."], None);
}

#[test]
fn a_response_to_head_has_no_body_and_one_without_a_length_takes_all() {
    check(
        &[
            (b"HEAD /1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            (b"GET /2 HTTP/1.1\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ],
        &["HEAD /1", "HEAD 200.", "HEAD /2", "HEAD 200"],
        None,
    );
}

#[test]
fn what_can_be_read_in_two_ways_is_not_followed() {
    const BOTH: &[u8] =
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n";
    check(&[(BOTH, b"")], &["HEAD /", "blind"], Some(Unclear::LengthAndEncoding));
    check(&[(b"SSH-2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"")], &["HEAD ", "blind"], Some(Unclear::NotHttp));
    check(&[(b"", b"HTTP/1.1 408 Late\r\n\r\nx")], &["HEAD 408", "unknown"], Some(Unclear::Unasked));
    let tunnel = b"CONNECT a:1 HTTP/1.1\r\n\r\nx";
    check(
        &[(tunnel, b"HTTP/1.1 200 OK\r\n\r\nx")],
        &["HEAD a:1", "blind", "HEAD 200", "unknown"],
        Some(Unclear::OtherProtocol),
    );
    let page = b"GET /h HTTP/1.1\r\n\r\n";
    check(&[(page, &[ACCEPTED, b"x"].concat())], &["HEAD /h", "HEAD 101", "unknown"], Some(Unclear::OtherProtocol));
}

#[test]
fn another_protocol_may_be_agreed_on_or_the_request_be_answered_like_any_other() {
    let h2c = b"GET /h HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
    check(
        &[(h2c, &[ACCEPTED, b"x"].concat()), (b"PRI * HTTP/2.0\r\nHost: a", b"y")],
        &["HEAD /h", "HEAD 101", "unknown", "blind", "unknown"],
        Some(Unclear::OtherProtocol),
    );
    check(
        &[(h2c, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), (UPGRADE, ACCEPTED)],
        &["HEAD /h", "HEAD 200", "whole", "HEAD /ws", "HEAD 101."],
        None,
    );
}

#[test]
fn heads_and_waiting_requests_have_a_bound() {
    let mut exchanges = Exchanges::default();
    let long = vec![b'x'; 40_000];
    let mut input = &long[..];
    assert!(matches!(exchanges.client(&mut input), ClientStep::TooLong(held) if held.is_empty()));
    assert_eq!((input.len(), exchanges.unclear()), (40_000, Some(Unclear::HeadTooLong)));
    let mut input = &long[..];
    assert!(matches!(exchanges.server(&mut input), ServerStep::Blind));
    let requests = b"GET / HTTP/1.1\r\n\r\n".repeat(Exchanges::MAX_WAITING + 5);
    let (mut exchanges, mut input, mut heads) = (Exchanges::default(), &requests[..], 0);
    while let ClientStep::Head(_) = exchanges.client(&mut input) {
        heads += 1;
    }
    assert_eq!((heads, exchanges.unclear()), (Exchanges::MAX_WAITING + 1, Some(Unclear::TooManyWaiting)));
}
