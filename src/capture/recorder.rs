//! The recorder: its own thread, which appends what happens to the capture file and derives the rest.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::connection::Connection;
use super::dissector::{Dissector, Step};
use super::event::{ConnectionId, Event, EventKind, Timestamp};
use super::file::CaptureWriter;
use super::mark::Mark;
use super::{Capture, index::Index};
use crate::lint::Limits;

/// The most bytes that wait to be written: beyond that the traffic waits for the disk.
const MAX_WAITING: usize = 32 << 20;
/// What an event weighs beside its bytes.
const EVENT_WEIGHT: usize = 256;
/// The most events that are taken at once, so that what was seen is soon shown.
const BATCH: usize = 256;

/// Hands events to the recorder.
#[derive(Clone, Debug)]
pub struct Recorder {
    events: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
}

/// An event, and the room that it takes up until it is written; a mark takes none.
type Waiting = (Event, Option<OwnedSemaphorePermit>);

/// Hands the user's marks to the recorder. It does not keep the recorder going.
#[derive(Clone, Debug)]
pub struct Marker {
    events: mpsc::WeakUnboundedSender<Waiting>,
}

/// The recorder's thread. It ends when the last [`Recorder`] is gone and all is written.
#[derive(Debug)]
pub struct RecorderThread {
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Records an event once there is room for it. Events of one caller stay in order.
    pub async fn record(&self, event: Event) {
        let weight = match &event.kind {
            EventKind::Chunk { bytes, .. } => EVENT_WEIGHT + bytes.len().min(MAX_WAITING / 2),
            _ => EVENT_WEIGHT,
        };
        // the semaphore is never closed, and the weight is far below 2^32
        if let Ok(permit) = self.room.clone().acquire_many_owned(weight as u32).await {
            // if the thread is gone there is nobody left to tell
            let _ = self.events.send((event, Some(permit)));
        }
    }

    /// A way for the user's marks.
    pub fn marker(&self) -> Marker {
        Marker { events: self.events.downgrade() }
    }
}

impl Marker {
    /// Records a mark at once: marks come one by one, from the user's hand. `false` if nothing is recorded any more.
    pub fn mark(&self, connection: ConnectionId, time: Timestamp, mark: Mark) -> bool {
        let event = Event { connection, time, kind: EventKind::Mark(mark) };
        self.events.upgrade().is_some_and(|events| events.send((event, None)).is_ok())
    }
}

impl RecorderThread {
    /// Waits until everything is written.
    pub fn join(self) {
        // a panic there has been reported by the panic hook already
        let _ = self.thread.join();
    }
}

/// Starts the recorder; what it learns is to be seen in `capture`.
pub fn start(
    mut writer: CaptureWriter,
    capture: Arc<Capture>,
    limits: Limits,
) -> io::Result<(Recorder, RecorderThread)> {
    let (events, mut incoming) = mpsc::unbounded_channel::<Waiting>();
    let room = Arc::new(Semaphore::new(MAX_WAITING));
    let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || {
        let mut deriver = Deriver::new(limits);
        let mut batch = Vec::with_capacity(BATCH);
        while incoming.blocking_recv_many(&mut batch, BATCH) > 0 {
            deriver.batch(&mut writer, batch.iter().map(|(event, _)| event));
            capture.update(|index| deriver.apply(&writer, index));
            batch.clear();
        }
    })?;
    Ok((Recorder { events, room }, RecorderThread { thread }))
}

/// Derives frames and findings from events, a batch at a time.
#[derive(Debug)]
struct Deriver {
    limits: Limits,
    dissectors: HashMap<ConnectionId, Dissector>,
    steps: Vec<(ConnectionId, Step)>,
    /// Connections that the batch has changed.
    changed: Vec<ConnectionId>,
}

impl Deriver {
    fn new(limits: Limits) -> Self {
        Self { limits, dissectors: HashMap::new(), steps: Vec::new(), changed: Vec::new() }
    }

    fn batch<'a>(&mut self, writer: &mut CaptureWriter, events: impl Iterator<Item = &'a Event> + Clone) {
        let mut blocks = Vec::new();
        let mut ends = Vec::new();
        for event in events.clone() {
            writer.push(event, &mut blocks);
            ends.push(blocks.len());
        }
        let written = writer.flush().is_ok();
        let mut start = 0;
        let mut steps = Vec::new();
        for (event, end) in events.zip(ends) {
            let blocks = if written { &blocks[start..end] } else { &[] };
            start = end;
            let id = event.connection;
            if let EventKind::Mark(mark) = &event.kind {
                // its connection may be over
                self.steps.push((id, Step::Mark(mark.frame, mark.text.clone())));
                continue;
            }
            if let EventKind::Opened { client, server } = event.kind {
                let connection = Connection::new(id, client, server, event.time);
                self.dissectors.insert(id, Dissector::new(connection, self.limits));
            }
            let Some(dissector) = self.dissectors.get_mut(&id) else { continue };
            dissector.event(event, blocks, &mut steps);
            self.steps.extend(steps.drain(..).map(|step| (id, step)));
            if self.changed.last() != Some(&id) {
                self.changed.push(id);
            }
        }
        self.changed.sort_unstable();
        self.changed.dedup();
    }

    fn apply(&mut self, writer: &CaptureWriter, index: &mut Index) {
        for id in self.changed.drain(..) {
            let Some(dissector) = self.dissectors.get(&id) else { continue };
            match index.connection_mut(id) {
                Some(connection) => connection.clone_from(&dissector.connection),
                None => index.add_connection(dissector.connection.clone()),
            }
            if dissector.connection.ended.is_some() {
                self.dissectors.remove(&id);
            }
        }
        for (id, step) in self.steps.drain(..) {
            match step {
                Step::Frame(frame, findings) => index.add_frame(&frame, findings),
                Step::Handshake(findings) => index.count_findings(&findings),
                Step::Milestone(kind) => index.add_milestone(id, kind),
                Step::Mark(frame, text) => index.set_mark(frame, text),
            }
        }
        index.file_length = writer.length();
        index.missing = writer.missing();
    }
}
