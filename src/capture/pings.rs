//! Pings matched to the pongs that answer them (RFC 6455 5.5.2, 5.5.3).

use std::collections::VecDeque;

use super::event::Timestamp;
use crate::wire::Side;

/// The pings of one side, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PingLedger {
    /// How many were sent.
    pub sent: u64,
    /// How many a pong answered.
    pub answered: u64,
    /// How many were passed over by a pong that answers a later one, as it may (RFC 6455 5.5.3).
    pub passed_over: u64,
    /// Pongs of the other side that answer none of them.
    pub unsolicited: u64,
    /// Nanoseconds from the last ping that was answered to its pong.
    pub last: Option<u64>,
    /// The shortest of those times.
    pub least: u64,
    /// The longest.
    pub most: u64,
    /// All of them together.
    pub total: u64,
    /// When the last ping was sent that is not answered.
    pub waiting_since: Option<Timestamp>,
}

impl PingLedger {
    /// How many are not answered, nor passed over.
    pub const fn unanswered(&self) -> u64 {
        self.sent.saturating_sub(self.answered + self.passed_over)
    }

    /// Nanoseconds from a ping to its pong on the average.
    pub const fn mean(&self) -> Option<u64> {
        self.total.checked_div(self.answered)
    }

    fn answer(&mut self, round_trip: u64, passed_over: u64) {
        self.least = if self.answered == 0 { round_trip } else { self.least.min(round_trip) };
        self.most = self.most.max(round_trip);
        self.total = self.total.saturating_add(round_trip);
        self.last = Some(round_trip);
        self.answered += 1;
        self.passed_over += passed_over;
    }
}

/// The pings of both sides that have not been answered.
#[derive(Debug, Default)]
pub(super) struct Pings {
    waiting: [VecDeque<Waiting>; 2],
}

#[derive(Debug)]
struct Waiting {
    n: u64,
    payload: Box<[u8]>,
    time: Timestamp,
}

/// The pings that a pong answers: their frame numbers. The last one is meant, those before it are passed over.
pub(super) type Answered = Vec<u64>;

impl Pings {
    /// The most that are kept of each side: older ones count as unanswered.
    const KEPT: usize = 64;

    /// Frame `n` is a ping.
    pub(super) fn ping(&mut self, from: Side, n: u64, payload: &[u8], time: Timestamp, ledgers: &mut [PingLedger; 2]) {
        let (waiting, ledger) = (&mut self.waiting[from as usize], &mut ledgers[from as usize]);
        if waiting.len() == Self::KEPT {
            waiting.pop_front();
        }
        waiting.push_back(Waiting { n, payload: payload.into(), time });
        ledger.sent += 1;
        ledger.waiting_since = Some(time);
    }

    /// The pings that a pong of `from` answers: the oldest with its payload, and those before it, which may be passed over.
    /// None if nobody asked for it.
    pub(super) fn pong(
        &mut self,
        from: Side,
        payload: &[u8],
        time: Timestamp,
        ledgers: &mut [PingLedger; 2],
    ) -> Answered {
        let side = from.other() as usize;
        let (waiting, ledger) = (&mut self.waiting[side], &mut ledgers[side]);
        let Some(position) = waiting.iter().position(|ping| *ping.payload == *payload) else {
            ledger.unsolicited += 1;
            return Vec::new();
        };
        let sent = waiting[position].time;
        let answered: Answered = waiting.drain(..=position).map(|ping| ping.n).collect();
        ledger.answer(time.0.saturating_sub(sent.0), position as u64);
        ledger.waiting_since = waiting.back().map(|ping| ping.time);
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_answers_the_oldest_ping_of_its_payload_and_passes_over_those_before() {
        let (mut pings, mut ledgers) = (Pings::default(), [PingLedger::default(); 2]);
        for (n, payload) in [(1, "a"), (2, "b"), (3, "b"), (4, "c")] {
            pings.ping(Side::Server, n, payload.as_bytes(), Timestamp(n * 10), &mut ledgers);
        }
        let mut pong = |payload: &str, time| {
            let answered = pings.pong(Side::Client, payload.as_bytes(), Timestamp(time), &mut ledgers);
            (answered, ledgers[Side::Server as usize])
        };
        let (answered, ledger) = pong("b", 50);
        assert_eq!((answered, ledger.last, ledger.passed_over), (vec![1, 2], Some(30), 1));
        assert_eq!(pong("a", 60).0, [0; 0], "it has been passed over");
        let (answered, ledger) = pong("b", 130);
        assert_eq!((answered, ledger.last, ledger.mean()), (vec![3], Some(100), Some(65)));
        assert_eq!((ledger.least, ledger.most, ledger.unsolicited), (30, 100, 1));
        assert_eq!((ledger.sent, ledger.answered, ledger.unanswered()), (4, 2, 1));
        assert_eq!(ledger.waiting_since, Some(Timestamp(40)));
        assert_eq!(pong("c", 140).1.waiting_since, None);
        assert_eq!(ledgers[Side::Client as usize], PingLedger::default());
    }

    #[test]
    fn pings_that_nobody_answers_are_counted_and_only_the_last_ones_kept() {
        let (mut pings, mut ledgers) = (Pings::default(), [PingLedger::default(); 2]);
        for n in 0..1000_u32 {
            pings.ping(Side::Client, n.into(), &n.to_be_bytes(), Timestamp(0), &mut ledgers);
        }
        assert_eq!(pings.waiting[0].len(), Pings::KEPT);
        assert_eq!(ledgers[0].unanswered(), 1000);
        assert_eq!(pings.pong(Side::Server, &0_u32.to_be_bytes(), Timestamp(1), &mut ledgers), [0; 0]);
        assert_eq!(pings.pong(Side::Server, &999_u32.to_be_bytes(), Timestamp(1), &mut ledgers).len(), Pings::KEPT);
    }
}
