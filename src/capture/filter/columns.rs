//! What an expression says of many frames at a glance: of 64 at once, by what the index has of each as a number.

use super::clocks::Clocks;
use super::expr::{Compare, Expr, Search};
use super::field::Field;
use super::picked::Picked;
use super::value::TimeValue;
use crate::capture::FrameEntry;
use crate::capture::frame_entry::{Flags, Packed, Run, Span};
use crate::wire::Opcode;

/// Frames that follow one another, 64 at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    /// The number of the first.
    first: u64,
    span: Span<'a>,
    /// Whether each stands for itself: none belongs to a message of several frames.
    are_alone: bool,
    clocks: &'a Clocks,
}

/// What is known at a glance, a bit for each frame, from the lowest. Bits beyond the frames mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    /// The frames that match.
    pub(super) yes: u64,
    /// Those that match, and those of which it is not known.
    pub(super) maybe: u64,
}

/// All match.
pub(super) const ALL: Glance = Glance { yes: u64::MAX, maybe: u64::MAX };
const NONE: Glance = Glance { yes: 0, maybe: 0 };
pub(super) const UNKNOWN: Glance = Glance { yes: 0, maybe: u64::MAX };

impl Glance {
    /// Whether it is known of all of them.
    pub(super) const fn is_decided(self) -> bool {
        self.yes == self.maybe
    }
}

impl<'a> Block<'a> {
    pub(super) const MOST: usize = Picked::MOST;

    /// Those of `span`, which are no more; the first is frame `first`.
    pub(super) fn of(first: u64, span: Span<'a>, are_alone: bool, clocks: &'a Clocks) -> Self {
        Self { first, span, are_alone, clocks }
    }

    /// What `expr` says of them. Of frames that stand for a message of an archive nothing is known at a glance.
    pub(super) fn glance(&self, expr: &Expr) -> Glance {
        let Glance { yes, maybe } = self.look(expr);
        let archived = self.bits_of_runs(Flags::ARCHIVED);
        Glance { yes: yes & !archived, maybe: maybe | archived }
    }

    fn look(&self, expr: &Expr) -> Glance {
        match expr {
            Expr::All(parts) => parts.iter().fold(ALL, |so_far, part| match so_far {
                NONE => NONE,
                Glance { yes, maybe } => {
                    let part = self.look(part);
                    Glance { yes: yes & part.yes, maybe: maybe & part.maybe }
                }
            }),
            Expr::Any(parts) => parts.iter().fold(NONE, |so_far, part| match so_far {
                ALL => ALL,
                Glance { yes, maybe } => {
                    let part = self.look(part);
                    Glance { yes: yes | part.yes, maybe: maybe | part.maybe }
                }
            }),
            Expr::Not(part) => {
                let Glance { yes, maybe } = self.look(part);
                Glance { yes: !maybe, maybe: !yes }
            }
            Expr::Holds(Field::Fragments) => self.fragments(Compare::Equal, 1),
            Expr::Number(Field::Fragments, compare, value) => self.fragments(*compare, *value),
            Expr::Holds(field) => self.column(*field).map_or(UNKNOWN, |_| ALL),
            Expr::Number(field, compare, value) => {
                self.column(*field).map_or(UNKNOWN, |numbers| compare_all(&numbers, *compare, *value))
            }
            Expr::Time(compare, value) => {
                self.times(value).map_or(UNKNOWN, |times| compare_all(&times, *compare, value.nanoseconds))
            }
            Expr::Payload(field, search) => self.payload(*field, search),
        }
    }

    /// A control frame belongs to no message, and every other that stands for itself is one.
    fn fragments(&self, compare: Compare, value: u64) -> Glance {
        if !self.are_alone {
            return UNKNOWN;
        }
        let data = self.bits(|frame| !Opcode::new(frame.first_two()[0]).is_control());
        let bits = if compare.of(1, value) { data } else { 0 };
        Glance { yes: bits, maybe: bits }
    }

    /// Of many payloads their length tells, or whether they are text; of compressed ones it does not.
    fn payload(&self, field: Field, search: &Search) -> Glance {
        let [text, perhaps] = if field == Field::PayloadText {
            let is = |opcode: Opcode| self.bits(|frame| frame.first_two()[0] & 0xF == opcode.value());
            [is(Opcode::TEXT), is(Opcode::TEXT) | is(Opcode::CONTINUATION)]
        } else {
            [u64::MAX; 2]
        };
        let with_length = |fits: fn(u64, u64) -> bool, than: usize| {
            self.bits_of_runs(Flags::COMPRESSED) | self.bits(|frame| fits(frame.length().into(), than as u64))
        };
        match search {
            Search::Contains(finder) => {
                Glance { yes: 0, maybe: perhaps & with_length(|length, least| length >= least, finder.needle().len()) }
            }
            Search::Equals(bytes) => {
                Glance { yes: 0, maybe: perhaps & with_length(|length, other| length == other, bytes.len()) }
            }
            Search::Differs(bytes) => {
                Glance { yes: text & !with_length(|length, other| length == other, bytes.len()), maybe: perhaps }
            }
            Search::Matches(_) => Glance { yes: 0, maybe: perhaps },
        }
    }

    fn bits(&self, holds: impl Fn(&Packed) -> bool) -> u64 {
        self.span.frames().iter().rev().fold(0, |bits, frame| bits << 1 | u64::from(holds(frame)))
    }

    /// The frames of which `flag` is set.
    fn bits_of_runs(&self, flag: u16) -> u64 {
        if !self.span.may_have(flag) {
            return 0;
        }
        let runs = self.span.runs().filter(|(places, run)| !places.is_empty() && run.flags().has(flag));
        runs.fold(0, |bits, (places, _)| bits | u64::MAX >> (Self::MOST - places.len()) << places.start)
    }

    fn column(&self, field: Field) -> Option<[u64; Block::MOST]> {
        let mut numbers = [0; Block::MOST];
        column(field, self.first, &self.span, &mut numbers).then_some(numbers)
    }

    /// When they came, as precise as `value` is.
    fn times(&self, value: &TimeValue) -> Option<[u64; Block::MOST]> {
        let times = || self.span.runs().map(|(_, run)| run.time());
        // none, where the clocks were put forward or back in between
        let ahead = if value.of_day { self.clocks.ahead(times().min()?, times().max()?)? } else { 0 };
        let mut found = [0; Block::MOST];
        fill(&self.span, &mut found, |run| value.since(run.time(), ahead));
        Some(found)
    }
}

/// Whether only payloads may have to be looked at where a glance at frames that stand for themselves leaves something open.
pub(super) fn leaves_payloads(expr: &Expr) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().all(leaves_payloads),
        Expr::Not(part) => leaves_payloads(part),
        Expr::Holds(field) | Expr::Number(field, ..) => {
            *field == Field::Fragments || column(*field, 0, &Span::default(), &mut [])
        }
        Expr::Time(..) | Expr::Payload(..) => true,
    }
}

fn compare_all(numbers: &[u64; Block::MOST], compare: Compare, value: u64) -> Glance {
    let bits = match compare {
        Compare::Equal => bits(numbers, |number| number == value),
        Compare::Unequal => bits(numbers, |number| number != value),
        Compare::Less => bits(numbers, |number| number < value),
        Compare::LessOrEqual => bits(numbers, |number| number <= value),
        Compare::Greater => bits(numbers, |number| number > value),
        Compare::GreaterOrEqual => bits(numbers, |number| number >= value),
    };
    Glance { yes: bits, maybe: bits }
}

fn bits(numbers: &[u64; Block::MOST], holds: impl Fn(u64) -> bool) -> u64 {
    numbers.iter().rev().fold(0, |bits, number| bits << 1 | u64::from(holds(*number)))
}

/// The fields that every frame has in the index, as a number.
pub(super) fn number(field: Field, n: u64, entry: &FrameEntry) -> Option<u64> {
    if field == Field::PayloadLength {
        // of a long one it is nowhere else
        return Some(entry.length());
    }
    let mut number = [0];
    column(field, n, &Span::of_one(&entry.apart()), &mut number).then_some(number[0])
}

/// The same of several, the first of which is frame `first`; `false` for every other field.
#[inline]
fn column(field: Field, first: u64, span: &Span<'_>, numbers: &mut [u64]) -> bool {
    let frames = numbers.iter_mut().zip(span.frames());
    // each with a loop of its own: what is asked for is known before it
    match field {
        Field::Fin => frames.for_each(|(number, frame)| *number = (frame.first_two()[0] >> 7).into()),
        Field::Rsv => frames.for_each(|(number, frame)| *number = (frame.first_two()[0] >> 4 & 0b111).into()),
        Field::Opcode => frames.for_each(|(number, frame)| *number = (frame.first_two()[0] & 0b1111).into()),
        Field::Mask => frames.for_each(|(number, frame)| *number = (frame.first_two()[1] >> 7).into()),
        Field::PayloadLength => frames.for_each(|(number, frame)| *number = frame.length().into()),
        Field::N => numbers.iter_mut().zip(first..).for_each(|(number, n)| *number = n),
        Field::Conn => fill(span, numbers, |run| run.connection().0.into()),
        Field::From => fill(span, numbers, |run| run.from() as u64),
        Field::Origin => fill(span, numbers, |run| run.origin() as u64),
        Field::Chunks => fill(span, numbers, |run| run.chunks().into()),
        Field::Compressed => fill_flag(span, numbers, Flags::COMPRESSED),
        Field::Finding => fill_flag(span, numbers, Flags::HAS_FINDINGS),
        _ => return false,
    }
    true
}

#[inline]
fn fill_flag(span: &Span<'_>, numbers: &mut [u64], flag: u16) {
    if span.may_have(flag) {
        fill(span, numbers, |run| run.flags().has(flag).into());
    } else {
        numbers.fill(0);
    }
}

/// What is the same of all frames of a run.
#[inline]
fn fill(span: &Span<'_>, numbers: &mut [u64], of: impl Fn(&Run) -> u64) {
    for (places, run) in span.runs() {
        numbers[places].fill(of(run));
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::capture::event::{ConnectionId, Origin, Timestamp};
    use crate::capture::filter::Filter;
    use crate::capture::filter::expr::{Facts, Truth};
    use crate::capture::filter::threads::Placed;
    use crate::capture::frame_entry::{FrameBatch, NewFrame};
    use crate::capture::frame_store::FrameStore;
    use crate::wire::{Header, MaskingKey, Opcode, Side};

    /// On this day the clocks of New York were put back, at 06:00.
    const THAT_DAY: u64 = 1_699_142_400;

    fn entry() -> impl Strategy<Value = FrameEntry> {
        let flags = any::<[bool; 7]>();
        (flags, 0..16_u8, prop_oneof![0..4_u64, 120..130_u64], 1..4_u32, 0..86_400_u64, 1..3_u16).prop_map(
            |(
                [fin, masked, server, compressed, user, broken, archived],
                opcode,
                length,
                connection,
                second,
                chunks,
            )| {
                let key = masked.then_some(MaskingKey([1, 2, 3, 4]));
                let frame = NewFrame {
                    time: Timestamp((THAT_DAY + second) * 1_000_000_000),
                    position: None,
                    offset: 0,
                    connection: ConnectionId(connection),
                    from: if server { Side::Server } else { Side::Client },
                    header: Header::new(Opcode::new(opcode), key, length).with_fin(fin),
                    chunks,
                    complete: true,
                    compressed,
                    origin: if user { Origin::User } else { Origin::Peer },
                };
                FrameEntry::new(&frame, broken, user, archived)
            },
        )
    }

    fn expression() -> impl Strategy<Value = String> {
        const PARTS: [&str; 26] = [
            "fin",
            "rsv == 0",
            "opcode == text",
            "opcode in {ping, pong}",
            "mask != 1",
            "masking_key == 01020304",
            "payload_length > 2",
            "payload_length <= 125",
            "payload contains \"a\"",
            "payload contains \"abc\"",
            "payload == \"ab\"",
            "payload.text != \"abc\"",
            "payload.text matches \"a\"",
            "payload",
            "conn >= 2",
            "n in {3..40}",
            "from == server",
            "time > 01:30:00",
            "time == 02:10",
            "time < 1699167600",
            "origin == user",
            "chunks == 2",
            "compressed",
            "finding",
            "fragments",
            "fragments != 1",
        ];
        let part = prop::sample::select(&PARTS[..]).prop_map(str::to_owned);
        part.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|one| format!("not ({one})")),
                (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}) and ({other})")),
                (inner.clone(), inner).prop_map(|(one, other)| format!("({one}) or ({other})")),
            ]
        })
    }

    /// As the index has them.
    fn stored(entries: &[FrameEntry]) -> FrameStore {
        let (mut store, batch): (_, FrameBatch) = (FrameStore::default(), entries.iter().collect());
        store.extend(&batch, 0..batch.len());
        store
    }

    proptest! {
        #[test]
        fn what_is_said_of_many_is_what_is_said_of_each(
            entries in prop::collection::vec(entry(), 1..80),
            first in 1..50_u64,
            expression in expression(),
        ) {
            let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
            let filter = Filter::parse_in(&expression, zone).unwrap();
            let store = stored(&entries);
            // from any place on
            let from = first as usize % entries.len();
            let (span, tells_all) = store.span(from as u64, Block::MOST).unwrap();
            prop_assert!(tells_all && span.len() == (entries.len() - from).min(Block::MOST));
            let glance = Block::of(first, span, true, &Clocks::of(filter.zone.clone())).glance(&filter.expr);
            for (i, entry) in entries[from..].iter().enumerate().take(Block::MOST) {
                let n = first + i as u64;
                let facts = Facts::of(&filter, n, entry, Placed::alone(n, entry.opcode()), &[], None);
                let truth = filter.expr.eval(&facts, &mut None);
                match (glance.yes >> i & 1, glance.maybe >> i & 1) {
                    (1, 1) => prop_assert_eq!(truth, Truth::Yes),
                    (0, 0) => prop_assert_eq!(truth, Truth::No),
                    (0, 1) => {}
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }

        #[test]
        fn what_the_index_has_as_a_number_is_known_at_a_glance(entries in prop::collection::vec(entry(), 64)) {
            let filter = Filter::parse_in("time > 04:00 and not finding and n > 3 and from == client", TimeZone::UTC);
            let filter = filter.unwrap();
            let store = stored(&entries);
            let (span, _) = store.span(0, Block::MOST).unwrap();
            let Glance { yes, maybe } = Block::of(1, span, true, &Clocks::of(filter.zone.clone())).glance(&filter.expr);
            let archived = |i: &usize| entries[*i].is_archived();
            prop_assert!((0..64).filter(|i| !archived(i)).all(|i| yes >> i & 1 == maybe >> i & 1));
        }
    }
}
