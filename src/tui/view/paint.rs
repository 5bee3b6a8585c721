//! Lines drawn into a buffer: cell for cell what ratatui makes of them. It takes text apart into graphemes and asks how wide
//! each is, three times over; nearly all that is drawn here is plain, a column for each character.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::tui::text::{is_plain, width};

/// What is drawn in a row of cells.
pub(super) trait Paint {
    /// Draws it into the first row of `area`, as far as there is room.
    fn paint(&self, area: Rect, buffer: &mut Buffer);
}

impl Paint for Line<'_> {
    fn paint(&self, area: Rect, buffer: &mut Buffer) {
        if matches!(self.alignment, Some(Alignment::Center | Alignment::Right)) {
            return self.render(area, buffer);
        }
        let mut area = Rect { height: area.height.min(1), ..area }.intersection(buffer.area);
        if area.is_empty() || self.spans.iter().all(|span| width(&span.content) == 0) {
            return;
        }
        if self.style != Style::new() {
            for cell in row(area, buffer) {
                cell.set_style(self.style);
            }
        }
        for span in &self.spans {
            let taken = paint_span(span, area, buffer).min(area.width);
            area = Rect { x: area.x + taken, width: area.width - taken, ..area };
            if area.is_empty() {
                break;
            }
        }
    }
}

/// Draws a span and returns how many columns it takes, or would.
fn paint_span(span: &Span<'_>, area: Rect, buffer: &mut Buffer) -> u16 {
    if !is_plain(&span.content) {
        let columns = u16::try_from(span.width()).unwrap_or(u16::MAX);
        if columns > 0 {
            span.render(area, buffer);
        }
        return columns;
    }
    let has_style = span.style != Style::new();
    let mut columns = 0;
    for (cell, c) in row(area, buffer).iter_mut().zip(span.content.chars()) {
        cell.set_char(c);
        if has_style {
            cell.set_style(span.style);
        }
        columns += 1;
    }
    columns
}

/// Empties `area`, whatever is there.
pub(super) fn clear(area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    for y in area.top()..area.bottom() {
        row(Rect { y, ..area }, buffer).iter_mut().for_each(Cell::reset);
    }
}

/// The cells of the first row of `area`, which lies within the buffer.
pub(super) fn row(area: Rect, buffer: &mut Buffer) -> &mut [Cell] {
    let start = buffer.index_of(area.x, area.y);
    &mut buffer.content[start..start + usize::from(area.width)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::{Color, Modifier};

    use super::*;

    fn style() -> impl Strategy<Value = Style> {
        prop::sample::select(vec![
            Style::new(),
            Style::new().fg(Color::Red),
            Style::new().bg(Color::Blue).add_modifier(Modifier::BOLD),
            Style::new().add_modifier(Modifier::DIM).remove_modifier(Modifier::BOLD),
        ])
    }

    fn text() -> impl Strategy<Value = String> {
        let pieces = vec![
            "plain text",
            "GET /chat",
            " ",
            "",
            "──▶",
            "·…×–",
            "▁▂▃█▏",
            "┌┐└┘│",
            "日本語",
            "e\u{301}",
            "👩\u{200d}💻",
            "\u{301}",
            "◽",
            "▶\u{fe0f}",
            "\u{ff9e}",
            "a\u{ad}b",
            "ไทย",
            "\u{7f}",
            "\n",
            "ﷺ",
            "\u{200b}",
        ];
        prop::collection::vec(prop::sample::select(pieces), 0..5).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_line_is_drawn_as_ratatui_draws_it(
            spans in prop::collection::vec((text(), style()), 0..5),
            style in style(),
            x in 0_u16..12,
            width in 0_u16..50,
            alignment in prop::sample::select(vec![None, Some(Alignment::Left), Some(Alignment::Center), Some(Alignment::Right)]),
        ) {
            let spans: Vec<_> = spans.into_iter().map(|(text, style)| Span::styled(text, style)).collect();
            let line = Line { style, alignment, spans };
            let before = Buffer::filled(Rect::new(2, 1, 30, 3), Cell::new("x"));
            let area = Rect::new(x, 2, width, 2);
            let (mut theirs, mut ours) = (before.clone(), before);
            (&line).render(area, &mut theirs);
            line.paint(area, &mut ours);
            prop_assert_eq!(ours, theirs);
        }
    }
}
