//! How a connection ended, in RFC 6455's words (7.1).

use super::connection::{CloseFrame, Connection, ConnectionState};
use super::event::{Cause, Origin, SocketEnd, Vantage};
use crate::wire::{CloseCode, CloseCodeClass, Side};

/// Nanoseconds without a byte before an abnormal end that are worth a word.
const IDLE: u64 = 10_000_000_000;

impl Connection {
    /// How it ended, in a sentence, whatever it was; `None` while it has not.
    pub fn ending(&self) -> Option<String> {
        self.ended?;
        match self.state {
            ConnectionState::Refused => Some(self.refusal()),
            ConnectionState::Http => {
                let requests =
                    if self.requests == 1 { "1 request".to_owned() } else { format!("{} requests", self.requests) };
                Some(format!("{} after {requests}.", self.tcp_end()))
            }
            ConnectionState::Tunnel => {
                let why = self.unopened.as_ref().map_or_else(String::new, |unopened| format!(": {}", unopened.why));
                Some(format!("{}; the tunnel was not opened{why}.", self.tcp_end()))
            }
            _ if self.is_archived() => self.archived_end().map(|end| end.sentence),
            _ => self.verdict().map(|verdict| verdict.sentence),
        }
    }

    /// How the connection ended; `None` while it has not, and of an archived one, which has [`Connection::archived_end`].
    pub fn verdict(&self) -> Option<Verdict> {
        self.ended.filter(|_| !self.is_archived())?;
        let close = self.closed_first.and_then(|side| self.closes[side as usize].as_ref());
        // a relay closes both sides itself, and neither may answer
        let clean = self.closes.iter().all(Option::is_some)
            && self.cause != Some(Cause::CloseUnanswered)
            && !self.answered_in_its_place();
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
        let sentence = match (close, self.closed_first) {
            (Some(close), Some(side)) => self.closed(close, side, by, clean),
            _ => self.cut_off(how),
        };
        Some(Verdict {
            code: close.and_then(|close| close.code),
            reason: close.filter(|close| close.code.is_some()).map(|close| close.reason.clone()),
            by,
            clean,
            how,
            sentence: sentence + ".",
        })
    }

    /// A close frame came.
    fn closed(&self, close: &CloseFrame, side: Side, by: By, clean: bool) -> String {
        let other = side.other();
        let mut parts = vec![format!("{} closed {}", by.subject(), with_code(close.code))];
        if self.cause == Some(Cause::PingUnanswered) {
            parts.push(", because a ping was not answered in time".to_owned());
        }
        if let Some(answer) = self.closes[other as usize].as_ref().filter(|_| self.answered_in_its_place()) {
            parts.push(format!(", and wsinspect answered in place of the {other} {}", with_code(answer.code)));
            parts.push(self.circumstances());
        } else if let Some(answer) = self.closes[other as usize].as_ref().filter(|_| clean) {
            parts.push(match answer.code {
                // one close frame of ours to each side, and both peers' answers to them
                _ if self.is_between() && answer.origin != Origin::Peer => ", and both sides answered".to_owned(),
                code if code == close.code && code.is_some() => {
                    format!(", and the {other} answered with the same code")
                }
                None if close.code.is_none() => format!(", and the {other} answered without a code, too"),
                code => format!(", and the {other} answered {}", with_code(code)),
            });
            parts.push(": the closing handshake is complete".to_owned());
            // after it either end may end the TCP connection, the server first (RFC 6455 7.1.1)
            if self.cause == Some(Cause::SocketFailed) {
                parts.push("; then the TCP connection failed".to_owned());
            } else if let Some(side) = Side::BOTH.into_iter().find(|side| self.was_reset_by(*side)) {
                parts.push(format!("; then the {side} reset the TCP connection (RST)"));
            } else if let Some(side) = self.socket_ended_first {
                parts.push(format!("; then the {side} ended the TCP connection (FIN)"));
            }
        } else {
            parts.push(self.instead_of_an_answer(other));
            parts.push(self.circumstances());
        }
        parts.concat()
    }

    fn is_between(&self) -> bool {
        self.vantage == Vantage::Beside
    }

    /// A peer closed, and we who stand in the middle answered it for the other one.
    fn answered_in_its_place(&self) -> bool {
        let Some(first) = self.closed_first else { return false };
        let made_by = |side: Side| self.closes[side as usize].as_ref().map(|close| close.origin);
        let others = |origin| origin != Origin::Peer;
        self.is_between() && made_by(first) == Some(Origin::Peer) && made_by(first.other()).is_some_and(others)
    }

    /// What came where the close frame of `other` should have.
    fn instead_of_an_answer(&self, other: Side) -> String {
        let ended = match (self.cause, self.socket_ended_first) {
            (Some(Cause::SocketFailed), _) => {
                return ", and the TCP connection failed before an answer came".to_owned();
            }
            (Some(_), _) => return ", and no answer came in time".to_owned(),
            (None, None) => return ", and the TCP connection ended before an answer came".to_owned(),
            (None, Some(first)) => first,
        };
        let how =
            if self.was_reset_by(ended) { "reset the TCP connection (RST)" } else { "ended the TCP connection (FIN)" };
        if ended == other {
            format!(", and the {other} {how} without answering")
        } else {
            format!(", and {how} before an answer came")
        }
    }

    /// No close frame came.
    fn cut_off(&self, how: How) -> String {
        let what = match (how, self.cause) {
            (_, Some(Cause::PingUnanswered)) => {
                "A ping was not answered in time, and the TCP connection ended".to_owned()
            }
            (How::Timeout, _) => {
                "wsinspect ended the TCP connection, because something did not come in time,".to_owned()
            }
            _ => self.tcp_end(),
        };
        format!(
            "{what} without a close frame; programs report that as 1006 ({}), which is never on the wire{}",
            CloseCode::ABNORMAL.name(),
            self.circumstances()
        )
    }

    /// Who ended the TCP connection, and how: `The client ended the TCP connection (FIN)`.
    pub(super) fn tcp_end(&self) -> String {
        if self.cause == Some(Cause::SocketFailed) {
            return "The TCP connection failed".to_owned();
        }
        // whoever resets says more than whoever has nothing more to send
        let reset = Side::BOTH.into_iter().find(|side| self.was_reset_by(*side));
        match (reset, self.socket_ended_first) {
            (Some(side), Some(first)) if side != first => {
                format!("The {first} ended its side of the TCP connection (FIN), and then the {side} reset it (RST)")
            }
            (Some(side), _) => format!("The {side} reset the TCP connection (RST)"),
            (None, Some(side)) if self.truncated[side as usize] => {
                format!("The {side} ended the TCP connection (FIN) in the middle of TLS, without close_notify,")
            }
            (None, Some(side)) => format!("The {side} ended the TCP connection (FIN)"),
            (None, None) => "wsinspect ended the TCP connection".to_owned(),
        }
    }

    fn was_reset_by(&self, side: Side) -> bool {
        self.socket_ends[side as usize] == Some(SocketEnd::Reset)
    }

    /// What else may have led to an end that was not in order.
    fn circumstances(&self) -> String {
        let mut told: Vec<_> = Side::BOTH
            .into_iter()
            .filter_map(|side| match self.pings[side as usize].unanswered() {
                0 => None,
                1 => Some(format!("; one ping of the {side} was not answered")),
                pings => Some(format!("; {pings} pings of the {side} were not answered")),
            })
            .collect();
        let idle = self.ended.map_or(0, |ended| ended.0.saturating_sub(self.latest.0));
        if idle >= IDLE {
            told.push(format!("; nothing had been sent for {} s before", idle / 1_000_000_000));
        }
        told.concat()
    }
}

/// `with 1001 (going away)`
fn with_code(code: Option<CloseCode>) -> String {
    let Some(code) = code else {
        return format!(
            "without a code, which programs report as 1005 ({}), never on the wire",
            CloseCode::NO_STATUS.name()
        );
    };
    let forbidden = if code.class() == CloseCodeClass::Forbidden { ", which must not be on the wire" } else { "" };
    format!("with {} ({}){forbidden}", code.0, code.name())
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
