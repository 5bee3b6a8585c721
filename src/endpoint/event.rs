//! What an endpoint tells its driver.

use crate::lint::Finding;
use crate::wire::handshake::{Accepted, Opening, Request};
use crate::wire::{CloseBody, CloseCode, Message, Side};

/// The states of a connection (RFC 6455 4.1, 7.1.3, 7.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The opening handshake is going on.
    Connecting,
    /// Messages flow.
    Open,
    /// A Close or a final answer is on its way.
    Closing,
    /// Nothing more is sent or read.
    Closed,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request has come whole; whether it is any good, the next event tells.
    Request(Box<Request>),
    /// The handshake was accepted: the connection is OPEN.
    Opened(Box<Opening>, Accepted),
    /// The request came to nothing.
    Refused {
        /// The status answered; `None` where the peer went before it could answer, or be answered.
        status: Option<u16>,
        /// What was wrong and what was expected.
        reason: String,
        /// The beginning of the body of a server's answer; empty at a server's end.
        body: Vec<u8>,
        /// Whether a client may fare better another time: the server was busy, late or gone.
        transient: bool,
    },
    /// A browser asked for the page and got it.
    Page,
    /// The peer sent a message ([`super::Reply::HandOver`]).
    Message(Message),
    /// The fate of a connection that was OPEN is settled. Bytes may still have to be written.
    Closed(End),
}

/// How a connection that was OPEN came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Which end this is.
    pub side: Side,
    /// Who ended it: whose Close came first, who gave up waiting or failed the connection, or who just went.
    pub by: Side,
    /// In which way.
    pub how: How,
    /// The Close that we sent.
    pub sent: Option<CloseFrame>,
    /// The Close that the peer sent, if it broke no rule.
    pub received: Option<CloseFrame>,
}

/// In which way a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// By the closing handshake (RFC 6455 7.1.2).
    Handshake,
    /// The peer ended its side of the TCP connection without a Close.
    Fin,
    /// The TCP connection failed.
    Reset,
    /// The peer's pong or Close did not come in time.
    Timeout,
    /// The peer broke a rule and the connection was failed (RFC 6455 7.1.7).
    Failed(Finding),
}

/// What a Close holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// `None` where the body is empty.
    pub code: Option<CloseCode>,
    /// What is not UTF-8 is replaced by U+FFFD.
    pub reason: String,
}

impl End {
    /// Whether both Closes were exchanged (RFC 6455 7.1.4).
    pub fn is_clean(&self) -> bool {
        self.how == How::Handshake
    }

    /// The code of the Close of the side that ended it, else of the other: 1005 if that held none, 1006 if there was no
    /// Close at all (RFC 6455 7.1.5).
    pub fn code(&self) -> CloseCode {
        let (first, second) =
            if self.by == self.side { (&self.sent, &self.received) } else { (&self.received, &self.sent) };
        match first.as_ref().or(second.as_ref()) {
            Some(close) => close.code.unwrap_or(CloseCode::NO_STATUS),
            None => CloseCode::ABNORMAL,
        }
    }
}

impl CloseFrame {
    pub(super) fn read(payload: &[u8]) -> Self {
        let body = CloseBody::parse(payload);
        let reason = match body {
            CloseBody::Code(_, reason) => String::from_utf8_lossy(reason).into_owned(),
            CloseBody::Empty | CloseBody::OneByte(_) => String::new(),
        };
        Self { code: body.code(), reason }
    }
}
