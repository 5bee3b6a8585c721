//! Leaving once all has been said and answered: what a client does whose input has ended.

use std::time::{Duration, Instant};

/// Waits until the peer has read what was sent, and then until it has been quiet for a while: what answers is a program of
/// its own behind the server's end, and has to get its turn before the Close does.
#[derive(Debug)]
pub(super) struct Leaving {
    quiet: Duration,
    /// The peer's pong has not come, which says that it has read everything before.
    unread: bool,
    /// `None` if that is past the end of time.
    due: Option<Instant>,
}

/// How long the pong is waited for, from the last bytes that came or were taken.
const PATIENCE: Duration = Duration::from_secs(5);

impl Leaving {
    /// A ping has just been queued.
    pub(super) fn new(quiet: Duration, now: Instant) -> Self {
        Self { quiet, unread: true, due: now.checked_add(PATIENCE) }
    }

    /// The peer has answered the ping.
    pub(super) fn pong(&mut self, now: Instant) {
        self.unread = false;
        self.progress(now);
    }

    /// The peer has sent something, or taken some of what waits for it.
    pub(super) fn progress(&mut self, now: Instant) {
        self.due = now.checked_add(if self.unread { PATIENCE.max(self.quiet) } else { self.quiet });
    }

    /// When to close, if nothing more happens.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}
