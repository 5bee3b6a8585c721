//! Rules about compressed messages over several of them: what one did to the next.

use proptest::prelude::*;
use wsinspect::lint::{Linter, Rule};
use wsinspect::wire::{DeflateAgreement, Deflater, Header, InflateError, Opcode, Rsv, fragments, frame};

use super::{Traffic, assert_same_findings, compressed_by_itself, deflated, server, text, with_first_byte};
use crate::catalogue::assert_reads_well;
use crate::traffic::{cut, cuts, judge};

/// Compressed messages of one shared window, in fragments, some of them broken.
fn any_compressed_stream() -> impl Strategy<Value = Vec<u8>> {
    let message = prop_oneof![
        3 => "[a-c]{0,40}".prop_map(String::into_bytes),
        1 => Just(b"a\xFFb".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3000),
        1 => Just(vec![b'a'; 12_000]),
    ];
    let spoilt = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    let messages = prop::collection::vec((message, spoilt, 1..4_u16, any::<bool>()), 1..5);
    messages.prop_map(|messages| {
        let mut deflater = Deflater::new(true, 15).expect("a window of 15 bits");
        let mut stream = Vec::new();
        for (message, spoilt, count, plain) in messages {
            let mut payload = Vec::new();
            deflater.message(&message, &mut payload);
            if let Some((at, byte)) = spoilt {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            let payload = if plain { message } else { payload };
            for (opcode, fin, fragment) in fragments(Opcode::TEXT, &payload, count) {
                let rsv = if opcode == Opcode::TEXT && !plain { Rsv::RSV1 } else { Rsv::NONE };
                let header = Header { rsv, ..Header::new(opcode, None, fragment.len() as u64).with_fin(fin) };
                stream.extend(frame(&header, fragment));
            }
        }
        stream
    })
}

fn deflating() -> Linter {
    server([]).with_deflate().with_limits(1 << 20, 10_000).linter()
}

#[test]
fn after_a_message_that_could_not_be_inflated_those_that_may_refer_to_it_are_not_judged() {
    let spoilt = || with_first_byte(text(b"\xFF"), |byte| byte | 0x40);
    let mut traffic = server([spoilt(), spoilt(), deflated(Opcode::TEXT, b"\xFF"), text(b"a\xFF")]).with_deflate();
    let rules = |traffic: &Traffic| -> Vec<_> {
        let found = judge(traffic.linter(), [&traffic.frames.concat()[..]]);
        found.iter().map(|(frame, finding)| (*frame, finding.rule)).collect()
    };
    assert_eq!(rules(&traffic), [(0, Rule::InflateFailed), (3, Rule::InvalidUtf8)]);
    traffic.deflate = Some(DeflateAgreement { server_no_context_takeover: true, ..DeflateAgreement::default() });
    let each = [Rule::InflateFailed, Rule::InflateFailed, Rule::InvalidUtf8, Rule::InvalidUtf8];
    assert_eq!(rules(&traffic), each.into_iter().enumerate().collect::<Vec<_>>());
}

#[test]
fn a_compressed_message_of_which_bytes_are_missing_is_not_judged_nor_what_may_refer_to_it() {
    let mut linter = server([]).with_deflate().linter();
    let mut found = Vec::new();
    let header = Header { rsv: Rsv::RSV1, ..Header::new(Opcode::TEXT, None, 7) };
    linter.header(&header, &mut found);
    assert!(linter.inflates());
    linter.payload(b"\xF2\x48", &mut found, |_| {});
    linter.pass_over();
    linter.payload(b"\xFF\xFF\xFF\xFF", &mut found, |_| panic!("what was not inflated"));
    linter.end(&mut found);
    for _ in 0..2 {
        linter.header(&header, &mut found);
        linter.payload(b"\xF2\x48\xCD\xC9\xC9\x07\x00", &mut found, |_| panic!("what may refer to it"));
        linter.end(&mut found);
        assert_eq!(linter.inflate_error(), Some(InflateError::Lost));
    }
    assert_eq!(found, []);
}

#[test]
fn bytes_missing_of_a_message_that_is_not_compressed_leave_the_compressed_ones_as_they_were() {
    let mut linter = server([]).with_deflate().linter();
    let (mut found, mut inflated) = (Vec::new(), Vec::new());
    linter.header(&Header::new(Opcode::BINARY, None, 10), &mut found);
    linter.pass_over();
    linter.end(&mut found);
    linter.header(&Header { rsv: Rsv::RSV1, ..Header::new(Opcode::TEXT, None, 7) }, &mut found);
    linter.payload(b"\xF2\x48\xCD\xC9\xC9\x07\x00", &mut found, |piece| inflated.extend_from_slice(piece));
    linter.end(&mut found);
    assert_eq!((inflated.as_slice(), found), (&b"Hello"[..], Vec::new()));
}

#[test]
fn whoever_drives_the_linter_gets_what_compressed_messages_inflate_to() {
    let mut linter = server([]).with_deflate().linter();
    let (mut found, mut inflated) = (Vec::new(), Vec::new());
    let message = b"over and over and over again ".repeat(1000);
    let payload = compressed_by_itself(&message);
    for (opcode, fin, fragment) in fragments(Opcode::TEXT, &payload, 3) {
        let rsv = if fin { Rsv::NONE } else { Rsv::RSV1 };
        let rsv = if opcode == Opcode::TEXT { rsv } else { Rsv::NONE };
        linter.header(&Header { rsv, ..Header::new(opcode, None, fragment.len() as u64).with_fin(fin) }, &mut found);
        linter.payload(fragment, &mut found, |piece| {
            assert!(piece.len() <= 8 << 10);
            inflated.extend_from_slice(piece);
        });
        linter.end(&mut found);
    }
    assert!(inflated == message && found.is_empty());
    linter.header(&Header::new(Opcode::TEXT, None, 2), &mut found);
    assert!(!linter.inflates());
    linter.payload(b"hi", &mut found, |_| panic!("it is not compressed"));
}

proptest! {
    #[test]
    fn findings_in_compressed_messages_are_the_same_for_every_split_and_lie_in_their_frame(
        stream in any_compressed_stream(),
        cuts in cuts(),
    ) {
        let found = assert_same_findings(deflating, &stream, cut(&stream, &cuts))?;
        let frames = crate::traffic::decode([&stream[..]]).frames;
        for (frame, finding) in found {
            let length = frames[frame].header.len() as u64 + frames[frame].header.length;
            prop_assert!(finding.at.start < finding.at.end && finding.at.end <= length, "{:?}", finding);
            assert_reads_well(&finding);
        }
    }
}
