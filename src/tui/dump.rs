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
