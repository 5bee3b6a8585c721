//! The decoder finds the same frames in any bytes, however they are cut, and loses none of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsinspect::wire::{Decoder, Header, Piece};

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    assert_eq!(decode(bytes.chunks(usize::from(size) + 1)), decode([bytes]));
});

/// Headers, and how many bytes of payload each got; lost and held bytes count as their own.
fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<(Header, u64, bool)>, usize, Vec<u8>) {
    let (mut decoder, mut frames, mut lost) = (Decoder::default(), Vec::new(), 0);
    for mut chunk in chunks {
        while let Some(piece) = decoder.next(&mut chunk) {
            match (piece, frames.last_mut()) {
                (Piece::Header(header), _) => frames.push((header, 0, false)),
                (Piece::Payload { bytes, offset }, Some((_, length, _))) => {
                    assert_eq!(offset, *length);
                    *length += bytes.len() as u64;
                }
                (Piece::End, Some((header, length, complete))) => *complete = header.length == *length,
                (Piece::Lost(bytes), _) => lost += bytes.len(),
                (piece, None) => panic!("{piece:?} before any header"),
            }
        }
    }
    (frames, lost, decoder.partial_header().to_vec())
}
