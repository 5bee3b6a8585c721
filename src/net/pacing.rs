//! Frames of the user that go out in several writes: where in the outbox each of them ends, and what time passes between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::compose::Composed;

/// Says how much of an outbox may be written.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    /// Writes that are to come: their bytes, and the pause after each of them. What waits behind them is not held back.
    writes: VecDeque<(usize, Duration)>,
    until: Option<Instant>,
}

impl Pacing {
    /// The frames that were just put in the outbox go out as they ask for; `before` bytes waited there already.
    pub(super) fn pace(&mut self, before: usize, composed: &Composed) {
        let writes: Vec<_> = composed.writes().collect();
        let [first @ .., last] = &writes[..] else { return };
        if first.is_empty() {
            return;
        }
        let paced: usize = self.writes.iter().map(|(bytes, _)| bytes).sum();
        if let ahead @ 1.. = before.saturating_sub(paced) {
            self.writes.push_back((ahead, Duration::ZERO));
        }
        self.writes.extend(first.iter().map(|write| (write.len(), composed.delay())));
        self.writes.push_back((last.len(), Duration::ZERO));
    }

    /// How many of `waiting` bytes may be written at `now`.
    pub(super) fn room(&mut self, waiting: usize, now: Instant) -> usize {
        if self.until.is_some_and(|until| now < until) {
            return 0;
        }
        self.until = None;
        self.writes.front().map_or(waiting, |(bytes, _)| waiting.min(*bytes))
    }

    /// So many bytes were written: no more than there was room for.
    pub(super) fn written(&mut self, bytes: usize, now: Instant) {
        let Some((left, pause)) = self.writes.front_mut() else { return };
        *left -= bytes.min(*left);
        if *left == 0 {
            self.until = (!pause.is_zero()).then(|| now + *pause);
            self.writes.pop_front();
        }
    }

    /// When more may be written, if nothing may now.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::ComposedFrame;
    use crate::wire::Opcode;

    #[test]
    fn what_waits_before_goes_first_and_what_comes_after_goes_at_once() {
        let delay = Duration::from_millis(50);
        let frame = ComposedFrame::new(Opcode::BINARY, None, &[0; 8]);
        let composed = Composed::new(vec![frame], 3, delay).unwrap();
        let (mut pacing, mut now) = (Pacing::default(), Instant::now());
        pacing.pace(5, &composed);
        // 5 bytes were there, 10 are ours, 7 came later
        let (mut waiting, mut written) = (22, Vec::new());
        while waiting > 0 {
            let room = pacing.room(waiting, now);
            if room == 0 {
                assert_eq!(pacing.until(), Some(now + delay));
                now += delay;
                written.push(0);
                continue;
            }
            pacing.written(room, now);
            waiting -= room;
            written.push(room);
        }
        assert_eq!(written, [5, 3, 0, 3, 0, 4, 7]);
    }

    #[test]
    fn a_frame_in_one_write_is_not_paced() {
        let frame = ComposedFrame::new(Opcode::PING, None, b"");
        let mut pacing = Pacing::default();
        pacing.pace(3, &Composed::new(vec![frame], 1, Duration::ZERO).unwrap());
        assert_eq!(pacing.room(100, Instant::now()), 100);
    }
}
