//! Explained frames as text.

use std::collections::BTreeSet;

use super::{Cut, ExplainedFrame, ExplainedMessage, Explanation};
use crate::anatomy::{Field, compressed_message_in_words, unmask_steps};
use crate::formats::Look;
use crate::formats::paper::{Ink, Paper};
use crate::formats::sanitize::dump_char;
use crate::lint::Finding;
use crate::wire::InflateError;

/// A masked payload up to this long is unmasked byte by byte on the page.
const UNMASKED_IN_ROWS: u64 = 16;
/// Of a longer payload so many bytes are dumped.
const DUMPED: usize = 256;

impl Explanation {
    /// The explanation as text that ends in a line break.
    pub fn to_text(&self, look: &Look) -> String {
        let mut paper = Paper::new(look);
        let mut whys = BTreeSet::new();
        for (n, frame) in self.frames.iter().enumerate() {
            if n > 0 {
                paper.end_line();
            }
            put_frame(&mut paper, n + 1, frame, &mut whys);
        }
        if let Some(lost) = self.lost {
            paper.end_line();
            let text = format!(
                "From byte {} on, {} bytes in which no frame can be found: the length before them says nothing.",
                lost.offset, lost.bytes
            );
            paper.paragraph(0, &[(Ink::Title, &text)]);
        }
        if self.guessed && !self.frames.is_empty() {
            paper.end_line();
            paper.paragraph(
                0,
                &[(Ink::Dim, "Who sent a frame is told from its MASK bit here: clients mask, servers do not.")],
            );
        }
        paper.finish()
    }
}

fn put_frame(paper: &mut Paper, number: usize, frame: &ExplainedFrame, whys: &mut BTreeSet<&'static str>) {
    let title = format!("frame {number} at byte {}: {}", frame.offset, frame.anatomy.title);
    paper.paragraph(0, &[(Ink::Title, &title)]);
    paper.end_line();
    if let [first, second, ..] = frame.header_bytes[..] {
        put_grid(paper, first, second);
        paper.end_line();
    }
    put_fields(paper, &frame.anatomy.fields, whys);
    put_payload(paper, frame);
    if let Some(message) = &frame.message {
        put_message(paper, message);
    }
    let missing = match frame.cut {
        Some(Cut::Header(bytes)) => {
            Some(format!("Cut short: at least {} of the header {} missing.", count(bytes), are(bytes)))
        }
        Some(Cut::Payload(bytes)) => {
            Some(format!("Cut short: {} of the payload {} missing.", count(bytes), are(bytes)))
        }
        None => None,
    };
    if let Some(missing) = missing {
        paper.end_line();
        paper.blanks(2);
        paper.paragraph(2, &[(Ink::Title, &missing)]);
    }
    put_findings(paper, &frame.findings);
}

fn count(bytes: u64) -> String {
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}

const fn are(bytes: u64) -> &'static str {
    if bytes == 1 { "is" } else { "are" }
}

/// The first two bytes, drawn as RFC 6455 5.2 draws them.
fn put_grid(paper: &mut Paper, first: u8, second: u8) {
    const UNICODE: [&str; 3] = ["┌─┬─┬─┬─┬───────┬─┬─────────────┐", "└─┴─┴─┴─┴───────┴─┴─────────────┘", "│"];
    const ASCII: [&str; 3] = ["+-+-+-+-+-------+-+-------------+", "+-+-+-+-+-------+-+-------------+", "|"];
    let [top, bottom, bar] = if paper.look().ascii { ASCII } else { UNICODE };
    let bits: Vec<u8> = [first, second].iter().flat_map(|byte| (0..8).map(move |n| byte >> (7 - n) & 1)).collect();
    let widths = [1, 1, 1, 1, 4, 1, 7];
    let mut line = |ink, text: &str| {
        paper.blanks(2);
        paper.put(ink, text);
        paper.end_line();
    };
    line(Ink::Dim, " 0                   1");
    line(Ink::Dim, " 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5");
    line(Ink::Dim, top);
    let mut row = String::from(bar);
    let mut at = 0;
    for width in widths {
        let cell: Vec<_> = bits[at..at + width].iter().map(ToString::to_string).collect();
        row.push_str(&cell.join(" "));
        row.push_str(bar);
        at += width;
    }
    line(Ink::Value, &row);
    for names in [
        ["F", "R", "R", "R", "opcode ", "M", "   payload   "],
        ["I", "S", "S", "S", "       ", "A", "   length    "],
        ["N", "V", "V", "V", "       ", "S", "             "],
        [" ", "1", "2", "3", "       ", "K", "             "],
    ] {
        line(Ink::Dim, &format!("{bar}{}{bar}", names.join(bar)));
    }
    line(Ink::Dim, bottom);
}

fn put_fields(paper: &mut Paper, fields: &[Field], whys: &mut BTreeSet<&'static str>) {
    let bytes_width = fields.iter().map(|field| span(&field.bytes).len()).max().unwrap_or(0).clamp(5, 15);
    let name_width = fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
    // five bytes of a payload fit; more of it stands below the table
    let value_width = fields.iter().map(|field| field.value.len()).max().unwrap_or(0).clamp(5, 14);
    paper.blanks(2);
    for (title, width) in [("bytes", bytes_width), ("bits", 4), ("field", name_width), ("value", value_width)] {
        paper.cell(Ink::Dim, title, width);
    }
    if paper.has_room() {
        paper.put(Ink::Dim, "meaning");
    }
    paper.end_line();
    for field in fields {
        paper.blanks(2);
        paper.cell(Ink::Dim, &span(&field.bytes), bytes_width);
        let bits = field.bits.as_ref().map(|bits| span(&(u64::from(bits.start)..u64::from(bits.end))));
        paper.cell(Ink::Dim, &bits.unwrap_or_default(), 4);
        paper.cell(Ink::Name, &field.name, name_width);
        paper.cell(Ink::Value, &field.value, value_width);
        put_meaning(paper, 6, field, whys);
    }
}

/// A field's meaning; why it exists, if that was not said before; its section.
pub(super) fn put_meaning(paper: &mut Paper, indent: usize, field: &Field, whys: &mut BTreeSet<&'static str>) {
    let mut runs = vec![(Ink::Plain, field.meaning.as_str())];
    if paper.look().why && !field.why.is_empty() && whys.insert(field.why) {
        runs.extend([(Ink::Dim, "Why:"), (Ink::Dim, field.why)]);
    }
    let section = format!("[{}]", field.section);
    runs.push((Ink::Section, &section));
    paper.paragraph(indent, &runs);
}

/// `0`, `2-5`; `-` for no bytes at all. The last one is included.
fn span(range: &std::ops::Range<u64>) -> String {
    match range.end.saturating_sub(range.start) {
        0 => "-".to_owned(),
        1 => range.start.to_string(),
        _ => format!("{}-{}", range.start, range.end - 1),
    }
}

fn put_payload(paper: &mut Paper, frame: &ExplainedFrame) {
    let Some(header) = frame.header else { return };
    if frame.payload.is_empty() {
        return;
    }
    paper.end_line();
    let room = paper.look().width.saturating_sub(10) / 3;
    match header.masking_key {
        Some(key) if header.length <= UNMASKED_IN_ROWS && frame.payload.len() <= room => {
            paper.blanks(2);
            paper.put(Ink::Dim, "unmasking: each wire byte XOR a key byte is a payload byte");
            paper.end_line();
            let steps: Vec<_> = unmask_steps(key, &frame.payload, 0).collect();
            put_bytes(paper, "wire", Ink::Plain, steps.iter().map(|step| step.wire));
            put_bytes(paper, "key", Ink::Dim, steps.iter().map(|step| step.key));
            put_bytes(paper, "plain", Ink::Value, steps.iter().map(|step| step.plain));
            let characters: Vec<_> = frame.payload.iter().map(|&byte| format!("{:<2}", dump_char(byte))).collect();
            put_row(paper, "", Ink::Value, &characters.join(" "));
        }
        _ => {
            let name = if header.masking_key.is_some() { "payload, unmasked" } else { "payload" };
            put_dump(paper, name, &frame.payload, header.length);
        }
    }
    put_text(paper, &frame.payload);
}

/// The compressed message that a frame ends.
fn put_message(paper: &mut Paper, message: &ExplainedMessage) {
    paper.end_line();
    paper.blanks(2);
    let length = message.error.is_none().then_some(message.length);
    // whether it may refer back was not given
    let words = compressed_message_in_words(message.wire_length, length, None).join(" ");
    paper.paragraph(2, &[(Ink::Plain, &words)]);
    match &message.error {
        Some(error) => {
            paper.blanks(2);
            let why = match error {
                InflateError::Lost => {
                    "It cannot be inflated by itself: it refers to messages before it that are not given, \
                                       or could not be inflated."
                        .to_owned()
                }
                error => format!("Not inflated: {error}."),
            };
            paper.paragraph(2, &[(Ink::Title, &why)]);
        }
        None if message.length > 0 => {
            put_dump(paper, "the message, inflated", &message.beginning, message.length);
            put_text(paper, &message.beginning);
        }
        None => {}
    }
}

/// The dump shows ASCII; what is more than that is shown as the text that it is.
fn put_text(paper: &mut Paper, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.is_ascii()
    {
        let end = text.char_indices().map(|(at, _)| at).take_while(|&at| at <= DUMPED).last().unwrap_or(0);
        let text = if text.len() <= DUMPED { text } else { &text[..end] };
        paper.blanks(4);
        paper.cell(Ink::Dim, "text", 5);
        paper.paragraph(4, &[(Ink::Value, text)]);
    }
}

fn put_bytes(paper: &mut Paper, name: &str, ink: Ink, bytes: impl Iterator<Item = u8>) {
    let row: Vec<_> = bytes.map(|byte| format!("{byte:02x}")).collect();
    put_row(paper, name, ink, &row.join(" "));
}

fn put_row(paper: &mut Paper, name: &str, ink: Ink, row: &str) {
    paper.blanks(4);
    paper.cell(Ink::Dim, name, 5);
    paper.put(ink, row);
    paper.end_line();
}

fn put_dump(paper: &mut Paper, name: &str, payload: &[u8], length: u64) {
    paper.blanks(2);
    paper.put(Ink::Dim, name);
    paper.end_line();
    let per_row = if paper.look().width >= 76 { 16 } else { 8 };
    let shown = &payload[..payload.len().min(DUMPED)];
    for (n, row) in shown.chunks(per_row).enumerate() {
        let bytes: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        paper.blanks(4);
        paper.cell(Ink::Dim, &format!("{:04x}", n * per_row), 4);
        paper.cell(Ink::Plain, &bytes.join(" "), per_row * 3 - 1);
        paper.put(Ink::Value, &row.iter().map(|&byte| dump_char(byte)).collect::<String>());
        paper.end_line();
    }
    if length > shown.len() as u64 {
        paper.blanks(4);
        paper.put(Ink::Dim, &format!("… {} of {length} bytes shown", shown.len()));
        paper.end_line();
    }
}

/// The rules broken, each with what was seen.
pub(super) fn put_findings(paper: &mut Paper, findings: &[Finding]) {
    for finding in findings {
        let rule = finding.rule;
        paper.end_line();
        paper.blanks(2);
        paper.put(Ink::Finding(rule.level()), &format!("{}: {}", rule.level().name(), rule.id()));
        paper.blanks(2);
        let at = match finding.at.end.saturating_sub(finding.at.start) {
            0 => String::new(),
            1 => format!(", byte {}", span(&finding.at)),
            _ => format!(", bytes {}", span(&finding.at)),
        };
        let code = rule.close_code().map(|code| format!(", close code {code}")).unwrap_or_default();
        paper.paragraph(4, &[(Ink::Dim, &format!("{}{at}{code}", rule.section()))]);
        paper.blanks(4);
        let sees = finding.sees();
        let mut runs = vec![(Ink::Plain, sees.as_str())];
        if sees != rule.sentence() {
            runs.push((Ink::Dim, rule.sentence()));
        }
        paper.paragraph(4, &runs);
    }
}
