//! The help overlay: the table of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::paint::clear;
use super::pane::Pane;
use crate::tui::keymap::{BINDINGS, Binding, Scope};
use crate::tui::text::{left, wrap};
use crate::tui::theme::Theme;

/// Draws it in the middle of `body`; `scroll` is put right for what there is to scroll.
pub(super) fn draw(
    scroll: &mut usize,
    theme: Theme,
    (live, between, learns): (bool, bool, bool),
    body: Rect,
    buffer: &mut Buffer,
) {
    const KEYS: usize = 16;
    let width = body.width.min(74);
    let room = usize::from(width) - 4;
    let mut lines = Vec::new();
    let is_of_use = |binding: &&Binding| {
        binding.is_of_use(between)
            && (live || binding.scope != Scope::Live)
            && (learns || binding.scope != Scope::Lesson)
    };
    for binding in BINDINGS.iter().filter(is_of_use) {
        let keys = binding.names(theme.ascii);
        for (i, does) in wrap(binding.does, room - KEYS).into_iter().enumerate() {
            let keys = left(if i == 0 { &keys } else { "" }, KEYS, "");
            lines.push(Line::from(vec![Span::styled(keys, Theme::strong()), Span::raw(does)]));
        }
    }
    lines.extend(
        wrap("mouse           a click selects, the wheel scrolls what is under it", room).into_iter().map(Line::raw),
    );
    let height = body.height.min(lines.len() as u16 + 2);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let mut offset = *scroll as u64;
    clear(area, buffer);
    Pane { theme, focused: true, title: Line::raw("keys"), note: Line::default() }.draw_lines(
        lines,
        &mut offset,
        area,
        buffer,
    );
    *scroll = offset as usize;
}
