//! No screen: what happens is printed to standard output, as it is recorded.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::capture::{Capture, Follower, Item};
use crate::formats::{jsonl, text};

/// In which form things are printed.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A line a frame, for people.
    Text(text::Options),
    /// JSON Lines.
    Json(jsonl::Options),
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
/// How long a reader of our output may take nothing when the program ends.
const PATIENCE: Duration = Duration::from_secs(1);

impl Printer {
    /// Prints what happens in `capture`.
    pub fn start(capture: Arc<Capture>, form: Form) -> io::Result<Self> {
        let progress = Arc::new(Progress::default());
        let (end, ended) = oneshot::channel();
        let (shared, seen) = (progress.clone(), capture.clone());
        thread::Builder::new().name("printer".to_owned()).spawn(move || {
            let result = print(&seen, form, &shared);
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

fn print(capture: &Capture, form: Form, progress: &Progress) -> io::Result<()> {
    // past the standard library's own buffer, which would hide how far the writing has come
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut out = io::BufWriter::with_capacity(BUFFER, Watched { inner: stdout, progress });
    let mut writer = match form {
        Form::Text(options) => Writer::Text(text::TextLines::new(options)),
        Form::Json(options) => Writer::Json(jsonl::JsonLines::new(options)),
        Form::Recording => return copy(&mut out, capture, progress),
    };
    let mut follower = Follower::default();
    loop {
        // both are read before looking, so that nothing recorded in between is missed
        let last = progress.last.load(Ordering::Acquire);
        let generation = capture.generation();
        let items = follower.next(capture, BATCH);
        if items.is_empty() {
            out.flush()?;
            if last {
                return Ok(());
            }
            capture.wait(generation);
            continue;
        }
        for item in &items {
            writer.write(&mut out, capture, item)?;
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
        }
        out.flush()?;
        if last {
            return Ok(());
        }
        capture.wait(generation);
    }
}

enum Writer {
    Text(text::TextLines),
    Json(jsonl::JsonLines),
}

impl Writer {
    fn write(&mut self, out: &mut impl Write, capture: &Capture, item: &Item) -> io::Result<()> {
        match self {
            Self::Text(lines) => lines.write(out, capture, item),
            Self::Json(lines) => lines.write(out, capture, item),
        }
    }
}
