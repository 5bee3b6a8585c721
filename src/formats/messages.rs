//! Messages put together from the frames of a capture.

use std::collections::HashMap;
use std::io;

use crate::capture::{Capture, ConnectionId, FrameEntry};
use crate::wire::{MessageSequence, Opcode, Place, Side};

/// Follows the messages of every direction, frame by frame. Of a message that is coming in, only the places of its
/// frames are kept, and of those no more than [`Assembler::MAX_PARTS`].
#[derive(Debug, Default)]
pub(super) struct Assembler {
    directions: HashMap<(ConnectionId, Side), Direction>,
}

#[derive(Debug, Default)]
struct Direction {
    sequence: MessageSequence,
    message: Option<Assembled>,
}

/// A message whose last frame has come.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) connection: ConnectionId,
    pub(super) from: Side,
    pub(super) opcode: Opcode,
    pub(super) compressed: bool,
    /// The numbers of its first and last frame.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) fragments: u64,
    /// Payload bytes of all its frames.
    pub(super) length: u64,
    /// Its frames with their numbers, no more than [`Assembler::MAX_PARTS`].
    pub(super) parts: Vec<(u64, FrameEntry)>,
    /// Whether any of its frames is shown.
    pub(super) shown: bool,
}

impl Assembler {
    /// The most frames of one message whose payload is shown: 14 MiB of memory.
    const MAX_PARTS: usize = 1 << 18;

    /// Takes the next frame, which is `shown` or left out; returns the opcode of the message that it belongs to, and the
    /// message if it completes it.
    pub(super) fn frame(&mut self, n: u64, entry: &FrameEntry, shown: bool) -> (Option<Opcode>, Option<Assembled>) {
        let (connection, from, header) = (entry.connection(), entry.from(), entry.header());
        let direction = self.directions.entry((connection, from)).or_default();
        match direction.sequence.place(&header) {
            Place::Control | Place::Orphan => return (None, None),
            Place::First | Place::Interrupting => {
                direction.message = Some(Assembled {
                    connection,
                    from,
                    opcode: header.opcode,
                    compressed: entry.is_compressed(),
                    first: n,
                    last: n,
                    fragments: 0,
                    length: 0,
                    shown: false,
                    parts: Vec::new(),
                });
            }
            Place::Continuation => {}
        }
        let opcode = direction.message.as_ref().map(|message| message.opcode);
        if let Some(message) = &mut direction.message {
            message.last = n;
            message.shown |= shown;
            message.fragments += 1;
            message.length = message.length.saturating_add(header.length);
            if message.parts.len() < Self::MAX_PARTS {
                message.parts.push((n, *entry));
            }
        }
        let done = header.fin && entry.is_complete();
        (opcode, if done { direction.message.take() } else { None })
    }

    /// The messages of a connection whose last frame never came.
    pub(super) fn unfinished(&mut self, connection: ConnectionId) -> impl Iterator<Item = Assembled> {
        Side::BOTH.into_iter().filter_map(move |side| self.directions.get_mut(&(connection, side))?.message.take())
    }

    /// The connection is over.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        for side in Side::BOTH {
            self.directions.remove(&(connection, side));
        }
    }
}

impl Assembled {
    /// A frame that stands for itself: a control frame, or a continuation of nothing.
    pub(super) fn alone(n: u64, entry: &FrameEntry) -> Self {
        let header = entry.header();
        Self {
            connection: entry.connection(),
            from: entry.from(),
            opcode: header.opcode,
            compressed: entry.is_compressed(),
            first: n,
            last: n,
            fragments: 1,
            shown: true,
            length: header.length,
            parts: vec![(n, *entry)],
        }
    }

    /// Whether it stands in an archive: then the frames that carried it are not known.
    pub(super) fn is_archived(&self) -> bool {
        self.parts.first().is_some_and(|(_, entry)| entry.is_archived())
    }

    /// Whether frame `n` is one of its frames.
    pub(super) fn holds(&self, n: u64) -> bool {
        self.parts.binary_search_by_key(&n, |(n, _)| *n).is_ok()
    }

    /// The first `limit` bytes of its payload, unmasked.
    pub(super) fn payload(&self, capture: &Capture, limit: u64) -> io::Result<Vec<u8>> {
        let mut payload = Vec::new();
        for (_, part) in &self.parts {
            let room = limit - payload.len() as u64;
            if room == 0 {
                break;
            }
            payload.extend(capture.payload(part, 0..room)?);
        }
        Ok(payload)
    }
}

/// The message that frame `n` belongs to, as far as it has come.
pub(super) fn message_of(capture: &Capture, n: u64) -> Option<Assembled> {
    const BATCH: u64 = 4096;
    let wanted = capture.index().frame(n)?;
    let (connection, from) = (wanted.connection(), wanted.from());
    let mut assembler = Assembler::default();
    let mut start = capture.index().gone() + 1;
    loop {
        let frames = capture.index().frames(start..start + BATCH);
        if frames.is_empty() {
            return assembler.unfinished(connection).find(|message| message.holds(n));
        }
        start += BATCH;
        for (number, entry) in frames {
            if entry.connection() != connection || entry.from() != from {
                continue;
            }
            let interrupted = assembler.directions.get(&(connection, from)).and_then(|one| one.sequence.unfinished());
            let before = interrupted.is_some() && number > n && !continues(&entry);
            if before && let Some(message) = assembler.unfinished(connection).find(|message| message.holds(n)) {
                return Some(message);
            }
            match assembler.frame(number, &entry, true) {
                (None, _) if number == n => return Some(Assembled::alone(n, &entry)),
                (_, Some(message)) if message.holds(n) => return Some(message),
                _ => {}
            }
        }
    }
}

/// Whether a frame leaves the message before it unfinished or goes on with it.
fn continues(entry: &FrameEntry) -> bool {
    let opcode = entry.header().opcode;
    opcode.is_control() || opcode == Opcode::CONTINUATION
}
