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
    /// Whether any of its frames is shown.
    pub(super) shown: bool,
    parts: Vec<FrameEntry>,
}

impl Assembler {
    /// The most frames of one message whose payload is shown: 12 MiB of memory.
    const MAX_PARTS: usize = 1 << 18;

    /// Takes the next frame, which is `shown` or left out; returns the opcode of the message that it belongs to, and the message if it completes it.
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
                message.parts.push(*entry);
            }
        }
        let done = header.fin && entry.is_complete();
        (opcode, if done { direction.message.take() } else { None })
    }

    /// The connection is over.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        for side in Side::BOTH {
            self.directions.remove(&(connection, side));
        }
    }
}

impl Assembled {
    /// The first `limit` bytes of its payload, unmasked.
    pub(super) fn payload(&self, capture: &Capture, limit: u64) -> io::Result<Vec<u8>> {
        let mut payload = Vec::new();
        for part in &self.parts {
            let room = limit - payload.len() as u64;
            if room == 0 {
                break;
            }
            payload.extend(capture.payload(part, 0..room)?);
        }
        Ok(payload)
    }
}
