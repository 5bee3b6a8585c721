//! Captures that other programs took: the WebSockets among the TCP connections in them.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::link::Segment;
use super::reassembly::{Piece, Stream};
use crate::capture::Capture;
use crate::capture::event::{ConnectionId, Event, EventKind, SocketEnd, Timestamp, Vantage};
use crate::capture::file::CaptureWriter;
use crate::capture::recorder::Deriver;
use crate::capture::resync;
use crate::wire::Side;

/// Makes a recording of a foreign capture.
pub(super) struct Foreign {
    deriver: Deriver,
    writer: CaptureWriter,
    flows: HashMap<(SocketAddr, SocketAddr), Flow>,
    events: Vec<Event>,
    /// Bytes of the events.
    weight: usize,
    connections: u32,
    /// TCP connections that are encrypted, or something else.
    pub(super) encrypted: u64,
    pub(super) others: u64,
    latest: Timestamp,
}

/// A TCP connection.
struct Flow {
    ends: [SocketAddr; 2],
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
    pub(super) fn new(deriver: Deriver, writer: CaptureWriter) -> Self {
        let latest = Timestamp::default();
        let (flows, events) = (HashMap::new(), Vec::new());
        Self { deriver, writer, flows, events, weight: 0, connections: 0, encrypted: 0, others: 0, latest }
    }

    /// Takes the next segment.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, time: Timestamp) {
        self.latest = self.latest.max(time);
        let (source, destination) = (segment.source, segment.destination);
        let key = (source.min(destination), source.max(destination));
        let begins = segment.syn() && !segment.ack();
        let mut flow = match self.flows.remove(&key) {
            Some(old) if begins && !old.begins_with(segment) => {
                // the same addresses are used again
                self.finish_flow(old, true);
                Flow::new(segment, time)
            }
            Some(flow) => flow,
            None if segment.syn() || !segment.payload.is_empty() => Flow::new(segment, time),
            None => return,
        };
        let from = usize::from(flow.ends[0] != source);
        if segment.syn() {
            flow.opener = Some(if segment.ack() { 1 - from } else { from });
        }
        let mut pieces = Vec::new();
        flow.streams[from].segment(segment, &mut pieces);
        if segment.rst() {
            flow.streams[from].finish(&mut pieces);
        }
        for piece in pieces {
            self.piece(&mut flow, from, piece, time);
        }
        if segment.rst() {
            self.reset(&mut flow, from, time);
        }
        self.flows.insert(key, flow);
    }

    /// Whether it is time for [`Foreign::flush`].
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= BATCH || self.weight >= BATCH_BYTES
    }

    /// Records what was found.
    pub(super) fn flush(&mut self, capture: &Capture) {
        self.deriver.batch(&mut self.writer, self.events.iter());
        capture.update(|index| self.deriver.apply(index, self.writer.length(), self.writer.missing()));
        self.events.clear();
        self.weight = 0;
    }

    /// The capture is at its end: what is missing does not come any more.
    pub(super) fn finish(&mut self, capture: &Capture) {
        let mut flows: Vec<_> = self.flows.drain().map(|(_, flow)| flow).collect();
        flows.sort_by_key(|flow| (flow.began, flow.ends));
        for flow in flows {
            self.finish_flow(flow, false);
            if self.is_full() {
                self.flush(capture);
            }
        }
        self.flush(capture);
    }

    fn finish_flow(&mut self, mut flow: Flow, is_over: bool) {
        let time = self.latest;
        for from in 0..2 {
            let mut pieces = Vec::new();
            flow.streams[from].finish(&mut pieces);
            for piece in pieces {
                self.piece(&mut flow, from, piece, time);
            }
        }
        match &flow.stage {
            Stage::Followed { id, .. } if is_over => self.event(*id, time, EventKind::Closed { cause: None }),
            Stage::Undecided(held) if flow.opener.is_none() && held.bytes > 0 => {
                // begun before the capture, and nothing in it can be read: that is shown
                let id = self.open(&flow, Vantage::Late, 0);
                self.event(id, time, EventKind::Closed { cause: None });
            }
            Stage::Undecided(held) if held.bytes > 0 => self.others += 1,
            _ => {}
        }
    }

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
        let (client, server) = (flow.ends[client], flow.ends[1 - client]);
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
            ends: [segment.source, segment.destination],
            streams: [Stream::default(), Stream::default()],
            opener: None,
            began: time,
            stage: Stage::Undecided(Held::default()),
        }
    }

    /// Whether `syn` is the first packet of this connection, once more.
    fn begins_with(&self, syn: &Segment<'_>) -> bool {
        let from = usize::from(self.ends[0] != syn.source);
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
