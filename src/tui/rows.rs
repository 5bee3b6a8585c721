//! The rows of the frame list: what the index and the first payload bytes say of a frame.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::listing::{Kind, Listing, Place};
use crate::capture::filter::{Thread, parts_of};
use crate::capture::{Capture, FrameEntry, Index, MessageReader, NotInflated};
use crate::formats::sanitize::printable_bytes;
use crate::lint::Rule;
use crate::wire::{CloseBody, CloseCode, Header, Opcode};

/// A frame as the list shows it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) n: u64,
    pub(super) entry: FrameEntry,
    pub(super) header: Header,
    /// The rules that it breaks.
    pub(super) rules: Vec<Rule>,
    pub(super) branch: Branch,
    pub(super) preview: Preview,
    /// What the user said when marking it.
    pub(super) mark: Option<String>,
    /// What the row is beside a frame.
    pub(super) message: Option<MessageRow>,
    /// Which frame of its first read it is.
    pub(super) place_in_read: u64,
    /// Bytes of it that have come, while it is still coming in.
    pub(super) came: Option<u64>,
}

/// How a frame hangs on the message around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    /// It begins a message, or stands alone.
    None,
    /// More of the message follows.
    Middle,
    /// The message ends here.
    Last,
    /// It stands for a message.
    Folded,
}

/// The beginning of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Preview {
    /// There is none.
    Empty,
    /// Text, fit to be printed; whether there is more.
    Text(String, bool),
    /// Bytes; whether there are more.
    Binary(Vec<u8>, bool),
    /// Bytes of a compressed message whose first frame is another one.
    Deflated(Vec<u8>, bool),
    /// The compressed message that begins here, inflated: its beginning, its bytes, and whether that is all of it.
    Inflated(Box<Preview>, u64, bool),
    /// Why the compressed message that begins here can't be inflated.
    NotInflated(NotInflated),
    /// The compressed message that begins here is to be inflated next time.
    Waiting,
    /// A close frame's code and reason.
    Close(CloseCode, String),
    /// The payload is not in the file.
    Missing,
}

/// Bytes of a payload that are read for a row.
const PREVIEW: u64 = 256;
/// How long messages are inflated before what is there is drawn.
const INFLATING: Duration = Duration::from_millis(50);
/// The most frames that are looked through to find the one that a control frame interrupts.
const LOOK_BACK: u64 = 256;
/// The most frames that are looked through for those of a message, to show its beginning and the rules that it breaks.
const LOOK_AHEAD: u32 = 20_000;

/// A message of several frames that a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageRow {
    pub(super) thread: Thread,
    /// Whether its last frame has come.
    pub(super) done: bool,
    /// Whether its frames stand below it.
    pub(super) open: bool,
}

/// The rows that were drawn last, so that only new ones are read.
#[derive(Debug, Default)]
pub(super) struct RowCache {
    rows: HashMap<Place, Row>,
    messages: MessageReader,
    /// Some messages were left for the next time.
    pub(super) waits: bool,
}

impl RowCache {
    /// The rows with these numbers, as far as they are there.
    pub(super) fn rows(&mut self, capture: &Capture, listing: &Listing, numbers: Range<u64>) -> Vec<Row> {
        let places: Vec<Place> = numbers.map_while(|row| listing.place(row)).collect();
        let threads: HashMap<u64, Thread> = listing.threads(&places);
        let thread_of = |place: &Place| match place.kind {
            Kind::Frame => None,
            Kind::Message => threads.get(&place.n).copied(),
            Kind::Inside(first) => threads.get(&first).copied(),
        };
        self.rows.retain(|place, row| {
            let message = row.message.map(|message| message.thread);
            let same = place.kind != Kind::Message || message == thread_of(place);
            // the last frame of a message that grows is the last one no longer
            let settled = !matches!(place.kind, Kind::Inside(_)) || row.branch == Branch::Middle;
            same && settled && row.preview.is_settled() && places.contains(place)
        });
        let deadline = Instant::now() + INFLATING;
        let mut begun = false;
        self.waits = false;
        for place in &places {
            // one at least, so that all are there in the end
            let messages = (!begun || Instant::now() < deadline).then_some(&mut self.messages);
            if !self.rows.contains_key(place)
                && let Some(row) = read(capture, *place, thread_of(place), messages)
            {
                begun |= matches!(row.preview, Preview::Inflated(..) | Preview::NotInflated(_));
                self.waits |= row.preview == Preview::Waiting;
                self.rows.insert(*place, row);
            }
        }
        places
            .iter()
            .map_while(|place| {
                let mut row = self.rows.get(place)?.clone();
                row.mark = capture.index().mark(row.n).map(str::to_owned);
                if let Some(message) = &mut row.message {
                    message.open = listing.is_open(place.n);
                }
                Some(row)
            })
            .collect()
    }
}

impl Preview {
    /// Whether it stays what it is.
    fn is_settled(&self) -> bool {
        !matches!(self, Self::Missing | Self::Waiting | Self::Inflated(_, _, false))
    }
}

/// What stands in a row, `thread` being the message that it is, or is in. A compressed message waits without `messages`.
fn read(capture: &Capture, place: Place, thread: Option<Thread>, messages: Option<&mut MessageReader>) -> Option<Row> {
    let n = place.n;
    let index = capture.index();
    let entry = index.frame(n)?;
    let mut rules: Vec<Rule> = index.findings(n).iter().map(|(_, finding)| finding.rule).collect();
    let header = entry.header();
    let place_in_read = index.place_in_read(n).unwrap_or(1);
    let branch = match (place.kind, &thread) {
        (Kind::Frame, _) => branch(&index, n, &entry),
        (Kind::Inside(_), Some(thread)) if n == u64::from(thread.last) => Branch::Last,
        (Kind::Inside(_), _) => Branch::Middle,
        (Kind::Message, _) => Branch::Folded,
    };
    drop(index);
    let Some(thread) = thread.filter(|_| place.kind == Kind::Message) else {
        let preview = preview(capture, n, &entry, messages);
        let (mark, message, came) = (None, None, None);
        return Some(Row { n, entry, header, rules, branch, preview, mark, message, place_in_read, came });
    };
    let mut data = Vec::new();
    let mut done = false;
    for part in
        parts_of(capture, &Thread { last: thread.last.min(thread.first.saturating_add(LOOK_AHEAD)), ..thread }, n)
            .into_iter()
            .chain([thread.last.into()])
    {
        let index = capture.index();
        let Some(fragment) = index.frame(part) else { break };
        if fragment.has_findings() {
            rules.extend(index.findings(part).iter().map(|(_, finding)| finding.rule));
        }
        drop(index);
        let header = fragment.header();
        if !header.opcode.is_control() && !done {
            done = part > n && header.fin && fragment.is_complete();
            let room = PREVIEW.saturating_sub(data.len() as u64);
            if room > 0 && !entry.is_compressed() {
                data.extend(capture.payload(&fragment, 0..room).unwrap_or_default());
            }
        }
    }
    let mut seen = Vec::new();
    rules.retain(|rule| {
        !seen.contains(rule) && {
            seen.push(*rule);
            true
        }
    });
    let header = Header { fin: done, length: thread.length, ..header };
    let preview =
        if entry.is_compressed() { inflated(capture, n, header.opcode, messages) } else { shown(data, &header) };
    Some(Row {
        n,
        entry,
        header,
        rules,
        branch,
        preview,
        mark: None,
        message: Some(MessageRow { thread, done, open: false }),
        place_in_read,
        came: None,
    })
}

/// A frame that is still coming in.
pub(super) fn incoming(capture: &Capture, n: u64, entry: FrameEntry, came: u64) -> Row {
    let header = entry.header();
    let branch = branch(&capture.index(), n, &entry);
    let bytes = capture.payload(&entry, 0..PREVIEW).unwrap_or_default();
    let preview = match (bytes.is_empty(), entry.is_compressed()) {
        (true, _) => Preview::Empty,
        (false, true) => Preview::Deflated(bytes, true),
        (false, false) => shown(bytes, &header),
    };
    let (rules, mark, message, place_in_read) = (Vec::new(), None, None, 1);
    Row { n, entry, header, rules, branch, preview, mark, message, place_in_read, came: Some(came) }
}

fn branch(index: &Index, n: u64, entry: &FrameEntry) -> Branch {
    let header = entry.header();
    if header.opcode == Opcode::CONTINUATION {
        return if header.fin { Branch::Last } else { Branch::Middle };
    }
    if !header.opcode.is_control() {
        return Branch::None;
    }
    let unfinished = (n.saturating_sub(LOOK_BACK).max(1)..n)
        .rev()
        .filter_map(|earlier| index.frame(earlier))
        .find(|earlier| earlier.is_beside(entry) && !earlier.header().opcode.is_control())
        .is_some_and(|earlier| !earlier.header().fin);
    if unfinished { Branch::Middle } else { Branch::None }
}

fn preview(capture: &Capture, n: u64, entry: &FrameEntry, messages: Option<&mut MessageReader>) -> Preview {
    let header = entry.header();
    if entry.is_compressed() && header.opcode != Opcode::CONTINUATION {
        return inflated(capture, n, header.opcode, messages);
    }
    if header.length == 0 {
        return Preview::Empty;
    }
    let bytes = capture.payload(entry, 0..PREVIEW).unwrap_or_default();
    if entry.is_compressed() && !bytes.is_empty() {
        let more = header.length > bytes.len() as u64;
        return Preview::Deflated(bytes, more);
    }
    shown(bytes, &header)
}

/// The compressed message that begins with frame `n`.
fn inflated(capture: &Capture, n: u64, opcode: Opcode, messages: Option<&mut MessageReader>) -> Preview {
    let Some(messages) = messages else { return Preview::Waiting };
    let Some((message, bytes)) = messages.beginning(capture, n, PREVIEW as usize) else { return Preview::Missing };
    let header = Header::new(opcode, None, message.length);
    match message.outcome {
        Err(why) if why != NotInflated::Unfinished => Preview::NotInflated(why),
        outcome if bytes.is_empty() => Preview::Inflated(Box::new(Preview::Empty), 0, outcome.is_ok()),
        outcome => Preview::Inflated(Box::new(shown(bytes, &header)), message.length, outcome.is_ok()),
    }
}

/// The beginning of a payload.
fn shown(bytes: Vec<u8>, header: &Header) -> Preview {
    if header.length == 0 {
        return Preview::Empty;
    }
    if bytes.is_empty() {
        return Preview::Missing;
    }
    let more = header.length > bytes.len() as u64;
    match header.opcode {
        Opcode::CLOSE => match CloseBody::parse(&bytes) {
            CloseBody::Code(code, reason) => Preview::Close(code, printable_bytes(reason)),
            _ => Preview::Binary(bytes, more),
        },
        Opcode::BINARY => Preview::Binary(bytes, more),
        Opcode::TEXT => Preview::Text(text_of(&bytes, more), more),
        _ => match text(&bytes, more) {
            Some(text) => Preview::Text(text, more),
            None => Preview::Binary(bytes, more),
        },
    }
}

/// Bytes that were sent as text; what is not UTF-8 becomes `\xff`, but for a character that is cut off at the end.
pub(super) fn text_of(bytes: &[u8], cut: bool) -> String {
    printable_bytes(if cut { without_cut_character(bytes) } else { bytes })
}

/// Bytes that may be text: a fragment may begin and end in the middle of a character.
fn text(bytes: &[u8], cut: bool) -> Option<String> {
    let whole = if cut { without_cut_character(bytes) } else { bytes };
    let readable = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    std::str::from_utf8(whole).ok().filter(|text| readable(text)).map(str::to_owned)
}

/// Without the beginning of a character at the end.
pub(super) fn without_cut_character(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}
