//! A pane: a border with a title at the left and one at the right, and lines inside that scroll.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Clear, Padding, Widget};

use crate::tui::text::grouped;
use crate::tui::theme::Theme;

/// A pane's border.
#[derive(Clone, Debug)]
pub(super) struct Pane<'a> {
    pub(super) theme: Theme,
    pub(super) focused: bool,
    pub(super) title: Line<'a>,
    pub(super) note: Line<'a>,
}

impl Pane<'_> {
    /// Draws the border and returns what is inside it.
    pub(super) fn draw(self, area: Rect, buffer: &mut Buffer) -> Rect {
        Clear.render(area, buffer);
        let mut block = Block::new()
            .borders(Borders::ALL)
            .border_set(self.theme.border_set())
            .border_style(self.theme.border(self.focused))
            .padding(Padding::horizontal(1))
            .title(titled(self.title));
        if self.note.width() > 0 {
            block = block.title(titled(self.note).alignment(Alignment::Right));
        }
        let inner = block.inner(area);
        block.render(area, buffer);
        inner
    }

    /// Draws the border and as many of `lines` as there is room for, from the `scroll`th on.
    pub(super) fn draw_lines(mut self, lines: Vec<Line<'_>>, scroll: &mut u64, area: Rect, buffer: &mut Buffer) {
        let height = u64::from(area.height.saturating_sub(2));
        let count = lines.len() as u64;
        *scroll = (*scroll).min(count.saturating_sub(height));
        if count > height && self.note.width() == 0 {
            self.note = Line::raw(position(*scroll, height, count));
        }
        let inner = self.draw(area, buffer);
        for (y, line) in (inner.y..inner.bottom()).zip(lines.into_iter().skip(*scroll as usize)) {
            line.render(Rect { y, height: 1, ..inner }, buffer);
        }
    }
}

/// `rows 1-20 of 312`
pub(super) fn position(scroll: u64, height: u64, count: u64) -> String {
    format!("rows {}-{} of {}", grouped(scroll + 1), grouped((scroll + height).min(count)), grouped(count))
}

fn titled(mut line: Line<'_>) -> Line<'_> {
    line.spans.insert(0, " ".into());
    line.spans.push(" ".into());
    line
}
