//! Where the index holds frames: the oldest can go, and the others keep their numbers.

use std::collections::VecDeque;

use super::frame_entry::FrameEntry;

/// Frames in pieces of a fixed size, so that growing never moves or doubles what is there, and the oldest can go.
#[derive(Debug, Default)]
pub(super) struct FrameStore {
    pieces: VecDeque<Vec<FrameEntry>>,
    /// How many frames came before the first piece.
    before: u64,
    /// How many frames are gone.
    gone: u64,
}

impl FrameStore {
    /// Large enough that what the allocator adds to each is nothing beside it.
    const PIECE: usize = 32_768;

    /// How many there have been.
    pub(super) fn len(&self) -> u64 {
        let last = self.pieces.back().map_or(0, Vec::len);
        self.before + (self.pieces.len().saturating_sub(1) * Self::PIECE + last) as u64
    }

    /// How many are gone, the first ones.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    /// How many are held in memory, also those that are gone but share a piece with one that is not.
    pub(super) fn held(&self) -> u64 {
        self.len() - self.before
    }

    pub(super) fn push(&mut self, entry: FrameEntry) {
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < Self::PIECE => piece.push(entry),
            // the first piece grows as it must: most captures are small
            None => self.pieces.push_back(vec![entry]),
            Some(_) => {
                let mut piece = Vec::with_capacity(Self::PIECE);
                piece.push(entry);
                self.pieces.push_back(piece);
            }
        }
    }

    pub(super) fn extend(&mut self, mut entries: &[FrameEntry]) {
        while let Some(first) = entries.split_off_first() {
            self.push(*first);
            let room = self.pieces.back().map_or(0, |piece| Self::PIECE - piece.len());
            let fits = entries.split_off(..room.min(entries.len())).unwrap_or_default();
            if let Some(piece) = self.pieces.back_mut() {
                piece.extend_from_slice(fits);
            }
        }
    }

    pub(super) fn get(&self, index: u64) -> Option<&FrameEntry> {
        let (piece, place) = self.place(index)?;
        self.pieces.get(piece)?.get(place)
    }

    /// Frame `index` and those after it, as far as they stand in one piece.
    pub(super) fn from(&self, index: u64) -> &[FrameEntry] {
        let piece = self.place(index).and_then(|(piece, place)| self.pieces.get(piece)?.get(place..));
        piece.unwrap_or_default()
    }

    pub(super) fn get_mut(&mut self, index: u64) -> Option<&mut FrameEntry> {
        let (piece, place) = self.place(index)?;
        self.pieces.get_mut(piece)?.get_mut(place)
    }

    fn place(&self, index: u64) -> Option<(usize, usize)> {
        let place = usize::try_from(index.checked_sub(self.before).filter(|_| index >= self.gone)?).ok()?;
        Some((place / Self::PIECE, place % Self::PIECE))
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::event::{ConnectionId, Origin, Timestamp};
    use crate::capture::frame_entry::NewFrame;
    use crate::wire::{Header, Opcode, Side};

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
            let on = (n..).zip(store.from(n)).all(|(n, entry)| entry.time().0 == n);
            assert!(on && store.from(n).first().map(|entry| entry.time().0) == found, "{n}");
        }
        assert!(store.held() < len - gone + FrameStore::PIECE as u64, "what is gone takes no memory");
    }

    #[test]
    fn the_first_frames_go_and_the_others_keep_their_places() {
        let piece = FrameStore::PIECE as u64;
        let mut store = FrameStore::default();
        let mut len = 0;
        for (until, gone) in
            [(10, 3), (piece, 10), (3 * piece + 5, piece - 1), (3 * piece + 5, piece), (5 * piece, 3 * piece + 7)]
        {
            (len..until).for_each(|n| store.push(entry(n)));
            len = until;
            store.drop_first(gone);
            assert_holds(&store, gone, len);
        }
        store.drop_first(7);
        assert_holds(&store, 3 * piece + 7, len);
        store.drop_first(u64::MAX);
        assert_holds(&store, len, len);
        store.push(entry(len));
        assert_holds(&store, len, len + 1);
    }

    #[test]
    fn frames_may_begin_after_any_number_that_is_not_there() {
        let mut store = FrameStore::default();
        store.drop_first(12_345);
        assert_holds(&store, 12_345, 12_345);
        (12_345..30_000).for_each(|n| store.push(entry(n)));
        assert_holds(&store, 12_345, 30_000);
        store.drop_first(20_537);
        assert_holds(&store, 20_537, 30_000);
    }
}
