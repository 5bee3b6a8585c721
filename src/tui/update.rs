//! From the model and an action to the next model, and perhaps a command for the traffic.

use std::sync::Arc;

use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::action::{Action, View};
use super::composer::Composer;
use super::form::{Form, FormKind};
use super::layout::Pane;
use super::learning;
use super::listing::{Anchor, Kind};
use super::model::{Frozen, Model};
use super::overlay::Overlay;
use super::prompt::Prompt;
use super::recorded::Recorded;
use super::work::{Task, Work};
use super::{keymap, overlay};
use crate::capture::filter::Filter;
use crate::capture::{Capture, Connection, ConnectionId, ConnectionState};
use crate::control::{Command, Outgoing};
use crate::lint::Group;
use crate::wire::Side;

/// Takes what the terminal reports. The topmost overlay hears keys first.
pub(super) fn event(model: &mut Model, event: Event, capture: &Arc<Capture>) -> Option<Command> {
    match event {
        Event::Key(key) if key.kind == KeyEventKind::Release => None,
        Event::Key(key) if model.overlays.is_empty() => {
            let action = match &model.learning {
                Some(_) => learning::action(model, &key),
                None => keymap::action(&key, model.view, model.live),
            };
            update(model, action?, capture)
        }
        Event::Key(key) => {
            let command = overlay::key(model, key).filter(|command| is_open(model, command, capture));
            model.sift(capture);
            command
        }
        Event::Paste(text) => {
            overlay::paste(model, &text);
            None
        }
        Event::Mouse(mouse) => {
            let position = Position { x: mouse.column, y: mouse.row };
            let action = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Action::Click(position),
                MouseEventKind::ScrollDown => Action::Wheel(position, 3),
                MouseEventKind::ScrollUp => Action::Wheel(position, -3),
                _ => return None,
            };
            if model.overlays.is_empty() {
                return update(model, action, capture);
            }
            overlay::mouse(model, action);
            None
        }
        _ => None,
    }
}

/// Does what `action` asks for.
pub(super) fn update(model: &mut Model, action: Action, capture: &Arc<Capture>) -> Option<Command> {
    if learning::update(model, action) {
        model.settle(capture);
        return None;
    }
    let about_frames = match action {
        Action::PreviousFinding
        | Action::NextFinding
        | Action::Follow
        | Action::Clear
        | Action::Filter
        | Action::Mark => !model.view.lists_frames(),
        // the ladder has no messages
        Action::Messages => true,
        _ => false,
    };
    if about_frames {
        show(model, View::Frames, capture);
    }
    model.settle(capture);
    let page = page(model);
    match action {
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::PageUp => step(model, -page),
        Action::PageDown => step(model, page),
        Action::Home => step(model, i64::MIN),
        Action::End => step(model, i64::MAX),
        Action::Enter => enter(model, capture),
        Action::Back => back(model),
        Action::NextPane => next_pane(model),
        Action::Maximise => maximise(model),
        // only a lesson hears them
        Action::NextStep | Action::PreviousStep | Action::Hint | Action::Again => {}
        Action::Show(view) => show(model, view, capture),
        Action::PreviousFinding | Action::NextFinding => find(model, action == Action::NextFinding, capture),
        Action::Follow => model.frames.follow = !model.frames.follow,
        Action::Freeze => freeze(model, capture),
        Action::Clear => clear(model, capture),
        Action::Filter => model.overlays.push(Overlay::Filter(Box::new(Prompt::new(&model.listing.expression)))),
        Action::Messages => {
            model.listing.toggle_messages();
            model.sift(capture);
        }
        Action::Others => others(model),
        Action::Ping | Action::Pong => return heartbeat(model, action, capture),
        Action::Close => ask(model, FormKind::Close, capture),
        Action::Fragments => ask(model, FormKind::Fragments, capture),
        Action::Text => ask(model, FormKind::Text, capture),
        Action::Compose => compose(model, capture, false),
        Action::Edit => compose(model, capture, true),
        Action::Resend => return resend(model, capture),
        Action::Towards(side) => model.towards = model.towards.map(|_| side),
        Action::Mark => mark(model, capture),
        Action::Keep => keep(model),
        Action::Export => export(model, capture),
        Action::Help => model.overlays.push(Overlay::Help(0)),
        Action::Quit => model.quit = true,
        Action::Click(position) => click(model, position),
        Action::Wheel(position, rows) => wheel(model, position, rows.into()),
    }
    model.settle(capture);
    None
}

/// Rows of a page in the pane that hears the keys.
fn page(model: &Model) -> i64 {
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
fn step(model: &mut Model, rows: i64) {
    match (model.view, model.front()) {
        (View::Frames | View::Ladder, Pane::List) => model.frames.step(rows),
        (View::Connections, Pane::List) => model.connections.step(rows),
        (View::Rules, Pane::List) => model.rules.step(rows),
        (View::Lessons, Pane::List) => model.course.cursor.step(rows),
        (_, pane) => scroll_pane(model, pane, rows),
    }
}

/// Moves what is in view of a pane that is no list.
fn scroll_pane(model: &mut Model, pane: Pane, rows: i64) {
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

fn next_pane(model: &mut Model) {
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

fn maximise(model: &mut Model) {
    let before = model.layout();
    model.maximised = !model.maximised;
    if model.layout() == before {
        model.maximised = false;
        model.say("the pane has all the room already");
    }
    model.reveal();
}

fn enter(model: &mut Model, capture: &Capture) {
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

fn others(model: &mut Model) {
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

fn back(model: &mut Model) {
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

fn show(model: &mut Model, view: View, capture: &Capture) {
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

fn find(model: &mut Model, forward: bool, capture: &Capture) {
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

fn freeze(model: &mut Model, capture: &Capture) {
    model.frozen = if model.frozen.is_some() {
        None
    } else {
        let index = capture.index();
        Some(Frozen {
            frames: index.totals().frames,
            connections: index.connections().into(),
            statistics: Arc::new(index.statistics().clone()),
            rule_counts: index.rule_counts().into(),
        })
    };
}

fn clear(model: &mut Model, capture: &Capture) {
    let last = model.last_frame(&capture.index());
    if model.hidden < last {
        model.hidden = last;
        model.say(format!("{last} earlier frames hidden, z shows them again"));
    } else if model.hidden > 0 {
        model.hidden = 0;
        model.frames.reveal();
        model.say("all frames are shown again");
    }
}

fn heartbeat(model: &mut Model, action: Action, capture: &Capture) -> Option<Command> {
    let connection = target(model, capture)?;
    model.heartbeats += 1;
    let payload = format!("wsinspect {}", model.heartbeats).into_bytes();
    let send = if action == Action::Ping { Outgoing::Ping(payload) } else { Outgoing::Pong(payload) };
    model.say(overlay::sent(&send, connection.0, model.towards));
    Some(model.command(connection, send))
}

fn ask(model: &mut Model, kind: FormKind, capture: &Capture) {
    if let Some(connection) = target(model, capture) {
        model.overlays.push(Overlay::Form(Form::new(kind, connection)));
    }
}

/// Opens the composer, with the selected frame in it if that is to be edited.
fn compose(model: &mut Model, capture: &Capture, edit: bool) {
    let Some(connection) = target(model, capture) else { return };
    let opened = if edit {
        recorded(model, capture, connection).and_then(|recorded| Composer::edit(recorded, capture))
    } else {
        Composer::new(connection, model.towards.unwrap_or(Side::Client), capture)
    };
    match opened {
        Ok(composer) => {
            model.frames.follow &= !edit;
            model.overlays.push(Overlay::Composer(Box::new(composer)));
        }
        Err(why) => model.say(why),
    }
}

fn resend(model: &mut Model, capture: &Capture) -> Option<Command> {
    let connection = target(model, capture)?;
    match recorded(model, capture, connection).and_then(|recorded| Ok((recorded.n, recorded.again()?))) {
        Ok((n, command)) => {
            let whom = model.towards.map(|_| format!("the {} of ", command.to)).unwrap_or_default();
            model.say(format!("frame {n} sent again to {whom}connection {connection}"));
            Some(command)
        }
        Err(why) => {
            model.say(why);
            None
        }
    }
}

/// The selected frame, on its way to where it went; where we are the server ourselves, to the client.
fn recorded(model: &Model, capture: &Capture, connection: ConnectionId) -> Result<Recorded, String> {
    let n = model.selected_frame().ok_or("there is no frame to send")?;
    Recorded::read(capture, n, connection, model.towards.is_some())
}

fn mark(model: &mut Model, capture: &Capture) {
    let Some(n) = model.selected_frame() else { return model.say("there is no frame to mark") };
    if capture.index().mark(n).is_some() {
        model.task = Some(Task::Mark(n, None));
        model.say(format!("frame {n} is no longer marked"));
    } else {
        // what is asked about stays what is looked at
        model.frames.follow = false;
        model.overlays.push(Overlay::Form(Form::mark(n)));
    }
}

fn keep(model: &mut Model) {
    match &model.recording {
        Some(name) => model.say(format!("the recording is kept already, as {name}")),
        None if model.work.is_some() => model.say(BUSY),
        None => model.overlays.push(Overlay::Form(Form::keep(&model.zone))),
    }
}

fn export(model: &mut Model, capture: &Capture) {
    if model.work.is_some() {
        return model.say(BUSY);
    }
    let index = capture.index();
    let (frames, listed) = (index.totals().frames - index.gone(), model.listed_count(&index));
    let decided = model.listing.looked_at().is_none_or(|looked_at| looked_at >= model.last_frame(&index));
    drop(index);
    let form = Form::export(frames, (listed, decided), model.selected_frame(), &model.zone);
    model.overlays.push(Overlay::Form(form));
}

/// One thing at a time.
const BUSY: &str = "another file is being written; wait, or press Esc";

fn target(model: &mut Model, capture: &Capture) -> Option<ConnectionId> {
    let target = model.target(&capture.index());
    if target.is_none() {
        model.say("no open connection to send to");
    }
    target
}

/// Whether what was filled in can still be sent; if not, that is said.
fn is_open(model: &mut Model, command: &Command, capture: &Capture) -> bool {
    let id = command.connection;
    let state = capture.index().connection(id).map(|connection| connection.state);
    let open = matches!(state, Some(ConnectionState::Open | ConnectionState::Closing));
    if !open {
        model.say(format!("connection {id} is no longer open"));
    }
    open
}

fn click(model: &mut Model, position: Position) {
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

fn wheel(model: &mut Model, position: Position, rows: i64) {
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
