//! An expression as a tree, and what it says of a frame.

use jiff::tz::TimeZone;
use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::Filter;
use super::clocks::offset_of_day;
use super::columns;
use super::field::Field;
use super::threads::Placed;
use super::value::TimeValue;
use crate::capture::bulk::BulkReader;
use crate::capture::{FrameEntry, MessageReader};
use crate::lint::Finding;
use crate::wire::{CloseBody, Header, Opcode};

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    /// There is something in the field.
    Holds(Field),
    Number(Field, Compare, u64),
    Time(Compare, TimeValue),
    Payload(Field, Search),
}

/// What is not known of a frame that stands for a message of an archive.
const UNKNOWN: &[Field] =
    &[Field::Fin, Field::Rsv, Field::Mask, Field::MaskingKey, Field::Fragments, Field::Chunks, Field::Compressed];

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How bytes are looked at.
#[derive(Clone, Debug)]
pub(super) enum Search {
    Contains(Box<Finder<'static>>),
    Matches(Box<Regex>),
    Equals(Vec<u8>),
    Differs(Vec<u8>),
}

/// What an expression says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    No,
    Yes,
    /// The payload decides.
    Unread,
    /// It depends on frames that are still to come.
    Unsure,
}

/// How many frames a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragments {
    /// The frame belongs to no message.
    None,
    Exactly(u64),
    /// So many have come by now.
    AtLeast(u64),
}

/// What is known of a frame without its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) n: u64,
    pub(super) entry: &'a FrameEntry,
    pub(super) header: Header,
    pub(super) findings: &'a [(u64, Finding)],
    /// The opcode of the message that it belongs to.
    pub(super) message: Option<Opcode>,
    pub(super) fragments: Fragments,
    /// Nanoseconds from a ping to the pong that this is.
    pub(super) rtt: Option<u64>,
    pub(super) zone: &'a TimeZone,
}

/// A payload, read when it is asked for.
pub(super) struct Payload<'a, 'c> {
    reader: &'a mut BulkReader<'c>,
    messages: &'a mut MessageReader,
    is_read: bool,
    inflated: Option<Vec<u8>>,
}

impl<'a> Facts<'a> {
    #[inline]
    pub(super) fn of(
        filter: &'a Filter,
        n: u64,
        entry: &'a FrameEntry,
        placed: Placed,
        findings: &'a [(u64, Finding)],
        rtt: Option<u64>,
    ) -> Self {
        let Placed { message, fragments, .. } = placed;
        Self { n, entry, header: entry.header(), findings, message, fragments, rtt, zone: &filter.zone }
    }
}

impl<'a, 'c> Payload<'a, 'c> {
    /// Bytes of a frame that are searched: no larger one is let in by default.
    const MOST: u64 = 64 << 20;

    /// Compressed messages are read by `messages`.
    pub(super) fn of(reader: &'a mut BulkReader<'c>, messages: &'a mut MessageReader) -> Self {
        Self { reader, messages, is_read: false, inflated: None }
    }

    /// The compressed message that the frame begins, inflated as far as it can be.
    fn inflated(&mut self, facts: &Facts<'_>) -> &[u8] {
        let capture = self.reader.capture();
        self.inflated.get_or_insert_with(|| {
            let read = self.messages.beginning(capture, facts.n, Self::MOST as usize);
            read.map_or_else(Vec::new, |(_, bytes)| bytes)
        })
    }

    fn bytes(&mut self, facts: &Facts<'_>) -> &[u8] {
        if !std::mem::replace(&mut self.is_read, true) {
            self.reader.read(facts.entry, Self::MOST);
        }
        self.reader.payload()
    }
}

impl Expr {
    /// What it says of a frame. Without `payload` only what the header tells is looked at.
    pub(super) fn eval(&self, facts: &Facts<'_>, payload: &mut Option<Payload<'_, '_>>) -> Truth {
        match self {
            // nor is the opposite known to hold
            Self::Not(_) | Self::Number(..) | Self::Holds(_) if facts.entry.is_archived() && self.asks(UNKNOWN) => {
                Truth::No
            }
            Self::All(parts) => join(parts, Truth::No, facts, payload),
            Self::Any(parts) => join(parts, Truth::Yes, facts, payload),
            Self::Not(part) => match part.eval(facts, payload) {
                Truth::No => Truth::Yes,
                Truth::Yes => Truth::No,
                open => open,
            },
            Self::Holds(field) => holds(*field, facts),
            Self::Number(Field::Fragments, compare, value) => match facts.fragments {
                Fragments::None => Truth::No,
                Fragments::Exactly(count) => compare.of(count, *value).into(),
                Fragments::AtLeast(count) => compare.of_at_least(count, *value),
            },
            Self::Number(Field::Rule | Field::Level, compare, value) => {
                rules(matches!(self, Self::Number(Field::Level, ..)), *compare, *value, facts).into()
            }
            Self::Number(Field::StatusCode, compare, value) => status_code(*compare, *value, facts, payload),
            Self::Number(field, compare, value) => {
                number(*field, facts).is_some_and(|number| compare.of(number, *value)).into()
            }
            Self::Time(compare, value) => {
                let time = facts.entry.time();
                let ahead = if value.of_day { offset_of_day(time, facts.zone) } else { 0 };
                compare.of(value.since(time, ahead), value.nanoseconds).into()
            }
            Self::Payload(field, search) => {
                if *field == Field::PayloadText && facts.message != Some(Opcode::TEXT) {
                    return Truth::No;
                }
                search.eval(*field, facts, payload)
            }
        }
    }

    /// Whether some part of it is about one of `fields`.
    pub(super) fn asks(&self, fields: &[Field]) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.asks(fields)),
            Self::Not(part) => part.asks(fields),
            Self::Holds(field) | Self::Number(field, ..) | Self::Payload(field, _) => fields.contains(field),
            Self::Time(..) => fields.contains(&Field::Time),
        }
    }
}

/// Looks at `parts` until one says `decisive`; what is cheap first, what needs the payload after that.
fn join(parts: &[Expr], decisive: Truth, facts: &Facts<'_>, payload: &mut Option<Payload<'_, '_>>) -> Truth {
    let mut open = None;
    let mut unread = None;
    for part in parts {
        match part.eval(facts, &mut unread) {
            truth if truth == decisive => return decisive,
            Truth::Unread => open = Some(Truth::Unread),
            Truth::Unsure => open = open.or(Some(Truth::Unsure)),
            Truth::No | Truth::Yes => {}
        }
    }
    let other = if decisive == Truth::No { Truth::Yes } else { Truth::No };
    if open != Some(Truth::Unread) || payload.is_none() {
        return open.unwrap_or(other);
    }
    let mut outcome = other;
    for part in parts {
        match part.eval(facts, payload) {
            truth if truth == decisive => return decisive,
            Truth::No | Truth::Yes => {}
            open => outcome = open,
        }
    }
    outcome
}

fn holds(field: Field, facts: &Facts<'_>) -> Truth {
    match field {
        Field::Payload => facts.header.length > 0,
        Field::PayloadText => facts.message == Some(Opcode::TEXT),
        Field::StatusCode => facts.header.opcode == Opcode::CLOSE && facts.header.length >= 2,
        Field::Fragments => facts.fragments != Fragments::None,
        Field::Rule | Field::Level => facts.entry.has_findings(),
        Field::Time => true,
        field => number(field, facts).is_some(),
    }
    .into()
}

/// The fields that are, or stand for, one number that the index has.
fn number(field: Field, facts: &Facts<'_>) -> Option<u64> {
    match field {
        Field::MaskingKey => facts.header.masking_key.map(|key| u32::from_be_bytes(key.0).into()),
        Field::Rtt => facts.rtt,
        // 0 stands for injected, as `Field::words` has it; no frame is changed or dropped so far
        Field::Edit => facts.entry.is_injected().then_some(0),
        field => columns::number(field, facts.n, facts.entry),
    }
}

/// A frame may break several rules: one of them is enough, and none may be the one that is excluded.
fn rules(levels: bool, compare: Compare, value: u64, facts: &Facts<'_>) -> bool {
    let mut numbers = facts
        .findings
        .iter()
        .map(|(_, finding)| if levels { finding.rule.level() as u64 } else { finding.rule as u64 });
    match compare {
        Compare::Unequal => !facts.findings.is_empty() && numbers.all(|number| number != value),
        compare => numbers.any(|number| compare.of(number, value)),
    }
}

fn status_code(compare: Compare, value: u64, facts: &Facts<'_>, payload: &mut Option<Payload<'_, '_>>) -> Truth {
    if facts.header.opcode != Opcode::CLOSE || facts.header.length < 2 {
        return Truth::No;
    }
    let Some(payload) = payload else { return Truth::Unread };
    CloseBody::parse(payload.bytes(facts)).code().is_some_and(|code| compare.of(code.0.into(), value)).into()
}

impl Compare {
    pub(super) const fn of(self, number: u64, value: u64) -> bool {
        match self {
            Self::Equal => number == value,
            Self::Unequal => number != value,
            Self::Less => number < value,
            Self::LessOrEqual => number <= value,
            Self::Greater => number > value,
            Self::GreaterOrEqual => number >= value,
        }
    }

    /// The same of a number that may still grow.
    const fn of_at_least(self, number: u64, value: u64) -> Truth {
        match self {
            Self::Greater | Self::Unequal if number > value => Truth::Yes,
            Self::GreaterOrEqual if number >= value => Truth::Yes,
            Self::Less if number >= value => Truth::No,
            Self::LessOrEqual | Self::Equal if number > value => Truth::No,
            _ => Truth::Unsure,
        }
    }
}

impl Search {
    /// The first frame of a compressed message stands for it, inflated; each of its frames has the bytes that were on the
    /// wire, too, which are no text.
    fn eval(&self, field: Field, facts: &Facts<'_>, payload: &mut Option<Payload<'_, '_>>) -> Truth {
        if !facts.entry.is_compressed() {
            return self.eval_wire(facts, payload);
        }
        let differs = matches!(self, Self::Differs(_));
        let begins = facts.header.opcode != Opcode::CONTINUATION;
        let wire = match field {
            Field::PayloadText if !begins => return Truth::No,
            Field::PayloadText => differs.into(),
            _ => self.eval_wire(facts, payload),
        };
        // equal to neither, or found in one of them
        let decisive = if differs { Truth::No } else { Truth::Yes };
        if !begins || wire == decisive || wire == Truth::Unread {
            return wire;
        }
        let Some(payload) = payload else { return Truth::Unread };
        if matches!(facts.fragments, Fragments::AtLeast(_)) {
            return Truth::Unsure;
        }
        self.is_true_of(payload.inflated(facts)).into()
    }

    fn eval_wire(&self, facts: &Facts<'_>, payload: &mut Option<Payload<'_, '_>>) -> Truth {
        let length = facts.header.length;
        match self {
            Self::Contains(finder) if length < finder.needle().len() as u64 => return Truth::No,
            Self::Equals(bytes) if length != bytes.len() as u64 => return Truth::No,
            Self::Differs(bytes) if length != bytes.len() as u64 => return Truth::Yes,
            _ => {}
        }
        let Some(payload) = payload else { return Truth::Unread };
        self.is_true_of(payload.bytes(facts)).into()
    }

    fn is_true_of(&self, found: &[u8]) -> bool {
        match self {
            Self::Contains(finder) => finder.find(found).is_some(),
            Self::Matches(regex) => regex.is_match(found),
            Self::Equals(bytes) => found == bytes,
            Self::Differs(bytes) => found != bytes,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}
