//! Our own recordings: the events that were recorded, out of the packets that were made of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;

use super::link::{self, Segment};
use super::packets::{Packet, Packets};
use crate::capture::event::{ConnectionId, Event, EventKind, Note, SocketEnd, Timestamp, Vantage};
use crate::capture::mark::Mark;
use crate::capture::recorder::Deriver;
use crate::capture::remark::Remark;
use crate::capture::tcp::MAX_SEGMENT;
use crate::wire::Side;

/// Reads one of our recordings.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) deriver: Deriver,
    /// Whose packets go from one address to another.
    senders: HashMap<(SocketAddr, SocketAddr), (usize, Side)>,
    /// The next sequence number of each side, and the connection's number.
    connections: Vec<([u32; 2], ConnectionId)>,
    /// How many frames are gone that came before.
    gone: u64,
    section: u32,
    pending: Option<Pending>,
    /// Bytes that are not in the file.
    pub(super) missing: u64,
}

/// A chunk of which more may come: it was written as several packets.
#[derive(Debug)]
struct Pending {
    connection: usize,
    from: Side,
    time: Timestamp,
    bytes: BytesMut,
    blocks: Vec<u64>,
    notes: Vec<Note>,
}

impl Ours {
    pub(super) fn new(deriver: Deriver) -> Self {
        let (senders, connections) = (HashMap::new(), Vec::new());
        Self { deriver, senders, connections, gone: 0, section: 1, pending: None, missing: 0 }
    }

    /// Takes the next packet.
    pub(super) fn packet(&mut self, packets: &Packets, packet: &Packet) {
        for (frame, text) in
            packets.comments(packet).filter_map(|comment| Mark::read(std::str::from_utf8(comment).ok()?))
        {
            self.deriver.mark(frame, text);
        }
        let Some(segment) = link::segment(packet.link, packets.data(packet)) else { return };
        let [frames, connections] = packets.gone;
        if frames > self.gone {
            self.gone = frames;
            self.deriver.gone(frames, connections);
        }
        let time = Timestamp(packet.time);
        let mut resumed = Vec::new();
        let mut number = None;
        let mut notes = Vec::new();
        let mut closed = None;
        let mut vantage = Vantage::Beside;
        let mut told = Vec::new();
        for remark in packets.comments(packet).filter_map(Remark::parse) {
            match remark {
                Remark::Connection { number: numbered, vantage: seen_from } => {
                    (vantage, number) = (seen_from, Some(ConnectionId(numbered)));
                }
                Remark::Gone { from, before } => resumed.push((from, before)),
                Remark::Origin { origin, offset } => notes.push(Note { offset, origin }),
                Remark::Tunnel(tunnel) => told.push(EventKind::Tunnelled(Arc::new(tunnel))),
                Remark::Unopened(unopened) => told.push(EventKind::Unopened(Arc::new(unopened))),
                Remark::SentOn(sent) => told.push(EventKind::SentOn(Arc::new(sent))),
                Remark::NotSentOn(why) => told.push(EventKind::NotSentOn(why.into())),
                Remark::Tls { with, tls } => told.push(EventKind::Tls { with, tls: Arc::new(tls) }),
                Remark::NoTls(why) => told.push(EventKind::NoTls(why.into())),
                Remark::Truncated { from } => told.push(EventKind::Truncated { from }),
                Remark::Delayed { from, delay } => told.push(EventKind::Delayed { from, delay }),
                Remark::Closed { cause } => closed = Some(EventKind::Closed { cause }),
            }
        }
        if self.section != packets.sections {
            // another recording, appended to the first one
            self.section = packets.sections;
            self.senders.clear();
        }
        if segment.syn() && !segment.ack() {
            self.settle();
            self.open(&segment, time, vantage, number);
            return;
        }
        let Some(&(connection, from)) = self.senders.get(&(segment.source, segment.destination)) else {
            // of a connection whose beginning could not be recorded
            self.missing += segment.payload.len() as u64;
            return;
        };
        if self.pending.is_some() && !self.goes_on(connection, from, time, &segment) {
            self.settle();
        }
        if segment.syn() {
            self.connections[connection].0[from as usize] = segment.sequence.wrapping_add(1);
            return;
        }
        // every packet says how far both sides have come, also where what they sent could not be written
        self.reach(connection, from, segment.sequence, time);
        self.reach(connection, from.other(), segment.acknowledged, time);
        let counted = segment.payload.len() as u32 + u32::from(segment.fin());
        self.connections[connection].0[from as usize] = segment.sequence.wrapping_add(counted);
        if !told.is_empty() {
            self.settle();
        }
        for kind in told {
            self.event(connection, time, kind);
        }
        for (from, before) in resumed {
            self.deriver.resume(self.connections[connection].1, from, &before);
        }
        if !segment.payload.is_empty() {
            self.chunk(connection, from, time, &segment, packet.block, notes);
        }
        if segment.fin() {
            self.event(connection, time, EventKind::Ended { from, how: SocketEnd::Fin });
        } else if segment.rst() && closed.is_none() {
            self.event(connection, time, EventKind::Ended { from, how: SocketEnd::Reset });
        }
        if let Some(kind) = closed {
            self.event(connection, time, kind);
            self.senders.remove(&(segment.source, segment.destination));
            self.senders.remove(&(segment.destination, segment.source));
        }
    }

    /// The chunk of which more might have come is whole.
    pub(super) fn settle(&mut self) {
        if let Some(Pending { connection, from, time, bytes, blocks, notes }) = self.pending.take() {
            let kind = EventKind::Chunk { from, bytes: bytes.freeze(), notes };
            let id = self.connections[connection].1;
            self.deriver.event(&Event { connection: id, time, kind }, &blocks);
        }
    }

    /// A side has come as far as `sequence`; what it sent until there and is not in the file is missing.
    fn reach(&mut self, connection: usize, from: Side, sequence: u32, time: Timestamp) {
        let next = &mut self.connections[connection].0[from as usize];
        let gap = sequence.wrapping_sub(*next);
        if gap != 0 && gap < 1 << 31 {
            *next = sequence;
            self.missing += u64::from(gap);
            self.event(connection, time, EventKind::Gap { from, bytes: gap.into() });
        }
    }

    fn open(&mut self, segment: &Segment<'_>, time: Timestamp, vantage: Vantage, number: Option<ConnectionId>) {
        let (client, server) = (segment.source, segment.destination);
        let connection = self.connections.len();
        let next = self.connections.last().map_or(ConnectionId(1), |(_, last)| ConnectionId(last.0.saturating_add(1)));
        // those that are gone had numbers, too
        let id = number.filter(|number| self.gone > 0 && *number > next).unwrap_or(next);
        self.connections.push(([segment.sequence.wrapping_add(1), 0], id));
        self.senders.insert((client, server), (connection, Side::Client));
        self.senders.insert((server, client), (connection, Side::Server));
        self.event(connection, time, EventKind::Opened { client, server, vantage });
    }

    /// Whether a packet belongs to the same chunk as the last one.
    fn goes_on(&self, connection: usize, from: Side, time: Timestamp, segment: &Segment<'_>) -> bool {
        let this = (connection, from, time);
        !segment.payload.is_empty()
            && segment.sequence == self.connections[connection].0[from as usize]
            && self.pending.as_ref().is_some_and(|last| (last.connection, last.from, last.time) == this)
    }

    fn chunk(
        &mut self,
        connection: usize,
        from: Side,
        time: Timestamp,
        segment: &Segment<'_>,
        block: u64,
        mut notes: Vec<Note>,
    ) {
        let pending = self.pending.get_or_insert_with(|| Pending {
            connection,
            from,
            time,
            bytes: BytesMut::new(),
            blocks: Vec::with_capacity(1),
            notes: Vec::new(),
        });
        for note in &mut notes {
            note.offset += pending.bytes.len();
        }
        pending.notes.append(&mut notes);
        pending.bytes.extend_from_slice(segment.payload);
        pending.blocks.push(block);
        if segment.payload.len() != MAX_SEGMENT {
            self.settle();
        }
    }

    fn event(&mut self, connection: usize, time: Timestamp, kind: EventKind) {
        let id = self.connections[connection].1;
        self.deriver.event(&Event { connection: id, time, kind }, &[]);
    }
}
