//! The live panel in a real terminal, with the keys of a real user.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use wsinspect::wire::{CloseCode, Header, MaskingKey, Opcode, encode_frame};

use crate::support::{Client, PATIENCE, Program, Terminal, eventually, masked};

const WIDE: (u16, u16) = (120, 36);

pub(crate) fn panel(size: (u16, u16), arguments: &[&str]) -> (Terminal, SocketAddr) {
    let arguments = [&["serve", "127.0.0.1:0"], arguments].concat();
    let mut terminal = Terminal::start(Path::new(env!("CARGO_BIN_EXE_wsinspect")), size, &arguments);
    terminal.wait_for("serve 127.0.0.1:");
    let address = address(&terminal);
    (terminal, address)
}

/// The address that the panel's first line names.
pub(crate) fn address(terminal: &Terminal) -> SocketAddr {
    address_after(terminal, "serve ")
}

pub(crate) fn address_after(terminal: &Terminal, word: &str) -> SocketAddr {
    let screen = terminal.screen().contents();
    let (_, rest) = screen.split_once(word).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

fn row_with(terminal: &Terminal, text: &str) -> String {
    let screen = terminal.screen().contents();
    screen.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text:?} in:\n{screen}")).to_owned()
}

pub(crate) fn quit(terminal: &mut Terminal) {
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
    assert!(!terminal.screen().alternate_screen(), "the screen from before is back");
    assert!(!terminal.screen().hide_cursor(), "the cursor is back");
    assert_eq!(terminal.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
}

#[test]
fn a_frame_is_shown_with_its_bits_its_key_and_its_payload() {
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("Hello");
    terminal.wait_for("frame 2");
    let row = row_with(&terminal, "──▶");
    for part in ["text", "1", "···", "5", "\"Hello\""] {
        assert!(row.contains(part), "{part:?} in {row:?}");
    }
    terminal.keys("k");
    terminal.wait_for("frame 1");
    terminal.wait_for("masking key");
    terminal.wait_for("payload, unmasked");
    quit(&mut terminal);
}

#[test]
fn a_ping_a_text_fragments_and_a_close_are_sent_by_keys_and_shown_as_sent_by_the_user() {
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("ready");
    terminal.wait_for("\"ready\"");

    terminal.keys("p");
    assert_eq!(client.read_frame().0.opcode, Opcode::PING);
    terminal.wait_for("ping sent");

    terminal.keys("t");
    terminal.wait_for("Enter");
    terminal.keys("by hand\r");
    assert_eq!(client.read_frame().1, b"by hand");

    terminal.keys("f");
    terminal.wait_for("fragments");
    terminal.keys("\r");
    let mut seen = Vec::new();
    loop {
        let (header, _) = client.read_frame();
        seen.push((header.opcode, header.fin));
        if header.fin && !header.opcode.is_control() {
            break;
        }
    }
    let data: Vec<_> = seen.iter().filter(|(opcode, _)| !opcode.is_control()).copied().collect();
    assert_eq!(data, [(Opcode::TEXT, false), (Opcode::CONTINUATION, false), (Opcode::CONTINUATION, true)]);
    assert!(seen.iter().any(|(opcode, _)| *opcode == Opcode::PING), "a ping goes in between: {seen:?}");

    terminal.keys("c");
    terminal.wait_for("1000");
    terminal.keys("\t");
    terminal.keys("enough\r");
    assert_eq!(client.read_close(), (Some(CloseCode::NORMAL), "enough".to_owned()));
    terminal.wait_for("\"enough\"");
    client.message(Opcode::CLOSE, b"\x03\xe8");
    client.ended();
    terminal.wait_for("0 open");
    quit(&mut terminal);
}

#[test]
fn connections_and_handshakes_have_views_of_their_own() {
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("x");
    terminal.keys("2");
    terminal.wait_for(&client.stream.local_addr().unwrap().to_string());
    terminal.keys("3");
    terminal.wait_for("method: A plain GET");
    terminal.keys("G");
    terminal.wait_for("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    terminal.wait_for("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    terminal.keys("?");
    terminal.wait_for("┌ keys");
    terminal.keys("\x1b");
    terminal.wait_until("help closed", |screen| !screen.contents().contains("┌ keys"));
    quit(&mut terminal);
}

#[test]
fn the_ladder_of_a_relay_the_statistics_and_the_rules_are_a_key_away() {
    let server = Program::serve(&[]);
    let upstream = server.address().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let mut terminal = Terminal::start(program, (160, 40), &["relay", "127.0.0.1:0", &upstream]);
    terminal.wait_for("relay 127.0.0.1:");
    let mut client = Client::open(address_after(&terminal, "relay "));
    client.echoes("through the middle");
    terminal.wait_for("frame 2");
    terminal.keys("4");
    terminal.wait_for("ladder of connection 1");
    terminal.wait_for("101 Switching Protocols");
    let heads = row_with(&terminal, "client 127.0.0.1");
    assert!(heads.contains("wsinspect") && heads.contains(&format!("server {upstream}")), "{heads}");
    let row = row_with(&terminal, "▶│── \"through the middle\" ─");
    assert!(row.contains("│── text 18 B ─"), "{row}");
    terminal.keys("<p");
    assert_eq!(client.read_frame().0.opcode, Opcode::PING);
    terminal.wait_for("ping 11 B by you");
    let lines = row_with(&terminal, "by you").matches('│').count();
    assert_eq!(lines, 5, "the arrow goes from us to the client: a border, three lifelines, a border");
    terminal.keys("k\r");
    terminal.wait_for("frame 2  server ──▶ client");
    terminal.keys("\x1b");
    terminal.wait_for("ladder of connection 1");

    client.send(&[0x81, 0]);
    terminal.wait_for("unmasked-client-frame");
    terminal.keys("5");
    terminal.wait_for("statistics of all frames");
    terminal.wait_until("a column", |screen| screen.contents().contains('█'));
    terminal.wait_for("No message was compressed.");
    terminal.keys("6");
    terminal.wait_for("1 of 38 broken");
    terminal.keys("\r");
    terminal.wait_for("frames: rule == unmasked-client-frame");
    terminal.wait_for("1 of ");
    terminal.keys("\x1b");
    terminal.wait_for("1 of 38 broken");
    quit(&mut terminal);
}

#[test]
fn a_terminal_that_is_too_small_gets_a_sentence_and_a_larger_one_the_panel() {
    let (mut terminal, _) = panel(WIDE, &[]);
    terminal.resize(40, 10);
    terminal.wait_for("60×15");
    terminal.resize(60, 15);
    terminal.wait_for("frames");
    terminal.resize(200, 50);
    terminal.wait_for("handshake");
    quit(&mut terminal);
}

#[test]
fn a_key_that_follows_a_resize_is_heard() {
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("x");
    // before the panel knows of the connection there is nobody to send to
    terminal.wait_for("\"x\"");
    for columns in [119, 120, 118] {
        terminal.keys("f");
        terminal.wait_for("send a text in fragments");
        terminal.resize(columns, 36);
        // a drawing comes in parts: the prompt has to be there before its going means anything
        terminal.wait_until("a border at the new edge, and the prompt", |screen| {
            let contents = screen.contents();
            contents.lines().nth(1).is_some_and(|line| line.chars().count() == usize::from(columns))
                && contents.contains("send a text in fragments")
                && contents.contains("Esc cancels")
        });
        terminal.keys("\x1b");
        terminal.wait_until("the prompt closed", |screen| !screen.contents().contains("send a text in fragments"));
    }
    quit(&mut terminal);
}

#[test]
fn no_escape_sequence_of_a_peer_reaches_the_terminal() {
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("\x1b]0;owned\x07\x1b[2J\u{202e}reversed\u{9b}31m");
    client.echoes("after");
    terminal.wait_for("\"after\"");
    assert!(terminal.screen().contents().contains("\\x1b]0;owned"), "{}", terminal.screen().contents());
    quit(&mut terminal);
}

#[test]
fn a_hundred_thousand_frames_can_be_walked_frozen_and_followed() {
    const FRAMES: u64 = 100_000;
    let (mut terminal, address) = panel(WIDE, &["--reply", "none"]);
    let mut client = Client::open(address);
    let mut batch = Vec::new();
    for n in 0..FRAMES {
        let payload = format!("message {n}");
        let key = MaskingKey((n as u32).to_be_bytes());
        encode_frame(&Header::new(Opcode::TEXT, Some(key), payload.len() as u64), payload.as_bytes(), &mut batch);
    }
    client.send(&batch);
    terminal.wait_for("\"message 99999\"");
    terminal.keys("g");
    terminal.wait_for("\"message 0\"");
    terminal.keys("\x1b[6~");
    terminal.wait_until("the second page", |screen| !screen.contents().contains("\"message 0\""));
    terminal.keys("G");
    terminal.wait_for("\"message 99999\"");
    terminal.keys(" ");
    terminal.wait_until("a frozen view", |screen| screen.contents().to_lowercase().contains("frozen"));
    client.message(Opcode::TEXT, b"unseen");
    terminal.wait_for("FROZEN +1");
    assert!(!terminal.screen().contents().contains("unseen"));
    terminal.keys(" ");
    terminal.keys("F");
    terminal.wait_for("\"unseen\"");
    quit(&mut terminal);
}

#[test]
fn a_filter_is_typed_corrected_applied_and_cleared() {
    let (mut terminal, address) = panel(WIDE, &["--reply", "none"]);
    let mut client = Client::open(address);
    for n in 0..20 {
        client.message(Opcode::TEXT, format!("number {n}").as_bytes());
        client.message(Opcode::BINARY, &[n]);
    }
    terminal.wait_for("row 40 of 40");
    terminal.keys("/payload contains \"number 1\" andd");
    terminal.wait_for("expected and, or, or the end, found \"andd\"");
    terminal.keys("\x7f from == cl\t\r");
    terminal.wait_for("11 of 40 frames");
    assert!(row_with(&terminal, "11 of 40").contains("frames: payload contains \"number 1\" and from == client"));
    terminal.wait_until("only matches", |screen| !screen.contents().contains("\"number 2\""));
    client.message(Opcode::TEXT, b"number 100");
    terminal.wait_for("12 of 41 frames");
    terminal.keys("/\x1b[H");
    terminal.wait_for("Enter applies");
    terminal.keys("not \r");
    terminal.wait_for("12 of 41 frames");
    terminal.keys("/\x1b[A\x15\r");
    terminal.wait_for("row 41 of 41");
    quit(&mut terminal);
}

#[test]
fn a_filter_of_the_command_line_is_there_from_the_beginning() {
    let (mut terminal, address) = panel(WIDE, &["-Y", "opcode == ping"]);
    let mut client = Client::open(address);
    client.echoes("not shown");
    client.message(Opcode::PING, b"shown");
    terminal.wait_for("1 of 4 frames");
    terminal.wait_for("\"shown\"");
    assert!(!terminal.screen().contents().contains("not shown"));
    quit(&mut terminal);
}

#[test]
fn messages_are_rows_that_open_to_their_fragments() {
    let (mut terminal, address) = panel(WIDE, &["--reply", "none", "--no-auto-pong"]);
    let mut client = Client::open(address);
    let mut part = |opcode, fin, payload: &[u8]| {
        client.send_frame(&masked(opcode, payload.len()).with_fin(fin), payload);
    };
    part(Opcode::TEXT, false, b"one ");
    part(Opcode::PING, true, b"between");
    part(Opcode::CONTINUATION, true, b"two");
    part(Opcode::TEXT, true, b"alone");
    terminal.wait_for("\"alone\"");
    terminal.keys("v");
    terminal.wait_for("2 frames, 1 between  \"one two\"");
    terminal.wait_until("no frames", |screen| !screen.contents().contains("\"between\""));
    terminal.keys("g\r");
    terminal.wait_for("\"between\"");
    terminal.wait_for("└ continuation");
    terminal.keys("jjjv");
    terminal.wait_for("row 3 of 4");
    quit(&mut terminal);
}

#[test]
fn a_terminal_that_stops_reading_holds_up_no_echo() {
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("before");
    terminal.wait_for("\"before\"");
    terminal.stop_reading();
    // many times what a terminal and the kernel between hold back
    let deadline = Instant::now() + PATIENCE;
    for n in 0..3000 {
        client.echoes(&format!("nobody looks {n}"));
        assert!(Instant::now() < deadline, "the echo waits for the screen");
    }
    std::thread::spawn(move || client.close(CloseCode::NORMAL, ""));
    let pid = Pid::from_raw(terminal.process().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let status = terminal.wait_for_end_unread();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn when_the_terminal_dies_the_traffic_goes_on() {
    let (terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("before");
    let mut program = terminal.die();
    for n in 0..100 {
        client.echoes(&format!("without a screen {n}"));
    }
    let pid = Pid::from_child(&program);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(client.read_close().0, Some(CloseCode::GOING_AWAY));
    client.message(Opcode::CLOSE, b"\x03\xe9");
    client.ended();
    let status = eventually("the program to end after SIGTERM", || program.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn ctrl_c_and_sigterm_give_the_terminal_back() {
    let (mut terminal, _) = panel(WIDE, &[]);
    terminal.keys("\x03");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
    assert!(!terminal.screen().alternate_screen());

    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.send_frame(&masked(Opcode::TEXT, 2), b"hi");
    terminal.wait_for("\"hi\"");
    kill_process(Pid::from_raw(terminal.process().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(terminal.wait_for_end().code(), Some(0));
    assert!(!terminal.screen().alternate_screen() && !terminal.screen().hide_cursor());
}

#[test]
fn without_colour_and_in_ascii_the_same_is_told() {
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let arguments = ["serve", "127.0.0.1:0", "--ascii"];
    let mut terminal = Terminal::start_with(program, WIDE, &arguments, &[("NO_COLOR", "1")]);
    terminal.wait_for("serve 127.0.0.1:");
    let mut client = Client::open(address(&terminal));
    client.echoes("h\u{e9}llo");
    terminal.wait_for("h\\u{e9}llo");
    let screen = terminal.settled();
    assert!(screen.contents().is_ascii(), "{}", screen.contents());
    let (columns, rows) = WIDE;
    let cells = (0..rows).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
    for cell in cells {
        assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
    }
}
