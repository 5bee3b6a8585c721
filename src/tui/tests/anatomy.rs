//! A frame taken apart: the fields and the bytes under the cursor, unmasking, reads, frames that are coming in.

use super::*;
use crate::tui::layout::Pane;
use crate::tui::spot::BytesAs;

fn text_of(tester: &mut Tester, pane: Pane) -> Vec<String> {
    let buffer = tester.draw();
    let layout = tester.model.layout().unwrap();
    let area = match pane {
        Pane::List => layout.list,
        Pane::Frame => layout.frame,
        Pane::Bytes => layout.bytes,
    };
    let area = area.expect("the pane is in view");
    let row = |y| {
        let line: String = (area.x + 1..area.right() - 1).map(|x| buffer[(x, y)].symbol()).collect();
        line.trim().to_owned()
    };
    (area.y + 1..area.bottom() - 1).map(row).collect()
}

/// The field under the cursor: its name, what it means, why it is there and where that is written.
fn card(tester: &mut Tester) -> [String; 4] {
    let lines = text_of(tester, Pane::Frame);
    let at = lines.iter().position(|line| line.starts_with("▸ ")).unwrap_or_else(|| panic!("{lines:#?}"));
    let name = lines[at].trim_start_matches("▸ ").split("  ").next().unwrap_or_default().to_owned();
    let mut parts = [name, String::new(), String::new(), String::new()];
    let mut part = 0;
    for line in lines[at + 1..].iter().take_while(|line| !line.is_empty()) {
        let labelled = ["what  ", "why   ", "where "].iter().position(|label| line.starts_with(label));
        part = labelled.map_or(part, |at| at + 1);
        let text = if labelled.is_some() { &line[6..] } else { line.as_str() };
        parts[part].push_str(text.trim());
        parts[part].push(' ');
    }
    parts.map(|part| part.trim().to_owned())
}

/// The bytes that stand in brackets, row by row.
fn lit(tester: &mut Tester) -> Vec<String> {
    let lines = text_of(tester, Pane::Bytes);
    let inside = |line: &String| Some(line.split_once('[')?.1.split_once(']')?.0.trim().to_owned());
    lines.iter().filter_map(inside).collect()
}

/// Frame 13 of the usual traffic: a masked text.
fn frame_pane(width: u16, height: u16) -> (Tester, Traffic) {
    let traffic = mixed_traffic();
    let mut tester = Tester::new(traffic.capture.clone(), width, height);
    tester.keys("G");
    tester.code(KeyCode::Enter);
    (tester, traffic)
}

#[test]
fn the_field_under_the_cursor_lights_its_bytes_and_is_explained() {
    let (mut tester, _traffic) = frame_pane(120, 36);
    let mut seen = Vec::new();
    for _ in 0..9 {
        let [name, what, why, section] = card(&mut tester);
        assert!(!what.is_empty() && !why.is_empty() && section.starts_with("RFC "), "{name}: {what} {why} {section}");
        seen.push((name, lit(&mut tester).join(" / ")));
        tester.code(KeyCode::Right);
    }
    let bits = |name: &str, byte: &str| (name.to_owned(), byte.to_owned());
    let payload = "48 65 6c 6c 6f 2c 20 57 / 65 62 53 6f 63 6b 65 74 / 21 / 7f 9f 6c 67 58 d6 20 5c / 52 98 53 64 54 91 \
        65 7f / 16";
    assert_eq!(
        seen,
        [
            bits("FIN", "81"),
            bits("RSV1", "81"),
            bits("RSV2", "81"),
            bits("RSV3", "81"),
            bits("opcode", "81"),
            bits("MASK", "91"),
            bits("payload length", "91"),
            bits("masking key", "37 fa 00 0b"),
            bits("payload data", payload),
        ]
    );
    // at the end it stays
    assert_eq!(card(&mut tester)[0], "payload data");
    tester.code(KeyCode::Left);
    assert_eq!(card(&mut tester)[0], "masking key");
    insta::assert_snapshot!("the masking key", tester.screen());
}

#[test]
fn the_byte_under_the_cursor_takes_the_cursor_to_its_field() {
    let (mut tester, _traffic) = frame_pane(120, 36);
    tester.code(KeyCode::Tab);
    assert_eq!(tester.model.pane, Pane::Bytes);
    tester.code(KeyCode::Right);
    assert_eq!(card(&mut tester)[0], "MASK");
    tester.code(KeyCode::Right);
    assert_eq!((card(&mut tester)[0].as_str(), lit(&mut tester).join(" ")), ("masking key", "37 fa 00 0b".to_owned()));
    tester.keys("j");
    assert_eq!(card(&mut tester)[0], "payload data");
    assert!(tester.shows("byte 8"), "{}", tester.screen());
    tester.keys("k");
    assert_eq!(card(&mut tester)[0], "masking key");
    // the byte of a field stays where it was when the cursor only moves within it
    tester.keys("G");
    assert!(tester.shows("byte 22"), "{}", tester.screen());
    tester.keys("g");
    assert!(tester.shows("byte 0"), "{}", tester.screen());
    assert_eq!(card(&mut tester)[0], "FIN", "the first of those that share the byte");
}

#[test]
fn a_long_payload_is_paged_through_by_its_bytes() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.frame(1, Side::Client, Opcode::BINARY, true, &vec![7; 1 << 20]);
    traffic.wait(1);
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    tester.code(KeyCode::Tab);
    tester.code(KeyCode::Tab);
    for (code, byte) in [
        (KeyCode::PageDown, 126),
        (KeyCode::PageUp, 0),
        (KeyCode::End, (1 << 20) + 13),
        (KeyCode::Left, (1 << 20) + 12),
        (KeyCode::Home, 0),
    ] {
        tester.code(code);
        let place = tester.model.shown.as_ref().unwrap().dump.at(tester.model.spot.byte).unwrap();
        assert_eq!(place.offset, byte, "{code:?}");
        let shown = text_of(&mut tester, Pane::Bytes).iter().any(|line| line.contains('['));
        assert!(shown, "the byte is in view: {}", tester.screen());
    }
}

#[test]
fn a_length_that_is_not_in_the_seven_bits_is_read_to_its_end() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.frame(1, Side::Server, Opcode::BINARY, true, &[7; 1204]);
    traffic.wait(1);
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    tester.code(KeyCode::Enter);
    (0..6).for_each(|_| drop(tester.code(KeyCode::Right)));
    let [name, what, ..] = card(&mut tester);
    assert_eq!(name, "payload length");
    assert!(what.contains("next two bytes, most significant first: 0x04b4 = 1204."), "{what}");
}

#[test]
fn a_payload_is_unmasked_byte_by_byte_in_hex_or_binary() {
    let (mut tester, _traffic) = frame_pane(120, 36);
    tester.keys("u");
    let lines = text_of(&mut tester, Pane::Bytes);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&lines[0]), "at mod 4 wire ^ key = result");
    assert_eq!(words(&lines[1]), "0 0 7f ^ 37 = 48 H");
    assert_eq!(words(&lines[5]), "4 0 58 ^ 37 = 6f o");
    tester.keys("n");
    let lines = text_of(&mut tester, Pane::Bytes);
    assert_eq!(words(&lines[1]), "0 0 01111111 ^ 00110111 = 01001000 H");
    // the cursor goes from byte to byte there, too
    tester.code(KeyCode::Tab);
    tester.keys("jj");
    assert!(tester.shows("byte 8"), "{}", tester.screen());
    insta::assert_snapshot!("unmasking in binary", tester.screen());
    // what is not masked has nothing to unmask
    tester.code(KeyCode::Esc);
    tester.keys("ggj");
    assert!(tester.shows("Nothing to unmask"), "{}", tester.screen());
}

#[test]
fn json_is_laid_out_and_other_text_shown_as_it_is() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.text(1, Side::Client, r#"{"op":"subscribe","n":[1.50,null],"t":"größer 漢字 👩‍👩‍👧 \u0007"}"#);
    traffic.text(1, Side::Client, "line one\nline two");
    traffic.wait(2);
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    tester.keys("guu");
    assert_eq!(tester.model.bytes_as, BytesAs::Text);
    let lines = text_of(&mut tester, Pane::Bytes);
    assert_eq!(lines[..6], ["{", "\"op\": \"subscribe\",", "\"n\": [", "1.50,", "null", "],"]);
    assert!(tester.shows("JSON  "), "{}", tester.screen());
    tester.keys("j");
    assert_eq!(text_of(&mut tester, Pane::Bytes)[..2], ["line one", "line two"]);
    assert!(tester.shows("text  17 bytes"), "{}", tester.screen());
    tester.keys("u");
    assert_eq!(tester.model.bytes_as, BytesAs::Dump);
}

#[test]
fn the_keys_about_bytes_bring_them_into_view_where_they_are_not() {
    let (mut tester, _traffic) = frame_pane(80, 24);
    tester.code(KeyCode::Esc);
    assert!(tester.model.layout().unwrap().bytes.is_none());
    tester.keys("n");
    assert_eq!(
        (tester.model.pane, tester.model.bytes_as, tester.model.binary),
        (Pane::Bytes, BytesAs::Unmasking, true)
    );
    assert!(tester.shows("01111111 ^ 00110111"), "{}", tester.screen());
}

#[test]
fn reads_are_marked_in_the_list_in_the_dump_and_told_with_their_times() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    let one = frame(&Header::new(Opcode::TEXT, None, 3), b"one");
    let long = frame(&Header::new(Opcode::TEXT, None, 20), b"twenty bytes of text");
    traffic.bytes(1, Side::Server, &[one.clone(), one.clone(), one, long[..10].to_vec()].concat());
    traffic.bytes(1, Side::Server, &long[10..13]);
    traffic.bytes(1, Side::Server, &long[13..]);
    traffic.wait(4);
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    let list = text_of(&mut tester, Pane::List);
    for (row, reads) in list[1..5].iter().zip(["·", "2nd", "3rd", "4th×3"]) {
        assert!(row.contains(&format!(" {reads} ")), "{row}");
    }
    let screen = tester.screen();
    assert!(screen.contains("arrived in 3 reads, 4th frame of one read"), "{screen}");
    tester.code(KeyCode::Tab);
    tester.code(KeyCode::Tab);
    assert!(tester.shows("74 77 65 6e 74 79 20 62┊ twenty b"), "{}", tester.screen());
    assert!(tester.shows("79 74 65┊73 20 6f 66 20  ytes of"), "{}", tester.screen());
    tester.code(KeyCode::Esc);
    tester.code(KeyCode::Enter);
    tester.keys("\\G");
    let screen = tester.screen();
    assert!(screen.contains("reads of the socket") && screen.contains("+1.0 ms  bytes 10 to 12"), "{screen}");
    assert!(screen.contains("+2.0 ms  bytes 13 to 21"), "{screen}");
}

#[test]
fn a_frame_that_is_coming_in_grows_in_the_list_and_in_the_detail_and_is_the_same_when_it_is_whole() {
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.open(2);
    traffic.text(2, Side::Client, "before");
    let whole = frame(&Header::new(Opcode::TEXT, None, 300), &[b'x'; 300]);
    traffic.bytes(1, Side::Server, &whole[..104]);
    traffic.wait(1);
    let growing = |traffic: &Traffic, came| {
        while traffic.capture.index().growing().all(|(_, _, growing)| growing.came != came) {
            std::thread::yield_now();
        }
    };
    growing(&traffic, 104);
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    assert!(tester.shows("104 of 304 bytes so far") && tester.shows("row 1 of 1, following"), "{}", tester.screen());
    assert_eq!(tester.selected(), 1, "what is followed is complete");
    tester.keys("j");
    assert!(tester.shows("a frame that is coming in"), "{}", tester.screen());
    assert!(tester.shows("still coming in: 104 of 304 bytes so far"), "{}", tester.screen());
    assert_eq!(tester.model.selected_frame(), None, "it has no number yet");
    traffic.bytes(1, Side::Server, &whole[104..200]);
    growing(&traffic, 200);
    assert!(tester.shows("still coming in: 200 of 304 bytes so far"), "{}", tester.screen());
    // others come first, and it stays selected
    traffic.text(2, Side::Client, "meanwhile");
    traffic.text(2, Side::Client, "meanwhile, too");
    traffic.wait(3);
    assert!(tester.shows("still coming in: 200 of 304 bytes so far"), "{}", tester.screen());
    traffic.bytes(1, Side::Server, &whole[200..]);
    traffic.wait(4);
    tester.draw();
    assert_eq!(tester.model.selected_frame(), Some(4));
    assert!(tester.shows("arrived in 3 reads") && !tester.shows("so far"), "{}", tester.screen());
}

#[test]
fn what_the_receiver_did_about_a_broken_frame_stands_beside_what_was_due() {
    let traffic = mixed_traffic();
    let mut tester = Tester::new(traffic.capture.clone(), 200, 50);
    tester.keys("[[");
    let expected = "The server did not fail the connection after frame 9 broke unmasked-client-frame, where 1002 \
        (protocol error) was due";
    assert!(tester.shows("! The server did not fail the connection after frame 9"), "{}", tester.screen());
    tester.keys("2");
    assert!(tester.shows(expected), "{}", tester.screen());
}
