//! The incremental decoder (RFC 6455 5.2).

use proptest::prelude::*;
use wsinspect::wire::{Decoder, Header, LengthForm, MAX_HEADER, MaskingKey, Opcode, Piece, Rsv, frame};

use crate::traffic::{Seen, any_stream, cut, cuts, decode, simple_splits};

const KEY: Option<MaskingKey> = Some(MaskingKey([0x37, 0xFA, 0x21, 0x3D]));

/// One frame of each shape: all length forms, minimal or not, masked or not, empty or not, reserved bits and opcodes.
fn frames_of_every_shape() -> Vec<(Header, Vec<u8>)> {
    let mut frames = Vec::new();
    for masking_key in [None, KEY] {
        for (length, length_form) in [
            (0, LengthForm::Bits7),
            (5, LengthForm::Bits7),
            (125, LengthForm::Bits7),
            (0, LengthForm::Bits16),
            (5, LengthForm::Bits16),
            (126, LengthForm::Bits16),
            (0, LengthForm::Bits64),
            (5, LengthForm::Bits64),
            (300, LengthForm::Bits64),
        ] {
            let (fin, rsv) = (length % 2 == 0, Rsv::new(length as u8));
            let opcode = Opcode::new(frames.len() as u8);
            let header = Header { fin, rsv, opcode, masking_key, length, length_form };
            frames.push((header, (0..length).map(|i| i as u8).collect()));
        }
    }
    frames
}

#[test]
fn any_split_in_two_and_byte_by_byte_give_the_frames_that_were_written() {
    let frames = frames_of_every_shape();
    let stream: Vec<u8> = frames.iter().flat_map(|(header, payload)| frame(header, payload)).collect();
    let whole = decode([&stream[..]]);
    assert!(whole.at_border);
    assert_eq!(whole.frames.len(), frames.len());
    for (seen, (header, payload)) in whole.frames.iter().zip(&frames) {
        assert_eq!(seen.header, *header);
        assert!(seen.complete);
        assert_eq!(frame(&seen.header, payload)[header.len()..], seen.payload, "the payload is as on the wire");
    }
    for chunks in simple_splits(&stream) {
        assert_eq!(decode(chunks.iter().copied()), whole, "first chunk of {} bytes", chunks[0].len());
    }
}

#[test]
fn a_16_bit_and_a_64_bit_frame_at_the_edge_of_their_forms_are_read() {
    for length in [65_535_usize, 65_536] {
        let bytes = frame(&Header::new(Opcode::BINARY, KEY, length as u64), &vec![7; length]);
        let seen = decode(bytes.chunks(1000));
        assert_eq!(seen.frames.len(), 1);
        assert!(seen.frames[0].complete && seen.frames[0].header.is_minimal());
        assert_eq!(seen.frames[0].header.length, length as u64);
    }
}

#[test]
fn every_first_byte_is_kept_as_it_came() {
    for first in 0..=255_u8 {
        let seen = decode([&[first, 1, b'x'][..]]);
        let header = seen.frames[0].header;
        let again = u8::from(header.fin) << 7 | header.rsv.value() << 4 | header.opcode.value();
        assert_eq!(again, first);
        assert_eq!(seen.frames[0].payload, b"x");
    }
}

#[test]
fn the_end_of_a_frame_is_told_with_its_last_byte_not_with_the_next_frame() {
    let mut decoder = Decoder::default();
    let mut chunk = &b"\x81\x02hi"[..];
    assert!(matches!(decoder.next(&mut chunk), Some(Piece::Header(_))));
    assert_eq!(decoder.next(&mut chunk), Some(Piece::Payload { bytes: b"hi", offset: 0 }));
    assert!(!decoder.is_at_border());
    assert_eq!(decoder.next(&mut chunk), Some(Piece::End));
    assert!(decoder.is_at_border());
    assert_eq!(decoder.next(&mut chunk), None);
}

#[test]
fn a_header_cut_short_is_kept_and_shown() {
    let bytes = frame(&Header { length_form: LengthForm::Bits64, ..Header::new(Opcode::TEXT, KEY, 1) }, b"x");
    for len in 0..MAX_HEADER {
        let seen = decode(bytes[..len].chunks(3));
        assert_eq!(seen.partial_header, bytes[..len]);
        assert_eq!(seen.at_border, len == 0);
        assert_eq!(seen.frames, []);
    }
    let seen = decode([&bytes[..MAX_HEADER]]);
    assert_eq!((seen.partial_header.len(), seen.frames.len(), seen.frames[0].complete), (0, 1, false));
}

#[test]
fn a_length_with_its_top_bit_set_loses_all_that_follows_and_no_byte_of_it() {
    for masking_key in [None, KEY] {
        for length in [1 << 63, u64::MAX] {
            let mut stream = frame(&Header::new(Opcode::PING, None, 2), b"ok");
            stream.extend(frame(&Header::new(Opcode::BINARY, masking_key, length), b"\x81\x02hi\x81\x02hi"));
            let whole = decode([&stream[..]]);
            assert_eq!(whole.frames.len(), 2, "the frame before, and the header at fault");
            assert!(whole.frames[0].complete && !whole.frames[1].complete);
            assert_eq!(whole.frames[1].header.length, length);
            assert_eq!(whole.lost.len(), 8);
            assert!(!whole.at_border);
            for chunks in simple_splits(&stream) {
                assert_eq!(decode(chunks), whole);
            }
        }
    }
}

#[test]
fn the_longest_legal_length_is_no_loss() {
    let seen = decode([&frame(&Header::new(Opcode::BINARY, None, u64::MAX >> 1), b"only this came")[..]]);
    assert_eq!(seen.frames[0].payload, b"only this came");
    assert!(!seen.frames[0].complete && seen.lost.is_empty());
}

/// The frames that a program gets which asks for whole ones first.
fn whole_frames_first(chunks: Vec<&[u8]>) -> Vec<Seen> {
    let (mut decoder, mut seen) = (Decoder::default(), Vec::<Seen>::new());
    for mut chunk in chunks {
        loop {
            if let Some((header, payload)) = decoder.whole(&mut chunk) {
                seen.push(Seen { header, payload: payload.to_vec(), complete: true });
                continue;
            }
            match decoder.next(&mut chunk) {
                None => break,
                Some(Piece::Header(header)) => seen.push(Seen { header, payload: Vec::new(), complete: false }),
                Some(Piece::Payload { bytes, .. }) => seen.last_mut().unwrap().payload.extend_from_slice(bytes),
                Some(Piece::End) => seen.last_mut().unwrap().complete = true,
                Some(Piece::Lost(_)) => {}
            }
        }
    }
    seen
}

#[test]
fn a_frame_that_is_not_there_whole_is_left_for_its_pieces() {
    let bytes = frame(&Header::new(Opcode::TEXT, KEY, 5), b"Hello");
    for len in 0..bytes.len() {
        let (mut decoder, mut chunk) = (Decoder::default(), &bytes[..len]);
        assert_eq!(decoder.whole(&mut chunk), None);
        assert_eq!(chunk.len(), len, "nothing is taken");
    }
    let (mut decoder, mut chunk) = (Decoder::default(), &bytes[..]);
    assert_eq!(decoder.whole(&mut chunk), Some((Header::new(Opcode::TEXT, KEY, 5), &bytes[6..])));
    assert!(chunk.is_empty() && decoder.is_at_border());
}

#[test]
fn inside_a_frame_no_whole_one_begins() {
    let mut decoder = Decoder::default();
    let mut chunk = &b"\x82\x04\x81\x00\x81\x00"[..];
    assert!(matches!(decoder.next(&mut chunk), Some(Piece::Header(_))));
    assert_eq!(decoder.whole(&mut chunk), None);
    assert!(matches!(decoder.next(&mut chunk), Some(Piece::Payload { bytes: b"\x81\0\x81\0", .. })));
    assert_eq!(decoder.whole(&mut &b"\x81\x00"[..]), None, "the end has not been told");
    let (mut decoder, mut half) = (Decoder::default(), &b"\x81"[..]);
    assert_eq!(decoder.next(&mut half), None);
    assert_eq!(decoder.whole(&mut &b"\x81\x00"[..]), None, "a header has begun");
}

proptest! {
    #[test]
    fn whole_frames_and_pieces_are_the_same_frames(stream in any_stream(), cuts in cuts()) {
        prop_assert_eq!(whole_frames_first(cut(&stream, &cuts)), decode([&stream[..]]).frames);
    }

    #[test]
    fn whole_frames_and_pieces_of_random_bytes_are_the_same(
        stream in prop::collection::vec(any::<u8>(), 0..300),
        cuts in cuts(),
    ) {
        prop_assert_eq!(whole_frames_first(cut(&stream, &cuts)), decode([&stream[..]]).frames);
    }

    #[test]
    fn random_splits_of_random_frames_give_the_same_frames(stream in any_stream(), cuts in cuts()) {
        let whole = decode([&stream[..]]);
        prop_assert!(whole.at_border && whole.frames.iter().all(|frame| frame.complete));
        prop_assert_eq!(decode(cut(&stream, &cuts)), whole);
    }

    #[test]
    fn random_splits_of_random_bytes_give_the_same_and_lose_no_byte(
        stream in prop::collection::vec(any::<u8>(), 0..300),
        cuts in cuts(),
    ) {
        let whole = decode([&stream[..]]);
        let bytes_of = |frame: &Seen| frame.header.len() + frame.payload.len();
        let counted = whole.frames.iter().map(bytes_of).sum::<usize>() + whole.lost.len() + whole.partial_header.len();
        prop_assert_eq!(counted, stream.len());
        prop_assert_eq!(decode(cut(&stream, &cuts)), whole);
    }
}
