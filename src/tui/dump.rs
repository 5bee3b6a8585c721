//! The bytes of a frame as rows: the header, then the payload unmasked, then, if it was masked, as it crossed the wire;
//! where the message is compressed, what that was inflated to is before the latter.
//! Only the rows in view are read, however long the frame is.

use std::sync::Arc;

use super::detail::MessageDetail;
use crate::capture::{Capture, FrameEntry};

/// A row of the dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DumpRow {
    /// What the rows below it are.
    Heading(&'static str),
    /// Bytes and where in the frame they stand. Where they could not be read there are fewer.
    Bytes { part: Part, offset: u64, bytes: Vec<u8> },
}

/// A part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The header, key included.
    Header,
    /// The payload without its mask.
    Plain,
    /// The message inflated, of which the payload is a compressed piece.
    Inflated,
    /// The payload as it crossed the wire, masked.
    Masked,
}

/// Where a byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DumpPlace {
    pub(super) part: Part,
    /// Its offset, in the frame or in the message that was inflated.
    pub(super) offset: u64,
    pub(super) row: u64,
    pub(super) column: u64,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    heading: &'static str,
    part: Part,
    start: u64,
    length: u64,
}

/// How a frame is laid out as rows of `width` bytes.
#[derive(Clone, Debug)]
pub(super) struct Dump {
    sections: Vec<Section>,
    inflated: Arc<[u8]>,
    width: u64,
}

impl Section {
    const fn rows(&self, width: u64) -> u64 {
        1 + self.length.div_ceil(width)
    }
}

impl Dump {
    /// The layout of `entry`, `width` bytes a row; `message` is what it belongs to, if that is compressed.
    pub(super) fn new(entry: &FrameEntry, message: Option<&MessageDetail>, width: usize) -> Self {
        let header = entry.header();
        let start = header.len() as u64;
        let length = header.length;
        if entry.is_archived() {
            let payload = Section { heading: "payload; its frames are unknown", part: Part::Plain, start: 0, length };
            return Self { sections: vec![payload], inflated: [].into(), width: width.max(1) as u64 };
        }
        let mut sections = vec![Section { heading: "header", part: Part::Header, start: 0, length: start }];
        if length > 0 {
            let heading = match (header.masking_key.is_some(), entry.is_compressed()) {
                (false, false) => "payload",
                (true, false) => "payload, unmasked",
                (false, true) => "payload, compressed",
                (true, true) => "payload, unmasked, compressed",
            };
            sections.push(Section { heading, part: Part::Plain, start, length });
        }
        let inflated = message.map_or_else(|| [].into(), |message| message.bytes.clone());
        if !inflated.is_empty() {
            let whole = message.is_some_and(|message| message.inflated.length == inflated.len() as u64);
            let heading = if whole { "the message, inflated" } else { "the message, inflated, its first 256 KiB" };
            sections.push(Section { heading, part: Part::Inflated, start: 0, length: inflated.len() as u64 });
        }
        if length > 0 && header.masking_key.is_some() {
            let heading = "payload as it crossed the wire, masked";
            sections.push(Section { heading, part: Part::Masked, start, length });
        }
        Self { sections, inflated, width: width.max(1) as u64 }
    }

    /// The payload alone, a byte a row, to be unmasked byte by byte.
    pub(super) fn of_payload(entry: &FrameEntry) -> Self {
        let header = entry.header();
        let start = if entry.is_archived() { 0 } else { header.len() as u64 };
        let payload = Section { heading: "payload, byte by byte", part: Part::Plain, start, length: header.length };
        Self { sections: vec![payload], inflated: [].into(), width: 1 }
    }

    /// Whether both have the same bytes in the same places.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let places = |dump: &Self| dump.sections.iter().map(|one| (one.part, one.length)).collect::<Vec<_>>();
        self.width == other.width && places(self) == places(other)
    }

    /// How many bytes have a place in it; those of a masked payload have two.
    pub(super) fn bytes(&self) -> u64 {
        self.sections.iter().fold(0, |bytes, section| bytes.saturating_add(section.length))
    }

    /// Where the `byte`th of them stands.
    pub(super) fn at(&self, byte: u64) -> Option<DumpPlace> {
        let (mut before, mut row): (u64, u64) = (0, 0);
        for section in &self.sections {
            let within = byte.checked_sub(before)?;
            if within < section.length {
                let offset = section.start.saturating_add(within);
                let (down, column) = (within / self.width, within % self.width);
                return Some(DumpPlace { part: section.part, offset, row: row.saturating_add(1 + down), column });
            }
            before = before.saturating_add(section.length);
            row = row.saturating_add(section.rows(self.width));
        }
        None
    }

    /// The first one that is the byte at `offset` of the frame.
    pub(super) fn byte_at(&self, offset: u64) -> Option<u64> {
        let mut before: u64 = 0;
        for section in &self.sections {
            let within = offset.checked_sub(section.start).filter(|within| *within < section.length);
            if let Some(within) = within.filter(|_| section.part != Part::Inflated) {
                return Some(before.saturating_add(within));
            }
            before = before.saturating_add(section.length);
        }
        None
    }

    /// The one so many rows below the `byte`th, or above it; headings are passed over.
    pub(super) fn down(&self, byte: u64, rows: i64) -> u64 {
        let Some(place) = self.at(byte) else { return 0 };
        let row = place.row.saturating_add_signed(rows).clamp(1, self.len().saturating_sub(1).max(1));
        let there = self.in_row(row, place.column);
        there.or_else(|| self.in_row(row.saturating_add_signed(rows.signum()), place.column)).unwrap_or(byte)
    }

    /// The one in this row and column, or the last one before it in the row; `None` where the row is a heading.
    fn in_row(&self, row: u64, column: u64) -> Option<u64> {
        let (mut before, mut top): (u64, u64) = (0, 0);
        for section in &self.sections {
            let rows = section.rows(self.width);
            if row - top < rows {
                let within = (row - top).checked_sub(1)?.saturating_mul(self.width).saturating_add(column);
                return Some(before.saturating_add(within.min(section.length.checked_sub(1)?)));
            }
            before = before.saturating_add(section.length);
            top = top.saturating_add(rows);
        }
        None
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> u64 {
        self.sections.iter().fold(0, |rows, section| rows.saturating_add(section.rows(self.width)))
    }

    /// At most `height` rows from the `first`th on.
    pub(super) fn rows(&self, capture: &Capture, entry: &FrameEntry, first: u64, height: usize) -> Vec<DumpRow> {
        let mut out = Vec::with_capacity(height);
        let mut skip = first;
        for section in &self.sections {
            let rows = section.rows(self.width);
            if skip >= rows {
                skip -= rows;
                continue;
            }
            if skip == 0 && out.len() < height {
                out.push(DumpRow::Heading(section.heading));
            }
            let from = skip.saturating_sub(1) * self.width;
            skip = 0;
            self.push_bytes(capture, entry, section, from, height, &mut out);
        }
        out
    }

    fn push_bytes(
        &self,
        capture: &Capture,
        entry: &FrameEntry,
        section: &Section,
        from: u64,
        height: usize,
        out: &mut Vec<DumpRow>,
    ) {
        let room = (height - out.len()) as u64;
        let to = section.length.min(from.saturating_add(room * self.width));
        if from >= to {
            return;
        }
        let bytes = match section.part {
            Part::Plain => capture.payload(entry, from..to),
            Part::Inflated => Ok(self.inflated[from as usize..to as usize].to_vec()),
            Part::Header | Part::Masked => capture.frame_bytes(entry, section.start + from..section.start + to),
        };
        // what can't be read is shown as missing
        let bytes = bytes.unwrap_or_default();
        for at in (from..to).step_by(self.width as usize) {
            let start = bytes.len().min((at - from) as usize);
            let end = bytes.len().min(start + self.width as usize);
            out.push(DumpRow::Bytes {
                part: section.part,
                offset: section.start + at,
                bytes: bytes[start..end].to_vec(),
            });
        }
    }
}
