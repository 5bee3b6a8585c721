//! The lessons that there are, and how far each of them is.

use std::sync::Arc;

use super::layout::Pane;
use super::list::Cursor;
use crate::lessons::{Lesson, Library, Progress};

/// The lessons, and how far they are.
#[derive(Clone, Debug)]
pub struct Course {
    library: Library,
    progress: Progress,
    /// Why what was done before is not known, or what is done is not kept.
    trouble: Option<String>,
    /// Rows are places among the lessons, from 1.
    pub(super) cursor: Cursor,
    /// The list, or what the selected lesson consists of.
    pub(super) pane: Pane,
    pub(super) scroll: u64,
}

impl Course {
    /// Those lessons; `trouble` is why the progress is not what was kept of it.
    pub fn new(library: Library, (progress, trouble): (Progress, Option<String>)) -> Self {
        Self { library, progress, trouble, cursor: Cursor::new(false), pane: Pane::List, scroll: 0 }
    }

    /// The lessons.
    pub(super) fn lessons(&self) -> &[Arc<Lesson>] {
        &self.library.lessons
    }

    /// The one under the cursor, and its place.
    pub(super) fn selected(&self) -> Option<(usize, &Arc<Lesson>)> {
        let place = usize::try_from(self.cursor.selected).ok()?.checked_sub(1)?;
        Some((place, self.lessons().get(place)?))
    }

    /// How many of its steps are done.
    pub(super) fn done(&self, lesson: &Lesson) -> usize {
        self.progress.count(&lesson.name, lesson.steps.len())
    }

    pub(super) fn is_done(&self, lesson: &Lesson, step: usize) -> bool {
        self.progress.is_done(&lesson.name, step)
    }

    /// The step to go on with: the first that is not done.
    pub(super) fn next(&self, lesson: &Lesson) -> usize {
        (0..lesson.steps.len()).find(|step| !self.is_done(lesson, *step)).unwrap_or(0)
    }

    /// A step is done; what keeps that from being kept is said once.
    pub(super) fn add(&mut self, lesson: &str, step: usize) -> Option<String> {
        let sentence = self.progress.add(lesson, step).err()?;
        let is_new = self.trouble.as_ref() != Some(&sentence);
        self.trouble = Some(sentence.clone());
        is_new.then_some(sentence)
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    pub(super) fn settle(&mut self, rows: usize) {
        let selected = self.cursor.selected;
        self.cursor.settle(1, self.library.lessons.len() as u64, rows);
        if self.cursor.selected != selected {
            self.scroll = 0;
        }
    }
}

impl Default for Course {
    fn default() -> Self {
        Self::new(Library::default(), (Progress::default(), None))
    }
}
