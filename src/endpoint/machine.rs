//! The state machine itself.

mod connecting;
mod outgoing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::asking::{Ask, Rejection, offered};
use super::config::{Config, Reply};
use super::deadline::Deadline;
use super::event::{CloseFrame, End, Event, How, State};
use super::incoming::{Arrival, Incoming, whole_message};
use super::keepalive::{Keepalive, Tick};
use super::leaving::Leaving;
use super::outbox::{Origin, Outbox, Written};
use super::role::{MaskingKeys, Role};
use crate::lint::Finding;
use crate::wire::handshake::HeadReader;
use crate::wire::{CloseBody, CloseCode, Deflater, Header, Opcode, Side};
use outgoing::reply_to_close;

/// One end of a connection.
#[derive(Debug)]
pub struct Endpoint {
    config: Arc<Config>,
    role: Role,
    phase: Phase,
    incoming: Incoming,
    outbox: Outbox,
    /// Where it was agreed to compress what goes out.
    deflater: Option<Deflater>,
    keepalive: Option<Keepalive>,
    /// Nothing more is to be sent, and the connection to be closed once all is answered.
    leaving: Option<Leaving>,
    events: VecDeque<Event>,
    sent: Option<CloseFrame>,
    received: Option<CloseFrame>,
    end: Option<End>,
    peer_ended: bool,
}

#[derive(Debug)]
enum Phase {
    /// The head of the peer's request or response is coming in.
    Connecting { reader: HeadReader, until: Option<Instant> },
    /// The server has refused what this client asked for, and the beginning of its reasons is coming in.
    Refused { rejection: Rejection, until: Option<Instant> },
    /// Messages flow.
    Open,
    /// Our Close is queued, the peer's has not come.
    AwaitingClose(Deadline),
    /// Nothing that comes is looked at any more. What waits is written, then a server shuts its side of the TCP connection,
    /// and the peer's end is awaited: a client has the server go first (RFC 6455 7.1.1), and closing a socket with unread
    /// bytes would destroy bytes that the peer has not read yet.
    Draining(Deadline),
    /// The socket may be dropped.
    Finished,
}

/// The driver's side.
impl Endpoint {
    /// A server's end of a connection whose TCP handshake, and TLS handshake if any, was done at `now`.
    pub fn new(config: impl Into<Arc<Config>>, now: Instant) -> Self {
        Self::with(config.into(), Role::Server, now)
    }

    /// A client's end of the same. Each of its frames takes one of `keys`.
    pub fn client(config: impl Into<Arc<Config>>, ask: &Ask, keys: MaskingKeys, now: Instant) -> Self {
        let request = ask.request();
        let mut endpoint = Self::with(config.into(), Role::Client { opening: offered(&request), keys }, now);
        endpoint.outbox.push(&request);
        endpoint
    }

    fn with(config: Arc<Config>, role: Role, now: Instant) -> Self {
        let until = now.checked_add(config.handshake_timeout);
        Self {
            phase: Phase::Connecting { reader: HeadReader::new(config.max_head), until },
            incoming: Incoming::new(&config, role.side().other()),
            role,
            outbox: Outbox::new(config.rooms.clone()),
            deflater: None,
            keepalive: None,
            leaving: None,
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
        if matches!(self.phase, Phase::Connecting { .. } | Phase::Refused { .. }) {
            self.handle_timeout(now);
            self.receive_handshake(&mut bytes, now);
        }
        while matches!(self.phase, Phase::Open | Phase::AwaitingClose(_)) {
            let Some(arrival) = self.incoming.next(&mut bytes) else { break };
            self.arrived(arrival, now);
        }
        self.incoming.rest();
        if let Some(leaving) = &mut self.leaving {
            leaving.progress(now);
        }
        if let (Phase::AwaitingClose(deadline), Role::Client { .. }) = (&mut self.phase, &self.role) {
            // its answers to what was asked before come first, however many there are
            deadline.renew(now);
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
            Phase::Connecting { .. } => self.miss_handshake("ended", now),
            Phase::Refused { .. } => self.end_refused(),
            // nothing could answer a Close: what waits is still written, since only one side has ended
            Phase::Open | Phase::AwaitingClose(_) => self.conclude(self.peer(), How::Fin, now),
            Phase::Draining(_) | Phase::Finished => {}
        }
        self.finish_if_done();
    }

    /// The TCP connection failed: nothing can be read or written any more.
    pub fn receive_reset(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting { .. } => self.miss_handshake("failed", now),
            Phase::Refused { .. } => self.end_refused(),
            Phase::Open | Phase::AwaitingClose(_) => self.conclude(self.peer(), How::Reset, now),
            Phase::Draining(_) | Phase::Finished => {}
        }
        self.finish();
    }

    /// The bytes to be written next, all that wait.
    pub fn outbox(&self) -> &[u8] {
        self.outbox.waiting()
    }

    /// The first `n` bytes of the outbox were written: they are taken out of it.
    pub fn written(&mut self, n: usize, now: Instant) -> Written {
        let written = self.outbox.take(n);
        if n > 0 {
            if let Phase::AwaitingClose(deadline) | Phase::Draining(deadline) = &mut self.phase {
                deadline.renew(now);
            }
            if let (Some(keepalive), false) = (&mut self.keepalive, self.outbox.is_empty()) {
                keepalive.progress();
            }
            if let Some(leaving) = &mut self.leaving {
                leaving.progress(now);
            }
        }
        self.finish_if_done();
        written
    }

    /// What happened next, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] is to be called, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Connecting { until, .. } | Phase::Refused { until, .. } => *until,
            Phase::Open => {
                let keepalive = self.keepalive.as_ref().and_then(Keepalive::due);
                let leaving = self.leaving.as_ref().and_then(Leaving::due);
                keepalive.into_iter().chain(leaving).min()
            }
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
            Phase::Connecting { .. } => self.be_out_of_patience(now),
            Phase::Refused { .. } => self.end_refused(),
            Phase::Open if self.leaving.as_ref().and_then(Leaving::due).is_some_and(|due| due <= now) => {
                self.start_close(CloseCode::NORMAL, "", Origin::Endpoint, now);
            }
            Phase::Open => self.keep_alive(now),
            Phase::AwaitingClose(_) => {
                self.conclude(self.role.side(), How::Timeout, now);
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
            Phase::Connecting { .. } | Phase::Refused { .. } | Phase::AwaitingClose(_) | Phase::Draining(_) => {
                !self.peer_ended
            }
            Phase::Finished => false,
        }
    }

    /// Whether our side of the TCP connection is to be shut now: all is written, and the server goes first (RFC 6455
    /// 7.1.1). The driver goes on reading, and dropping what it reads, until [`Endpoint::is_finished`].
    pub fn wants_shutdown(&self) -> bool {
        let is_our_turn = matches!(self.role, Role::Server) || self.peer_ended;
        matches!(self.phase, Phase::Draining(_)) && self.outbox.is_empty() && is_our_turn
    }

    /// Whether the socket is to be dropped.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }

    /// The program ends: an OPEN connection is closed with 1001, and everything gets only a short time from now on.
    pub fn shutdown(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting { .. } => self.give_handshake_up(now),
            Phase::Refused { .. } => self.end_refused(),
            Phase::Open => {
                let reason = format!("the {} is shutting down", self.role.side());
                let reason = reason.as_str();
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
            Phase::Refused { .. } | Phase::AwaitingClose(_) | Phase::Draining(_) => State::Closing,
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
    const fn peer(&self) -> Side {
        self.role.side().other()
    }

    fn arrived(&mut self, arrival: Arrival<'_>, now: Instant) {
        let is_open = matches!(self.phase, Phase::Open);
        match arrival {
            Arrival::Whole(header, payload) => match self.config.reply {
                Reply::Echo if is_open => self.queue_echo(&header, payload),
                Reply::HandOver => self.events.push_back(Event::Message(whole_message(&header, payload))),
                Reply::Echo | Reply::Nothing => {}
            },
            Arrival::Message(message) => match self.config.reply {
                Reply::Echo if is_open => {
                    self.queue_message(message.opcode, &message.payload, 1, Origin::Endpoint, |_| {});
                    self.incoming.use_again(message.payload);
                }
                Reply::HandOver => self.events.push_back(Event::Message(message)),
                Reply::Echo | Reply::Nothing => {}
            },
            Arrival::Ping(payload) if is_open && self.config.auto_pong => {
                let header = Header::new(Opcode::PONG, None, payload.len() as u64);
                self.queue(&header, &payload, Origin::Endpoint);
            }
            Arrival::Pong { solicited: true } => {
                if let Some(keepalive) = &mut self.keepalive {
                    keepalive.pong();
                }
                if let Some(leaving) = &mut self.leaving {
                    leaving.pong(now);
                }
            }
            Arrival::Ping(_) | Arrival::Pong { .. } => {}
            Arrival::Close(body) => {
                self.received = Some(CloseFrame::read(&body));
                // whose Close came first is whose frame was first complete here
                let by = if self.sent.is_some() { self.role.side() } else { self.peer() };
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
                self.conclude(self.role.side(), How::Timeout, now);
            }
            Tick::Wait => {}
        }
    }

    /// Fails the connection (RFC 6455 7.1.7): what was queued before goes out, then a Close that says why.
    fn fail(&mut self, finding: Finding, now: Instant) {
        let code = finding.rule.close_code().unwrap_or(CloseCode::PROTOCOL_ERROR);
        let body = CloseBody::encode(code, &format!("{}: {}", finding.rule.id(), finding.sees()));
        self.queue_close(&body, Origin::Endpoint);
        self.conclude(self.role.side(), How::Failed(finding), now);
    }
}
