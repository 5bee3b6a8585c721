//! TLS of the selected connection's legs, each part explained.

use ratatui::text::{Line, Span};

use super::handshake::beside;
use crate::capture::{Connection, Tls};
use crate::formats::tls::{Part, in_words};
use crate::tui::text::{glued, wrap};
use crate::tui::theme::Theme;
use crate::wire::Side;

/// What is shown of it, if there is any: one leg beside the other where there is room.
pub(super) fn lines(connection: &Connection, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const SIDE_BY_SIDE: usize = 120;
    let leg = |with: Side| connection.tls[with as usize].as_deref().map(|tls| (tls, with));
    let legs: Vec<_> = Side::BOTH.into_iter().filter_map(leg).collect();
    let mut lines = match legs[..] {
        [one, other] if width >= SIDE_BY_SIDE => {
            let column = width / 2 - 1;
            beside(leg_lines(one, column, theme), leg_lines(other, column, theme), column)
        }
        _ => {
            let mut lines = Vec::new();
            for leg in legs {
                if !lines.is_empty() {
                    lines.push(Line::default());
                }
                lines.extend(leg_lines(leg, width, theme));
            }
            lines
        }
    };
    if !lines.is_empty() {
        lines.insert(0, Line::default());
    }
    lines
}

fn leg_lines((tls, peer): (&Tls, Side), width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(vec![
        Span::styled("TLS", Theme::strong()),
        Span::styled(format!(" with the {peer}"), theme.side(peer).patch(Theme::strong())),
    ])];
    for part in in_words(tls, peer) {
        lines.extend(part_lines(&part, width, theme));
    }
    lines
}

fn part_lines(part: &Part, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let style = if part.is_bad { theme.alarm() } else { theme.field() };
    let text = format!("{}: {}", part.name, theme.clean(&part.value));
    let mut lines = Vec::new();
    for (i, line) in wrap(&text, width).into_iter().enumerate() {
        lines.push(match line.split_at_checked(part.name.len() + 1) {
            Some((name, value)) if i == 0 => {
                Line::from(vec![Span::styled(name.to_owned(), style), Span::raw(value.to_owned())])
            }
            _ => Line::raw(line),
        });
    }
    let meaning = format!("{}  {}", theme.clean(&part.meaning), glued(part.section));
    let quiet = if part.is_bad { theme.alarm() } else { Theme::quiet() };
    lines.extend(super::frame::indented(&meaning, width).into_iter().map(|line| line.style(quiet)));
    lines
}
