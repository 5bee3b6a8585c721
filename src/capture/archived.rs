//! What is known of a connection of which an archive holds the messages, and what is not.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::connection::Connection;
use super::event::{ConnectionId, Vantage};
use crate::wire::{CloseCode, CloseCodeClass, Side};

/// How an archived connection ended, as far as the archive tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedEnd {
    /// The code of the close frame that came first, or the one that the archive names.
    pub code: Option<CloseCode>,
    /// The reason, likewise.
    pub reason: Option<String>,
    /// Who closed first.
    pub by: Option<Side>,
    /// Whether both sides sent a close frame.
    pub clean: Option<bool>,
    /// All of it in a sentence.
    pub sentence: String,
}

/// The first part of addresses that stand where an archive names none: those of packets to discard (RFC 6666).
const NOWHERE: [u16; 4] = [0x100, 0, 0, 0];

/// An address that stands for an unknown one of a connection: each connection needs its own.
pub(super) fn nowhere(connection: ConnectionId, side: Side) -> SocketAddr {
    let [a, b, c, d] = NOWHERE;
    let (high, low) = ((connection.0 >> 16) as u16, connection.0 as u16);
    SocketAddr::new(Ipv6Addr::new(a, b, c, d, 0, side as u16, high, low).into(), 1)
}

fn known(address: SocketAddr) -> Option<SocketAddr> {
    let is_nowhere = matches!(address.ip(), IpAddr::V6(ip) if ip.segments()[..4] == NOWHERE);
    (!is_nowhere).then_some(address)
}

impl Connection {
    /// Whether it is known by an archive of its messages alone.
    pub fn is_archived(&self) -> bool {
        self.vantage == Vantage::Archive
    }

    /// The end that asks, where that is known.
    pub fn known_client(&self) -> Option<SocketAddr> {
        if self.is_archived() { known(self.client) } else { Some(self.client) }
    }

    /// The end that answers, where that is known.
    pub fn known_server(&self) -> Option<SocketAddr> {
        if self.is_archived() { known(self.server) } else { Some(self.server) }
    }

    /// Why the opening handshake of an archived connection came to nothing, where there is no answer.
    pub(super) fn archived_refusal(&self) -> Option<String> {
        if !self.is_archived() || self.status.is_some() {
            return None;
        }
        let error = self.account.as_ref().and_then(|account| account.error.as_deref());
        Some(match error {
            Some(error) => format!("The HAR holds no answer; it says: {}.", error.trim_end_matches('.')),
            None => "The HAR holds no answer to the request.".to_owned(),
        })
    }

    /// How an archived connection ended; `None` where the archive does not say that it did.
    pub fn archived_end(&self) -> Option<ArchivedEnd> {
        self.ended.filter(|_| self.is_archived())?;
        let frame = self.closed_first.and_then(|side| self.closes[side as usize].as_ref());
        let account = self.account.as_deref();
        let code = frame.and_then(|frame| frame.code).or(account.and_then(|account| account.code));
        let reason = match frame {
            Some(frame) => frame.code.map(|_| frame.reason.clone()),
            None => account.and_then(|account| account.reason.clone()),
        };
        let error = account.and_then(|account| account.error.as_deref());
        let clean = self.closes.iter().all(Option::is_some).then_some(true);
        Some(ArchivedEnd { code, reason, by: self.closed_first, clean, sentence: self.end_sentence(code, error) })
    }

    fn end_sentence(&self, code: Option<CloseCode>, error: Option<&str>) -> String {
        let with = match code {
            Some(code) if code.class() == CloseCodeClass::Forbidden => {
                format!("with {} ({}), which programs report and which is never on the wire", code.0, code.name())
            }
            Some(code) => format!("with {} ({})", code.0, code.name()),
            None => "without a code".to_owned(),
        };
        match (self.closed_first, error) {
            (Some(side), _) if self.closes.iter().all(Option::is_some) => {
                format!("The {side} closed {with}, and the other side answered.")
            }
            (Some(side), _) => format!("The {side} closed {with}; the HAR holds no answer to that."),
            (None, Some(error)) => format!("The connection failed; the HAR says: {}.", error.trim_end_matches('.')),
            (None, None) if code.is_none() => "The HAR says that the connection ended, and not how.".to_owned(),
            (None, None) => format!("The HAR says that the connection was closed {with}, and not by whom."),
        }
    }
}
