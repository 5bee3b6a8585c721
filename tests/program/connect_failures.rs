//! `wsinspect connect` where nothing comes of it, where a server breaks the rules, and where it is tried again.

use std::net::TcpListener;

use wsinspect::wire::{CloseBody, CloseCode, Header, MaskingKey, Opcode, frame};

use crate::support::{Output, Peer, Piped, Program, Server, run, run_with};

/// `wsinspect connect` to a server that does what `serve` says; the sentence on standard error.
#[track_caller]
fn fails(arguments: &[&str], serve: impl FnOnce(&Server)) -> String {
    let server = Server::bind();
    let mut piped = Piped::start(&[&["connect", &server.url()], arguments].concat());
    let stdout = piped.lines();
    serve(&server);
    assert_eq!(piped.wait(), Some(1), "{:?}", piped.stderr.all());
    assert_eq!(stdout.all(), [""; 0], "nothing is printed that was not asked for");
    let error = piped.stderr.all().join("\n");
    assert!(error.starts_with("wsinspect: "), "{error}");
    error
}

/// The same with an answer that is made of what would open the connection.
#[track_caller]
fn fails_with(arguments: &[&str], answer: impl Fn(&Peer) -> String) -> String {
    fails(arguments, |server| {
        let mut peer = server.accept();
        let answer = answer(&peer);
        peer.send(answer.as_bytes());
        peer.hang_up();
    })
}

#[track_caller]
fn assert_failed(output: &Output, says: &str) {
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
    assert!(output.stderr.starts_with("wsinspect: ") && output.stderr.contains(says), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
}

#[test]
fn a_server_that_is_not_there_is_one_sentence() {
    let output = run(&["connect", "ws://no-such-host.invalid/"]);
    assert_failed(&output, "The host of ws://no-such-host.invalid/ was not found.");
    // bound and closed again: nothing listens there
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&["connect", &format!("ws://{address}")]);
    assert_failed(&output, &format!("ws://{address} refused the connection: nothing listens there."));
}

#[test]
fn a_server_that_does_not_answer_is_one_sentence() {
    let error = fails(&["--connect-timeout", "500ms"], |server| {
        server.accept().stays_silent();
    });
    assert!(error.contains("The server did not answer the opening handshake within 500ms."), "{error}");
    let error = fails(&[], |server| server.accept().hang_up());
    assert!(error.contains("The connection ended before the server had answered."), "{error}");
}

#[test]
fn a_refusal_has_its_status_and_the_first_lines_of_the_body() {
    let body = "You may not\x1b[31m enter.\n\n2\n3\n4\n5\n6\n";
    let error = fails_with(&[], |_| format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let lines: Vec<&str> = error.lines().collect();
    assert!(
        lines[0].ends_with("/chat: The server refused the WebSocket with status 403 Forbidden. It said:"),
        "{error}"
    );
    assert_eq!(lines[1..], ["    You may not\\x1b[31m enter.", "    2", "    3", "    4", "    5"]);
    let error = fails_with(&[], |_| "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned());
    assert!(error.ends_with("The server refused the WebSocket with status 401 Unauthorized."), "{error}");
    let error = fails_with(&[], |_| "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n".to_owned());
    assert!(error.ends_with("with status 302 Found. It is to be found at /login."), "{error}");
}

#[test]
fn an_answer_that_opens_nothing_is_refused_by_its_rule() {
    let error = fails_with(&[], |_| "SSH-2.0-OpenSSH_9.2p1\r\n".to_owned());
    assert!(error.contains("The answer is no HTTP: it begins with \"SSH-2.0-OpenSSH_9.2p1\""), "{error}");
    let endless = |_: &Peer| format!("HTTP/1.1 101 Switching Protocols\r\nX: {}", "x".repeat(40_000));
    let error = fails_with(&[], endless);
    assert!(error.contains("The head of the response is too long: more than 32768 bytes."), "{error}");
    for (from, to, rule) in [
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", "accept-wrong"),
        ("Sec-WebSocket-Accept", "X-Accept", "accept-missing"),
        ("Upgrade: websocket", "Upgrade: h2c", "upgrade-missing"),
        ("Connection: Upgrade", "Connection: close", "connection-missing"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: soap\r\n\r\n", "subprotocol-not-offered"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x-made-up\r\n\r\n", "extension-not-offered"),
    ] {
        let error = fails_with(&["--subprotocol", "chat"], |peer| peer.acceptance("").replacen(from, to, 1));
        assert!(error.contains(&format!("rule {rule})")) && error.lines().count() == 1, "{rule}: {error}");
    }
}

#[test]
fn what_a_server_breaks_is_enforced_and_said() {
    let big = frame(&Header::new(Opcode::BINARY, None, 2000), &[0; 2000]);
    for (bytes, code, rule) in [
        (frame(&Header::new(Opcode::TEXT, Some(MaskingKey([1, 2, 3, 4])), 1), b"a"), 1002, "masked-server-frame"),
        (frame(&Header::new(Opcode::TEXT, None, 1), b"\xff"), 1007, "invalid-utf8"),
        (big, 1009, "message-too-big"),
    ] {
        let error = fails(&["--max-message", "1000"], |server| {
            let mut peer = server.open();
            peer.send(&bytes);
            let (found, reason) = peer.read_close();
            assert_eq!(found, Some(CloseCode(code)), "{rule}");
            assert!(reason.starts_with(rule), "{reason}");
            peer.hang_up();
        });
        assert!(error.contains(&format!("wsinspect closed with {code}")) && error.contains(rule), "{error}");
    }
    // the tolerant show it and go on
    let server = Server::bind();
    let mut piped = Piped::start(&["connect", &server.url(), "--tolerant", "--format", "json"]);
    let mut peer = server.open();
    peer.send(&frame(&Header::new(Opcode::TEXT, Some(MaskingKey([1, 2, 3, 4])), 1), b"a"));
    let stdout = piped.lines();
    stdout.wait("the finding", |lines| lines.iter().any(|line| line.contains("masked-server-frame")).then_some(()));
    peer.message(Opcode::PING, b"still here");
    assert_eq!(peer.read_frame().1, b"still here");
    piped.stdin = None;
    assert_eq!(peer.read_close().0, Some(CloseCode::NORMAL));
    peer.end(CloseCode::NORMAL);
    assert_eq!(piped.wait(), Some(0));
}

#[test]
fn how_a_connection_broke_is_said_as_everywhere() {
    let error = fails(&[], |server| server.open().hang_up());
    assert!(error.contains("The server ended the TCP connection (FIN) without a close frame"), "{error}");
    let error = fails(&[], |server| {
        let mut peer = server.open();
        peer.message(Opcode::CLOSE, &CloseBody::encode(CloseCode(1011), "out of \x1b order"));
        assert_eq!(peer.read_close().0, Some(CloseCode(1011)));
        peer.hang_up();
    });
    assert!(error.contains("The server closed with 1011 (") && error.contains("\"out of \\x1b order\""), "{error}");
}

#[test]
fn pings_are_sent_and_answered_and_a_dead_server_is_given_up() {
    let error = fails(&["--ping-interval", "200ms"], |server| {
        let mut peer = server.open();
        let (header, payload) = peer.read_frame();
        assert_eq!((header.opcode, payload.as_slice()), (Opcode::PING, &b"keepalive 1"[..]));
        peer.message(Opcode::PONG, &payload);
        // from now on it is silent
        loop {
            let (header, payload) = peer.read_frame();
            if header.opcode == Opcode::CLOSE {
                assert_eq!(payload, CloseBody::encode(CloseCode::INTERNAL_ERROR, "keepalive ping timeout"));
                break;
            }
            assert_eq!(header.opcode, Opcode::PING);
        }
        peer.hang_up();
    });
    assert!(error.contains("a ping was not answered in time"), "{error}");

    let server = Server::bind();
    let mut piped = Piped::start(&["connect", &server.url(), "--no-auto-pong"]);
    let mut peer = server.open();
    peer.message(Opcode::PING, b"are you there?");
    piped.stdin = None;
    // what comes next is the end of standard input, and no pong
    assert_eq!(peer.read_close().0, Some(CloseCode::NORMAL));
    peer.end(CloseCode::NORMAL);
    assert_eq!(piped.wait(), Some(0));
}

#[test]
fn it_connects_again_after_what_may_pass_and_sends_on() {
    let server = Server::bind();
    let mut piped = Piped::start(&["connect", &server.url(), "--retry", "--deflate", "off"]);
    let mut refused = server.accept();
    refused.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    refused.hang_up();
    // the next one breaks
    server.open().hang_up();
    let mut peer = server.open();
    std::io::Write::write_all(&mut piped.stdin.as_ref().unwrap(), b"at last\n").unwrap();
    assert_eq!(peer.read_text(), "at last");
    piped.stdin = None;
    assert_eq!(peer.read_close().0, Some(CloseCode::NORMAL));
    peer.end(CloseCode::NORMAL);
    assert_eq!(piped.wait(), Some(0));
    let told = piped.stderr.all();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("status 503 Service Unavailable.; trying again in 0."), "{told:?}");
    assert!(told[1].contains("; trying again in "), "{told:?}");
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    let error = fails_with(&["--retry"], |_| "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned());
    assert!(error.contains("status 403") && !error.contains("again"), "{error}");
    // nor is a connection that the server closed because all is done
    let server = Server::bind();
    let mut piped = Piped::start(&["connect", &server.url(), "--retry"]);
    let mut peer = server.open();
    peer.message(Opcode::CLOSE, &CloseBody::encode(CloseCode::NORMAL, ""));
    assert_eq!(peer.read_close().0, Some(CloseCode::NORMAL));
    peer.hang_up();
    assert_eq!(piped.wait(), Some(0));
}

#[test]
fn a_signal_ends_the_waiting_for_another_try() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut piped = Piped::start(&["connect", &format!("ws://{address}"), "--retry"]);
    piped.stderr.wait("some tries", |lines| (lines.len() > 2).then_some(()));
    piped.signal(rustix::process::Signal::INT);
    assert_eq!(piped.wait(), Some(0));
}

#[test]
fn a_line_that_can_not_be_sent_ends_it_after_those_before() {
    let server = Program::serve(&[]);
    let url = format!("ws://{}", server.address());
    let long = ["a\nb\n", &"x".repeat(1001), "\nc\n"].concat();
    for (input, says) in [
        (long.as_bytes(), "line 3 of standard input is longer than 1000 bytes, the most that --max-message allows"),
        (b"a\nb\n\xff\nc\n", "line 3 of standard input is not UTF-8"),
    ] {
        let output = run_with(&["connect", &url, "--max-message", "1000"], input, &[]);
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), "a\nb\n"), "{}", output.stderr);
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
}

#[test]
fn tls_is_verified_unless_that_is_not_wanted() {
    let home = tempfile::tempdir().unwrap();
    let environment = [("XDG_DATA_HOME", home.path().to_str().unwrap())];
    let server = Program::start("127.0.0.1:0", &["--tls"], &environment, true);
    let url = format!("wss://127.0.0.1:{}/", server.port());
    let printed = run_with(&["ca"], b"", &environment).stdout;
    let authority =
        printed.lines().find_map(|line| line.trim().strip_prefix("certificate ")).unwrap().trim().to_owned();

    let output = run_with(&["connect", &url, "--ca", &authority], b"over TLS\n", &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "over TLS\n"), "{}", output.stderr);
    let output = run_with(&["connect", &url, "-k"], b"over TLS\n", &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "over TLS\n"), "{}", output.stderr);
    let output = run_with(&["connect", &url], b"", &[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("certificate"), "{}", output.stderr);
    // a server that speaks no TLS, and TLS that was not expected
    let plain = Program::serve(&[]);
    let output = run_with(&["connect", &format!("wss://{}/", plain.address()), "-k"], b"", &[]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
}
