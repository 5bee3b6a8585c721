//! The help overlay: the table of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::pane::Pane;
use crate::tui::keymap::{BINDINGS, Scope};
use crate::tui::text::{fit, left};
use crate::tui::theme::Theme;

/// Draws it in the middle of `body`; `scroll` is put right for what there is to scroll.
pub(super) fn draw(scroll: &mut usize, theme: Theme, body: Rect, buffer: &mut Buffer) {
    const KEYS: usize = 16;
    let width = body.width.min(78);
    let room = usize::from(width) - 4;
    let mut lines: Vec<_> = BINDINGS
        .iter()
        .map(|binding| {
            let place = match binding.scope {
                Scope::Frames => " (frames)",
                Scope::Everywhere | Scope::Lists => "",
            };
            let does = format!("{}{place}", binding.does);
            Line::from(vec![
                Span::styled(left(&binding.names(theme.ascii), KEYS, ""), Theme::strong()),
                Span::raw(fit(&does, room - KEYS, theme.ellipsis())),
            ])
        })
        .collect();
    lines.push(Line::default());
    lines.push(Line::raw(fit("mouse: a click selects, the wheel scrolls what is under it", room, theme.ellipsis())));
    let height = body.height.min(lines.len() as u16 + 2);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let mut offset = *scroll as u64;
    Pane { theme, focused: true, title: Line::raw("keys"), note: Line::default() }.draw_lines(
        lines,
        &mut offset,
        area,
        buffer,
    );
    *scroll = offset as usize;
}
