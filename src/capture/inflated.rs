//! Compressed messages read back from the capture file, inflated.
//!
//! With context takeover a message refers back to earlier ones. So reading begins at the nearest checkpoint before it, and
//! goes through the compressed messages of its direction in order; whoever reads on in order never begins anew.

use std::fmt;

use super::event::{ConnectionId, Vantage};
use super::frame_entry::FrameEntry;
use super::index::Index;
use super::{Capture, checkpoints::Checkpoint};
use crate::wire::{InflateError, Inflater, Opcode, Side};

/// Reads compressed messages. It keeps the streams that were read last, 32 KiB each, and no payload.
#[derive(Debug)]
pub struct MessageReader {
    /// The one that was used last is the last.
    streams: Vec<Stream>,
    most: usize,
}

/// A compressed message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// The number of its first frame.
    pub first: u64,
    /// The number of its last frame so far.
    pub last: u64,
    /// Payload bytes of its frames: what crossed the wire.
    pub wire_length: u64,
    /// Bytes that they gave.
    pub length: u64,
    /// Whether it may refer back to earlier messages.
    pub takes_over: bool,
    /// Why that is not all of it.
    pub outcome: Result<(), NotInflated>,
}

/// Why a compressed message, or the rest of it, can't be shown inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotInflated {
    /// Its last frame has not come.
    Unfinished,
    /// The answer of the server makes no sense.
    NotAgreed,
    /// The capture began in the middle of the connection.
    BegunLate,
    /// It is not DEFLATE.
    Corrupt {
        /// The byte of the compressed payload that shows it.
        offset: u64,
    },
    /// It ends inside a block of DEFLATE.
    Torn,
    /// It is more than the limit.
    TooBig {
        /// The limit in bytes.
        limit: u64,
    },
    /// Bytes of it are not in the capture.
    Missing,
    /// An earlier message, which it may refer to, is not kept any more.
    Gone,
    /// An earlier message, which it may refer to, was not inflated to its end.
    Lost {
        /// The number of the frame from which on that is so.
        since: u64,
    },
}

impl fmt::Display for NotInflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => f.write_str("its last frame has not come"),
            Self::NotAgreed => f.write_str("the server's answer about compression makes no sense"),
            Self::BegunLate => {
                f.write_str("the capture began in the middle of the connection, and earlier messages are needed")
            }
            Self::Corrupt { offset } => write!(f, "no DEFLATE from byte {offset} of the compressed message on"),
            Self::Torn => f.write_str("it ends inside a block of DEFLATE"),
            Self::TooBig { limit } => write!(f, "it is more than {limit} bytes, where inflating stopped"),
            Self::Gone => f.write_str("it may refer to earlier messages, which are not kept any more"),
            Self::Missing => f.write_str("bytes of it are missing in the capture"),
            Self::Lost { since } => {
                write!(f, "it may refer to earlier messages, and from frame {since} on those are not known")
            }
        }
    }
}

impl Default for MessageReader {
    fn default() -> Self {
        Self::keeping(16)
    }
}

impl MessageReader {
    /// One that goes through many connections at once: it keeps up to `most` streams.
    pub fn keeping(most: usize) -> Self {
        Self { streams: Vec::new(), most: most.max(1) }
    }

    /// Reads the compressed message that begins with frame `first`, as far as it has come. Its bytes go to `sink`, in
    /// pieces. `None` if there is no such frame, or it begins no compressed message.
    pub fn read(&mut self, capture: &Capture, first: u64, mut sink: impl FnMut(&[u8])) -> Option<Inflated> {
        let index = capture.index();
        let entry = index.frame(first)?;
        if !begins(&entry) || !entry.is_compressed() {
            return None;
        }
        let (connection, from) = (entry.connection(), entry.from());
        let checkpoint = index.checkpoints.before(connection, from, first);
        let open = self.streams.iter().enumerate();
        let open = open.filter(|(_, stream)| stream.is_of(connection, from) && stream.can_reach(first));
        let nearest = open.max_by_key(|(_, stream)| stream.next).map(|(place, stream)| (place, stream.next));
        let reuse = nearest.filter(|(_, next)| checkpoint.is_none_or(|checkpoint| checkpoint.after < *next));
        let new = reuse.is_none().then(|| Stream::new(&index, &entry, first, checkpoint));
        drop(index);
        let mut stream = match (reuse, new) {
            (Some((place, _)), _) => self.streams.remove(place),
            (None, stream) => {
                if self.streams.len() == self.most {
                    self.streams.remove(0);
                }
                stream?
            }
        };
        let inflated = stream.read(capture, first, &mut sink);
        self.streams.push(stream);
        Some(inflated)
    }

    /// The same, with the first `most` bytes of the message.
    pub fn beginning(&mut self, capture: &Capture, first: u64, most: usize) -> Option<(Inflated, Vec<u8>)> {
        let mut bytes = Vec::new();
        let inflated = self.read(capture, first, |piece| {
            bytes.extend_from_slice(&piece[..piece.len().min(most - bytes.len())]);
        })?;
        Some((inflated, bytes))
    }
}

fn begins(entry: &FrameEntry) -> bool {
    let opcode = entry.header().opcode;
    !opcode.is_control() && opcode != Opcode::CONTINUATION
}

/// One direction of a connection, read up to somewhere.
#[derive(Debug)]
struct Stream {
    connection: ConnectionId,
    from: Side,
    inflater: Inflater,
    /// The next frame of the capture that is looked at.
    next: u64,
    /// Where the direction's next frame begins, if nothing is missing.
    offset: Option<u64>,
    /// A compressed message has begun: its first frame.
    message: Option<u64>,
    /// Why the message at hand can't be inflated.
    failed: Option<NotInflated>,
    /// Why no message from here on can be.
    lost: Option<NotInflated>,
}

/// The most frames that are looked at before the recorder gets its turn.
const PIECE: u64 = 8192;
/// The most frames of a direction that are taken at once.
const BATCH: usize = 64;
/// Payload bytes that are read at once.
const READ: u64 = 256 << 10;

impl Stream {
    fn new(index: &Index, entry: &FrameEntry, first: u64, checkpoint: Option<&Checkpoint>) -> Self {
        let (connection, from) = (entry.connection(), entry.from());
        let known = index.connection(connection);
        let agreement = known.and_then(|connection| connection.deflate);
        let takes_over = agreement.is_none_or(|agreement| agreement.takes_over(from));
        let limit = index.message_limit;
        let lost = match (agreement, checkpoint) {
            (None, _) if known.is_some_and(|known| known.vantage == Vantage::Late) => Some(NotInflated::BegunLate),
            (None, _) => Some(NotInflated::NotAgreed),
            (Some(_), None) if takes_over => Some(NotInflated::Gone),
            (Some(_), _) => None,
        };
        let start = checkpoint.filter(|_| takes_over && lost.is_none());
        Self {
            connection,
            from,
            inflater: match start {
                Some(checkpoint) => Inflater::resume(&checkpoint.window, limit),
                None => Inflater::new(takes_over, limit),
            },
            next: start.map_or(first, |checkpoint| checkpoint.after + 1),
            offset: start.map(|checkpoint| checkpoint.offset),
            message: None,
            failed: None,
            lost,
        }
    }

    fn is_of(&self, connection: ConnectionId, from: Side) -> bool {
        self.connection == connection && self.from == from
    }

    /// Whether it can go on to frame `first`.
    fn can_reach(&self, first: u64) -> bool {
        !self.inflater.takes_over() || self.next <= first
    }

    fn read(&mut self, capture: &Capture, first: u64, sink: &mut dyn FnMut(&[u8])) -> Inflated {
        if self.inflater.takes_over() && self.lost.is_none() {
            self.go_to(capture, first);
        } else {
            if self.message.take().is_some() {
                self.inflater.abandon();
            }
            (self.next, self.offset, self.failed) = (first, None, None);
        }
        let takes_over = self.inflater.takes_over();
        let (mut wire_length, mut length, mut last) = (0, 0, first);
        let mut sink = |piece: &[u8]| {
            length += piece.len() as u64;
            sink(piece);
        };
        let outcome = 'message: loop {
            let (frames, _) = self.frames(capture, u64::MAX, true);
            if frames.is_empty() {
                break self.failed.or(self.lost).map_or(Err(NotInflated::Unfinished), Err);
            }
            for (n, entry) in frames {
                if n > first && begins(&entry) {
                    break 'message Err(NotInflated::Unfinished);
                }
                let outcome = self.frame(capture, n, &entry, &mut sink);
                if entry.is_compressed() {
                    wire_length += entry.header().length;
                    last = n;
                }
                if let Some(outcome) = outcome {
                    break 'message outcome;
                }
            }
        };
        Inflated { first, last, wire_length, length, takes_over, outcome }
    }

    /// Inflates what comes before frame `until`.
    fn go_to(&mut self, capture: &Capture, until: u64) {
        while self.next < until {
            let (frames, end) = self.frames(capture, until, false);
            for (n, entry) in &frames {
                self.frame(capture, *n, entry, &mut |_| {});
            }
            if frames.is_empty() && end == self.next {
                // the frames from here on are not kept any more
                self.lose(NotInflated::Gone);
                self.next = until;
            } else if frames.len() < BATCH {
                self.next = end;
            }
        }
    }

    /// The next frames of the direction before frame `until`, and up to where that was looked; `to_end` if no further than
    /// the next last frame of a message.
    fn frames(&mut self, capture: &Capture, until: u64, to_end: bool) -> (Vec<(u64, FrameEntry)>, u64) {
        let mut frames = Vec::new();
        let mut n = self.next;
        loop {
            let index = capture.index();
            let end = until.min(n + PIECE);
            while n < end
                && let Some(entry) = index.frame(n)
            {
                n += 1;
                if entry.connection() == self.connection && entry.from() == self.from {
                    frames.push((n - 1, entry));
                    let header = entry.header();
                    let ends = header.fin && !header.opcode.is_control();
                    if frames.len() == BATCH || (to_end && ends) {
                        return (frames, n);
                    }
                }
            }
            if n < end || n == until {
                return (frames, n);
            }
        }
    }

    /// Takes the direction's next frame. What its message came to is returned with its last one.
    fn frame(
        &mut self,
        capture: &Capture,
        n: u64,
        entry: &FrameEntry,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Option<Result<(), NotInflated>> {
        let header = entry.header();
        self.next = n + 1;
        if self.offset.is_some_and(|offset| offset != entry.offset()) {
            self.lose(NotInflated::Lost { since: n });
        }
        self.offset = Some(entry.offset().saturating_add(header.len() as u64).saturating_add(header.length));
        if header.opcode.is_control() {
            return None;
        }
        if begins(entry) {
            if let Some(interrupted) = self.message.take() {
                self.lose(NotInflated::Lost { since: interrupted });
            }
            self.failed = None;
            self.message = entry.is_compressed().then_some(n);
        }
        let message = self.message?;
        if self.failed.is_none() && self.lost.is_none() {
            self.failed = self.payload(capture, entry, sink).err();
            if self.failed == Some(NotInflated::Missing) && !entry.is_complete() {
                self.failed = Some(NotInflated::Unfinished);
            }
        }
        if !header.fin || !entry.is_complete() {
            return None;
        }
        self.message = None;
        let outcome = match self.lost.or(self.failed.take()) {
            Some(why) => Err(why),
            None => self.inflater.finish().map_err(NotInflated::from),
        };
        if outcome.is_err() {
            self.lose(NotInflated::Lost { since: message });
        }
        Some(outcome)
    }

    fn payload(
        &mut self,
        capture: &Capture,
        entry: &FrameEntry,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), NotInflated> {
        let length = entry.header().length;
        let mut at = 0;
        while at < length {
            let end = length.min(at.saturating_add(READ));
            // what can't be read back is not there
            let piece = capture.payload(entry, at..end).unwrap_or_default();
            self.inflater.push(&piece, &mut *sink)?;
            at += piece.len() as u64;
            if at < end {
                return Err(NotInflated::Missing);
            }
        }
        Ok(())
    }

    /// The message at hand is given up, and with it what refers to it.
    fn lose(&mut self, why: NotInflated) {
        self.inflater.abandon();
        if self.inflater.takes_over() {
            self.lost.get_or_insert(why);
        } else if self.message.is_some() {
            self.failed.get_or_insert(NotInflated::Missing);
        }
    }
}

impl From<InflateError> for NotInflated {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt { offset } => Self::Corrupt { offset },
            InflateError::Unfinished => Self::Torn,
            InflateError::TooBig { limit } => Self::TooBig { limit },
            // it is noticed before
            InflateError::Lost => Self::Missing,
        }
    }
}
