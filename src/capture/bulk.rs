//! Payloads of many frames, for those who search them: the file is read in large pieces, and not frame by frame.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::Capture;
use super::connection::Connection;
use super::event::ConnectionId;
use super::file::Pieces;
use super::frame_entry::FrameEntry;
use super::tcp::Conversation;
use crate::wire::{Header, mask, mask_into};

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
        let mut is_ready = false;
        while !self.read_usual(frame, most) {
            // with all that it takes at hand it is as usual, but for few
            if is_ready || self.make_ready(frame).is_err() {
                self.payload = self.read_otherwise(frame, most).unwrap_or(Payload::Copied(0));
                return;
            }
            is_ready = true;
        }
    }

    /// The same of a frame that is in memory by now, and in one packet, as most are; `false` of others.
    #[inline]
    fn read_usual(&mut self, frame: &FrameEntry, most: u64) -> bool {
        let Some(position) = frame.position().filter(|_| frame.is_complete()) else { return false };
        let Some(conversation) = self.conversation(frame.connection()) else { return false };
        let header = frame.header();
        let length = length_of(&header, most);
        let place = self.pieces.place(conversation, frame.from(), position, header.len() as u64, length);
        let Some(place) = place else { return false };
        self.payload = if let Some(key) = header.masking_key {
            if self.room.len() < length {
                self.room.resize(length, 0);
            }
            mask_into(&mut self.room, self.pieces.held(&place).unwrap_or_default(), key, 0);
            Payload::Copied(length)
        } else {
            Payload::InPlace(place)
        };
        true
    }

    /// Has at hand what that takes.
    #[cold]
    fn make_ready(&mut self, frame: &FrameEntry) -> io::Result<()> {
        if let Some(position) = frame.position().filter(|_| frame.is_complete()) {
            self.read_ahead(position.block)?;
            self.have_conversation(frame.connection());
        }
        Ok(())
    }

    #[cold]
    fn read_otherwise(&mut self, frame: &FrameEntry, most: u64) -> io::Result<Payload> {
        let mut room = std::mem::take(&mut self.room);
        room.clear();
        if let Some(position) = frame.position().filter(|_| frame.is_complete()) {
            let header = frame.header();
            if let Some(conversation) = self.conversation(frame.connection()) {
                let length = length_of(&header, most);
                self.pieces.read(conversation, frame.from(), position, header.len() as u64, length, &mut room)?;
            }
            if let Some(key) = header.masking_key {
                mask(&mut room, key, 0);
            }
        } else {
            room = self.capture.payload(frame, 0..most)?;
        }
        self.room = room;
        Ok(Payload::Copied(self.room.len()))
    }

    /// That of a connection, if it is at hand.
    #[inline]
    fn conversation(&self, id: ConnectionId) -> Option<&Conversation> {
        let (this, conversation) = self.conversations.get(id.0 as usize % CONVERSATIONS)?.as_ref()?;
        (*this == id).then_some(conversation)
    }

    /// Has it at hand from now on, if there is such a connection.
    fn have_conversation(&mut self, id: ConnectionId) {
        if self.conversation(id).is_none() {
            self.conversations.resize_with(CONVERSATIONS, || None);
            let addresses = self.capture.index().connection(id).map(Connection::addresses);
            self.conversations[id.0 as usize % CONVERSATIONS] =
                addresses.map(|(client, server)| (id, Conversation::new(client, server)));
        }
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

/// How many payload bytes are read of a frame.
fn length_of(header: &Header, most: u64) -> usize {
    usize::try_from(header.length.min(most)).unwrap_or(usize::MAX)
}

/// The places of `frames` among them, in the order in which they stand in the file; those that are not there come first.
pub(super) fn in_file_order<'f>(frames: impl Iterator<Item = &'f FrameEntry>) -> Vec<usize> {
    let block = |frame: &FrameEntry| frame.position().map_or(0, |position| position.block + 1);
    let mut order: Vec<_> = frames.map(block).zip(0_u64..).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, place)| place as usize).collect()
}
