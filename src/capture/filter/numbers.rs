//! Frame numbers in ascending order, four bytes each.

use std::collections::VecDeque;

use super::picked::Picked;

/// Frame numbers in ascending order, in pieces, so that growing never moves what is there.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// All but the last are full, and none is empty.
    pieces: VecDeque<Vec<u32>>,
    /// How many have been dropped: places count them.
    dropped: u64,
}

/// A frame's number in four bytes: an index of more frames than that would take 200 GB.
pub(super) fn small(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Numbers {
    const PIECE: usize = 8192;

    /// How many there are, with those that have been dropped.
    pub fn len(&self) -> u64 {
        let last = self.pieces.back().map_or(0, Vec::len);
        self.dropped + (self.pieces.len().saturating_sub(1) * Self::PIECE + last) as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at `place`, from 0.
    pub fn get(&self, place: u64) -> Option<u64> {
        let place = usize::try_from(place.checked_sub(self.dropped)?).ok()?;
        self.pieces.get(place / Self::PIECE)?.get(place % Self::PIECE).map(|&n| n.into())
    }

    /// How many are not above `n`.
    pub fn count_to(&self, n: u64) -> u64 {
        let n = small(n);
        let before = self.pieces.partition_point(|piece| piece.last().is_some_and(|&last| last <= n));
        // what was dropped is below all others
        // past the last one, which need not be full
        let Some(piece) = self.pieces.get(before) else { return self.len() };
        self.dropped + (before * Self::PIECE + piece.partition_point(|&number| number <= n)) as u64
    }

    /// Drops whole pieces of numbers up to `n`, which nobody asks for any more.
    pub(super) fn drop_to(&mut self, n: u64) {
        let n = small(n);
        while self.pieces.len() > 1 && self.pieces.front().and_then(|piece| piece.last()).is_some_and(|&last| last <= n)
        {
            self.dropped += self.pieces.pop_front().map_or(0, |piece| piece.len() as u64);
        }
    }

    /// Whether `n` is among them.
    pub fn contains(&self, n: u64) -> bool {
        self.count_to(n).checked_sub(1).and_then(|place| self.get(place)) == Some(n)
    }

    /// Adds a number, if it is not there. That is quick near the end.
    #[inline]
    pub(super) fn insert(&mut self, n: u64) {
        let last = self.pieces.back().and_then(|piece| piece.last()).copied();
        if last.is_none_or(|last| u64::from(last) < n) {
            self.push(small(n));
        } else if !self.contains(n) {
            let place = self.count_to(n);
            let after: Vec<u32> = (place..self.len()).filter_map(|place| self.get(place).map(small)).collect();
            let place = (place - self.dropped) as usize;
            self.pieces.truncate(place.div_ceil(Self::PIECE));
            if let Some(piece) = self.pieces.get_mut(place / Self::PIECE) {
                piece.truncate(place % Self::PIECE);
            }
            self.push(small(n));
            for n in after {
                self.push(n);
            }
        }
    }

    /// Adds several, if they are not there. That is quick where they are above all others.
    pub(super) fn extend(&mut self, picked: Picked) {
        let last = self.pieces.back().and_then(|piece| piece.last()).copied();
        match self.pieces.back_mut() {
            Some(piece)
                if piece.len() + Picked::MOST <= Self::PIECE
                    && last.is_none_or(|last| u64::from(last) < picked.first) =>
            {
                piece.extend(picked.numbers().map(small));
            }
            _ => picked.numbers().for_each(|n| self.insert(n)),
        }
    }

    fn push(&mut self, n: u32) {
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < Self::PIECE => piece.push(n),
            // the first piece grows as it must: most lists are short
            None => self.pieces.push_back(vec![n]),
            Some(_) => {
                let mut piece = Vec::with_capacity(Self::PIECE);
                piece.push(n);
                self.pieces.push_back(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_in_order_however_they_come() {
        let mut numbers = Numbers::default();
        let late = [1, 8191, 8192, 8193, 8194, 20_000, 29_999, 30_000];
        (1..=30_000).filter(|n| !late.contains(n)).for_each(|n| numbers.insert(n));
        late.iter().rev().chain(&late).for_each(|&n| numbers.insert(n));
        assert_eq!(numbers.len(), 30_000);
        assert!((0..30_000).all(|place| numbers.get(place) == Some(place + 1)));
    }

    #[test]
    fn several_at_once_are_kept_in_order_too() {
        let mut numbers = Numbers::default();
        let picked = |first, bits| Picked { first, bits };
        // the second half is there before the first, and some of either twice
        numbers.extend(picked(1, u64::MAX << 32));
        numbers.extend(picked(1, u64::MAX >> 30));
        (1..300).for_each(|block| numbers.extend(picked(1 + 64 * block, u64::MAX)));
        numbers.insert(19_201);
        numbers.extend(picked(19_180, u64::MAX));
        assert_eq!(numbers.len(), 19_243);
        assert!((0..19_243).all(|place| numbers.get(place) == Some(place + 1)));
    }

    #[test]
    fn ranks_are_found_between_numbers_too() {
        let mut numbers = Numbers::default();
        assert_eq!((numbers.count_to(5), numbers.contains(5), numbers.get(0)), (0, false, None));
        (1..=20_000).for_each(|n| numbers.insert(n * 10));
        for (n, rank) in [(9, 0), (10, 1), (81_920, 8192), (81_925, 8192), (200_000, 20_000), (u64::MAX, 20_000)] {
            assert_eq!(numbers.count_to(n), rank, "{n}");
        }
        assert!(numbers.contains(81_920) && !numbers.contains(81_925));
    }
}
