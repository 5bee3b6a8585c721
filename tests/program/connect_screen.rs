//! `wsinspect connect` in a real terminal, with and without the screen.

use std::path::Path;

use wsinspect::wire::{CloseBody, CloseCode, Opcode};

use crate::support::{Server, Terminal};

#[test]
fn on_a_terminal_nothing_that_a_server_sends_is_obeyed() {
    let server = Server::bind();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let arguments = ["connect", &server.url(), "--headless", "--deflate", "off"];
    let mut terminal = Terminal::start(program, (80, 24), &arguments);
    let mut peer = server.open();
    peer.message(Opcode::TEXT, b"\x1b[31mred\x1b]0;title\x07");
    terminal.wait_for("\\x1b[31mred\\x1b]0;title\\x07");
    terminal.keys("typed\n");
    assert_eq!(peer.read_text(), "typed");
    // the end of what is typed
    terminal.keys("\x04");
    assert_eq!(peer.read_close().0, Some(CloseCode::NORMAL));
    peer.end(CloseCode::NORMAL);
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}

#[test]
fn the_screen_shows_the_connection_and_its_keys_send_masked_frames() {
    let server = Server::bind();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let url = server.url();
    let mut terminal = Terminal::start(program, (100, 30), &["connect", &url, "--deflate", "off"]);
    let mut peer = server.open();
    terminal.wait_for(&format!("connect {url}"));
    peer.message(Opcode::TEXT, b"from the server");
    terminal.wait_for("from the server");
    terminal.wait_for("1 open");

    terminal.keys("p");
    assert_eq!(peer.read_frame().0.opcode, Opcode::PING);
    terminal.keys("P");
    assert_eq!(peer.read_frame().0.opcode, Opcode::PONG);
    terminal.keys("t");
    terminal.wait_for("Enter");
    terminal.keys("by hand\r");
    assert_eq!(peer.read_text(), "by hand");
    terminal.wait_for("\"by hand\"");
    // what the server sent goes back masked; reading it would fail otherwise
    terminal.keys("gr");
    assert_eq!(peer.read_text(), "from the server");
    terminal.keys("b");
    terminal.wait_for("compose");
    terminal.keys("\r");
    let (header, _) = peer.read_frame();
    assert!(header.masking_key.is_some() && header.opcode == Opcode::TEXT);

    peer.message(Opcode::CLOSE, &CloseBody::encode(CloseCode(4001), "enough"));
    assert_eq!(peer.read_close().0, Some(CloseCode(4001)));
    peer.hang_up();
    // it stays, to look at what came
    terminal.wait_for("0 open");
    terminal.keys("2");
    terminal.wait_for("4001");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end().code(), Some(1));
    assert!(terminal.screen().contents().contains("The server closed with 4001"), "{}", terminal.screen().contents());
}

#[test]
fn the_screen_says_that_a_broken_connection_is_made_again() {
    let server = Server::bind();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let mut terminal = Terminal::start(program, (120, 30), &["connect", &server.url(), "--retry"]);
    let mut first = server.open();
    first.message(Opcode::TEXT, b"the first");
    terminal.wait_for("the first");
    first.hang_up();
    terminal.wait_for("trying again in");
    let mut second = server.open();
    second.message(Opcode::TEXT, b"the second");
    terminal.wait_for("the second");
    terminal.keys("q");
    assert_eq!(second.read_close().0, Some(CloseCode::GOING_AWAY));
    second.end(CloseCode::GOING_AWAY);
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}
