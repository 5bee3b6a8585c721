//! The selected frame's bytes: offset, hex, text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::pane::{Pane, position};
use crate::formats::sanitize::dump_char;
use crate::tui::dump::{DumpRow, Part};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{counted, fit};
use crate::tui::theme::Theme;
use crate::wire::Header;

/// Draws it.
pub(super) fn draw(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let (height, width) = layout::inside(area);
    let focused = model.pane == layout::Pane::Bytes;
    let header = snapshot.detail.as_ref().map(|detail| detail.entry.header());
    let is_archived = snapshot.detail.as_ref().is_some_and(|detail| detail.entry.is_archived());
    let title = header.map_or_else(
        || "bytes".to_owned(),
        |header| {
            let seen = if is_archived { String::new() } else { format!("{} + ", header.len()) };
            format!("bytes  {seen}{}", counted(header.length, "byte"))
        },
    );
    let note = if snapshot.dump_rows > height as u64 {
        Line::raw(position(model.bytes_scroll, height as u64, snapshot.dump_rows))
    } else {
        Line::default()
    };
    let title = Line::raw(fit(&title, usize::from(area.width).saturating_sub(note.width() + 8), theme.ellipsis()));
    let inner = Pane { theme, focused, title, note }.draw(area, buffer);
    let Some(header) = header else { return };
    for (y, row) in (inner.y..inner.bottom()).zip(&snapshot.dump) {
        line(row, &header, width, theme).render(Rect { y, height: 1, ..inner }, buffer);
    }
}

fn line(row: &DumpRow, header: &Header, width: usize, theme: Theme) -> Line<'static> {
    let (part, offset, bytes) = match row {
        DumpRow::Heading(text) => return Line::styled(fit(text, width, theme.ellipsis()), theme.field()),
        DumpRow::Bytes { part, offset, bytes } => (*part, *offset, bytes),
    };
    let per_row = if width >= 76 { 16 } else { 8 };
    let mut spans = vec![Span::styled(format!("{offset:0digits$x}  ", digits = digits(header)), Theme::quiet())];
    if bytes.is_empty() {
        spans.push(Span::styled("not recorded", Theme::quiet()));
        return Line::from(spans);
    }
    for place in 0..per_row {
        let gap = if place % 8 == 7 { "  " } else { " " };
        match bytes.get(place) {
            Some(byte) => {
                spans.push(Span::styled(format!("{byte:02x}"), style(part, offset + place as u64, header, theme)));
            }
            None => spans.push(Span::raw("  ")),
        }
        spans.push(Span::raw(gap));
    }
    if part != Part::Header {
        let text: String = bytes.iter().map(|byte| dump_char(*byte)).collect();
        spans.push(Span::styled(
            text,
            if matches!(part, Part::Plain | Part::Inflated) { Style::new() } else { Theme::quiet() },
        ));
    }
    Line::from(spans)
}

/// Hex digits of an offset within the frame.
fn digits(header: &Header) -> usize {
    match header.length {
        0..=0xFF00 => 4,
        _ => 8,
    }
}

fn style(part: Part, offset: u64, header: &Header, theme: Theme) -> Style {
    let key = header.masking_key.map(|_| header.len() as u64 - 4..header.len() as u64);
    match part {
        Part::Header if key.is_some_and(|key| key.contains(&offset)) => theme.key(),
        Part::Header => theme.field(),
        Part::Plain | Part::Inflated => Style::new(),
        Part::Masked => Theme::quiet(),
    }
}
