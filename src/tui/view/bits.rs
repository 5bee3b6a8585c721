//! The header of a frame, and the beginning of its payload, in the grid of RFC 6455 5.2 with its own bits and bytes.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! ┌─┬─┬─┬─┬───────┬─┬─────────────┬───────────────────────────────┐
//! │1│0│0│0│0 0 0 1│1│0 0 0 0 1 0 1│             37 fa             │
//! │F│1│2│3│opcode │M│   length    │          masking key          │
//! └─┴─┴─┴─┴───────┴─┴─────────────┴───────────────────────────────┘
//! ```

use std::ops::Range;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::anatomy::Field;
use crate::tui::theme::Theme;
use crate::wire::Header;

/// The columns that the grid takes.
pub(super) const WIDTH: usize = 65;

/// A frame's header, and the beginning of its payload, as the grid shows them.
pub(super) struct Grid<'a> {
    /// The bytes of the frame as they crossed the wire, as many as are at hand.
    pub(super) wire: &'a [u8],
    pub(super) header: &'a Header,
    pub(super) fields: &'a [Field],
    /// The field under the cursor.
    pub(super) selected: Option<usize>,
    pub(super) theme: Theme,
}

impl Grid<'_> {
    /// How many rows of 32 bits it has: those of the header, and the payload up to the end of the last one, or one more.
    fn words(&self) -> u64 {
        let header = self.header.len() as u64;
        if self.header.length == 0 || !header.is_multiple_of(4) { header.div_ceil(4) } else { header / 4 + 1 }
    }

    /// The lines that all of it takes.
    pub(super) fn height(&self) -> usize {
        3 + 3 * self.words() as usize
    }

    /// All of it.
    pub(super) fn lines(&self) -> Vec<Line<'static>> {
        self.draw(0..self.words())
    }

    /// The rows alone in which the selected field begins.
    pub(super) fn around(&self) -> Vec<Line<'static>> {
        let selected = self.selected.and_then(|selected| self.fields.get(selected));
        let word = selected.map_or(0, |field| field.grid_bits().start / 32).min(self.words().saturating_sub(1));
        self.draw(word..word + 1)
    }

    fn draw(&self, words: Range<u64>) -> Vec<Line<'static>> {
        let theme = self.theme;
        let bits = (self.header.len() as u64 * 8).saturating_add(self.header.length.saturating_mul(8));
        let tens = [0, 1, 2, 3].map(|ten| format!(" {ten:<19}")).concat();
        let ones = " 0 1 2 3 4 5 6 7 8 9".repeat(4)[..WIDTH - 1].to_owned();
        let mut lines = vec![Line::styled(tens, Theme::quiet()), Line::styled(ones, Theme::quiet())];
        let mut above: Option<Vec<Range<u64>>> = None;
        for word in words {
            let start = word * 32;
            let row = start..bits.min(start + 32);
            let cells = cells(self.fields, &row);
            lines.push(rule(above.as_deref(), Some(&cells), theme));
            lines.push(self.line(&cells, |field, cell| (value(self.wire, cell, field), Theme::strong())));
            lines.push(self.line(&cells, |field, cell| (name(field, cell), Theme::quiet())));
            above = Some(cells.iter().map(|(_, cell)| cell.start - row.start..cell.end - row.start).collect());
        }
        lines.push(rule(above.as_deref(), None, theme));
        lines
    }

    fn line(
        &self,
        cells: &[(usize, Range<u64>)],
        text: impl Fn(&Field, &Range<u64>) -> (String, Style),
    ) -> Line<'static> {
        let bar = self.theme.sign("│", "|");
        let mut spans = vec![Span::styled(bar, Theme::quiet())];
        for (i, cell) in cells {
            let width = ((cell.end - cell.start) * 2 - 1) as usize;
            let (text, style) = text(&self.fields[*i], cell);
            let style = if self.selected == Some(*i) { Theme::cursor() } else { style };
            spans.push(Span::styled(format!("{text:^width$}"), style));
            spans.push(Span::styled(bar, Theme::quiet()));
        }
        Line::from(spans)
    }
}

/// The fields in a row of the grid, and the bits of it that each takes.
fn cells(fields: &[Field], row: &Range<u64>) -> Vec<(usize, Range<u64>)> {
    fields
        .iter()
        .enumerate()
        .filter_map(|(i, field)| {
            let bits = field.grid_bits();
            let cell = bits.start.max(row.start)..bits.end.min(row.end);
            (!cell.is_empty()).then_some((i, cell))
        })
        .collect()
}

/// Single bits as bits, whole bytes in hex.
fn value(wire: &[u8], cell: &Range<u64>, field: &Field) -> String {
    let bit = |bit: u64| wire.get((bit / 8) as usize).map_or(0, |byte| byte >> (7 - bit % 8) & 1);
    if field.bits.is_some() {
        return cell.clone().map(|n| bit(n).to_string()).collect::<Vec<_>>().join(" ");
    }
    let hex = |at: u64| wire.get(at as usize).map_or_else(|| "..".to_owned(), |byte| format!("{byte:02x}"));
    (cell.start / 8..cell.end / 8).map(hex).collect::<Vec<_>>().join(" ")
}

/// The field's name, or as much of it as fits.
fn name(field: &Field, cell: &Range<u64>) -> String {
    let width = ((cell.end - cell.start) * 2 - 1) as usize;
    match field.name.as_ref() {
        name if name.len() <= width => name.to_owned(),
        "payload length" => "length".to_owned(),
        "payload data" => "payload".chars().take(width).collect(),
        name if width == 1 => name.chars().find(char::is_ascii_digit).or(name.chars().next()).into_iter().collect(),
        name => name.chars().take(width).collect(),
    }
}

/// The line between two rows of cells, whose bits are given.
fn rule(above: Option<&[Range<u64>]>, below: Option<&[(usize, Range<u64>)]>, theme: Theme) -> Line<'static> {
    let ends_above: Vec<u64> = above.unwrap_or_default().iter().map(|cell| cell.end % 32).collect();
    let width_above = above.and_then(|cells| cells.last()).map_or(0, |cell| cell.end);
    let first = below.and_then(|cells| cells.first()).map_or(0, |(_, cell)| cell.start);
    let ends_below: Vec<u64> = below.unwrap_or_default().iter().map(|(_, cell)| (cell.end - first) % 32).collect();
    let width_below = below.and_then(|cells| cells.last()).map_or(0, |(_, cell)| cell.end - first);
    let width = width_above.max(width_below);
    let mut text = String::new();
    for at in 0..=width {
        let up = above.is_some() && (at == 0 || at == width_above || (at < width_above && ends_above.contains(&at)));
        let down = below.is_some() && (at == 0 || at == width_below || (at < width_below && ends_below.contains(&at)));
        let place = match at {
            0 => Place::Left,
            at if at == width => Place::Right,
            _ => Place::Between,
        };
        text.push_str(joint(up, down, place, theme));
        if at < width {
            text.push_str(theme.sign("─", "-"));
        }
    }
    Line::styled(text, Theme::quiet())
}

#[derive(Clone, Copy)]
enum Place {
    Left,
    Between,
    Right,
}

/// Where lines meet: whether one comes from above and from below, and where on the rule that is.
const fn joint(up: bool, down: bool, place: Place, theme: Theme) -> &'static str {
    if theme.ascii {
        return if up || down { "+" } else { "-" };
    }
    match (up, down, place) {
        (true, true, Place::Left) => "├",
        (true, true, Place::Between) => "┼",
        (true, true, Place::Right) => "┤",
        (true, false, Place::Left) => "└",
        (true, false, Place::Between) => "┴",
        (true, false, Place::Right) => "┘",
        (false, true, Place::Left) => "┌",
        (false, true, Place::Between) => "┬",
        (false, true, Place::Right) => "┐",
        (false, false, _) => "─",
    }
}
