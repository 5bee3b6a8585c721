//! What was seen: the capture file, the index over it, and the thread that writes both.
//!
//! The bytes are the truth: chunks go to the file as they came, and frames, findings and verdicts are derived from them.
//! Everyone who shows something reads it from [`Capture`], and only what they show.

mod ahead;
mod archived;
mod bulk;
mod checkpoints;
mod connection;
mod deflation;
mod direction;
mod dissector;
mod dissectors;
mod event;
mod exchange;
mod file;
pub mod filter;
mod follower;
mod frame_entry;
mod frame_store;
mod gather;
mod gone;
mod growing;
mod index;
mod inflated;
mod keep;
mod mark;
mod news;
mod open;
mod packets;
mod pcapng;
mod pings;
mod place;
mod prelude;
mod reaction;
mod reads;
mod recorder;
mod recording;
mod remark;
mod requests;
mod resync;
mod settle;
mod statistics;
mod tcp;
mod tls;
mod tunnel;
mod verdict;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};

pub use archived::ArchivedEnd;
pub use connection::{CloseFrame, Connection, ConnectionState};
pub use deflation::Deflated;
pub use event::{
    Account, Cause, Clock, ConnectionId, Delay, Event, EventKind, Note, Origin, SentOn, SocketEnd, Timestamp, Vantage,
};
pub use exchange::Exchange;
pub use file::{CaptureReader, CaptureWriter, Position};
pub use follower::{Follower, Item};
pub use frame_entry::FrameEntry;
pub use growing::Growing;
pub use index::{Index, Milestone, MilestoneKind, Totals};
pub use inflated::{Inflated, MessageReader, NotInflated};
pub use mark::Mark;
pub use open::{OpenError, Opened, ReadProgress, Reading, open};
pub use packets::{GoneBefore, PacketWriter};
pub use pings::PingLedger;
pub use reaction::{Did, Due, Reaction};
pub use reads::{Read, Reads};
pub use recorder::{Marker, Recorder, RecorderThread, start};
pub use recording::{KeepError, Leftovers, Recording, RecordingError, leftovers, state_folder};
pub use statistics::{Histogram, Statistics, Tally, Timeline};
pub use tls::{Certificate, Tls};
pub use tunnel::{Tunnel, Unopened};
pub use verdict::{By, How, Verdict};

use self::checkpoints::Checkpoints;
use crate::wire::{Side, mask};

/// What has been recorded so far, shared by everyone who shows it.
#[derive(Debug)]
pub struct Capture {
    index: RwLock<Index>,
    reader: CaptureReader,
    generation: AtomicU64,
    changed: Condvar,
    /// How many wait for that.
    waiting: Mutex<usize>,
    /// How many are at work who need the oldest frames, too.
    holds: AtomicUsize,
    /// How far the file has been copied, where it is copied while it is written.
    copied: AtomicU64,
}

/// While this is there, the oldest frames of a recording that is kept within a size go only where it would grow to twice
/// that size otherwise.
#[derive(Debug)]
pub struct Hold<'a>(&'a Capture);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Capture {
    /// A capture whose bytes are read back by `reader`.
    pub fn new(reader: CaptureReader) -> Self {
        Self {
            index: RwLock::default(),
            reader,
            generation: AtomicU64::new(0),
            changed: Condvar::new(),
            waiting: Mutex::new(0),
            holds: AtomicUsize::new(0),
            copied: AtomicU64::new(u64::MAX),
        }
    }

    /// Holds on to the oldest frames for a while.
    pub fn hold(&self) -> Hold<'_> {
        self.holds.fetch_add(1, Ordering::AcqRel);
        Hold(self)
    }

    fn is_held(&self) -> bool {
        self.holds.load(Ordering::Acquire) > 0
    }

    /// The file is being copied elsewhere, and that is done up to `length`: what comes after it does not go.
    pub fn set_copied(&self, length: u64) {
        self.copied.store(length, Ordering::Release);
    }

    fn copied(&self) -> u64 {
        self.copied.load(Ordering::Acquire)
    }

    /// One that keeps up to `bytes` of memory to find its way in compressed conversations; the usual is 64 MiB.
    pub fn with_checkpoints(reader: CaptureReader, bytes: usize) -> Self {
        let capture = Self::new(reader);
        capture.update(|index| index.checkpoints = Checkpoints::new(bytes));
        capture
    }

    /// Grows whenever something was recorded.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Waits until the generation is no longer `seen`.
    pub fn wait(&self, seen: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting += 1;
        let changed = self.changed.wait_while(waiting, |_| self.generation() == seen);
        *changed.unwrap_or_else(PoisonError::into_inner) -= 1;
    }

    /// Wakes those who wait, although nothing was recorded.
    pub fn wake(&self) {
        // under the lock, so that nobody who is about to wait misses it
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::Release);
        if *waiting > 0 {
            self.changed.notify_all();
        }
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
    /// none where they could not be recorded. If the frame is gone, that is [`Gone`].
    pub fn frame_bytes(&self, frame: &FrameEntry, range: Range<u64>) -> io::Result<Vec<u8>> {
        let header = frame.header();
        let mut end = range.end.min(header.length.saturating_add(header.len() as u64));
        let from = frame.from();
        let connection = self
            .index()
            .connection(frame.connection())
            .map(|connection| (connection.addresses(), connection.bytes[from as usize]));
        let (Some(position), Some((addresses, sent))) = (frame.position(), connection) else {
            return if connection.is_none() { Err(Gone::error()) } else { Ok(Vec::new()) };
        };
        if !frame.is_complete() {
            end = end.min(sent.saturating_sub(frame.offset()));
        }
        let length = usize::try_from(end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let bytes = self.reader.read(addresses, from, position, range.start, length);
        // it may have gone while it was read
        if self.index().is_there(position) { bytes } else { Err(Gone::error()) }
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
        loop {
            let index = self.index();
            let place = index.connection(connection).and_then(|connection| {
                let (position, length) = connection.heads[side as usize]?;
                index.is_there(position).then_some((connection.addresses(), position, length))
            });
            drop(index);
            let Some((addresses, position, length)) = place else { return Ok(None) };
            let head = self.reader.read(addresses, side, position, 0, length)?;
            // it may have been written anew elsewhere while it was read
            if self.index().is_there(position) {
                return Ok(Some(head));
            }
        }
    }

    /// The head that `side` sent of a request that is no upgrade, as it was on the wire.
    pub fn exchange_head(&self, exchange: &Exchange, side: Side) -> io::Result<Option<Vec<u8>>> {
        let addresses = self.index().connection(exchange.connection).map(Connection::addresses);
        let place = addresses.zip(exchange.heads[side as usize]);
        let Some((addresses, (position, length))) = place else { return Ok(None) };
        let head = self.reader.read(addresses, side, position, 0, length)?;
        // it may have gone while it was read
        Ok(Some(head).filter(|_| self.index().is_there(position)))
    }

    fn update(&self, change: impl FnOnce(&mut Index)) {
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
        self.wake();
    }
}

/// The bytes of a frame are not there any more: the recording is kept within a size.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

impl Gone {
    fn error() -> io::Error {
        io::Error::other(Self)
    }

    /// Whether this is why reading failed.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the oldest frames went meanwhile, for the recording is kept within --keep")
    }
}

impl std::error::Error for Gone {}
