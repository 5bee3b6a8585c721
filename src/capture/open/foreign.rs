//! Captures that other programs took: the WebSockets among the TCP connections in them.

use super::ends::Ends;
use super::link::Segment;
use super::reassembly::{Piece, Stream};
use super::scribe::Scribe;
use super::senders::Senders;
use crate::capture::event::{ConnectionId, Event, EventKind, SocketEnd, Timestamp, Vantage};
use crate::capture::resync;
use crate::wire::Side;

/// Makes a recording of a foreign capture.
pub(super) struct Foreign {
    /// `None` once all is recorded.
    scribe: Option<Scribe>,
    senders: Senders,
    flows: Vec<Flow>,
    pub(super) found: Found,
    /// Room for the pieces of a segment.
    pieces: Vec<Piece>,
    latest: Timestamp,
}

/// What was found since it was last recorded, and how much there was of what is not recorded.
#[derive(Default)]
pub(super) struct Found {
    events: Vec<Event>,
    /// Bytes of the events.
    weight: usize,
    connections: u32,
    /// TCP connections that are encrypted, or something else.
    pub(super) encrypted: u64,
    pub(super) others: u64,
}

/// A TCP connection.
struct Flow {
    /// Those of a packet from its end 0 to its end 1.
    ends: Ends,
    streams: [Stream; 2],
    /// Which end asked for it, if that was seen.
    opener: Option<usize>,
    began: Timestamp,
    stage: Stage,
}

enum Stage {
    /// What it is can't be told yet.
    Undecided(Held),
    /// A WebSocket, or at least HTTP.
    Followed { id: ConnectionId, client: usize, ended: [bool; 2] },
    /// Something else, or over.
    Ignored,
}

/// What came before it was known what it is.
#[derive(Default)]
struct Held {
    pieces: Vec<(usize, Piece, Timestamp)>,
    bytes: usize,
}

/// Events and bytes that are written at once.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;
/// What is held of a connection before it is known what it is.
const MAX_HELD: usize = 256 << 10;
const REQUEST: &[u8] = b"GET ";

impl Foreign {
    pub(super) fn new(scribe: Scribe) -> Self {
        let (senders, flows, found, pieces) = (Senders::new(), Vec::new(), Found::default(), Vec::new());
        Self { scribe: Some(scribe), senders, flows, found, pieces, latest: Timestamp::default() }
    }

    /// Takes the next segment.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, time: Timestamp) {
        self.latest = self.latest.max(time);
        let begins = segment.syn() && !segment.ack();
        let (place, from) = match self.senders.get(segment.ends) {
            Some((place, _)) if begins && !self.flows[place].begins_with(segment) => {
                // the same addresses are used again
                let old = std::mem::replace(&mut self.flows[place], Flow::new(segment, time));
                self.finish_flow(old, true);
                self.senders.insert(segment.ends, place);
                (place, 0)
            }
            Some(known) => known,
            None if segment.syn() || !segment.payload.is_empty() => {
                self.flows.push(Flow::new(segment, time));
                self.senders.insert(segment.ends, self.flows.len() - 1);
                (self.flows.len() - 1, 0)
            }
            None => return,
        };
        let flow = &mut self.flows[place];
        if segment.syn() {
            flow.opener = Some(if segment.ack() { 1 - from } else { from });
        }
        flow.streams[from].segment(segment, &mut self.pieces);
        if segment.rst() {
            flow.streams[from].finish(&mut self.pieces);
        }
        for piece in self.pieces.drain(..) {
            self.found.piece(flow, from, piece, time);
        }
        if segment.rst() {
            self.found.reset(flow, from, time);
        }
    }

    /// Whether it is time for [`Foreign::flush`].
    pub(super) fn is_full(&self) -> bool {
        self.found.events.len() >= BATCH || self.found.weight >= BATCH_BYTES
    }

    /// Records what was found.
    pub(super) fn flush(&mut self) {
        if let Some(scribe) = &self.scribe {
            let events = std::mem::take(&mut self.found.events);
            self.found.events = scribe.record(events);
            self.found.weight = 0;
        }
    }

    /// The capture is at its end: what is missing does not come any more.
    pub(super) fn finish(&mut self) {
        let mut flows = std::mem::take(&mut self.flows);
        self.senders.clear();
        flows.sort_by_key(|flow| (flow.began, flow.ends));
        for flow in flows {
            self.finish_flow(flow, false);
            if self.is_full() {
                self.flush();
            }
        }
        self.flush();
        self.scribe.take().into_iter().for_each(Scribe::finish);
    }

    fn finish_flow(&mut self, mut flow: Flow, is_over: bool) {
        let time = self.latest;
        for from in 0..2 {
            let mut pieces = Vec::new();
            flow.streams[from].finish(&mut pieces);
            for piece in pieces {
                self.found.piece(&mut flow, from, piece, time);
            }
        }
        match &flow.stage {
            Stage::Followed { id, .. } if is_over => self.found.event(*id, time, EventKind::Closed { cause: None }),
            Stage::Undecided(held) if flow.opener.is_none() && held.bytes > 0 => {
                // begun before the capture, and nothing in it can be read: that is shown
                let id = self.found.open(&flow, Vantage::Late, 0);
                self.found.event(id, time, EventKind::Closed { cause: None });
            }
            Stage::Undecided(held) if held.bytes > 0 => self.found.others += 1,
            _ => {}
        }
    }
}

impl Found {
    fn piece(&mut self, flow: &mut Flow, from: usize, piece: Piece, time: Timestamp) {
        match &mut flow.stage {
            Stage::Undecided(held) => {
                if let Piece::Data(bytes) = &piece {
                    held.bytes += bytes.len();
                }
                held.pieces.push((from, piece, time));
                self.decide(flow);
            }
            Stage::Followed { id, client, ended } => {
                let id = *id;
                let side = if from == *client { Side::Client } else { Side::Server };
                let kind = match piece {
                    Piece::Data(bytes) => EventKind::Chunk { from: side, bytes, notes: Vec::new() },
                    Piece::Gap(bytes) => EventKind::Gap { from: side, bytes },
                    Piece::Fin => EventKind::Ended { from: side, how: SocketEnd::Fin },
                };
                ended[from] |= matches!(kind, EventKind::Ended { .. });
                let is_over = *ended == [true; 2];
                self.event(id, time, kind);
                if is_over {
                    flow.stage = Stage::Ignored;
                    self.event(id, time, EventKind::Closed { cause: None });
                }
            }
            Stage::Ignored => {}
        }
    }

    fn reset(&mut self, flow: &mut Flow, from: usize, time: Timestamp) {
        if let Stage::Followed { id, client, .. } = flow.stage {
            let side = if from == client { Side::Client } else { Side::Server };
            self.event(id, time, EventKind::Ended { from: side, how: SocketEnd::Reset });
            self.event(id, time, EventKind::Closed { cause: None });
            flow.stage = Stage::Ignored;
        }
    }

    /// Tells what a connection is, once that can be told.
    fn decide(&mut self, flow: &mut Flow) {
        let Stage::Undecided(held) = &mut flow.stage else { return };
        let starts: [Vec<u8>; 2] = [held.start(0), held.start(1)];
        if starts.iter().any(|start| matches!(start[..], [0x14..=0x17, 3, 0..=4, ..])) {
            self.encrypted += 1;
            flow.stage = Stage::Ignored;
            return;
        }
        if let Some(client) = (0..2).find(|&end| starts[end].starts_with(REQUEST)) {
            return self.follow(flow, Vantage::Beside, client);
        }
        let begun = flow.opener.filter(|&opener| !held.begins_with_gap(opener));
        if let Some(opener) = begun {
            if starts[opener].len() >= REQUEST.len() || held.bytes > MAX_HELD {
                self.others += 1;
                flow.stage = Stage::Ignored;
            }
            return;
        }
        for end in 0..2 {
            if let Some(masked) = resync::is_masked(&held.segments(end)) {
                return self.follow(flow, Vantage::Late, if masked { end } else { 1 - end });
            }
        }
        held.shorten();
    }

    fn follow(&mut self, flow: &mut Flow, vantage: Vantage, client: usize) {
        let id = self.open(flow, vantage, client);
        let stage = std::mem::replace(&mut flow.stage, Stage::Followed { id, client, ended: [false; 2] });
        let Stage::Undecided(held) = stage else { return };
        for (from, piece, time) in held.pieces {
            self.piece(flow, from, piece, time);
        }
    }

    fn open(&mut self, flow: &Flow, vantage: Vantage, client: usize) -> ConnectionId {
        self.connections += 1;
        let id = ConnectionId(self.connections);
        let ends = if client == 0 { flow.ends } else { flow.ends.back() };
        let (client, server) = (ends.source(), ends.destination());
        self.event(id, flow.began, EventKind::Opened { client, server, vantage });
        id
    }

    fn event(&mut self, connection: ConnectionId, time: Timestamp, kind: EventKind) {
        if let EventKind::Chunk { bytes, .. } = &kind {
            self.weight += bytes.len();
        }
        self.events.push(Event { connection, time, kind });
    }
}

impl Flow {
    fn new(segment: &Segment<'_>, time: Timestamp) -> Self {
        Self {
            ends: segment.ends,
            streams: [Stream::default(), Stream::default()],
            opener: None,
            began: time,
            stage: Stage::Undecided(Held::default()),
        }
    }

    /// Whether `syn` is the first packet of this connection, once more.
    fn begins_with(&self, syn: &Segment<'_>) -> bool {
        let from = usize::from(self.ends != syn.ends);
        matches!(&self.stage, Stage::Undecided(held) if held.pieces.is_empty())
            && self.streams[from].begins_with(syn.sequence)
    }
}

impl Held {
    /// The first bytes that one end sent, at most four.
    fn start(&self, end: usize) -> Vec<u8> {
        let data = self.pieces.iter().filter(|(from, ..)| *from == end).map_while(|(_, piece, _)| match piece {
            Piece::Data(bytes) => Some(bytes),
            Piece::Gap(_) | Piece::Fin => None,
        });
        data.flatten().take(REQUEST.len()).copied().collect()
    }

    fn begins_with_gap(&self, end: usize) -> bool {
        self.pieces.iter().find(|(from, ..)| *from == end).is_some_and(|(_, piece, _)| matches!(piece, Piece::Gap(_)))
    }

    /// What one end sent since the last gap.
    fn segments(&self, end: usize) -> Vec<&[u8]> {
        let mut segments = Vec::new();
        for (_, piece, _) in self.pieces.iter().filter(|(from, ..)| *from == end) {
            match piece {
                Piece::Data(bytes) => segments.push(&bytes[..]),
                Piece::Gap(_) => segments.clear(),
                Piece::Fin => {}
            }
        }
        segments
    }

    /// Lets go of the oldest half where there is too much.
    fn shorten(&mut self) {
        if self.bytes > MAX_HELD || self.pieces.len() > resync::MAX_SEGMENTS {
            for (_, piece, _) in self.pieces.drain(..self.pieces.len().div_ceil(2)) {
                if let Piece::Data(bytes) = piece {
                    self.bytes -= bytes.len();
                }
            }
            // that something was sent is not forgotten
            self.bytes = self.bytes.max(1);
        }
    }
}
