//! One direction of a TCP connection put together: each byte once, in order, and what is missing.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::link::Segment;

/// What comes next in a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes.
    Data(Bytes),
    /// So many bytes were sent and are not in the capture.
    Gap(u64),
    /// Nothing more is sent.
    Fin,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The sequence number of the next byte, with more bits than it has on the wire; `None` before the first one.
    next: Option<u64>,
    /// Segments that came before what they follow on.
    waiting: BTreeMap<u64, Bytes>,
    waiting_bytes: usize,
    fin: Option<u64>,
    ended: bool,
}

/// The most segments and bytes that wait for what is missing before them; then it counts as lost.
const MAX_WAITING: usize = 256;
const MAX_WAITING_BYTES: usize = 4 << 20;
/// A segment this far from what is expected belongs to another connection.
const FAR: i64 = 1 << 30;

impl Stream {
    /// Takes a segment; what comes next is added to `pieces`.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, pieces: &mut Vec<Piece>) {
        let carries = !segment.payload.is_empty() || segment.cut > 0 || segment.fin();
        if self.ended || !(carries || segment.syn()) {
            return;
        }
        let first = segment.sequence.wrapping_add(u32::from(segment.syn()));
        // room below it for what turns out to come earlier
        let next = *self.next.get_or_insert((1 << 32) + u64::from(first));
        let distance = i64::from(first.wrapping_sub(next as u32).cast_signed());
        if distance.abs() > FAR {
            return;
        }
        let start = next.saturating_add_signed(distance);
        let end = start + segment.payload.len() as u64;
        self.data(start, segment.payload, pieces);
        if segment.cut > 0 && self.next == Some(end) {
            pieces.push(Piece::Gap(segment.cut.into()));
            self.next = Some(end + u64::from(segment.cut));
        }
        if segment.fin() {
            self.fin = Some(end + u64::from(segment.cut));
        }
        self.drain(pieces);
        while self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
            self.give_up(pieces);
        }
    }

    /// Whether it begins with this sequence number, and nothing has come since.
    pub(super) fn begins_with(&self, syn: u32) -> bool {
        self.next.is_none_or(|next| next as u32 == syn.wrapping_add(1)) && self.waiting.is_empty()
    }

    /// Nothing more comes: what is missing is lost.
    pub(super) fn finish(&mut self, pieces: &mut Vec<Piece>) {
        while !self.waiting.is_empty() {
            self.give_up(pieces);
        }
        if let (Some(next), Some(fin), false) = (self.next, self.fin, self.ended) {
            pieces.push(Piece::Gap(fin - next));
            self.next = self.fin;
            self.drain(pieces);
        }
    }

    fn data(&mut self, start: u64, bytes: &[u8], pieces: &mut Vec<Piece>) {
        let Some(next) = self.next else { return };
        let end = start + bytes.len() as u64;
        if end <= next {
            return;
        }
        if start <= next {
            // what came first stands, as in most receivers
            pieces.push(Piece::Data(Bytes::copy_from_slice(&bytes[(next - start) as usize..])));
            self.next = Some(end);
        } else if self.waiting.get(&start).is_none_or(|waiting| waiting.len() < bytes.len()) {
            let replaced = self.waiting.insert(start, Bytes::copy_from_slice(bytes));
            self.waiting_bytes += bytes.len() - replaced.map_or(0, |replaced| replaced.len());
        }
    }

    fn drain(&mut self, pieces: &mut Vec<Piece>) {
        while let (Some(next), Some(waiting)) = (self.next, self.waiting.first_entry()) {
            if *waiting.key() > next {
                break;
            }
            let (start, bytes) = waiting.remove_entry();
            self.waiting_bytes -= bytes.len();
            let end = start + bytes.len() as u64;
            if end > next {
                pieces.push(Piece::Data(bytes.slice((next - start) as usize..)));
                self.next = Some(end);
            }
        }
        if self.fin.is_some_and(|fin| self.next.is_some_and(|next| fin <= next)) && !self.ended {
            self.ended = true;
            pieces.push(Piece::Fin);
        }
    }

    /// What is missing before the segments that wait is lost.
    fn give_up(&mut self, pieces: &mut Vec<Piece>) {
        if let (Some(next), Some((&start, _))) = (self.next, self.waiting.first_key_value()) {
            pieces.push(Piece::Gap(start - next));
            self.next = Some(start);
        }
        self.drain(pieces);
    }
}
