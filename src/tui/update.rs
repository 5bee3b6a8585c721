//! From the model and an action to the next model, and perhaps a command for the traffic.

use std::sync::Arc;

use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEventKind};
use ratatui::layout::Position;

use super::action::{Action, View};
use super::form::{Form, FormKind};
use super::learning;
use super::model::{Frozen, Model};
use super::navigate::{back, enter, find, maximise, next_pane, others, page, show, show_bytes, step, turn};
use super::overlay::Overlay;
use super::pointer::{click, wheel};
use super::prompt::Prompt;
use super::sending::{ask, compose, heartbeat, is_open, resend};
use super::work::Task;
use super::{keymap, overlay};
use crate::capture::Capture;
use crate::control::Command;

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
        Action::Left | Action::Right => turn(model, action == Action::Right),
        Action::BytesAs => show_bytes(model, false),
        Action::Binary => show_bytes(model, true),
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
