//! The state machine itself.

mod outgoing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::Config;
use super::config::Reply;
use super::deadline::Deadline;
use super::event::{CloseFrame, End, Event, How, State};
use super::incoming::{Arrival, Incoming};
use super::keepalive::{Keepalive, Tick};
use super::opening::{Answer, answer};
use super::outbox::{FrameNote, Origin, Outbox};
use super::refusal::Refusal;
use crate::lint::Finding;
use crate::wire::handshake::{HeadReader, Request};
use crate::wire::{CloseBody, CloseCode, Deflater, Header, Opcode, Side};
use outgoing::reply_to_close;

/// A server's end of one connection.
#[derive(Debug)]
pub struct Endpoint {
    config: Arc<Config>,
    phase: Phase,
    incoming: Incoming,
    outbox: Outbox,
    /// Where it was agreed to compress what goes out.
    deflater: Option<Deflater>,
    keepalive: Option<Keepalive>,
    events: VecDeque<Event>,
    sent: Option<CloseFrame>,
    received: Option<CloseFrame>,
    end: Option<End>,
    peer_ended: bool,
}

#[derive(Debug)]
enum Phase {
    /// The head of the request is coming in.
    Connecting { reader: HeadReader, until: Option<Instant> },
    /// Messages flow.
    Open,
    /// Our Close is queued, the peer's has not come.
    AwaitingClose(Deadline),
    /// Nothing that comes is looked at any more. What waits is written, then our side of the TCP connection is shut, and
    /// the peer's end is awaited, for closing a socket with unread bytes would destroy bytes that it has not read yet.
    Draining(Deadline),
    /// The socket may be dropped.
    Finished,
}

/// The driver's side.
impl Endpoint {
    /// A connection whose TCP handshake, and TLS handshake if any, was done at `now`.
    pub fn new(config: impl Into<Arc<Config>>, now: Instant) -> Self {
        let config = config.into();
        let until = now.checked_add(config.handshake_timeout);
        Self {
            phase: Phase::Connecting { reader: HeadReader::new(config.max_head), until },
            incoming: Incoming::new(&config),
            outbox: Outbox::default(),
            deflater: None,
            keepalive: None,
            events: VecDeque::new(),
            sent: None,
            received: None,
            end: None,
            peer_ended: false,
            config,
        }
    }

    /// Takes bytes that the peer sent.
    pub fn receive(&mut self, mut bytes: &[u8], now: Instant) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.handle_timeout(now);
        }
        if let Phase::Connecting { reader, .. } = &mut self.phase {
            match reader.push(&mut bytes) {
                Ok(None) => return,
                Ok(Some(head)) => self.answer(Request::read(head), now),
                Err(error) => {
                    let reason = format!("The head of the request is too long: more than {} bytes.", error.max);
                    self.refuse(&Refusal::new(431, reason), now);
                }
            }
        }
        while matches!(self.phase, Phase::Open | Phase::AwaitingClose(_)) {
            let Some(arrival) = self.incoming.next(&mut bytes) else { break };
            self.arrived(arrival, now);
        }
        if let Some(keepalive) = &mut self.keepalive
            && self.incoming.is_inside_frame()
        {
            keepalive.progress();
        }
    }

    /// The peer ended its side of the TCP connection.
    pub fn receive_end(&mut self, now: Instant) {
        self.peer_ended = true;
        match self.phase {
            Phase::Connecting { .. } => {
                let reason = "The connection ended before the request was whole.".to_owned();
                self.events.push_back(Event::Refused { status: None, reason });
                self.drain(now);
            }
            // nothing could answer a Close: what waits is still written, since only one side has ended
            Phase::Open | Phase::AwaitingClose(_) => self.conclude(Side::Client, How::Fin, now),
            Phase::Draining(_) | Phase::Finished => {}
        }
        self.finish_if_done();
    }

    /// The TCP connection failed: nothing can be read or written any more.
    pub fn receive_reset(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting { .. } => {
                let reason = "The connection failed before the request was whole.".to_owned();
                self.events.push_back(Event::Refused { status: None, reason });
            }
            Phase::Open | Phase::AwaitingClose(_) => self.conclude(Side::Client, How::Reset, now),
            Phase::Draining(_) | Phase::Finished => {}
        }
        self.finish();
    }

    /// The bytes to be written next, all that wait.
    pub fn outbox(&self) -> &[u8] {
        self.outbox.waiting()
    }

    /// The first `n` bytes of the outbox were written. Tells which frames begin in them.
    pub fn written(&mut self, n: usize, now: Instant) -> Vec<FrameNote> {
        let notes = self.outbox.take(n);
        if n > 0 {
            if let Phase::AwaitingClose(deadline) | Phase::Draining(deadline) = &mut self.phase {
                deadline.renew(now);
            }
            if let (Some(keepalive), false) = (&mut self.keepalive, self.outbox.is_empty()) {
                keepalive.progress();
            }
        }
        self.finish_if_done();
        notes
    }

    /// What happened next, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] is to be called, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Connecting { until, .. } => *until,
            Phase::Open => self.keepalive.as_ref().and_then(Keepalive::due),
            Phase::AwaitingClose(deadline) | Phase::Draining(deadline) => deadline.at(),
            Phase::Finished => None,
        }
    }

    /// Time has passed. Harmless before [`Endpoint::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_none_or(|at| now < at) {
            return;
        }
        match self.phase {
            Phase::Connecting { .. } => {
                let limit = self.config.handshake_timeout;
                let reason = format!("The head of the request was not whole after {limit:?}.");
                self.refuse(&Refusal::new(408, reason), now);
            }
            Phase::Open => self.keep_alive(now),
            Phase::AwaitingClose(_) => {
                self.conclude(Side::Server, How::Timeout, now);
                self.finish();
            }
            Phase::Draining(_) => self.finish(),
            Phase::Finished => {}
        }
    }

    /// Whether input is wanted. While too much waits to be written it is not: TCP then holds the peer back.
    pub fn wants_read(&self) -> bool {
        match self.phase {
            Phase::Open => !self.is_full(),
            Phase::Connecting { .. } | Phase::AwaitingClose(_) | Phase::Draining(_) => !self.peer_ended,
            Phase::Finished => false,
        }
    }

    /// Whether our side of the TCP connection is to be shut now: all is written, and the server goes first (RFC 6455
    /// 7.1.1). The driver goes on reading, and dropping what it reads, until [`Endpoint::is_finished`].
    pub fn wants_shutdown(&self) -> bool {
        matches!(self.phase, Phase::Draining(_)) && self.outbox.is_empty()
    }

    /// Whether the socket is to be dropped.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }

    /// The program ends: an OPEN connection is closed with 1001, and everything gets only a short time from now on.
    pub fn shutdown(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting { .. } => self.refuse(&Refusal::new(503, "The server is shutting down."), now),
            Phase::Open => {
                let reason = "the server is shutting down";
                self.start_close(CloseCode::GOING_AWAY, reason, Origin::Endpoint, now);
            }
            Phase::AwaitingClose(_) | Phase::Draining(_) | Phase::Finished => {}
        }
        if let Phase::AwaitingClose(deadline) | Phase::Draining(deadline) = &mut self.phase {
            deadline.make_final(now, self.config.shutdown_timeout);
        }
    }

    /// In which state of RFC 6455 the connection is.
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Connecting { .. } => State::Connecting,
            Phase::Open => State::Open,
            Phase::AwaitingClose(_) | Phase::Draining(_) => State::Closing,
            Phase::Finished => State::Closed,
        }
    }

    /// How the connection ended, once that is settled; `None` for one that never was OPEN.
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }
}

/// What follows from what comes in.
impl Endpoint {
    fn answer(&mut self, request: Request, now: Instant) {
        let answer = answer(&request, &self.config);
        self.events.push_back(Event::Request(Box::new(request)));
        match answer {
            Answer::Accept { opening, accepted, deflate, response } => {
                self.outbox.push(&response);
                if let Some(agreement) = deflate {
                    self.incoming.expect_deflate(agreement);
                    let takes_over = agreement.takes_over(Side::Server);
                    self.deflater = Deflater::new(takes_over, agreement.window_bits(Side::Server));
                }
                let interval = self.config.ping_interval.filter(|interval| !interval.is_zero());
                self.keepalive = interval.map(|interval| Keepalive::new(interval, now));
                self.phase = Phase::Open;
                self.events.push_back(Event::Opened(Box::new(opening), accepted));
            }
            Answer::Page(response) => {
                self.outbox.push(&response);
                self.events.push_back(Event::Page);
                self.drain(now);
            }
            Answer::Refuse(refusal) => self.refuse(&refusal, now),
        }
    }

    fn refuse(&mut self, refusal: &Refusal, now: Instant) {
        self.outbox.push(&refusal.response());
        self.events.push_back(Event::Refused { status: Some(refusal.status), reason: refusal.reason.clone() });
        self.drain(now);
    }

    fn arrived(&mut self, arrival: Arrival, now: Instant) {
        let is_open = matches!(self.phase, Phase::Open);
        match arrival {
            Arrival::Message(message) => match self.config.reply {
                Reply::Echo if is_open => {
                    self.queue_message(message.opcode, &message.payload, 1, Origin::Endpoint, |_| {});
                }
                Reply::HandOver => self.events.push_back(Event::Message(message)),
                Reply::Echo | Reply::Nothing => {}
            },
            Arrival::Ping(payload) if is_open && self.config.auto_pong => {
                let header = Header::new(Opcode::PONG, None, payload.len() as u64);
                self.outbox.push_frame(&header, &payload, Origin::Endpoint);
            }
            Arrival::Pong { solicited: true } => {
                if let Some(keepalive) = &mut self.keepalive {
                    keepalive.pong();
                }
            }
            Arrival::Ping(_) | Arrival::Pong { .. } => {}
            Arrival::Close(body) => {
                self.received = Some(CloseFrame::read(&body));
                // whose Close came first is whose frame was first complete here
                let by = if self.sent.is_some() { Side::Server } else { Side::Client };
                self.queue_close(&reply_to_close(&body), Origin::Endpoint);
                self.conclude(by, How::Handshake, now);
            }
            Arrival::Broken(finding) => self.fail(finding, now),
        }
    }

    fn keep_alive(&mut self, now: Instant) {
        match self.keepalive.as_mut().map_or(Tick::Wait, |keepalive| keepalive.tick(now)) {
            Tick::Ping(payload) => {
                let header = Header::new(Opcode::PING, None, payload.len() as u64);
                self.queue(&header, payload.as_bytes(), Origin::Endpoint);
            }
            Tick::Dead => {
                // no code is made for this; 1011 is what the common servers send
                let body = CloseBody::encode(CloseCode::INTERNAL_ERROR, "keepalive ping timeout");
                self.queue_close(&body, Origin::Endpoint);
                self.conclude(Side::Server, How::Timeout, now);
            }
            Tick::Wait => {}
        }
    }

    /// Fails the connection (RFC 6455 7.1.7): what was queued before goes out, then a Close that says why.
    fn fail(&mut self, finding: Finding, now: Instant) {
        let code = finding.rule.close_code().unwrap_or(CloseCode::PROTOCOL_ERROR);
        let body = CloseBody::encode(code, &format!("{}: {}", finding.rule.id(), finding.sees()));
        self.queue_close(&body, Origin::Endpoint);
        self.conclude(Side::Server, How::Failed(finding), now);
    }
}
