//! Where the index holds frames: the oldest can go, and the others keep their numbers.

use std::collections::VecDeque;
use std::ops::Range;

use super::file::Position;
use super::frame_entry::{FrameBatch, FrameEntry, Piece, Span};

/// Frames in pieces, so that growing never moves or doubles what is there, and the oldest can go.
#[derive(Debug, Default)]
pub(super) struct FrameStore {
    pieces: VecDeque<Piece>,
    /// How many frames came before the first piece.
    before: u64,
    /// How many frames are gone.
    gone: u64,
    /// Those that are otherwise than their piece tells, ascending: one that is longer than can be told there, which is the last
    /// of its side, or was written anew elsewhere, which is one of each side of a connection that goes on.
    others: Vec<(u64, FrameEntry)>,
}

impl FrameStore {
    /// How many there have been.
    pub(super) fn len(&self) -> u64 {
        let last = self.pieces.back().map_or(0, Piece::len);
        self.before + (self.pieces.len().saturating_sub(1) * Piece::MOST + last) as u64
    }

    /// How many are gone, the first ones.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    /// Bytes of memory, about: also of those that are gone but share a piece with one that is not.
    pub(super) fn memory(&self) -> u64 {
        self.pieces.iter().map(Piece::memory).sum::<u64>() + size_of_val(&self.others[..]) as u64
    }

    /// Adds the frames of `batch` in these places.
    pub(super) fn extend(&mut self, batch: &FrameBatch, places: Range<usize>) {
        let first = self.len();
        let mut part = batch.part(places.clone());
        while !part.frames().is_empty() {
            match self.pieces.back() {
                Some(piece) if piece.len() < Piece::MOST => {}
                // the first piece grows as it must: most captures are small
                None => self.pieces.push_back(Piece::default()),
                Some(_) => self.pieces.push_back(Piece::with_room()),
            }
            let Some(piece) = self.pieces.back_mut() else { break };
            let (fits, rest) = part.split_at(part.frames().len().min(Piece::MOST - piece.len()));
            piece.extend(&fits);
            part = rest;
        }
        let long = batch.long(places.clone()).iter();
        self.others.extend(long.map(|(place, entry)| (first + (place - places.start) as u64, *entry)));
    }

    pub(super) fn get(&self, index: u64) -> Option<FrameEntry> {
        let (piece, place) = self.place(index)?;
        let entry = self.pieces.get(piece)?.get(place)?;
        let other = self.others.get(self.first_other(index)).filter(|(other, _)| *other == index);
        Some(other.map_or(entry, |(_, entry)| *entry))
    }

    /// Appends frame `index` and those after it to `out`, `most` at most and fewer only at the end.
    pub(super) fn copy(&self, index: u64, most: usize, out: &mut Vec<FrameEntry>) {
        let before = out.len();
        let Some((piece, mut place)) = self.place(index) else { return };
        for piece in self.pieces.iter().skip(piece) {
            let copied = out.len() - before;
            if copied == most {
                break;
            }
            piece.span(place..place.saturating_add(most - copied)).copy_to(out);
            place = 0;
        }
        let end = index + (out.len() - before) as u64;
        for (other, entry) in self.others[self.first_other(index)..].iter().take_while(|(other, _)| *other < end) {
            out[before + (other - index) as usize] = *entry;
        }
    }

    /// Frame `index` and those after it, `most` at most and one at least, as they lie in memory; `None` if it is not there. And
    /// whether that tells all of them.
    pub(super) fn span(&self, index: u64, most: usize) -> Option<(Span<'_>, bool)> {
        let (piece, place) = self.place(index)?;
        let span = self.pieces.get(piece)?.span(place..place.saturating_add(most));
        let end = index + span.len() as u64;
        let other = self.others.get(self.first_other(index));
        let tells_all = other.is_none_or(|(other, _)| *other >= end);
        (span.len() > 0).then_some((span, tells_all))
    }

    /// The bytes of frame `index` stand elsewhere from now on, if anywhere.
    pub(super) fn move_to(&mut self, index: u64, position: Option<Position>) {
        if let Some(mut entry) = self.get(index) {
            entry.set_position(position);
            let place = self.first_other(index);
            self.others.retain(|(other, _)| *other != index);
            self.others.insert(place, (index, entry));
        }
    }

    /// Where in the others those from frame `index` on begin.
    fn first_other(&self, index: u64) -> usize {
        self.others.partition_point(|(other, _)| *other < index)
    }

    fn place(&self, index: u64) -> Option<(usize, usize)> {
        let place = usize::try_from(index.checked_sub(self.before).filter(|_| index >= self.gone)?).ok()?;
        Some((place / Piece::MOST, place % Piece::MOST))
    }

    /// The first `count` of all are gone from now on.
    pub(super) fn drop_first(&mut self, count: u64) {
        if self.pieces.is_empty() {
            self.before = self.before.max(count);
        }
        self.gone = self.gone.max(count.min(self.len()));
        while self.pieces.front().is_some_and(|piece| self.before + piece.len() as u64 <= self.gone) {
            self.before += self.pieces.pop_front().map_or(0, |piece| piece.len() as u64);
        }
        self.others.drain(..self.first_other(self.gone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::event::{ConnectionId, Origin, Timestamp};
    use crate::capture::frame_entry::NewFrame;
    use crate::wire::{Header, Opcode, Side};

    fn extend(store: &mut FrameStore, entries: &[FrameEntry]) {
        let batch: FrameBatch = entries.iter().collect();
        store.extend(&batch, 0..batch.len());
    }

    fn entry(n: u64) -> FrameEntry {
        let frame = NewFrame {
            time: Timestamp(n),
            position: None,
            offset: 0,
            connection: ConnectionId(1),
            from: Side::Client,
            header: Header::new(Opcode::TEXT, None, 0),
            chunks: 1,
            complete: true,
            compressed: false,
            origin: Origin::Peer,
        };
        FrameEntry::new(&frame, false, false, false)
    }

    /// Of frames 0 to `len`, those from `gone` on are there, each in its place.
    #[track_caller]
    fn assert_holds(store: &FrameStore, gone: u64, len: u64) {
        assert_eq!((store.gone(), store.len()), (gone, len));
        for n in (0..len + 3).filter(|n| n % 97 == 0 || n.abs_diff(gone) < 3 || n.abs_diff(len) < 3) {
            let found = store.get(n).map(|entry| entry.time().0);
            assert_eq!(found, (gone..len).contains(&n).then_some(n), "{n}");
            let mut copied = Vec::new();
            store.copy(n, 1000, &mut copied);
            let on = (n..).zip(&copied).all(|(n, entry)| entry.time().0 == n);
            assert!(on && copied.first().map(|entry| entry.time().0) == found, "{n}");
        }
        let most = (len - gone + Piece::MOST as u64) * size_of::<FrameEntry>() as u64;
        assert!(store.memory() < most, "what is gone takes no memory");
    }

    #[test]
    fn the_first_frames_go_and_the_others_keep_their_places() {
        let piece = Piece::MOST as u64;
        let mut store = FrameStore::default();
        let mut len = 0;
        for (until, gone) in
            [(10, 3), (piece, 10), (3 * piece + 5, piece - 1), (3 * piece + 5, piece), (5 * piece, 3 * piece + 7)]
        {
            (len..until).for_each(|n| extend(&mut store, &[entry(n)]));
            len = until;
            store.drop_first(gone);
            assert_holds(&store, gone, len);
        }
        store.drop_first(7);
        assert_holds(&store, 3 * piece + 7, len);
        store.drop_first(u64::MAX);
        assert_holds(&store, len, len);
        extend(&mut store, &[entry(len)]);
        assert_holds(&store, len, len + 1);
    }

    #[test]
    fn frames_may_begin_after_any_number_that_is_not_there() {
        let mut store = FrameStore::default();
        store.drop_first(12_345);
        assert_holds(&store, 12_345, 12_345);
        (12_345..30_000).for_each(|n| extend(&mut store, &[entry(n)]));
        assert_holds(&store, 12_345, 30_000);
        store.drop_first(20_537);
        assert_holds(&store, 20_537, 30_000);
    }

    #[test]
    fn frames_that_share_a_packet_come_back_as_they_were_and_take_twelve_bytes_each() {
        let (mut entries, mut store) = (Vec::new(), FrameStore::default());
        for packet in 0..1000_u64 {
            // one breaks the row by its place, one by its length, and one is not in the file
            let mut skip = (packet % 7 * 1000) as u16;
            for frame in 0..50_u64 {
                let length = if (packet, frame) == (500, 49) { u64::MAX >> 1 } else { frame };
                let is_missing = (packet, frame) == (600, 3);
                let new = NewFrame {
                    time: Timestamp(u64::MAX - packet),
                    position: (!is_missing).then_some(Position { block: packet << 30, skip }),
                    offset: packet << 20 | u64::from(skip),
                    connection: ConnectionId(7),
                    from: Side::Server,
                    header: Header::new(Opcode::BINARY, None, length),
                    chunks: 1,
                    complete: true,
                    compressed: false,
                    origin: Origin::Endpoint,
                };
                entries.push(FrameEntry::new(&new, frame == 25, false, false));
                skip += if frame == 30 { 2 } else { 1 };
            }
        }
        for some in entries.chunks(777) {
            // in parts, as where something is to be said between the frames of a packet
            let batch: FrameBatch = some.iter().collect();
            store.extend(&batch, 0..100);
            store.extend(&batch, 100..100);
            store.extend(&batch, 100..batch.len());
        }
        assert!(store.memory() < entries.len() as u64 * 16, "{} bytes", store.memory());
        let moved = [(12_345, Some(Position { block: 5, skip: 6 })), (25_049, None), (40_000, None)];
        for (index, to) in moved {
            store.move_to(index, to);
            entries[index as usize].set_position(to);
        }
        store.drop_first(100);
        let told = |entry: &FrameEntry| format!("{entry:?}");
        for (index, entry) in (0..).zip(&entries) {
            assert_eq!(store.get(index).as_ref().map(told), (index >= 100).then(|| told(entry)), "{index}");
        }
        let mut copied = Vec::new();
        for (start, most) in [(100, 1), (120, 49_880), (12_340, 10), (32_760, 20), (49_999, 5), (50_000, 5), (99, 1)] {
            let before = copied.len();
            store.copy(start as u64, most, &mut copied);
            let expected = &entries[start..entries.len().min(start + most)];
            let expected = if start < 100 { &[] } else { expected };
            assert!(copied[before..].iter().map(told).eq(expected.iter().map(told)), "{most} from {start}");
        }
    }
}
