//! Bytes that wait to be written, and where in them frames begin.

use std::collections::VecDeque;

use super::rooms::{Room, Rooms};
use crate::wire::{Header, MaskingKey, encode_frame_into};

/// Who made a frame of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The endpoint by itself: an answer, an echo, a keepalive, an automatic Close.
    Endpoint,
    /// The user.
    User,
}

/// Bytes that were written.
#[derive(Debug, Default)]
pub struct Written {
    /// They themselves.
    pub bytes: Room,
    /// Where in them frames of the user's begin; the endpoint made the others by itself.
    pub by_user: Vec<usize>,
}

/// Outgoing bytes, and where in them frames of the user's begin. Appending and taking cost time in proportion to their bytes,
/// however large the queue is.
///
/// ```text
///  room:    │ written │ waiting                │ anything  │    by_user: stream offsets of the user's
///           0         head                     end         len  frames that begin in `waiting`
/// ```
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// `head <= end <= room.len()`.
    room: Vec<u8>,
    head: usize,
    end: usize,
    /// Stream offset of `room[head]`.
    written: u64,
    /// In ascending order, none below `written`.
    by_user: VecDeque<u64>,
    /// Where rooms come from and go to while nothing waits.
    rooms: Rooms,
}

impl Outbox {
    /// Above this, written bytes are given back.
    const SLACK: usize = 64 * 1024;
    /// From here on the room is given away with the bytes in it; fewer are copied.
    const GIVEN_AWAY: usize = 4 * 1024;

    /// One whose rooms are those of others, too.
    pub(super) fn new(rooms: Rooms) -> Self {
        Self { rooms, ..Self::default() }
    }

    /// Appends bytes that are no frame: an HTTP response.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.more(bytes.len()).copy_from_slice(bytes);
    }

    /// Appends a frame; `key` is what its payload is to be masked with, or unmasked.
    pub(super) fn push_frame(&mut self, header: &Header, payload: &[u8], key: Option<MaskingKey>, origin: Origin) {
        if origin == Origin::User {
            self.by_user.push_back(self.written + self.waiting().len() as u64);
        }
        let more = self.more(header.len() + payload.len());
        encode_frame_into(header, payload, key, more);
    }

    /// The next `length` bytes, to be filled.
    fn more(&mut self, length: usize) -> &mut [u8] {
        if self.room.is_empty() {
            self.room = self.rooms.take();
        }
        let start = self.end;
        self.end += length;
        if self.room.len() < self.end {
            self.room.resize(self.end, 0);
        }
        &mut self.room[start..self.end]
    }

    pub(super) fn waiting(&self) -> &[u8] {
        &self.room[self.head..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == self.end
    }

    /// Bytes of memory that wait: a flood of tiny frames weighs by what is kept about each, too.
    pub(super) fn load(&self) -> usize {
        self.waiting().len() + self.by_user.len() * size_of::<u64>()
    }

    /// Takes the first `n` bytes away.
    pub(super) fn take(&mut self, n: usize) -> Written {
        let n = n.min(self.waiting().len());
        let (from, to) = (self.written, self.written + n as u64);
        let begun = self.by_user.partition_point(|&at| at < to);
        let by_user = self.by_user.drain(..begun).map(|at| (at - from) as usize).collect();
        self.written = to;
        let is_all = self.head == 0 && n == self.end;
        let bytes = if is_all && n >= Self::GIVEN_AWAY {
            self.end = 0;
            self.rooms.lend(std::mem::take(&mut self.room), n)
        } else {
            let bytes = self.waiting()[..n].to_vec();
            self.head += n;
            self.compact();
            bytes.into()
        };
        Written { bytes, by_user }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { written: self.written, rooms: self.rooms.clone(), ..Self::default() };
    }

    /// Moves what waits to the front, but only where as many bytes have gone as are moved: each byte pays for one move.
    /// Where nothing waits there is no room: thousands of connections at rest hold none.
    fn compact(&mut self) {
        if self.is_empty() {
            self.rooms.give_back(std::mem::take(&mut self.room));
            (self.head, self.end) = (0, 0);
            self.by_user.shrink_to(Self::SLACK / size_of::<u64>());
        } else if self.head >= Self::SLACK && self.head >= self.end / 2 {
            self.room.copy_within(self.head..self.end, 0);
            self.end -= self.head;
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Opcode, encode_frame};

    #[test]
    fn each_frame_of_the_users_is_told_once_with_the_bytes_where_it_begins() {
        let mut outbox = Outbox::default();
        outbox.push(b"HTTP");
        let frame =
            |outbox: &mut Outbox, origin| outbox.push_frame(&Header::new(Opcode::TEXT, None, 2), b"ab", None, origin);
        frame(&mut outbox, Origin::Endpoint);
        frame(&mut outbox, Origin::User);
        assert_eq!(outbox.waiting(), b"HTTP\x81\x02ab\x81\x02ab");
        assert_eq!(outbox.take(4).by_user, [0_usize; 0]);
        assert_eq!(outbox.take(1).by_user, [0_usize; 0]);
        assert_eq!(outbox.take(4).by_user, [3]);
        frame(&mut outbox, Origin::User);
        assert_eq!(outbox.take(100).by_user, [3]);
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
            taken.extend(outbox.take(n).bytes.as_ref());
            assert!(outbox.end <= 2 * (outbox.waiting().len() + Outbox::SLACK), "what was written is kept");
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
                outbox.push_frame(&header, &payload[..length], None, origin);
                encode_frame(&header, &payload[..length], &mut pushed);
            }
            let Written { bytes, by_user } = outbox.take(pushed.len());
            assert_eq!(by_user, [payload.len() + 4]);
            assert!(bytes.as_ref() == pushed && outbox.is_empty() && outbox.room.capacity() == 0);
        }
    }
}
