//! Pings matched to the pongs that answer them (RFC 6455 5.5.2, 5.5.3).

use std::collections::VecDeque;

use super::event::Timestamp;
use crate::wire::Side;

/// The pings of both sides that have not been answered.
#[derive(Debug, Default)]
pub(super) struct Pings {
    waiting: [VecDeque<(Box<[u8]>, Timestamp)>; 2],
}

impl Pings {
    /// The most that are kept of each side: older ones count as unanswered.
    const KEPT: usize = 64;

    pub(super) fn ping(&mut self, from: Side, payload: &[u8], time: Timestamp) {
        let waiting = &mut self.waiting[from as usize];
        if waiting.len() == Self::KEPT {
            waiting.pop_front();
        }
        waiting.push_back((payload.into(), time));
    }

    /// The round trip of the ping that a pong of `from` answers, in nanoseconds. Earlier pings are answered with it.
    pub(super) fn pong(&mut self, from: Side, payload: &[u8], time: Timestamp) -> Option<u64> {
        let waiting = &mut self.waiting[from.other() as usize];
        let position = waiting.iter().position(|(ping, _)| **ping == *payload)?;
        let (_, sent) = waiting.drain(..=position).next_back()?;
        Some(time.0.saturating_sub(sent.0))
    }
}
