//! Nothing in a payload moves a cell that is not its own, or reaches the terminal raw.

use unicode_width::UnicodeWidthStr;

use super::*;
use crate::formats::sanitize::is_unsafe;

const HOSTILE: &[&str] = &[
    "日本語のテキスト",
    "family 👩\u{200d}👩\u{200d}👧, heart ❤\u{fe0f}, thumb 👍\u{1f3fd}, flag 🇩🇪",
    "combining e\u{301}e\u{301} z\u{310}\u{310}\u{310}\u{310}algo",
    "\u{301}begins with a combining mark",
    "Hebrew שלום, Arabic مرحبا, mixed abc",
    "\u{202e}evil\u{202c} \u{2066}isolate\u{2069} \u{200f}\u{200e}",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \r\n\t \x00 \x7f \u{9b}31m \u{85}",
    "zero\u{200b}width\u{feff}joiners\u{200d}",
    "ｆｕｌｌｗｉｄｔｈ ﷽ ௵ 𒐫",
];

fn hostile_panel(width: u16, height: u16) -> (Tester, TempDir) {
    let mut traffic = Traffic::new();
    let extra = "Sec-WebSocket-Protocol: \x1b[31mred\u{202e}\r\nX-Evil: \u{9b}2J\x07\r\n\r\n";
    traffic.open_with(1, &RESPONSE.replace("\r\n\r\n", &format!("\r\n{extra}")));
    for text in HOSTILE {
        traffic.text(1, Side::Client, text);
        traffic.frame(1, Side::Server, Opcode::BINARY, true, text.as_bytes());
        let body = [&b"\x03\xe8"[..], text.as_bytes()].concat();
        traffic.frame(1, Side::Server, Opcode::PING, true, text.as_bytes());
        traffic.frame(1, Side::Server, Opcode::CLOSE, true, &body[..body.len().min(125)]);
    }
    let (capture, folder) = traffic.done();
    (Tester::new(capture, width, height), folder)
}

#[test]
fn the_border_stands_in_its_column_whatever_a_payload_holds() {
    for width in [60, 61, 80, 99, 120] {
        let (mut tester, _folder) = hostile_panel(width, 60);
        let buffer = tester.draw();
        let Some(list) = tester.model.layout().and_then(|layout| layout.list) else { panic!("there is a list") };
        for y in list.y + 1..list.bottom() - 1 {
            assert_eq!(buffer[(list.right() - 1, y)].symbol(), "│", "{}", line(&buffer, y));
            assert_eq!(line(&buffer, y).width(), usize::from(width), "{}", line(&buffer, y));
        }
    }
}

#[test]
fn no_control_character_and_no_bidi_override_reaches_a_cell() {
    for (width, height) in [(60, 15), (120, 60), (200, 50)] {
        let (mut tester, _folder) = hostile_panel(width, height);
        for n in 1..=tester.selected() {
            tester.model.frames.select(n);
            clean(&mut tester);
        }
        tester.code(KeyCode::Enter);
        clean(&mut tester);
        for keys in ["2", "3", "G"] {
            tester.keys(keys);
            clean(&mut tester);
        }
    }
}

fn clean(tester: &mut Tester) {
    let buffer = tester.draw();
    for cell in &buffer.content {
        assert!(!cell.symbol().chars().any(|c| c.is_control() || is_unsafe(c)), "{:?}", cell.symbol());
    }
}

#[test]
fn what_is_pasted_into_a_prompt_is_no_safer_than_what_a_peer_sends() {
    let traffic = mixed_traffic();
    let mut tester = Tester::new(traffic.capture.clone(), 80, 24);
    for text in HOSTILE {
        tester.keys("t");
        tester.input(Input::Paste((*text).to_owned()));
        clean(&mut tester);
        for _ in 0..4 {
            tester.code(KeyCode::Left);
            clean(&mut tester);
        }
        tester.code(KeyCode::Esc);
    }
}

#[test]
fn a_frame_of_sixteen_mebibytes_pages_like_any_other() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    let mut payload = vec![0_u8; 16 << 20];
    payload[(16 << 20) - 4..].copy_from_slice(b"last");
    traffic.frame(1, Side::Server, Opcode::BINARY, true, &payload);
    let (capture, _folder) = traffic.done();
    let mut tester = Tester::new(capture, 120, 36);
    tester.code(KeyCode::Tab);
    tester.code(KeyCode::Tab);
    tester.keys("G");
    assert!(tester.shows("6c 61 73 74] ....last"), "{}", tester.screen());
    tester.keys("g");
    assert!(tester.shows("[82]7f 00 00 00 00 01 00"));
}

#[test]
fn a_hundred_thousand_frames_are_drawn_as_fast_as_ten() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    let frame = frame(&Header::new(Opcode::TEXT, None, 2), b"hi");
    for _ in 0..100 {
        traffic.bytes(1, Side::Server, &frame.repeat(1000));
    }
    let (capture, _folder) = traffic.done();
    let mut tester = Tester::new(capture, 200, 50);
    let began = std::time::Instant::now();
    for _ in 0..10 {
        tester.keys("gG");
        tester.code(KeyCode::PageUp);
    }
    // sixty drawings; all rows built anew each time would take a minute
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(tester.selected(), 100_000 - 16);
}
