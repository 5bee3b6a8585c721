//! The prompt for a filter, at the foot of the panel, so that the list stays in view.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::paint::{Paint, clear};
use super::pane::Pane;
use crate::tui::prompt::Prompt;
use crate::tui::text::{fit, left, wrap};
use crate::tui::theme::Theme;

/// Draws it and returns where the terminal's cursor belongs.
pub(super) fn draw(prompt: &Prompt, theme: Theme, body: Rect, buffer: &mut Buffer) -> Position {
    const HEIGHT: u16 = 7;
    let height = HEIGHT.min(body.height);
    let area = Rect { y: body.bottom() - height, height, ..body };
    clear(area, buffer);
    let inner = Pane { theme, focused: true, title: Line::raw("filter"), note: Line::default() }.draw(area, buffer);
    let room = usize::from(inner.width);
    let row = |y: u16| Rect { y: inner.y + y, height: 1, ..inner };
    let mut render = |y: u16, line: Line<'_>| {
        if y < inner.height {
            line.paint(row(y), buffer);
        }
    };

    let text = prompt.input.value();
    let width_to = |byte: usize| theme.clean(&text[..byte]).width();
    let cursor = width_to(prompt.cursor());
    // what is left of the window
    let skipped = (cursor + 1).saturating_sub(room);
    let mut shown = theme.clean(text);
    while shown.width() > 0 && theme.clean(text).width() - shown.width() < skipped {
        shown.remove(0);
    }
    let skipped = theme.clean(text).width() - shown.width();
    let shown = Span::styled(left(&shown, room, ""), Theme::strong().add_modifier(Modifier::UNDERLINED));
    render(0, Line::from(shown));

    if let Some(error) = &prompt.error {
        let byte = text.char_indices().nth(error.column - 1).map_or(text.len(), |(at, _)| at);
        let column = width_to(byte).saturating_sub(skipped).min(room.saturating_sub(1));
        render(1, Line::from(vec![Span::raw(" ".repeat(column)), Span::styled("^", theme.alarm())]));
        for (y, line) in (2..4).zip(wrap(&theme.clean(&error.to_string()), room)) {
            render(y, Line::styled(line, theme.alarm()));
        }
    } else {
        let words = prompt.candidates().join(" ");
        for (y, line) in (1..4).zip(wrap(&words, room)) {
            render(y, Line::styled(fit(&line, room, theme.ellipsis()), Theme::quiet()));
        }
    }
    let arrows = theme.sign("↑ ↓", "Up Down");
    let keys = format!("Enter applies   Tab completes   {arrows} earlier ones   Esc cancels   empty shows all");
    render(4, Line::styled(fit(&keys, room, theme.ellipsis()), Theme::quiet()));
    Position { x: inner.x + (cursor - skipped) as u16, y: inner.y }
}
