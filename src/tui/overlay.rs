//! What lies over the panel. Overlays are a stack, and the topmost hears the keys first.

use crossterm::event::{KeyCode, KeyEvent};

use super::action::{Action, View};
use super::composer::{Composer, Composing};
use super::form::{Answer, Form, FormField};
use super::keymap::{self, BINDINGS};
use super::learning;
use super::model::Model;
use super::prompt::{Prompt, Prompted};
use crate::control::{Command, Outgoing};
use crate::wire::Side;

/// Something that lies over the panel.
#[derive(Clone, Debug)]
pub(super) enum Overlay {
    /// The keys; the number is that of the first line in view.
    Help(usize),
    /// A form to fill in.
    Form(Form),
    /// The editor of a frame.
    Composer(Box<Composer>),
    /// The prompt for a filter.
    Filter(Box<Prompt>),
    /// The field for the answer to what a lesson asks.
    Answer(FormField),
}

/// Hands a key to the topmost overlay, if there is one.
pub(super) fn key(model: &mut Model, key: KeyEvent) -> Option<Command> {
    let overlay = model.overlays.last_mut()?;
    let asks = keymap::action(&key, View::Frames, model.live);
    if asks == Some(Action::Quit) && key.code != KeyCode::Char('q') {
        model.quit = true;
        return None;
    }
    match overlay {
        Overlay::Help(scroll) => {
            let last = BINDINGS.len() - 1;
            match asks {
                Some(Action::Down) => *scroll = (*scroll + 1).min(last),
                Some(Action::Up) => *scroll = scroll.saturating_sub(1),
                Some(Action::PageDown) => *scroll = (*scroll + 10).min(last),
                Some(Action::PageUp) => *scroll = scroll.saturating_sub(10),
                Some(Action::Home) => *scroll = 0,
                Some(Action::End) => *scroll = last,
                Some(Action::Help | Action::Quit | Action::Back | Action::Enter) => drop(model.overlays.pop()),
                _ => {}
            }
            None
        }
        Overlay::Filter(prompt) => {
            match prompt.key(key, &model.filters) {
                Prompted::Open => {}
                Prompted::Cancelled => drop(model.overlays.pop()),
                Prompted::Applied(expression, filter) => {
                    model.overlays.pop();
                    model.filter(expression, filter);
                }
            }
            None
        }
        Overlay::Answer(_) => {
            learning::answer_key(model, key);
            None
        }
        Overlay::Composer(composer) => match composer.key(key) {
            Composing::Open => None,
            Composing::Cancelled => {
                model.overlays.pop();
                None
            }
            Composing::Send(command) => {
                model.overlays.pop();
                let to = model.towards.map(|_| command.to);
                model.say(sent(&command.send, command.connection.0, to));
                Some(command)
            }
        },
        Overlay::Form(form) => match form.key(key) {
            Answer::Open => None,
            Answer::Cancelled => {
                model.overlays.pop();
                None
            }
            Answer::Do(task) => {
                model.overlays.pop();
                model.task = Some(task);
                None
            }
            Answer::Send(send) => {
                let connection = form.target?;
                model.overlays.pop();
                model.say(sent(&send, connection.0, model.towards));
                Some(model.command(connection, send))
            }
        },
    }
}

/// Hands the wheel to the topmost overlay.
pub(super) fn mouse(model: &mut Model, action: Action) {
    if let (Some(Overlay::Help(scroll)), Action::Wheel(_, rows)) = (model.overlays.last_mut(), action) {
        *scroll = scroll.saturating_add_signed(rows as isize).min(BINDINGS.len());
    }
}

/// Hands what was pasted to the topmost overlay.
pub(super) fn paste(model: &mut Model, text: &str) {
    match model.overlays.last_mut() {
        Some(Overlay::Form(form)) => form.paste(text),
        Some(Overlay::Composer(composer)) => composer.paste(text),
        Some(Overlay::Filter(prompt)) => prompt.paste(text),
        Some(Overlay::Answer(field)) => field.paste(&text.replace(['\r', '\n', '\t'], " ")),
        Some(Overlay::Help(_)) | None => {}
    }
}

/// `ping sent to connection 3`.
pub(super) fn sent(outgoing: &Outgoing, connection: u32, towards: Option<Side>) -> String {
    let what = match outgoing {
        Outgoing::Text(_) => "text".to_owned(),
        Outgoing::Fragments { count: 1, .. } => "text in 1 frame".to_owned(),
        Outgoing::Fragments { count, .. } => format!("text in {count} fragments"),
        Outgoing::Ping(_) => "ping".to_owned(),
        Outgoing::Pong(_) => "pong".to_owned(),
        Outgoing::Close { code: Some(code), .. } => format!("close {}", code.0),
        Outgoing::Close { code: None, .. } => "close without a code".to_owned(),
        Outgoing::Composed(composed) => match composed.frames().len() {
            1 => "frame".to_owned(),
            frames => format!("{frames} frames"),
        },
    };
    match towards {
        None => format!("{what} sent to connection {connection}"),
        Some(side) => format!("{what} sent to the {side} of connection {connection}"),
    }
}
