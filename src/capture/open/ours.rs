//! Our own recordings: the events that were recorded, out of the packets that were made of them.

use std::sync::Arc;

use super::link::{self, Segment};
use super::packets::{Packet, Packets, Plain};
use super::senders::Senders;
use crate::capture::direction::{Before, Chunk};
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
    senders: Senders,
    connections: Vec<Known>,
    /// How many frames are gone that came before.
    gone: u64,
    section: u32,
    pending: Option<Pending>,
    /// Bytes that are not in the file.
    pub(super) missing: u64,
}

/// A connection that was opened.
#[derive(Debug)]
struct Known {
    /// The next sequence number of each side.
    next: [u32; 2],
    id: ConnectionId,
    /// Where it is derived from, until it is over.
    place: usize,
}

/// A chunk of which more may come: it was written as several packets.
#[derive(Debug)]
struct Pending {
    connection: usize,
    from: Side,
    time: Timestamp,
    bytes: Vec<u8>,
    blocks: Vec<u64>,
    notes: Vec<Note>,
}

/// What the comments of a packet say.
#[derive(Default)]
struct Told {
    number: Option<ConnectionId>,
    vantage: Vantage,
    notes: Vec<Note>,
    resumed: Vec<(Side, Before)>,
    /// Before what the packet itself tells of.
    events: Vec<EventKind>,
    /// After it.
    closed: Option<EventKind>,
}

impl Ours {
    pub(super) fn new(deriver: Deriver) -> Self {
        let (senders, connections) = (Senders::new(), Vec::new());
        Self { deriver, senders, connections, gone: 0, section: 1, pending: None, missing: 0 }
    }

    /// Takes the next packets at hand, `most` at most, as long as each is what nearly all are: bytes of a connection that goes
    /// on where it was, and nothing else to be said. Returned is how many.
    pub(super) fn usual(&mut self, packets: &mut Packets, most: usize) -> usize {
        if self.pending.is_some() || self.gone < packets.gone[0] || self.section != packets.sections {
            return 0;
        }
        let Some(mut at_hand) = packets.at_hand() else { return 0 };
        let mut taken = 0;
        while taken < most
            && let Some(packet) = at_hand.peek()
            && match link::usual_segment(packet.link, packet.data) {
                Some(segment) => self.follows(&segment, at_hand.at, Timestamp(packet.time)),
                None => self.follows_otherwise(&packet, at_hand.at),
            }
        {
            at_hand.pass(&packet);
            taken += 1;
        }
        let (at, time) = (at_hand.at, at_hand.time);
        packets.pass(at, time);
        taken
    }

    /// Takes a segment, the packet of the block at `block`, if it follows on what came before; else nothing has happened.
    #[inline]
    fn follows(&mut self, segment: &Segment<'_>, block: u64, time: Timestamp) -> bool {
        if !segment.is_data() || segment.payload.len() >= MAX_SEGMENT {
            return false;
        }
        let Some((connection, from)) = self.senders.get(segment.ends) else { return false };
        let Known { next, id, place } = &mut self.connections[connection];
        if (next[from], next[1 - from]) != (segment.sequence, segment.acknowledged) {
            return false;
        }
        next[from] = segment.sequence.wrapping_add(segment.payload.len() as u32);
        let chunk = Chunk { bytes: segment.payload, start: 0, blocks: &[block], notes: &[], time };
        self.deriver.chunk_at(*place, *id, Side::BOTH[from], chunk);
        true
    }

    /// The same, of a packet that is otherwise. Where both came to the same place, what was found would be laid out in memory.
    #[cold]
    fn follows_otherwise(&mut self, packet: &Plain<'_>, block: u64) -> bool {
        let segment = link::segment(packet.link, packet.data);
        segment.is_some_and(|segment| self.follows(&segment, block, Timestamp(packet.time)))
    }

    /// Takes the next packet.
    pub(super) fn packet(&mut self, packets: &Packets, packet: &Packet) {
        let has_comments = packet.has_options();
        if has_comments {
            let marks = packets.comments(packet).filter_map(|comment| Mark::read(std::str::from_utf8(comment).ok()?));
            marks.for_each(|(frame, text)| self.deriver.mark(frame, text));
        }
        let Some(segment) = link::segment(packet.link, packets.data(packet)) else { return };
        let [frames, connections] = packets.gone;
        if frames > self.gone {
            self.gone = frames;
            self.deriver.gone(frames, connections);
        }
        let time = Timestamp(packet.time);
        let told = if has_comments { Told::read(packets.comments(packet)) } else { Told::default() };
        if self.section != packets.sections {
            // another recording, appended to the first one
            self.section = packets.sections;
            self.senders.clear();
        }
        if segment.syn() && !segment.ack() {
            self.settle();
            self.open(&segment, time, told.vantage, told.number);
            return;
        }
        let Some((connection, from)) = self.senders.get(segment.ends) else {
            // of a connection whose beginning could not be recorded
            self.missing += segment.payload.len() as u64;
            return;
        };
        let from = Side::BOTH[from];
        if self.pending.is_some() && !self.goes_on(connection, from, time, &segment) {
            self.settle();
        }
        if segment.syn() {
            self.connections[connection].next[from as usize] = segment.sequence.wrapping_add(1);
            return;
        }
        // every packet says how far both sides have come, also where what they sent could not be written
        self.reach(connection, from, segment.sequence, time);
        self.reach(connection, from.other(), segment.acknowledged, time);
        let counted = segment.payload.len() as u32 + u32::from(segment.fin());
        self.connections[connection].next[from as usize] = segment.sequence.wrapping_add(counted);
        if !told.events.is_empty() {
            self.settle();
        }
        for kind in told.events {
            self.event(connection, time, kind);
        }
        for (from, before) in told.resumed {
            self.deriver.resume(self.connections[connection].id, from, &before);
        }
        if !segment.payload.is_empty() {
            self.chunk(connection, from, time, &segment, packet.block, told.notes);
        }
        if segment.fin() {
            self.event(connection, time, EventKind::Ended { from, how: SocketEnd::Fin });
        } else if segment.rst() && told.closed.is_none() {
            self.event(connection, time, EventKind::Ended { from, how: SocketEnd::Reset });
        }
        if let Some(kind) = told.closed {
            self.event(connection, time, kind);
            self.senders.remove(segment.ends);
        }
    }

    /// The chunk of which more might have come is whole.
    pub(super) fn settle(&mut self) {
        if let Some(Pending { connection, from, time, bytes, blocks, notes }) = self.pending.take() {
            let chunk = Chunk { bytes: &bytes, start: 0, blocks: &blocks, notes: &notes, time };
            self.deriver.chunk(self.connections[connection].id, from, chunk);
        }
    }

    /// A side has come as far as `sequence`; what it sent until there and is not in the file is missing.
    fn reach(&mut self, connection: usize, from: Side, sequence: u32, time: Timestamp) {
        let next = &mut self.connections[connection].next[from as usize];
        let gap = sequence.wrapping_sub(*next);
        if gap != 0 && gap < 1 << 31 {
            *next = sequence;
            self.missing += u64::from(gap);
            self.event(connection, time, EventKind::Gap { from, bytes: gap.into() });
        }
    }

    fn open(&mut self, segment: &Segment<'_>, time: Timestamp, vantage: Vantage, number: Option<ConnectionId>) {
        let (client, server) = (segment.ends.source(), segment.ends.destination());
        let connection = self.connections.len();
        let next = self.connections.last().map_or(ConnectionId(1), |last| ConnectionId(last.id.0.saturating_add(1)));
        // those that are gone had numbers, too
        let id = number.filter(|number| self.gone > 0 && *number > next).unwrap_or(next);
        self.deriver.event(&Event { connection: id, time, kind: EventKind::Opened { client, server, vantage } }, &[]);
        // it has just been opened
        let place = self.deriver.place(id).unwrap_or_default();
        self.connections.push(Known { next: [segment.sequence.wrapping_add(1), 0], id, place });
        self.senders.insert(segment.ends, connection);
    }

    /// Whether a packet belongs to the same chunk as the last one.
    fn goes_on(&self, connection: usize, from: Side, time: Timestamp, segment: &Segment<'_>) -> bool {
        let this = (connection, from, time);
        !segment.payload.is_empty()
            && segment.sequence == self.connections[connection].next[from as usize]
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
        if self.pending.is_none() && segment.payload.len() != MAX_SEGMENT {
            // nearly every chunk is one packet: it is derived from where it stands
            let chunk = Chunk { bytes: segment.payload, start: 0, blocks: &[block], notes: &notes, time };
            self.deriver.chunk(self.connections[connection].id, from, chunk);
            return;
        }
        let pending = self.pending.get_or_insert_with(|| Pending {
            connection,
            from,
            time,
            bytes: Vec::new(),
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
        let id = self.connections[connection].id;
        self.deriver.event(&Event { connection: id, time, kind }, &[]);
    }
}

impl Told {
    fn read<'a>(comments: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut told = Self::default();
        for remark in comments.filter_map(Remark::parse) {
            let event = match remark {
                Remark::Connection { number, vantage } => {
                    (told.vantage, told.number) = (vantage, Some(ConnectionId(number)));
                    continue;
                }
                Remark::Gone { from, before } => {
                    told.resumed.push((from, before));
                    continue;
                }
                Remark::Origin { origin, offset } => {
                    told.notes.push(Note { offset, origin });
                    continue;
                }
                Remark::Closed { cause } => {
                    told.closed = Some(EventKind::Closed { cause });
                    continue;
                }
                Remark::Tunnel(tunnel) => EventKind::Tunnelled(Arc::new(tunnel)),
                Remark::Unopened(unopened) => EventKind::Unopened(Arc::new(unopened)),
                Remark::SentOn(sent) => EventKind::SentOn(Arc::new(sent)),
                Remark::NotSentOn(why) => EventKind::NotSentOn(why.into()),
                Remark::Tls { with, tls } => EventKind::Tls { with, tls: Arc::new(tls) },
                Remark::NoTls(why) => EventKind::NoTls(why.into()),
                Remark::Truncated { from } => EventKind::Truncated { from },
                Remark::Delayed { from, delay } => EventKind::Delayed { from, delay },
            };
            told.events.push(event);
        }
        told
    }
}
