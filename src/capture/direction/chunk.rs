//! The bytes of one read or write, on their way through the derivation.

use crate::capture::event::{Note, Origin, Timestamp};
use crate::capture::file::Position;
use crate::capture::tcp::MAX_SEGMENT;

/// A chunk held back, and where its bytes stand.
#[derive(Debug)]
pub(in crate::capture) struct HeldChunk {
    bytes: Vec<u8>,
    pub(super) blocks: Vec<u64>,
    notes: Vec<Note>,
    start: usize,
    time: Timestamp,
}

impl HeldChunk {
    pub(super) fn new(chunk: &Chunk<'_>) -> Self {
        Self {
            bytes: chunk.bytes.to_vec(),
            blocks: chunk.blocks.to_vec(),
            notes: chunk.notes.to_vec(),
            start: chunk.start,
            time: chunk.time,
        }
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The chunk again.
    pub(in crate::capture) fn chunk(&self) -> Chunk<'_> {
        Chunk { bytes: &self.bytes, start: self.start, blocks: &self.blocks, notes: &self.notes, time: self.time }
    }
}

/// The bytes of one read or write, from `start` on, and where they stand in the file.
pub(in crate::capture) struct Chunk<'a> {
    pub(in crate::capture) bytes: &'a [u8],
    pub(in crate::capture) start: usize,
    pub(in crate::capture) blocks: &'a [u64],
    pub(in crate::capture) notes: &'a [Note],
    pub(in crate::capture) time: Timestamp,
}

impl<'a> Chunk<'a> {
    pub(in crate::capture) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.start..]
    }

    pub(in crate::capture) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Where the byte at `offset` after `start` stands in the file.
    pub(in crate::capture) fn position(&self, offset: usize) -> Option<Position> {
        let at = self.start + offset;
        let block = *self.blocks.get(at / MAX_SEGMENT)?;
        // the remainder is below MAX_SEGMENT, hence fits 16 bits
        Some(Position { block, skip: (at % MAX_SEGMENT) as u16 })
    }

    /// Where after `start` the segment ends that the byte at `offset` is in: beyond it bytes stand elsewhere.
    #[inline]
    pub(super) fn segment_end(&self, offset: usize) -> usize {
        let at = self.start + offset;
        at - at % MAX_SEGMENT + MAX_SEGMENT - self.start
    }

    /// Who made its frames: `maker`, where nothing is noted.
    pub(super) fn origins(&self, maker: Origin) -> Origins<'a> {
        Origins { notes: self.notes, start: self.start, maker }
    }
}

/// Who made the frames of a chunk, asked for one after the other.
pub(super) struct Origins<'a> {
    /// Those that have not been passed over.
    notes: &'a [Note],
    start: usize,
    maker: Origin,
}

impl Origins<'_> {
    /// Who made the frame that begins at `offset` after the chunk's `start`.
    pub(super) fn at(&mut self, offset: usize) -> Origin {
        let at = self.start + offset;
        while self.notes.first().is_some_and(|note| note.offset < at) {
            self.notes = &self.notes[1..];
        }
        self.notes.first().filter(|note| note.offset == at).map_or(self.maker, |note| note.origin)
    }
}
