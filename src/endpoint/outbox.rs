//! Bytes that wait to be written, and where in them frames begin.

use std::collections::VecDeque;

use crate::wire::{Header, encode_frame};

/// Who made a frame of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The endpoint by itself: an answer, an echo, a keepalive, an automatic Close.
    Endpoint,
    /// The user.
    User,
}

/// A frame that begins in bytes just written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameNote {
    /// Where in those bytes.
    pub at: usize,
    /// Who made it.
    pub origin: Origin,
}

/// Bytes that were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// They themselves.
    pub bytes: Vec<u8>,
    /// The frames that begin in them.
    pub frames: Vec<FrameNote>,
}

/// Outgoing bytes. Appending and taking cost time in proportion to their bytes, however large the queue is.
///
/// ```text
///  bytes:   │ written │ waiting                │        begins: stream offsets of the frames
///           0         head                     len      that begin in `waiting`
/// ```
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// `head <= bytes.len()`.
    head: usize,
    /// Stream offset of `bytes[head]`.
    written: u64,
    /// In ascending order, none below `written`.
    begins: VecDeque<(u64, Origin)>,
    /// Room that will be needed, by what was needed before.
    usual: usize,
}

impl Outbox {
    /// Above this, written bytes and idle capacity are given back.
    const SLACK: usize = 64 * 1024;
    /// From here on the room is given away with the bytes in it; fewer are copied, and the room is used again.
    const GIVEN_AWAY: usize = 4 * 1024;

    /// Appends bytes that are no frame: an HTTP response.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a frame.
    pub(super) fn push_frame(&mut self, header: &Header, payload: &[u8], origin: Origin) {
        self.begins.push_back((self.written + self.waiting().len() as u64, origin));
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(self.usual.max(header.len() + payload.len()));
        }
        encode_frame(header, payload, &mut self.bytes);
    }

    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == self.bytes.len()
    }

    /// Bytes of memory that wait: a flood of tiny frames weighs by what is kept about each, too.
    pub(super) fn load(&self) -> usize {
        self.waiting().len() + self.begins.len() * size_of::<(u64, Origin)>()
    }

    /// Takes the first `n` bytes away.
    pub(super) fn take(&mut self, n: usize) -> Written {
        let n = n.min(self.waiting().len());
        let (from, to) = (self.written, self.written + n as u64);
        let begun = self.begins.partition_point(|&(at, _)| at < to);
        let notes = self.begins.drain(..begun).map(|(at, origin)| FrameNote { at: (at - from) as usize, origin });
        let frames = notes.collect();
        self.written = to;
        if self.head == 0 && n == self.bytes.len() && n >= Self::GIVEN_AWAY {
            self.usual = n.min(Self::SLACK);
            return Written { bytes: std::mem::take(&mut self.bytes), frames };
        }
        let bytes = self.waiting()[..n].to_vec();
        self.head += n;
        self.compact();
        Written { bytes, frames }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { written: self.written, ..Self::default() };
    }

    /// Moves what waits to the front, but only where as many bytes have gone as are moved: each byte pays for one move.
    fn compact(&mut self) {
        if self.is_empty() {
            self.bytes.clear();
            self.head = 0;
            self.bytes.shrink_to(Self::SLACK);
            self.begins.shrink_to(Self::SLACK / size_of::<(u64, Origin)>());
        } else if self.head >= Self::SLACK && self.head >= self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Opcode;

    #[test]
    fn each_frame_is_noted_once_in_the_bytes_where_it_begins() {
        let mut outbox = Outbox::default();
        outbox.push(b"HTTP");
        let frame = |outbox: &mut Outbox, origin| outbox.push_frame(&Header::new(Opcode::TEXT, None, 2), b"ab", origin);
        frame(&mut outbox, Origin::Endpoint);
        frame(&mut outbox, Origin::User);
        assert_eq!(outbox.waiting(), b"HTTP\x81\x02ab\x81\x02ab");
        assert_eq!(outbox.take(4).frames, []);
        assert_eq!(outbox.take(1).frames, [FrameNote { at: 0, origin: Origin::Endpoint }]);
        assert_eq!(outbox.take(4).frames, [FrameNote { at: 3, origin: Origin::User }]);
        frame(&mut outbox, Origin::Endpoint);
        assert_eq!(outbox.take(100).frames, [FrameNote { at: 3, origin: Origin::Endpoint }]);
        assert!(outbox.is_empty());
        assert_eq!(outbox.load(), 0);
    }

    #[test]
    fn what_is_taken_piece_by_piece_is_what_was_pushed_across_compactions() {
        let mut outbox = Outbox::default();
        let (mut pushed, mut taken) = (Vec::new(), Vec::new());
        for round in 0..200_usize {
            let bytes: Vec<u8> = (0..7000).map(|i| (i * 31 + round) as u8).collect();
            outbox.push(&bytes);
            pushed.extend(bytes);
            let n = outbox.waiting().len().min(5000 + round * 20);
            taken.extend(outbox.take(n).bytes);
            assert!(outbox.bytes.len() <= 2 * (outbox.waiting().len() + Outbox::SLACK), "what was written is kept");
        }
        taken.extend_from_slice(outbox.waiting());
        assert!(taken == pushed);
    }

    #[test]
    fn all_of_much_is_given_away_and_what_follows_is_none_the_worse() {
        let mut outbox = Outbox::default();
        let payload: Vec<u8> = (0..3 * Outbox::GIVEN_AWAY).map(|i| i as u8).collect();
        for round in 0..3 {
            let mut pushed = Vec::new();
            for (origin, length) in [(Origin::Endpoint, payload.len()), (Origin::User, round)] {
                let header = Header::new(Opcode::BINARY, None, length as u64);
                outbox.push_frame(&header, &payload[..length], origin);
                encode_frame(&header, &payload[..length], &mut pushed);
            }
            let Written { bytes, frames } = outbox.take(pushed.len());
            let begins = [0, payload.len() + 4].into_iter().zip([Origin::Endpoint, Origin::User]);
            assert_eq!(frames, begins.map(|(at, origin)| FrameNote { at, origin }).collect::<Vec<_>>());
            assert!(bytes == pushed && outbox.is_empty() && outbox.bytes.capacity() == 0);
        }
    }
}
