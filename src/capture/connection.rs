//! What is known of one connection, and the verdict on how it ended.

use std::net::SocketAddr;
use std::sync::Arc;

use super::deflation::Deflated;
use super::event::{Cause, ConnectionId, Origin, SentOn, SocketEnd, Timestamp, Vantage};
use super::file::Position;
use crate::lint::Finding;
use crate::wire::{CloseCode, DeflateAgreement, Side};

/// One connection as far as it has come.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// The end that asks.
    pub client: SocketAddr,
    /// The end that answers.
    pub server: SocketAddr,
    /// From where it is looked at.
    pub vantage: Vantage,
    /// When it was made.
    pub began: Timestamp,
    /// When the opening handshake was answered.
    pub answered: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Where it stands.
    pub state: ConnectionState,
    /// What was asked for, shortened; empty before the request is there.
    pub target: String,
    /// The request's head was too long to be read.
    pub request_too_long: bool,
    /// The status that was answered.
    pub status: Option<u16>,
    /// The first line of the body of an answer that refuses, shortened.
    pub answer: Option<String>,
    /// The subprotocol agreed on.
    pub subprotocol: Option<String>,
    /// The extensions agreed on, as answered.
    pub extensions: Option<String>,
    /// What was agreed on about compression, if that was.
    pub deflate: Option<DeflateAgreement>,
    /// How much each side's compressed messages were.
    pub deflated: [Deflated; 2],
    /// Where the request's and the response's heads stand in the file: position and length.
    pub heads: [Option<(Position, usize)>; 2],
    /// What is wrong with the opening handshake: with the request, with the response.
    pub handshake_findings: [Vec<Finding>; 2],
    /// Frames that each side sent.
    pub frames: [u64; 2],
    /// Bytes that each side sent after the opening handshake.
    pub bytes: [u64; 2],
    /// Bytes that each side sent and that were not seen.
    pub unseen: [u64; 2],
    /// Frames that break a rule.
    pub broken_frames: u64,
    /// Nanoseconds from the last ping that was answered to its pong.
    pub round_trip: Option<u64>,
    /// Each side's close frame.
    pub closes: [Option<CloseFrame>; 2],
    /// The side whose close frame came first.
    pub closed_first: Option<Side>,
    /// How each side of the TCP connection ended.
    pub socket_ends: [Option<SocketEnd>; 2],
    /// The side that ended first.
    pub socket_ended_first: Option<Side>,
    /// Why it ended, where the bytes don't tell.
    pub cause: Option<Cause>,
    /// How its request was sent on, where we stand in the middle.
    pub sent_on: Option<Arc<SentOn>>,
    /// Why its request could not be sent on.
    pub not_sent_on: Option<Arc<str>>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// The opening handshake is not over.
    Connecting,
    /// Frames may come from both sides.
    Open,
    /// One side has sent its close frame.
    Closing,
    /// Over, after it had been open.
    Closed,
    /// The opening handshake came to nothing.
    Refused,
    /// An ordinary HTTP request.
    Http,
}

impl ConnectionState {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Http => "http",
        }
    }
}

/// What a close frame said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code, if there was one.
    pub code: Option<CloseCode>,
    /// The reason; what is not UTF-8 is replaced by U+FFFD.
    pub reason: String,
    /// Who made the frame.
    pub origin: Origin,
}

impl Connection {
    pub(super) fn new(
        id: ConnectionId,
        client: SocketAddr,
        server: SocketAddr,
        began: Timestamp,
        vantage: Vantage,
    ) -> Self {
        Self {
            id,
            client,
            server,
            vantage,
            began,
            answered: None,
            ended: None,
            state: ConnectionState::Connecting,
            target: String::new(),
            request_too_long: false,
            status: None,
            answer: None,
            subprotocol: None,
            extensions: None,
            deflate: None,
            deflated: [Deflated::default(); 2],
            heads: [None, None],
            handshake_findings: [Vec::new(), Vec::new()],
            frames: [0, 0],
            bytes: [0, 0],
            unseen: [0, 0],
            broken_frames: 0,
            round_trip: None,
            closes: [None, None],
            closed_first: None,
            socket_ends: [None, None],
            socket_ended_first: None,
            cause: None,
            sent_on: None,
            not_sent_on: None,
        }
    }

    /// Both ends, the client first.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.client, self.server)
    }

    /// Why an opening handshake came to nothing, in a sentence.
    pub fn refusal(&self) -> String {
        if let Some(sentence) = &self.not_sent_on {
            return sentence.to_string();
        }
        if self.vantage == Vantage::Late {
            return "It had begun before the capture, and where its frames begin could not be found.".to_owned();
        }
        if self.unseen != [0, 0] {
            return "Bytes of the opening handshake are missing in the capture.".to_owned();
        }
        if self.request_too_long {
            return "The head of the request is too long to be read.".to_owned();
        }
        let unread = self.heads[Side::Client as usize].is_none();
        // what the answer says is known before what led to it
        if self.cause == Some(Cause::HandshakeTooSlow) || (self.status == Some(408) && unread) {
            return "The request did not come in time.".to_owned();
        }
        if let Some(finding) = self.handshake_findings.iter().flatten().next() {
            return finding.sees();
        }
        match (self.status, self.heads[Side::Client as usize]) {
            (Some(status), _) => match &self.answer {
                Some(answer) => format!("The server answered with status {status}: {answer}"),
                None => format!("The server answered with status {status}."),
            },
            (None, None) => "The connection ended before the request was whole.".to_owned(),
            (None, Some(_)) => "The connection ended before the server answered.".to_owned(),
        }
    }

    /// How the connection ended; `None` while it has not.
    pub fn verdict(&self) -> Option<Verdict> {
        self.ended?;
        let close = self.closed_first.and_then(|side| self.closes[side as usize].as_ref());
        // a relay closes both sides itself, and neither may answer
        let clean = self.closes.iter().all(Option::is_some) && self.cause != Some(Cause::CloseUnanswered);
        let how = match self.cause {
            Some(Cause::PingUnanswered | Cause::CloseUnanswered | Cause::HandshakeTooSlow) => How::Timeout,
            Some(Cause::SocketFailed) => How::Error,
            None if clean => How::Handshake,
            None if self.socket_ends.contains(&Some(SocketEnd::Reset)) => How::Reset,
            None => How::Fin,
        };
        let ours = close.is_some_and(|close| close.origin != Origin::Peer) || (close.is_none() && how == How::Timeout);
        let by = match self.closed_first.or(self.socket_ended_first) {
            Some(side) if !ours => By::Side(side),
            _ => By::Wsinspect,
        };
        Some(Verdict {
            code: close.and_then(|close| close.code),
            reason: close.filter(|close| close.code.is_some()).map(|close| close.reason.clone()),
            by,
            clean,
            how,
            sentence: self.sentence(close, by, clean, how),
        })
    }

    fn sentence(&self, close: Option<&CloseFrame>, by: By, clean: bool, how: How) -> String {
        let who = by.subject();
        let Some(close) = close else {
            let what = match (how, self.cause) {
                (_, Some(Cause::PingUnanswered)) => "A ping was not answered in time".to_owned(),
                (How::Reset, _) => format!("{who} reset the TCP connection without a close frame"),
                (How::Error, _) => "The TCP connection failed without a close frame".to_owned(),
                _ => format!("{who} ended the TCP connection without a close frame"),
            };
            return format!("{what}; programs report that as 1006, which is never on the wire.");
        };
        let with = match close.code {
            Some(code) => format!("with {} ({})", code.0, code.name()),
            None => "without a code, which programs report as 1005".to_owned(),
        };
        let answer = match (clean, how, self.cause) {
            (true, _, _) => "and the other side answered: the closing handshake is complete",
            (_, _, Some(Cause::PingUnanswered)) => "because a ping was not answered in time",
            (_, How::Timeout, _) => "and no answer came in time",
            (_, How::Reset, _) => "and the TCP connection was reset before an answer came",
            (_, How::Error, _) => "and the TCP connection failed before an answer came",
            _ => "and the TCP connection ended before an answer came",
        };
        format!("{who} closed {with}, {answer}.")
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The code of the close frame that came first.
    pub code: Option<CloseCode>,
    /// Its reason; `None` if there was no body.
    pub reason: Option<String>,
    /// Who closed first.
    pub by: By,
    /// Whether both sides sent a close frame.
    pub clean: bool,
    /// The manner.
    pub how: How,
    /// All of it in a sentence.
    pub sentence: String,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A peer.
    Side(Side),
    /// This program, of its own accord or because the user asked.
    Wsinspect,
}

impl By {
    /// `client`, `server` or `wsinspect`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Side(side) => side.name(),
            Self::Wsinspect => "wsinspect",
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Side(Side::Client) => "The client",
            Self::Side(Side::Server) => "The server",
            Self::Wsinspect => "wsinspect",
        }
    }
}

/// The manner in which a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Both sides sent a close frame.
    Handshake,
    /// A side ended its TCP connection in order.
    Fin,
    /// A side tore it down.
    Reset,
    /// Something did not come in time.
    Timeout,
    /// The socket failed.
    Error,
}

impl How {
    /// `handshake fin reset timeout error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Fin => "fin",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}
