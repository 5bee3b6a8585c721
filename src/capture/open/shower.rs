//! A thread that adds to the index what was derived, while others go on deriving.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::capture::Capture;
use crate::capture::news::News;

/// Hands news to the thread.
pub(super) struct Shower {
    shown: SyncSender<Shown>,
    used: Receiver<News>,
    thread: JoinHandle<()>,
}

/// What is to be shown.
pub(super) struct Shown {
    pub(super) news: News,
    /// Bytes of the file so far, and those that are not in it.
    pub(super) length: u64,
    pub(super) missing: u64,
    /// What is gone of the file, if anything is.
    pub(super) holes: Vec<Range<u64>>,
}

impl Shown {
    /// Shows it; the room that it took is returned.
    pub(super) fn show(self, capture: &Capture) -> News {
        let Self { mut news, length, missing, holes } = self;
        capture.update(|index| {
            news.apply(index, length, missing);
            if !holes.is_empty() {
                index.set_holes(holes);
            }
        });
        news
    }
}

impl Shower {
    pub(super) fn start(capture: Arc<Capture>) -> io::Result<Self> {
        // what waits is bounded: one batch, beside the one that is being shown
        let (shown, to_show) = sync_channel::<Shown>(1);
        let (give_back, used): (Sender<News>, _) = channel();
        let thread = thread::Builder::new().name("shower".to_owned()).spawn(move || {
            for shown in to_show {
                // nobody needs the room of the last ones
                let _ = give_back.send(shown.show(&capture));
            }
        })?;
        Ok(Self { shown, used, thread })
    }

    /// Room for news, of a batch that was shown.
    pub(super) fn room(&self) -> News {
        self.used.try_recv().unwrap_or_default()
    }

    pub(super) fn show(&self, shown: Shown) {
        // its other end is in the thread, which ends after this one
        let _ = self.shown.send(shown);
    }

    /// Waits until all is shown.
    pub(super) fn finish(self) {
        drop(self.shown);
        // a panic there has been reported by the panic hook already
        let _ = self.thread.join();
    }
}
