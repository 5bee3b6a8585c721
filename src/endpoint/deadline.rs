//! How long a connection that is closing is waited for.

use std::time::{Duration, Instant};

/// When patience ends. A peer that keeps taking what waits for it is given the time again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// `None` if that is past the end of time.
    at: Option<Instant>,
    renewal: Option<Duration>,
}

impl Deadline {
    pub(super) fn renewable(now: Instant, patience: Duration) -> Self {
        Self { at: now.checked_add(patience), renewal: Some(patience) }
    }

    /// Not later than `patience` from `now`, come what may.
    pub(super) fn make_final(&mut self, now: Instant, patience: Duration) {
        let last = now.checked_add(patience);
        *self = Self { at: self.at.map_or(last, |at| Some(last.map_or(at, |last| at.min(last)))), renewal: None };
    }

    pub(super) fn renew(&mut self, now: Instant) {
        if let Some(patience) = self.renewal {
            self.at = now.checked_add(patience);
        }
    }

    pub(super) const fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(super) const fn is_final(&self) -> bool {
        self.renewal.is_none()
    }
}
