//! Lines for people.

use wsinspect::wire::{CloseBody, CloseCode, Opcode};

use crate::support::{Client, Program, request};

/// Text and controls that a terminal would obey.
const WILD: &str = "\x1b[2J\x1b]0;title\x07 \r\n\t\u{9b}31m \u{202e}abc\u{200b} é €";

/// A session in which everything that a client chooses is wild.
#[track_caller]
fn wild_session(program: &Program) -> Vec<String> {
    let mut client = Client::bare(program.address());
    let request = request("").replacen("/chat", "/\u{202e}x\u{9b}y€", 1);
    client.send(request.as_bytes());
    client.read_opened();
    client.message(Opcode::TEXT, WILD.as_bytes());
    client.read_frame();
    client.message(Opcode::PING, WILD.as_bytes());
    client.read_frame();
    client.message(Opcode::BINARY, WILD.as_bytes());
    client.read_frame();
    client.message(Opcode::CLOSE, &CloseBody::encode(CloseCode::NORMAL, WILD));
    client.read_close();
    client.ended();
    program.stdout().wait("the end", |lines| lines.last()?.contains("closed").then(|| lines.to_vec()))
}

#[test]
fn each_frame_is_a_line_and_no_byte_of_a_payload_reaches_the_terminal_raw() {
    let program = Program::serve(&[]);
    let lines = wild_session(&program);
    assert_eq!(lines.len(), 1 + 8 + 1, "{lines:#?}");
    for line in &lines {
        let raw = line.chars().find(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{200b}'));
        assert_eq!(raw, None, "{line:?}");
    }
    assert!(lines[0].contains("open") && lines[0].contains("€"), "{}", lines[0]);
    for (line, parts) in lines[1..].iter().zip([
        ["──▶", "text", r"\x1b[2J\x1b]0;title\x07"],
        ["◀──", "text", r"\u{202e}abc\u{200b} é €"],
        ["──▶", "ping", r"\r\n\t"],
        ["◀──", "pong", r"\r\n\t"],
        ["──▶", "binary", "1b5b324a1b5d30"],
        ["◀──", "binary", "1b5b324a1b5d30"],
        ["──▶", "close", r#"1000 normal closure "\x1b[2J"#],
        ["◀──", "close", "1000"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    let shown = &lines[9];
    assert!(shown.contains("The client closed with 1000"), "{shown}");
}

#[test]
fn with_ascii_every_character_is_ascii() {
    let program = Program::serve(&["--ascii", "--payload-limit", "40"]);
    for line in wild_session(&program) {
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
    }
}

#[test]
fn a_long_payload_is_cut_and_a_broken_rule_is_named_with_its_section() {
    let program = Program::serve(&[]);
    let mut client = Client::open(program.address());
    client.message(Opcode::TEXT, &[b'a'; 5000]);
    client.read_frame();
    client.message(Opcode::TEXT, b"\xFF");
    client.read_close();
    client.ended();
    let lines = program.stdout().wait("the end", |lines| lines.last()?.contains("closed").then(|| lines.to_vec()));
    assert!(lines[1].contains("5000") && lines[1].ends_with('…') && lines[1].len() < 200, "{}", lines[1]);
    assert!(lines[3].contains("invalid-utf8 (RFC 6455 8.1)"), "{}", lines[3]);
    assert!(lines[4].contains("1007"), "{}", lines[4]);
}

#[test]
fn colours_are_as_asked_for() {
    for (arguments, environment, colored) in [
        (&[][..], &[][..], false),
        (&["--color", "always"], &[], true),
        (&["--color", "always"], &[("NO_COLOR", "1")], true),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "")], false),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
    ] {
        let program = Program::start("0", arguments, environment, true);
        Client::open(program.address()).echoes("\x1b[31mhi");
        let lines = program.stdout().wait("the frames", |lines| (lines.len() >= 3).then(|| lines.to_vec()));
        for line in &lines {
            assert_eq!(line.contains('\x1b'), colored, "{arguments:?} {environment:?}: {line:?}");
            // colours and nothing else, and always switched off again
            assert_eq!(line.matches('\x1b').count(), line.matches("\x1b[").count());
            let off = line.matches("\x1b[0m").count();
            assert_eq!(line.matches('\x1b').count(), 2 * off, "{line:?}");
            assert!(!line.contains("\x1b[31mhi"), "{line:?}");
        }
    }
}
