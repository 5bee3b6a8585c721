//! Payloads of many frames, for those who search them: the file is read in large pieces, and not frame by frame.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::Capture;
use super::connection::Connection;
use super::event::ConnectionId;
use super::file::{Pieces, Position};
use super::frame_entry::FrameEntry;
use super::tcp::Conversation;
use crate::wire::{mask, mask_into};

/// Reads payloads of frames in the order in which they were announced. If a frame goes meanwhile (`--keep`), what is read of
/// it means nothing, and nobody asks for it any more.
#[derive(Debug)]
pub(super) struct BulkReader<'a> {
    capture: &'a Capture,
    pieces: Pieces,
    /// What is to be read of the file: one range for frames that lie near one another.
    ahead: VecDeque<Range<u64>>,
    /// Those that frames came from: each has one place, by its number.
    conversations: Vec<Option<(ConnectionId, Conversation)>>,
    /// Where the payload is that was read last.
    payload: Payload,
    /// Room for payloads: they begin it.
    room: Vec<u8>,
}

#[derive(Debug)]
enum Payload {
    /// Unmasked, so many bytes of the room.
    Copied(usize),
    /// As it stands in the file, and in memory.
    InPlace(Range<u64>),
}

/// Bytes of the file that are read at once: they are looked at while they are near the processor.
const AT_ONCE: u64 = 256 << 10;
/// Two frames this near are read at once, with what lies between them.
const NEAR: u64 = 4 << 10;
/// A longer frame is read by itself.
const LONG: u64 = 256 << 10;
/// Conversations that are kept at hand.
const CONVERSATIONS: usize = 128;
/// What may stand in the file around the bytes of a frame: headers, options, padding.
const AROUND: u64 = 256;

impl<'a> BulkReader<'a> {
    pub(super) fn new(capture: &'a Capture) -> Self {
        Self {
            capture,
            pieces: capture.reader().pieces(),
            ahead: VecDeque::new(),
            conversations: Vec::new(),
            payload: Payload::Copied(0),
            room: Vec::new(),
        }
    }

    /// One to which `frames` have been announced.
    pub(super) fn of<'f>(capture: &'a Capture, frames: impl Iterator<Item = &'f FrameEntry>) -> Self {
        let mut reader = Self::new(capture);
        reader.announce(frames);
        reader
    }

    /// Announces `frames`, best in the order in which they stand in the file; those before them have been read.
    pub(super) fn announce<'f>(&mut self, frames: impl Iterator<Item = &'f FrameEntry>) {
        // what stands before this does not change any more
        let end = self.capture.index().file_length;
        self.ahead.clear();
        for frame in frames.filter(|frame| frame.length() <= LONG) {
            let Some(position) = frame.position() else { continue };
            let length = u64::from(position.skip) + frame.length() + AROUND;
            let place = position.block..(position.block + length).min(end);
            match self.ahead.back_mut() {
                Some(last)
                    if (last.start..=last.end + NEAR).contains(&place.start) && place.end <= last.start + AT_ONCE =>
                {
                    last.end = last.end.max(place.end);
                }
                _ => self.ahead.push_back(place),
            }
        }
    }

    /// Reads the first `most` payload bytes of a frame as [`Capture::payload`] does; nothing is there where that fails.
    #[inline]
    pub(super) fn read(&mut self, frame: &FrameEntry, most: u64) {
        if !self.read_usual(frame, most) {
            self.read_otherwise(frame, most);
        }
    }

    /// The same of a frame that is in memory by now, and in one packet, as most are; `false` of others.
    #[inline]
    fn read_usual(&mut self, frame: &FrameEntry, most: u64) -> bool {
        let Some(position) = frame.position().filter(|_| frame.is_complete()) else { return false };
        let id = frame.connection();
        let conversation = self.conversations.get(place_of(id)).and_then(Option::as_ref);
        let Some((_, conversation)) = conversation.filter(|(this, _)| *this == id) else { return false };
        let header = frame.header();
        let length = usize::try_from(header.length.min(most)).unwrap_or(usize::MAX);
        let place = self.pieces.place(conversation, frame.from(), position, header.len() as u64, length);
        let Some((place, bytes)) = place.and_then(|place| Some((place.clone(), self.pieces.held(&place)?))) else {
            return false;
        };
        self.payload = if let Some(key) = header.masking_key {
            if self.room.len() < length {
                self.room.resize(length, 0);
            }
            mask_into(&mut self.room, bytes, key, 0);
            Payload::Copied(length)
        } else {
            Payload::InPlace(place)
        };
        true
    }

    #[cold]
    fn read_otherwise(&mut self, frame: &FrameEntry, most: u64) {
        let read = match frame.position().filter(|_| frame.is_complete()) {
            Some(position) => self.read_at(frame, position, most),
            None => self.capture.payload(frame, 0..most).map(|payload| {
                self.room = payload;
                Payload::Copied(self.room.len())
            }),
        };
        self.payload = read.unwrap_or(Payload::Copied(0));
    }

    pub(super) fn capture(&self) -> &'a Capture {
        self.capture
    }

    /// What was read last, unmasked.
    pub(super) fn payload(&self) -> &[u8] {
        match &self.payload {
            Payload::Copied(length) => &self.room[..*length],
            Payload::InPlace(place) => self.pieces.held(place).unwrap_or_default(),
        }
    }

    fn read_at(&mut self, frame: &FrameEntry, position: Position, most: u64) -> io::Result<Payload> {
        self.read_ahead(position.block)?;
        let id = frame.connection();
        if self.conversations.is_empty() {
            self.conversations.resize_with(CONVERSATIONS, || None);
        }
        let conversation = &mut self.conversations[place_of(id)];
        if conversation.as_ref().is_none_or(|(this, _)| *this != id) {
            let addresses = self.capture.index().connection(id).map(Connection::addresses);
            *conversation = addresses.map(|(client, server)| (id, Conversation::new(client, server)));
        }
        let Some((_, conversation)) = conversation else { return Ok(Payload::Copied(0)) };
        let header = frame.header();
        let length = usize::try_from(header.length.min(most)).unwrap_or(usize::MAX);
        self.room.clear();
        self.pieces.read(conversation, frame.from(), position, header.len() as u64, length, &mut self.room)?;
        if let Some(key) = header.masking_key {
            mask(&mut self.room, key, 0);
        }
        Ok(Payload::Copied(self.room.len()))
    }

    /// Makes sure that the block at `at` is in memory, if its frame was announced to be next.
    fn read_ahead(&mut self, at: u64) -> io::Result<()> {
        if self.pieces.holds(at) {
            return Ok(());
        }
        while self.ahead.front().is_some_and(|next| next.end <= at) {
            self.ahead.pop_front();
        }
        match self.ahead.pop_front_if(|next| next.contains(&at)) {
            Some(next) => self.pieces.read_ahead(next),
            None => Ok(()),
        }
    }
}

fn place_of(id: ConnectionId) -> usize {
    id.0 as usize % CONVERSATIONS
}

/// The places of `frames` among them, in the order in which they stand in the file; those that are not there come first.
pub(super) fn in_file_order<'f>(frames: impl Iterator<Item = &'f FrameEntry>) -> Vec<usize> {
    let block = |frame: &FrameEntry| frame.position().map_or(0, |position| position.block + 1);
    let mut order: Vec<_> = frames.map(block).zip(0_u64..).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, place)| place as usize).collect()
}
