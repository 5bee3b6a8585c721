//! No screen: what happens is printed to standard output, as it is recorded.

mod input;

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
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
        thread::Builder::new().name("printer".to_owned()).spawn(move || {
            let result = print(&seen, form, filter, &shared);
            // if nobody waits for the end any more, the program is on its way out
            let _ = end.send(match result {
                // whoever read our output has had enough
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                result => result,
            });
        })?;
        Ok(Self { capture, progress, ended: Some(ended) })
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
    loop {
        // both are read before looking, so that nothing recorded in between is missed
        let last = progress.last.load(Ordering::Acquire);
        let generation = capture.generation();
        let items = follower.next(capture, BATCH);
        if items.is_empty() {
            if let Some(screened) = &mut screened
                && last
            {
                screened.give_up_waiting(capture);
                screened.write(&mut writer, &mut out, capture)?;
            }
            out.flush()?;
            if last {
                return Ok(());
            }
            thread::sleep(REST);
            capture.wait(generation);
            continue;
        }
        match &mut screened {
            Some(screened) => {
                screened.take(capture, items);
                screened.write(&mut writer, &mut out, capture)?;
            }
            None => items.iter().try_for_each(|item| writer.write_or_lose(&mut out, capture, item, &mut told))?,
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

/// What waits until a filter has decided on it: a frame's message may have to end first. Everything stays in order.
struct Screened {
    matcher: Matcher,
    items: VecDeque<Item>,
    matches: BTreeSet<u64>,
    /// Frames that went before the filter had seen them.
    unseen: u64,
    lost: u64,
}

impl Screened {
    /// The most that waits; beyond that the filter goes by what is known.
    const MOST: usize = 1 << 16;

    fn new(filter: Filter) -> Self {
        Self { matcher: Matcher::of(filter), items: VecDeque::new(), matches: BTreeSet::new(), unseen: 0, lost: 0 }
    }

    fn take(&mut self, capture: &Capture, items: Vec<Item>) {
        self.items.extend(items);
        let mut matches = Vec::new();
        let last = self.items.iter().rev().find_map(|item| match item {
            Item::Frame(n, ..) => Some(*n),
            _ => None,
        });
        self.matcher.look(capture, last.unwrap_or(0), &mut matches);
        // what went while it was looked at may have matched, or not
        let gone = capture.index().gone();
        let first = self.items.iter().find_map(|item| match item {
            Item::Frame(n, ..) => Some(*n),
            _ => None,
        });
        if first.is_some_and(|first| first <= gone) {
            self.unseen = gone;
        }
        self.matches.extend(matches);
        if self.items.len() > Self::MOST {
            self.give_up_waiting(capture);
        }
    }

    fn give_up_waiting(&mut self, capture: &Capture) {
        let mut matches = Vec::new();
        self.matcher.give_up_waiting(capture, &mut matches);
        self.matches.extend(matches);
    }

    /// Writes what is decided on.
    fn write(&mut self, writer: &mut Writer, out: &mut impl Write, capture: &Capture) -> io::Result<()> {
        let decided = self.matcher.decided_below();
        while let Some(item) = self.items.pop_front() {
            match &item {
                Item::Frame(n, ..) if *n >= decided => {
                    self.items.push_front(item);
                    break;
                }
                Item::Frame(n, entry, _) if !self.matches.remove(n) => {
                    if *n > self.unseen {
                        writer.skip(out, capture, *n, entry)?;
                    } else if *n > self.lost {
                        self.lost = self.unseen;
                        writer.write(out, capture, &Item::Gone(*n..=self.unseen))?;
                    }
                }
                _ => writer.write_or_lose(out, capture, &item, &mut self.lost)?,
            }
        }
        Ok(())
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
