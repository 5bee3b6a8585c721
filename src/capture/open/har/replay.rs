//! What a HAR holds, put in order, as events.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::log::{Connection, Log};
use super::message::Frame;
use super::spool::Place;
use crate::capture::archived::nowhere;
use crate::capture::event::{ConnectionId, Event, EventKind, Note, Timestamp};
use crate::capture::mark::Mark;
use crate::wire::{Side, encode_header, mask};

/// What happens next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Opens,
    Answered,
    Frame(usize),
    Ends,
}

/// Puts the events of a log in order.
pub(super) struct Replay {
    log: Log,
    /// When, what, of which connection; the last one first.
    steps: Vec<(u64, Step, u32)>,
    /// Numbers of the connections that are open, or were.
    ids: Vec<Option<ConnectionId>>,
    opened: u32,
    frames: u64,
}

impl Replay {
    pub(super) fn new(mut log: Log) -> Self {
        // numbers tell the order better than times; only if all have one do they mean the same
        if log.frames.iter().all(|frame| frame.n > 0) {
            log.frames.sort_by_key(|frame| frame.n);
        }
        let mut first = vec![u64::MAX; log.connections.len()];
        let mut last = vec![0; log.connections.len()];
        let mut steps: Vec<_> = Vec::with_capacity(log.frames.len() + 3 * log.connections.len());
        let is_ours = log.frames.first().is_some_and(|frame| frame.n > 0);
        let mut latest = 0;
        for (i, frame) in log.frames.iter().enumerate() {
            let connection = frame.connection as usize;
            // what stands later in the list did not come earlier, whatever the clock said
            let at = frame.time.max(if is_ours { latest } else { last[connection] });
            latest = latest.max(at);
            first[connection] = first[connection].min(at);
            last[connection] = at;
            steps.push((at, Step::Frame(i), frame.connection));
        }
        for (i, connection) in log.connections.iter().enumerate() {
            let began = connection.began.min(first[i]);
            steps.push((began, Step::Opens, i as u32));
            steps.push((connection.answered.clamp(began, first[i]), Step::Answered, i as u32));
            if let Some(ended) = connection.ended {
                steps.push((ended.max(last[i]).max(began), Step::Ends, i as u32));
            }
        }
        steps.sort_unstable_by(|one, other| other.cmp(one));
        Self { ids: vec![None; log.connections.len()], log, steps, opened: 0, frames: 0 }
    }

    /// The events of the next step; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<Event>>> {
        let Some((_, step, connection)) = self.steps.pop() else { return Ok(None) };
        let events = match step {
            Step::Opens => self.open(connection),
            Step::Answered => self.answer(connection),
            Step::Frame(i) => self.frame(i),
            Step::Ends => Ok(self.end(connection)),
        };
        events.map(Some)
    }

    fn connection(&self, i: u32) -> (ConnectionId, &Connection) {
        // a connection opens before anything else happens on it
        (self.ids[i as usize].unwrap_or(ConnectionId(0)), &self.log.connections[i as usize])
    }

    fn open(&mut self, i: u32) -> io::Result<Vec<Event>> {
        self.opened += 1;
        let id = ConnectionId(self.opened);
        self.ids[i as usize] = Some(id);
        let (_, connection) = self.connection(i);
        let address = |known: Option<_>, side| known.unwrap_or_else(|| nowhere(id, side));
        let opened = EventKind::Opened {
            client: address(connection.client, Side::Client),
            server: address(connection.server, Side::Server),
            vantage: connection.vantage,
        };
        let head = self.head(connection.request, Side::Client)?;
        Ok(events(id, connection.began, [opened].into_iter().chain(head)))
    }

    fn answer(&mut self, i: u32) -> io::Result<Vec<Event>> {
        let (id, connection) = self.connection(i);
        Ok(events(id, connection.answered, self.head(connection.response, Side::Server)?))
    }

    fn head(&self, place: Option<Place>, from: Side) -> io::Result<Option<EventKind>> {
        let bytes = place.map(|place| self.log.spool.get(place)).transpose()?;
        Ok(bytes.map(|bytes| EventKind::Chunk { from, bytes: bytes.into(), notes: Vec::new() }))
    }

    fn frame(&mut self, i: usize) -> io::Result<Vec<Event>> {
        self.frames += 1;
        let number = self.frames;
        let Frame { from, header, payload, chunks, origin, time, connection, .. } = self.log.frames[i];
        let said = self.log.frames[i].mark.take();
        let (id, connection) = self.connection(connection);
        let mut bytes = Vec::with_capacity(header.len() + payload.length as usize);
        encode_header(&header, &mut bytes);
        bytes.extend(self.log.spool.get(payload)?);
        if let Some(key) = header.masking_key {
            mask(&mut bytes[header.len()..], key, 0);
        }
        // how many reads there were is told, and not where they ended
        let reads = usize::from(chunks.max(1)).min(bytes.len());
        let mut bytes = Bytes::from(bytes);
        let mut kinds = Vec::with_capacity(reads);
        for left in (1..=reads).rev() {
            let notes = if left == reads { vec![Note { offset: 0, origin }] } else { Vec::new() };
            kinds.push(EventKind::Chunk { from, bytes: bytes.split_to(bytes.len() / left), notes });
        }
        let mark = said.and_then(|said| {
            let ends = (connection.client?, connection.server?);
            let (from, to) = if from == Side::Client { ends } else { (ends.1, ends.0) };
            Some(EventKind::Mark(Mark { frame: number, text: Some(said.into_string()), from, to }))
        });
        Ok(events(id, time, kinds.into_iter().chain(mark)))
    }

    fn end(&mut self, i: u32) -> Vec<Event> {
        let (id, connection) = self.connection(i);
        let account = connection.account.clone().map(|account| EventKind::Account(Arc::new(account)));
        let ends = connection.ends.iter().map(|&(from, how)| EventKind::Ended { from, how });
        let closed = EventKind::Closed { cause: connection.cause };
        let time = connection.ended.unwrap_or(connection.began);
        events(id, time, account.into_iter().chain(ends).chain([closed]))
    }
}

fn events(connection: ConnectionId, time: u64, kinds: impl IntoIterator<Item = EventKind>) -> Vec<Event> {
    kinds.into_iter().map(|kind| Event { connection, time: Timestamp(time), kind }).collect()
}
