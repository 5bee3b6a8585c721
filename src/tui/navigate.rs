//! Moves through rows, panes and views.

use ratatui::layout::Rect;

use super::action::View;
use super::layout::Pane;
use super::listing::{Anchor, Kind};
use super::model::Model;
use super::spot::BytesAs;
use super::work::{Task, Work};
use crate::capture::filter::Filter;
use crate::capture::{Capture, Connection};
use crate::lint::Group;

/// Rows of a page in the pane that hears the keys.
pub(super) fn page(model: &Model) -> i64 {
    let Some(layout) = model.layout() else { return 1 };
    let bordered = |area: Option<Rect>| area.map_or(1, |area| area.height.saturating_sub(2));
    let rows = match (model.view, model.front()) {
        (View::Handshake | View::Statistics, _) => bordered(layout.list),
        (View::Ladder, _) => {
            let mut rows = model.ladder_lines.clone();
            rows.dedup();
            // of the first and the last one, all that is in view may be the pause before
            rows.len().saturating_sub(2) as u16
        }
        (_, Pane::List) => layout.list_rows() as u16,
        (_, Pane::Frame) => bordered(layout.frame),
        (_, Pane::Bytes) => bordered(layout.bytes),
    };
    i64::from(rows).max(1)
}

/// Moves the selection, or scrolls where there is none. What goes too far is put right before it is drawn.
pub(super) fn step(model: &mut Model, rows: i64) {
    match (model.view, model.front()) {
        (View::Frames | View::Ladder, Pane::List) => model.frames.step(rows),
        (View::Connections, Pane::List) => model.connections.step(rows),
        (View::Rules, Pane::List) => model.rules.step(rows),
        (View::Lessons, Pane::List) => model.course.cursor.step(rows),
        (View::Frames, Pane::Bytes) if model.bytes_as != BytesAs::Text => model.step_byte(rows),
        (_, pane) => scroll_pane(model, pane, rows),
    }
}

/// Moves what is in view of a pane that is no list.
pub(super) fn scroll_pane(model: &mut Model, pane: Pane, rows: i64) {
    let offset = match (model.view, pane) {
        (View::Frames, Pane::Bytes) => &mut model.bytes_scroll,
        (View::Frames | View::Ladder, _) => &mut model.frame_scroll,
        (View::Connections, _) => &mut model.details_scroll,
        (View::Handshake, _) => &mut model.handshake_scroll,
        (View::Statistics, _) => &mut model.statistics_scroll,
        (View::Rules, _) => &mut model.rule_scroll,
        (View::Lessons, _) => &mut model.course.scroll,
    };
    *offset = offset.saturating_add_signed(rows);
}

/// To the next field or byte, or the one before; from the list into the frame.
pub(super) fn turn(model: &mut Model, forward: bool) {
    model.frames.follow = false;
    model.turn(forward);
    model.frames.reveal();
}

/// The bytes are shown in the next one of several ways, or in `binary` where they are unmasked, and are in view then.
pub(super) fn show_bytes(model: &mut Model, binary: bool) {
    if model.layout().is_none_or(|layout| layout.bytes.is_none()) {
        model.frames.follow = false;
        model.pane = Pane::Bytes;
        model.frames.reveal();
    }
    match (binary, model.bytes_as) {
        (false, _) => model.turn_bytes(),
        (true, BytesAs::Unmasking) => model.binary = !model.binary,
        (true, _) => {
            model.bytes_as = BytesAs::Unmasking;
            model.binary = true;
        }
    }
}

pub(super) fn next_pane(model: &mut Model) {
    match model.view {
        View::Frames => {
            model.frames.follow = false;
            model.pane = match model.pane {
                Pane::List => Pane::Frame,
                Pane::Frame => Pane::Bytes,
                Pane::Bytes => Pane::List,
            };
            model.frames.reveal();
        }
        View::Connections => {
            model.connection_pane = other(model.connection_pane);
            model.connections.reveal();
        }
        View::Rules => {
            model.rule_pane = other(model.rule_pane);
            model.rules.reveal();
        }
        View::Lessons => {
            model.course.pane = other(model.course.pane);
            model.course.cursor.reveal();
        }
        View::Handshake | View::Ladder | View::Statistics => {}
    }
}

/// The other one of two panes.
const fn other(pane: Pane) -> Pane {
    match pane {
        Pane::List => Pane::Frame,
        Pane::Frame | Pane::Bytes => Pane::List,
    }
}

pub(super) fn maximise(model: &mut Model) {
    let before = model.layout();
    model.maximised = !model.maximised;
    if model.layout() == before {
        model.maximised = false;
        model.say("the pane has all the room already");
    }
    model.reveal();
}

pub(super) fn enter(model: &mut Model, capture: &Capture) {
    match model.view {
        View::Frames if model.pane == Pane::List => {
            model.frames.follow = false;
            if opens(model) {
                return;
            }
            model.pane = Pane::Frame;
            model.frames.reveal();
        }
        View::Connections => {
            model.view = View::Handshake;
            model.maximised = false;
            model.handshake_scroll = 0;
        }
        View::Frames => model.pane = Pane::Bytes,
        View::Ladder => {
            if model.listing.messages {
                // the frame itself is asked for
                model.listing.toggle_messages();
            }
            show(model, View::Frames, capture);
            model.from = Some(View::Ladder);
            model.frames.follow = false;
            model.pane = Pane::Frame;
        }
        View::Rules => broken(model, capture),
        View::Lessons => model.task = model.course.selected().map(|(place, _)| Task::Learn(place)),
        View::Handshake | View::Statistics => {}
    }
}

/// Goes to what breaks the selected rule: the frames, or the first handshake.
fn broken(model: &mut Model, capture: &Capture) {
    let Some(rule) = model.selected_rule() else { return };
    let index = capture.index();
    let count = model.rule_counts(&index)[rule as usize];
    let broken = |connection: &Connection| connection.handshake_findings.iter().flatten().any(|one| one.rule == rule);
    let handshake = model.shown_connections(&index).iter().position(broken);
    drop(index);
    if count == 0 {
        return model.say(format!("nothing has broken {rule} so far"));
    }
    if rule.group() == Group::Handshake {
        let Some(place) = handshake else { return };
        show(model, View::Handshake, capture);
        model.connections.select(place as u64 + 1);
        model.say(format!("the first handshake that breaks {rule}; 6 goes back to the rules"));
    } else {
        let expression = format!("rule == {rule}");
        // every rule of the catalogue can be asked for
        let filter = Filter::parse(&expression).ok();
        if model.listing.messages {
            model.listing.toggle_messages();
        }
        model.filter(expression, filter);
        show(model, View::Frames, capture);
        model.pane = Pane::List;
        model.frames.follow = false;
        model.say(format!("filtered by rule == {rule}: [ ] go on from frame to frame, / changes the filter"));
    }
    model.from = Some(View::Rules);
}

pub(super) fn others(model: &mut Model) {
    model.others = !model.others;
    model.reveal();
}

/// Opens the message under the cursor, or closes it, if it has more than one frame.
fn opens(model: &mut Model) -> bool {
    let Some(place) = model.selected_place().filter(|place| place.kind == Kind::Message) else { return false };
    let opens = model.listing.sifted(|sifted| sifted.thread(place.n).is_some()) == Some(true);
    if opens {
        model.listing.toggle(place.n);
    }
    opens
}

pub(super) fn back(model: &mut Model) {
    // what takes time ends first, and asks nothing
    if model.work.as_ref().is_some_and(Work::cancel) || model.reading.as_ref().is_some_and(|reading| reading.stop()) {
        return;
    }
    match (model.view, model.from) {
        (View::Frames, Some(View::Ladder)) if !model.maximised => {
            model.pane = Pane::List;
            model.view = View::Ladder;
            model.from = None;
        }
        (View::Frames, Some(from)) if model.pane == Pane::List && !model.maximised => {
            model.view = from;
            model.from = None;
        }
        (View::Frames, _) => {
            model.pane = Pane::List;
            model.maximised = false;
        }
        (View::Connections, _) if model.connection_pane == Pane::List && !model.maximised => model.view = View::Frames,
        (View::Connections, _) => {
            model.connection_pane = Pane::List;
            model.maximised = false;
        }
        (View::Handshake, Some(from)) => {
            model.view = from;
            model.from = None;
        }
        (View::Handshake, None) => model.view = View::Connections,
        (View::Rules, _) if model.rule_pane != Pane::List || model.maximised => {
            model.rule_pane = Pane::List;
            model.maximised = false;
        }
        (View::Lessons, _) if model.course.pane != Pane::List || model.maximised => {
            model.course.pane = Pane::List;
            model.maximised = false;
        }
        (View::Ladder | View::Statistics | View::Rules | View::Lessons, _) => model.view = View::Frames,
    }
    model.reveal();
}

pub(super) fn show(model: &mut Model, view: View, capture: &Capture) {
    if model.view.lists_frames()
        && !view.lists_frames()
        && let Some(place) = selected_place(model, capture)
    {
        // what was looked at stays what is looked at
        model.connections.select(place as u64 + 1);
    }
    if view != model.view {
        model.maximised = false;
        model.handshake_scroll = 0;
    }
    model.view = view;
    model.from = None;
    model.reveal();
}

/// The place of the selected frame's connection.
fn selected_place(model: &Model, capture: &Capture) -> Option<usize> {
    let index = capture.index();
    let id = model.selected_connection(&index)?;
    model.shown_connections(&index).binary_search_by_key(&id, |one| one.id).ok()
}

pub(super) fn find(model: &mut Model, forward: bool, capture: &Capture) {
    let index = capture.index();
    let shown = model.unlisted(&index) + 1..=model.last_frame(&index);
    drop(index);
    let mut from = model.anchored();
    loop {
        let index = capture.index();
        let found = if forward { index.finding_after(from) } else { index.finding_before(from) };
        drop(index);
        let Some(n) = found.filter(|n| shown.contains(n)) else { break };
        let row = model.listing.row_exactly(&mut Anchor::frame(n), capture);
        if row.is_some_and(|row| row != model.frames.selected) {
            model.select_frame(n);
            return;
        }
        from = n;
    }
    model.say(if forward { "no later frame breaks a rule" } else { "no earlier frame breaks a rule" });
}
