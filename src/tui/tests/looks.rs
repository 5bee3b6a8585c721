//! What the panel looks like at the sizes that people have.

use ratatui::style::Color;

use super::*;
use crate::tui::action::View;

fn at(width: u16, height: u16) -> (Tester, Traffic) {
    let traffic = mixed_traffic();
    (Tester::new(traffic.capture.clone(), width, height), traffic)
}

#[test]
fn the_smallest_terminal() {
    insta::assert_snapshot!(at(60, 15).0.screen());
}

#[test]
fn eighty_by_twenty_four() {
    let (mut tester, _traffic) = at(80, 24);
    insta::assert_snapshot!("80x24", tester.screen());
    tester.keys("[");
    tester.code(KeyCode::Enter);
    insta::assert_snapshot!("80x24 opened", tester.screen());
}

#[test]
fn a_wide_terminal_shows_list_fields_and_bytes() {
    insta::assert_snapshot!(at(120, 36).0.screen());
}

#[test]
fn a_big_terminal_has_room_for_the_grid_of_the_rfc() {
    let (mut tester, _traffic) = at(200, 50);
    insta::assert_snapshot!(tester.screen());
}

#[test]
fn ascii_means_ascii() {
    let (mut tester, mut traffic) = at(120, 36);
    traffic.text(1, Side::Client, "naïve 日本語");
    traffic.wait(14);
    tester.model.theme.ascii = true;
    for keys in ["", "2", "3", "1?", "qt", "\\"] {
        tester.keys(keys);
        let screen = tester.screen();
        assert!(screen.is_ascii(), "{screen}");
    }
    tester.model.overlays.clear();
    tester.keys("\\");
    insta::assert_snapshot!(tester.screen());
}

#[test]
fn without_colour_there_is_none() {
    let (mut tester, _traffic) = at(200, 50);
    tester.model.theme.color = false;
    for keys in ["[", "2", "3", "1?", "qc"] {
        tester.keys(keys);
        let buffer = tester.draw();
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    }
}

#[test]
fn colours_are_the_terminals_own_and_no_background_is_set() {
    let (mut tester, _traffic) = at(200, 50);
    for keys in ["[", "2", "3", "1?", "qc"] {
        tester.keys(keys);
        let buffer = tester.draw();
        assert!(buffer.content.iter().all(|cell| cell.bg == Color::Reset));
        assert!(!buffer.content.iter().any(|cell| matches!(cell.fg, Color::Rgb(..) | Color::Indexed(_))));
    }
}

#[test]
fn a_terminal_that_is_too_small_says_so() {
    let (mut tester, _traffic) = at(40, 10);
    assert_eq!(tester.screen().trim_end(), "wsinspect needs at least 60×15, this\nterminal is 40×10");
    for (width, height) in [(1, 1), (3, 2), (59, 15), (60, 14)] {
        tester.model.resize(Size { width, height });
        tester.screen();
        tester.keys("jt?");
    }
    tester.model.overlays.clear();
    tester.model.resize(Size { width: 60, height: 15 });
    assert!(tester.shows("frames"));
}

#[test]
fn any_size_and_view_draws() {
    let (mut tester, _traffic) = at(60, 15);
    for view in View::ALL {
        tester.model.view = view;
        for width in (60..220).step_by(19) {
            for height in [15, 16, 21, 22, 28, 50] {
                tester.model.resize(Size { width, height });
                tester.code(KeyCode::Tab);
                tester.keys("f");
                tester.draw();
                tester.code(KeyCode::Esc);
                tester.keys("?");
                tester.draw();
                tester.code(KeyCode::Esc);
            }
        }
    }
}

#[test]
fn an_empty_panel_says_what_it_waits_for() {
    let traffic = Traffic::new();
    let mut tester = Tester::new(traffic.capture.clone(), 80, 24);
    assert!(tester.shows("No frames yet: waiting for a connection."));
    tester.keys("2");
    assert!(tester.shows("No connections yet."));
    tester.keys("3");
    assert!(tester.shows("No connection is selected."));
}

#[test]
fn an_accept_value_that_does_not_match_is_said_to() {
    let mut traffic = Traffic::new();
    traffic.open_with(1, &RESPONSE.replace("s3pP", "S3pP"));
    traffic.text(1, Side::Server, "x");
    let (capture, _folder) = traffic.done();
    let mut tester = Tester::new(capture, 120, 50);
    tester.keys("3");
    tester.keys("G");
    assert!(tester.shows("! accept-wrong") && tester.shows("it does not match"), "{}", tester.screen());
}
