//! The rows of the frame list: what the index and the first payload bytes say of a frame.

use std::collections::HashMap;
use std::ops::Range;

use crate::capture::{Capture, FrameEntry, Index};
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
    /// Bytes of a compressed message.
    Deflated(Vec<u8>, bool),
    /// A close frame's code and reason.
    Close(CloseCode, String),
    /// The payload is not in the file.
    Missing,
}

/// Bytes of a payload that are read for a row.
const PREVIEW: u64 = 256;
/// The most frames that are looked through to find the one that a control frame interrupts.
const LOOK_BACK: u64 = 256;

/// The rows that were drawn last, so that only new ones are read.
#[derive(Debug, Default)]
pub(super) struct RowCache {
    rows: HashMap<u64, Row>,
}

impl RowCache {
    /// The frames with these numbers, as far as they are there.
    pub(super) fn rows(&mut self, capture: &Capture, numbers: Range<u64>) -> Vec<Row> {
        self.rows.retain(|n, row| numbers.contains(n) && row.preview != Preview::Missing);
        let index = capture.index();
        let mut fresh = Vec::new();
        for n in numbers.clone().filter(|n| !self.rows.contains_key(n)) {
            let Some(entry) = index.frame(n) else { break };
            let rules = index.findings(n).iter().map(|(_, finding)| finding.rule).collect();
            fresh.push((n, *entry, rules, branch(&index, n, entry)));
        }
        drop(index);
        for (n, entry, rules, branch) in fresh {
            let header = entry.header();
            let preview = preview(capture, &entry, &header);
            self.rows.insert(n, Row { n, entry, header, rules, branch, preview, mark: None });
        }
        let index = capture.index();
        let marked = |row: &Row| Row { mark: index.mark(row.n).map(str::to_owned), ..row.clone() };
        numbers.map_while(|n| self.rows.get(&n).map(marked)).collect()
    }
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
        .find(|earlier| same_direction(earlier, entry) && !earlier.header().opcode.is_control())
        .is_some_and(|earlier| !earlier.header().fin);
    if unfinished { Branch::Middle } else { Branch::None }
}

/// Whether the same side of the same connection sent both.
pub(super) fn same_direction(one: &FrameEntry, other: &FrameEntry) -> bool {
    one.connection() == other.connection() && one.from() == other.from()
}

fn preview(capture: &Capture, entry: &FrameEntry, header: &Header) -> Preview {
    if header.length == 0 {
        return Preview::Empty;
    }
    let Ok(bytes) = capture.payload(entry, 0..PREVIEW) else { return Preview::Missing };
    if bytes.is_empty() {
        return Preview::Missing;
    }
    let more = header.length > bytes.len() as u64;
    if entry.is_compressed() {
        return Preview::Deflated(bytes, more);
    }
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
