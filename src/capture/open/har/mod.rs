//! HTTP Archives with WebSocket messages, as Chrome, Firefox, HTTP Toolkit, mitmproxy and our own export write them.
//!
//! A HAR knows messages, not frames. A frame is made of each message so that it stands in a capture as everything else
//! does, on a connection that is marked [`Vantage::Archive`](crate::capture::Vantage): what was made up is shown as unknown
//! and not judged. Our own exports tell of every frame; from those the frames are made again as they were.

mod closed;
mod entry;
mod extras;
mod guard;
mod head;
mod json;
mod log;
mod message;
mod replay;
mod spool;

use std::io::{self, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeSeed as _;

use self::guard::{Bounds, Guard};
use self::json::Object;
use self::log::{Log, Passing, Root};
use self::replay::Replay;
use self::spool::Spool;
use crate::capture::recorder::Deriver;
use crate::capture::{Capture, CaptureWriter, Event, EventKind, Recording, RecordingError};

/// Makes a recording of a HAR.
pub(super) struct Har {
    input: Box<dyn Read + Send>,
    deriver: Deriver,
    writer: CaptureWriter,
    spool: Spool,
}

/// Events and bytes that are written at once.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;
/// Bytes that are looked at to tell whether something is a HAR.
pub(super) const BEGINNING: usize = 256;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whether what begins so is a HAR, or wants to be one.
pub(super) fn is_har(beginning: &[u8]) -> bool {
    let text = beginning.strip_prefix(BYTE_ORDER_MARK).unwrap_or(beginning).trim_ascii_start();
    text.strip_prefix(b"{").is_some_and(|inside| inside.trim_ascii_start().starts_with(b"\"log\""))
}

impl Har {
    pub(super) fn new(
        input: Box<dyn Read + Send>,
        deriver: Deriver,
        writer: CaptureWriter,
    ) -> Result<Self, RecordingError> {
        let store = Recording::create(None, false)?;
        let spool = Spool::new(store.file());
        // the file has no name from now on, and goes when it is closed
        store.remove_unless_kept();
        Ok(Self { input, deriver, writer, spool })
    }

    /// Reads all of it, or until `stop` is set. Returns sentences on what could not be read, and what keeps the rest from
    /// being read.
    pub(super) fn run(self, capture: &Capture, stop: &AtomicBool) -> (Vec<String>, Option<String>) {
        let Self { input, mut deriver, mut writer, spool } = self;
        let passing = Passing::default();
        let mut log = Log::new(spool, passing.clone());
        let guard = Guard::new(without_mark(input), Bounds::default(), passing, stop);
        let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, guard));
        let mut damage = Object(&mut Root(&mut log)).deserialize(&mut json).err().map(|error| damage(&log, error));
        if stop.load(Ordering::Acquire) {
            return (Vec::new(), None);
        }
        if damage.is_none() && !log.has_entries {
            damage = Some("this is no HAR: it has no log.entries".to_owned());
        }
        let sentences = sentences(&log, damage.is_some());
        let failed = log.spool.finish().err();
        let mut replay = Replay::new(log);
        let mut show = |events: &mut Vec<_>| {
            deriver.batch(&mut writer, events.iter());
            capture.update(|index| deriver.apply(index, writer.length(), writer.missing()));
            events.clear();
        };
        let (mut batch, mut weight) = (Vec::new(), 0);
        let ended = loop {
            let mut next = match replay.next() {
                Ok(Some(events)) => events,
                Ok(None) => break None,
                Err(error) => break Some(error),
            };
            weight += next.iter().map(bytes).sum::<usize>();
            batch.append(&mut next);
            if batch.len() >= BATCH || weight >= BATCH_BYTES {
                show(&mut batch);
                weight = 0;
                if stop.load(Ordering::Acquire) {
                    break None;
                }
            }
        };
        show(&mut batch);
        let unkept = failed.or(ended).map(|error| format!("what the HAR holds cannot be kept on the disk: {error}"));
        (sentences, damage.or(unkept))
    }
}

fn bytes(event: &Event) -> usize {
    if let EventKind::Chunk { bytes, .. } = &event.kind { bytes.len() } else { 0 }
}

/// What keeps the rest from being read, in a sentence.
fn damage(log: &Log, error: serde_json::Error) -> String {
    if let Some(failure) = &log.spool.failure {
        return format!("what the HAR holds cannot be kept on the disk: {failure}");
    }
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.is_io() {
        let error = io::Error::from(error);
        return match error.kind() {
            // a bound, which is a sentence of its own
            io::ErrorKind::InvalidData => error.to_string(),
            _ => format!("the HAR cannot be read on: {error}"),
        };
    }
    if error.is_eof() {
        return format!("the HAR is cut short at {place}; it is read up to there");
    }
    let what = error.to_string();
    let what = what.rsplit_once(" at line ").map_or(&*what, |(what, _)| what);
    format!("the HAR is damaged at {place}: {what}; it is read up to there")
}

/// What was left out, or is not there.
fn sentences(log: &Log, is_damaged: bool) -> Vec<String> {
    let mut sentences = Vec::new();
    if log.connections.is_empty() && log.has_entries && !is_damaged {
        let entries = log.entries;
        sentences.push(format!("the HAR holds no WebSocket: none of its {entries} entries is one"));
    }
    let counts = [
        (log.silent, "WebSockets of which the HAR holds no message"),
        (log.left_out, "messages without a direction, an opcode or data, and left out"),
        (log.deflated, "compressed messages that were not inflated, and left out"),
        (log.not_base64, "messages whose data should be base64 and is not, and shown as it stands there"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        sentences.push(format!("{what}: {count}"));
    }
    sentences
}

/// Without the mark that some editors put before UTF-8.
fn without_mark(mut input: Box<dyn Read + Send>) -> impl Read {
    let mut first = Vec::new();
    // what can't be read shows when it is read on
    let _ = input.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut first);
    if first == BYTE_ORDER_MARK {
        first.clear();
    }
    io::Cursor::new(first).chain(input)
}
