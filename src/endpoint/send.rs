//! What the user, or another connection, has an endpoint send.

use std::fmt;
use std::time::{Duration, Instant};

use super::machine::Endpoint;
use super::{Origin, State};
use crate::compose::Composed;
use crate::wire::{CloseCode, Header, Message, Opcode};

/// Why something was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The connection is not OPEN, or a Close was sent, after which nothing follows (RFC 6455 5.5.1).
    NotOpen,
    /// The peer does not read: more bytes wait than [`super::Config::high_water`].
    Full,
    /// A control frame carries at most 125 bytes (RFC 6455 5.5).
    ControlTooLong,
}

/// Every frame goes to the end of the outbox: at a frame border, and never between the fragments of a message.
impl Endpoint {
    /// Sends a text message of the user.
    pub fn send_text(&mut self, text: &str) -> Result<(), NotSent> {
        self.send(Opcode::TEXT, text.as_bytes(), Origin::User)
    }

    /// Sends a binary message of the user.
    pub fn send_binary(&mut self, payload: &[u8]) -> Result<(), NotSent> {
        self.send(Opcode::BINARY, payload, Origin::User)
    }

    /// Sends a message that came from elsewhere, in one frame; compressed anew, as what this connection sent before asks.
    pub fn send_message(&mut self, message: &Message, origin: Origin) -> Result<(), NotSent> {
        self.send(message.opcode, &message.payload, origin)
    }

    /// Sends a ping of the user.
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<(), NotSent> {
        self.send(Opcode::PING, payload, Origin::User)
    }

    /// Sends a pong that nobody asked for (RFC 6455 5.5.3).
    pub fn send_pong(&mut self, payload: &[u8]) -> Result<(), NotSent> {
        self.send(Opcode::PONG, payload, Origin::User)
    }

    /// Sends a text message in `count` frames of about equal size (0 counts as 1), with a ping after the first of
    /// them if asked. A character may fall on a border, as RFC 6455 5.4 and 8.1 allow. Where it is compressed, the
    /// compressed bytes are divided among the frames.
    pub fn send_fragments(&mut self, text: &str, count: u16, ping_between: bool) -> Result<(), NotSent> {
        self.check_room()?;
        self.queue_message(Opcode::TEXT, text.as_bytes(), count, Origin::User, |endpoint| {
            if ping_between {
                endpoint.queue_control(Opcode::PING, b"between fragments", Origin::User);
            }
        });
        Ok(())
    }

    /// Begins the closing handshake for the user. Any code is sent as asked, allowed or not, except that 1005
    /// stands for an empty body. The reason is cut to what fits. What already waits goes out before.
    pub fn close(&mut self, code: CloseCode, reason: &str, now: Instant) -> Result<(), NotSent> {
        self.close_as(Origin::User, code, reason, now)
    }

    /// The same, not for the user but of our own accord.
    pub fn dismiss(&mut self, code: CloseCode, reason: &str, now: Instant) -> Result<(), NotSent> {
        self.close_as(Origin::Endpoint, code, reason, now)
    }

    /// Closes with 1000 once the peer has answered everything: it has read all that waits, as its pong says, and has then been
    /// quiet for `quiet`.
    pub fn leave(&mut self, quiet: Duration, now: Instant) -> Result<(), NotSent> {
        if self.state() != State::Open {
            return Err(NotSent::NotOpen);
        }
        self.queue_control(Opcode::PING, b"end of input", Origin::Endpoint);
        self.set_leaving(quiet, now);
        Ok(())
    }

    /// Sends frames of the user as they are, whatever they break. A Close among them is ours: its answer is awaited, and
    /// nothing is sent after these frames.
    pub fn send_composed(&mut self, composed: &Composed, now: Instant) -> Result<(), NotSent> {
        self.check_room()?;
        for frame in composed.frames() {
            self.queue_composed(&frame.header, &frame.payload, now);
        }
        Ok(())
    }

    fn close_as(&mut self, origin: Origin, code: CloseCode, reason: &str, now: Instant) -> Result<(), NotSent> {
        if self.state() != State::Open {
            return Err(NotSent::NotOpen);
        }
        self.start_close(code, reason, origin, now);
        Ok(())
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8], origin: Origin) -> Result<(), NotSent> {
        self.check_room()?;
        if !opcode.is_control() {
            self.queue_message(opcode, payload, 1, origin, |_| {});
        } else if payload.len() > 125 {
            return Err(NotSent::ControlTooLong);
        } else {
            self.queue_control(opcode, payload, origin);
        }
        Ok(())
    }

    fn queue_control(&mut self, opcode: Opcode, payload: &[u8], origin: Origin) {
        self.queue(&Header::new(opcode, None, payload.len() as u64), payload, origin);
    }

    fn check_room(&self) -> Result<(), NotSent> {
        match self.state() {
            State::Open if self.is_full() => Err(NotSent::Full),
            State::Open => Ok(()),
            State::Connecting | State::Closing | State::Closed => Err(NotSent::NotOpen),
        }
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the connection is not open",
            Self::Full => "the peer does not read what waits for it already",
            Self::ControlTooLong => "a control frame carries at most 125 bytes",
        })
    }
}

impl std::error::Error for NotSent {}
