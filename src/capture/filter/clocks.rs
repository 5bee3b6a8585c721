//! How far the clocks of a time zone are ahead.

use std::cell::Cell;

use jiff::tz::TimeZone;

use super::value::DAY;
use crate::capture::Timestamp;

/// How far the clocks of the time zone are ahead, in nanoseconds, less than a day.
pub(super) fn offset_of_day(time: Timestamp, zone: &TimeZone) -> u64 {
    let offset = jiff::Timestamp::from_nanosecond(time.0.into()).map_or(0, |at| zone.to_offset(at).seconds());
    (i64::from(offset) * 1_000_000_000).rem_euclid(DAY.cast_signed()).cast_unsigned()
}

/// The same of many times, which is looked up once for an hour of what was recorded.
#[derive(Debug)]
pub(super) struct Clocks {
    zone: TimeZone,
    /// Between these times, ends included, they are ahead by so much.
    known: Cell<(Timestamp, Timestamp, u64)>,
}

impl Clocks {
    const HOUR: u64 = 3_600_000_000_000;

    pub(super) fn of(zone: TimeZone) -> Self {
        // between these there is nothing
        Self { zone, known: Cell::new((Timestamp(1), Timestamp(0), 0)) }
    }

    /// How far they are ahead at both of these times and between them; `None` where that differs, or may have differed.
    pub(super) fn ahead(&self, first: Timestamp, last: Timestamp) -> Option<u64> {
        let (from, to, ahead) = self.known.get();
        if from <= first && last <= to {
            return Some(ahead);
        }
        if last.0.saturating_sub(first.0) > DAY {
            // in a year they are put forward and back again
            return None;
        }
        let ahead = offset_of_day(first, &self.zone);
        let in_an_hour = Timestamp(first.0.saturating_add(Self::HOUR));
        let to = [in_an_hour.max(last), last].into_iter().find(|to| offset_of_day(*to, &self.zone) == ahead)?;
        self.known.set((first, to, ahead));
        Some(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_year_nothing_is_said_though_the_clocks_are_the_same_at_its_ends() {
        let clocks = Clocks::of(TimeZone::UTC);
        let [first, last] = [1_700_000_000, 1_731_536_000].map(|second| Timestamp(second * 1_000_000_000));
        assert_eq!(clocks.ahead(first, first), Some(0));
        assert_eq!((clocks.ahead(first, last), clocks.ahead(last, last)), (None, Some(0)));
    }

    #[test]
    fn however_often_it_is_asked_it_is_what_the_zone_says_also_where_the_clocks_are_put_back() {
        let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
        let clocks = Clocks::of(zone.clone());
        // from three hours before that moment of 2023 on, in steps of seven minutes, and back again
        let at = |step: u64| Timestamp((1_699_164_000 - 10_800 + step * 420) * 1_000_000_000);
        let (there, back) = (0..60, (0..60).rev());
        for step in there.chain(back) {
            for length in [0, 1, 9, 40] {
                let [first, last] = [at(step), at(step + length)];
                let each = [first, last].map(|time| offset_of_day(time, &zone));
                let expected = (each[0] == each[1]).then_some(each[0]);
                assert_eq!(clocks.ahead(first, last), expected, "{step} and {length} on");
            }
        }
    }
}
