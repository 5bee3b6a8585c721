//! The payload of one message.

use std::io::Write;

use super::pieces::pieces;
use super::{Selection, Stop, Walk};
use crate::capture::MessageReader;
use crate::formats::messages::message_of;

const NOT_INFLATED: &str = "the message is compressed and can't be inflated; its frames can be exported as pcapng";
const ONE: &str = "a payload is that of one message: choose its frames alone";

/// Writes the payload of the message that the chosen frames belong to.
pub(super) fn write(walk: &mut Walk<'_>, out: &mut dyn Write) -> Result<(), Stop> {
    let (first, last) = match walk.selection {
        Selection::All => (walk.gone + 1, walk.last),
        Selection::Frames(numbers) => (*numbers.first().unwrap_or(&0), *numbers.last().unwrap_or(&0)),
    };
    let Some(message) = message_of(walk.capture, first) else {
        return Err(Stop::Refused("there is no frame whose payload could be exported"));
    };
    let inside = match walk.selection {
        Selection::All => (first..=last).all(|n| message.holds(n)),
        Selection::Frames(numbers) => numbers.iter().all(|n| message.holds(*n)),
    };
    if !inside {
        return Err(Stop::Refused(ONE));
    }
    walk.written = message.fragments;
    if message.compressed {
        let mut result = Ok(());
        let read = MessageReader::default().read(walk.capture, message.first, |piece| {
            if result.is_ok() {
                result = out.write_all(piece);
            }
        });
        result?;
        return match read {
            Some(inflated) if inflated.outcome.is_ok() => Ok(()),
            _ => Err(Stop::Refused(NOT_INFLATED)),
        };
    }
    for piece in pieces(walk.capture, &message) {
        walk.progress.is_at(first)?;
        out.write_all(&piece?)?;
    }
    Ok(())
}
