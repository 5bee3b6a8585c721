//! The frame list.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::paint::Paint;
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
    let focused = model.hears() && model.pane == layout::Pane::List;
    let note = note(model, snapshot);
    let name = if model.listing.messages { "messages" } else { "frames" };
    let title = title(name, model, usize::from(area.width).saturating_sub(note.width() + 8));
    let inner = Pane { theme, focused, title, note }.draw(area, buffer);
    let (first, last) = snapshot.listed;
    if last < first && snapshot.rows.is_empty() {
        empty(model, snapshot, inner, buffer);
        return;
    }
    let columns = Columns::new(inner.width.into(), snapshot.last, model.listing.messages);
    columns.headings().paint(Rect { height: 1, ..inner }, buffer);
    for ((y, row), number) in (inner.y + 1..inner.bottom()).zip(&snapshot.rows).zip(model.frames.top.max(1)..) {
        let at_cursor = number == model.frames.selected;
        let line = columns.row(row, at_cursor, focused, &model.zone, theme);
        let row_area = Rect { y, height: 1, ..inner };
        if at_cursor && focused {
            buffer.set_style(row_area, Theme::cursor());
        }
        line.paint(row_area, buffer);
    }
}

/// What the rows are, and the filter that they passed.
pub(super) fn title(name: &str, model: &Model, room: usize) -> Line<'static> {
    let expression = model.theme.clean(&model.listing.expression);
    if expression.is_empty() {
        return Line::raw(name.to_owned());
    }
    let expression = fit(&expression, room.saturating_sub(name.len() + 2), model.theme.ellipsis());
    Line::from(vec![Span::raw(format!("{name}: ")), Span::styled(expression, Theme::strong())])
}

/// Where the selection is among how many rows, and whether they stand still.
pub(super) fn note(model: &Model, snapshot: &Snapshot) -> Line<'static> {
    let (first, last) = snapshot.listed;
    let shown = (last + 1).saturating_sub(first);
    let mut parts = Vec::new();
    let gone = snapshot.totals.gone;
    if gone > 0 {
        parts.push(format!("{} gone", counted(gone, "older frame")));
    }
    if model.hidden > gone {
        parts.push(format!("{} hidden", grouped(model.hidden - gone)));
    }
    let row = model.frames.selected.checked_sub(first).filter(|_| shown > 0).map(|before| grouped(before + 1));
    if model.incoming_at.is_some() {
        parts.push("a frame that is coming in".to_owned());
    } else if model.listing.expression.is_empty() || model.listing.messages {
        parts.extend(row.map(|row| format!("row {row} of {}", grouped(shown))));
    } else {
        parts.extend(row.map(|row| format!("row {row}")));
        parts.push(format!(
            "{} of {}",
            grouped(shown),
            counted(snapshot.last.saturating_sub(snapshot.unlisted), "frame")
        ));
    }
    if let Some(looked_at) = snapshot.looked_at {
        parts.push(format!("filtering {} %", looked_at * 100 / snapshot.last));
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

/// Says why there are no rows.
pub(super) fn empty(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let gone = snapshot.totals.gone;
    let text = if gone > 0 && gone >= snapshot.last {
        format!("All of {} gone: the recording is kept within a size.", counted(snapshot.last, "frame"))
    } else if snapshot.last > snapshot.unlisted && snapshot.looked_at.is_some() {
        "Nothing that matches so far.".to_owned()
    } else if snapshot.last > snapshot.unlisted {
        "No frame matches. / changes the filter.".to_owned()
    } else if let Some(why) = model.quiet {
        why.to_owned()
    } else if model.hidden > 0 {
        format!("Cleared. {} from before hidden; z shows them again.", counted(model.hidden, "frame"))
    } else {
        match snapshot.totals.open {
            0 => "No frames yet: waiting for a connection.".to_owned(),
            open => format!("No frames yet, {open} open. Press t to send a text."),
        }
    };
    let text = fit(&text, area.width.into(), model.theme.ellipsis());
    let y = area.y + area.height / 2;
    Line::styled(text, Theme::quiet()).centered().paint(Rect { y, height: 1, ..area }, buffer);
}
