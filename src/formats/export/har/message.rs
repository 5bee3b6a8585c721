//! What a HAR says of messages: text as text, everything else in base64, written piece by piece.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::open_object;
use crate::capture::{Capture, ConnectionId, FrameEntry, MessageReader};
use crate::formats::export::pieces::pieces;
use crate::formats::export::{Stop, Walk};
use crate::formats::jsonl::{FindingJson, finding_of};
use crate::formats::messages::{Assembled, Assembler};
use crate::wire::{Opcode, Side, Utf8Checker};

/// What comes before the data.
#[derive(Serialize)]
struct Start {
    r#type: &'static str,
    /// When the last frame came.
    time: f64,
    opcode: u8,
}

/// What wsinspect knows beside what others write.
#[derive(Serialize)]
struct Extras {
    /// `text`, or `base64`, which stands for all that is no text message in valid UTF-8.
    data: &'static str,
    /// It was compressed on the wire; the data is what it was inflated to, unless there is a `why`.
    /// Null where that is not known.
    compressed: Option<bool>,
    /// Why the data is as compressed as it was on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    complete: bool,
    /// Bytes of the data.
    length: u64,
    /// Payload bytes of the frames, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    wire_length: Option<u64>,
    /// Bytes that could not be recorded, or have not come.
    missing: u64,
    frames: Vec<FrameJson>,
}

#[derive(Serialize)]
struct FrameJson {
    n: u64,
    time: f64,
    offset: Option<u64>,
    fin: Option<bool>,
    rsv: Option<u8>,
    opcode: u8,
    masked: Option<bool>,
    masking_key: Option<String>,
    length: u64,
    length_form: Option<u8>,
    chunks: Option<u16>,
    origin: &'static str,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
    findings: Vec<FindingJson>,
}

/// Bytes of an inflated message that are written at once.
const PIECE: usize = 1 << 20;

/// Writes the messages of one connection.
pub(super) struct Messages<'a> {
    out: &'a mut dyn Write,
    assembler: Assembler,
    reader: MessageReader,
    first: bool,
}

impl<'a> Messages<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, assembler: Assembler::default(), reader: MessageReader::default(), first: true }
    }

    /// Takes the connection's next frame.
    pub(super) fn frame(&mut self, walk: &Walk<'_>, n: u64) -> Result<(), Stop> {
        let entry = walk.capture.index().frame(n);
        // whoever has its number has seen it
        let Some(entry) = entry else { return Ok(()) };
        match self.assembler.frame(n, &entry, true) {
            (None, _) => self.message(walk, &Assembled::alone(n, &entry)),
            (Some(_), Some(message)) => self.message(walk, &message),
            (Some(_), None) => Ok(()),
        }
    }

    /// Writes what has begun and not ended.
    pub(super) fn end(&mut self, walk: &Walk<'_>, connection: ConnectionId) -> Result<(), Stop> {
        let unfinished: Vec<_> = self.assembler.unfinished(connection).collect();
        unfinished.iter().try_for_each(|message| self.message(walk, message))
    }

    fn message(&mut self, walk: &Walk<'_>, message: &Assembled) -> Result<(), Stop> {
        let Some((_, last)) = message.parts.last() else { return Ok(()) };
        if !message.parts.iter().any(|(n, _)| walk.selection.has(*n)) {
            return Ok(());
        }
        let capture = walk.capture;
        // a message that was compressed is held whole: it is no longer than one may be
        let read = if message.compressed { self.reader.beginning(capture, message.first, usize::MAX) } else { None };
        let why = read.as_ref().and_then(|(inflated, _)| inflated.outcome.err()).map(|why| why.to_string());
        let inflated = read.filter(|_| why.is_none()).map(|(_, bytes)| bytes);
        let is_text = message.opcode == Opcode::TEXT
            && match &inflated {
                Some(bytes) => std::str::from_utf8(bytes).is_ok(),
                None => !message.compressed && is_utf8(capture, message)?,
            };
        self.out.write_all(if std::mem::take(&mut self.first) { b"\n  " } else { b",\n  " })?;
        let start = Start {
            r#type: if message.from == Side::Client { "send" } else { "receive" },
            time: last.time().seconds(),
            opcode: message.opcode.value(),
        };
        open_object(self.out, &start)?;
        self.out.write_all(br#","data":""#)?;
        let length = inflated.as_ref().map_or(message.length, |bytes| bytes.len() as u64);
        let wire_length = inflated.is_some().then_some(message.length);
        let written = match &inflated {
            Some(bytes) => self.data(walk, message, is_text, bytes.chunks(PIECE).map(|piece| Ok(piece.to_vec())))?,
            None => self.data(walk, message, is_text, pieces(capture, message))?,
        };
        self.out.write_all(br#"","_wsinspect":"#)?;
        let extras = Extras {
            data: if is_text { "text" } else { "base64" },
            compressed: (!message.is_archived()).then_some(message.compressed),
            complete: last.is_complete() && last.header().fin,
            why,
            length,
            wire_length,
            missing: length.saturating_sub(written),
            frames: message.parts.iter().map(|(n, entry)| frame_json(capture, *n, entry)).collect(),
        };
        serde_json::to_writer(&mut *self.out, &extras).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"}")?)
    }

    /// Returned is how many bytes were written.
    fn data(
        &mut self,
        walk: &Walk<'_>,
        message: &Assembled,
        is_text: bool,
        pieces: impl Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<u64, Stop> {
        if is_text { self.text(walk, message, pieces) } else { self.base64(walk, message, pieces) }
    }

    /// The text, which is known to be UTF-8.
    fn text(
        &mut self,
        walk: &Walk<'_>,
        message: &Assembled,
        pieces: impl Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<u64, Stop> {
        let mut written = 0;
        let mut rest = Vec::new();
        for piece in pieces {
            walk.progress.is_at(message.first)?;
            rest.extend(piece?);
            // a piece may end within a character
            let whole = match std::str::from_utf8(&rest) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
            };
            let length = whole.len();
            let quoted = serde_json::to_string(whole).map_err(io::Error::from)?;
            // without the quotes
            self.out.write_all(&quoted.as_bytes()[1..quoted.len() - 1])?;
            written += length as u64;
            rest.drain(..length);
        }
        Ok(written)
    }

    fn base64(
        &mut self,
        walk: &Walk<'_>,
        message: &Assembled,
        pieces: impl Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<u64, Stop> {
        let mut written = 0;
        let mut rest = Vec::new();
        for piece in pieces {
            walk.progress.is_at(message.first)?;
            rest.extend(piece?);
            // three bytes are four characters
            let whole = rest.len() / 3 * 3;
            self.out.write_all(STANDARD.encode(&rest[..whole]).as_bytes())?;
            written += whole as u64;
            rest.drain(..whole);
        }
        self.out.write_all(STANDARD.encode(&rest).as_bytes())?;
        Ok(written + rest.len() as u64)
    }
}

fn is_utf8(capture: &Capture, message: &Assembled) -> io::Result<bool> {
    let mut checker = Utf8Checker::default();
    for piece in pieces(capture, message) {
        if checker.push(&piece?).is_err() {
            return Ok(false);
        }
    }
    Ok(checker.finish().is_ok())
}

fn frame_json(capture: &Capture, n: u64, entry: &FrameEntry) -> FrameJson {
    let header = entry.header();
    let index = capture.index();
    // what another archive did not say is null
    let seen = !entry.is_archived();
    FrameJson {
        n,
        time: entry.time().seconds(),
        offset: seen.then_some(entry.offset()),
        fin: seen.then_some(header.fin),
        rsv: seen.then_some(header.rsv.value()),
        opcode: header.opcode.value(),
        masked: seen.then_some(header.masking_key.is_some()),
        masking_key: header.masking_key.map(|key| key.to_string()),
        length: header.length,
        length_form: seen.then_some(header.length_form.bits()),
        chunks: seen.then_some(entry.chunks()),
        origin: entry.origin().name(),
        complete: entry.is_complete(),
        mark: index.mark(n).map(str::to_owned),
        findings: index.findings(n).iter().map(|(_, finding)| finding_of(entry, finding)).collect(),
    }
}
