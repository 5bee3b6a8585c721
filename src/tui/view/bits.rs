//! The header of a frame in the grid of RFC 6455 5.2, with its own bits and bytes filled in.
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

use ratatui::text::{Line, Span};

use crate::anatomy::Field;
use crate::tui::theme::Theme;

/// The columns that the grid takes.
pub(super) const WIDTH: usize = 65;

/// The grid for a header with `fields`, whose bytes are `header`.
pub(super) fn grid(header: &[u8], fields: &[Field], theme: Theme) -> Vec<Line<'static>> {
    let bits = header.len() as u64 * 8;
    let tens = [0, 1, 2, 3].map(|ten| format!(" {ten:<19}")).concat();
    let ones = " 0 1 2 3 4 5 6 7 8 9".repeat(4)[..WIDTH - 1].to_owned();
    let mut lines = vec![Line::styled(tens, Theme::quiet()), Line::styled(ones, Theme::quiet())];
    let mut above: Option<Vec<Range<u64>>> = None;
    for start in (0..bits).step_by(32) {
        let row = start..bits.min(start + 32);
        let cells = cells(fields, &row);
        lines.push(rule(above.as_deref(), Some(&cells), theme));
        lines.push(line(&cells, theme, |field, cell| (value(header, cell, field), Theme::strong()), fields));
        lines.push(line(&cells, theme, |field, cell| (name(field, cell), Theme::quiet()), fields));
        above = Some(cells.iter().map(|(_, cell)| cell.start - row.start..cell.end - row.start).collect());
    }
    lines.push(rule(above.as_deref(), None, theme));
    lines
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

fn line(
    cells: &[(usize, Range<u64>)],
    theme: Theme,
    text: impl Fn(&Field, &Range<u64>) -> (String, ratatui::style::Style),
    fields: &[Field],
) -> Line<'static> {
    let bar = theme.sign("│", "|");
    let mut spans = vec![Span::styled(bar, Theme::quiet())];
    for (i, cell) in cells {
        let width = ((cell.end - cell.start) * 2 - 1) as usize;
        let (text, style) = text(&fields[*i], cell);
        spans.push(Span::styled(format!("{text:^width$}"), style));
        spans.push(Span::styled(bar, Theme::quiet()));
    }
    Line::from(spans)
}

/// Single bits as bits, whole bytes in hex.
fn value(header: &[u8], cell: &Range<u64>, field: &Field) -> String {
    let bit = |bit: u64| header.get((bit / 8) as usize).map_or(0, |byte| byte >> (7 - bit % 8) & 1);
    if field.bits.is_some() {
        return cell.clone().map(|n| bit(n).to_string()).collect::<Vec<_>>().join(" ");
    }
    let bytes = (cell.start / 8) as usize..((cell.end / 8) as usize).min(header.len());
    header[bytes].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The field's name, or as much of it as fits.
fn name(field: &Field, cell: &Range<u64>) -> String {
    let width = ((cell.end - cell.start) * 2 - 1) as usize;
    match field.name.as_ref() {
        name if name.len() <= width => name.to_owned(),
        "payload length" => "length".to_owned(),
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
