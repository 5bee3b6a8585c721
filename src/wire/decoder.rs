//! Frames found in a stream of bytes that arrives in chunks of any size.

use super::{Header, MAX_HEADER, Parsed};

/// Finds the frames in one direction of a connection, after the opening handshake.
///
/// Payloads are neither copied nor unmasked nor kept: they are handed out as slices of the chunk that they came in. Only
/// a header that is split between chunks is held, at most [`MAX_HEADER`] bytes of it.
///
/// ```
/// use wsinspect::wire::{Decoder, Piece};
///
/// let mut decoder = Decoder::default();
/// let mut lengths = Vec::new();
/// for mut chunk in [&b"\x81\x05He"[..], b"llo\x89", b"\x00"] {
///     while let Some(piece) = decoder.next(&mut chunk) {
///         if let Piece::Header(header) = piece {
///             lengths.push(header.length);
///         }
///     }
/// }
/// assert_eq!(lengths, [5, 0]);
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    phase: Phase,
    /// Bytes of the payload at hand that have not been handed out, of `length`.
    left: u64,
    length: u64,
    /// The first bytes of a header whose last have not come: `held_len < MAX_HEADER`.
    held: [u8; MAX_HEADER],
    held_len: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Between frames or inside a header.
    #[default]
    Header,
    /// Inside a payload, of which something is left.
    Payload,
    /// The payload has been handed out to its last byte, the end has not.
    End,
    /// After a length that says nothing about where the frame ends.
    Lost,
}

/// What [`Decoder::next`] finds, in the order of the bytes: a header, its payload in any number of slices, its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A frame's whole header.
    Header(Header),
    /// Bytes of the frame's payload as they are on the wire (masked), never empty.
    Payload {
        /// The bytes, borrowed from the chunk.
        bytes: &'a [u8],
        /// Where in the payload the first of them stands.
        offset: u64,
    },
    /// The frame is complete.
    End,
    /// Bytes after a 64-bit length with its top bit set: no frame border can be found from there on.
    Lost(&'a [u8]),
}

impl Decoder {
    /// How many bytes of the payload at hand have not been handed out; `None` between frames and inside a header.
    pub const fn payload_left(&self) -> Option<u64> {
        match self.phase {
            Phase::Payload => Some(self.left),
            Phase::Header | Phase::End | Phase::Lost => None,
        }
    }

    /// Passes over bytes of the payload at hand that were not seen: at most [`Decoder::payload_left`].
    pub fn pass_over(&mut self, bytes: u64) {
        if self.phase == Phase::Payload {
            self.left = self.left.saturating_sub(bytes);
            if self.left == 0 {
                self.phase = Phase::End;
            }
        }
    }

    /// The frame at the front of `input`, if it is there whole: its header and its payload as it is on the wire.
    /// [`Decoder::next`] gives the same in pieces, and what is left when this gives nothing.
    #[inline]
    pub fn whole<'a>(&mut self, input: &mut &'a [u8]) -> Option<(Header, &'a [u8])> {
        if self.is_at_border() { whole_frame(input) } else { None }
    }

    /// The next piece in `input`, from whose front it is taken; `None` when more bytes are needed.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        match self.phase {
            Phase::Header => {
                let header = match input.first_chunk() {
                    Some(front) if self.held_len == 0 => {
                        let header = Header::read(front);
                        *input = &input[header.len()..];
                        header
                    }
                    _ => self.short_header(input)?,
                };
                self.left = header.length;
                self.length = header.length;
                self.phase = if header.length == 0 {
                    Phase::End
                } else if header.has_length_top_bit() {
                    Phase::Lost
                } else {
                    Phase::Payload
                };
                Some(Piece::Header(header))
            }
            Phase::Payload => {
                if input.is_empty() {
                    return None;
                }
                let offset = self.length - self.left;
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
                let (bytes, rest) = input.split_at(take);
                *input = rest;
                self.left -= take as u64;
                if self.left == 0 {
                    self.phase = Phase::End;
                }
                Some(Piece::Payload { bytes, offset })
            }
            Phase::End => {
                self.phase = Phase::Header;
                Some(Piece::End)
            }
            Phase::Lost => {
                let bytes = std::mem::take(input);
                (!bytes.is_empty()).then_some(Piece::Lost(bytes))
            }
        }
    }

    /// Whether the bytes so far end exactly between two frames.
    pub fn is_at_border(&self) -> bool {
        self.phase == Phase::Header && self.held_len == 0
    }

    /// The bytes of a header that has not come whole.
    pub fn partial_header(&self) -> &[u8] {
        &self.held[..self.held_len]
    }

    /// A header that may be split between chunks: holds its bytes until it is whole.
    #[cold]
    fn short_header(&mut self, input: &mut &[u8]) -> Option<Header> {
        loop {
            match Header::parse(&self.held[..self.held_len]) {
                Parsed::Complete(header) => {
                    self.held_len = 0;
                    return Some(header);
                }
                Parsed::Partial(needed) => {
                    let take = (needed - self.held_len).min(input.len());
                    if take == 0 {
                        return None;
                    }
                    let (bytes, rest) = input.split_at(take);
                    // a partial header is shorter than MAX_HEADER, so it fits
                    self.held[self.held_len..self.held_len + take].copy_from_slice(bytes);
                    self.held_len += take;
                    *input = rest;
                }
            }
        }
    }
}

/// The frame at the front of `input`, where a frame begins, if it is there whole: its header and its payload as it is on the
/// wire.
#[expect(clippy::inline_always, reason = "its parts are in registers then, and not laid out in memory for each frame")]
#[inline(always)]
pub fn whole_frame<'a>(input: &mut &'a [u8]) -> Option<(Header, &'a [u8])> {
    let mut few = [0; MAX_HEADER];
    let front = input.first_chunk().unwrap_or_else(|| {
        // a header that is not whole is longer than what is there, whatever its last bytes are taken for
        few[..input.len()].copy_from_slice(input);
        &few
    });
    let header = Header::read(front);
    let end = usize::try_from(header.length).ok()?.checked_add(header.len())?;
    let payload = input.get(header.len()..end)?;
    *input = &input[end..];
    Some((header, payload))
}
