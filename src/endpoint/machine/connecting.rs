//! CONNECTING: the opening handshake, as server and as client.

use std::time::{Duration, Instant};

use super::{Endpoint, Phase};
use crate::endpoint::asking::{Deflation, Rejection, deflation, is_no_http, judge, may_pass, no_http};
use crate::endpoint::event::Event;
use crate::endpoint::keepalive::Keepalive;
use crate::endpoint::opening::{Answer, answer};
use crate::endpoint::refusal::Refusal;
use crate::endpoint::role::Role;
use crate::wire::handshake::{Accepted, Head, Opening, Request, Response};
use crate::wire::{DeflateAgreement, Deflater, Side};

/// How long the body of a response that refuses is waited for.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

impl Endpoint {
    /// Takes what belongs to the opening handshake from the front of `bytes`.
    pub(super) fn receive_handshake(&mut self, bytes: &mut &[u8], now: Instant) {
        if let Phase::Connecting { reader, .. } = &mut self.phase {
            match reader.push(bytes) {
                Ok(None) => {
                    if matches!(self.role, Role::Client { .. }) && is_no_http(reader.partial()) {
                        let reason = no_http(reader.partial());
                        self.fail_handshake(reason, false);
                    }
                    return;
                }
                Ok(Some(head)) => self.read_head(head, now),
                Err(error) => self.refuse_head(error.max, now),
            }
        }
        if let Phase::Refused { rejection, .. } = &mut self.phase
            && rejection.push(std::mem::take(bytes))
        {
            self.end_refused();
        }
    }

    fn read_head(&mut self, head: Head, now: Instant) {
        match &self.role {
            Role::Server => self.answer(Request::read(head), now),
            Role::Client { opening, .. } => {
                let response = Response::read(head);
                match judge(&response, opening, self.config.tolerant) {
                    Ok(accepted) => {
                        let opening = opening.clone();
                        let deflate = deflation(&accepted, &opening);
                        self.open(opening, accepted, deflate, now);
                    }
                    Err(reason) => {
                        let rejection = Rejection::new(&response, reason);
                        self.phase = Phase::Refused { rejection, until: now.checked_add(BODY_PATIENCE) };
                    }
                }
            }
        }
    }

    fn answer(&mut self, request: Request, now: Instant) {
        let answer = answer(&request, &self.config);
        self.events.push_back(Event::Request(Box::new(request)));
        match answer {
            Answer::Accept { opening, accepted, deflate, response } => {
                self.outbox.push(&response);
                let deflate = deflate.map(|agreement| {
                    let takes_over = agreement.takes_over(Side::Server);
                    (agreement, Deflation { takes_over, window_bits: agreement.window_bits(Side::Server) })
                });
                self.open(opening, accepted, deflate, now);
            }
            Answer::Page(response) => {
                self.outbox.push(&response);
                self.events.push_back(Event::Page);
                self.drain(now);
            }
            Answer::Refuse(refusal) => self.refuse(&refusal, now),
        }
    }

    fn open(
        &mut self,
        opening: Opening,
        accepted: Accepted,
        deflate: Option<(DeflateAgreement, Deflation)>,
        now: Instant,
    ) {
        if let Some((agreement, ours)) = deflate {
            self.incoming.expect_deflate(agreement);
            self.deflater = Deflater::new(ours.takes_over, ours.window_bits);
        }
        let interval = self.config.ping_interval.filter(|interval| !interval.is_zero());
        self.keepalive = interval.map(|interval| Keepalive::new(interval, now));
        self.phase = Phase::Open;
        self.events.push_back(Event::Opened(Box::new(opening), accepted));
    }

    /// The peer's head is longer than `max`.
    fn refuse_head(&mut self, max: usize, now: Instant) {
        let reason = |what| format!("The head of the {what} is too long: more than {max} bytes.");
        match self.role {
            Role::Server => self.refuse(&Refusal::new(431, reason("request")), now),
            Role::Client { .. } => self.fail_handshake(reason("response"), false),
        }
    }

    /// The peer's head has not come in time.
    pub(super) fn be_out_of_patience(&mut self, now: Instant) {
        let limit = self.config.handshake_timeout;
        match self.role {
            Role::Server => {
                let reason = format!("The head of the request was not whole after {limit:?}.");
                self.refuse(&Refusal::new(408, reason), now);
            }
            Role::Client { .. } => {
                let reason = format!("The server did not answer the opening handshake within {limit:?}.");
                self.fail_handshake(reason, true);
            }
        }
    }

    /// The program ends.
    pub(super) fn give_handshake_up(&mut self, now: Instant) {
        match self.role {
            Role::Server => self.refuse(&Refusal::new(503, "The server is shutting down."), now),
            Role::Client { .. } => {
                self.fail_handshake("The program ended before the server had answered.".to_owned(), false);
            }
        }
    }

    /// The connection has `ended` or failed before the peer's head was whole.
    pub(super) fn miss_handshake(&mut self, ended: &str, now: Instant) {
        match &self.role {
            Role::Server => {
                let reason = format!("The connection {ended} before the request was whole.");
                self.events.push_back(Event::Refused { status: None, reason, body: Vec::new(), transient: false });
                self.drain(now);
            }
            Role::Client { .. } => {
                self.fail_handshake(format!("The connection {ended} before the server had answered."), true);
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal, now: Instant) {
        self.outbox.push(&refusal.response());
        let (status, reason) = (Some(refusal.status), refusal.reason.clone());
        self.events.push_back(Event::Refused { status, reason, body: Vec::new(), transient: false });
        self.drain(now);
    }

    /// Nothing comes of what this client asked for.
    fn fail_handshake(&mut self, reason: String, transient: bool) {
        self.events.push_back(Event::Refused { status: None, reason, body: Vec::new(), transient });
        self.finish();
    }

    /// Enough of the server's reasons has come.
    pub(super) fn end_refused(&mut self) {
        if let Phase::Refused { rejection, .. } = std::mem::replace(&mut self.phase, Phase::Finished) {
            let (status, reason) = (rejection.status, rejection.reason.clone());
            let transient = status.is_some_and(may_pass);
            self.events.push_back(Event::Refused { status, reason, body: rejection.into_body(), transient });
        }
        self.finish();
    }
}
