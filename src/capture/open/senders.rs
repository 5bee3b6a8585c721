//! Whose packets go from one address to another.

use super::ends::Ends;
use std::collections::HashMap;

/// A connection, by its place among all of them, and which of its ends sends.
type Sender = (usize, usize);

/// Finds the sender of each packet: most of the time without the map, whose hashes no file can foresee and which are slow.
#[derive(Debug)]
pub(super) struct Senders {
    all: HashMap<Ends, Sender>,
    /// Of those that were asked for, one for each place, or for the place beside it.
    recent: Vec<Option<(Ends, Sender)>>,
}

impl Senders {
    const RECENT: usize = 2048;

    pub(super) fn new() -> Self {
        Self { all: HashMap::new(), recent: vec![None; Self::RECENT] }
    }

    #[expect(clippy::inline_always, reason = "the ends are in registers, and need not be laid out in memory")]
    #[inline(always)]
    pub(super) fn get(&mut self, ends: Ends) -> Option<Sender> {
        match &self.recent[places(ends).0] {
            Some((known, sender)) if *known == ends => Some(*sender),
            _ => self.look_up(ends),
        }
    }

    #[cold]
    fn look_up(&mut self, ends: Ends) -> Option<Sender> {
        let (place, beside) = places(ends);
        match &self.recent[beside] {
            Some((known, sender)) if *known == ends => return Some(*sender),
            _ => {}
        }
        let sender = *self.all.get(&ends)?;
        let free = if self.recent[place].is_none() { place } else { beside };
        self.recent[free] = Some((ends, sender));
        Some(sender)
    }

    fn forget(&mut self, ends: Ends) {
        let (place, beside) = places(ends);
        (self.recent[place], self.recent[beside]) = (None, None);
    }

    /// A connection is there from now on; `ends` are those of a packet of its end 0.
    pub(super) fn insert(&mut self, ends: Ends, connection: usize) {
        for (ends, from) in [(ends.back(), 1), (ends, 0)] {
            self.forget(ends);
            self.all.insert(ends, (connection, from));
        }
    }

    /// The connection between two ends is over, in whichever order.
    pub(super) fn remove(&mut self, ends: Ends) {
        for ends in [ends, ends.back()] {
            self.forget(ends);
            self.all.remove(&ends);
        }
    }

    pub(super) fn clear(&mut self) {
        self.recent.fill(None);
        self.all.clear();
    }
}

/// Both below [`Senders::RECENT`].
#[inline]
fn places(ends: Ends) -> (usize, usize) {
    let place = (ends.mixed() >> 40) as usize % Senders::RECENT;
    (place, place ^ 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_more_connections_than_are_remembered_are_told_from_each_other() {
        let client = |port: u32| Ends::four([10, 0, 0, 1, 10, 0, 0, 2], (1000 + port) << 16 | 0x50);
        let mut senders = Senders::new();
        let count = 5 * Senders::RECENT as u32;
        (0..count).for_each(|n| senders.insert(client(n), n as usize));
        for _ in 0..2 {
            for n in 0..count {
                assert_eq!(senders.get(client(n)), Some((n as usize, 0)));
                assert_eq!(senders.get(client(n).back()), Some((n as usize, 1)));
            }
        }
        // over, begun again between the same ends, and never there
        senders.remove(client(7));
        assert_eq!((senders.get(client(7)), senders.get(client(7).back())), (None, None));
        senders.insert(client(8), 9999);
        assert_eq!(senders.get(client(8)), Some((9999, 0)));
        assert_eq!(senders.get(client(8).back()), Some((9999, 1)));
        assert_eq!(senders.get(client(count)), None);
        senders.clear();
        assert_eq!((senders.get(client(8)), senders.get(client(9).back())), (None, None));
    }
}
