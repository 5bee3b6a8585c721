//! A capture, or a part of it, in a file of another kind.

mod file;
mod har;
mod needed;
mod payload;
mod pcapng;
mod pieces;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

pub use file::{ExportError, to_file};

use super::{jsonl, text};
use crate::capture::filter::Sieve;
use crate::capture::{Capture, ConnectionId, Follower, Gone, Item, Totals};

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A capture file, which Wireshark opens.
    Pcapng,
    /// HTTP Archive 1.2 with WebSocket messages, which the developer tools of browsers import.
    Har,
    /// An object a line: frames and messages.
    JsonLines,
    /// A line a frame, for people.
    Text,
    /// The payload of one message: its frames' payloads, unmasked and joined; inflated if it is compressed.
    Payload,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pcapng, Self::Har, Self::JsonLines, Self::Text, Self::Payload];

    /// `pcapng har jsonl text payload`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcapng => "pcapng",
            Self::Har => "har",
            Self::JsonLines => "jsonl",
            Self::Text => "text",
            Self::Payload => "payload",
        }
    }

    /// What a file of that name holds, by its suffix.
    pub fn of_path(path: &Path) -> Option<Self> {
        let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match suffix.as_str() {
            "pcapng" => Self::Pcapng,
            "har" => Self::Har,
            "jsonl" | "json" | "ndjson" => Self::JsonLines,
            "txt" => Self::Text,
            "bin" => Self::Payload,
            _ => return None,
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("expected one of {names}, found \"{name}\"")
        })
    }
}

/// Which frames are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything that was recorded, also what is no frame.
    All,
    /// Those with these numbers, ascending, and the opening handshakes of their connections.
    Frames(Vec<u64>),
}

impl Selection {
    fn has(&self, n: u64) -> bool {
        match self {
            Self::All => true,
            Self::Frames(numbers) => numbers.binary_search(&n).is_ok(),
        }
    }
}

/// Those of the frames up to `last` that a filter lets through and that come after frame `hidden`, once it has looked at
/// all of them.
pub fn sifted(sieve: &Sieve, hidden: u64, last: u64, progress: &Progress) -> Result<Selection, Stop> {
    progress.total.store(last, Ordering::Relaxed);
    progress.filters.store(true, Ordering::Relaxed);
    loop {
        let looked_at = sieve.looked_at().min(last);
        progress.is_at(looked_at)?;
        if looked_at == last {
            break;
        }
        thread::sleep(LOOK);
    }
    progress.filters.store(false, Ordering::Relaxed);
    let frames = &sieve.sifted().frames;
    let places = frames.count_to(hidden)..frames.count_to(last);
    Ok(Selection::Frames(places.filter_map(|place| frames.get(place)).collect()))
}

/// How often it is looked how far a filter is.
const LOOK: Duration = Duration::from_millis(5);

/// How far an export is, for whoever waits for it, and whether it is still wanted.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    filters: AtomicBool,
    cancelled: AtomicBool,
}

impl Progress {
    /// Frames looked at, of how many.
    pub fn so_far(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Whether it is not yet known which frames are exported: so far is then how far the filter is.
    pub fn is_filtering(&self) -> bool {
        self.filters.load(Ordering::Relaxed)
    }

    /// The export is to end, and to leave nothing behind.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn is_at(&self, done: u64) -> Result<(), Stop> {
        self.done.store(done, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) { Err(Stop::Cancelled) } else { Ok(()) }
    }
}

/// Why an export ended early.
#[derive(Debug)]
pub enum Stop {
    /// [`Progress::cancel`] was called.
    Cancelled,
    /// What was chosen can't be exported so: why, in a sentence.
    Refused(&'static str),
    /// Reading or writing failed.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the export was cancelled"),
            Self::Refused(why) => f.write_str(why),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Stop {}

/// The largest payload that JSON Lines hold whole.
const JSON_PAYLOAD: u64 = 64 << 20;
/// Payload bytes that a line of text shows.
const TEXT_PAYLOAD: u64 = 4096;

/// Writes what `capture` holds by now; returned is how many frames that were. What is recorded meanwhile is left out.
pub fn write(
    capture: &Capture,
    kind: Kind,
    selection: &Selection,
    progress: &Progress,
    out: &mut dyn Write,
) -> Result<u64, Stop> {
    let _hold = capture.hold();
    let mut walk = Walk::new(capture, selection, progress);
    match kind {
        Kind::Pcapng => pcapng::write(&mut walk, out)?,
        Kind::Har => har::write(&mut walk, out)?,
        Kind::JsonLines => {
            let mut lines = jsonl::JsonLines::new(jsonl::Options { payload_limit: JSON_PAYLOAD, messages: true });
            walk.each(|item, chosen| match item {
                Item::Frame(n, entry, _) if !chosen => Ok(lines.skip(&mut &mut *out, capture, *n, entry)?),
                item => Ok(lines.write(&mut &mut *out, capture, item)?),
            })?;
        }
        Kind::Text => {
            let options = text::Options { payload_limit: TEXT_PAYLOAD, color: false, ascii: false };
            let mut lines = text::TextLines::new(options);
            walk.each(|item, chosen| if chosen { Ok(lines.write(&mut &mut *out, capture, item)?) } else { Ok(()) })?;
        }
        Kind::Payload => payload::write(&mut walk, out)?,
    }
    out.flush()?;
    Ok(walk.written)
}

/// A walk through everything that had been recorded when it began.
struct Walk<'a> {
    capture: &'a Capture,
    selection: &'a Selection,
    progress: &'a Progress,
    /// The last frame of the walk.
    last: u64,
    /// Frames that were gone when it began.
    gone: u64,
    /// Chosen frames so far.
    written: u64,
}

/// How many things are taken from the capture at once.
const BATCH: usize = 512;

impl<'a> Walk<'a> {
    fn new(capture: &'a Capture, selection: &'a Selection, progress: &'a Progress) -> Self {
        let Totals { frames: last, gone, .. } = capture.index().totals();
        progress.total.store(last, Ordering::Relaxed);
        Self { capture, selection, progress, last, gone, written: 0 }
    }

    /// An export is whole, or there is none: nothing up to frame `n` may have gone since it began.
    fn is_there(&self, n: u64) -> Result<(), Stop> {
        let gone = self.capture.index().gone();
        if gone > self.gone && gone.min(n) > self.gone { Err(io::Error::other(Gone).into()) } else { Ok(()) }
    }

    /// The connections of the chosen frames; `None` stands for all there are.
    fn connections(&self) -> Option<BTreeSet<ConnectionId>> {
        let Selection::Frames(numbers) = self.selection else { return None };
        let mut chosen = BTreeSet::new();
        for numbers in numbers.chunks(4096) {
            let index = self.capture.index();
            chosen.extend(numbers.iter().filter_map(|n| Some(index.frame(*n)?.connection())));
        }
        Some(chosen)
    }

    /// Hands everything on that happened on the chosen connections, and of each frame whether it is chosen.
    fn each(&mut self, mut take: impl FnMut(&Item, bool) -> Result<(), Stop>) -> Result<(), Stop> {
        let connections = self.connections();
        let is_chosen = |id: ConnectionId| connections.as_ref().is_none_or(|chosen| chosen.contains(&id));
        let mut follower = Follower::default();
        loop {
            let items = follower.next(self.capture, BATCH);
            if items.is_empty() {
                return Ok(());
            }
            for item in &items {
                match item {
                    Item::Gone(frames) if *frames.end() > self.gone => return self.is_there(*frames.end()),
                    Item::Gone(_) if *self.selection == Selection::All => take(item, true)?,
                    Item::Gone(_) => {}
                    Item::Frame(n, ..) if *n > self.last => return Ok(()),
                    Item::Frame(n, entry, _) => {
                        self.progress.is_at(*n)?;
                        let chosen = self.selection.has(*n);
                        self.written += u64::from(chosen);
                        if is_chosen(entry.connection()) {
                            take(item, chosen)?;
                            if self.capture.index().gone() >= *n {
                                self.is_there(*n)?;
                            }
                        }
                    }
                    Item::Opened(connection)
                    | Item::Refused(connection)
                    | Item::Closed(connection)
                    | Item::Exchanged(connection, _) => {
                        if is_chosen(connection.id) {
                            take(item, true)?;
                        }
                    }
                }
            }
        }
    }
}
