//! Chunks in, frames and findings out: the one derivation behind every view, live or from a file.

mod lanes;

use super::connection::{CloseFrame, Connection, ConnectionState};
use super::deflation::{Deflated, Place};
use super::direction::{Before, Chunk, Direction, Done, Frames, Halfway, Lane};
use super::event::{ConnectionId, Event, EventKind, Origin, SocketEnd, Timestamp, Vantage};
use super::exchange::Exchange;
use super::file::Position;
use super::frame_entry::{FrameBatch, FrameEntry};
use super::index::MilestoneKind;
use super::pings::Pings;
use super::requests::Http;
use crate::lint::{Finding, Limits};
use crate::wire::{CloseBody, Opcode, Side};

/// What follows from an event, beside frames.
#[derive(Debug)]
pub(super) enum Step {
    /// What is wrong with the frame before it.
    Findings(Vec<Finding>),
    /// The frame before it ended a compressed message of that side.
    Deflated(Side, Deflated),
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
    /// From here on, at this offset of its stream, a side's compressed messages can be inflated with what is given.
    Checkpoint(Side, u64, Place),
    /// What a side sent first is not there: its compressed messages may refer to it.
    BeginningGone(Side),
    /// The user has marked a frame, or taken its mark away.
    Mark(u64, Option<String>),
    /// So many frames and connections came before all that there is.
    Gone(u64, u64),
}

/// What follows from events, in order. Nearly all of it are frames that nothing is to be said of.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Frames that are complete, or never will be.
    pub(super) frames: FrameBatch,
    /// What else follows: after how many of those, from what happened on which connection.
    pub(super) list: Vec<(usize, ConnectionId, Step)>,
    /// The connection at hand.
    pub(super) connection: ConnectionId,
    /// How many frames and exchanges there were, in all connections.
    frames_so_far: u64,
    exchanges: u32,
    /// Room for unmasking.
    room: Vec<u8>,
}

impl Steps {
    /// Room for unmasking that is kept.
    const ROOM: usize = 64 << 10;

    pub(super) fn push(&mut self, step: Step) {
        self.list.push((self.frames.len(), self.connection, step));
    }

    /// So many frames came before all that there is.
    pub(super) fn begin_after(&mut self, frames: u64) {
        self.frames_so_far = self.frames_so_far.max(frames);
    }

    /// Adds a frame; its number.
    fn frame(&mut self, frame: FrameEntry) -> u64 {
        self.frames_so_far += 1;
        self.frames.push(&frame);
        self.frames_so_far
    }

    /// Takes out what there is; `frames` and `list` are empty, and room for what comes.
    pub(super) fn swap(&mut self, frames: &mut FrameBatch, list: &mut Vec<(usize, ConnectionId, Step)>) {
        std::mem::swap(frames, &mut self.frames);
        std::mem::swap(list, &mut self.list);
        self.room.shrink_to(Self::ROOM);
    }

    /// Adds an exchange to those of its connection.
    pub(super) fn exchange(&mut self, mut exchange: Box<Exchange>, connection: &mut Connection) {
        self.exchanges = self.exchanges.saturating_add(1);
        exchange.n = self.exchanges;
        exchange.previous = std::mem::replace(&mut connection.last_exchange, exchange.n);
        self.push(Step::Exchange(exchange));
    }
}

/// Derives everything about one connection from its events.
#[derive(Debug)]
pub(super) struct Dissector {
    pub(super) connection: Connection,
    pub(super) phase: Phase,
    pub(super) directions: [Direction; 2],
    /// What is ahead of the directions and the connection, as long as it is open: [`Dissector::settle`] brings them up to it.
    lanes: [Option<Lane>; 2],
    /// The tunnel that is not looked into.
    pub(super) unopened: Option<Box<Exchange>>,
    pings: Pings,
    /// What came of it since the index was told.
    pub(super) has_news: bool,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Requests and responses come.
    Http(Box<Http>),
    /// Frames go both ways.
    Frames,
    /// Nothing that is inspected.
    Opaque,
}

impl Dissector {
    pub(super) fn new(connection: Connection, limits: Limits) -> Self {
        let vantage = connection.vantage;
        let mut directions = Side::BOTH.map(|side| Direction::new(&connection, side, limits));
        let mut phase = Phase::Http(Box::new(Http::new(vantage)));
        if vantage == Vantage::Late {
            phase = Phase::Frames;
            directions.iter_mut().for_each(Direction::begin_late);
        }
        let (lanes, pings) = ([None, None], Pings::default());
        Self { connection, phase, directions, lanes, unopened: None, pings, has_news: false }
    }

    /// Takes the next event in. `blocks` tells where in the file the parts of a chunk stand; it is empty if they could
    /// not be written.
    pub(super) fn event(&mut self, event: &Event, blocks: &[u64], steps: &mut Steps) {
        if !matches!(event.kind, EventKind::Chunk { .. }) {
            self.settle();
        }
        match &event.kind {
            // TLS is noted by whoever has many of these
            EventKind::Opened { .. } | EventKind::Mark(_) | EventKind::Secrets(_) | EventKind::Tls { .. } => {}
            EventKind::Chunk { from, bytes, notes } => {
                self.chunk(*from, Chunk { bytes, start: 0, blocks, notes, time: event.time }, steps);
            }
            EventKind::Tunnelled(tunnel) => self.tunnelled(tunnel, event.time, steps),
            EventKind::Unopened(unopened) => self.unopened(unopened, event.time),
            EventKind::SentOn(sent) => self.sent_on(sent),
            EventKind::Delayed { from, delay } => self.connection.delays[*from as usize] = *delay,
            EventKind::NotSentOn(why) => self.connection.not_sent_on = Some(why.clone()),
            EventKind::NoTls(why) => self.connection.no_tls = Some(why.clone()),
            EventKind::Truncated { from } => self.connection.truncated[*from as usize] = true,
            EventKind::Account(account) => self.connection.account = Some(account.clone()),
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

    /// How far both directions have come, and whether the opening handshake is over; they are settled.
    pub(super) fn halfway(&self) -> (bool, [Halfway; 2]) {
        debug_assert!(self.lanes.iter().all(Option::is_none));
        let connection = &self.connection;
        let halfway = Side::BOTH.map(|side| {
            let (frames, bytes) = (connection.frames[side as usize], connection.bytes[side as usize]);
            let halfway = self.directions[side as usize].halfway(frames, bytes);
            match &self.phase {
                Phase::Http(http) => Halfway { begun: http.begun[side as usize], ..halfway },
                Phase::Frames | Phase::Opaque => halfway,
            }
        });
        (!matches!(self.phase, Phase::Http(_)), halfway)
    }

    /// What `from` sent before is not there.
    pub(super) fn resume(&mut self, from: Side, before: &Before) {
        self.settle();
        self.connection.frames[from as usize] = before.frames;
        self.connection.bytes[from as usize] = before.bytes;
        if matches!(self.phase, Phase::Frames) {
            let direction = &mut self.directions[from as usize];
            direction.resume(before);
            direction.expect_any_pong();
        }
    }

    /// What `from` began to send at `old` stands at `new` from now on, or is not there any more; returned is whether that
    /// is the frame at hand.
    pub(super) fn move_begun(&mut self, from: Side, old: Position, new: Option<Position>) -> bool {
        self.settle();
        if let Some((_, length)) = self.connection.heads[from as usize].filter(|(position, _)| *position == old) {
            self.connection.heads[from as usize] = new.map(|position| (position, length));
        }
        if let Phase::Http(http) = &mut self.phase {
            let begun = &mut http.begun[from as usize];
            *begun = if *begun == Some(old) { new } else { *begun };
        }
        self.connection.move_growing(from, old, new);
        self.directions[from as usize].move_begun(old, new)
    }

    /// What stood in the file before `kept_from` is not there any more.
    pub(super) fn forget_held(&mut self, kept_from: u64) {
        self.directions.iter_mut().for_each(|direction| direction.forget_held(kept_from));
    }

    /// Takes the bytes of a read or a write in.
    #[expect(clippy::inline_always, reason = "the parts of a chunk are in registers then, and not laid out in memory")]
    #[inline(always)]
    pub(super) fn chunk(&mut self, from: Side, mut chunk: Chunk<'_>, steps: &mut Steps) {
        self.connection.latest = chunk.time;
        if !self.usual(from, &mut chunk, steps) {
            self.settle();
            self.unusual(from, chunk, steps);
        }
    }

    fn unusual(&mut self, from: Side, mut chunk: Chunk<'_>, steps: &mut Steps) {
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

    fn frames(&mut self, from: Side, chunk: &Chunk<'_>, steps: &mut Steps) {
        let [client, server] = &mut self.directions;
        let (direction, other) = match from {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        let connection = &mut self.connection;
        connection.bytes[from as usize] += chunk.rest().len() as u64;
        direction.chunk(chunk, &mut Derived { connection, from, other, pings: &mut self.pings, steps });
        let connection = &mut self.connection;
        connection.growing[from as usize] = direction.growing(chunk.time);
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
        let cut = self.directions[from as usize].gap(bytes, time);
        connection.growing[from as usize] = self.directions[from as usize].growing(time);
        if let Some(cut) = cut {
            self.cut(from, cut, steps);
        }
    }

    /// A frame was cut short.
    fn cut(&mut self, from: Side, Done { entry, findings, .. }: Done, steps: &mut Steps) {
        let n = steps.frame(entry);
        self.connection.frames[from as usize] += 1;
        self.connection.note_due(n, &entry, &findings);
        if !findings.is_empty() {
            self.connection.broken_frames += 1;
            steps.push(Step::Findings(findings));
        }
    }

    fn close(&mut self, time: Timestamp, steps: &mut Steps) {
        self.connection.ended = Some(time);
        self.end_unopened(time, steps);
        self.connection.growing = [None, None];
        if matches!(self.phase, Phase::Http(_)) {
            self.end_exchanges(time, false, steps);
        }
        match self.connection.state {
            ConnectionState::Open | ConnectionState::Closing => {
                for side in Side::BOTH {
                    if let Some(cut) = self.directions[side as usize].give_up(time) {
                        self.cut(side, cut, steps);
                    }
                }
                self.connection.state = ConnectionState::Closed;
                steps.push(Step::Milestone(MilestoneKind::Closed));
            }
            ConnectionState::Connecting => {
                self.connection.state = ConnectionState::Refused;
                steps.push(Step::Milestone(MilestoneKind::Refused));
            }
            ConnectionState::Closed | ConnectionState::Refused | ConnectionState::Http | ConnectionState::Tunnel => {}
        }
    }
}

/// What follows from the frames of a chunk.
struct Derived<'a> {
    connection: &'a mut Connection,
    from: Side,
    other: &'a mut Direction,
    pings: &'a mut Pings,
    steps: &'a mut Steps,
}

impl Frames for Derived<'_> {
    #[inline]
    fn usual(&mut self, entry: FrameEntry) {
        self.frame(entry, &[]);
    }

    fn done(&mut self, Done { entry, findings, body, deflated, checkpoint }: Done) {
        let n = self.frame(entry, &findings);
        let Self { connection, from, other, pings, steps } = self;
        let from = *from;
        match entry.opcode() {
            Opcode::PING => {
                other.expect_pong(&body);
                pings.ping(from, n, &body, entry.time(), &mut connection.pings);
            }
            Opcode::PONG => {
                let pings = pings.pong(from, &body, entry.time(), &mut connection.pings);
                if !pings.is_empty() {
                    steps.push(Step::Answered { pong: n, pings });
                }
            }
            Opcode::CLOSE if entry.is_complete() => note_close(connection, from, &body, entry.origin()),
            _ => {}
        }
        if !findings.is_empty() {
            connection.broken_frames += 1;
            steps.push(Step::Findings(findings));
        }
        if let Some((message, all)) = deflated {
            connection.deflated[from as usize] = all;
            steps.push(Step::Deflated(from, message));
        }
        if let Some(place) = checkpoint {
            let header = entry.header();
            let end = entry.offset().saturating_add(header.len() as u64).saturating_add(header.length);
            steps.push(Step::Checkpoint(from, end, place));
        }
    }
}

impl Derived<'_> {
    /// A frame, and what is wrong with it; its number.
    #[inline]
    fn frame(&mut self, entry: FrameEntry, findings: &[Finding]) -> u64 {
        if self.connection.state == ConnectionState::Connecting {
            // begun before it was looked at, and now a frame has been found
            self.connection.state = ConnectionState::Open;
            self.steps.push(Step::Milestone(MilestoneKind::Opened));
        }
        let n = self.steps.frame(entry);
        self.connection.frames[self.from as usize] += 1;
        self.connection.note_due(n, &entry, findings);
        n
    }
}

fn note_close(connection: &mut Connection, from: Side, body: &[u8], origin: Origin) {
    let (code, reason) = match CloseBody::parse(body) {
        CloseBody::Code(code, reason) => (Some(code), String::from_utf8_lossy(reason).into_owned()),
        CloseBody::Empty | CloseBody::OneByte(_) => (None, String::new()),
    };
    let growing = connection.growing[from.other() as usize].and_then(|growing| growing.entry);
    let during = growing.map(|entry| entry.offset());
    connection.closes[from as usize].get_or_insert(CloseFrame { code, reason, origin, during });
    connection.closed_first.get_or_insert(from);
    connection.state = ConnectionState::Closing;
}
