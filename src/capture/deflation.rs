//! The compressed messages of one direction, inflated as they are recorded: how much they were, and where reading them
//! back can begin.

use std::sync::Arc;

use super::checkpoints::Checkpoints;
use crate::wire::Inflater;

/// How much the compressed messages of one side were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deflated {
    /// How many could be inflated.
    pub messages: u64,
    /// Their payload bytes on the wire.
    pub wire: u64,
    /// Their bytes inflated.
    pub inflated: u64,
    /// How many could not be inflated.
    pub failed: u64,
}

impl Deflated {
    pub(super) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.wire = self.wire.saturating_add(other.wire);
        self.inflated = self.inflated.saturating_add(other.inflated);
        self.failed += other.failed;
    }

    /// How many times as much the messages are once inflated; `None` before there were any.
    pub fn ratio(&self) -> Option<f64> {
        (self.wire > 0).then(|| self.inflated as f64 / self.wire as f64)
    }
}

/// Measures the compressed messages of one direction.
#[derive(Debug, Default)]
pub(super) struct Deflation {
    /// Payload bytes of the message at hand.
    wire: u64,
    work: u64,
    /// The work up to the last proposed checkpoint.
    proposed: u64,
    /// The end of the next message is a checkpoint in any case.
    due: bool,
    total: Deflated,
}

/// Between two messages, a place from which on the later ones can be inflated.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The work up to here.
    pub(super) work: u64,
    /// What the next message may refer to.
    pub(super) window: Arc<[u8]>,
    /// What comes before it will go.
    pub(super) is_border: bool,
}

impl Deflation {
    /// What a frame or message costs to be read back, beside its bytes.
    const FRAME: u64 = 256;
    /// Inflated bytes that are as much work as a compressed one.
    const INFLATED: u64 = 16;

    /// So much payload of a compressed message's frame comes.
    pub(super) fn frame(&mut self, length: u64) {
        self.wire = self.wire.saturating_add(length);
        self.work = self.work.saturating_add(length).saturating_add(Self::FRAME);
    }

    /// The message is complete; `inflated` is how many bytes it gave, if it was inflated to its end. Returned is what it
    /// counts as.
    pub(super) fn message(&mut self, inflated: Option<u64>) -> Deflated {
        let wire = std::mem::take(&mut self.wire);
        let one = match inflated {
            Some(inflated) => Deflated { messages: 1, wire, inflated, failed: 0 },
            None => Deflated { failed: 1, ..Deflated::default() },
        };
        self.work = self.work.saturating_add(one.inflated / Self::INFLATED);
        self.total.add(one);
        one
    }

    /// The message at hand will not be completed.
    pub(super) fn give_up(&mut self) {
        self.wire = 0;
    }

    /// The messages so far.
    pub(super) fn total(&self) -> Deflated {
        self.total
    }

    /// A checkpoint after a message, if it is time for one.
    pub(super) fn place(&mut self, inflater: &Inflater) -> Option<Place> {
        if !inflater.takes_over() || !self.due && self.work - self.proposed < Checkpoints::SPACING {
            return None;
        }
        let window = inflater.window()?;
        self.proposed = self.work;
        Some(Place { work: self.work, window: window.into(), is_border: std::mem::take(&mut self.due) })
    }

    /// What came before goes: a checkpoint before the message at hand, or before the next one. Where it `has_begun` to go,
    /// or that is not known any more, its end will be one.
    pub(super) fn border(&mut self, inflater: &Inflater, has_begun: bool) -> Option<Place> {
        if !inflater.takes_over() {
            return None;
        }
        let window = inflater.window().filter(|_| !has_begun);
        self.due = window.is_none();
        Some(Place { work: self.work, window: window?.into(), is_border: true })
    }
}
