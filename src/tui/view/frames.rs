//! The frame list.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::pane::Pane;
use super::row::Columns;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{counted, fit, grouped};
use crate::tui::theme::Theme;

/// Draws it.
pub(super) fn draw(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let focused = model.pane == layout::Pane::List;
    let inner = Pane { theme, focused, title: Line::raw("frames"), note: note(model, snapshot) }.draw(area, buffer);
    if snapshot.last <= model.hidden {
        empty(model, snapshot, inner, buffer);
        return;
    }
    let columns = Columns::new(inner.width.into(), snapshot.last);
    columns.headings().render(Rect { height: 1, ..inner }, buffer);
    for (y, row) in (inner.y + 1..inner.bottom()).zip(&snapshot.rows) {
        let at_cursor = row.n == model.frames.selected;
        let line = columns.row(row, at_cursor, focused, &model.zone, theme);
        let row_area = Rect { y, height: 1, ..inner };
        if at_cursor && focused {
            buffer.set_style(row_area, Theme::cursor());
        }
        line.render(row_area, buffer);
    }
}

fn note(model: &Model, snapshot: &Snapshot) -> Line<'static> {
    let mut parts = Vec::new();
    if model.hidden > 0 {
        parts.push(format!("{} hidden", grouped(model.hidden)));
    }
    if let Some(selected) = model.selected_frame() {
        parts.push(format!("row {} of {}", grouped(selected - model.hidden), grouped(snapshot.last - model.hidden)));
    }
    let mut spans = vec![Span::styled(parts.join(", "), Style::new())];
    let state = match (&model.frozen, model.frames.follow) {
        (Some(_), _) => "frozen",
        (None, true) => "following",
        (None, false) => "",
    };
    if !state.is_empty() {
        spans.push(Span::raw(if parts.is_empty() { "" } else { ", " }));
        spans.push(Span::styled(state, Theme::strong()));
    }
    Line::from(spans)
}

fn empty(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let text = if model.hidden > 0 {
        format!("Cleared. {} from before hidden; z shows them again.", counted(model.hidden, "frame"))
    } else {
        match snapshot.totals.open {
            0 => "No frames yet: waiting for a connection.".to_owned(),
            open => format!("No frames yet, {open} open. Press t to send a text."),
        }
    };
    let text = fit(&text, area.width.into(), model.theme.ellipsis());
    let y = area.y + area.height / 2;
    Line::styled(text, Theme::quiet()).centered().render(Rect { y, height: 1, ..area }, buffer);
}
