//! Values as they are written: numbers, keys, bytes, times.

use winnow::Parser;
use winnow::ascii::digit1;
use winnow::combinator::{alt, eof, opt, preceded, separated, terminated};
use winnow::error::ContextError;
use winnow::token::take_while;

use crate::capture::Timestamp;

type Result<T> = winnow::Result<T, ContextError>;

/// A point in time that frames are compared with, as precise as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeValue {
    /// Nanoseconds since midnight, or since 1970.
    pub(super) nanoseconds: u64,
    /// The time of day, or Unix seconds.
    pub(super) of_day: bool,
    /// How precise it is, in nanoseconds.
    pub(super) unit: u64,
}

const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a day.
pub(super) const DAY: u64 = 86_400 * SECOND;

impl TimeValue {
    /// What `time` is compared with it as: the time of day where clocks are `ahead` by so much, or since 1970.
    pub(super) const fn since(&self, time: Timestamp, ahead: u64) -> u64 {
        let since = if self.of_day { (time.0 % DAY + ahead) % DAY } else { time.0 };
        since - since % self.unit
    }
}

fn whole<T>(text: &str, parser: impl FnMut(&mut &str) -> Result<T>) -> Option<T> {
    let mut text = text;
    terminated(parser, eof).parse_next(&mut text).ok()
}

/// `17` or `0x11`
pub(super) fn number(text: &str) -> Option<u64> {
    whole(text, |input| {
        let hex = preceded("0x", hex_digits).verify_map(|digits| u64::from_str_radix(digits, 16).ok());
        alt((hex, digit1.parse_to())).parse_next(input)
    })
}

/// `37fa213d`, `37:fa:21:3d` or `0x37fa213d`, as a number in network byte order
pub(super) fn key(text: &str) -> Option<u64> {
    let bytes = match whole(text, colons) {
        Some(bytes) => bytes,
        None => hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()?,
    };
    <[u8; 4]>::try_from(bytes).ok().map(|key| u32::from_be_bytes(key).into())
}

/// `01:02:ff` or `0x0102ff`
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).ok().filter(|bytes| !bytes.is_empty()),
        None => whole(text, colons).filter(|bytes| bytes.len() > 1),
    }
}

/// `50ms`, `1.5s`, `200us`, `2m`; a bare number is seconds. In nanoseconds.
pub(super) fn duration(text: &str) -> Option<u64> {
    whole(text, |input| {
        let (number, _) = decimal.parse_next(input)?;
        // thousandths of the unit first, so that no precision is lost
        let unit = alt((
            "ms".value(SECOND / 1000),
            "us".value(1000),
            "µs".value(1000),
            "ns".value(1),
            "s".value(SECOND),
            "m".value(60 * SECOND),
            "".value(SECOND),
        ))
        .parse_next(input)?;
        let nanoseconds = u128::from(number) * u128::from(unit) / u128::from(SECOND);
        Ok(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    })
}

/// `12:00`, `12:00:01`, `12:00:01.203`, or Unix seconds
pub(super) fn time(text: &str) -> Option<TimeValue> {
    whole(text, |input| alt((time_of_day, unix)).parse_next(input))
}

fn time_of_day(input: &mut &str) -> Result<TimeValue> {
    let two = |below: u64| {
        take_while(1..=2, |c: char| c.is_ascii_digit()).parse_to::<u64>().verify(move |number| *number < below)
    };
    let (hours, _, minutes) = (two(24), ':', two(60)).parse_next(input)?;
    let seconds = opt(preceded(':', decimal.verify(|(number, _)| *number < 60 * SECOND))).parse_next(input)?;
    let (seconds, unit) = seconds.unwrap_or((0, 60 * SECOND));
    Ok(TimeValue { nanoseconds: (hours * 60 + minutes) * 60 * SECOND + seconds, of_day: true, unit })
}

fn unix(input: &mut &str) -> Result<TimeValue> {
    let (nanoseconds, unit) = decimal.parse_next(input)?;
    Ok(TimeValue { nanoseconds, of_day: false, unit })
}

/// A decimal in thousand millionths, and the value of its last digit.
fn decimal(input: &mut &str) -> Result<(u64, u64)> {
    let digits = |min| take_while(min.., |c: char| c.is_ascii_digit());
    (digits(1), opt(preceded('.', digits(1))))
        .verify_map(|(whole, fraction): (&str, Option<&str>)| {
            let fraction = fraction.unwrap_or_default();
            let kept = &fraction[..fraction.len().min(9)];
            let unit = SECOND / 10_u64.pow(kept.len() as u32);
            let part = if kept.is_empty() { 0 } else { kept.parse::<u64>().ok()? * unit };
            Some((whole.parse::<u64>().ok()?.checked_mul(SECOND)?.checked_add(part)?, unit))
        })
        .parse_next(input)
}

fn hex_digits<'a>(input: &mut &'a str) -> Result<&'a str> {
    take_while(1.., |c: char| c.is_ascii_hexdigit()).parse_next(input)
}

fn colons(input: &mut &str) -> Result<Vec<u8>> {
    let byte = take_while(2..=2, |c: char| c.is_ascii_hexdigit());
    separated(1.., byte.verify_map(|digits| u8::from_str_radix(digits, 16).ok()), ':').parse_next(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!([number("17"), number("0x11"), number("0"), number("")], [Some(17), Some(17), Some(0), None]);
        assert_eq!([number("1x"), number("-1"), number("99999999999999999999")], [None; 3]);
    }

    #[test]
    fn a_key_is_four_bytes_in_any_usual_form() {
        for text in ["37fa213d", "37:fa:21:3d", "0x37FA213D"] {
            assert_eq!(key(text), Some(0x37fa_213d), "{text}");
        }
        assert_eq!([key("37fa21"), key("37fa213d00"), key("xyz")], [None; 3]);
    }

    #[test]
    fn bytes_are_told_from_words_by_their_colons() {
        assert_eq!(bytes("01:02:ff"), Some(vec![1, 2, 255]));
        assert_eq!(bytes("0xff"), Some(vec![255]));
        assert_eq!([bytes("ff"), bytes("01:2"), bytes("0x"), bytes("0x123")], [None, None, None, None]);
    }

    #[test]
    fn a_time_is_as_precise_as_it_is_written() {
        let at = |nanoseconds, of_day, unit| Some(TimeValue { nanoseconds, of_day, unit });
        assert_eq!(time("12:00"), at(43_200 * SECOND, true, 60 * SECOND));
        assert_eq!(time("12:00:01"), at(43_201 * SECOND, true, SECOND));
        assert_eq!(time("00:00:01.203"), at(1_203_000_000, true, 1_000_000));
        assert_eq!(time("1700000000.5"), at(1_700_000_000_500_000_000, false, 100_000_000));
        assert_eq!([time("24:00:00"), time("12:60:00"), time("noon"), time("1.")], [None; 4]);
    }

    #[test]
    fn durations_have_units_and_bare_ones_are_seconds() {
        assert_eq!(duration("50ms"), Some(50_000_000));
        assert_eq!(duration("1.5s"), Some(1_500_000_000));
        assert_eq!(duration("0.05"), Some(50_000_000));
        assert_eq!([duration("2m"), duration("10us"), duration("7ns")], [Some(120 * SECOND), Some(10_000), Some(7)]);
        assert_eq!([duration("fast"), duration("5h")], [None; 2]);
    }
}
