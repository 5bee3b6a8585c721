//! A lesson that is open on the screen: its text hears the keys, or the panes of its connection do.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Size;

use super::action::{Action, View};
use super::form::{FieldValue, FormField};
use super::keymap;
use super::layout::Pane;
use super::model::Model;
use super::overlay::Overlay;
use super::theme::Theme;
use super::work::Task as Wish;
use crate::lessons::{Feedback, Look, Session, Task};
use crate::wire::Side;

/// A lesson that is open.
#[derive(Debug)]
pub(super) struct Learning {
    pub(super) session: Session,
    /// Whether its text hears the keys.
    pub(super) focused: bool,
    /// The first line of it in view.
    pub(super) scroll: u64,
    /// The step's own frame, or its connection, is to be selected as soon as it is there.
    arriving: bool,
    /// Whether the lesson has been done before, by steps.
    pub(super) done: Vec<bool>,
}

/// The panel for a lesson, of which some steps have been done before.
pub(super) fn open(session: Session, done: Vec<bool>, theme: Theme, size: Size) -> Model {
    let title = format!("lesson {}, no network", session.lesson().name);
    let mut model = Model::new(title, None, theme, size);
    // the learner is the client, unless they choose to be the server
    model.towards = Some(Side::Server);
    model.learning = Some(Learning { session, focused: true, scroll: 0, arriving: true, done });
    arrive(&mut model);
    model
}

impl Learning {
    /// Whether the step is done, now or before.
    pub(super) fn is_done(&self, step: usize) -> bool {
        self.done.get(step).copied().unwrap_or(false)
    }
}

/// What a key asks for while a lesson is open.
pub(super) fn action(model: &Model, key: &KeyEvent) -> Option<Action> {
    let learning = model.learning.as_ref()?;
    let view = if learning.focused { View::Lessons } else { model.view };
    let in_lesson = || keymap::action(key, View::Lessons, model.live).filter(|action| *action == Action::NextPane);
    keymap::lesson_action(key).or_else(|| keymap::action(key, view, model.live)).or_else(in_lesson)
}

/// Does what the lesson is asked for; `false` if that is for the panes beside it.
pub(super) fn update(model: &mut Model, action: Action) -> bool {
    let layout = model.layout();
    let Some(learning) = &mut model.learning else { return false };
    let page =
        layout.and_then(|layout| layout.lesson).map_or(1, |area| i64::from(area.height.saturating_sub(4)).max(1));
    let session = &mut learning.session;
    let focused = learning.focused;
    match action {
        Action::NextStep => next(model),
        Action::PreviousStep => {
            if session.back() {
                arrive(model);
            } else {
                model.say("this is the first step; Esc goes back to the list of lessons");
            }
        }
        Action::Hint => {
            if session.hint() {
                learning.scroll = u64::MAX;
            } else {
                let none = session.step().hints.is_empty();
                model.say(if none {
                    "there are no hints to this step"
                } else {
                    "there are no more hints to this step"
                });
            }
        }
        Action::Again => {
            session.again();
            let plays = session.plays();
            arrive(model);
            if !plays {
                model.say("nothing happens by itself in this step; what you send does");
            }
        }
        Action::Show(View::Lessons) => {
            if focused {
                model.say("this is the lesson; Esc goes back to the list of lessons");
            }
            focus(model, true);
        }
        Action::Show(_) => {
            focus(model, false);
            return false;
        }
        Action::NextPane if !focused && is_last_pane(model) => {
            model.pane = Pane::List;
            model.connection_pane = Pane::List;
            model.rule_pane = Pane::List;
            focus(model, true);
        }
        Action::Back if !focused && is_at_rest(model) => focus(model, true),
        Action::Click(position) | Action::Wheel(position, _) => {
            let on_text = layout.and_then(|layout| layout.lesson).is_some_and(|area| area.contains(position));
            return pointed(model, action, on_text);
        }
        _ if !focused => return false,
        Action::Up => scroll(model, -1),
        Action::Down => scroll(model, 1),
        Action::PageUp => scroll(model, -page),
        Action::PageDown => scroll(model, page),
        Action::Home => scroll(model, i64::MIN),
        Action::End => scroll(model, i64::MAX),
        Action::Enter => enter(model),
        Action::NextPane => focus(model, false),
        Action::Maximise => {
            model.maximised = !model.maximised;
            model.reveal();
        }
        Action::Back if model.maximised => model.maximised = false,
        Action::Back => model.task = Some(Wish::Leave),
        _ => return false,
    }
    true
}

/// The mouse points at the text, or at another pane.
fn pointed(model: &mut Model, action: Action, on_text: bool) -> bool {
    match action {
        Action::Click(_) => focus(model, on_text),
        Action::Wheel(_, rows) if on_text => scroll(model, rows.into()),
        _ => {}
    }
    on_text
}

/// Takes a key that goes into the field for the answer.
pub(super) fn answer_key(model: &mut Model, key: KeyEvent) {
    let Some(Overlay::Answer(field)) = model.overlays.last_mut() else { return };
    match key.code {
        KeyCode::Esc => drop(model.overlays.pop()),
        KeyCode::Enter => {
            let answer = field.text().to_owned();
            if answer.trim().is_empty() {
                return;
            }
            model.overlays.pop();
            if let Some(learning) = &mut model.learning {
                learning.session.answer(&answer);
                learning.scroll = u64::MAX;
            }
        }
        _ => field.key(key),
    }
}

/// Time has passed; whether that is to be seen.
pub(super) fn tick(model: &mut Model) -> bool {
    let Some(learning) = &mut model.learning else { return false };
    let before = learning.session.feedback().cloned();
    let mut changed = learning.session.tick();
    if learning.session.feedback() != before.as_ref() {
        learning.scroll = u64::MAX;
        changed = true;
        if matches!(learning.session.feedback(), Some(Feedback::Right(_))) {
            // Enter goes on from here
            focus(model, true);
        }
    }
    if model.learning.as_ref().is_some_and(|learning| learning.arriving) {
        changed |= select(model);
    }
    changed
}

fn next(model: &mut Model) {
    let Some(learning) = &mut model.learning else { return };
    if learning.session.forward() {
        arrive(model);
    } else {
        model.task = Some(Wish::Leave);
    }
}

/// Answers what is asked, or goes on where nothing is.
fn enter(model: &mut Model) {
    let Some(learning) = &mut model.learning else { return };
    let session = &learning.session;
    match &session.step().task {
        _ if session.is_solved() => next(model),
        Task::Read => next(model),
        Task::Ask(_) => {
            learning.scroll = u64::MAX;
            model.overlays.push(Overlay::Answer(FormField { value: empty_line(), label: "answer" }));
        }
        Task::Do(_) => model.say("do what is asked for first; N goes on without it, h gives a hint"),
    }
}

fn empty_line() -> FieldValue {
    FormField::line("answer", "").value
}

/// The step was opened: it decides what is seen.
fn arrive(model: &mut Model) {
    let Some(learning) = &mut model.learning else { return };
    learning.scroll = 0;
    learning.focused = true;
    learning.arriving = true;
    (model.view, model.pane) = match learning.session.step().look {
        Look::List | Look::Hidden => (View::Frames, Pane::List),
        Look::Frame => (View::Frames, Pane::Frame),
        Look::Bytes => (View::Frames, Pane::Bytes),
        Look::Handshake => (View::Handshake, Pane::List),
        Look::Ladder => (View::Ladder, Pane::List),
    };
    model.maximised = false;
    model.from = None;
    // what a step without a script is about stays selected, unless the learner is to send something
    model.frames.follow &= !learning.session.plays();
    model.frames.follow |= matches!(learning.session.step().task, Task::Do(_));
    model.handshake_scroll = 0;
    model.reveal();
}

/// Selects what the step is about, if that is there by now.
fn select(model: &mut Model) -> bool {
    let Some(learning) = &mut model.learning else { return false };
    let connections = learning.session.capture().index().connections().len() as u64;
    let frame = learning.session.first_frame();
    if learning.session.plays() {
        let Some(n) = frame else { return false };
        learning.arriving = false;
        if !matches!(learning.session.step().task, Task::Do(_)) {
            model.select_frame(n);
        }
    } else if connections > 0 {
        learning.arriving = false;
    } else {
        return false;
    }
    model.connections.select(connections);
    true
}

fn scroll(model: &mut Model, rows: i64) {
    if let Some(learning) = &mut model.learning {
        learning.scroll = learning.scroll.saturating_add_signed(rows);
    }
}

fn focus(model: &mut Model, on_text: bool) {
    if let Some(learning) = &mut model.learning {
        if learning.focused != on_text {
            model.maximised = false;
        }
        learning.focused = on_text;
        model.reveal();
    }
}

/// Whether `Tab` goes from here to the text.
fn is_last_pane(model: &Model) -> bool {
    match model.view {
        View::Frames => model.pane == Pane::Bytes,
        View::Connections | View::Rules => model.front() != Pane::List,
        View::Handshake | View::Ladder | View::Statistics | View::Lessons => true,
    }
}

/// Whether there is nowhere else to go back to.
fn is_at_rest(model: &Model) -> bool {
    model.view == View::Frames && model.pane == Pane::List && !model.maximised && model.from.is_none()
}
