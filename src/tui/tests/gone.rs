//! What the list shows of a recording whose oldest frames go while it is looked at.

use super::*;
use crate::tui::action::View;

const LIMIT: u64 = 256 << 10;

/// Traffic of which little is kept, and a panel that looks at it.
fn panel() -> (Tester, Traffic) {
    let mut traffic = Traffic::within(LIMIT);
    traffic.open(1);
    traffic.open(2);
    let tester = Tester::new(traffic.capture.clone(), 120, 24);
    (tester, traffic)
}

impl Traffic {
    /// So many more texts and pings, 500 bytes each with what stands around them.
    fn chatter(&mut self, frames: u64) {
        for n in 0..frames {
            if n % 2 == 0 {
                self.text(1, Side::Server, &"x".repeat(500));
            } else {
                self.frame(1, Side::Server, Opcode::BINARY, true, &[7; 500]);
            }
        }
        self.wait(self.recorded);
        // what has to go has gone when what fills the room of what waits, of no connection, is done with
        for _ in 0..2 {
            self.bytes(0, Side::Client, &vec![0; 64 << 20]);
        }
    }
}

impl Tester {
    /// How many are gone, once the sieve has come as far.
    fn gone(&mut self) -> u64 {
        let totals = self.capture.index().totals();
        while self.model.listing.looked_at().is_some_and(|looked_at| looked_at < totals.frames) {
            std::thread::yield_now();
        }
        self.draw();
        totals.gone
    }

    /// The numbers in the first column of the list.
    fn column(&mut self) -> Vec<u64> {
        let screen = self.screen();
        let rows = screen.lines().skip(3).map_while(|line| line.strip_prefix('│'));
        rows.filter_map(|line| line.trim_start_matches([' ', '▸', '!']).split_whitespace().next()?.parse().ok())
            .collect()
    }
}

#[test]
fn the_list_begins_with_the_first_frame_that_is_left_and_says_how_many_are_gone() {
    let (mut tester, mut traffic) = panel();
    traffic.chatter(20);
    tester.keys("gjjjj");
    assert_eq!(tester.selected(), 5);
    traffic.chatter(1000);
    let gone = tester.gone();
    assert!(gone > 100, "{gone}");
    assert!(tester.shows(&format!("{gone} older frames gone, row 1 of {}", 1020 - gone)), "{}", tester.screen());
    assert!(tester.shows(&format!("1 020 frames  {gone} older gone")), "{}", tester.screen());
    assert_eq!((tester.selected(), tester.column().first()), (gone + 1, Some(&(gone + 1))));
    // what is looked at stays while others go
    tester.keys("G");
    tester.keys("kk");
    traffic.chatter(20);
    tester.gone();
    assert_eq!(tester.selected(), 1018);
    tester.keys("2");
    assert!(tester.model.view == View::Connections && tester.shows("row 1 of 2"), "{}", tester.screen());
}

#[test]
fn a_filter_lets_go_of_matches_that_are_gone() {
    let (mut tester, mut traffic) = panel();
    traffic.chatter(20);
    tester.keys("/opcode == text");
    tester.code(KeyCode::Enter);
    tester.gone();
    assert_eq!(tester.column().len(), 10);
    traffic.chatter(1000);
    let gone = tester.gone();
    tester.keys("g");
    let first = if gone % 2 == 0 { gone + 1 } else { gone + 2 };
    assert_eq!(tester.column().first(), Some(&first));
    let listed = (first..=1020).step_by(2).count();
    assert!(tester.shows(&format!("{listed} of {} frames", 1020 - gone)), "{}", tester.screen());
}

#[test]
fn what_is_left_of_a_message_whose_beginning_is_gone_stands_for_itself() {
    let (mut tester, mut traffic) = panel();
    traffic.frame(2, Side::Server, Opcode::TEXT, false, b"gone");
    traffic.chatter(20);
    tester.keys("v");
    tester.gone();
    // just before the border, and after what goes
    traffic.chatter(900);
    traffic.frame(2, Side::Server, Opcode::CONTINUATION, false, b"left");
    traffic.frame(2, Side::Server, Opcode::CONTINUATION, true, b"over");
    traffic.chatter(2);
    let gone = tester.gone();
    assert!(gone > 20, "{gone}");
    tester.keys("g");
    let rows = tester.model.listing.rows(gone, traffic.recorded);
    let listed: Vec<u64> = (rows.0..=rows.1).filter_map(|row| Some(tester.model.listing.place(row)?.n)).collect();
    assert_eq!(listed, (gone + 1..=traffic.recorded).collect::<Vec<_>>(), "each frame once, and none that is gone");
}

#[test]
fn a_view_that_was_frozen_before_all_of_it_went_says_so() {
    let (mut tester, mut traffic) = panel();
    traffic.chatter(20);
    tester.draw();
    tester.keys(" ");
    traffic.chatter(1000);
    let gone = tester.gone();
    assert!(gone > 20 && tester.column().is_empty());
    assert!(tester.shows("All of 20 frames gone"), "{}", tester.screen());
    tester.keys(" ");
    assert!(!tester.column().is_empty());
}
