//! Compressed messages on the screen: inflated, told apart from what crossed the wire, and said where they can't be.

use super::*;
use crate::wire::{Deflater, fragments};

/// A compressed message of the server in `count` frames, with its window carried over, with a ping after the first.
fn said(traffic: &mut Traffic, deflater: &mut Deflater, text: &str, count: u16) {
    let mut payload = Vec::new();
    deflater.message(text.as_bytes(), &mut payload);
    compressed(traffic, Opcode::TEXT, &payload, count);
}

fn compressed(traffic: &mut Traffic, opcode: Opcode, payload: &[u8], count: u16) {
    for (n, (opcode, fin, payload)) in fragments(opcode, payload, count).enumerate() {
        let rsv = if n == 0 { Rsv::RSV1 } else { Rsv::NONE };
        let header = Header { rsv, ..Header::new(opcode, None, payload.len() as u64).with_fin(fin) };
        traffic.bytes(1, Side::Server, &frame(&header, payload));
        if n == 0 && !fin {
            traffic.bytes(1, Side::Server, b"\x89\x00");
        }
    }
}

fn agreed() -> Traffic {
    let mut traffic = Traffic::new();
    let extensions = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    traffic.open_with(1, &RESPONSE.replace("\r\n\r\n", extensions));
    traffic
}

/// `price` ten times in 1, and again in 2, 4 and 5; no DEFLATE in 6; 7 may refer to that.
fn traffic() -> Traffic {
    let mut traffic = agreed();
    let mut deflater = Deflater::new(true, 15).unwrap();
    said(&mut traffic, &mut deflater, &"price ".repeat(10), 1);
    said(&mut traffic, &mut deflater, &"price ".repeat(20), 3);
    compressed(&mut traffic, Opcode::TEXT, &[0xff; 5], 1);
    said(&mut traffic, &mut deflater, "never", 1);
    traffic.wait(7);
    traffic
}

#[test]
fn rows_show_messages_inflated_and_why_others_are_not() {
    let traffic = traffic();
    let mut tester = Tester::new(traffic.capture.clone(), 200, 50);
    let screen = tester.screen();
    let row = |n: &str| screen.lines().find(|line| line.contains(&format!(" {n}  22:13"))).unwrap().to_owned();
    assert!(row("1").contains("deflated, 60 bytes inflated  \"price price"), "{screen}");
    assert!(row("2").contains("deflated, 120 bytes inflated  \"price price"), "{screen}");
    assert!(row("4").contains("deflated  ") && !row("4").contains("price"), "{screen}");
    assert!(row("6").contains("not inflated: no DEFLATE"), "{screen}");
    assert!(row("7").contains("not inflated: it may refer to earlier messages"), "{screen}");
    // as messages, the row of several frames is one
    tester.keys("v");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !tester.shows("3 frames, 1 between  deflated, 120 bytes inflated") {
        assert!(std::time::Instant::now() < deadline, "{}", tester.screen());
    }
}

#[test]
fn a_narrow_row_leaves_its_room_to_the_text() {
    let traffic = traffic();
    assert!(Tester::new(traffic.capture.clone(), 80, 24).shows("  \"price p"));
}

#[test]
fn a_frame_tells_of_its_message_and_its_bytes_are_told_apart() {
    let traffic = traffic();
    let mut tester = Tester::new(traffic.capture.clone(), 200, 50);
    tester.keys("gj");
    let screen = tester.screen();
    for expected in [
        "the message, up to frame 5",
        "of DEFLATE data on the wire; the bytes 00 00 ff ff",
        "120 bytes inflated: ",
        "The window is carried over",
        "payload, compressed",
        "the message, inflated",
        "price price price",
    ] {
        assert!(screen.contains(expected), "{expected:?} is not in\n{screen}");
    }
    // a continuation shows the same message
    tester.keys("jj");
    assert!(tester.shows("the message, frames 2 to 5") && tester.shows("120 bytes inflated"), "{}", tester.screen());
    tester.keys("jj");
    tester.code(KeyCode::Tab);
    tester.keys("G");
    assert!(tester.shows("Not inflated: no DEFLATE"), "{}", tester.screen());
    tester.code(KeyCode::Esc);
    tester.keys("G");
    assert!(tester.shows("Not inflated: it may refer to earlier messages"), "{}", tester.screen());
}

#[test]
fn a_message_that_grows_is_read_again() {
    let mut traffic = agreed();
    let mut payload = Vec::new();
    Deflater::new(true, 15).unwrap().message("price ".repeat(20).as_bytes(), &mut payload);
    let header = Header { rsv: Rsv::RSV1, ..Header::new(Opcode::TEXT, None, 4).with_fin(false) };
    traffic.bytes(1, Side::Server, &frame(&header, &payload[..4]));
    traffic.wait(1);
    let mut tester = Tester::new(traffic.capture.clone(), 200, 50);
    assert!(tester.shows("inflated so far") && tester.shows("its last frame has not come"), "{}", tester.screen());
    traffic.frame(1, Side::Server, Opcode::CONTINUATION, true, &payload[4..]);
    traffic.wait(2);
    assert!(tester.shows("deflated, 120 bytes inflated  \"price"), "{}", tester.screen());
    assert!(!tester.shows("its last frame has not come"), "{}", tester.screen());
}

#[test]
fn connections_have_their_ratios_and_the_answer_is_put_in_words() {
    let traffic = traffic();
    let mut tester = Tester::new(traffic.capture.clone(), 200, 50);
    tester.keys("2");
    let screen = tester.screen();
    assert!(screen.contains("server: 2 messages, ") && screen.contains(" inflated to "), "{screen}");
    assert!(screen.contains("not inflated  server: 2 messages"), "{screen}");
    let row = screen.lines().find(|line| line.contains("127.0.0.1:50001")).unwrap();
    assert!(row.contains("- ") && row.contains(":1"), "{screen}");
    tester.keys("3");
    assert!(tester.shows("windows are carried over from message to message"), "{}", tester.screen());
}

#[test]
fn what_was_compressed_reaches_the_terminal_no_more_raw_than_anything_else() {
    let mut traffic = agreed();
    let mut deflater = Deflater::new(true, 15).unwrap();
    said(&mut traffic, &mut deflater, "a\x1b[2J\u{202e}\u{9b}31m\u{7}", 1);
    traffic.wait(1);
    let mut tester = Tester::new(traffic.capture.clone(), 200, 50);
    let screen = tester.screen();
    assert!(screen.contains("inflated"), "{screen}");
    assert!(!screen.chars().any(|c| c != '\n' && crate::formats::sanitize::is_unsafe(c)), "{screen:?}");
}

#[test]
fn messages_that_take_long_to_inflate_appear_one_drawing_after_the_other() {
    let mut traffic = agreed();
    let mut piece = Vec::new();
    Deflater::new(false, 15).unwrap().message(&vec![b'a'; 1 << 20], &mut piece);
    piece.extend(crate::wire::IMPLIED_TAIL);
    let mut payload = piece.repeat(8);
    payload.truncate(payload.len() - crate::wire::IMPLIED_TAIL.len());
    (0..5).for_each(|_| compressed(&mut traffic, Opcode::BINARY, &payload, 1));
    traffic.wait(5);
    let mut tester = Tester::new(traffic.capture.clone(), 200, 50);
    // each drawing brings one at least
    let shown = |tester: &mut Tester| tester.screen().matches("deflated, 8 388 608 bytes inflated  61 61").count();
    assert!(shown(&mut tester) >= 1);
    (0..4).for_each(|_| drop(tester.draw()));
    assert_eq!(shown(&mut tester), 5, "{}", tester.screen());
    let snapshot = tester.reader.take(&mut tester.model, &tester.capture, Timestamp::default());
    assert!(!snapshot.waits);
}
