//! How far a direction has come, and how it goes on from there without what came before.

use super::{Checkpoint, Direction};
use crate::capture::event::Origin;
use crate::capture::file::Position;
use crate::wire::{Header, Opcode, Rsv};

/// How far a direction has come: what it takes to go on from there without what came before.
#[derive(Clone, Copy, Debug)]
pub(in crate::capture) struct Halfway {
    /// Where the first byte of what is unfinished stands: of a frame, or of a head.
    pub(in crate::capture) begun: Option<Position>,
    /// How many bytes of an unfinished frame have come.
    pub(in crate::capture) unfinished: u64,
    /// Who makes it.
    pub(in crate::capture) origin: Origin,
    /// What came before it.
    pub(in crate::capture) before: Before,
}

impl Halfway {
    /// What begins at `old` stands at `new` from now on, or is not there any more.
    pub(in crate::capture) fn move_begun(&mut self, old: Position, new: Option<Position>) {
        if self.begun == Some(old) {
            self.begun = new;
        }
    }
}

/// What is not there of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Before {
    /// Frames.
    pub(in crate::capture) frames: u64,
    /// Bytes after the opening handshake.
    pub(in crate::capture) bytes: u64,
    /// How many reads the frame at hand has arrived in, if any of it has come.
    pub(in crate::capture) chunks: u16,
    /// The message at hand.
    pub(in crate::capture) message: Unfinished,
}

/// A message that is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Unfinished {
    /// There is none.
    No,
    /// One of this opcode, compressed or not.
    Message(Opcode, bool),
    /// Where frames begin is not known.
    Unknown,
}

impl Direction {
    /// How far it has come, after `frames` frames and `bytes` bytes that follow the opening handshake.
    pub(in crate::capture) fn halfway(&self, frames: u64, bytes: u64) -> Halfway {
        let message = if self.lost || self.searching { Unfinished::Unknown } else { self.message() };
        let before = Before { frames, bytes, chunks: 0, message };
        match &self.start {
            Some(start) => Halfway {
                begun: start.position,
                unfinished: bytes.saturating_sub(start.offset),
                origin: start.origin,
                before: Before { bytes: start.offset, chunks: start.chunks, message: start.message, ..before },
            },
            None => Halfway { begun: None, unfinished: 0, origin: self.maker, before },
        }
    }

    /// What came before the frame at hand, or the next one, will go: from where on, with what, its compressed messages can
    /// be inflated then.
    pub(in crate::capture) fn border(&mut self) -> Option<(u64, Checkpoint)> {
        let (offset, message) = match &self.start {
            Some(start) => (start.offset, start.message),
            None => (self.stream, self.message()),
        };
        let has_begun = matches!(message, Unfinished::Message(_, true));
        Some((offset, self.deflation.border(self.linter.inflater()?, has_begun)?))
    }

    /// Goes on from there, `before` not being there.
    pub(in crate::capture) fn resume(&mut self, before: &Before) {
        if before.bytes == 0 {
            // all of the first frame is there, written anew
            self.earlier_chunks = before.chunks.saturating_sub(1);
            return;
        }
        self.lose_borders();
        self.stream = before.bytes;
        self.earlier_chunks = before.chunks.saturating_sub(1);
        let Unfinished::Message(opcode, compressed) = before.message else {
            self.searching = before.message == Unfinished::Unknown;
            self.mid_message = self.searching;
            return;
        };
        // what the message began with is not judged again
        let start = Header { rsv: if compressed { Rsv::RSV1 } else { Rsv::NONE }, ..Header::new(opcode, None, 0) };
        let start = start.with_fin(false);
        self.linter.header(&start, &mut Vec::new());
        self.linter.pass_over();
        self.linter.end(&mut Vec::new());
        self.messages.place(&start);
        self.compressed = compressed;
        (self.searching, self.mid_message) = (false, false);
    }

    /// What begins at `old` stands at `new` from now on, or is not there any more; returned is whether that is the frame at
    /// hand.
    pub(in crate::capture) fn move_begun(&mut self, old: Position, new: Option<Position>) -> bool {
        let start = self.start.as_mut().filter(|start| start.position == Some(old));
        start.map(|start| start.position = new).is_some()
    }

    /// What stood in the file before `kept_from` is not there any more.
    pub(in crate::capture) fn forget_held(&mut self, kept_from: u64) {
        for held in self.held.iter_mut().filter(|held| held.blocks.iter().any(|block| *block < kept_from)) {
            held.blocks.clear();
        }
    }
}
