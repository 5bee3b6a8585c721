//! A capture file again: the recording itself, or a conversation around the frames that were chosen and the compressed
//! messages that those refer to.

use std::collections::HashMap;
use std::io::Write;

use bytes::Bytes;

use super::needed::{Needed, with_needed};
use super::{Selection, Stop, Walk};
use crate::capture::{
    Connection, ConnectionId, Event, EventKind, FrameEntry, GoneBefore, Item, Mark, Note, Origin, PacketWriter,
    Timestamp,
};
use crate::wire::Side;

/// What is copied or read at once.
const PIECE: usize = 1 << 20;

/// Writes the recording as it is where all of it was chosen: with every read at its time, and what is no WebSocket.
pub(super) fn write(walk: &mut Walk<'_>, out: &mut dyn Write) -> Result<(), Stop> {
    let chosen = walk.connections();
    let is_chosen = |id| chosen.as_ref().is_none_or(|chosen| chosen.contains(&id));
    if walk.capture.index().connections().iter().any(|one| one.is_archived() && is_chosen(one.id)) {
        return Err(Stop::Refused(
            "a HAR does not say what was on the wire, so it cannot become a capture file; har, jsonl and text hold what it \
             says",
        ));
    }
    if *walk.selection == Selection::All && copy(walk, out)? {
        return Ok(());
    }
    // whoever opens the file has only what is in it to inflate messages with
    let Needed { selection, gone } = with_needed(walk)?;
    let mut chosen = Walk::new(walk.capture, &selection, walk.progress);
    chosen.last = walk.last;
    let result = write_chosen(&mut chosen, &gone, out);
    walk.written = chosen.written;
    result
}

fn write_chosen(
    walk: &mut Walk<'_>,
    gone: &HashMap<ConnectionId, [GoneBefore; 2]>,
    out: &mut dyn Write,
) -> Result<(), Stop> {
    let mut packets = Packets::start(out)?;
    let capture = walk.capture;
    let mut exported = 0;
    walk.each(|item, chosen| match item {
        Item::Opened(connection) | Item::Refused(connection) => {
            packets.event(
                connection,
                connection.began,
                EventKind::Opened { client: connection.client, server: connection.server, vantage: connection.vantage },
            )?;
            for with in Side::BOTH {
                if let Some(tls) = connection.tls[with as usize].clone() {
                    packets.event(connection, connection.began, EventKind::Tls { with, tls })?;
                }
            }
            if let Some(why) = connection.no_tls.clone() {
                packets.event(connection, connection.began, EventKind::NoTls(why))?;
            }
            for (side, time) in
                [(Side::Client, connection.began), (Side::Server, connection.answered.unwrap_or(connection.began))]
            {
                if let Some(head) = capture.head(connection.id, side)? {
                    packets.chunk(connection, time, side, head, Origin::Peer)?;
                }
            }
            if let Some(before) = gone.get(&connection.id) {
                packets.gone(connection, *before)?;
            }
            if matches!(item, Item::Refused(_)) { packets.end(connection) } else { Ok(()) }
        }
        Item::Frame(n, entry, _) if chosen => {
            exported += 1;
            let (connection, mark) = {
                let index = capture.index();
                (index.connection(entry.connection()).cloned(), index.mark(*n).map(str::to_owned))
            };
            // whoever has frames has been added before
            let Some(connection) = connection else { return Ok(()) };
            let mut at = 0;
            loop {
                let bytes = capture.frame_bytes(entry, at..at.saturating_add(PIECE as u64))?;
                let read = bytes.len();
                if read > 0 {
                    let origin = if at == 0 { entry.origin() } else { Origin::Peer };
                    packets.chunk(&connection, entry.time(), entry.from(), bytes, origin)?;
                }
                at += read as u64;
                if read < PIECE {
                    break;
                }
            }
            match mark {
                Some(text) => packets.mark(&connection, entry, exported, text),
                None => Ok(()),
            }
        }
        Item::Frame(..) | Item::Exchanged(..) | Item::Gone(_) => Ok(()),
        Item::Closed(connection) => packets.end(connection),
    })
}

/// Copies the capture file if it is one of ours.
fn copy(walk: &mut Walk<'_>, out: &mut dyn Write) -> Result<bool, Stop> {
    let (length, mut holes) = {
        let index = walk.capture.index();
        (index.totals().file_length, index.holes().to_vec())
    };
    let reader = walk.capture.reader();
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        while holes.first().is_some_and(|hole| hole.start <= at) {
            at = at.max(holes.remove(0).end);
        }
        let end = holes.first().map_or(length, |hole| hole.start.min(length));
        let want = buffer.len().min(end.saturating_sub(at) as usize);
        let got = reader.read_file(&mut buffer[..want], at)?;
        if at == 0 && !is_ours(&buffer[..got]) {
            return Ok(false);
        }
        if got == 0 {
            break;
        }
        out.write_all(&buffer[..got])?;
        at += got as u64;
        // what goes meanwhile moves what stays
        walk.is_there(walk.last)?;
        walk.progress.is_at((walk.last as f64 * (at as f64 / length as f64)) as u64)?;
    }
    walk.written = walk.last - walk.gone;
    Ok(length > 0)
}

/// Whether a file that begins so was written by this program: the option that names the writer stands in its first block.
fn is_ours(start: &[u8]) -> bool {
    let first = start.get(4..8).and_then(|length| Some(u32::from_le_bytes(length.try_into().ok()?) as usize));
    let block = first.and_then(|length| start.get(..length)).unwrap_or_default();
    memchr::memmem::find(block, b"wsinspect ").is_some() && block.starts_with(&[0x0A, 0x0D, 0x0D, 0x0A])
}

/// Writes packets as they come.
struct Packets<'a> {
    writer: PacketWriter,
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl<'a> Packets<'a> {
    fn start(out: &'a mut dyn Write) -> Result<Self, Stop> {
        let mut buffer = Vec::new();
        let writer = PacketWriter::start(&mut buffer, "frames chosen from a recording");
        out.write_all(&buffer)?;
        Ok(Self { writer, out, buffer })
    }

    fn event(&mut self, connection: &Connection, time: Timestamp, kind: EventKind) -> Result<(), Stop> {
        self.buffer.clear();
        let event = Event { connection: connection.id, time, kind };
        // nobody reads this file back by position
        self.writer.push(&event, 0, &mut self.buffer, &mut Vec::new());
        Ok(self.out.write_all(&self.buffer)?)
    }

    fn gone(&mut self, connection: &Connection, before: [GoneBefore; 2]) -> Result<(), Stop> {
        self.buffer.clear();
        let time = connection.answered.unwrap_or(connection.began);
        self.writer.push_gone(connection.id, time, before, &mut self.buffer);
        Ok(self.out.write_all(&self.buffer)?)
    }

    fn chunk(
        &mut self,
        connection: &Connection,
        time: Timestamp,
        from: Side,
        bytes: Vec<u8>,
        origin: Origin,
    ) -> Result<(), Stop> {
        let notes = if origin == Origin::Peer { Vec::new() } else { vec![Note { offset: 0, origin }] };
        self.event(connection, time, EventKind::Chunk { from, bytes: Bytes::from(bytes), notes })
    }

    /// The frame has another number where only some are exported.
    fn mark(&mut self, connection: &Connection, entry: &FrameEntry, frame: u64, text: String) -> Result<(), Stop> {
        let (from, to) = match entry.from() {
            Side::Client => (connection.client, connection.server),
            Side::Server => (connection.server, connection.client),
        };
        self.event(connection, entry.time(), EventKind::Mark(Mark { frame, text: Some(text), from, to }))
    }

    fn end(&mut self, connection: &Connection) -> Result<(), Stop> {
        let time = connection.ended.unwrap_or(connection.began);
        let first = connection.socket_ended_first.unwrap_or(Side::Client);
        for from in [first, first.other()] {
            if connection.truncated[from as usize] {
                self.event(connection, time, EventKind::Truncated { from })?;
            }
            if let Some(how) = connection.socket_ends[from as usize] {
                self.event(connection, time, EventKind::Ended { from, how })?;
            }
        }
        self.event(connection, time, EventKind::Closed { cause: connection.cause })
    }
}
