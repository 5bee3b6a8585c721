//! Bytes to feed in, ways to cut them up, and what the core saw in them.

use proptest::prelude::*;
use wsinspect::lint::{Finding, Linter};
use wsinspect::wire::{Decoder, Header, LengthForm, MaskingKey, Opcode, Piece, Rsv, frame, is_text, mask};

/// A frame as the decoder hands it out, its pieces joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) header: Header,
    /// As on the wire.
    pub(crate) payload: Vec<u8>,
    pub(crate) complete: bool,
}

/// What a decoder makes of one direction's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) frames: Vec<Seen>,
    pub(crate) lost: Vec<u8>,
    pub(crate) partial_header: Vec<u8>,
    pub(crate) at_border: bool,
}

/// Decodes `chunks`, and checks on the way what every piece promises: that it is borrowed from the front of its chunk,
/// that the offsets of a payload add up, that no payload overruns its frame, that every byte is accounted for.
pub(crate) fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = Decoder::default();
    let mut seen = Decoded::default();
    for chunk in chunks {
        let mut rest = chunk;
        loop {
            let before = rest;
            let Some(piece) = decoder.next(&mut rest) else { break };
            let taken = &before[..before.len() - rest.len()];
            match piece {
                Piece::Header(header) => seen.frames.push(Seen { header, payload: Vec::new(), complete: false }),
                Piece::Payload { bytes, offset } => {
                    let frame = seen.frames.last_mut().expect("a header before its payload");
                    assert!(std::ptr::eq(bytes, taken), "the payload is a slice of the chunk");
                    assert!(!bytes.is_empty());
                    assert_eq!(offset, frame.payload.len() as u64);
                    frame.payload.extend_from_slice(bytes);
                    assert!(frame.payload.len() as u64 <= frame.header.length);
                }
                Piece::End => {
                    let frame = seen.frames.last_mut().expect("a header before the end");
                    assert_eq!(taken, b"");
                    assert_eq!(frame.payload.len() as u64, frame.header.length);
                    assert!(!std::mem::replace(&mut frame.complete, true), "one end for each frame");
                }
                Piece::Lost(bytes) => {
                    assert!(std::ptr::eq(bytes, taken), "the bytes are a slice of the chunk");
                    seen.lost.extend_from_slice(bytes);
                }
            }
        }
        assert_eq!(rest, b"", "all of the chunk is taken before more is asked for");
    }
    seen.partial_header = decoder.partial_header().to_vec();
    seen.at_border = decoder.is_at_border();
    seen
}

/// Judges `chunks` as a program does: a frame that a chunk holds whole is taken at once if it is clean, and each other
/// payload unmasked and shown to the linter piece by piece. Every finding comes with the number of its frame.
pub(crate) fn judge<'a>(mut linter: Linter, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(usize, Finding)> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    let mut all = Vec::new();
    let mut frames = 0;
    let mut key = None;
    let mut room = Vec::new();
    for mut chunk in chunks {
        loop {
            let mut after = chunk;
            if let Some((header, payload)) = decoder.whole(&mut after)
                && linter.whole_message(&header, || is_text(payload, header.masking_key, &mut room))
            {
                frames += 1;
                chunk = after;
                continue;
            }
            let Some(piece) = decoder.next(&mut chunk) else { break };
            match piece {
                Piece::Header(header) => {
                    frames += 1;
                    key = header.masking_key;
                    linter.header(&header, &mut found);
                }
                Piece::Payload { bytes, offset } => {
                    let mut plain = bytes.to_vec();
                    mask(&mut plain, key.unwrap_or_default(), offset);
                    linter.payload(&plain, &mut found, |_| {});
                }
                Piece::End => linter.end(&mut found),
                Piece::Lost(_) => {}
            }
            all.extend(found.drain(..).map(|finding| (frames - 1, finding)));
        }
    }
    all
}

/// Every way to cut `bytes` in two, then all of them one by one. In a stream of more than some thousand bytes, which is
/// one long payload, the cuts fall around its header and its end.
pub(crate) fn simple_splits(bytes: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    const EDGE: usize = 1000;
    let is_edge = |&at: &usize| at < EDGE || at + EDGE > bytes.len();
    let in_two = (0..=bytes.len()).filter(is_edge).map(|at| vec![&bytes[..at], &bytes[at..]]);
    in_two.chain(std::iter::once(bytes.chunks(1).collect()))
}

/// `bytes` cut at `cuts`, in any order and with repetitions: a repeated cut makes an empty chunk.
pub(crate) fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain(std::iter::once(bytes.len()));
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

/// Any places to cut at.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

/// Any frame that a peer can send: every bit, opcode and key, each length in every form that holds it.
pub(crate) fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![8 => 0..20_usize, 1 => 120..132_usize, 1 => 65_530..65_545_usize];
    (any::<u8>(), any::<Option<[u8; 4]>>(), length, 0..3_u8, any::<u8>()).prop_map(
        |(first, key, length, form, fill)| {
            let shortest = LengthForm::shortest(length as u64);
            let header = Header {
                fin: first & 0x80 != 0,
                rsv: Rsv::new(first >> 4),
                opcode: Opcode::new(first),
                masking_key: key.map(MaskingKey),
                length: length as u64,
                length_form: [LengthForm::Bits7, LengthForm::Bits16, LengthForm::Bits64][usize::from(form)]
                    .max(shortest),
            };
            frame(&header, &vec![fill; length])
        },
    )
}

/// Any frames, one after the other.
pub(crate) fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any_frame(), 0..6).prop_map(|frames| frames.concat())
}
