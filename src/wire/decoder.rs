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
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between frames or inside a header; `len < MAX_HEADER` bytes of it are held.
    Header { held: [u8; MAX_HEADER], len: usize },
    /// Inside a payload, of which `0 < at < length` bytes have been handed out.
    Payload { at: u64, length: u64 },
    /// The payload has been handed out to its last byte, the end has not.
    End,
    /// After a length that says nothing about where the frame ends.
    Lost,
}

impl Default for State {
    fn default() -> Self {
        Self::Header { held: [0; MAX_HEADER], len: 0 }
    }
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
        match self.state {
            State::Payload { at, length } => Some(length - at),
            State::Header { .. } | State::End | State::Lost => None,
        }
    }

    /// Passes over bytes of the payload at hand that were not seen: at most [`Decoder::payload_left`].
    pub fn pass_over(&mut self, bytes: u64) {
        if let State::Payload { at, length } = &mut self.state {
            *at = at.saturating_add(bytes).min(*length);
            if *at == *length {
                self.state = State::End;
            }
        }
    }

    /// The next piece in `input`, from whose front it is taken; `None` when more bytes are needed.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        match &mut self.state {
            State::Header { held, len } => {
                let header = if *len == 0 {
                    match Header::parse(input) {
                        Parsed::Complete(header) => {
                            *input = &input[header.len()..];
                            header
                        }
                        Parsed::Partial(_) => {
                            // a partial header is shorter than MAX_HEADER, so it fits
                            held[..input.len()].copy_from_slice(input);
                            *len = input.len();
                            *input = &[];
                            return None;
                        }
                    }
                } else {
                    Self::split_header(held, len, input)?
                };
                self.state = if header.has_length_top_bit() {
                    State::Lost
                } else if header.length == 0 {
                    State::End
                } else {
                    State::Payload { at: 0, length: header.length }
                };
                Some(Piece::Header(header))
            }
            State::Payload { at, length } => {
                if input.is_empty() {
                    return None;
                }
                let offset = *at;
                let take = usize::try_from(*length - *at).unwrap_or(usize::MAX).min(input.len());
                let (bytes, rest) = input.split_at(take);
                *input = rest;
                *at += take as u64;
                if *at == *length {
                    self.state = State::End;
                }
                Some(Piece::Payload { bytes, offset })
            }
            State::End => {
                self.state = State::default();
                Some(Piece::End)
            }
            State::Lost => {
                let bytes = std::mem::take(input);
                (!bytes.is_empty()).then_some(Piece::Lost(bytes))
            }
        }
    }

    /// Whether the bytes so far end exactly between two frames.
    pub fn is_at_border(&self) -> bool {
        matches!(self.state, State::Header { len: 0, .. })
    }

    /// The bytes of a header that has not come whole.
    pub fn partial_header(&self) -> &[u8] {
        match &self.state {
            State::Header { held, len } => &held[..*len],
            _ => &[],
        }
    }

    /// Completes a header whose first bytes came in earlier chunks.
    #[cold]
    fn split_header(held: &mut [u8; MAX_HEADER], len: &mut usize, input: &mut &[u8]) -> Option<Header> {
        loop {
            match Header::parse(&held[..*len]) {
                Parsed::Complete(header) => return Some(header),
                Parsed::Partial(needed) => {
                    let take = (needed - *len).min(input.len());
                    if take == 0 {
                        return None;
                    }
                    let (bytes, rest) = input.split_at(take);
                    held[*len..*len + take].copy_from_slice(bytes);
                    *len += take;
                    *input = rest;
                }
            }
        }
    }
}
