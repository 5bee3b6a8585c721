//! Pings at an interval, and the peer that does not answer them (RFC 6455 5.5.2).

use std::time::{Duration, Instant};

/// Decides when a ping is due and when its answer is overdue.
#[derive(Debug)]
pub(super) struct Keepalive {
    interval: Duration,
    /// When to look next; `None` if that is past the end of time.
    due: Option<Instant>,
    sent: u64,
    /// The last ping is unanswered.
    waiting: bool,
    /// Since the last look the peer has taken bytes while more wait, or sent bytes of an unfinished frame: the ping may
    /// not have reached it, or its pong may be stuck behind the frame. That is slow, not dead.
    progressed: bool,
}

/// What is to be done at a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// Send a ping with this payload.
    Ping(String),
    /// The peer is dead.
    Dead,
    /// Nothing.
    Wait,
}

impl Keepalive {
    /// The first ping is due one interval from `now`.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, due: now.checked_add(interval), sent: 0, waiting: false, progressed: false }
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) const fn pong(&mut self) {
        self.waiting = false;
    }

    pub(super) const fn progress(&mut self) {
        self.progressed = true;
    }

    pub(super) fn tick(&mut self, now: Instant) -> Tick {
        if self.due.is_none_or(|due| now < due) {
            return Tick::Wait;
        }
        self.due = now.checked_add(self.interval);
        let progressed = std::mem::take(&mut self.progressed);
        match (self.waiting, progressed) {
            (true, true) => Tick::Wait,
            (true, false) => Tick::Dead,
            (false, _) => {
                self.waiting = true;
                self.sent += 1;
                Tick::Ping(format!("keepalive {}", self.sent))
            }
        }
    }
}
