//! The recorder: its own thread, which appends what happens to the capture file and derives the rest.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::connection::Connection;
use super::direction::{Before, Chunk};
use super::dissector::{Dissector, Step, Steps};
use super::dissectors::Dissectors;
use super::event::{ConnectionId, Event, EventKind, Timestamp};
use super::file::{CaptureWriter, Position};
use super::keep::Keep;
use super::mark::Mark;
use super::news::News;
use super::prelude::Going;
use super::tls::Tls;
use super::{Capture, index::Index};
use crate::lint::Limits;
use crate::wire::Side;

/// The most bytes that wait to be written: beyond that the traffic waits for the disk.
const MAX_WAITING: usize = 32 << 20;
/// What an event weighs beside its bytes.
const EVENT_WEIGHT: usize = 256;
/// The most events that are taken at once, so that what was seen is soon shown.
const BATCH: usize = 256;
/// The most bytes that are written and derived from at once: beyond that they don't stay in the processor's caches.
const PORTION: u64 = 256 << 10;
/// Where no more than so many bytes have come, the recorder rests.
const LITTLE: u64 = 64 << 10;
/// How long it rests: what comes meanwhile is written and shown together. To wake for each message, and wake those who
/// show it, would cost more than all the rest.
const REST: Duration = Duration::from_millis(2);

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

    /// Records an event at once, without a bound on what waits: for what comes one by one, by a script or from the user's
    /// hand.
    pub fn record_at_once(&self, event: Event) {
        // if the thread is gone there is nobody left to tell
        let _ = self.events.send((event, None));
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
    let mut keep = writer.limit().map(|limit| Keep::start(limit, &mut writer)).transpose()?;
    let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || {
        let mut deriver = Deriver::new(limits);
        capture.update(|index| index.file_length = writer.length());
        let mut batch = Vec::with_capacity(BATCH);
        while incoming.blocking_recv_many(&mut batch, BATCH) > 0 {
            let most = keep.as_ref().map_or(PORTION, |keep| keep.portion().min(PORTION));
            let mut rest = &batch[..];
            while !rest.is_empty() {
                let portion = rest.split_off(..portion(rest, most)).unwrap_or_default();
                deriver.batch(&mut writer, portion.iter().map(|(event, _)| event));
                capture.update(|index| deriver.apply(index, writer.length(), writer.missing()));
                if let Some(keep) = &mut keep {
                    keep.look(&mut writer, &mut deriver, &capture);
                }
            }
            let was_little = batch.drain(..).map(|(event, _)| weigh(&event)).sum::<u64>() <= LITTLE;
            if was_little {
                thread::sleep(REST);
            }
        }
        // marks may still wait for room; if there is none, what is missing has been said
        let _ = writer.finish();
    })?;
    Ok((Recorder { events, room }, RecorderThread { thread }))
}

/// How many of these events have no more than `most` bytes, and at least one.
fn portion(events: &[Waiting], most: u64) -> usize {
    let mut weight = 0;
    let fits = events.iter().take_while(|(event, _)| {
        weight += weigh(event);
        weight <= most
    });
    fits.count().max(1)
}

fn weigh(event: &Event) -> u64 {
    match &event.kind {
        EventKind::Chunk { bytes, .. } => EVENT_WEIGHT as u64 + bytes.len() as u64,
        _ => EVENT_WEIGHT as u64,
    }
}

/// Derives frames and findings from events, a batch at a time.
#[derive(Debug)]
pub(super) struct Deriver {
    limits: Limits,
    dissectors: Dissectors,
    /// What follows from the batch.
    steps: Steps,
    /// Room for what goes to the index.
    news: News,
    /// Where in the file the batch's chunks stand, and for each event the end of its own.
    blocks: Vec<u64>,
    ends: Vec<usize>,
    /// Connections that the batch has changed.
    changed: Vec<ConnectionId>,
    /// When the last event was.
    latest: Timestamp,
    /// What was last agreed on by TLS on each leg.
    tls: [Option<Arc<Tls>>; 2],
}

impl Deriver {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            dissectors: Dissectors::default(),
            steps: Steps::default(),
            news: News::default(),
            blocks: Vec::new(),
            ends: Vec::new(),
            changed: Vec::new(),
            latest: Timestamp::default(),
            tls: [None, None],
        }
    }

    /// Writes events and derives what follows from them.
    pub(super) fn batch<'a>(&mut self, writer: &mut CaptureWriter, events: impl Iterator<Item = &'a Event> + Clone) {
        // taken out while it is gone through, and put back for the next batch
        let (mut blocks, mut ends) = (std::mem::take(&mut self.blocks), std::mem::take(&mut self.ends));
        for event in events.clone() {
            writer.push(event, &mut blocks);
            ends.push(blocks.len());
        }
        let written = writer.flush().is_ok();
        let mut start = 0;
        for (event, end) in events.zip(ends.drain(..)) {
            let blocks = if written { &blocks[start..end] } else { &[] };
            start = end;
            self.event(event, blocks);
        }
        blocks.clear();
        (self.blocks, self.ends) = (blocks, ends);
    }

    /// Derives what follows from an event; `blocks` tells where in the file a chunk stands.
    pub(super) fn event(&mut self, event: &Event, blocks: &[u64]) {
        let id = event.connection;
        self.steps.connection = id;
        self.latest = self.latest.max(event.time);
        if let EventKind::Mark(mark) = &event.kind {
            self.mark(mark.frame, mark.text.clone());
            return;
        }
        if let EventKind::Opened { client, server, vantage } = event.kind {
            let connection = Connection::new(id, client, server, event.time, vantage);
            self.dissectors.insert(id, Dissector::new(connection, self.limits));
        }
        let Some(dissector) = self.dissectors.get(id) else { return };
        if let EventKind::Tls { with, tls } = &event.kind {
            // a server has the same certificates for everyone, most of the time
            let last = &mut self.tls[*with as usize];
            let shared = last.take().filter(|last| last == tls).unwrap_or_else(|| tls.clone());
            dissector.connection.tls[*with as usize] = Some(last.insert(shared).clone());
        }
        dissector.event(event, blocks, &mut self.steps);
        if !std::mem::replace(&mut dissector.has_news, true) {
            self.changed.push(id);
        }
    }

    /// The same for the bytes of a read or a write.
    pub(super) fn chunk(&mut self, id: ConnectionId, from: Side, chunk: Chunk<'_>) {
        self.latest = self.latest.max(chunk.time);
        if let Some(place) = self.dissectors.place(id) {
            self.chunk_at(place, id, from, chunk);
        }
    }

    /// The place of a connection that goes on, until an event has ended it and that was taken.
    pub(super) fn place(&self, id: ConnectionId) -> Option<usize> {
        self.dissectors.place(id)
    }

    /// The same as [`Deriver::chunk`], of a connection whose place is known.
    #[expect(clippy::inline_always, reason = "the parts of a chunk are in registers then, and not laid out in memory")]
    #[inline(always)]
    pub(super) fn chunk_at(&mut self, place: usize, id: ConnectionId, from: Side, chunk: Chunk<'_>) {
        self.steps.connection = id;
        self.latest = self.latest.max(chunk.time);
        let Some(dissector) = self.dissectors.at(place, id) else { return };
        dissector.chunk(from, chunk, &mut self.steps);
        if !std::mem::replace(&mut dissector.has_news, true) {
            self.changed.push(id);
        }
    }

    /// A frame is marked, or no longer; its connection may be over.
    pub(super) fn mark(&mut self, frame: u64, text: Option<String>) {
        self.steps.push(Step::Mark(frame, text));
    }

    /// The connections that go on from here, by number.
    pub(super) fn going(&self, writer: &CaptureWriter) -> Vec<Going> {
        let mut going: Vec<Going> = self
            .dissectors
            .iter()
            .filter_map(|(id, dissector)| {
                let (is_over, sides) = dissector.halfway();
                let sequence = writer.packets().conversation(id)?.sequence();
                let ended = dissector.connection.socket_ends;
                Some(Going { id, is_over, sides, sequence, ended, latest: self.latest })
            })
            .collect();
        going.sort_unstable_by_key(|one| one.id);
        going
    }

    /// What came before will go: notes from where on compressed messages can be inflated then.
    pub(super) fn border(&mut self, index: &mut Index) {
        for dissector in self.dissectors.iter_mut() {
            for from in Side::BOTH {
                if let Some((offset, place)) = dissector.directions[from as usize].border() {
                    index.add_checkpoint(dissector.connection.id, from, offset, place);
                }
            }
        }
    }

    /// What `from` sent on a connection before is not there.
    pub(super) fn resume(&mut self, connection: ConnectionId, from: Side, before: &Before) {
        if let Some(dissector) = self.dissectors.get(connection) {
            dissector.resume(from, before);
            self.changed.push(connection);
            if before.bytes > 0 {
                self.steps.connection = connection;
                self.steps.push(Step::BeginningGone(from));
            }
        }
    }

    /// So many frames and connections came before all that there is.
    pub(super) fn gone(&mut self, frames: u64, connections: u64) {
        self.steps.begin_after(frames);
        self.steps.push(Step::Gone(frames, connections));
    }

    /// What `from` began to send at `old` stands at `new` from now on, if anywhere; returned is whether that is a frame
    /// of which more is to come.
    pub(super) fn move_begun(&mut self, id: ConnectionId, from: Side, old: Position, new: Option<Position>) -> bool {
        self.dissectors.get(id).is_some_and(|dissector| dissector.move_begun(from, old, new))
    }

    /// What stood in the file before `kept_from` is not there any more.
    pub(super) fn forget_held(&mut self, kept_from: u64) {
        self.dissectors.iter_mut().for_each(|dissector| dissector.forget_held(kept_from));
    }

    /// Adds to the index what was derived; the file now has `length` bytes, and `missing` ones are not in it.
    pub(super) fn apply(&mut self, index: &mut Index, length: u64, missing: u64) {
        let mut news = std::mem::take(&mut self.news);
        self.take(&mut news);
        news.apply(index, length, missing);
        self.news = news;
    }

    /// Takes out what was derived, into `news` that holds nothing.
    pub(super) fn take(&mut self, news: &mut News) {
        self.changed.sort_unstable();
        self.changed.dedup();
        for id in self.changed.drain(..) {
            let Some(dissector) = self.dissectors.get(id) else { continue };
            dissector.has_news = false;
            dissector.settle();
            news.connections.push(dissector.connection.clone());
            if dissector.connection.ended.is_some() {
                self.dissectors.remove(id);
            }
        }
        self.steps.swap(&mut news.frames, &mut news.steps);
        news.latest = self.latest;
        news.message_limit = self.limits.max_message;
    }
}
