//! A part of the index's frames.

use std::ops::Range;
use std::slice;

use super::batch::Part;
use super::run::places;
use super::{Flags, FrameEntry, Packed, Run};

/// Some of the frames that follow each other: at most [`Piece::MOST`].
#[derive(Debug, Default)]
pub(in crate::capture) struct Piece {
    /// By their first frames, ascending; the first run begins with the first frame.
    runs: Vec<Run>,
    frames: Vec<Packed>,
    /// What is true of any of them.
    flags: Flags,
}

/// Frames of a piece that follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::capture) struct Span<'a> {
    frames: &'a [Packed],
    /// The place of the first one.
    start: usize,
    /// All runs of the piece, how many frames it has, and what is true of any of those.
    runs: &'a [Run],
    of: usize,
    flags: Flags,
}

impl Piece {
    /// Large enough that what the allocator adds is nothing beside it.
    pub(in crate::capture) const MOST: usize = 32_768;

    /// One with room for all its frames: what is not needed of it is never touched.
    pub(in crate::capture) fn with_room() -> Self {
        Self { runs: Vec::with_capacity(Self::MOST), frames: Vec::with_capacity(Self::MOST), ..Self::default() }
    }

    pub(in crate::capture) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Bytes of memory, about.
    pub(in crate::capture) fn memory(&self) -> u64 {
        (self.runs.len() * size_of::<Run>() + self.frames.len() * size_of::<Packed>()) as u64
    }

    /// Adds frames, for which there is room.
    pub(in crate::capture) fn extend(&mut self, part: &Part<'_>) {
        let before = self.frames.len();
        self.frames.extend_from_slice(part.frames());
        let mut runs = part.runs().peekable();
        // its first frames may be here already
        runs.next_if(|(_, first)| self.runs.last().is_some_and(|last| last.is(first)));
        for (places, run) in runs {
            self.flags = self.flags.or(run.flags());
            // below MOST
            self.runs.push(run.in_place((before + places.start) as u16));
        }
    }

    pub(in crate::capture) fn get(&self, place: usize) -> Option<FrameEntry> {
        let packed = self.frames.get(place)?;
        Some(self.runs.get(run_of(place, &self.runs, self.len()))?.frame(packed))
    }

    /// The frames in these places, as far as they are there.
    pub(in crate::capture) fn span(&self, places: Range<usize>) -> Span<'_> {
        let end = places.end.min(self.frames.len());
        let start = places.start.min(end);
        Span { frames: &self.frames[start..end], start, runs: &self.runs, of: self.frames.len(), flags: self.flags }
    }
}

/// Which of a piece's runs the frame in this place belongs to, where it has so many frames.
fn run_of(place: usize, runs: &[Run], frames: usize) -> usize {
    // neither before it nor behind it are more runs than frames
    let most = runs.len().min(place + 1);
    let least = (runs.len() + place).saturating_sub(frames).min(most);
    let behind = runs[least..most].partition_point(|run| run.first() <= place);
    (least + behind).saturating_sub(1)
}

impl<'a> Span<'a> {
    /// The frame that came in this way alone: see [`FrameEntry::apart`].
    pub(in crate::capture) fn of_one((run, frame): &'a (Run, Packed)) -> Self {
        Self { frames: slice::from_ref(frame), start: 0, runs: slice::from_ref(run), of: 1, flags: run.flags() }
    }

    pub(in crate::capture) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(in crate::capture) fn frames(&self) -> &'a [Packed] {
        self.frames
    }

    /// Whether `flag` may be set of one of them; if not, it is of none.
    pub(in crate::capture) fn may_have(&self, flag: u16) -> bool {
        self.flags.has(flag)
    }

    /// The runs that the frames belong to, and which of the frames those are.
    #[inline]
    pub(in crate::capture) fn runs(&self) -> impl Iterator<Item = (Range<usize>, &'a Run)> {
        let Self { frames, start, runs, of, .. } = *self;
        let runs = &runs[run_of(start, runs, of)..];
        // each has a frame at least
        let few = &runs[..runs.len().min(frames.len())];
        let runs = &runs[..few.partition_point(|run| run.first() < start + frames.len())];
        places(runs, Run::first, start, frames.len())
    }

    /// Appends the frames to `out`, as far as they can be told.
    pub(in crate::capture) fn copy_to(&self, out: &mut Vec<FrameEntry>) {
        for (places, run) in self.runs() {
            out.extend(self.frames[places].iter().map(|frame| run.frame(frame)));
        }
    }
}
