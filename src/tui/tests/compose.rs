//! The composer: what it shows is what it sends.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::compose::{Composed, Preset};
use crate::control::Outgoing;
use crate::tui::composer::{Composer, at};
use crate::tui::overlay::Overlay;
use crate::wire::{Parsed, mask};

/// A relay with a text of the client's, one of the server's and an open connection.
fn between() -> (Tester, Traffic) {
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.text(1, Side::Client, "from the client");
    traffic.text(1, Side::Server, "from the server");
    traffic.wait(2);
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    tester.model.towards = Some(Side::Server);
    (tester, traffic)
}

fn composer(tester: &Tester) -> &Composer {
    let Some(Overlay::Composer(composer)) = tester.model.overlays.last() else { panic!("no composer is open") };
    composer
}

fn composed(command: &Command) -> &Composed {
    let Outgoing::Composed(composed) = &command.send else { panic!("{command:?}") };
    composed
}

/// Goes to a field and puts `keys` into it.
fn fill(tester: &mut Tester, field: usize, keys: &str) {
    while composer(tester).focus != field {
        tester.code(KeyCode::Tab);
    }
    tester.keys(keys);
}

fn enter(tester: &mut Tester) -> Option<Command> {
    tester.code(KeyCode::Enter)
}

fn error(tester: &Tester) -> String {
    composer(tester).preview.clone().expect_err("it can be sent")
}

/// The one frame in `bytes`, unmasked.
fn read(bytes: &[u8]) -> (Header, Vec<u8>) {
    let Parsed::Complete(header) = Header::parse(bytes) else { panic!("{bytes:02x?}") };
    let mut payload = bytes[header.len()..].to_vec();
    if let Some(key) = header.masking_key {
        mask(&mut payload, key, 0);
    }
    (header, payload)
}

#[test]
fn the_bytes_that_are_shown_are_the_bytes_that_are_sent_and_to_whom_the_arrows_point() {
    for (keys, to) in [("b", Side::Server), ("<b", Side::Client)] {
        let (mut tester, _traffic) = between();
        tester.keys(keys);
        assert!(tester.shows(&format!("compose, to the {to} of connection 1")));
        assert!(tester.shows("By itself it breaks no rule."));
        let screen = tester.screen().replace(' ', "");
        let command = enter(&mut tester).unwrap();
        assert_eq!((command.connection, command.to), (ConnectionId(1), to));
        let bytes = composed(&command).bytes();
        assert!(screen.contains(&hex::encode(&bytes)), "{screen}");
        let (header, payload) = read(&bytes);
        assert_eq!((header.masking_key.is_some(), payload.as_slice()), (to == Side::Server, &b"Hello"[..]));
        assert!(tester.model.overlays.is_empty());
        assert!(tester.shows(&format!("frame sent to the {to} of connection 1")));
    }
}

#[test]
fn every_field_is_what_is_sent() {
    let (mut tester, _traffic) = between();
    tester.keys("b");
    for (field, keys) in [
        (at::FIN, " "),
        (at::RSV[0], "1"),
        (at::RSV[2], " "),
        (at::OPCODE, "b"),
        (at::KEY, "o"),
        (at::FIXED, "37fa213d"),
        (at::LENGTH, "0x1f"),
        (at::FORM, "6"),
        (at::KIND, "h"),
        (at::PAYLOAD, "00 FF"),
        (at::WRITES, "3"),
        (at::DELAY, "20"),
    ] {
        fill(&mut tester, field, keys);
    }
    assert!(tester.shows("29 bytes missing"), "{}", tester.screen());
    let command = enter(&mut tester).unwrap();
    let composed = composed(&command);
    assert_eq!(hex::encode(composed.bytes()), "5bff000000000000001f37fa213d3705");
    assert_eq!((composed.writes().count(), composed.delay()), (3, Duration::from_millis(20)));
}

#[test]
fn the_key_is_fresh_each_time_or_zero_or_what_was_typed() {
    let (mut tester, _traffic) = between();
    let mut keys = Vec::new();
    for _ in 0..2 {
        tester.keys("b");
        keys.push(read(&composed(&enter(&mut tester).unwrap()).bytes()).0.masking_key.unwrap());
    }
    assert_ne!(keys[0], keys[1]);
    tester.keys("b");
    fill(&mut tester, at::KEY, "z");
    let sent = composed(&enter(&mut tester).unwrap()).bytes();
    assert_eq!(&sent[2..], b"\0\0\0\0Hello");
}

#[test]
fn what_can_not_be_sent_says_why_and_stays() {
    let wrong: &[(&[(usize, &str)], &str)] = &[
        (&[(at::LENGTH, "many")], "The length is a number"),
        (&[(at::LENGTH, "126"), (at::FORM, "7")], "126 does not fit the 7-bit length"),
        (&[(at::KEY, "o"), (at::FIXED, "37fa")], "eight hex digits"),
        (&[(at::KIND, "h"), (at::PAYLOAD, "0")], "not hex"),
        (&[(at::KIND, "f")], "whose name goes here"),
        (&[(at::KIND, "f"), (at::PAYLOAD, "/")], "/ is not a file."),
        (&[(at::KIND, "f"), (at::PAYLOAD, "/there/is/no/such")], "Cannot read /there/is/no/such"),
        (&[(at::WRITES, "0")], "from 1 to 1000"),
        (&[(at::WRITES, "1001")], "from 1 to 1000"),
        (&[(at::DELAY, "soon")], "milliseconds"),
        (&[(at::WRITES, "62"), (at::DELAY, "1000")], "61 s; 60 s is the most"),
    ];
    for (fields, expected) in wrong {
        let (mut tester, _traffic) = between();
        tester.keys("b");
        for (field, keys) in *fields {
            fill(&mut tester, *field, keys);
        }
        assert!(error(&tester).contains(expected), "{}", error(&tester));
        assert_eq!(enter(&mut tester), None);
        assert!(tester.shows(expected), "{}", tester.screen());
    }
}

#[test]
fn a_payload_comes_from_a_file_up_to_the_bound() {
    let (mut tester, traffic) = between();
    let path = traffic.folder.path().join("payload");
    std::fs::write(&path, b"\x00\x01\x02").unwrap();
    tester.keys("b");
    fill(&mut tester, at::KIND, "f");
    fill(&mut tester, at::PAYLOAD, "");
    tester.input(Input::Paste(path.to_str().unwrap().to_owned()));
    let sent = composed(&enter(&mut tester).unwrap()).bytes();
    assert_eq!(read(&sent).1, b"\x00\x01\x02");
    for (bytes, fits) in [(Composed::MAX_PAYLOAD, true), (Composed::MAX_PAYLOAD + 1, false)] {
        std::fs::write(&path, vec![0; bytes]).unwrap();
        tester.keys("b");
        fill(&mut tester, at::KIND, "f");
        fill(&mut tester, at::PAYLOAD, "");
        tester.input(Input::Paste(path.to_str().unwrap().to_owned()));
        assert_eq!(composer(&tester).preview.is_ok(), fits, "{bytes}");
        tester.draw();
        tester.code(KeyCode::Esc);
    }
}

#[test]
fn each_preset_is_loaded_shows_its_rule_and_is_sent_as_it_is() {
    for to in Side::BOTH {
        let (mut tester, _traffic) = between();
        tester.keys(if to == Side::Client { "<b" } else { "b" });
        for preset in Preset::all(to.other(), false) {
            assert_eq!(composer(&tester).fields[at::PRESET].text(), preset.name());
            let preview = composer(&tester).preview.clone().unwrap();
            let rules: Vec<_> = preview.judgement.findings.iter().map(|one| one.finding.rule).collect();
            let expected = if let Preset::Breaks(rule) = preset { vec![rule] } else { vec![] };
            assert_eq!(rules, expected, "{}", preset.name());
            let key = crate::wire::MaskingKey([1, 2, 3, 4]);
            let frames = preset.frames(to.other(), || key);
            assert_eq!(preview.composed.frames().len(), frames.len());
            for (shown, frame) in preview.composed.frames().iter().zip(&frames) {
                let masking_key = frame.header.masking_key;
                let unkeyed = Header { masking_key, ..shown.header };
                assert_eq!((unkeyed, &shown.payload), (frame.header, &frame.payload), "{}", preset.name());
                assert_eq!(shown.header.masking_key.is_some(), masking_key.is_some(), "{}", preset.name());
            }
            for rule in rules {
                assert!(tester.shows(&format!("! {rule}")) && tester.shows("by itself"), "{}", tester.screen());
            }
            tester.keys(" ");
        }
    }
}

#[test]
fn an_unfinished_message_is_known_to_the_composer() {
    let (mut tester, mut traffic) = between();
    traffic.frame(1, Side::Client, Opcode::TEXT, false, b"begun");
    traffic.wait(3);
    tester.keys("b");
    assert!(tester.shows("! data-inside-message"), "{}", tester.screen());
    fill(&mut tester, at::OPCODE, "0");
    assert!(tester.shows("By itself it breaks no rule."), "{}", tester.screen());
}

#[test]
fn a_recorded_frame_goes_again_where_it_went_with_a_fresh_key() {
    let (mut tester, traffic) = between();
    let command = tester.keys("gr").unwrap();
    assert_eq!(command.to, Side::Server);
    let (header, payload) = read(&composed(&command).bytes());
    assert_eq!(payload, b"from the client");
    let before = traffic.capture.index().frame(1).unwrap().header();
    assert!(header.masking_key.is_some() && header.masking_key != before.masking_key);
    assert_eq!(Header { masking_key: before.masking_key, ..header }, before);
    assert!(tester.shows("frame 1 sent again to the server of connection 1"));
    let command = tester.keys("Gr").unwrap();
    assert_eq!(command.to, Side::Client);
    assert_eq!(composed(&command).bytes(), b"\x81\x0ffrom the server");
}

#[test]
fn in_serve_any_frame_goes_to_the_client_and_so_unmasked() {
    let (mut tester, _traffic) = between();
    tester.model.towards = None;
    let command = tester.keys("gr").unwrap();
    assert_eq!((command.to, composed(&command).bytes()), (Side::Client, b"\x81\x0ffrom the client".to_vec()));
}

#[test]
fn what_is_not_whole_is_not_sent_again() {
    let (mut tester, mut traffic) = between();
    traffic.bytes(1, Side::Server, b"\x82\x05ab");
    traffic.bytes(1, Side::Client, b"\x82\xff\0\0\0\0\0\x10\0\x01keys");
    traffic.close(1);
    traffic.open(2);
    traffic.text(2, Side::Client, "open");
    traffic.wait(5);
    let frames: Vec<_> = (1..=5).map(|n| traffic.capture.index().frame(n).unwrap()).collect();
    for (n, entry) in (1..).zip(frames).filter(|(_, entry)| !entry.is_complete()) {
        tester.keys("g");
        (1..n).for_each(|_| drop(tester.keys("j")));
        assert_eq!(tester.keys("r"), None);
        let why = if entry.header().length > 5 { "is the most that is sent again" } else { "is not whole" };
        assert!(tester.shows(why), "{}", tester.screen());
    }
}

#[test]
fn a_recorded_frame_is_edited_up_to_a_size() {
    let (mut tester, mut traffic) = between();
    tester.keys("ge");
    assert!(tester.shows("frame 1 as it was"), "{}", tester.screen());
    fill(&mut tester, at::FIN, " ");
    let (header, payload) = read(&composed(&enter(&mut tester).unwrap()).bytes());
    assert_eq!((header.fin, payload.as_slice()), (false, &b"from the client"[..]));
    traffic.frame(1, Side::Client, Opcode::BINARY, true, &[7; 4096]);
    traffic.frame(1, Side::Client, Opcode::BINARY, true, &[7; 4097]);
    traffic.wait(4);
    tester.keys("Ge");
    assert!(tester.model.overlays.is_empty());
    assert!(tester.shows("up to 4096 can be edited"), "{}", tester.screen());
    tester.keys("ke");
    assert_eq!(read(&composed(&enter(&mut tester).unwrap()).bytes()).1, [7; 4096]);
}

#[test]
fn it_is_drawn_at_any_size_in_ascii_and_without_colour() {
    let (mut tester, _traffic) = between();
    tester.keys("bm");
    for (width, height) in [(60, 15), (80, 24), (120, 36), (200, 50)] {
        tester.model.resize(Size { width, height });
        for field in [at::PRESET, at::OPCODE, at::PAYLOAD, at::DELAY] {
            fill(&mut tester, field, "");
            let shown = tester.screen();
            assert!(shown.contains("Enter sends") && shown.contains("delay in ms"), "{shown}");
        }
    }
    tester.model.theme = Theme { color: false, ascii: true };
    assert!(tester.screen().is_ascii());
    tester.model.resize(Size { width: 80, height: 24 });
    tester.code(KeyCode::Esc);
    tester.keys("<b");
    while composer(&tester).fields[at::PRESET].text() != "break fragmented-control" {
        tester.keys("f");
    }
    insta::assert_snapshot!(tester.screen());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_is_pressed_what_is_shown_is_what_would_be_sent(
        keys in prop::collection::vec((0..15_usize, prop::sample::select("01 23679abefhmotz".chars().collect::<Vec<_>>())), 0..40),
    ) {
        let (mut tester, _traffic) = between();
        tester.keys("b");
        for (field, key) in keys {
            fill(&mut tester, field, &key.to_string());
        }
        let preview = composer(&tester).preview.clone();
        let command = enter(&mut tester);
        match preview {
            Ok(preview) => prop_assert_eq!(composed(command.as_ref().unwrap()), &preview.composed),
            Err(why) => {
                prop_assert!(command.is_none() && !why.is_empty());
            }
        }
    }
}
