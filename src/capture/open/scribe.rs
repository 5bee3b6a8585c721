//! A thread that records what was found in a capture, while more is looked for.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::capture::Capture;
use crate::capture::event::Event;
use crate::capture::file::CaptureWriter;
use crate::capture::recorder::Deriver;

/// Hands events to the thread.
pub(super) struct Scribe {
    events: SyncSender<Vec<Event>>,
    used: Receiver<Vec<Event>>,
    thread: JoinHandle<()>,
}

impl Scribe {
    /// Writes events and shows in `capture` what follows from them.
    pub(super) fn start(mut deriver: Deriver, mut writer: CaptureWriter, capture: Arc<Capture>) -> io::Result<Self> {
        // what waits is bounded: one batch, beside the one that is being recorded
        let (events, to_record) = sync_channel::<Vec<Event>>(1);
        let (give_back, used) = channel();
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            for mut events in to_record {
                deriver.batch(&mut writer, events.iter());
                capture.update(|index| deriver.apply(index, writer.length(), writer.missing()));
                events.clear();
                // nobody needs the room of the last ones
                let _ = give_back.send(events);
            }
        })?;
        Ok(Self { events, used, thread })
    }

    /// Records events; room for others is returned.
    pub(super) fn record(&self, events: Vec<Event>) -> Vec<Event> {
        // its other end is in the thread, which ends after this one
        let _ = self.events.send(events);
        self.used.try_recv().unwrap_or_default()
    }

    /// Waits until all is recorded.
    pub(super) fn finish(self) {
        drop(self.events);
        // a panic there has been reported by the panic hook already
        let _ = self.thread.join();
    }
}
