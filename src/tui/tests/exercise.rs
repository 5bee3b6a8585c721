//! The exercise sheet: whatever a learner points at, the screen says what it is, why it is so and where that is written.

use super::*;
use crate::anatomy::{self, Example, example};
use crate::lint::{Group, Rule};
use crate::tui::layout::Pane;
use crate::wire::{LengthForm, MAX_HEADER};

/// Frames of all opcodes, lengths, masks and RSV bits, legal or not, each alone on a connection of its own.
fn corpus() -> Vec<(Side, Vec<u8>)> {
    let key = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
    let mut frames = Vec::new();
    for opcode in 0..16 {
        for (from, masked, fin, rsv, length) in [
            (Side::Client, true, true, 0, 5),
            (Side::Server, false, false, 4, 0),
            (Side::Client, false, true, 3, 126),
            (Side::Server, true, true, 7, 1),
            (Side::Client, true, false, 0, 70_000),
        ] {
            let header = Header::new(Opcode::new(opcode), masked.then_some(key), length).with_fin(fin);
            let header = Header { rsv: Rsv::new(rsv), ..header };
            frames.push((from, frame(&header, &vec![b'a'; length as usize])));
        }
    }
    for form in [LengthForm::Bits16, LengthForm::Bits64] {
        frames.push((
            Side::Client,
            frame(&Header { length_form: form, ..Header::new(Opcode::TEXT, Some(key), 2) }, b"hi"),
        ));
    }
    frames.push((Side::Server, hex::decode("827f8000000000000000").unwrap()));
    for body in [&b"\x03\xe8"[..], b"\x03\xe8bye", b"\x03\xee", b"\x03", b"\x0b\xb8\xff"] {
        frames.push((Side::Server, frame(&Header::new(Opcode::CLOSE, None, body.len() as u64), body)));
    }
    for rule in Rule::ALL {
        if let Example::Frames { from, hex, .. } = example(*rule) {
            frames.push((from, hex::decode(hex.replace(' ', "")).unwrap()));
        }
    }
    frames
}

/// The lines inside the frame pane, one after the other.
fn pane(tester: &mut Tester) -> String {
    let buffer = tester.draw();
    let area = tester.model.layout().and_then(|layout| layout.frame.or(layout.list)).unwrap();
    let row = |y| (area.x + 1..area.right() - 1).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    let text: String = (area.y + 1..area.bottom() - 1).map(|y| row(y) + "\n").collect();
    text
}

/// Blanks and line breaks make no difference.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn every_field_of_every_frame_has_a_meaning_a_reason_and_a_section_on_the_screen() {
    let mut traffic = Traffic::new();
    for (id, (from, bytes)) in (1..).zip(corpus()) {
        traffic.open(id);
        traffic.bytes(id, from, &bytes);
        traffic.close(id);
    }
    let (capture, _folder) = traffic.done();
    let mut tester = Tester::new(capture, 120, 60);
    let last = tester.selected();
    assert!(last >= 100, "{last}");
    let mut names = std::collections::BTreeSet::new();
    for n in 1..=last {
        tester.model.frames.select(n);
        tester.model.pane = Pane::Frame;
        tester.draw();
        let fields =
            tester.reader.take(&mut tester.model, &tester.capture, Timestamp::default()).detail.unwrap().anatomy.fields;
        for _ in 0..MAX_HEADER {
            tester.model.turn(false);
        }
        for field in &fields {
            let text = squeezed(&pane(&mut tester));
            let what = format!("what{}why", squeezed(&tester.model.theme.clean(&field.meaning)));
            let why = format!("{}where{}", squeezed(field.why), squeezed(field.section));
            assert!(
                !field.meaning.is_empty() && !field.why.is_empty() && field.section.starts_with("RFC "),
                "{field:?}"
            );
            assert!(
                text.contains(&format!("▸{}", squeezed(&field.name))),
                "frame {n}, {field:?}\n{}",
                pane(&mut tester)
            );
            assert!(text.contains(&what) && text.contains(&why), "frame {n}, {field:?}\n{}", pane(&mut tester));
            names.insert(field.name.clone());
            tester.code(KeyCode::Right);
        }
    }
    let all = [
        "FIN",
        "MASK",
        "RSV1",
        "RSV2",
        "RSV3",
        "extended length",
        "masking key",
        "opcode",
        "payload data",
        "payload length",
        "reason",
        "status code",
    ];
    assert_eq!(names.iter().map(AsRef::as_ref).collect::<Vec<_>>(), all);
}

/// The handshake of RFC 6455 1.3, and for each rule about handshakes one that breaks it.
fn handshakes() -> Vec<(Option<Rule>, String, String)> {
    let request = String::from_utf8(REQUEST.to_vec()).unwrap().replace(
        "\r\n\r\n",
        "\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nUser-Agent: a browser\r\nCookie: a=b\r\n\r\n",
    );
    let response = RESPONSE.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\nServer: a server\r\n\r\n");
    let changed = |head: &str, instead_of: &str, line: &str| {
        let lines = head.split("\r\n").map(|old| if old.starts_with(instead_of) { line } else { old });
        let kept: Vec<_> = lines.collect();
        // where a line goes, its line break does, too
        kept.join("\r\n").replacen("\r\n\r\n", "\r\n", usize::from(line.is_empty()))
    };
    let mut all = vec![(None, request.clone(), response.clone())];
    for rule in Rule::ALL.iter().copied().filter(|rule| rule.group() == Group::Handshake) {
        match example(rule) {
            Example::Request { instead_of, line } => {
                all.push((Some(rule), changed(&request, instead_of, line), response.clone()));
            }
            Example::Response { instead_of, line } => {
                all.push((Some(rule), request.clone(), changed(&response, instead_of, line)));
            }
            Example::Frames { .. } => {}
        }
    }
    all
}

#[test]
fn every_field_of_every_handshake_has_a_meaning_a_reason_and_a_section_on_the_screen() {
    let mut traffic = Traffic::new();
    let all = handshakes();
    for (id, (_, request, response)) in (1..).zip(&all) {
        let client = SocketAddr::from(([127, 0, 0, 1], 50_000 + id as u16));
        let server = SocketAddr::from(([127, 0, 0, 1], 9002));
        traffic.event(id, EventKind::Opened { client, server, vantage: Vantage::Beside });
        traffic.bytes(id, Side::Client, request.as_bytes());
        traffic.bytes(id, Side::Server, response.as_bytes());
        traffic.close(id);
    }
    let (capture, _folder) = traffic.done();
    for width in [80, 200] {
        let mut tester = Tester::new(capture.clone(), width, 200);
        tester.keys("3");
        for (place, (rule, ..)) in (1..).zip(&all) {
            tester.model.connections.select(place);
            tester.draw();
            let detail =
                tester.reader.take(&mut tester.model, &tester.capture, Timestamp::default()).handshake.unwrap();
            // side by side, lines of one head stand between those of the other
            let text = pane(&mut tester);
            let columns = |from: usize, to: usize| {
                let lines = text.lines().map(|line| line.chars().skip(from).take(to - from).collect::<String>());
                squeezed(&lines.collect::<String>())
            };
            let half = (usize::from(width) - 4) / 2;
            let texts =
                if width >= 124 { [columns(0, half), columns(half, 400)] } else { [columns(0, 400), columns(0, 400)] };
            for (head, text) in detail.heads.iter().zip(&texts) {
                for field in head.iter().flat_map(|head| &head.fields) {
                    assert!(!field.meaning.is_empty() && !field.why.is_empty(), "{field:?}");
                    assert!(field.section.starts_with("RFC "), "{field:?}");
                    for words in [&field.meaning, field.why, field.section] {
                        let words = squeezed(&tester.model.theme.clean(words));
                        assert!(text.contains(&words), "{rule:?} at {width}: {words}\n{}", pane(&mut tester));
                    }
                }
            }
            if let Some(rule) = rule {
                assert!(text.contains(&format!("! {rule}")), "{rule}\n{text}");
            }
        }
    }
}

#[test]
fn every_rule_has_a_sentence_a_reason_and_a_section_on_the_screen() {
    let traffic = Traffic::new();
    let mut tester = Tester::new(traffic.capture.clone(), 120, 36);
    tester.keys("6");
    for rule in Rule::ALL {
        assert_eq!(tester.model.selected_rule(), Some(*rule));
        let reason = anatomy::reason(*rule);
        assert!(reason.ends_with('.') && rule.section().starts_with("RFC "), "{rule}: {reason}");
        let text = squeezed(&pane(&mut tester));
        for words in [rule.sentence(), reason, rule.section()] {
            assert!(text.contains(&squeezed(words)), "{rule}: {words}\n{}", tester.screen());
        }
        tester.keys("j");
    }
}
