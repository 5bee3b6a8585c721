//! Numbers over all that was seen, kept by the derivation: bounded, however long a capture goes on, whatever it holds.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use super::deflation::Deflated;
use super::event::Timestamp;
use super::frame_entry::{Flags, FrameBatch, Packed};
use crate::wire::Side;

/// What was counted. Where there are two of something, the client's comes first: `Side as usize`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Frames and their bytes in the last ten minutes, second by second.
    pub recent: Timeline,
    /// The same since the first frame, in at most 600 parts.
    pub whole: Timeline,
    /// By opcode, 0 to 15.
    pub opcodes: [[Tally; 16]; 2],
    /// Payload bytes of frames that came whole.
    pub sizes: [Histogram; 2],
    /// Microseconds from each side's pings to the pongs that answered them.
    pub round_trips: [Histogram; 2],
    /// Messages that permessage-deflate has compressed.
    pub compressed: [Deflated; 2],
}

/// How many, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            recent: Timeline::new(true),
            whole: Timeline::new(false),
            opcodes: Default::default(),
            sizes: Default::default(),
            round_trips: Default::default(),
            compressed: Default::default(),
        }
    }
}

impl Statistics {
    /// The frames of `batch` in these places have come.
    pub(super) fn frames(&mut self, batch: &FrameBatch, places: Range<usize>) {
        let part = batch.part(places.clone());
        let mut runs = part.runs().peekable();
        while let Some(time) = runs.peek().map(|(_, first)| first.time()) {
            // what comes in one second falls into one span of either timeline
            let begins = time.0 - time.0 % Timeline::SECOND;
            let mut wire = [Tally::default(); 2];
            while let Some((places, run)) =
                runs.next_if(|(_, next)| next.time().0.wrapping_sub(begins) < Timeline::SECOND)
            {
                let (from, frames) = (run.from() as usize, &part.frames()[places]);
                let mut bytes = 0;
                for frame in frames {
                    bytes += frame.header() as u64;
                    let opcode = &mut self.opcodes[from][usize::from(frame.first_two()[0] & 0xF)];
                    opcode.count += 1;
                    // what a frame that was cut short declares may never have been sent; of a long one more is told below
                    if run.flags().has(Flags::COMPLETE) && frame.length() < Packed::LONG {
                        let payload = u64::from(frame.length());
                        bytes += payload;
                        opcode.bytes = opcode.bytes.saturating_add(payload);
                        self.sizes[from].add(payload);
                    }
                }
                wire[from].add(Tally { count: frames.len() as u64, bytes });
            }
            for from in Side::BOTH.into_iter().filter(|from| wire[*from as usize].count > 0) {
                self.recent.add(time, from, wire[from as usize]);
                self.whole.add(time, from, wire[from as usize]);
            }
        }
        for (_, long) in batch.long(places).iter().filter(|(_, long)| long.is_complete()) {
            let (from, bytes) = (long.from(), Tally { count: 0, bytes: long.length() });
            self.opcodes[from as usize][usize::from(long.opcode().value() & 0xF)].add(bytes);
            self.sizes[from as usize].add(bytes.bytes);
            self.recent.add(long.time(), from, bytes);
            self.whole.add(long.time(), from, bytes);
        }
    }

    /// A ping of `from` was answered after so many nanoseconds.
    pub(super) fn round_trip(&mut self, from: Side, nanoseconds: u64) {
        self.round_trips[from as usize].add(nanoseconds / 1000);
    }
}

impl Tally {
    /// Adds what another one counted.
    pub fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What came in each of some equal spans of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The oldest span goes when there are too many; else each two become one.
    slides: bool,
    /// Nanoseconds of a span.
    width: u64,
    /// The number of the first span, counted from the beginning of all time.
    first: u64,
    spans: VecDeque<[Tally; 2]>,
}

impl Timeline {
    /// The most spans that are kept.
    pub const SPANS: usize = 600;
    const SECOND: u64 = 1_000_000_000;

    const fn new(slides: bool) -> Self {
        Self { slides, width: Self::SECOND, first: 0, spans: VecDeque::new() }
    }

    /// Nanoseconds of a span: a second, or more where much time is covered.
    pub const fn width(&self) -> u64 {
        self.width
    }

    /// When the first span begins; `None` if there is none.
    pub fn begins(&self) -> Option<Timestamp> {
        (!self.spans.is_empty()).then_some(Timestamp(self.first.saturating_mul(self.width)))
    }

    /// The spans, from the first one with a frame to the last.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = &[Tally; 2]> {
        self.spans.iter()
    }

    /// The last `count` spans up to the one that `end` is in; those without a frame hold zeros.
    pub fn until(&self, end: Timestamp, count: usize) -> Vec<[Tally; 2]> {
        let last = end.0 / self.width;
        let span = |back: u64| {
            let place = last.checked_sub(back)?.checked_sub(self.first)?;
            self.spans.get(usize::try_from(place).ok()?).copied()
        };
        (0..count as u64).rev().map(|back| span(back).unwrap_or_default()).collect()
    }

    fn add(&mut self, time: Timestamp, from: Side, what: Tally) {
        if self.spans.is_empty() {
            self.first = time.0 / self.width;
        }
        let Some(mut place) = (time.0 / self.width).checked_sub(self.first) else {
            // clocks go back, and packets of a capture may be out of order
            if !self.slides {
                self.spans[0][from as usize].add(what);
            }
            return;
        };
        while place >= Self::SPANS as u64 {
            if self.slides {
                self.slide(place + 1 - Self::SPANS as u64);
            } else {
                self.widen();
            }
            place = time.0 / self.width - self.first;
        }
        // below SPANS
        let place = place as usize;
        if place >= self.spans.len() {
            self.spans.resize(place + 1, Default::default());
        }
        self.spans[place][from as usize].add(what);
    }

    fn slide(&mut self, by: u64) {
        let gone = usize::try_from(by).unwrap_or(usize::MAX).min(self.spans.len());
        self.spans.drain(..gone);
        self.first += by;
    }

    fn widen(&mut self) {
        let mut wider = VecDeque::with_capacity(Self::SPANS);
        let first = self.first / 2;
        for (number, span) in (self.first..).zip(&self.spans) {
            let place = (number / 2 - first) as usize;
            wider.resize(place + 1, <[Tally; 2]>::default());
            for side in Side::BOTH {
                wider[place][side as usize].add(span[side as usize]);
            }
        }
        (self.spans, self.first, self.width) = (wider, first, self.width * 2);
    }
}

/// How many values there were of each size, in powers of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; 65],
    /// How many in all.
    pub count: u64,
    /// Their sum, which stops at 2^64 - 1.
    pub sum: u64,
    /// The smallest; 2^64 - 1 if there are none.
    pub least: u64,
    /// The largest.
    pub most: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; 65], count: 0, sum: 0, least: u64::MAX, most: 0 }
    }
}

impl Histogram {
    /// How many values there are in each range: 0, 1, 2 to 3, 4 to 7 and so on.
    pub fn counts(&self) -> &[u64; 65] {
        &self.counts
    }

    /// The values that are counted in a place of [`Histogram::counts`].
    pub const fn range(place: usize) -> RangeInclusive<u64> {
        match place {
            0 => 0..=0,
            64.. => 1 << 63..=u64::MAX,
            _ => 1 << (place - 1)..=(1 << place) - 1,
        }
    }

    /// The mean; `None` if there are no values.
    pub const fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count)
    }

    fn add(&mut self, value: u64) {
        // zeros before the first 1: 64 for 0
        self.counts[64 - value.leading_zeros() as usize] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::event::{ConnectionId, Origin};
    use crate::capture::frame_entry::{FrameEntry, NewFrame};
    use crate::wire::{Header, Opcode};

    const ONE: Tally = Tally { count: 1, bytes: 10 };

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    fn counts(spans: &[[Tally; 2]]) -> Vec<u64> {
        spans.iter().map(|span| span[0].count).collect()
    }

    #[test]
    fn the_last_ten_minutes_slide_and_what_is_older_goes() {
        let mut recent = Timeline::new(true);
        for second in 1000..1000 + 5000 {
            recent.add(at(second), Side::Client, ONE);
            assert!(recent.spans().len() <= Timeline::SPANS);
        }
        assert_eq!(recent.begins(), Some(at(5400)));
        assert_eq!(counts(&recent.until(at(6001), 4)), [1, 1, 0, 0]);
        // too old to be among them, and the clock of another century
        recent.add(at(1), Side::Client, ONE);
        recent.add(Timestamp(u64::MAX), Side::Client, ONE);
        assert_eq!(recent.spans().len(), Timeline::SPANS);
        assert_eq!(counts(&recent.until(Timestamp(u64::MAX), 2)), [0, 1]);
        assert_eq!(recent.until(at(0), 700).len(), 700);
    }

    #[test]
    fn the_whole_time_fits_ever_wider_spans_and_no_frame_is_lost() {
        let mut whole = Timeline::new(false);
        for second in [1001, 1002, 1600, 1601, 2500, 9999, 400, 18_000_000_000] {
            whole.add(at(second), Side::Client, ONE);
            whole.add(at(second), Side::Server, ONE);
            assert!(whole.spans().len() <= Timeline::SPANS);
        }
        for side in Side::BOTH {
            assert_eq!(whole.spans().map(|span| span[side as usize].bytes).sum::<u64>(), 80);
        }
        assert!(whole.width() > Timeline::SECOND && whole.begins().is_some_and(|begins| begins <= at(1001)));
    }

    #[test]
    fn each_value_is_counted_in_the_power_of_two_that_holds_it() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.mean(), None);
        for value in [0, 1, 2, 3, 4, 125, 126, 65_535, 65_536, 1 << 63, u64::MAX] {
            histogram.add(value);
            let place = histogram.counts().iter().rposition(|&count| count > 0).unwrap();
            assert!(Histogram::range(place).contains(&value), "{value} in {place}");
        }
        assert_eq!(histogram.counts()[..4], [1, 1, 2, 1]);
        assert_eq!((histogram.count, histogram.sum), (11, u64::MAX));
        assert_eq!((histogram.least, histogram.most), (0, u64::MAX));
    }

    #[test]
    fn of_a_frame_of_gigabytes_all_bytes_count_once_and_none_where_it_was_cut_short() {
        let frame = |length, complete| {
            let new = NewFrame {
                time: at(1000),
                position: None,
                offset: 0,
                connection: ConnectionId(1),
                from: Side::Client,
                header: Header::new(Opcode::BINARY, None, length),
                chunks: 1,
                complete,
                compressed: false,
                origin: Origin::Peer,
            };
            FrameEntry::new(&new, false, false, false)
        };
        let (long, few) = (1_u64 << 40, u64::from(Packed::LONG));
        let frames = [frame(5, true), frame(long, true), frame(2 * long, false), frame(few, true), frame(7, true)];
        let (batch, mut statistics) = (frames.iter().collect(), Statistics::default());
        statistics.frames(&batch, 0..2);
        statistics.frames(&batch, 2..5);
        let payload = 5 + long + few + 7;
        assert_eq!(statistics.opcodes[0][2], Tally { count: 5, bytes: payload });
        let sizes = &statistics.sizes[0];
        assert_eq!((sizes.count, sizes.sum, sizes.least, sizes.most), (4, payload, 5, long));
        for timeline in [&statistics.recent, &statistics.whole] {
            let headers = 2 + 10 + 10 + 10 + 2;
            assert!(timeline.spans().eq([&[Tally { count: 5, bytes: payload + headers }, Tally::default()]]));
        }
    }

    #[test]
    fn it_stays_small() {
        let timelines = 2 * Timeline::SPANS * size_of::<[Tally; 2]>();
        assert!(size_of::<Statistics>() + timelines < 64 << 10);
    }
}
