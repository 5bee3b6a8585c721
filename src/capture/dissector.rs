//! Chunks in, frames and findings out: the one derivation behind every view, live or from a file.

use super::connection::{CloseFrame, Connection, ConnectionState};
use super::direction::{Chunk, Direction};
use super::event::{Event, EventKind, Origin, Timestamp, Vantage};
use super::index::{MilestoneKind, NewFrame};
use super::pings::Pings;
use crate::lint::{Finding, Limits, check_request, check_response};
use crate::wire::handshake::{Head, Opening, Request, Response};
use crate::wire::{CloseBody, Opcode, Side};

/// What follows from an event.
#[derive(Debug)]
pub(super) enum Step {
    /// A frame is complete, or never will be.
    Frame(NewFrame, Vec<Finding>),
    /// So many findings in the opening handshake.
    Handshake(Vec<Finding>),
    /// A ping of this side was answered, after so many nanoseconds.
    RoundTrip(Side, u64),
    /// The connection went on to another state.
    Milestone(MilestoneKind),
    /// The user has marked a frame, or taken its mark away.
    Mark(u64, Option<String>),
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
    /// The request is coming in.
    Request,
    /// The request is there, the response is coming in.
    Response(Box<Request>),
    /// The request's head was too long to be read; the response to that may still come.
    Unread,
    /// Frames go both ways.
    Frames,
    /// Nothing that is inspected: a page, or bytes that are no HTTP.
    Opaque,
}

impl Dissector {
    pub(super) fn new(connection: Connection, limits: Limits) -> Self {
        let vantage = connection.vantage;
        let mut directions = Side::BOTH.map(|side| Direction::new(side, limits, vantage.origin_of(side)));
        let mut phase = Phase::Request;
        if vantage == Vantage::Late {
            phase = Phase::Frames;
            directions.iter_mut().for_each(Direction::begin_late);
        }
        Self { connection, phase, directions, pings: Pings::default() }
    }

    /// Takes the next event in. `blocks` tells where in the file the parts of a chunk stand; it is empty if they could
    /// not be written.
    pub(super) fn event(&mut self, event: &Event, blocks: &[u64], steps: &mut Vec<Step>) {
        match &event.kind {
            EventKind::Opened { .. } | EventKind::Mark(_) => {}
            EventKind::Chunk { from, bytes, notes } => {
                let chunk = Chunk { bytes, start: 0, blocks, notes, time: event.time };
                self.chunk(*from, chunk, steps);
            }
            EventKind::SentOn(sent) => self.connection.sent_on = Some(sent.clone()),
            EventKind::NotSentOn(why) => self.connection.not_sent_on = Some(why.clone()),
            EventKind::Gap { from, bytes } => self.gap(*from, *bytes, event.time, steps),
            EventKind::Ended { from, how } => {
                let connection = &mut self.connection;
                connection.socket_ends[*from as usize].get_or_insert(*how);
                connection.socket_ended_first.get_or_insert(*from);
            }
            EventKind::Closed { cause } => {
                self.connection.cause = *cause;
                self.close(event.time, steps);
            }
        }
    }

    fn chunk(&mut self, from: Side, mut chunk: Chunk<'_>, steps: &mut Vec<Step>) {
        match (&mut self.phase, from) {
            (Phase::Frames, _) => self.frames(from, &chunk, steps),
            (Phase::Opaque, _) | (Phase::Unread, Side::Client) => {}
            (Phase::Request, Side::Client) => {
                if let Some(head) = self.head(from, &mut chunk) {
                    self.request(Request::read(head), steps);
                    self.chunk_rest(from, chunk, steps);
                }
            }
            (Phase::Response(_), Side::Client) => {
                // frames that were sent before the answer came: what they mean depends on the answer
                self.directions[Side::Client as usize].hold(&chunk);
            }
            (Phase::Response(_) | Phase::Request | Phase::Unread, Side::Server) => {
                if let Some(head) = self.head(from, &mut chunk) {
                    let response = Response::read(head);
                    if response.status != Some(101) {
                        self.connection.answer = first_line(chunk.rest());
                    }
                    self.response(&response, chunk.time, steps);
                    self.chunk_rest(from, chunk, steps);
                }
            }
        }
    }

    fn chunk_rest(&mut self, from: Side, rest: Chunk<'_>, steps: &mut Vec<Step>) {
        if !rest.is_empty() {
            self.chunk(from, rest, steps);
        }
    }

    /// Reads on in the head of one direction; what follows it stays in `chunk`.
    fn head(&mut self, from: Side, chunk: &mut Chunk<'_>) -> Option<Head> {
        let direction = &mut self.directions[from as usize];
        match direction.head(chunk) {
            Ok(Some((head, position))) => {
                self.connection.heads[from as usize] = position.map(|position| (position, head.raw().len()));
                Some(head)
            }
            Ok(None) => None,
            Err(_) => {
                self.connection.request_too_long |= from == Side::Client;
                self.phase = if from == Side::Client { Phase::Unread } else { Phase::Opaque };
                None
            }
        }
    }

    fn request(&mut self, request: Request, steps: &mut Vec<Step>) {
        self.connection.target = request.target.chars().take(256).collect();
        if request.wants_upgrade() {
            let findings = check_request(&request);
            self.connection.handshake_findings[Side::Client as usize].clone_from(&findings);
            steps.push(Step::Handshake(findings));
        } else {
            self.connection.state = ConnectionState::Http;
        }
        self.phase = Phase::Response(Box::new(request));
    }

    fn response(&mut self, response: &Response, time: Timestamp, steps: &mut Vec<Step>) {
        self.connection.answered = Some(time);
        self.connection.status = response.status;
        let request = match std::mem::replace(&mut self.phase, Phase::Opaque) {
            Phase::Response(request) => Some(request),
            _ => None,
        };
        let answers_itself = self.connection.not_sent_on.is_some();
        if self.connection.state == ConnectionState::Http && !answers_itself {
            return;
        }
        // a response is judged against what was asked for, however badly that was asked
        if let Some(request) = request.as_ref().filter(|_| !answers_itself) {
            let findings = check_response(response, &opening_of(request));
            self.connection.handshake_findings[Side::Server as usize].clone_from(&findings);
            steps.push(Step::Handshake(findings));
        }
        if response.status != Some(101) {
            self.connection.state = ConnectionState::Refused;
            steps.push(Step::Milestone(MilestoneKind::Refused));
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
        self.phase = Phase::Frames;
        steps.push(Step::Milestone(MilestoneKind::Opened));
        for held in self.directions[Side::Client as usize].take_held() {
            self.frames(Side::Client, &held.chunk(), steps);
        }
    }

    fn frames(&mut self, from: Side, chunk: &Chunk<'_>, steps: &mut Vec<Step>) {
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
            match frame.header.opcode {
                Opcode::PING => {
                    other.expect_pong(done.body);
                    self.pings.ping(from, done.body, frame.time);
                }
                Opcode::PONG => {
                    if let Some(round_trip) = self.pings.pong(from, done.body, frame.time) {
                        connection.round_trip = Some(round_trip);
                        steps.push(Step::RoundTrip(from.other(), round_trip));
                    }
                }
                Opcode::CLOSE if frame.complete => note_close(connection, from, done.body, frame.origin),
                _ => {}
            }
            steps.push(Step::Frame(NewFrame { connection: connection.id, ..frame }, done.findings));
        });
    }

    fn gap(&mut self, from: Side, bytes: u64, time: Timestamp, steps: &mut Vec<Step>) {
        let connection = &mut self.connection;
        connection.unseen[from as usize] += bytes;
        if !matches!(self.phase, Phase::Frames) {
            // nothing after it can be told for sure
            self.phase = Phase::Opaque;
            return;
        }
        connection.bytes[from as usize] += bytes;
        self.directions[from.other() as usize].expect_any_pong();
        if let Some((frame, findings)) = self.directions[from as usize].gap(bytes) {
            connection.frames[from as usize] += 1;
            connection.broken_frames += u64::from(!findings.is_empty());
            steps.push(Step::Frame(NewFrame { connection: connection.id, time, ..frame }, findings));
        }
    }

    fn close(&mut self, time: Timestamp, steps: &mut Vec<Step>) {
        self.connection.ended = Some(time);
        match self.connection.state {
            ConnectionState::Open | ConnectionState::Closing => {
                for side in Side::BOTH {
                    if let Some((frame, findings)) = self.directions[side as usize].give_up() {
                        let connection = &mut self.connection;
                        connection.frames[side as usize] += 1;
                        connection.broken_frames += u64::from(!findings.is_empty());
                        let frame = NewFrame { connection: connection.id, time, ..frame };
                        steps.push(Step::Frame(frame, findings));
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
