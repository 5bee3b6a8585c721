//! The ladder, the statistics and the rules.

use std::collections::BTreeSet;

use ratatui::style::Color;

use super::*;
use crate::capture::{Note, Origin, SentOn};
use crate::tui::action::View;
use crate::tui::layout::Pane;

fn panel(width: u16, height: u16) -> (Tester, Traffic) {
    let traffic = mixed_traffic();
    (Tester::new(traffic.capture.clone(), width, height), traffic)
}

/// The ladder, once it shows the frames of one connection.
fn ladder(width: u16, height: u16) -> (Tester, Traffic) {
    let (mut tester, traffic) = panel(width, height);
    tester.keys("4");
    tester.sifted();
    (tester, traffic)
}

#[test]
fn the_ladder_at_usual_sizes() {
    for (width, height) in [(60, 15), (80, 24), (120, 36), (200, 50)] {
        insta::assert_snapshot!(format!("ladder {width}x{height}"), ladder(width, height).0.screen());
    }
}

#[test]
fn the_statistics_at_usual_sizes() {
    for (width, height) in [(80, 24), (120, 36), (200, 50)] {
        let (mut tester, _traffic) = panel(width, height);
        tester.keys("5");
        insta::assert_snapshot!(format!("statistics {width}x{height}"), tester.screen());
    }
}

#[test]
fn the_rules_at_usual_sizes() {
    for (width, height) in [(60, 15), (80, 24), (120, 36), (200, 50)] {
        let (mut tester, _traffic) = panel(width, height);
        tester.keys("6");
        insta::assert_snapshot!(format!("rules {width}x{height}"), tester.screen());
    }
}

/// A conversation through a relay, with pauses, frames that were put in, broken rules and wide characters.
fn relayed() -> Traffic {
    use Side::{Client, Server};
    let mut traffic = Traffic::new();
    traffic.open(1);
    let from = SocketAddr::from(([127, 0, 0, 1], 60_001));
    let to = SocketAddr::from(([127, 0, 0, 1], 9003));
    let sent_on = SentOn { from, to, lines: Vec::new(), removed: Vec::new() };
    traffic.event(1, EventKind::SentOn(Arc::new(sent_on)));
    traffic.text(1, Client, r#"{"op":"subscribe","channel":"trades"}"#);
    traffic.time += 130_000_000;
    traffic.text(
        1,
        Server,
        "größer, 漢字と日本語のテキスト and 👩\u{200d}👩\u{200d}👧 emoji 😀 \u{1b}[31m, a long text that is cut",
    );
    traffic.time += 2_400_000_000;
    traffic.put_in(1, Server, Opcode::PING, b"by hand");
    traffic.frame(1, Client, Opcode::PONG, true, b"by hand");
    traffic.put_in(1, Client, Opcode::TEXT, b"injected");
    traffic.frame(1, Server, Opcode::TEXT, false, b"one ");
    traffic.frame(1, Server, Opcode::CONTINUATION, true, b"two");
    traffic.time += 4_000_000_000_000;
    traffic.bytes(1, Client, b"\x81\x05hello");
    let reserved = Header { rsv: Rsv::new(5), ..Header::new(Opcode::new(3), None, 2) };
    traffic.bytes(1, Server, &frame(&reserved, b"??"));
    traffic.frame(1, Client, Opcode::CLOSE, true, b"\x03\xe8done");
    traffic.frame(1, Server, Opcode::CLOSE, true, b"\x03\xe8");
    traffic.close(1);
    traffic.wait(11);
    traffic
}

impl Traffic {
    /// A frame that the user sends to the other side than `from`.
    fn put_in(&mut self, id: u32, from: Side, opcode: Opcode, payload: &[u8]) {
        let key = (from == Side::Client).then_some(MaskingKey([9, 8, 7, 6]));
        let bytes = Bytes::from(frame(&Header::new(opcode, key, payload.len() as u64), payload));
        let notes = vec![Note { offset: 0, origin: Origin::User }];
        self.event(id, EventKind::Chunk { from, bytes, notes });
    }
}

#[test]
fn a_relayed_connection_has_three_lifelines() {
    for (width, height) in [(60, 24), (80, 24), (120, 36), (200, 50)] {
        let traffic = relayed();
        let mut tester = Tester::new(traffic.capture.clone(), width, height);
        tester.model.towards = Some(Side::Server);
        tester.keys("4");
        tester.sifted();
        insta::assert_snapshot!(format!("relay {width}x{height}"), tester.screen());
    }
}

#[test]
fn the_selected_frame_is_the_same_in_the_list_and_in_the_ladder() {
    let (mut tester, _traffic) = panel(120, 36);
    tester.keys("ggjj");
    assert_eq!(tester.frame(), Some(3));
    tester.keys("4");
    tester.sifted();
    assert_eq!(tester.frame(), Some(3));
    tester.keys("jjjjk");
    assert_eq!(tester.frame(), Some(6));
    tester.code(KeyCode::Enter);
    tester.draw();
    assert!(tester.shows("frame 6  server ──▶ client"), "{}", tester.screen());
    assert_eq!((tester.model.view, tester.model.pane), (View::Frames, Pane::Frame));
    tester.code(KeyCode::Esc);
    tester.sifted();
    assert_eq!((tester.model.view, tester.frame()), (View::Ladder, Some(6)));
    tester.keys("j");
    assert_eq!(tester.frame(), Some(7));
    tester.keys("j1");
    assert_eq!(tester.frame(), Some(13), "the next one of connection 1");
    assert!(tester.shows("row 13 of 13"));
}

#[test]
fn the_ladder_is_of_one_connection_until_o_asks_for_the_others() {
    let (mut tester, _traffic) = ladder(120, 36);
    assert!(tester.shows("ladder of connection 1") && !tester.shows("unmasked-client-frame"));
    tester.keys("o");
    assert!(tester.shows("ladder of all connections") && tester.shows("unmasked-client-frame"));
    assert_eq!(tester.frame(), Some(13));
    tester.keys("kko");
    tester.sifted();
    assert!(tester.shows("ladder of connection 2") && tester.shows("row 4 of 5"), "{}", tester.screen());
    assert!(tester.shows("The client closed with 1000 (normal closure)"));
}

#[test]
fn the_ladder_shows_what_passes_the_filter_and_findings_in_place() {
    let (mut tester, _traffic) = ladder(120, 36);
    tester.keys("/opcode == continuation or opcode == ping");
    tester.code(KeyCode::Enter);
    tester.sifted();
    assert_eq!(tester.model.view, View::Ladder);
    assert!(tester.shows("ladder of connection 1: opcode == continuation") && tester.shows("3 of 13 frames"));
    assert!(tester.shows("FIN 0 3 B") && !tester.shows("subscribe"));
    tester.keys("1");
    assert_eq!(tester.frame(), Some(6));
    assert!(tester.shows("3 of 13 frames"), "the list has the same filter");

    let (mut tester, _traffic) = panel(120, 36);
    tester.keys("ggjjjjjjj4");
    tester.sifted();
    tester.keys("]");
    assert_eq!((tester.model.view, tester.frame()), (View::Ladder, Some(9)));
    tester.keys("]]");
    assert!(tester.shows("no later frame breaks a rule"));
    assert_eq!(tester.frame(), Some(10));
}

#[test]
fn messages_are_listed_by_the_list_alone() {
    let (mut tester, _traffic) = panel(120, 36);
    tester.keys("ggjj");
    tester.keys("v4");
    tester.sifted();
    assert!(tester.shows("continuation FIN 0"), "the ladder has frames");
    tester.keys("jjj");
    assert_eq!(tester.frame(), Some(6));
    tester.keys("v");
    tester.sifted();
    assert_eq!(tester.model.view, View::Frames);
    assert!(tester.shows("continuation"), "{}", tester.screen());
}

#[test]
fn every_row_of_a_ladder_with_pauses_is_seen_on_the_way_through() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    for n in 0..60 {
        traffic.time += 1_500_000_000;
        traffic.text(1, Side::Client, &format!("<{n}>"));
    }
    traffic.wait(60);
    let mut tester = Tester::new(traffic.capture.clone(), 80, 24);
    tester.keys("4");
    tester.sifted();
    tester.keys("g");
    for (key, rows) in [("j", 0..60), ("k", 0..60)] {
        let rows: Vec<u64> = if key == "j" { rows.collect() } else { rows.rev().collect() };
        for n in rows {
            assert_eq!(tester.frame(), Some(n + 1));
            assert!(tester.shows(&format!("▸{:>6}", n + 1)), "{n}: {}", tester.screen());
            tester.keys(key);
        }
    }
    // page by page, and with the wheel, none is left out either
    let mut all_seen = |turn: fn(&mut Tester)| {
        let mut seen = BTreeSet::new();
        tester.keys("g");
        for _ in 0..30 {
            let screen = tester.screen();
            seen.extend((0..60).filter(|n| screen.contains(&format!("<{n}>"))));
            turn(&mut tester);
        }
        seen
    };
    let all: BTreeSet<_> = (0..60).collect();
    assert_eq!(all_seen(|tester| drop(tester.code(KeyCode::PageDown))), all);
    assert_eq!(all_seen(|tester| tester.mouse(MouseEventKind::ScrollDown, 10, 10)), all);
}

#[test]
fn a_click_in_the_ladder_selects_the_frame_of_the_line() {
    let traffic = relayed();
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    tester.keys("4");
    tester.sifted();
    let screen = tester.screen();
    let y = screen.lines().position(|line| line.contains("FIN 0")).unwrap();
    tester.click(10, y as u16);
    assert_eq!(tester.frame(), Some(6));
    tester.click(10, 30);
    assert_eq!(tester.frame(), Some(6), "there is nothing");
}

#[test]
fn the_statistics_count_what_was_seen_and_stand_still_when_frozen() {
    let (mut tester, mut traffic) = panel(120, 50);
    tester.keys("5");
    assert!(tester.shows("1 ping of the server answered after 3.0 ms"), "{}", tester.screen());
    assert!(tester.shows("No message was compressed."));
    let line = |tester: &mut Tester, name: &str| {
        let screen = tester.screen();
        screen.lines().find(|line| line.contains(name)).unwrap().to_owned()
    };
    assert!(line(&mut tester, "│ pong").split_whitespace().nth(2) == Some("1"));
    tester.keys(" ");
    traffic.frame(1, Side::Client, Opcode::PONG, true, b"another");
    traffic.wait(14);
    assert!(line(&mut tester, "│ pong").split_whitespace().nth(2) == Some("1"));
    tester.keys(" ");
    assert!(line(&mut tester, "│ pong").split_whitespace().nth(2) == Some("2"));
}

#[test]
fn compressed_messages_are_counted_with_what_they_take_on_the_wire() {
    let mut traffic = Traffic::new();
    traffic.open_with(1, &RESPONSE.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
    let deflated = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let header = Header { rsv: Rsv::RSV1, ..Header::new(Opcode::TEXT, None, 7) };
    traffic.bytes(1, Side::Server, &frame(&header, &deflated));
    traffic.text(1, Side::Server, "plain");
    traffic.wait(2);
    let mut tester = Tester::new(traffic.capture.clone(), 80, 60);
    tester.keys("5");
    assert!(tester.shows("server 1 of 2 messages, 7 B inflated to 5 B, 0.7:1"), "{}", tester.screen());
}

#[test]
fn enter_on_a_rule_lists_the_frames_that_break_it_and_escape_goes_back() {
    let (mut tester, _traffic) = panel(120, 36);
    tester.keys("6");
    assert!(tester.shows("3 of 38 broken"));
    tester.keys("jj");
    assert!(tester.shows("c1 00 from a server"));
    tester.code(KeyCode::Enter);
    tester.sifted();
    assert!(tester.shows("frames: rule == rsv-without-extension") && tester.shows("1 of 13 frames"));
    assert!(tester.shows("filtered by rule == rsv-without-extension"));
    assert_eq!(tester.frame(), Some(10));
    tester.code(KeyCode::Esc);
    assert_eq!(tester.model.view, View::Rules);
    tester.keys("j");
    tester.click(20, 3);
    assert_eq!(tester.model.rules.selected, 1);
    tester.keys("j");
    tester.code(KeyCode::Enter);
    assert!(tester.shows("nothing has broken masked-server-frame so far"));
    assert_eq!(tester.model.view, View::Rules);
    tester.keys("/");
    tester.code(KeyCode::Up);
    tester.code(KeyCode::Enter);
    assert!(tester.shows("rule == rsv-without-extension"), "it can be recalled");
}

#[test]
fn enter_on_a_rule_of_the_handshake_shows_the_first_that_breaks_it() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.open_with(2, &RESPONSE.replace("s3pP", "S3pP"));
    traffic.text(2, Side::Server, "x");
    let (capture, _folder) = traffic.done();
    let mut tester = Tester::new(capture, 120, 50);
    tester.keys("6");
    let place = crate::lint::Rule::ALL.iter().position(|rule| rule.id() == "accept-wrong").unwrap();
    tester.model.rules.select(place as u64 + 1);
    tester.code(KeyCode::Enter);
    assert!(tester.shows("handshake of connection 2") && tester.shows("! accept-wrong"), "{}", tester.screen());
    tester.code(KeyCode::Esc);
    assert_eq!(tester.model.view, View::Rules);
}

#[test]
fn tab_goes_to_what_there_is_to_say_of_a_rule_and_the_keys_scroll_it() {
    let (mut tester, _traffic) = panel(60, 15);
    tester.keys("6");
    tester.code(KeyCode::Tab);
    tester.keys("jj");
    assert_eq!((tester.model.rule_scroll, tester.model.rules.selected), (2, 1));
    tester.keys("\\");
    assert!(tester.shows("81 00 from a client"));
    tester.code(KeyCode::Esc);
    tester.keys("j");
    assert_eq!(tester.model.rules.selected, 2);
}

#[test]
fn without_unicode_or_colour_the_new_views_have_neither() {
    let traffic = relayed();
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    tester.model.theme = Theme { color: false, ascii: true };
    tester.model.towards = Some(Side::Server);
    for keys in ["4", "o", "5", "6"] {
        tester.keys(keys);
        tester.sifted();
        let buffer = tester.draw();
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
        let screen = tester.screen();
        assert!(screen.is_ascii(), "{screen}");
    }
    tester.keys("4o");
    tester.sifted();
    insta::assert_snapshot!("ladder in ascii", tester.screen());
}

#[test]
fn the_new_views_say_what_they_wait_for() {
    let traffic = Traffic::new();
    let mut tester = Tester::new(traffic.capture.clone(), 80, 24);
    for (keys, text) in [("4", "No frames yet"), ("5", "No frames yet"), ("6", "not once so far")] {
        tester.keys(keys);
        assert!(tester.shows(text), "{}", tester.screen());
    }
    // the ladder finds its connection once there is one
    tester.keys("4");
    let mut traffic = traffic;
    traffic.open(1);
    traffic.text(1, Side::Client, "first");
    traffic.wait(1);
    tester.draw();
    tester.draw();
    tester.sifted();
    assert!(tester.shows("ladder of connection 1") && tester.shows("\"first\""), "{}", tester.screen());
}
