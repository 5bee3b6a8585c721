//! What was seen: the capture file, the index over it, and the thread that writes both.
//!
//! The bytes are the truth: chunks go to the file as they came, and frames, findings and verdicts are derived from them.
//! Everyone who shows something reads it from [`Capture`], and only what they show.

mod connection;
mod direction;
mod dissector;
mod event;
mod file;
pub mod filter;
mod follower;
mod index;
mod mark;
mod open;
mod packets;
mod pcapng;
mod pings;
mod place;
mod recorder;
mod recording;
mod remark;
mod resync;
mod statistics;
mod tcp;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};

pub use connection::{By, CloseFrame, Connection, ConnectionState, How, Verdict};
pub use event::{Cause, Clock, ConnectionId, Event, EventKind, Note, Origin, SentOn, SocketEnd, Timestamp, Vantage};
pub use file::{CaptureReader, CaptureWriter, Position};
pub use follower::{Follower, Item};
pub use index::{FrameEntry, Index, Milestone, MilestoneKind, Totals};
pub use mark::Mark;
pub use open::{OpenError, Opened, Reading, open};
pub use packets::PacketWriter;
pub use recorder::{Marker, Recorder, RecorderThread, start};
pub use recording::{KeepError, Recording, RecordingError};
pub use statistics::{Histogram, Statistics, Tally, Timeline};

use crate::wire::{Side, mask};

/// What has been recorded so far, shared by everyone who shows it.
#[derive(Debug)]
pub struct Capture {
    index: RwLock<Index>,
    reader: CaptureReader,
    generation: AtomicU64,
    changed: Condvar,
    changed_lock: Mutex<()>,
}

impl Capture {
    /// A capture whose bytes are read back by `reader`.
    pub fn new(reader: CaptureReader) -> Self {
        Self {
            index: RwLock::default(),
            reader,
            generation: AtomicU64::new(0),
            changed: Condvar::new(),
            changed_lock: Mutex::new(()),
        }
    }

    /// Grows whenever something was recorded.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Waits until the generation is no longer `seen`.
    pub fn wait(&self, seen: u64) {
        let lock = self.changed_lock.lock().unwrap_or_else(PoisonError::into_inner);
        // the guard is all that is of interest; whoever asks looks at the generation again
        drop(self.changed.wait_while(lock, |()| self.generation() == seen));
    }

    /// Wakes those who wait, although nothing was recorded.
    pub fn wake(&self) {
        // under the lock, so that nobody who is about to wait misses it
        let _lock = self.changed_lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::Release);
        self.changed.notify_all();
    }

    /// The index, for a short look: the recorder waits meanwhile.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The capture file.
    pub fn reader(&self) -> &CaptureReader {
        &self.reader
    }

    /// Bytes `range` of a frame as they were on the wire, header first. Fewer come back where the frame is cut short,
    /// none where they could not be recorded.
    pub fn frame_bytes(&self, frame: &FrameEntry, range: Range<u64>) -> io::Result<Vec<u8>> {
        let header = frame.header();
        let mut end = range.end.min(header.length.saturating_add(header.len() as u64));
        let from = frame.from();
        let connection = self
            .index()
            .connection(frame.connection())
            .map(|connection| (connection.addresses(), connection.bytes[from as usize]));
        let (Some(position), Some((addresses, sent))) = (frame.position(), connection) else {
            return Ok(Vec::new());
        };
        if !frame.is_complete() {
            end = end.min(sent.saturating_sub(frame.offset()));
        }
        let length = usize::try_from(end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        self.reader.read(addresses, from, position, range.start, length)
    }

    /// Payload bytes `range` of a frame, unmasked. Fewer come back as in [`Capture::frame_bytes`].
    pub fn payload(&self, frame: &FrameEntry, range: Range<u64>) -> io::Result<Vec<u8>> {
        let header = frame.header();
        let header_len = header.len() as u64;
        let wire = range.start.saturating_add(header_len)..range.end.saturating_add(header_len);
        let mut bytes = self.frame_bytes(frame, wire)?;
        if let Some(key) = header.masking_key {
            mask(&mut bytes, key, range.start);
        }
        Ok(bytes)
    }

    /// The head that `side` sent in the opening handshake, as it was on the wire; `None` if none came whole.
    pub fn head(&self, connection: ConnectionId, side: Side) -> io::Result<Option<Vec<u8>>> {
        let place = self.index().connection(connection).and_then(|connection| {
            connection.heads[side as usize].map(|(position, length)| (connection.addresses(), position, length))
        });
        place.map(|(addresses, position, length)| self.reader.read(addresses, side, position, 0, length)).transpose()
    }

    fn update(&self, change: impl FnOnce(&mut Index)) {
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
        self.wake();
    }
}
