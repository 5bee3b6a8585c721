//! What the mouse does.

use ratatui::layout::Position;

use super::action::View;
use super::layout::Pane;
use super::model::Model;
use super::navigate::scroll_pane;

pub(super) fn click(model: &mut Model, position: Position) {
    let Some(layout) = model.layout() else { return };
    let Some(pane) = layout.pane_at(position) else { return };
    match model.view {
        View::Frames => {
            model.frames.follow &= pane == Pane::List;
            model.pane = pane;
        }
        View::Connections => model.connection_pane = pane,
        View::Rules => model.rule_pane = pane,
        View::Lessons => model.course.pane = pane,
        View::Handshake | View::Ladder | View::Statistics => {}
    }
    if model.view == View::Ladder {
        // a pause has lines of its own there
        let line = layout.list.and_then(|area| position.y.checked_sub(area.y + 2)).map(usize::from);
        if let Some(row) = line.and_then(|line| model.ladder_lines.get(line)) {
            model.frames.select(*row);
        }
        return;
    }
    let Some(row) = layout.list.and_then(|area| {
        let first = area.y + 2;
        let below = area.bottom().saturating_sub(1);
        (first..below).contains(&position.y).then(|| u64::from(position.y - first))
    }) else {
        return;
    };
    match (model.view, pane) {
        (View::Frames, Pane::List) => model.frames.select(model.frames.top + row),
        (View::Connections, Pane::List) => model.connections.select(model.connections.top + row),
        (View::Rules, Pane::List) => model.rules.select(model.rules.top + row),
        (View::Lessons, Pane::List) => model.course.cursor.select(model.course.cursor.top + row),
        _ => {}
    }
}

pub(super) fn wheel(model: &mut Model, position: Position, rows: i64) {
    let Some(pane) = model.layout().and_then(|layout| layout.pane_at(position)) else { return };
    match (model.view, pane) {
        (View::Frames, Pane::List) => model.frames.scroll(rows),
        // what is in view there depends on the selection: a window of rows has more lines than fit
        (View::Ladder, Pane::List) => model.frames.step(rows),
        (View::Connections, Pane::List) => model.connections.scroll(rows),
        (View::Rules, Pane::List) => model.rules.scroll(rows),
        (View::Lessons, Pane::List) => model.course.cursor.scroll(rows),
        (_, pane) => scroll_pane(model, pane, rows),
    }
}
