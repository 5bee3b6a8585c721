//! How connections ended, in a sentence each: every way in which they can.

use wsinspect::capture::{By, Cause, How, Note, Origin, SocketEnd};
use wsinspect::wire::{Opcode, Side};

use crate::support::{Script, masked, plain};

/// What an ended connection is said to have done.
struct Ending {
    by: By,
    how: How,
    clean: bool,
    code: Option<u16>,
    sentence: &'static str,
}

const CLIENT: By = By::Side(Side::Client);
const SERVER: By = By::Side(Side::Server);

#[track_caller]
fn check(script: Script, cause: Option<Cause>, ending: &Ending) {
    let recorded = script.closed(1, cause).record();
    let connection = recorded.capture.index().connections()[0].clone();
    let verdict = connection.verdict().unwrap();
    let expected = (ending.sentence, ending.by, ending.how, ending.clean, ending.code);
    assert_eq!(
        (verdict.sentence.as_str(), verdict.by, verdict.how, verdict.clean, verdict.code.map(|code| code.0)),
        expected
    );
    assert_eq!(connection.ending().as_deref(), Some(ending.sentence), "it is said the same everywhere");
}

fn close(script: Script, from: Side, body: &[u8]) -> Script {
    let frame = if from == Side::Client { masked(Opcode::CLOSE, body) } else { plain(Opcode::CLOSE, body) };
    script.chunk(1, from, &frame)
}

fn open() -> Script {
    Script::new().opened(1)
}

#[test]
fn a_closing_handshake_that_is_complete_names_both_codes_and_who_then_ended_the_tcp_connection() {
    use Side::{Client, Server};
    for (first, body, answer, ends, by, code, sentence) in [
        (
            Client,
            &b"\x03\xe8bye"[..],
            &b"\x03\xe8"[..],
            &[(Server, SocketEnd::Fin), (Client, SocketEnd::Fin)][..],
            CLIENT,
            Some(1000),
            "The client closed with 1000 (normal closure), and the server answered with the same code: the closing \
             handshake is complete; then the server ended the TCP connection (FIN).",
        ),
        (
            Server,
            b"\x03\xe9",
            b"\x03\xe8",
            &[(Client, SocketEnd::Fin)],
            SERVER,
            Some(1001),
            "The server closed with 1001 (going away), and the client answered with 1000 (normal closure): the closing \
             handshake is complete; then the client ended the TCP connection (FIN).",
        ),
        (
            Client,
            b"\x0f\xa1",
            b"",
            &[(Client, SocketEnd::Reset)],
            CLIENT,
            Some(4001),
            "The client closed with 4001 (private use), and the server answered without a code, which programs report as \
             1005 (no status received), never on the wire: the closing handshake is complete; then the client reset the \
             TCP connection (RST).",
        ),
        (
            Server,
            b"",
            b"",
            &[],
            SERVER,
            None,
            "The server closed without a code, which programs report as 1005 (no status received), never on the wire, and \
             the client answered without a code, too: the closing handshake is complete.",
        ),
        (
            Client,
            b"\x03\xee",
            b"\x03\xea",
            &[],
            CLIENT,
            Some(1006),
            "The client closed with 1006 (abnormal closure), which must not be on the wire, and the server answered with \
             1002 (protocol error): the closing handshake is complete.",
        ),
    ] {
        let script = close(close(open(), first, body), first.other(), answer);
        let script = ends.iter().fold(script, |script, (side, how)| script.ended(1, *side, *how));
        check(script, None, &Ending { by, how: How::Handshake, clean: true, code, sentence });
    }
}

#[test]
fn a_close_frame_without_an_answer_says_what_came_instead() {
    use Side::{Client, Server};
    for (ends, cause, how, sentence) in [
        (
            &[(Server, SocketEnd::Fin)][..],
            None,
            How::Fin,
            "The client closed with 1001 (going away), and the server ended the TCP connection (FIN) without answering.",
        ),
        (
            &[(Server, SocketEnd::Reset)],
            None,
            How::Reset,
            "The client closed with 1001 (going away), and the server reset the TCP connection (RST) without answering.",
        ),
        (
            &[(Client, SocketEnd::Fin)],
            None,
            How::Fin,
            "The client closed with 1001 (going away), and ended the TCP connection (FIN) before an answer came.",
        ),
        (
            &[(Client, SocketEnd::Reset)],
            None,
            How::Reset,
            "The client closed with 1001 (going away), and reset the TCP connection (RST) before an answer came.",
        ),
        (
            &[],
            Some(Cause::CloseUnanswered),
            How::Timeout,
            "The client closed with 1001 (going away), and no answer came in time.",
        ),
        (
            &[],
            Some(Cause::SocketFailed),
            How::Error,
            "The client closed with 1001 (going away), and the TCP connection failed before an answer came.",
        ),
        (
            &[],
            None,
            How::Fin,
            "The client closed with 1001 (going away), and the TCP connection ended before an answer came.",
        ),
    ] {
        let script = close(open(), Client, b"\x03\xe9");
        let script = ends.iter().fold(script, |script, (side, how)| script.ended(1, *side, *how));
        check(script, cause, &Ending { by: CLIENT, how, clean: false, code: Some(1001), sentence });
    }
}

#[test]
fn an_end_without_a_close_frame_is_what_programs_call_1006() {
    use Side::{Client, Server};
    for (ends, cause, by, how, sentence) in [
        (
            &[(Client, SocketEnd::Fin), (Server, SocketEnd::Fin)][..],
            None,
            CLIENT,
            How::Fin,
            "The client ended the TCP connection (FIN) without a close frame; programs report that as 1006 (abnormal \
             closure), which is never on the wire.",
        ),
        (
            &[(Server, SocketEnd::Reset)],
            None,
            SERVER,
            How::Reset,
            "The server reset the TCP connection (RST) without a close frame; programs report that as 1006 (abnormal \
             closure), which is never on the wire.",
        ),
        (
            &[(Client, SocketEnd::Fin), (Server, SocketEnd::Reset)],
            None,
            CLIENT,
            How::Reset,
            "The client ended its side of the TCP connection (FIN), and then the server reset it (RST) without a close \
             frame; programs report that as 1006 (abnormal closure), which is never on the wire.",
        ),
        (
            &[],
            Some(Cause::SocketFailed),
            By::Wsinspect,
            How::Error,
            "The TCP connection failed without a close frame; programs report that as 1006 (abnormal closure), which is \
             never on the wire.",
        ),
        (
            &[],
            Some(Cause::PingUnanswered),
            By::Wsinspect,
            How::Timeout,
            "A ping was not answered in time, and the TCP connection ended without a close frame; programs report that as \
             1006 (abnormal closure), which is never on the wire.",
        ),
        (
            &[],
            None,
            By::Wsinspect,
            How::Fin,
            "wsinspect ended the TCP connection without a close frame; programs report that as 1006 (abnormal closure), \
             which is never on the wire.",
        ),
    ] {
        let script = ends.iter().fold(open(), |script, (side, how)| script.ended(1, *side, *how));
        check(script, cause, &Ending { by, how, clean: false, code: None, sentence });
    }
}

#[test]
fn a_close_of_ours_is_called_ours_and_unanswered_pings_and_silence_are_named() {
    let note = vec![Note { offset: 0, origin: Origin::Endpoint }];
    let silent = open().noted_chunk(1, Side::Server, &plain(Opcode::CLOSE, b"\x03\xf3"), note.clone());
    let sentence = "wsinspect closed with 1011 (internal error), because a ping was not answered in time, and no answer \
                    came in time.";
    let ending = Ending { by: By::Wsinspect, how: How::Timeout, clean: false, code: Some(1011), sentence };
    check(silent, Some(Cause::PingUnanswered), &ending);
    // a relay closes both sides itself, and neither may answer
    let both = open().noted_chunk(1, Side::Server, &plain(Opcode::CLOSE, b"\x03\xe9"), note.clone()).noted_chunk(
        1,
        Side::Client,
        &masked(Opcode::CLOSE, b"\x03\xe9"),
        note.clone(),
    );
    let sentence = "wsinspect closed with 1001 (going away), and no answer came in time.";
    let ending = Ending { by: By::Wsinspect, how: How::Timeout, clean: false, code: Some(1001), sentence };
    check(both, Some(Cause::CloseUnanswered), &ending);
    let both = open()
        .noted_chunk(1, Side::Server, &plain(Opcode::CLOSE, b"\x03\xe9"), note.clone())
        .noted_chunk(1, Side::Client, &masked(Opcode::CLOSE, b"\x03\xe9"), note.clone())
        .chunk(1, Side::Client, &masked(Opcode::CLOSE, b"\x03\xe9"));
    let sentence =
        "wsinspect closed with 1001 (going away), and both sides answered: the closing handshake is complete.";
    let ending = Ending { by: By::Wsinspect, how: How::Handshake, clean: true, code: Some(1001), sentence };
    check(both, None, &ending);
    let in_its_place = close(open(), Side::Client, b"\x03\xe8")
        .noted_chunk(1, Side::Server, &plain(Opcode::CLOSE, b"\x03\xe9"), note)
        .ended(1, Side::Client, SocketEnd::Fin);
    let sentence = "The client closed with 1000 (normal closure), and wsinspect answered in place of the server with 1001 (going away).";
    check(in_its_place, None, &Ending { by: CLIENT, how: How::Fin, clean: false, code: Some(1000), sentence });
    let idle = open()
        .chunk(1, Side::Server, &plain(Opcode::PING, b"1"))
        .chunk(1, Side::Server, &plain(Opcode::PING, b"2"))
        .chunk(1, Side::Client, &masked(Opcode::PING, b"x"))
        .later(61)
        .ended(1, Side::Server, SocketEnd::Reset);
    let sentence = "The server reset the TCP connection (RST) without a close frame; programs report that as 1006 \
                    (abnormal closure), which is never on the wire; one ping of the client was not answered; 2 pings of \
                    the server were not answered; nothing had been sent for 61 s before.";
    check(idle, None, &Ending { by: SERVER, how: How::Reset, clean: false, code: None, sentence });
}

#[test]
fn what_was_no_websocket_has_a_sentence_too() {
    let ending = |script: Script| script.closed(1, None).record().capture.index().connections()[0].ending().unwrap();
    let page = |script: Script| {
        script.chunk(1, Side::Client, b"GET / HTTP/1.1\r\n\r\n").chunk(
            1,
            Side::Server,
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        )
    };
    let pages = page(page(Script::new().connected(1))).ended(1, Side::Client, SocketEnd::Fin);
    assert_eq!(ending(pages), "The client ended the TCP connection (FIN) after 2 requests.");
    let cut = page(Script::new().connected(1)).ended(1, Side::Server, SocketEnd::Reset);
    assert_eq!(ending(cut), "The server reset the TCP connection (RST) after 1 request.");
    let nothing = Script::new().connected(1).ended(1, Side::Client, SocketEnd::Reset);
    assert_eq!(ending(nothing), "The client reset the TCP connection (RST) before the request was whole.");
    let other = Script::new().connected(1).chunk(1, Side::Client, &vec![b'x'; 40_000]);
    assert_eq!(ending(other), "The head of the request is too long to be read.");
}
