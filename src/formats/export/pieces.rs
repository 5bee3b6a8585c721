//! The payload of a message of any size, piece by piece.

use std::io;

use crate::capture::Capture;
use crate::formats::messages::Assembled;

/// The most bytes of a piece.
const PIECE: u64 = 1 << 20;

/// The payloads of a message's frames, unmasked, in order. What was not recorded is not there.
pub(super) fn pieces<'a>(
    capture: &'a Capture,
    message: &'a Assembled,
) -> impl Iterator<Item = io::Result<Vec<u8>>> + use<'a> {
    message.parts.iter().flat_map(move |(_, entry)| {
        let length = entry.header().length;
        let mut at = 0;
        std::iter::from_fn(move || {
            if at >= length {
                return None;
            }
            let piece = capture.payload(entry, at..at.saturating_add(PIECE).min(length));
            match &piece {
                // cut short, or a hole
                Ok(bytes) if bytes.is_empty() => return None,
                Ok(bytes) => at += bytes.len() as u64,
                Err(_) => at = length,
            }
            Some(piece)
        })
    })
}
