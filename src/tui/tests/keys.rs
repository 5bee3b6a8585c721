//! Every key does what the table says.

use super::*;
use crate::control::Outgoing;
use crate::tui::action::{Action, View};
use crate::tui::keymap::{BINDINGS, Scope};
use crate::tui::layout::Pane;
use crate::wire::CloseCode;

fn panel() -> (Tester, Traffic) {
    let traffic = mixed_traffic();
    (Tester::new(traffic.capture.clone(), 120, 36), traffic)
}

/// A list long enough to page through.
fn long_panel() -> (Tester, Traffic) {
    let mut traffic = Traffic::new();
    traffic.open(1);
    for n in 0..500 {
        traffic.text(1, Side::Client, &n.to_string());
    }
    traffic.wait(500);
    (Tester::new(traffic.capture.clone(), 80, 24), traffic)
}

#[test]
fn the_panel_starts_at_the_newest_frame_and_follows() {
    let (mut tester, mut traffic) = panel();
    assert_eq!(tester.selected(), 13);
    assert!(tester.shows("following"));
    traffic.text(1, Side::Server, "new");
    traffic.wait(14);
    tester.draw();
    assert_eq!(tester.selected(), 14);
}

#[test]
fn moving_the_selection_stops_following_and_capital_f_begins_again() {
    let (mut tester, mut traffic) = panel();
    tester.keys("k");
    assert_eq!((tester.selected(), tester.model.frames.follow), (12, false));
    traffic.text(1, Side::Server, "new");
    traffic.wait(14);
    tester.draw();
    assert_eq!(tester.selected(), 12);
    tester.keys("F");
    assert_eq!((tester.selected(), tester.model.frames.follow), (14, true));
    tester.keys("F");
    assert!(!tester.model.frames.follow);
}

#[test]
fn rows_pages_and_ends_are_a_key_away() {
    let (mut tester, _traffic) = long_panel();
    tester.keys("g");
    assert_eq!(tester.selected(), 1);
    tester.keys("jj");
    tester.code(KeyCode::Down);
    assert_eq!(tester.selected(), 4);
    tester.keys("k");
    tester.code(KeyCode::Up);
    assert_eq!(tester.selected(), 2);
    tester.code(KeyCode::PageDown);
    assert_eq!(tester.selected(), 21);
    tester.code(KeyCode::PageUp);
    assert_eq!(tester.selected(), 2);
    tester.code(KeyCode::End);
    assert_eq!((tester.selected(), tester.model.frames.follow), (500, false));
    tester.code(KeyCode::Home);
    assert_eq!(tester.selected(), 1);
    tester.keys("G");
    assert_eq!(tester.selected(), 500);
}

#[test]
fn enter_opens_the_frame_over_the_list_and_escape_goes_back() {
    let (mut tester, _traffic) = long_panel();
    tester.code(KeyCode::Enter);
    assert!(tester.shows("frame 500") && tester.shows("▸ FIN  1") && !tester.shows("row 500 of 500"));
    tester.code(KeyCode::Esc);
    assert!(tester.shows("row 500 of 500"));
}

#[test]
fn tab_goes_from_pane_to_pane_and_the_keys_scroll_the_one_in_front() {
    let (mut tester, _traffic) = panel();
    tester.keys("kkkkk");
    assert_eq!(tester.selected(), 8);
    tester.code(KeyCode::Tab);
    assert_eq!(tester.model.pane, Pane::Frame);
    tester.keys("j");
    assert_eq!((tester.model.frame_scroll, tester.selected()), (1, 8));
    tester.code(KeyCode::Tab);
    tester.keys("jj");
    assert_eq!((tester.model.pane, tester.model.spot.byte), (Pane::Bytes, 16));
    tester.keys("G");
    assert!(tester.model.bytes_scroll > 2 && tester.shows("of 68"), "{}", tester.screen());
    tester.code(KeyCode::Tab);
    assert_eq!(tester.model.pane, Pane::List);
}

#[test]
fn backslash_gives_the_pane_all_the_room_and_takes_it_back() {
    let (mut tester, _traffic) = panel();
    tester.keys("\\");
    assert!(!tester.shows("bytes  6 +"));
    tester.keys("\\");
    assert!(tester.shows("bytes  6 +"));
}

#[test]
fn the_number_keys_change_the_view() {
    let (mut tester, _traffic) = panel();
    tester.keys("2");
    assert!(tester.shows("127.0.0.1:50002") && tester.shows("/chat"));
    tester.keys("3");
    assert!(tester.shows("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="));
    tester.keys("G");
    assert!(tester.shows("it matches"), "{}", tester.screen());
    tester.keys("1");
    assert!(tester.shows("row 13 of 13"));
}

#[test]
fn enter_on_a_connection_goes_to_its_handshake_and_escape_back_in_steps() {
    let (mut tester, _traffic) = panel();
    tester.keys("2j");
    assert!(tester.shows("the closing handshake is"), "{}", tester.screen());
    tester.code(KeyCode::Enter);
    assert!(tester.shows("handshake of connection 2"));
    tester.code(KeyCode::Esc);
    assert_eq!(tester.model.view, View::Connections);
    tester.code(KeyCode::Esc);
    assert_eq!(tester.model.view, View::Frames);
}

#[test]
fn brackets_go_from_finding_to_finding() {
    let (mut tester, _traffic) = panel();
    tester.keys("[");
    assert_eq!(tester.selected(), 10);
    tester.keys("[");
    assert_eq!(tester.selected(), 9);
    assert!(tester.shows("! unmasked-client-frame"));
    tester.keys("[");
    assert!(tester.shows("no earlier frame breaks a rule"));
    tester.keys("]");
    assert_eq!(tester.selected(), 10);
}

#[test]
fn space_freezes_the_view_while_the_count_of_new_frames_grows() {
    let (mut tester, mut traffic) = panel();
    tester.keys(" ");
    traffic.text(1, Side::Server, "unseen");
    traffic.wait(14);
    assert!(tester.shows("FROZEN +1") && tester.shows("row 13 of 13") && !tester.shows("unseen"));
    tester.keys(" ");
    assert!(tester.shows("row 14 of 14") && tester.shows("unseen"));
}

#[test]
fn z_hides_what_was_there_and_shows_it_again() {
    let (mut tester, mut traffic) = panel();
    tester.keys("z");
    assert!(tester.shows("13 frames from before hidden"));
    assert!(tester.shows("No frame is selected."));
    traffic.text(1, Side::Server, "after");
    traffic.wait(14);
    assert!(tester.shows("13 hidden, row 1 of 1"));
    tester.keys("[");
    assert_eq!(tester.selected(), 14);
    tester.keys("zz");
    assert!(tester.shows("row 14 of 14"));
}

#[test]
fn pings_and_pongs_go_to_the_connection_of_the_selected_frame() {
    let (mut tester, mut traffic) = panel();
    traffic.open(3);
    traffic.text(3, Side::Client, "third");
    traffic.wait(14);
    tester.draw();
    let command = tester.keys("p").unwrap();
    assert_eq!(
        command,
        Command { connection: ConnectionId(3), to: Side::Client, send: Outgoing::Ping(b"wsinspect 1".to_vec()) }
    );
    assert!(tester.shows("ping sent to connection 3"));
    tester.keys("k");
    let command = tester.keys("P").unwrap();
    assert_eq!(
        command,
        Command { connection: ConnectionId(1), to: Side::Client, send: Outgoing::Pong(b"wsinspect 2".to_vec()) }
    );
}

#[test]
fn what_is_closed_gets_nothing_and_the_newest_open_one_gets_it() {
    let (mut tester, mut traffic) = panel();
    tester.keys("[");
    assert!(tester.shows("to: 1"), "connection 2, which the frame is of, is closed");
    assert_eq!(tester.keys("p").unwrap().connection, ConnectionId(1));
    traffic.close(1);
    traffic.open(4);
    traffic.close(4);
    let (capture, _folder) = traffic.done();
    assert_eq!(capture.index().totals().open, 0);
    assert_eq!(tester.keys("p"), None);
    assert!(tester.shows("no open connection to send to") && tester.shows("to: nobody"));
    for key in ["P", "c", "f", "t"] {
        assert_eq!(tester.keys(key), None);
        assert!(tester.model.overlays.is_empty());
    }
}

#[test]
fn the_prompts_say_whom_they_send_to_and_send_on_enter() {
    let (mut tester, _traffic) = panel();
    tester.keys("c");
    assert!(tester.shows("close, connection 1") && tester.cursor.is_some());
    tester.keys("1006");
    assert!(tester.shows("1006 must never be sent"));
    let close = Outgoing::Close { code: Some(CloseCode(1006)), reason: String::new() };
    assert_eq!(tester.code(KeyCode::Enter).unwrap().send, close);
    assert!(tester.shows("close 1006 sent to connection 1"));
    tester.keys("f");
    assert!(tester.shows("Hello, WebSocket!") && tester.shows("ping between"));
    let fragments = Outgoing::Fragments { text: "Hello, WebSocket!".to_owned(), count: 3, ping_between: true };
    assert_eq!(tester.code(KeyCode::Enter).unwrap().send, fragments);
    tester.keys("tq?");
    assert_eq!(tester.code(KeyCode::Enter).unwrap().send, Outgoing::Text("q?".to_owned()));
    tester.keys("t");
    tester.input(Input::Paste("pasted".to_owned()));
    assert_eq!(tester.code(KeyCode::Enter).unwrap().send, Outgoing::Text("pasted".to_owned()));
    tester.keys("t");
    assert_eq!(tester.code(KeyCode::Esc), None);
    assert!(tester.model.overlays.is_empty());
}

#[test]
fn a_prompt_outlives_its_connection_but_sends_nothing_to_it() {
    let (mut tester, mut traffic) = panel();
    tester.keys("t");
    traffic.close(1);
    let (capture, _folder) = traffic.done();
    assert_eq!(capture.index().totals().open, 0);
    assert_eq!(tester.code(KeyCode::Enter), None);
    assert!(tester.shows("connection 1 is no longer open"));
}

#[test]
fn tab_goes_to_the_details_of_a_connection_and_the_keys_scroll_them() {
    let (mut tester, _traffic) = panel();
    tester.model.resize(Size { width: 60, height: 15 });
    tester.keys("2j");
    tester.code(KeyCode::Tab);
    tester.keys("j");
    assert_eq!((tester.model.details_scroll, tester.model.connections.selected), (1, 2));
    tester.keys("\\");
    assert!(tester.shows("addresses") && !tester.shows("row 2 of 2"));
    tester.code(KeyCode::Esc);
    assert!(tester.shows("row 2 of 2"));
}

#[test]
fn keys_about_the_frames_go_to_them_from_any_view() {
    for keys in ["2[", "3]", "2F", "3z"] {
        let (mut tester, _traffic) = panel();
        tester.keys(keys);
        assert_eq!(tester.model.view, View::Frames, "{keys}");
    }
}

#[test]
fn q_and_control_c_quit_the_latter_from_a_prompt_too() {
    let (mut tester, _traffic) = panel();
    tester.keys("q");
    assert!(tester.model.quit);
    let (mut tester, _traffic) = panel();
    tester.keys("t");
    tester.input(Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    assert!(tester.model.quit);
}

#[test]
fn the_help_overlay_names_every_key_of_the_table() {
    let (mut tester, _traffic) = panel();
    // high enough for all of them at once
    tester.model.resize(Size { width: 120, height: 60 });
    tester.keys("?");
    for between in [None, Some(Side::Server)] {
        tester.model.towards = between;
        let screen = tester.screen();
        for binding in BINDINGS {
            let is_named = screen.contains(&binding.names(false)) && screen.contains(binding.does);
            let is_of_use = binding.is_of_use(between.is_some()) && binding.scope != Scope::Lesson;
            assert_eq!(is_named, is_of_use, "{}", binding.does);
        }
    }
    tester.keys("q");
    assert!(!tester.model.quit && tester.model.overlays.is_empty());
}

#[test]
fn no_key_is_dead_where_the_table_says_it_is_heard() {
    for binding in BINDINGS {
        for view in View::ALL.into_iter().filter(|view| binding.scope.holds(*view, true)) {
            for (key, action) in binding.keys {
                let (mut tester, _traffic) = panel();
                // somewhere in the middle, so that every direction is open
                tester.keys("kkkkk");
                if *action != Action::Enter {
                    tester.code(KeyCode::Tab);
                    tester.keys("j");
                }
                if let Action::Towards(side) = action {
                    tester.model.towards = Some(side.other());
                }
                tester.model.view = view;
                tester.model.handshake_scroll = 1;
                if view == View::Statistics {
                    // on less room there is something to scroll
                    tester.model.resize(Size { width: 80, height: 24 });
                    tester.model.statistics_scroll = 1;
                }
                tester.draw();
                tester.sifted();
                if view == View::Ladder {
                    // the first frame of its connection is selected
                    tester.model.frames.step(2);
                }
                let down = matches!(action, Action::Down | Action::PageDown | Action::End);
                tester.model.connections.select(if down { 1 } else { 2 });
                tester.model.rules.select(if down { 1 } else { 2 });
                tester.model.course.cursor.select(if down { 1 } else { 2 });
                if matches!(action, Action::Show(shown) if *shown == view) {
                    continue;
                }
                let before = tester.draw();
                let command = update::update(&mut tester.model, *action, &tester.capture);
                let done = tester.model.quit || command.is_some() || tester.model.task.is_some();
                assert!(done || tester.draw() != before, "{key:?} in {view:?}");
            }
        }
    }
}

#[test]
fn between_two_others_a_send_goes_to_whom_the_footer_names() {
    let (mut tester, _traffic) = panel();
    tester.keys(">");
    assert_eq!(tester.keys("p").unwrap().to, Side::Client, "there is nobody else");
    tester.model.towards = Some(Side::Server);
    assert!(tester.shows("conn 1  to: server >"));
    tester.model.notice = None;
    assert_eq!(tester.keys("p").unwrap().to, Side::Server);
    assert!(tester.shows("ping sent to the server of connection 1"));
    tester.keys("<t");
    assert!(tester.shows("conn 1  to: client <"));
    assert_eq!(tester.code(KeyCode::Enter).unwrap().to, Side::Client);
}

#[test]
fn the_mouse_selects_focuses_and_scrolls() {
    let (mut tester, _traffic) = long_panel();
    tester.keys("g");
    tester.click(10, 5);
    assert_eq!(tester.selected(), 3);
    tester.mouse(MouseEventKind::ScrollDown, 10, 5);
    assert_eq!((tester.selected(), tester.model.frames.top), (3, 4));
    let (mut tester, _traffic) = panel();
    tester.click(10, 25);
    assert_eq!(tester.model.pane, Pane::Frame);
    tester.mouse(MouseEventKind::ScrollDown, 10, 25);
    assert_eq!(tester.model.frame_scroll, 3);
    tester.click(110, 25);
    assert_eq!(tester.model.pane, Pane::Bytes);
}
