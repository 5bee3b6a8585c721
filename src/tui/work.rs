//! What is done with files on the user's behalf: on a thread of its own, so that the screen goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::{self, JoinHandle};

use super::text::{counted, grouped};
use crate::capture::filter::Sieve;
use crate::capture::{Capture, Recording};
use crate::formats::export::{self, Kind, Progress, Selection};

/// What the user wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Frames, in a file of another kind.
    Export { path: PathBuf, kind: Kind, what: What },
    /// The recording, under a name.
    Keep(PathBuf),
    /// A frame, marked with a text; `None` takes the mark away.
    Mark(u64, Option<String>),
    /// The lesson at this place, opened.
    Learn(usize),
    /// The lesson that is open, left.
    Leave,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Everything that was recorded.
    All,
    /// The frames of the list.
    Listed,
    /// The payload of the message that this frame belongs to.
    Payload(u64),
}

/// Which frames are exported.
#[derive(Clone, Debug)]
pub(super) enum Chosen {
    /// Known by now.
    Known(Selection),
    /// Those after frame `hidden` and up to `last` that a filter lets through, which may still be at work.
    Sifted { sieve: Arc<Sieve>, hidden: u64, last: u64 },
}

/// Something that is being done.
#[derive(Debug)]
pub(super) struct Work {
    /// `exporting chat.har`
    doing: String,
    progress: Option<Arc<Progress>>,
    result: Receiver<Finished>,
    thread: JoinHandle<()>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Finished {
    /// Said to the user.
    pub(super) said: String,
    /// The recording has a name now.
    pub(super) kept: Option<PathBuf>,
}

impl Work {
    /// Exports to `path`.
    pub(super) fn export(capture: Arc<Capture>, path: PathBuf, kind: Kind, chosen: Chosen) -> Self {
        let progress = Arc::new(Progress::default());
        let shared = progress.clone();
        let is_compressed = matches!(&chosen, Chosen::Known(Selection::Frames(numbers))
            if numbers.first().is_some_and(|n| capture.index().frame(*n).is_some_and(|frame| frame.is_compressed())));
        Self::start(format!("exporting {}", name(&path)), Some(progress), move || {
            let choose = |progress: &Progress| match chosen {
                Chosen::Known(selection) => Ok(selection),
                Chosen::Sifted { sieve, hidden, last } => export::sifted(&sieve, hidden, last, progress),
            };
            let said = match export::to_file(&capture, &path, kind, choose, &shared, false) {
                Ok(_) if kind == Kind::Payload && is_compressed => {
                    format!("the payload, inflated, is in {}", path.display())
                }
                Ok(_) if kind == Kind::Payload => format!("the payload is in {}", path.display()),
                Ok(frames) => format!("{} exported to {}", counted(frames, "frame"), path.display()),
                Err(error) => error.to_string(),
            };
            Finished { said, kept: None }
        })
    }

    /// Keeps the recording as `path`.
    pub(super) fn keep(capture: Arc<Capture>, recording: Arc<Recording>, path: PathBuf) -> Self {
        Self::start(format!("keeping the recording as {}", name(&path)), None, move || match recording.keep(&path) {
            Ok(()) => {
                let without = match capture.index().gone() {
                    0 => String::new(),
                    gone => format!(", without the {} that are gone", counted(gone, "older frame")),
                };
                Finished { said: format!("the recording is kept as {}{without}", path.display()), kept: Some(path) }
            }
            Err(error) => Finished { said: error.to_string(), kept: None },
        })
    }

    fn start(doing: String, progress: Option<Arc<Progress>>, work: impl FnOnce() -> Finished + Send + 'static) -> Self {
        let (finished, result) = mpsc::channel();
        // whoever does not wait for the end has no use for it
        let thread = thread::spawn(move || drop(finished.send(work())));
        Self { doing, progress, result, thread }
    }

    /// How far it is: `exporting chat.har: 1 024 of 4 711 frames, Esc cancels`.
    pub(super) fn status(&self) -> String {
        let Some(progress) = &self.progress else { return self.doing.clone() };
        let (done, total) = progress.so_far();
        let filtering = if progress.is_filtering() { "filtering, " } else { "" };
        format!("{}: {filtering}{} of {}, Esc cancels", self.doing, grouped(done), counted(total, "frame"))
    }

    /// What came of it, once it is over.
    pub(super) fn finished(&self) -> Option<Finished> {
        match self.result.try_recv() {
            Ok(finished) => Some(finished),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Finished { said: format!("{} failed", self.doing), kept: None }),
        }
    }

    /// Ends it early; `false` if that can't be.
    pub(super) fn cancel(&self) -> bool {
        self.progress.as_ref().inspect(|progress| progress.cancel()).is_some()
    }

    /// Ends it early where that can be, and waits for the end: nothing unfinished is left behind.
    pub(super) fn end(self) {
        self.cancel();
        // a panic there has been reported by the panic hook already
        let _ = self.thread.join();
    }
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
