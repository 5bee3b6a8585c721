//! What goes out, and the way to the end.

use std::time::{Duration, Instant};

use super::{Endpoint, Phase};
use crate::endpoint::deadline::Deadline;
use crate::endpoint::event::{CloseFrame, End, Event, How};
use crate::endpoint::leaving::Leaving;
use crate::endpoint::outbox::Origin;
use crate::wire::{CloseBody, CloseCode, CloseCodeClass, Header, Opcode, Rsv, Side, fragments};

impl Endpoint {
    /// Whether so much waits to be written that nothing more is taken: see [`Config::high_water`](crate::endpoint::Config::high_water).
    pub fn is_full(&self) -> bool {
        self.outbox.load() >= self.config.high_water
    }

    /// Queues a frame of our own making: masked, at a client's end.
    pub(in crate::endpoint) fn queue(&mut self, header: &Header, payload: &[u8], origin: Origin) {
        let masking_key = self.role.next_key();
        self.queue_as_it_is(&Header { masking_key, ..*header }, payload, origin);
    }

    fn queue_as_it_is(&mut self, header: &Header, payload: &[u8], origin: Origin) {
        if header.opcode == Opcode::PING {
            self.incoming.expect_pong(payload);
        }
        self.outbox.push_frame(header, payload, header.masking_key, origin);
    }

    /// Queues a message of the peer's again, `payload` being as it is on the wire.
    pub(super) fn queue_echo(&mut self, theirs: &Header, payload: &[u8]) {
        let masking_key = self.role.next_key();
        let ours = Header { masking_key, ..Header::new(theirs.opcode, None, theirs.length) };
        // one of the two is masked (RFC 6455 5.1)
        let key = masking_key.or(theirs.masking_key);
        self.outbox.push_frame(&ours, payload, key, Origin::Endpoint);
    }

    /// Queues a message in `count` frames of about equal size, compressed if that was agreed on: small ones too, so that
    /// who looks on sees it. After its first frame, if others follow, `between` may queue control frames.
    pub(in crate::endpoint) fn queue_message(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        count: u16,
        origin: Origin,
        between: impl FnOnce(&mut Self),
    ) {
        let compressed = self.deflater.as_mut().map(|deflater| {
            let mut compressed = Vec::new();
            deflater.message(payload, &mut compressed);
            compressed
        });
        let mut between = Some(between);
        for (part, last, fragment) in fragments(opcode, compressed.as_deref().unwrap_or(payload), count) {
            let is_first = part == opcode;
            let rsv = if is_first && compressed.is_some() { Rsv::RSV1 } else { Rsv::NONE };
            let header = Header { rsv, ..Header::new(part, None, fragment.len() as u64).with_fin(last) };
            self.queue(&header, fragment, origin);
            if let Some(between) = between.take_if(|_| !last) {
                between(self);
            }
        }
    }

    /// Queues a frame of the user as it is, and has the endpoint know what that means to the peer.
    pub(in crate::endpoint) fn queue_composed(&mut self, header: &Header, payload: &[u8], now: Instant) {
        self.queue_as_it_is(header, payload, Origin::User);
        if header.rsv.rsv1()
            && let Some(deflater) = &mut self.deflater
        {
            // the peer's window has this message in it, ours has not
            deflater.forget();
        }
        if header.opcode == Opcode::CLOSE && self.sent.is_none() {
            self.sent = Some(CloseFrame::read(payload));
            self.phase = Phase::AwaitingClose(Deadline::renewable(now, self.config.close_timeout));
        }
    }

    /// Has the connection closed once all is answered.
    pub(in crate::endpoint) fn set_leaving(&mut self, quiet: Duration, now: Instant) {
        self.leaving = Some(Leaving::new(quiet, now));
    }

    /// Starts the closing handshake (RFC 6455 7.1.2) and waits for the peer's Close.
    pub(in crate::endpoint) fn start_close(&mut self, code: CloseCode, reason: &str, origin: Origin, now: Instant) {
        let body = if code == CloseCode::NO_STATUS { Vec::new() } else { CloseBody::encode(code, reason) };
        self.queue_close(&body, origin);
        self.phase = Phase::AwaitingClose(Deadline::renewable(now, self.config.close_timeout));
    }

    /// Queues our Close, unless it was sent before: there is only one.
    pub(super) fn queue_close(&mut self, body: &[u8], origin: Origin) {
        if self.sent.is_none() {
            self.sent = Some(CloseFrame::read(body));
            self.queue(&Header::new(Opcode::CLOSE, None, body.len() as u64), body, origin);
        }
    }

    /// Settles the fate of a connection that was OPEN.
    pub(super) fn conclude(&mut self, by: Side, how: How, now: Instant) {
        let end = End { side: self.role.side(), by, how, sent: self.sent.clone(), received: self.received.clone() };
        self.end = Some(end.clone());
        self.events.push_back(Event::Closed(end));
        self.drain(now);
    }

    pub(super) fn drain(&mut self, now: Instant) {
        // a deadline that was made final stays so
        let deadline = match self.phase {
            Phase::AwaitingClose(deadline) if deadline.is_final() => deadline,
            _ => Deadline::renewable(now, self.config.close_timeout),
        };
        self.phase = Phase::Draining(deadline);
        self.keepalive = None;
    }

    pub(super) fn finish_if_done(&mut self) {
        if self.peer_ended && self.wants_shutdown() {
            self.finish();
        }
    }

    pub(super) fn finish(&mut self) {
        self.phase = Phase::Finished;
        self.keepalive = None;
        self.deflater = None;
        self.outbox.clear();
    }
}

/// The body of the Close that answers one with `body` (RFC 6455 5.5.1): the same code, or none. A code that must not be
/// sent comes here only where no rule is enforced; it is not sent back.
pub(super) fn reply_to_close(body: &[u8]) -> Vec<u8> {
    match CloseBody::parse(body).code() {
        Some(code) if code.class() != CloseCodeClass::Forbidden => CloseBody::encode(code, ""),
        _ => Vec::new(),
    }
}
