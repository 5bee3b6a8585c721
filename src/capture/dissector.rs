//! Chunks in, frames and findings out: the one derivation behind every view, live or from a file.

use std::collections::VecDeque;
use std::sync::Arc;

use super::connection::{CloseFrame, Connection, ConnectionState};
use super::direction::{Chunk, Direction};
use super::event::{Event, EventKind, Origin, SentOn, SocketEnd, Timestamp, Vantage};
use super::exchange::Exchange;
use super::file::Position;
use super::index::{MilestoneKind, NewFrame};
use super::pings::Pings;
use crate::lint::{Finding, Limits, check_request, check_response};
use crate::wire::handshake::{Opening, Request, Response};
use crate::wire::http::{ClientStep, Exchanges, ServerStep};
use crate::wire::{CloseBody, Opcode, Side};

/// What follows from an event.
#[derive(Debug)]
pub(super) enum Step {
    /// A frame is complete, or never will be.
    Frame(NewFrame, Vec<Finding>),
    /// Frame `pong` answers frame `pings.last()`, and passes over those before.
    Answered { pong: u64, pings: Vec<u64> },
    /// So many findings in the opening handshake.
    Handshake(Vec<Finding>),
    /// The connection went on to another state.
    Milestone(MilestoneKind),
    /// An opening handshake was refused, and others may follow on the connection: what is known of this one.
    Refused(Box<Connection>),
    /// A request that is no upgrade is over.
    Exchange(Box<Exchange>),
    /// The user has marked a frame, or taken its mark away.
    Mark(u64, Option<String>),
}

/// What follows from events, in order.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) list: Vec<Step>,
    /// How many frames and exchanges there were, in all connections.
    frames: u64,
    exchanges: u32,
}

impl Steps {
    fn push(&mut self, step: Step) {
        self.list.push(step);
    }

    /// Adds a frame; its number.
    fn frame(&mut self, frame: NewFrame, findings: Vec<Finding>) -> u64 {
        self.frames += 1;
        self.list.push(Step::Frame(frame, findings));
        self.frames
    }

    /// Adds an exchange to those of its connection.
    fn exchange(&mut self, mut exchange: Box<Exchange>, connection: &mut Connection) {
        self.exchanges = self.exchanges.saturating_add(1);
        exchange.n = self.exchanges;
        exchange.previous = std::mem::replace(&mut connection.last_exchange, exchange.n);
        self.list.push(Step::Exchange(exchange));
    }
}

/// Derives everything about one connection from its events.
#[derive(Debug)]
pub(super) struct Dissector {
    pub(super) connection: Connection,
    phase: Phase,
    directions: [Direction; 2],
    pings: Pings,
}

#[derive(Debug)]
enum Phase {
    /// Requests and responses come.
    Http(Box<Http>),
    /// Frames go both ways.
    Frames,
    /// Nothing that is inspected.
    Opaque,
}

/// Requests and responses as far as they have come.
#[derive(Debug, Default)]
struct Http {
    exchanges: Exchanges,
    /// What waits for the end of its response, the oldest first.
    asked: VecDeque<Asked>,
    /// Where the heads at hand begin.
    heads: [Option<Position>; 2],
}

#[derive(Debug)]
struct Asked {
    what: What,
    is_sent_on: bool,
}

#[derive(Debug)]
enum What {
    Upgrade(Box<Request>),
    Page(Box<Exchange>),
}

impl Dissector {
    pub(super) fn new(connection: Connection, limits: Limits) -> Self {
        let vantage = connection.vantage;
        let mut directions = Side::BOTH.map(|side| Direction::new(side, limits, vantage.origin_of(side)));
        let mut phase = Phase::Http(Box::default());
        if vantage == Vantage::Late {
            phase = Phase::Frames;
            directions.iter_mut().for_each(Direction::begin_late);
        }
        Self { connection, phase, directions, pings: Pings::default() }
    }

    /// Takes the next event in. `blocks` tells where in the file the parts of a chunk stand; it is empty if they could
    /// not be written.
    pub(super) fn event(&mut self, event: &Event, blocks: &[u64], steps: &mut Steps) {
        match &event.kind {
            EventKind::Opened { .. } | EventKind::Mark(_) => {}
            EventKind::Chunk { from, bytes, notes } => {
                self.connection.latest = event.time;
                let chunk = Chunk { bytes, start: 0, blocks, notes, time: event.time };
                self.chunk(*from, chunk, steps);
            }
            EventKind::SentOn(sent) => self.sent_on(sent),
            EventKind::Delayed { from, delay } => self.connection.delays[*from as usize] = *delay,
            EventKind::NotSentOn(why) => self.connection.not_sent_on = Some(why.clone()),
            EventKind::Gap { from, bytes } => self.gap(*from, *bytes, event.time, steps),
            EventKind::Ended { from, how } => {
                let connection = &mut self.connection;
                connection.socket_ends[*from as usize].get_or_insert(*how);
                connection.socket_ended_first.get_or_insert(*from);
                if let Phase::Http(http) = &self.phase
                    && *from == Side::Server
                    && http.exchanges.ends_with_connection()
                {
                    self.end_exchanges(event.time, *how == SocketEnd::Fin, steps);
                }
            }
            EventKind::Closed { cause } => {
                self.connection.cause = *cause;
                self.close(event.time, steps);
            }
        }
    }

    fn chunk(&mut self, from: Side, mut chunk: Chunk<'_>, steps: &mut Steps) {
        while !chunk.is_empty() {
            // it is put back, unless it is over
            match std::mem::replace(&mut self.phase, Phase::Opaque) {
                Phase::Opaque => return,
                Phase::Frames => {
                    self.phase = Phase::Frames;
                    return self.frames(from, &chunk, steps);
                }
                Phase::Http(mut http) => {
                    match from {
                        Side::Client => self.requests(&mut http, &mut chunk, steps),
                        Side::Server => self.responses(&mut http, &mut chunk, steps),
                    }
                    self.connection.unclear = http.exchanges.unclear();
                    if http.exchanges.are_frames() {
                        self.phase = Phase::Frames;
                        for held in self.directions[Side::Client as usize].take_held() {
                            self.frames(Side::Client, &held.chunk(), steps);
                        }
                    } else {
                        self.phase = Phase::Http(http);
                    }
                }
            }
        }
    }

    fn requests(&mut self, http: &mut Http, chunk: &mut Chunk<'_>, steps: &mut Steps) {
        while !chunk.is_empty() {
            if http.exchanges.begins_request() {
                http.heads[Side::Client as usize] = chunk.position(0);
            }
            let was_clear = http.exchanges.unclear().is_none();
            let mut rest = chunk.rest();
            let step = http.exchanges.client(&mut rest);
            let taken = chunk.rest().len() - rest.len();
            if matches!(step, ClientStep::Undecided) {
                // frames that were sent before the answer came: what they mean depends on the answer
                self.directions[Side::Client as usize].hold(chunk);
            }
            chunk.start += taken;
            match step {
                ClientStep::Head(request) => self.request(http, *request, chunk.time, steps),
                ClientStep::TooLong(_) => self.connection.request_too_long |= self.connection.target.is_empty(),
                ClientStep::Body => {
                    if let Some(Asked { what: What::Page(exchange), .. }) = http.asked.back_mut() {
                        exchange.body[Side::Client as usize] += taken as u64;
                    }
                }
                ClientStep::Partial | ClientStep::Blank | ClientStep::Undecided | ClientStep::Blind => {}
                ClientStep::Frames => return,
            }
            if was_clear && let Some(Asked { what: What::Page(exchange), .. }) = http.asked.back_mut() {
                exchange.unclear = http.exchanges.unclear();
            }
        }
    }

    fn request(&mut self, http: &mut Http, request: Request, time: Timestamp, steps: &mut Steps) {
        let head = http.heads[Side::Client as usize].map(|position| (position, request.head.raw().len()));
        let upgrades = request.wants_upgrade();
        let state = if upgrades { ConnectionState::Connecting } else { ConnectionState::Http };
        self.connection.begin_again(state, &request.target);
        self.connection.heads[Side::Client as usize] = head;
        let what = if upgrades {
            let findings = check_request(&request);
            self.connection.handshake_findings[Side::Client as usize].clone_from(&findings);
            steps.push(Step::Handshake(findings));
            What::Upgrade(Box::new(request))
        } else {
            self.connection.requests += 1;
            What::Page(Box::new(Exchange::new(self.connection.id, &request, head, time)))
        };
        if http.asked.len() < Exchanges::MAX_WAITING {
            http.asked.push_back(Asked { what, is_sent_on: false });
        }
    }

    /// The first request of which that is not known yet was sent on.
    fn sent_on(&mut self, sent: &Arc<SentOn>) {
        self.connection.sent_on = Some(sent.clone());
        if let Phase::Http(http) = &mut self.phase
            && let Some(asked) = http.asked.iter_mut().find(|asked| !asked.is_sent_on)
        {
            asked.is_sent_on = true;
            if let What::Page(exchange) = &mut asked.what {
                exchange.sent_on = Some(sent.clone());
            }
        }
    }

    fn responses(&mut self, http: &mut Http, chunk: &mut Chunk<'_>, steps: &mut Steps) {
        while !chunk.is_empty() {
            if http.exchanges.begins_response() {
                http.heads[Side::Server as usize] = chunk.position(0);
            }
            let was_clear = http.exchanges.unclear().is_none();
            let mut rest = chunk.rest();
            let step = http.exchanges.server(&mut rest);
            let taken = chunk.rest().len() - rest.len();
            chunk.start += taken;
            let is_over = match step {
                ServerStep::Head { response, is_interim: false, is_whole } => {
                    self.response(http, &response, chunk, steps);
                    is_whole
                }
                ServerStep::Body { is_whole } => {
                    if let Some(Asked { what: What::Page(exchange), .. }) = http.asked.front_mut() {
                        exchange.body[Side::Server as usize] += taken as u64;
                    }
                    is_whole
                }
                ServerStep::Head { .. } | ServerStep::Partial | ServerStep::Blind => false,
                ServerStep::Frames => return,
            };
            if was_clear && let Some(Asked { what: What::Page(exchange), .. }) = http.asked.front_mut() {
                exchange.unclear = http.exchanges.unclear();
            }
            if is_over && let Some(Asked { what: What::Page(mut exchange), .. }) = http.asked.pop_front() {
                exchange.complete = true;
                exchange.ended = chunk.time;
                steps.exchange(exchange, &mut self.connection);
            }
        }
    }

    fn response(&mut self, http: &mut Http, response: &Response, chunk: &Chunk<'_>, steps: &mut Steps) {
        let time = chunk.time;
        let head = http.heads[Side::Server as usize].map(|position| (position, response.head.raw().len()));
        let is_last = http.asked.len() <= 1;
        // it stands for the connection as long as nothing else was asked
        if is_last && self.connection.status.is_none() {
            self.connection.answered = Some(time);
            self.connection.status = response.status;
            self.connection.heads[Side::Server as usize] = head;
        }
        let answers_itself = self.connection.not_sent_on.is_some();
        let request = match http.asked.front_mut() {
            Some(Asked { what: What::Page(_), .. }) if answers_itself => None,
            Some(Asked { what: What::Page(exchange), .. }) => {
                exchange.answer(response, head, time);
                return;
            }
            Some(Asked { what: What::Upgrade(request), .. }) => Some(request),
            // what was asked could not be read
            None if self.connection.state == ConnectionState::Connecting => None,
            None => return,
        };
        if response.status != Some(101) {
            self.connection.answer = first_line(chunk.rest());
        }
        // a response is judged against what was asked for, however badly that was asked
        if let Some(request) = request.filter(|_| !answers_itself) {
            let findings = check_response(response, &opening_of(request));
            self.connection.handshake_findings[Side::Server as usize].clone_from(&findings);
            steps.push(Step::Handshake(findings));
        }
        if !http.exchanges.are_frames() {
            self.connection.state = ConnectionState::Refused;
            if answers_itself {
                // nothing is listed that nobody answered
                http.asked.clear();
            }
            steps.push(Step::Refused(Box::new(self.connection.clone())));
            return;
        }
        let agreement = response.agreement();
        self.connection.subprotocol = agreement.subprotocol;
        self.connection.extensions =
            response.head.joined("Sec-WebSocket-Extensions").map(|value| value.chars().take(256).collect());
        if agreement.extensions.iter().any(|extension| extension.name == "permessage-deflate") {
            self.directions.iter_mut().for_each(Direction::expect_deflate);
        }
        self.connection.state = ConnectionState::Open;
        steps.push(Step::Milestone(MilestoneKind::Opened));
    }

    fn frames(&mut self, from: Side, chunk: &Chunk<'_>, steps: &mut Steps) {
        let [client, server] = &mut self.directions;
        let (direction, other) = match from {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        let connection = &mut self.connection;
        connection.bytes[from as usize] += chunk.rest().len() as u64;
        direction.chunk(chunk, |done| {
            let frame = done.frame;
            if connection.state == ConnectionState::Connecting {
                // begun before it was looked at, and now a frame has been found
                connection.state = ConnectionState::Open;
                steps.push(Step::Milestone(MilestoneKind::Opened));
            }
            connection.frames[from as usize] += 1;
            connection.broken_frames += u64::from(!done.findings.is_empty());
            let n = steps.frame(NewFrame { connection: connection.id, ..frame }, done.findings);
            match frame.header.opcode {
                Opcode::PING => {
                    other.expect_pong(done.body);
                    self.pings.ping(from, n, done.body, frame.time, &mut connection.pings);
                }
                Opcode::PONG => {
                    let pings = self.pings.pong(from, done.body, frame.time, &mut connection.pings);
                    if !pings.is_empty() {
                        steps.push(Step::Answered { pong: n, pings });
                    }
                }
                Opcode::CLOSE if frame.complete => note_close(connection, from, done.body, frame.origin),
                _ => {}
            }
        });
    }

    fn gap(&mut self, from: Side, bytes: u64, time: Timestamp, steps: &mut Steps) {
        let connection = &mut self.connection;
        connection.unseen[from as usize] += bytes;
        if !matches!(self.phase, Phase::Frames) {
            // nothing after it can be told for sure
            self.end_exchanges(time, false, steps);
            return;
        }
        connection.bytes[from as usize] += bytes;
        self.directions[from.other() as usize].expect_any_pong();
        if let Some((frame, findings)) = self.directions[from as usize].gap(bytes) {
            connection.frames[from as usize] += 1;
            connection.broken_frames += u64::from(!findings.is_empty());
            steps.frame(NewFrame { connection: connection.id, time, ..frame }, findings);
        }
    }

    /// No more responses come; the first one may be complete with that.
    fn end_exchanges(&mut self, time: Timestamp, completes: bool, steps: &mut Steps) {
        let Phase::Http(http) = std::mem::replace(&mut self.phase, Phase::Opaque) else { return };
        for (i, asked) in http.asked.into_iter().enumerate() {
            if let What::Page(mut exchange) = asked.what {
                exchange.complete = completes && i == 0;
                exchange.ended = time;
                steps.exchange(exchange, &mut self.connection);
            }
        }
    }

    fn close(&mut self, time: Timestamp, steps: &mut Steps) {
        self.connection.ended = Some(time);
        if matches!(self.phase, Phase::Http(_)) {
            self.end_exchanges(time, false, steps);
        }
        match self.connection.state {
            ConnectionState::Open | ConnectionState::Closing => {
                for side in Side::BOTH {
                    if let Some((frame, findings)) = self.directions[side as usize].give_up() {
                        let connection = &mut self.connection;
                        connection.frames[side as usize] += 1;
                        connection.broken_frames += u64::from(!findings.is_empty());
                        steps.frame(NewFrame { connection: connection.id, time, ..frame }, findings);
                    }
                }
                self.connection.state = ConnectionState::Closed;
                steps.push(Step::Milestone(MilestoneKind::Closed));
            }
            ConnectionState::Connecting => {
                self.connection.state = ConnectionState::Refused;
                steps.push(Step::Milestone(MilestoneKind::Refused));
            }
            ConnectionState::Closed | ConnectionState::Refused | ConnectionState::Http => {}
        }
    }
}

/// What a request offers, also where it is no valid opening handshake.
fn opening_of(request: &Request) -> Opening {
    request.opening().unwrap_or_else(|_| Opening {
        target: request.target.clone(),
        key: request.head.value("Sec-WebSocket-Key").unwrap_or_default().into_owned(),
        origin: None,
        subprotocols: request.subprotocols(),
        extensions: Vec::new(),
    })
}

/// The first line of a body that is text, shortened.
fn first_line(body: &[u8]) -> Option<String> {
    let line = body.split(|&byte| byte == b'\r' || byte == b'\n').next()?;
    let text = std::str::from_utf8(line).ok().filter(|text| !text.is_empty() && !text.starts_with('<'))?;
    Some(text.chars().take(200).collect())
}

fn note_close(connection: &mut Connection, from: Side, body: &[u8], origin: Origin) {
    let (code, reason) = match CloseBody::parse(body) {
        CloseBody::Code(code, reason) => (Some(code), String::from_utf8_lossy(reason).into_owned()),
        CloseBody::Empty | CloseBody::OneByte(_) => (None, String::new()),
    };
    connection.closes[from as usize].get_or_insert(CloseFrame { code, reason, origin });
    connection.closed_first.get_or_insert(from);
    connection.state = ConnectionState::Closing;
}
