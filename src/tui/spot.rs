//! Where in the selected frame the user is: at a field, and at a byte. Each goes where the other one goes.

use std::borrow::Cow;
use std::ops::Range;

use super::dump::{Dump, Part};
use super::layout::Pane;
use super::model::Model;

/// A field and a byte of the selected frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Spot {
    /// The place of the field among all.
    pub(super) field: usize,
    /// Its name, by which it is found again in another frame.
    name: Cow<'static, str>,
    /// The place of the byte in the dump.
    pub(super) byte: u64,
    /// The windows have to move to where the field and the byte are.
    pub(super) reveal_field: bool,
    pub(super) reveal_byte: bool,
}

/// As what the bytes of a frame are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BytesAs {
    /// Rows of hex and text.
    #[default]
    Dump,
    /// The payload's bytes one by one, each with the key byte that it was masked with.
    Unmasking,
    /// The payload as text, JSON laid out.
    Text,
}

/// The frame whose fields and bytes are in view, as the cursors need to know it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) n: u64,
    pub(super) dump: Dump,
    pub(super) fields: Vec<(Cow<'static, str>, Range<u64>)>,
}

impl BytesAs {
    /// The next one in turn.
    const fn next(self) -> Self {
        match self {
            Self::Dump => Self::Unmasking,
            Self::Unmasking => Self::Text,
            Self::Text => Self::Dump,
        }
    }
}

impl Model {
    /// The field after the one under the cursor, or before it; where the bytes hear the keys, the byte.
    pub(super) fn turn(&mut self, forward: bool) {
        let by = if forward { 1 } else { -1 };
        match self.pane {
            Pane::List => self.pane = Pane::Frame,
            Pane::Bytes if self.bytes_as != BytesAs::Text => {
                self.spot.byte = self.spot.byte.saturating_add_signed(by);
                self.byte_moved();
            }
            Pane::Frame | Pane::Bytes => {
                self.spot.field = self.spot.field.saturating_add_signed(by as isize);
                self.field_moved();
            }
        }
    }

    /// Moves the byte under the cursor by so many rows.
    pub(super) fn step_byte(&mut self, rows: i64) {
        let Some(shown) = &self.shown else { return };
        self.spot.byte = match rows {
            i64::MIN => 0,
            i64::MAX => u64::MAX,
            rows => shown.dump.down(self.spot.byte, rows),
        };
        self.byte_moved();
    }

    /// The bytes are shown in the next one of several ways.
    pub(super) fn turn_bytes(&mut self) {
        self.bytes_as = self.bytes_as.next();
        self.bytes_scroll = 0;
    }

    /// Other fields or other bytes are in view: the cursors go where what they were on is.
    pub(super) fn shows(&mut self, shown: Shown) {
        let is_same = self.shown.as_ref().is_some_and(|before| before.n == shown.n && before.dump.is_like(&shown.dump));
        self.shown = Some(shown);
        if !is_same {
            let name = self.spot.name.clone();
            let fields = self.shown.as_ref().map(|shown| &shown.fields[..]).unwrap_or_default();
            self.spot.field = fields.iter().position(|(other, _)| *other == name).unwrap_or(0);
            self.field_moved();
            self.spot.name = name;
        }
    }

    /// Puts the byte on the field's first one.
    fn field_moved(&mut self) {
        let Some(shown) = &self.shown else { return };
        self.spot.field = self.spot.field.min(shown.fields.len().saturating_sub(1));
        if let Some((name, bytes)) = shown.fields.get(self.spot.field) {
            self.spot.name = name.clone();
            self.spot.byte = shown.dump.byte_at(bytes.start).unwrap_or(0);
        }
        (self.spot.reveal_field, self.spot.reveal_byte) = (true, true);
    }

    /// Puts the field where the byte is, unless it is there.
    fn byte_moved(&mut self) {
        let Some(shown) = &self.shown else { return };
        self.spot.byte = self.spot.byte.min(shown.dump.bytes().saturating_sub(1));
        if let Some(place) = shown.dump.at(self.spot.byte).filter(|place| place.part != Part::Inflated) {
            let covers = |(_, bytes): &(_, Range<u64>)| bytes.contains(&place.offset);
            if !shown.fields.get(self.spot.field).is_some_and(covers)
                && let Some(field) = shown.fields.iter().position(covers)
            {
                self.spot.field = field;
                self.spot.name = shown.fields[field].0.clone();
            }
        }
        (self.spot.reveal_field, self.spot.reveal_byte) = (true, true);
    }
}
