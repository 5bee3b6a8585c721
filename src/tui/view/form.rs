//! A form in the middle of the panel.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar as _;

use super::paint::{Paint, clear};
use super::pane::Pane;
use crate::tui::form::{FieldValue, Form};
use crate::tui::text::{left, wrap};
use crate::tui::theme::Theme;

/// Draws it and returns where the terminal's cursor belongs.
pub(super) fn draw(form: &Form, theme: Theme, body: Rect, buffer: &mut Buffer) -> Option<Position> {
    const LABEL: usize = 14;
    let width = body.width.min(72);
    let room = usize::from(width) - 4;
    let (text, style) = match (&form.error, form.advice()) {
        (Some(error), _) => (error.clone(), theme.alarm()),
        (None, Some(advice)) => (advice, Style::new()),
        (None, None) => (String::new(), Style::new()),
    };
    let advice = wrap(&theme.clean(&text), room);
    let height = (form.fields.len() + advice.len().max(2) + 4) as u16;
    let height = height.min(body.height);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let to = form.target.map(|connection| format!(", connection {connection}")).unwrap_or_default();
    let title = Line::raw(form.kind.title() + &to);
    clear(area, buffer);
    let inner = Pane { theme, focused: true, title, note: Line::default() }.draw(area, buffer);
    let row = |y: u16| Rect { y: inner.y + y, height: 1, ..inner };
    let mut cursor = None;
    for (y, field) in (0..).zip(&form.fields) {
        let focused = usize::from(y) == form.focus;
        let mark = if focused { theme.sign("▸ ", "> ") } else { "  " };
        let value_room = room - LABEL - 2;
        let (text, column) = window(&field.value, field.text(), value_room, theme);
        let untouched = matches!(field.value, FieldValue::Line { untouched: true, .. });
        let mut style = if untouched { Theme::quiet() } else { Style::new() };
        if focused {
            style = style.add_modifier(Modifier::UNDERLINED);
            cursor = column.map(|column| Position { x: inner.x + (LABEL + 2 + column) as u16, y: inner.y + y });
        }
        let text = match &field.value {
            FieldValue::Line { .. } => left(&text, value_room, ""),
            FieldValue::Switch(_) => format!("{text}  (Space turns it)"),
            FieldValue::Choice(..) => left(&format!("{text}  (Space: more)"), value_room, theme.ellipsis()),
        };
        let label = format!("{mark}{}", left(field.label, LABEL, ""));
        Line::from(vec![Span::styled(label, theme.field()), Span::styled(text, style)]).paint(row(y), buffer);
    }
    let fields = form.fields.len() as u16;
    for (y, line) in (fields + 1..inner.height.saturating_sub(1)).zip(advice) {
        Line::styled(line, style).paint(row(y), buffer);
    }
    if inner.height > fields + 1 {
        let more = if form.fields.len() > 1 { "Tab next field   " } else { "" };
        let keys = format!("Enter {}   {more}Esc cancels", form.kind.enter());
        Line::styled(keys, Theme::quiet()).paint(row(inner.height - 1), buffer);
    }
    cursor
}

/// The part of a line around its cursor that fits `room`, and the cursor's column in it.
pub(super) fn window(value: &FieldValue, text: &str, room: usize, theme: Theme) -> (String, Option<usize>) {
    let FieldValue::Line { input, .. } = value else { return (text.to_owned(), None) };
    let split = text.char_indices().nth(input.cursor()).map_or(text.len(), |(at, _)| at);
    let before = theme.clean(&text[..split]);
    let mut column = 0;
    let mut start = before.len();
    for (at, c) in before.char_indices().rev() {
        let wide = column + c.width().unwrap_or(0);
        if wide >= room {
            break;
        }
        (start, column) = (at, wide);
    }
    (before[start..].to_owned() + &theme.clean(&text[split..]), Some(column))
}
