//! What can be asked about a frame: the names, and what values they take.

use crate::lint::{Level, Rule};

/// Something that is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Fin,
    Rsv,
    Opcode,
    Mask,
    MaskingKey,
    PayloadLength,
    Payload,
    PayloadText,
    StatusCode,
    Conn,
    N,
    From,
    Time,
    Origin,
    Edit,
    Fragments,
    Chunks,
    Compressed,
    Finding,
    Rule,
    Level,
    Rtt,
}

/// What a field is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Set or not.
    Flag,
    /// A number; some have a name.
    Number,
    /// One of some words, in no order.
    Word,
    /// One of some words, in their order.
    Rank,
    /// A masking key.
    Key,
    /// Bytes to compare or to search.
    Bytes,
    /// A time of day, or Unix seconds.
    Time,
    /// A length of time.
    Duration,
}

/// Every field with its name, Wireshark's first.
pub(super) const FIELDS: &[(&str, Field, Kind)] = &[
    ("fin", Field::Fin, Kind::Flag),
    ("rsv", Field::Rsv, Kind::Number),
    ("opcode", Field::Opcode, Kind::Number),
    ("mask", Field::Mask, Kind::Flag),
    ("masking_key", Field::MaskingKey, Kind::Key),
    ("payload_length", Field::PayloadLength, Kind::Number),
    ("payload", Field::Payload, Kind::Bytes),
    ("payload.text", Field::PayloadText, Kind::Bytes),
    ("payload.close.status_code", Field::StatusCode, Kind::Number),
    ("conn", Field::Conn, Kind::Number),
    ("n", Field::N, Kind::Number),
    ("from", Field::From, Kind::Word),
    ("time", Field::Time, Kind::Time),
    ("origin", Field::Origin, Kind::Word),
    ("edit", Field::Edit, Kind::Word),
    ("fragments", Field::Fragments, Kind::Number),
    ("chunks", Field::Chunks, Kind::Number),
    ("compressed", Field::Compressed, Kind::Flag),
    ("finding", Field::Finding, Kind::Flag),
    ("rule", Field::Rule, Kind::Word),
    ("level", Field::Level, Kind::Rank),
    ("rtt", Field::Rtt, Kind::Duration),
];

/// What may stand before Wireshark's names.
pub(super) const PREFIX: &str = "websocket.";

impl Field {
    /// The field of that name, with or without the prefix.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        FIELDS.iter().find(|(this, ..)| *this == name).map(|&(_, field, _)| field)
    }

    /// The field whose name is most like this one, if any is.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        let name = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
        let nearest = FIELDS.iter().map(|&(this, ..)| (distance(&name, this), this)).min()?;
        // a third of the letters wrong is another word
        (nearest.0 <= (name.chars().count() / 3).max(1)).then_some(nearest.1)
    }

    fn entry(self) -> (&'static str, Kind) {
        // every field stands in the table: the test below looks
        FIELDS.iter().find(|(_, field, _)| *field == self).map_or(("", Kind::Flag), |&(name, _, kind)| (name, kind))
    }

    /// Its name, without the prefix.
    pub(super) fn name(self) -> &'static str {
        self.entry().0
    }

    /// What it is compared with.
    pub(super) fn kind(self) -> Kind {
        self.entry().1
    }

    /// The values that have a name.
    pub(super) fn words(self) -> Vec<(&'static str, u64)> {
        match self {
            Self::Opcode => {
                vec![("continuation", 0), ("text", 1), ("binary", 2), ("close", 8), ("ping", 9), ("pong", 10)]
            }
            Self::From => vec![("client", 0), ("server", 1)],
            Self::Origin => vec![("peer", 0), ("endpoint", 1), ("user", 2)],
            Self::Edit => vec![("injected", 0), ("changed", 1), ("dropped", 2)],
            Self::Rule => Rule::ALL.iter().map(|rule| (rule.id(), *rule as u64)).collect(),
            Self::Level => {
                [Level::Advice, Level::Should, Level::Must].map(|level| (level.name(), level as u64)).to_vec()
            }
            _ if self.kind() == Kind::Flag => vec![("true", 1), ("false", 0)],
            _ => Vec::new(),
        }
    }

    /// What a value looks like.
    pub(super) fn example(self) -> &'static str {
        match (self, self.kind()) {
            (Self::Opcode, _) => "1 or text",
            (Self::From, _) => "client or server",
            (Self::Origin, _) => "peer, endpoint or user",
            (Self::Edit, _) => "injected, changed or dropped",
            (Self::Rule, _) => "unmasked-client-frame; wsinspect rules lists them",
            (Self::Level, _) => "must, should or advice",
            (_, Kind::Flag) => "1 or 0",
            (_, Kind::Key) => "37fa213d",
            (_, Kind::Bytes) => "\"price\" or 01:02:ff",
            (_, Kind::Time) => "12:00:01.203 or 1700000000.5",
            (_, Kind::Duration) => "50ms or 1.5s",
            _ => "1 or 0x7f",
        }
    }
}

/// How many letters have to be changed, added or taken away to make one word of the other.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_field_with_and_without_the_prefix() {
        for &(name, field, _) in FIELDS {
            assert_eq!(Field::named(name), Some(field));
            assert_eq!(Field::named(&format!("websocket.{name}")), Some(field));
            assert_eq!(field.name(), name);
        }
    }

    #[test]
    fn the_words_of_opcodes_are_their_names() {
        for (name, value) in Field::Opcode.words() {
            assert_eq!(crate::wire::Opcode::new(value as u8).name(), name);
        }
    }

    #[test]
    fn a_slip_is_put_right_and_another_word_is_not() {
        assert_eq!(Field::nearest("opcde"), Some("opcode"));
        assert_eq!(Field::nearest("websocket.payload.tetx"), Some("payload.text"));
        assert_eq!(Field::nearest("Fin"), Some("fin"));
        assert_eq!(Field::nearest("banana"), None);
    }
}
