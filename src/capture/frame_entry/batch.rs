//! Frames on their way to the index.

use std::ops::Range;

use super::run::places;
use super::{FrameEntry, Packed, Run};

/// Frames in the order in which they were complete, those that came together in runs.
#[derive(Debug, Default)]
pub(in crate::capture) struct FrameBatch {
    /// By the places of their first frames, ascending; the first run begins with the first frame.
    runs: Vec<(usize, Run)>,
    frames: Vec<Packed>,
    /// Those that are longer than can be told there, ascending.
    long: Vec<(usize, FrameEntry)>,
}

/// Some of them that follow one another.
#[derive(Clone, Copy, Debug)]
pub(in crate::capture) struct Part<'a> {
    /// The first may have begun before.
    runs: &'a [(usize, Run)],
    frames: &'a [Packed],
    /// The place of the first one.
    start: usize,
}

impl FrameBatch {
    pub(in crate::capture) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(in crate::capture) fn clear(&mut self) {
        self.runs.clear();
        self.frames.clear();
        self.long.clear();
    }

    /// The frames that are added from here on are of this run.
    #[inline]
    pub(in crate::capture) fn begin(&mut self, run: Run) {
        self.runs.push((self.frames.len(), run));
    }

    /// Adds a frame of the run that has begun.
    #[inline]
    pub(in crate::capture) fn add(&mut self, frame: Packed) {
        self.frames.push(frame);
    }

    /// Adds a frame.
    pub(in crate::capture) fn push(&mut self, entry: &FrameEntry) {
        let (run, frame) = entry.apart();
        let after = self.runs.last().and_then(|(_, run)| run.reaches(entry)).unwrap_or_else(|| {
            self.begin(run);
            0
        });
        if frame.length() == Packed::LONG {
            self.long.push((self.len(), *entry));
        }
        self.add(frame.behind(after));
    }

    /// The frames in these places, which are there.
    pub(in crate::capture) fn part(&self, places: Range<usize>) -> Part<'_> {
        let first = self.runs.partition_point(|(first, _)| *first <= places.start).saturating_sub(1);
        let runs = &self.runs[first..];
        let end =
            if places.end == self.len() { runs.len() } else { runs.partition_point(|(first, _)| *first < places.end) };
        Part { runs: &runs[..end], start: places.start, frames: &self.frames[places] }
    }

    /// Those in these places that are longer than can be told, all of them, and where they are.
    pub(in crate::capture) fn long(&self, places: Range<usize>) -> &[(usize, FrameEntry)] {
        let start = self.long.partition_point(|(place, _)| *place < places.start);
        let end = self.long.partition_point(|(place, _)| *place < places.end);
        &self.long[start..end]
    }
}

impl<'a> Part<'a> {
    pub(in crate::capture) fn frames(&self) -> &'a [Packed] {
        self.frames
    }

    /// The runs that the frames belong to, and which of the frames those are; none if there are no frames.
    #[inline]
    pub(in crate::capture) fn runs(&self) -> impl Iterator<Item = (Range<usize>, &'a Run)> {
        let Self { runs, frames, start } = *self;
        let runs = if frames.is_empty() { &[] } else { runs };
        places(runs, |(first, _)| *first, start, frames.len()).map(|(places, (_, run))| (places, run))
    }

    /// The first `count` of them, which are there, and the others.
    pub(in crate::capture) fn split_at(&self, count: usize) -> (Self, Self) {
        let Self { runs, frames, start } = *self;
        let (before, after) = frames.split_at(count);
        let middle = start + count;
        let end = runs.partition_point(|(first, _)| *first < middle);
        let begin = runs.partition_point(|(first, _)| *first <= middle).saturating_sub(1);
        (
            Self { runs: &runs[..end], frames: before, start },
            Self { runs: &runs[begin..], frames: after, start: middle },
        )
    }
}

#[cfg(test)]
impl<'a> FromIterator<&'a FrameEntry> for FrameBatch {
    fn from_iter<I: IntoIterator<Item = &'a FrameEntry>>(entries: I) -> Self {
        let mut batch = Self::default();
        entries.into_iter().for_each(|entry| batch.push(entry));
        batch
    }
}
