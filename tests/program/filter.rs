//! `--filter`: which frames are printed.

use serde_json::Value;
use wsinspect::wire::{CloseCode, Header, Opcode, frame};

use crate::support::{Client, Program, masked, run};

/// A text, a text in two fragments with a ping between them, a frame that is not masked; everything is echoed.
fn session(program: &Program) {
    let mut client = Client::open(program.address());
    client.echoes("the price is 7");
    let fragment = |opcode, fin, payload: &[u8]| frame(&masked(opcode, payload.len()).with_fin(fin), payload);
    client.send(&fragment(Opcode::TEXT, false, b"Hello, "));
    client.message(Opcode::PING, b"hi");
    assert_eq!(client.read_frame().0.opcode, Opcode::PONG);
    client.send(&fragment(Opcode::CONTINUATION, true, b"WebSocket!"));
    client.read_frame();
    client.close(CloseCode::NORMAL, "bye");
}

/// The events of such a session in short: the numbers of frames and messages, and the names of the others.
#[track_caller]
fn events(arguments: &[&str]) -> Vec<String> {
    let program = Program::json(arguments);
    session(&program);
    program.close_event(1);
    let short = |event: &Value| match event["event"].as_str().unwrap() {
        "frame" => event["n"].to_string(),
        "message" => format!("{}-{}", event["first"], event["last"]),
        other => other.to_owned(),
    };
    program.finish().iter().map(short).collect()
}

#[test]
fn only_frames_that_match_are_printed_and_connections_open_and_close() {
    assert_eq!(events(&["-Y", "opcode == text and from == client"]), ["open", "1", "3", "close"]);
    assert_eq!(events(&["--filter", "payload contains \"price\""]), ["open", "1", "2", "close"]);
    assert_eq!(events(&["-Y", "websocket.payload.close.status_code == 1000"]), ["open", "8", "9", "close"]);
    assert_eq!(events(&["-Y", "not n"]), ["open", "close"]);
}

#[test]
fn frames_wait_for_the_end_of_their_message_if_the_filter_asks_for_it_and_stay_in_order() {
    assert_eq!(events(&["-Y", "fragments == 2 or opcode == pong"]), ["open", "3", "5", "6", "close"]);
}

#[test]
fn a_message_is_printed_if_any_of_its_frames_matches() {
    assert_eq!(
        events(&["--messages", "-Y", "payload contains WebSocket and from == client"]),
        ["open", "6", "3-6", "close"]
    );
    assert_eq!(events(&["--messages", "-Y", "fin == 0"]), ["open", "3", "3-6", "close"]);
}

#[test]
fn a_message_that_never_ends_is_decided_on_when_its_connection_does() {
    let program = Program::json(&["-Y", "fragments == 1"]);
    let mut client = Client::open(program.address());
    client.send(&frame(&masked(Opcode::TEXT, 5).with_fin(false), b"begun"));
    client.message(Opcode::PING, b"");
    client.read_frame();
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    client.ended();
    assert_eq!(program.event("the frame", |event| event["event"] == "frame")["text"], "begun");
    program.close_event(1);
}

#[test]
fn lines_for_people_are_filtered_too() {
    let program = Program::serve(&["-Y", "rule == unmasked-client-frame"]);
    let mut client = Client::open(program.address());
    client.echoes("masked");
    client.send_frame(&Header::new(Opcode::TEXT, None, 2), b"hi");
    assert_eq!(client.read_close().0, Some(CloseCode::PROTOCOL_ERROR));
    client.ended();
    let lines = program.stdout().wait("the end", |lines| lines.last()?.contains("closed").then(|| lines.to_vec()));
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[1].contains("! unmasked-client-frame"));
}

#[test]
fn frames_appear_as_they_come() {
    let program = Program::json(&["-Y", "from == client"]);
    let mut client = Client::open(program.address());
    for text in ["one", "two", "three"] {
        client.echoes(text);
        assert_eq!(program.event("the frame", |event| event["text"] == text)["from"], "client");
    }
}

#[test]
fn a_filter_that_means_nothing_is_exit_code_2_and_says_where() {
    for (expression, says) in [
        ("opcode ==", "column 10: expected a value after \"==\" such as 1 or text"),
        ("opcde == 1", "column 1: there is no field \"opcde\"; did you mean opcode?"),
        ("payload matches \"(\"", "column 17: expected a regular expression: unclosed group"),
    ] {
        let output = run(&["serve", "0", "--filter", expression]);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
}
