//! Where frames begin in a stream whose beginning was not seen.
//!
//! A segment of TCP often begins with a frame. One whose first bytes are a header that a peer may send, and from which
//! header leads to header, is such a place; random bytes pass one header in about 30, so a few of them are proof.

use crate::wire::{Header, LengthForm, MAX_HEADER, Opcode, Parsed};

/// The most segments that are looked at.
pub(super) const MAX_SEGMENTS: usize = 256;
/// How many points prove it: a header has one, a frame that ends where its segment ends has two more, since its length
/// is right.
const PROOF: u32 = 4;
/// The longest frame that is believed in.
const MAX_LENGTH: u64 = 1 << 31;

/// The first of `segments` (which follow on each other without a hole) that provably begins with a frame; `masked` says
/// whether frames of that side are.
pub(super) fn find(segments: &[&[u8]], masked: Option<bool>) -> Option<usize> {
    (0..segments.len()).find(|&start| is_proven(&segments[start..], masked))
}

/// Whether the first frame of those that are found is masked.
pub(super) fn is_masked(segments: &[&[u8]]) -> Option<bool> {
    [true, false].into_iter().filter_map(|masked| Some((find(segments, Some(masked))?, masked))).min().map(|(_, it)| it)
}

fn is_proven(segments: &[&[u8]], masked: Option<bool>) -> bool {
    let mut rest = Rest { segments, at: 0 };
    let mut points = 0;
    // whether a message is unfinished, once that is known
    let mut unfinished = None;
    while points < PROOF {
        let mut bytes = [0; MAX_HEADER];
        let got = rest.peek(&mut bytes);
        let Parsed::Complete(header) = Header::parse(&bytes[..got]) else { return false };
        if !is_plausible(&header, masked, unfinished) {
            return false;
        }
        if !header.opcode.is_control() {
            unfinished = Some(!header.fin);
        }
        points += 1;
        match rest.pass(header.len() as u64 + header.length) {
            Some(true) => points += 2,
            Some(false) => {}
            None => break,
        }
    }
    points >= PROOF
}

fn is_plausible(header: &Header, masked: Option<bool>, unfinished: Option<bool>) -> bool {
    let opcode = header.opcode;
    let rsv = header.rsv.value();
    let begins = matches!(opcode, Opcode::TEXT | Opcode::BINARY);
    let shortest = match header.length_form {
        LengthForm::Bits7 => true,
        LengthForm::Bits16 => header.length > 125,
        LengthForm::Bits64 => header.length > 0xFFFF,
    };
    !opcode.is_reserved()
        && shortest
        && header.length < MAX_LENGTH
        // permessage-deflate marks the first frame of a message
        && (rsv == 0 || (rsv == 4 && begins))
        && (!opcode.is_control() || (header.fin && header.length <= 125))
        && masked.is_none_or(|masked| masked == header.masking_key.is_some())
        && !(begins && unfinished == Some(true))
        && !(opcode == Opcode::CONTINUATION && unfinished == Some(false))
}

/// What follows in the segments.
struct Rest<'a> {
    segments: &'a [&'a [u8]],
    at: usize,
}

impl Rest<'_> {
    fn peek(&self, bytes: &mut [u8; MAX_HEADER]) -> usize {
        let mut got = 0;
        let mut skip = self.at;
        for segment in self.segments {
            let part = &segment[skip.min(segment.len())..];
            let take = part.len().min(MAX_HEADER - got);
            bytes[got..got + take].copy_from_slice(&part[..take]);
            got += take;
            skip = 0;
            if got == MAX_HEADER {
                break;
            }
        }
        got
    }

    /// Passes over bytes; tells whether a segment ends there, or `None` if there are fewer.
    fn pass(&mut self, mut bytes: u64) -> Option<bool> {
        while let Some(segment) = self.segments.first() {
            let left = (segment.len() - self.at) as u64;
            if bytes < left {
                self.at += bytes as usize;
                return Some(false);
            }
            bytes -= left;
            self.at = 0;
            self.segments = &self.segments[1..];
            if bytes == 0 {
                return Some(true);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{MaskingKey, frame};

    fn text(masked: bool, length: usize) -> Vec<u8> {
        let key = masked.then_some(MaskingKey([1, 2, 3, 4]));
        frame(&Header::new(Opcode::TEXT, key, length as u64), &vec![b'a'; length])
    }

    #[test]
    fn frames_are_found_at_the_first_segment_from_which_they_chain() {
        let frame = text(true, 200);
        let (tail, whole) = (&frame[50..], &frame[..]);
        assert_eq!(find(&[tail, whole, whole], Some(true)), Some(1));
        assert_eq!(is_masked(&[tail, whole, whole]), Some(true));
        assert_eq!(find(&[tail, whole], Some(true)), None, "one frame proves nothing");
        assert_eq!(find(&[tail, whole, whole], Some(false)), None);
        // a long frame over several segments, and several frames in one
        let long = text(false, 3000);
        let short = [text(false, 5), text(false, 0)].concat();
        assert_eq!(find(&[&long[2000..], &long[..1400], &long[1400..], &short], Some(false)), Some(1));
        assert_eq!(is_masked(&[&long[..1400], &long[1400..], &short]), Some(false));
    }

    #[test]
    fn text_and_noise_are_no_frames() {
        let noise: Vec<u8> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let segments: Vec<_> = noise.chunks(100).collect();
        assert_eq!(find(&segments, None), None);
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"price\": 17, \"of\": \"bread\"}\r\n".repeat(30);
        let segments: Vec<_> = text.as_bytes().chunks(37).collect();
        assert_eq!(find(&segments, None), None);
    }
}
