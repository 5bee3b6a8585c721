//! The filter and the list of messages.

use super::*;
use crate::tui::action::View;

fn panel(width: u16, height: u16) -> (Tester, Traffic) {
    let traffic = mixed_traffic();
    (Tester::new(traffic.capture.clone(), width, height), traffic)
}

impl Tester {
    /// Sets the filter and waits until it is through.
    fn filter(&mut self, expression: &str) {
        self.keys("/");
        for _ in 0..self.model.listing.expression.chars().count() {
            self.code(KeyCode::Backspace);
        }
        self.keys(expression);
        self.code(KeyCode::Enter);
        self.sifted();
    }

    /// Waits until everything is looked at.
    pub(super) fn sifted(&mut self) {
        let frames = self.capture.index().totals().frames;
        while self.model.listing.looked_at().is_some_and(|looked_at| looked_at < frames) {
            std::thread::yield_now();
        }
        self.draw();
    }

    pub(super) fn frame(&self) -> Option<u64> {
        self.model.selected_frame()
    }

    /// The numbers in the first column of the list.
    fn listed(&mut self) -> Vec<u64> {
        let screen = self.screen();
        let rows = screen.lines().skip(3).map_while(|line| line.strip_prefix('│'));
        rows.filter_map(|line| line.trim_start_matches([' ', '▸', '!']).split_whitespace().next()?.parse().ok())
            .collect()
    }
}

#[test]
fn only_matches_are_listed_and_the_title_says_why() {
    let (mut tester, _traffic) = panel(80, 24);
    tester.filter("opcode == ping or finding");
    assert_eq!(tester.listed(), [4, 9, 10]);
    assert!(tester.shows("frames: opcode == ping or finding") && tester.shows("3 of 13 frames"), "{}", tester.screen());
    tester.filter("");
    assert_eq!(tester.listed().len(), 13);
    assert!(tester.shows("row 13 of 13"));
}

#[test]
fn the_selection_stays_on_its_frame_or_goes_to_the_nearest_and_comes_back() {
    let (mut tester, _traffic) = panel(80, 24);
    tester.keys("gjjjjj");
    assert_eq!(tester.frame(), Some(6));
    tester.filter("fin == 1");
    assert_eq!(tester.frame(), Some(6));
    tester.filter("opcode == text");
    assert_eq!(tester.frame(), Some(3), "5 is no text");
    tester.filter("n in {1 9 13}");
    assert_eq!(tester.frame(), Some(9));
    tester.filter("");
    assert_eq!(tester.frame(), Some(6), "it was not the user who moved");
}

#[test]
fn keys_of_the_list_work_on_what_is_listed() {
    let (mut tester, mut traffic) = panel(80, 24);
    tester.filter("conn == 2");
    assert_eq!((tester.listed(), tester.frame()), (vec![8, 9, 10, 11, 12], Some(12)));
    tester.keys("g");
    assert_eq!(tester.frame(), Some(8));
    tester.keys("]");
    assert_eq!(tester.frame(), Some(9));
    tester.keys("jG");
    assert_eq!(tester.frame(), Some(12));
    tester.keys("[[");
    assert_eq!(tester.frame(), Some(9));
    tester.keys("F");
    traffic.text(1, Side::Client, "not listed");
    traffic.wait(14);
    tester.sifted();
    assert_eq!(tester.frame(), Some(12));
    tester.keys("z");
    assert!(tester.shows("No frame is selected.") || tester.shows("Cleared."), "{}", tester.screen());
    tester.keys("z");
    assert_eq!(tester.listed(), [8, 9, 10, 11, 12]);
    tester.filter("not finding");
    tester.keys("[");
    assert!(tester.shows("no earlier frame breaks a rule"));
}

#[test]
fn a_mark_is_for_the_frame_under_the_cursor_whatever_its_row_is() {
    let (mut tester, _traffic) = panel(80, 24);
    tester.filter("conn == 2");
    tester.keys("gm");
    assert!(tester.shows("frame 8"), "{}", tester.screen());
    tester.code(KeyCode::Esc);
    assert_eq!(tester.frame(), Some(8));
    tester.keys("Fm");
    tester.code(KeyCode::Esc);
    assert_eq!((tester.frame(), tester.model.frames.follow), (Some(12), false));
}

#[test]
fn what_comes_is_filtered_and_followed_and_frozen() {
    let (mut tester, mut traffic) = panel(80, 24);
    tester.filter("payload contains new");
    assert!(tester.shows("No frame matches. / changes the filter."));
    traffic.text(1, Side::Server, "new");
    traffic.wait(14);
    tester.sifted();
    assert_eq!((tester.frame(), tester.model.frames.follow), (Some(14), true));
    tester.keys(" ");
    traffic.text(1, Side::Server, "newer");
    traffic.wait(15);
    tester.sifted();
    assert_eq!(tester.listed(), [14]);
    tester.keys(" ");
    assert_eq!(tester.listed(), [14, 15]);
}

#[test]
fn an_error_stands_under_its_column_and_completions_where_there_is_none() {
    let (mut tester, _traffic) = panel(80, 24);
    tester.keys("/opcode = text");
    let screen = tester.screen();
    let lines: Vec<_> = screen.lines().collect();
    let prompt = lines.iter().position(|line| line.contains("opcode = text")).unwrap();
    let column = |line: &str, c| line.chars().position(|other| other == c).unwrap();
    assert_eq!(column(lines[prompt], '='), column(lines[prompt + 1], '^'));
    assert!(lines[prompt + 2].contains("column 8: expected =="), "{screen}");
    tester.code(KeyCode::Enter);
    assert!(!tester.model.overlays.is_empty(), "it can't be applied");
    tester.code(KeyCode::Esc);
    tester.keys("/rul");
    assert!(tester.shows("│ rule "), "{}", tester.screen());
    tester.code(KeyCode::Tab);
    tester.keys(" == unm");
    tester.code(KeyCode::Tab);
    assert!(tester.shows("rule == unmasked-client-frame"));
    let cursor = tester.cursor.unwrap();
    assert_eq!(cursor.x, 2 + "rule == unmasked-client-frame".len() as u16);
}

#[test]
fn a_long_expression_keeps_its_cursor_in_view() {
    let (mut tester, _traffic) = panel(60, 15);
    tester.keys("/");
    tester.input(Input::Paste(vec!["fin"; 40].join(" and ")));
    assert!(tester.cursor.unwrap().x < 60);
    tester.code(KeyCode::Enter);
    tester.sifted();
    assert!(tester.shows("frames: fin and"), "{}", tester.screen());
    tester.keys("/");
    tester.code(KeyCode::Home);
    assert_eq!(tester.cursor.unwrap().x, 2);
}

#[test]
fn v_lists_messages_that_enter_opens_and_closes() {
    let (mut tester, _traffic) = panel(120, 36);
    tester.keys("v");
    tester.sifted();
    assert_eq!(tester.listed(), [1, 2, 3, 7, 8, 9, 10, 11, 12, 13]);
    assert!(
        tester.shows("▸ text") && tester.shows("3 frames, 1 between  \"Hello, WebSocket!\""),
        "{}",
        tester.screen()
    );
    tester.keys("gjj");
    assert_eq!(tester.frame(), Some(3));
    tester.code(KeyCode::Enter);
    assert_eq!(tester.listed(), [1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    insta::assert_snapshot!("an opened message", tester.screen());
    tester.keys("jj");
    assert_eq!(tester.frame(), Some(4));
    tester.code(KeyCode::Enter);
    assert!(tester.shows("frame 4"), "a frame of it opens as ever");
    tester.code(KeyCode::Esc);
    tester.keys("kk");
    tester.code(KeyCode::Enter);
    assert_eq!(tester.listed(), [1, 2, 3, 7, 8, 9, 10, 11, 12, 13]);
}

#[test]
fn v_and_v_again_come_back_to_the_same_frame() {
    let (mut tester, _traffic) = panel(120, 36);
    for n in 1..=13 {
        tester.keys("g");
        tester.keys(&"j".repeat(n - 1));
        assert_eq!(tester.frame(), Some(n as u64));
        tester.keys("v");
        tester.sifted();
        let head = if (4..=6).contains(&n) { 3 } else { n as u64 };
        assert_eq!(tester.frame(), Some(head), "frame {n}");
        tester.keys("v");
        assert_eq!(tester.frame(), Some(n as u64));
    }
}

#[test]
fn messages_of_which_any_frame_matches_are_listed() {
    let (mut tester, _traffic) = panel(120, 36);
    tester.filter("payload contains Web and from == server");
    assert_eq!(tester.listed(), [5]);
    tester.keys("v");
    assert_eq!(tester.listed(), [3]);
    assert!(tester.shows("messages: payload contains Web"));
    tester.filter("finding");
    assert_eq!(tester.listed(), [9, 10]);
    tester.keys("gv]");
    assert_eq!(tester.frame(), Some(10));
}

#[test]
fn an_opened_message_grows_while_it_is_looked_at() {
    let (mut tester, mut traffic) = panel(120, 36);
    traffic.frame(1, Side::Client, Opcode::BINARY, false, b"\x01\x02");
    traffic.wait(14);
    tester.keys("v");
    tester.sifted();
    assert!(tester.shows("1 frame so far"), "{}", tester.screen());
    tester.keys("G");
    tester.code(KeyCode::Enter);
    traffic.text(1, Side::Server, "another");
    traffic.frame(1, Side::Client, Opcode::CONTINUATION, true, b"\x03");
    traffic.wait(16);
    tester.sifted();
    assert!(tester.shows("2 frames  01 02 03"), "{}", tester.screen());
    assert_eq!(tester.frame(), Some(14));
    tester.keys("G");
    assert!(tester.listed().ends_with(&[14, 14, 16, 15]));
}

#[test]
fn messages_can_be_frozen_cleared_and_clicked() {
    let (mut tester, mut traffic) = panel(120, 36);
    tester.keys("v ");
    tester.sifted();
    traffic.text(1, Side::Server, "unseen");
    traffic.wait(14);
    tester.sifted();
    assert!(!tester.shows("unseen") && tester.shows("FROZEN +1"));
    tester.keys(" z");
    traffic.frame(1, Side::Server, Opcode::TEXT, false, b"after");
    traffic.wait(15);
    tester.sifted();
    assert_eq!(tester.listed(), [15]);
    tester.keys("zz");
    tester.click(10, 5);
    assert_eq!(tester.frame(), Some(3));
}

#[test]
fn a_filter_and_messages_are_asked_for_from_any_view() {
    for keys in ["2/", "3v"] {
        let (mut tester, _traffic) = panel(120, 36);
        tester.keys(keys);
        assert_eq!(tester.model.view, View::Frames, "{keys}");
    }
}

#[test]
fn a_hundred_thousand_filtered_rows_are_drawn_as_fast_as_ten() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    let text = frame(&Header::new(Opcode::TEXT, None, 2), b"hi");
    let ping = frame(&Header::new(Opcode::PING, None, 2), b"hi");
    for _ in 0..100 {
        traffic.bytes(1, Side::Server, &[text.clone(), ping.clone()].concat().repeat(1000));
    }
    let (capture, _folder) = traffic.done();
    let mut tester = Tester::new(capture, 200, 50);
    tester.filter("opcode == text");
    let began = std::time::Instant::now();
    for _ in 0..10 {
        tester.keys("gG");
        tester.code(KeyCode::PageUp);
        tester.keys("v");
        tester.keys("v");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(tester.frame(), Some(200_000 - 1 - 32));
    assert!(tester.shows("100 000 of 200 000 frames"));
}
