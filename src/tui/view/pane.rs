//! A pane: a border with a title at the left and one at the right, and lines inside that scroll.

use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::text::Line;

use super::paint::{Paint, row};
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
    /// Draws the border, where nothing is yet, and returns what is inside it.
    pub(super) fn draw(self, area: Rect, buffer: &mut Buffer) -> Rect {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return area;
        }
        self.draw_border(area, buffer);
        let top = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area };
        titled(self.title).paint(top, buffer);
        if self.note.width() > 0 {
            titled(self.note).right_aligned().paint(top, buffer);
        }
        area.inner(Margin { horizontal: 2, vertical: 1 })
    }

    fn draw_border(&self, area: Rect, buffer: &mut Buffer) {
        let (set, style) = (self.theme.border_set(), self.theme.border(self.focused));
        let mut line = |y: u16, [left, between, right]: [&str; 3]| {
            let cells = row(Rect { y, ..area }, buffer);
            for cell in &mut *cells {
                cell.set_symbol(between).set_style(style);
            }
            if let [first, .., last] = cells {
                first.set_symbol(left);
                last.set_symbol(right);
            }
        };
        line(area.top(), [set.top_left, set.horizontal_top, set.top_right]);
        line(area.bottom() - 1, [set.bottom_left, set.horizontal_bottom, set.bottom_right]);
        for y in area.top() + 1..area.bottom() - 1 {
            for (x, side) in [(area.left(), set.vertical_left), (area.right() - 1, set.vertical_right)] {
                buffer[(x, y)].set_symbol(side).set_style(style);
            }
        }
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
            line.paint(Rect { y, height: 1, ..inner }, buffer);
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
