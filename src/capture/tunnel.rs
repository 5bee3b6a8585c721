//! Tunnels through a proxy (RFC 9110 9.3.6): what crosses one is looked into as if there was none, or only counted.

use std::net::SocketAddr;
use std::sync::Arc;

use super::connection::{Connection, ConnectionState};
use super::dissector::{Dissector, Phase, Steps};
use super::event::{SocketEnd, Timestamp, Vantage};
use super::exchange::Exchange;
use super::requests::Http;
use crate::wire::Side;

/// A tunnel that stands. Neither the request for it nor its answer is among the recorded bytes: those are what crosses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Whom to, as it was asked for: `example.com:443`.
    pub target: String,
    /// Our end of the connection that it goes on by.
    pub from: SocketAddr,
    /// The server, or the next proxy, at the other end of that.
    pub to: SocketAddr,
    /// The lines of the request for it; what is not UTF-8 is replaced by U+FFFD. Empty where requests were sent on that
    /// are not shown.
    pub request: Vec<String>,
}

/// What crosses is passed on byte for byte, and neither looked into nor recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// Why, as the end of a sentence: `it is TLS`.
    pub why: Arc<str>,
    /// How many bytes each side has sent by now.
    pub bytes: [u64; 2],
}

impl Tunnel {
    /// `CONNECT`, as sent, or what stands for requests that are not shown.
    pub fn method(&self) -> &str {
        self.request.first().and_then(|line| line.split(' ').next()).unwrap_or("HTTP")
    }
}

impl Connection {
    /// Whom its client asked for, where we are a proxy: host and port, as far as they were given.
    pub fn asked_of(&self) -> Option<&str> {
        if let Some(tunnel) = &self.tunnel {
            return Some(&tunnel.target);
        }
        let (_, rest) = self.target.split_once("://").filter(|(scheme, _)| !scheme.contains('/'))?;
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        Some(authority.rsplit_once('@').map_or(authority, |(_, authority)| authority))
    }
}

impl Dissector {
    /// What follows crosses a tunnel: it begins anew.
    pub(super) fn tunnelled(&mut self, tunnel: &Arc<Tunnel>, time: Timestamp, steps: &mut Steps) {
        self.end_unopened(time, steps);
        if matches!(self.phase, Phase::Http(_)) {
            self.end_exchanges(time, false, steps);
        }
        self.connection.begin_again(ConnectionState::Connecting, &tunnel.target);
        self.connection.tunnel = Some(tunnel.clone());
        self.phase = Phase::Http(Box::new(Http::new(Vantage::Beside)));
    }

    /// What crosses it is passed over; so much of it has been by now.
    pub(super) fn unopened(&mut self, unopened: &Arc<Unopened>, time: Timestamp) {
        let Some(tunnel) = self.connection.tunnel.clone() else { return };
        if self.unopened.is_none() {
            self.phase = Phase::Opaque;
            self.connection.state = ConnectionState::Tunnel;
            self.connection.requests += 1;
            self.unopened = Some(Box::new(Exchange::of_tunnel(self.connection.id, tunnel, time)));
        }
        self.connection.bytes = unopened.bytes;
        self.connection.latest = time;
        self.connection.unopened = Some(unopened.clone());
    }

    /// It is over, and that is told of it as of any other request.
    pub(super) fn end_unopened(&mut self, time: Timestamp, steps: &mut Steps) {
        let (Some(mut exchange), Some(unopened)) = (self.unopened.take(), self.connection.unopened.take()) else {
            return;
        };
        exchange.body = unopened.bytes;
        exchange.ended = time;
        exchange.complete = Side::BOTH.iter().all(|side| self.ended_in_order(*side));
        exchange.unopened = Some(unopened.why.clone());
        self.connection.unopened = Some(unopened);
        steps.exchange(exchange, &mut self.connection);
    }

    fn ended_in_order(&self, side: Side) -> bool {
        self.connection.socket_ends[side as usize] == Some(SocketEnd::Fin)
    }
}
