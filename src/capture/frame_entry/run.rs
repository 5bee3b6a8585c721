//! Frames as they lie in memory: what those have in common that came together is there once.

use std::ops::Range;

use super::{Flags, FrameEntry, Halves, Places, first_two};
use crate::capture::event::{ConnectionId, Origin, Timestamp};
use crate::capture::file::Position;
use crate::wire::{Header, LengthForm, MaskingKey, Side};

/// What frames have in common that came in one packet, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(in crate::capture) struct Run {
    time: Halves,
    /// Those of the first one.
    places: Places,
    skip: u16,
    connection: u32,
    chunks: u16,
    flags: Flags,
    /// The place of the first one, where runs lie together in a [`Piece`](super::Piece).
    first: u16,
}

/// What else there is of a frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::capture) struct Packed {
    /// How many bytes after the first one of its run it begins.
    after: u16,
    first_two: [u8; 2],
    /// Of a longer one, the largest number.
    length: u32,
    key: MaskingKey,
}

// one that came alone takes both
const _: () = assert!(size_of::<Run>() == 32 && size_of::<Packed>() == 12);

impl Run {
    /// Frames of a connection that come whole at `time`, each in one read.
    #[inline]
    pub(in crate::capture) fn at(time: Timestamp, connection: ConnectionId, flags: Flags) -> Self {
        Self {
            time: Halves::new(time.0),
            places: Places::new(0, 0),
            skip: 0,
            connection: connection.0,
            chunks: 1,
            flags: flags.with(Flags::COMPLETE, true),
            first: 0,
        }
    }

    /// The same, the first of which begins at `offset` in its direction's stream and at `position` in the file.
    #[inline]
    pub(in crate::capture) fn beginning(self, offset: u64, position: Option<Position>) -> Self {
        let Position { block, skip } = position.unwrap_or(Position { block: 0, skip: 0 });
        let flags = self.flags.with(Flags::MISSING, position.is_none());
        Self { places: Places::new(block, offset), skip, flags, ..self }
    }

    /// The same, the first of which is in this place.
    #[inline]
    pub(super) const fn in_place(self, first: u16) -> Self {
        Self { first, ..self }
    }

    /// The place of the first one.
    #[inline]
    pub(super) const fn first(&self) -> usize {
        self.first as usize
    }

    /// How far from its first frame `entry` begins, if that is one of them.
    #[inline]
    pub(super) fn reaches(&self, entry: &FrameEntry) -> Option<u16> {
        let is_alike = self.time == entry.time
            && self.connection == entry.connection
            && self.flags == entry.flags
            && self.chunks == entry.chunks
            && self.places.get(Places::BLOCK) == entry.places.get(Places::BLOCK);
        let after = entry.offset().checked_sub(self.places.get(Places::OFFSET)).filter(|_| is_alike)?;
        let after = u16::try_from(after).ok()?;
        (self.skip.checked_add(after) == Some(entry.skip)).then_some(after)
    }

    /// Whether it is the same but for its place.
    #[inline]
    pub(super) fn is(&self, other: &Self) -> bool {
        self.places == other.places
            && self.skip == other.skip
            && self.time == other.time
            && self.connection == other.connection
            && self.chunks == other.chunks
            && self.flags == other.flags
    }

    /// One of its frames.
    #[inline]
    pub(in crate::capture) fn frame(&self, packed: &Packed) -> FrameEntry {
        let Packed { after, first_two, length, key } = *packed;
        let offset = self.places.get(Places::OFFSET) + u64::from(after);
        FrameEntry {
            time: self.time,
            length: Halves::new(length.into()),
            places: self.places.with(Places::OFFSET, offset),
            connection: self.connection,
            key,
            // it ends within its packet
            skip: self.skip + after,
            chunks: self.chunks,
            first_two,
            flags: self.flags,
        }
    }

    #[inline]
    pub(in crate::capture) const fn time(&self) -> Timestamp {
        Timestamp(self.time.get())
    }

    #[inline]
    pub(in crate::capture) const fn connection(&self) -> ConnectionId {
        ConnectionId(self.connection)
    }

    #[inline]
    pub(in crate::capture) const fn chunks(&self) -> u16 {
        self.chunks
    }

    #[inline]
    pub(in crate::capture) const fn from(&self) -> Side {
        self.flags.from()
    }

    #[inline]
    pub(in crate::capture) const fn origin(&self) -> Origin {
        self.flags.origin()
    }

    #[inline]
    pub(in crate::capture) const fn flags(&self) -> Flags {
        self.flags
    }
}

/// Which of `frames` frames, from the one in place `start` on, belong to each of `runs`; `first` tells the place of a run's
/// first frame. The first run may have begun before.
#[inline]
pub(super) fn places<T>(
    runs: &[T],
    first: impl Fn(&T) -> usize,
    start: usize,
    frames: usize,
) -> impl Iterator<Item = (Range<usize>, &T)> {
    let place = move |run: &T| first(run).saturating_sub(start);
    runs.iter().enumerate().map(move |(i, run)| (place(run)..runs.get(i + 1).map_or(frames, &place), run))
}

impl FrameEntry {
    /// A run of this frame alone, and the frame in it; a length that is not told there is lost.
    #[inline]
    pub(in crate::capture) fn apart(&self) -> (Run, Packed) {
        let Self { time, length, places, connection, key, skip, chunks, first_two, flags } = *self;
        let length = u32::try_from(length.get()).unwrap_or(Packed::LONG);
        (Run { time, places, skip, connection, chunks, flags, first: 0 }, Packed { after: 0, first_two, length, key })
    }
}

impl Packed {
    /// From this length on it is not told.
    pub(in crate::capture) const LONG: u32 = u32::MAX;

    /// A frame that begins so many bytes after the first one of its run.
    #[inline]
    pub(in crate::capture) fn new(header: &Header, after: u16) -> Self {
        let length = u32::try_from(header.length).unwrap_or(Self::LONG);
        Self { after, first_two: first_two(header), length, key: header.masking_key.unwrap_or_default() }
    }

    #[inline]
    pub(super) const fn behind(self, after: u16) -> Self {
        Self { after, ..self }
    }

    /// The first two bytes of its header; of the length, only its form.
    #[inline]
    pub(in crate::capture) const fn first_two(&self) -> [u8; 2] {
        self.first_two
    }

    /// Its payload's length; [`Packed::LONG`] stands for that many bytes or more.
    #[inline]
    pub(in crate::capture) const fn length(&self) -> u32 {
        self.length
    }

    /// Bytes of its header.
    #[inline]
    pub(in crate::capture) const fn header(&self) -> usize {
        let [_, second] = self.first_two;
        2 + LengthForm::from_length_bits(second & 0x7F).extended_bytes() + 4 * (second >> 7) as usize
    }
}
