//! Points of a direction from which on its compressed messages can be inflated without all that came before.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::ConnectionId;
use crate::wire::Side;

/// A point between two messages of one direction.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    /// The last frame of the capture before it.
    pub(super) after: u64,
    /// Where the direction's next byte stands in its stream.
    pub(super) offset: u64,
    /// The work of inflating the direction up to here.
    pub(super) work: u64,
    /// What the next message may refer to: up to 32 KiB.
    pub(super) window: Arc<[u8]>,
}

/// The checkpoints of a capture: the beginning of each direction, and more of them as far as memory goes.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Bytes of windows that are kept at most.
    budget: usize,
    /// The least work between two of a direction.
    spacing: u64,
    /// Bytes of windows that are kept.
    held: usize,
    /// By the frame before them, ascending; the first one is the direction's beginning, or that of what is not gone.
    directions: HashMap<(ConnectionId, Side), Vec<Checkpoint>>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

impl Checkpoints {
    /// The least work between two checkpoints, in bytes that are taken or the like: a fraction of a second.
    pub(super) const SPACING: u64 = 1 << 20;

    /// They hold up to `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, spacing: Self::SPACING, held: 0, directions: HashMap::new() }
    }

    /// Adds one if it is far enough from the one before, or what comes before it will go. Where that makes too many, every
    /// second one goes, and if there is still no room, this one.
    pub(super) fn add(&mut self, connection: ConnectionId, from: Side, checkpoint: Checkpoint, is_border: bool) {
        let direction = self.directions.entry((connection, from)).or_default();
        if let Some(last) = direction.last() {
            let work = checkpoint.work.saturating_sub(last.work);
            if work < self.spacing && !is_border {
                return;
            }
            if work == 0 {
                // no compressed message has come since
                self.held -= last.window.len();
                direction.pop();
            }
        }
        self.held += checkpoint.window.len();
        direction.push(checkpoint);
        while self.held > self.budget {
            if !self.thin() {
                let last = self.directions.get_mut(&(connection, from)).and_then(Vec::pop);
                self.held -= last.map_or(0, |last| last.window.len());
                break;
            }
        }
    }

    /// The frames up to `gone` are gone, and the connections that `stays` does not keep.
    pub(super) fn drop_first(&mut self, gone: u64, stays: impl Fn(ConnectionId) -> bool) {
        self.directions.retain(|(connection, _), _| stays(*connection));
        for direction in self.directions.values_mut() {
            direction.drain(..direction.partition_point(|checkpoint| checkpoint.after < gone));
        }
        self.count();
    }

    /// What a direction begins with is not there.
    pub(super) fn forget(&mut self, connection: ConnectionId, from: Side) {
        self.directions.remove(&(connection, from));
        self.count();
    }

    /// The last one before frame `n`.
    pub(super) fn before(&self, connection: ConnectionId, from: Side, n: u64) -> Option<&Checkpoint> {
        let direction = self.directions.get(&(connection, from))?;
        direction[..direction.partition_point(|checkpoint| checkpoint.after < n)].last()
    }

    /// Whether that made room.
    fn thin(&mut self) -> bool {
        let before = self.held;
        self.spacing = self.spacing.saturating_mul(2);
        for direction in self.directions.values_mut() {
            let mut place = 0;
            direction.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        self.count();
        self.held < before
    }

    fn count(&mut self) {
        self.held = self.directions.values().flatten().map(|checkpoint| checkpoint.window.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionId = ConnectionId(1);

    fn checkpoint(after: u64, window: usize) -> Checkpoint {
        Checkpoint { after, offset: after, work: after * Checkpoints::SPACING, window: vec![0; window].into() }
    }

    #[test]
    fn memory_stays_within_the_budget_and_the_beginning_is_kept() {
        let mut checkpoints = Checkpoints::new(10_000);
        checkpoints.add(ONE, Side::Client, checkpoint(0, 0), false);
        for after in 1..=1000 {
            checkpoints.add(ONE, Side::Client, checkpoint(after, 1000), false);
            assert!(checkpoints.held <= 10_000);
        }
        let kept = &checkpoints.directions[&(ONE, Side::Client)];
        assert!((4..=11).contains(&kept.len()), "{}", kept.len());
        assert!(kept.windows(2).all(|pair| pair[1].work - pair[0].work >= 64 * Checkpoints::SPACING));
        assert_eq!(checkpoints.before(ONE, Side::Client, 1).unwrap().after, 0);
    }

    #[test]
    fn many_connections_share_the_budget() {
        let mut checkpoints = Checkpoints::new(10_000);
        for id in 1..=100 {
            checkpoints.add(ConnectionId(id), Side::Server, checkpoint(0, 0), false);
            checkpoints.add(ConnectionId(id), Side::Server, checkpoint(1, 1000), false);
            assert!(checkpoints.held <= 10_000);
        }
        assert!((1..=100).all(|id| checkpoints.before(ConnectionId(id), Side::Server, 9).is_some()));
    }

    #[test]
    fn the_nearest_one_before_a_frame_is_found() {
        let mut checkpoints = Checkpoints::new(10_000);
        checkpoints.add(ONE, Side::Client, checkpoint(3, 0), false);
        checkpoints.add(ONE, Side::Client, checkpoint(7, 1), false);
        let before = |n| checkpoints.before(ONE, Side::Client, n).map(|checkpoint| checkpoint.after);
        assert_eq!([before(3), before(4), before(7), before(8)], [None, Some(3), Some(3), Some(7)]);
        assert!(checkpoints.before(ONE, Side::Server, 8).is_none());
    }

    #[test]
    fn what_is_gone_leaves_its_border_as_the_beginning() {
        let mut checkpoints = Checkpoints::new(10_000);
        for (after, is_border) in [(0, false), (4, false), (6, true), (9, false)] {
            checkpoints.add(ONE, Side::Client, checkpoint(after, 1), is_border);
        }
        checkpoints.add(ConnectionId(2), Side::Client, checkpoint(2, 1), false);
        checkpoints.drop_first(6, |id| id == ONE);
        let before = |n| checkpoints.before(ONE, Side::Client, n).map(|checkpoint| checkpoint.after);
        assert_eq!([before(6), before(7), before(10)], [None, Some(6), Some(9)]);
        assert_eq!((checkpoints.directions.len(), checkpoints.held), (1, 2));
    }

    #[test]
    fn more_beginnings_than_the_budget_has_room_for_are_left_out() {
        let mut checkpoints = Checkpoints::new(10_000);
        for id in 1..=100 {
            checkpoints.add(ConnectionId(id), Side::Server, checkpoint(1, 1000), true);
            checkpoints.add(ConnectionId(id), Side::Server, Checkpoint { after: 2, ..checkpoint(1, 1000) }, true);
            assert!(checkpoints.held <= 10_000);
        }
        let has = |id| checkpoints.before(ConnectionId(id), Side::Server, 9).map(|checkpoint| checkpoint.after);
        assert_eq!((has(1), has(10), has(11)), (Some(2), Some(2), None));
    }
}
