//! No screen: what happens is printed to standard output, as it is recorded.

mod input;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::capture::filter::{Filter, Matcher};
use crate::capture::{Capture, Follower, FrameEntry, Gone, Item};
use crate::formats::{jsonl, plain, text};
pub use input::{InputOptions, read_standard_input};

/// In which form things are printed.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A line a frame, for people.
    Text(text::Options),
    /// JSON Lines.
    Json(jsonl::Options),
    /// The messages of the server, as they are.
    Messages(plain::Options),
    /// The capture file itself, as it is written.
    Recording,
}

/// The thread that prints.
#[derive(Debug)]
pub struct Printer {
    capture: Arc<Capture>,
    progress: Arc<Progress>,
    thread: Thread,
    /// Resolves when printing ends: because all is printed, or because nobody reads any more. `None` once it has.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Nothing more will be recorded.
    last: AtomicBool,
    /// A write to standard output is going on.
    writing: AtomicBool,
    /// How many have come to their end.
    writes: AtomicU64,
}

/// How many things are taken from the capture at once.
const BATCH: usize = 512;
/// Bytes that are written at once.
const BUFFER: usize = 64 * 1024;
/// How long the printer rests once it has printed all there is: what comes meanwhile is printed together. To be woken for
/// every little of it would cost more than to print it.
const REST: Duration = Duration::from_millis(3);
/// How long a reader of our output may take nothing when the program ends.
const PATIENCE: Duration = Duration::from_secs(1);

impl Printer {
    /// Prints what happens in `capture`; of the frames only those that match `filter`.
    pub fn start(capture: Arc<Capture>, form: Form, filter: Option<Filter>) -> io::Result<Self> {
        if matches!(form, Form::Recording) {
            // nothing goes before it is printed
            capture.set_copied(0);
        }
        let progress = Arc::new(Progress::default());
        let (end, ended) = oneshot::channel();
        let (shared, seen) = (progress.clone(), capture.clone());
        let thread = thread::Builder::new().name("printer".to_owned()).spawn(move || {
            let result = print(&seen, form, filter, &shared);
            // if nobody waits for the end any more, the program is on its way out
            let _ = end.send(match result {
                // whoever read our output has had enough
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                result => result,
            });
        })?;
        Ok(Self { capture, progress, thread: thread.thread().clone(), ended: Some(ended) })
    }

    /// Waits until printing ends before it is told to: nobody reads our output any more.
    pub async fn ended(&mut self) -> io::Result<()> {
        let Some(ended) = &mut self.ended else { return Ok(()) };
        let result = ended.await.unwrap_or(Ok(()));
        self.ended = None;
        result
    }

    /// Printing ends once everything is printed that has been recorded by now, however long its reader takes.
    pub fn nothing_more(&self) {
        self.progress.last.store(true, Ordering::Release);
        self.capture.wake();
        // it may rest
        self.thread.unpark();
    }

    /// Prints what is left, after everything was recorded. A reader that takes nothing for a second is given up.
    pub async fn finish(mut self) -> io::Result<()> {
        self.nothing_more();
        let mut writes = self.progress.writes.load(Ordering::Relaxed);
        let mut since = Instant::now();
        loop {
            if let Ok(end) = tokio::time::timeout(Duration::from_millis(100), self.ended()).await {
                return end;
            }
            let now = self.progress.writes.load(Ordering::Relaxed);
            // what takes time between two writes is our own work, not the reader's
            if now != writes || !self.progress.writing.load(Ordering::Relaxed) {
                (writes, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return Ok(());
            }
        }
    }
}

/// Standard output, watched while it is written to.
struct Watched<'a, W> {
    inner: W,
    progress: &'a Progress,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // in pieces, so that a slow reader of a long line is told from one that reads nothing
        let piece = &bytes[..bytes.len().min(BUFFER)];
        self.progress.writing.store(true, Ordering::Relaxed);
        let result = self.inner.write(piece);
        self.progress.writing.store(false, Ordering::Relaxed);
        self.progress.writes.fetch_add(1, Ordering::Relaxed);
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn print(capture: &Capture, form: Form, filter: Option<Filter>, progress: &Progress) -> io::Result<()> {
    let mut screened = filter.map(Screened::new);
    // past the standard library's own buffer, which would hide how far the writing has come
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut out = io::BufWriter::with_capacity(BUFFER, Watched { inner: stdout, progress });
    let mut writer = match form {
        Form::Text(options) => Writer::Text(text::TextLines::new(options)),
        Form::Json(options) => Writer::Json(jsonl::JsonLines::new(options)),
        Form::Messages(options) => Writer::Messages(plain::PlainMessages::new(options)),
        Form::Recording => return copy(&mut out, capture, progress),
    };
    let mut follower = Follower::default();
    // frames up to this one that were gone when it was their turn
    let mut told = 0;
    let mut has_given_up = false;
    loop {
        // both are read before looking, so that nothing recorded in between is missed
        let last = progress.last.load(Ordering::Acquire);
        let generation = capture.generation();
        let items = match &mut screened {
            Some(screened) => screened.next(capture, &mut follower, writer.wants_all()),
            None => follower.next(capture, BATCH),
        };
        if items.is_empty() {
            out.flush()?;
            match &mut screened {
                // what it has waited for does not come
                Some(screened) if last && !has_given_up => {
                    screened.give_up_waiting(capture);
                    has_given_up = true;
                }
                _ if last => return Ok(()),
                _ => {
                    thread::park_timeout(REST);
                    capture.wait(generation);
                }
            }
        }
        for item in &items {
            let passes = match (item, &mut screened) {
                (Item::Frame(n, ..), Some(screened)) => screened.passes(*n),
                _ => true,
            };
            match item {
                Item::Frame(n, entry, _) if !passes => writer.skip(&mut out, capture, *n, entry)?,
                _ => writer.write_or_lose(&mut out, capture, item, &mut told)?,
            }
        }
    }
}

/// Writes the capture file out as it grows.
fn copy(out: &mut impl Write, capture: &Capture, progress: &Progress) -> io::Result<()> {
    let mut at = 0;
    loop {
        let last = progress.last.load(Ordering::Acquire);
        let generation = capture.generation();
        let length = capture.index().totals().file_length;
        while at < length {
            let piece = capture.reader().file_bytes(at, (length - at).min(BUFFER as u64) as usize)?;
            out.write_all(&piece)?;
            at += piece.len() as u64;
            capture.set_copied(at);
        }
        out.flush()?;
        if last {
            return Ok(());
        }
        capture.wait(generation);
    }
}

/// A filter, and what it has decided: it may have to see the end of a frame's message first. Everything stays in order.
struct Screened {
    matcher: Matcher,
    matches: BTreeSet<u64>,
}

impl Screened {
    /// Frames that are looked at before those that match are printed.
    const AT_ONCE: u64 = 1 << 16;
    /// The most that waits; beyond that the filter goes by what is known.
    const MOST: u64 = 1 << 16;

    fn new(filter: Filter) -> Self {
        Self { matcher: Matcher::of(filter), matches: BTreeSet::new() }
    }

    /// The next things that happened, as far as is decided: of the frames those that match, or all of them.
    fn next(&mut self, capture: &Capture, follower: &mut Follower, all: bool) -> Vec<Item> {
        loop {
            let recorded = capture.index().totals().frames;
            let mut matches = Vec::new();
            self.matcher.look(capture, recorded.min(self.matcher.next() + Self::AT_ONCE), &mut matches);
            self.matches.extend(matches);
            if self.matcher.next() - self.matcher.decided_below() > Self::MOST {
                self.give_up_waiting(capture);
            }
            let decided = self.matcher.decided_below();
            let first_match = |n| if all { Some(n) } else { self.matches.range(n..).next().copied() };
            let items = follower.next_of(capture, BATCH, decided, first_match);
            if !items.is_empty() || self.matcher.next() > recorded {
                return items;
            }
        }
    }

    fn give_up_waiting(&mut self, capture: &Capture) {
        let mut matches = Vec::new();
        self.matcher.give_up_waiting(capture, &mut matches);
        self.matches.extend(matches);
    }

    /// Whether this frame matches, which is asked once, and in order.
    fn passes(&mut self, n: u64) -> bool {
        // what went before it could be printed is told of elsewhere
        while self.matches.first().is_some_and(|first| *first < n) {
            self.matches.pop_first();
        }
        self.matches.remove(&n)
    }
}

enum Writer {
    Text(text::TextLines),
    Json(jsonl::JsonLines),
    Messages(plain::PlainMessages),
}

impl Writer {
    fn write(&mut self, out: &mut impl Write, capture: &Capture, item: &Item) -> io::Result<()> {
        match self {
            Self::Text(lines) => lines.write(out, capture, item),
            Self::Json(lines) => lines.write(out, capture, item),
            Self::Messages(messages) => messages.write(out, capture, item).map(complain),
        }
    }

    /// The same; if the frame has gone meanwhile, that is written, once for all of them up to `lost`.
    fn write_or_lose(
        &mut self,
        out: &mut impl Write,
        capture: &Capture,
        item: &Item,
        lost: &mut u64,
    ) -> io::Result<()> {
        if matches!(item, Item::Frame(n, ..) if *n <= *lost) {
            return Ok(());
        }
        if let Item::Gone(frames) = item {
            let first = (*lost + 1).max(*frames.start());
            let rest = first..=*frames.end();
            return if rest.is_empty() { Ok(()) } else { self.write(out, capture, &Item::Gone(rest)) };
        }
        match (self.write(out, capture, item), item) {
            (Err(error), Item::Frame(n, ..)) if Gone::is(&error) => {
                *lost = capture.index().gone().max(*n);
                self.write(out, capture, &Item::Gone(*n..=*lost))
            }
            (written, _) => written,
        }
    }

    /// Whether it has to know of frames that are left out, too: they may belong to messages of which others are not.
    fn wants_all(&self) -> bool {
        !matches!(self, Self::Text(_))
    }

    /// Leaves a frame out.
    fn skip(&mut self, out: &mut impl Write, capture: &Capture, n: u64, entry: &FrameEntry) -> io::Result<()> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Json(lines) => lines.skip(out, capture, n, entry),
            Self::Messages(messages) => messages.skip(out, capture, n, entry).map(complain),
        }
    }
}

/// What could not be printed stands beside what is.
fn complain(sentence: Option<String>) {
    if let Some(sentence) = sentence {
        let _ = writeln!(io::stderr(), "wsinspect: {sentence}");
    }
}
