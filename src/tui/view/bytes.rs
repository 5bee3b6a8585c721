//! The selected frame's bytes: offset, hex, text; or each with the key byte that it was masked with; or as text.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::paint::Paint;
use super::pane::{Pane, position};
use crate::anatomy::unmask_steps;
use crate::formats::sanitize::dump_char;
use crate::tui::detail::FrameDetail;
use crate::tui::dump::{DumpPlace, DumpRow, Part};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::pretty::{TextLine, Tone};
use crate::tui::snapshot::Snapshot;
use crate::tui::spot::BytesAs;
use crate::tui::text::{counted, fit, grouped, wrap};
use crate::tui::theme::Theme;
use crate::wire::Header;

/// Draws it.
pub(super) fn draw(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let (height, width) = layout::inside(area);
    let focused = model.hears() && model.pane == layout::Pane::Bytes;
    let Some(detail) = &snapshot.detail else {
        Pane { theme, focused, title: Line::raw("bytes"), note: Line::default() }.draw(area, buffer);
        return;
    };
    let seen = Seen::of(model, snapshot, detail, width);
    let title = seen.title(model.bytes_as, snapshot);
    let rows = if snapshot.dump_rows > height as u64 {
        position(model.bytes_scroll, height as u64, snapshot.dump_rows)
    } else {
        String::new()
    };
    let note = match snapshot.byte.filter(|_| focused) {
        Some(place) => format!("byte {}{}{rows}", grouped(place.offset), if rows.is_empty() { "" } else { ", " }),
        None => rows,
    };
    let note = Line::raw(fit(&note, usize::from(area.width).saturating_sub(14), theme.ellipsis()));
    let title = Line::raw(fit(&title, usize::from(area.width).saturating_sub(note.width() + 8), theme.ellipsis()));
    let inner = Pane { theme, focused, title, note }.draw(area, buffer);
    let lines: Vec<Line<'_>> = match (&snapshot.text, model.bytes_as) {
        (Some((lines, _)), BytesAs::Text) => lines.iter().map(|line| text_line(line, theme)).collect(),
        (_, BytesAs::Unmasking) => seen.unmasking(&snapshot.dump, model),
        _ => snapshot.dump.iter().map(|row| seen.line(row)).collect(),
    };
    for (y, line) in (inner.y..inner.bottom()).zip(lines) {
        line.paint(Rect { y, height: 1, ..inner }, buffer);
    }
}

/// What the bytes of a frame are drawn with.
struct Seen<'a> {
    detail: &'a FrameDetail,
    header: Header,
    /// The bytes of the field under the cursor.
    field: Range<u64>,
    /// The byte under the cursor.
    byte: Option<DumpPlace>,
    width: usize,
    theme: Theme,
}

impl<'a> Seen<'a> {
    fn of(model: &Model, snapshot: &Snapshot, detail: &'a FrameDetail, width: usize) -> Self {
        let field = detail.anatomy.fields.get(model.spot.field).filter(|_| model.pane != layout::Pane::List);
        Self {
            detail,
            header: detail.entry.header(),
            field: field.map_or(0..0, |field| field.bytes.clone()),
            byte: snapshot.byte.filter(|_| model.pane == layout::Pane::Bytes),
            width,
            theme: model.theme,
        }
    }

    fn title(&self, shown: BytesAs, snapshot: &Snapshot) -> String {
        let length = counted(self.header.length, "byte");
        match shown {
            BytesAs::Dump if self.detail.entry.is_archived() => format!("bytes  {length}"),
            BytesAs::Dump => format!("bytes  {} + {length}", self.header.len()),
            BytesAs::Unmasking => format!("unmasking  {length}"),
            BytesAs::Text => {
                let kind = if snapshot.text.as_ref().is_some_and(|(_, is_json)| *is_json) { "JSON" } else { "text" };
                let (shown, length) = snapshot.text_bytes;
                let of = if shown < length { format!("{} of ", grouped(shown)) } else { String::new() };
                format!("{kind}  {of}{}", counted(length, "byte"))
            }
        }
    }

    /// A row of the dump: the bytes of the field under the cursor stand in brackets, and where a read ended is a mark.
    fn line(&self, row: &DumpRow) -> Line<'static> {
        let theme = self.theme;
        let (part, offset, bytes) = match row {
            DumpRow::Heading(text) => {
                return Line::styled(fit(text, self.width, theme.ellipsis()), theme.field());
            }
            DumpRow::Bytes { part, offset, bytes } => (*part, *offset, bytes),
        };
        let per_row = if self.width >= 76 { 16 } else { 8 };
        let digits = digits(&self.header);
        let mut spans = Vec::with_capacity(4 * per_row);
        spans.push(Span::styled(format!("{offset:0digits$x} "), Theme::quiet()));
        if bytes.is_empty() {
            spans.push(Span::styled(" not recorded", Theme::quiet()));
            return Line::from(spans);
        }
        let in_field = |place: usize| {
            place < bytes.len() && part != Part::Inflated && self.field.contains(&(offset + place as u64))
        };
        for place in 0..=per_row {
            // the gap before a byte, or after the last one
            let (before, after) = (place > 0 && in_field(place - 1), place < per_row && in_field(place));
            let sign = match (before, after) {
                (false, true) => Span::styled("[", Theme::strong()),
                (true, false) => Span::styled("]", Theme::strong()),
                _ if place > 0 && place <= bytes.len() && self.ends_read(part, offset + place as u64) => {
                    Span::styled(theme.sign("┊", ":"), theme.mark())
                }
                _ => Span::raw(" "),
            };
            spans.push(sign);
            if place % 8 == 0 && place > 0 {
                spans.push(Span::raw(" "));
            }
            let Some(byte) = bytes.get(place) else {
                spans.push(Span::raw(if place < per_row { "  " } else { "" }));
                continue;
            };
            if place < per_row {
                let style = self.style(part, offset + place as u64);
                spans.push(Span::styled(hex(*byte), if after { style.patch(lit()) } else { style }));
            }
        }
        if part != Part::Header {
            let quiet = !matches!(part, Part::Plain | Part::Inflated);
            for (place, byte) in bytes.iter().enumerate() {
                let style = if quiet { Theme::quiet() } else { Style::new() };
                let style = if in_field(place) { style.patch(lit()) } else { style };
                let style = if self.is_under_cursor(part, offset + place as u64) { Theme::cursor() } else { style };
                spans.push(Span::styled(dumped(*byte), style));
            }
        }
        Line::from(spans)
    }

    /// Whether a read of the socket ended before the byte at `offset`, and the frame went on.
    fn ends_read(&self, part: Part, offset: u64) -> bool {
        let reads = &self.detail.reads.list;
        let at = reads.partition_point(|read| read.bytes.end < offset);
        part != Part::Inflated && reads.get(at).is_some_and(|read| read.bytes.end == offset) && at + 1 < reads.len()
    }

    fn is_under_cursor(&self, part: Part, offset: u64) -> bool {
        self.byte.is_some_and(|place| (place.part, place.offset) == (part, offset))
    }

    fn style(&self, part: Part, offset: u64) -> Style {
        if self.is_under_cursor(part, offset) {
            return Theme::cursor();
        }
        let header = &self.header;
        let key = header.masking_key.map(|_| header.len() as u64 - 4..header.len() as u64);
        match part {
            Part::Header if key.is_some_and(|key| key.contains(&offset)) => self.theme.key(),
            Part::Header => self.theme.field(),
            Part::Plain | Part::Inflated => Style::new(),
            Part::Masked => Theme::quiet(),
        }
    }

    /// Each byte of a payload with the key byte that it was masked with; of one that was not masked, why.
    fn unmasking(&self, rows: &[DumpRow], model: &Model) -> Vec<Line<'static>> {
        let Some(key) = self.header.masking_key else {
            let why = if self.detail.entry.is_archived() {
                "A HAR does not say whether the frames were masked, nor with which key."
            } else {
                "Nothing to unmask: MASK is 0, the payload crossed the wire as it is. A server must not mask \
                 (RFC 6455 5.1): only the bytes of clients could be chosen by a page that attacks a proxy (10.3)."
            };
            return wrap(why, self.width).into_iter().map(Line::raw).collect();
        };
        let archived = self.detail.entry.is_archived();
        let start = if archived { 0 } else { self.header.len() as u64 };
        let digits = grouped(self.header.length).len().max(4);
        let (mod_4, nth, width) = if model.binary { ("n", 1, 8) } else { ("mod 4", 5, 6) };
        let shown =
            |byte: u8| if model.binary { format!("{byte:08b}") } else { format!("{byte:>6}", byte = hex(byte)) };
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let DumpRow::Bytes { offset, bytes, .. } = row else {
                let columns =
                    format!("{:>digits$} {mod_4}  {:>width$} ^ {:>width$} = {:>width$}", "at", "wire", "key", "result");
                lines.push(Line::styled(fit(&columns, self.width, self.theme.ellipsis()), self.theme.field()));
                continue;
            };
            let at = offset - start;
            let Some(step) = unmask_steps(key, bytes, at).next() else {
                lines.push(Line::styled(format!("{:>digits$} not recorded", grouped(at)), Theme::quiet()));
                continue;
            };
            let line = Line::from(vec![
                Span::styled(format!("{:>digits$} ", grouped(at)), Theme::quiet()),
                Span::raw(format!("{:>nth$}  ", step.key_index)),
                Span::styled(shown(step.wire), Theme::quiet()),
                Span::raw(" ^ "),
                Span::styled(shown(step.key), self.theme.key()),
                Span::raw(" = "),
                Span::styled(shown(step.plain), Theme::strong()),
                Span::raw(format!("  {}", dump_char(step.plain))),
            ]);
            lines.push(if self.is_under_cursor(Part::Plain, *offset) {
                let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
                Line::styled(text, Theme::cursor())
            } else {
                line
            });
        }
        lines
    }
}

/// Two digits.
fn hex(byte: u8) -> &'static str {
    static DIGITS: [[u8; 2]; 256] = {
        let (digits, mut all, mut byte) = (b"0123456789abcdef", [[0; 2]; 256], 0);
        while byte < all.len() {
            all[byte] = [digits[byte >> 4], digits[byte & 15]];
            byte += 1;
        }
        all
    };
    std::str::from_utf8(&DIGITS[usize::from(byte)]).unwrap_or_default()
}

/// [`dump_char`] as text.
fn dumped(byte: u8) -> &'static str {
    const SHOWN: &str =
        " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    let at = dump_char(byte) as usize - 0x20;
    &SHOWN[at..=at]
}

/// The bytes of the field under the cursor.
fn lit() -> Style {
    Style::new().remove_modifier(Modifier::DIM).add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
}

fn text_line(line: &TextLine, theme: Theme) -> Line<'static> {
    let spans = line.iter().map(|(tone, text)| {
        let style = match tone {
            Tone::Plain => Style::new(),
            Tone::Name => theme.field(),
            Tone::String => theme.string(),
            Tone::Other => theme.key(),
        };
        Span::styled(text.clone(), style)
    });
    Line::from(spans.collect::<Vec<_>>())
}

/// Hex digits of an offset within the frame.
const fn digits(header: &Header) -> usize {
    match header.length {
        0..=0xFF00 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_digits_and_its_character() {
        for byte in 0..=255 {
            assert_eq!((hex(byte), dumped(byte)), (&*format!("{byte:02x}"), &*dump_char(byte).to_string()));
        }
    }
}
