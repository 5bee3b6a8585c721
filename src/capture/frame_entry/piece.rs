//! Frames as they lie in memory: what those have in common that came together is there once.

use std::ops::Range;

use super::{FrameEntry, Halves, Places};
use crate::wire::MaskingKey;

/// Some of the frames that follow each other: at most [`Piece::MOST`].
#[derive(Debug, Default)]
pub(in crate::capture) struct Piece {
    /// By their first frames, ascending; the first run begins with the first frame.
    runs: Vec<Run>,
    frames: Vec<Packed>,
}

/// What frames have in common that came in one packet, one behind the other.
#[derive(Clone, Copy, Debug)]
struct Run {
    time: Halves,
    /// Those of the first one.
    places: Places,
    skip: u16,
    connection: u32,
    chunks: u16,
    flags: u16,
    /// Its place in the piece.
    first: u16,
}

/// What else there is of a frame.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// How many bytes after the first one of its run it begins.
    after: u16,
    first_two: [u8; 2],
    /// Of a longer one, the largest number.
    length: u32,
    key: MaskingKey,
}

// one that came alone takes both
const _: () = assert!(size_of::<Run>() == 32 && size_of::<Packed>() == 12);

impl Piece {
    /// Large enough that what the allocator adds is nothing beside it.
    pub(in crate::capture) const MOST: usize = 32_768;

    /// One with room for all its frames.
    pub(in crate::capture) fn with_room() -> Self {
        Self { runs: Vec::new(), frames: Vec::with_capacity(Self::MOST) }
    }

    pub(in crate::capture) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Bytes of memory, about.
    pub(in crate::capture) fn memory(&self) -> u64 {
        (self.runs.len() * size_of::<Run>() + self.frames.len() * size_of::<Packed>()) as u64
    }

    /// Adds a frame, for which there is room; whether what comes back is all of it.
    #[inline]
    pub(in crate::capture) fn push(&mut self, entry: &FrameEntry) -> bool {
        let FrameEntry { first_two, key, .. } = *entry;
        let after = self.runs.last().and_then(|run| run.reaches(entry)).unwrap_or_else(|| {
            // below MOST
            self.runs.push(Run::beginning_with(entry, self.frames.len() as u16));
            0
        });
        let length = u32::try_from(entry.length()).unwrap_or(u32::MAX);
        self.frames.push(Packed { after, first_two, length, key });
        length < u32::MAX
    }

    // it is asked for in many places
    #[inline(never)]
    pub(in crate::capture) fn get(&self, place: usize) -> Option<FrameEntry> {
        let packed = self.frames.get(place)?;
        Some(self.runs.get(self.run_of(place))?.frame(packed))
    }

    /// Appends the frames in these places to `out`.
    #[inline(never)]
    pub(in crate::capture) fn copy(&self, places: Range<usize>, out: &mut Vec<FrameEntry>) {
        let Some((mut run, mut later)) = self.runs[self.run_of(places.start)..].split_first() else { return };
        let frames = places.start..places.end.min(self.frames.len());
        out.extend(frames.map(|place| {
            // a run has at least one frame
            if let Some((next, rest)) = later.split_first()
                && usize::from(next.first) == place
            {
                (run, later) = (next, rest);
            }
            run.frame(&self.frames[place])
        }));
    }

    /// Which run the frame in this place belongs to.
    fn run_of(&self, place: usize) -> usize {
        self.runs.partition_point(|run| usize::from(run.first) <= place).saturating_sub(1)
    }
}

impl Run {
    fn beginning_with(entry: &FrameEntry, first: u16) -> Self {
        let FrameEntry { time, places, skip, connection, chunks, flags, .. } = *entry;
        Self { time, places, skip, connection, chunks, flags, first }
    }

    /// How far from its first frame `entry` begins, if that is one of them.
    #[inline]
    fn reaches(&self, entry: &FrameEntry) -> Option<u16> {
        let is_alike = self.time == entry.time
            && self.connection == entry.connection
            && self.flags == entry.flags
            && self.chunks == entry.chunks
            && self.places.get(Places::BLOCK) == entry.places.get(Places::BLOCK);
        let after = entry.offset().checked_sub(self.places.get(Places::OFFSET)).filter(|_| is_alike)?;
        let after = u16::try_from(after).ok()?;
        (self.skip.checked_add(after) == Some(entry.skip)).then_some(after)
    }

    #[inline]
    fn frame(&self, packed: &Packed) -> FrameEntry {
        let Packed { after, first_two, length, key } = *packed;
        let offset = self.places.get(Places::OFFSET) + u64::from(after);
        FrameEntry {
            time: self.time,
            length: Halves::new(length.into()),
            places: self.places.with(Places::OFFSET, offset),
            connection: self.connection,
            key,
            // they were added up to this before
            skip: self.skip + after,
            chunks: self.chunks,
            first_two,
            flags: self.flags,
        }
    }
}
