//! A request that is no upgrade, and its response: listed, not looked into.

use std::sync::Arc;

use super::event::{ConnectionId, SentOn, Timestamp};
use super::file::Position;
use super::tunnel::Tunnel;
use crate::wire::Side;
use crate::wire::handshake::{Request, Response};
use crate::wire::http::Unclear;

/// A request and what came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its number: 1, 2, … in the order in which exchanges were over.
    pub n: u32,
    /// The one before it on the same connection; 0 if there is none.
    pub(super) previous: u32,
    /// The connection that it came on.
    pub connection: ConnectionId,
    /// When the request's head was whole.
    pub asked: Timestamp,
    /// When the response's head was whole.
    pub answered: Option<Timestamp>,
    /// When the response was whole, or the connection over.
    pub ended: Timestamp,
    /// `GET`, as sent, shortened.
    pub method: String,
    /// What was asked for, shortened.
    pub target: String,
    /// The status that was answered.
    pub status: Option<u16>,
    /// Where the heads of the request and of the response stand in the file: position and length.
    pub heads: [Option<(Position, usize)>; 2],
    /// Bytes of both bodies as they were sent.
    pub body: [u64; 2],
    /// Whether the whole response came.
    pub complete: bool,
    /// How the request was sent on, where we stand in the middle.
    pub sent_on: Option<Arc<SentOn>>,
    /// The tunnel that it came through, or that it is.
    pub tunnel: Option<Arc<Tunnel>>,
    /// Why that is not looked into: then the bodies are what crossed it.
    pub unopened: Option<Arc<str>>,
    /// Why nothing that follows it is looked into.
    pub unclear: Option<Unclear>,
}

impl Exchange {
    pub(super) fn new(
        connection: ConnectionId,
        request: &Request,
        head: Option<(Position, usize)>,
        asked: Timestamp,
    ) -> Self {
        Self {
            n: 0,
            previous: 0,
            connection,
            asked,
            answered: None,
            ended: asked,
            method: request.method.chars().take(16).collect(),
            target: request.target.chars().take(256).collect(),
            status: None,
            heads: [head, None],
            body: [0, 0],
            complete: false,
            sent_on: None,
            tunnel: None,
            unopened: None,
            unclear: None,
        }
    }

    /// A tunnel that is not looked into, which has been agreed to.
    pub(super) fn of_tunnel(connection: ConnectionId, tunnel: Arc<Tunnel>, time: Timestamp) -> Self {
        Self {
            n: 0,
            previous: 0,
            connection,
            asked: time,
            answered: Some(time),
            ended: time,
            method: tunnel.method().chars().take(16).collect(),
            target: tunnel.target.chars().take(256).collect(),
            status: Some(200),
            heads: [None, None],
            body: [0, 0],
            complete: false,
            sent_on: None,
            tunnel: Some(tunnel),
            unopened: None,
            unclear: None,
        }
    }

    pub(super) fn answer(&mut self, response: &Response, head: Option<(Position, usize)>, time: Timestamp) {
        self.answered = Some(time);
        self.status = response.status;
        self.heads[Side::Server as usize] = head;
    }

    /// Nanoseconds from the request's head to the end of the response.
    pub fn took(&self) -> u64 {
        self.ended.0.saturating_sub(self.asked.0)
    }
}
