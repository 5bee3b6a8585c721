//! What the user sends: asked for, put together, or at once.

use super::action::Action;
use super::composer::Composer;
use super::form::{Form, FormKind};
use super::model::Model;
use super::overlay::{self, Overlay};
use super::recorded::Recorded;
use crate::capture::{Capture, ConnectionId, ConnectionState};
use crate::control::{Command, Outgoing};
use crate::wire::Side;

pub(super) fn heartbeat(model: &mut Model, action: Action, capture: &Capture) -> Option<Command> {
    let connection = target(model, capture)?;
    model.heartbeats += 1;
    let payload = format!("wsinspect {}", model.heartbeats).into_bytes();
    let send = if action == Action::Ping { Outgoing::Ping(payload) } else { Outgoing::Pong(payload) };
    model.say(overlay::sent(&send, connection.0, model.towards));
    Some(model.command(connection, send))
}

pub(super) fn ask(model: &mut Model, kind: FormKind, capture: &Capture) {
    if let Some(connection) = target(model, capture) {
        model.overlays.push(Overlay::Form(Form::new(kind, connection)));
    }
}

/// Opens the composer, with the selected frame in it if that is to be edited.
pub(super) fn compose(model: &mut Model, capture: &Capture, edit: bool) {
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

pub(super) fn resend(model: &mut Model, capture: &Capture) -> Option<Command> {
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

fn target(model: &mut Model, capture: &Capture) -> Option<ConnectionId> {
    let target = model.target(&capture.index());
    if target.is_none() {
        model.say("no open connection to send to");
    }
    target
}

/// Whether what was filled in can still be sent; if not, that is said.
pub(super) fn is_open(model: &mut Model, command: &Command, capture: &Capture) -> bool {
    let id = command.connection;
    let state = capture.index().connection(id).map(|connection| connection.state);
    let open = matches!(state, Some(ConnectionState::Open | ConnectionState::Closing));
    if !open {
        model.say(format!("connection {id} is no longer open"));
    }
    open
}
