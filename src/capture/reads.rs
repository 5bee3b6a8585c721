//! In which reads of the socket a frame arrived: told by the packets in the file, when someone asks, and kept nowhere.

use std::io;
use std::ops::Range;

use super::event::Timestamp;
use super::tcp::{Conversation, MAX_SEGMENT};
use super::{Capture, FrameEntry, Gone};

/// A read of the socket, as far as it brought bytes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// When it was.
    pub time: Timestamp,
    /// The bytes of the frame that it brought, counted from the frame's first one, header first.
    pub bytes: Range<u64>,
}

/// The reads that a frame arrived in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// They, in order; no bytes are between them.
    pub list: Vec<Read>,
    /// Whether there are more than were asked for, or than could be found in reasonable time.
    pub more: bool,
}

/// The most blocks of the file that are looked at: those of other connections lie between.
const MOST_BLOCKS: usize = 20_000;
/// The most frames before one that are looked at to tell its place in a read.
const MOST_FRAMES: u64 = 1000;

impl Capture {
    /// The reads that a frame arrived in, or as much of it as has come: the first `most` of them. There are none where its
    /// bytes are not in the file, nor where they were never on a wire.
    pub fn reads(&self, frame: &FrameEntry, most: usize) -> io::Result<Reads> {
        let from = frame.from() as usize;
        let connection = self.index().connection(frame.connection()).map(|one| (one.addresses(), one.bytes[from]));
        let (Some(position), Some(((client, server), sent)), false) =
            (frame.position(), connection, frame.is_archived())
        else {
            return Ok(Reads::default());
        };
        let header = frame.header();
        let length = header.length.saturating_add(header.len() as u64);
        // what has not come is not looked for
        let length = if frame.is_complete() { length } else { length.min(sent.saturating_sub(frame.offset())) };
        let (pieces, conversation) = (self.reader.pieces(), Conversation::new(client, server));
        let mut reads = Reads::default();
        let (mut block, mut skip) = (position.block, u64::from(position.skip));
        let (mut at, mut expected) = (0, None);
        // the last packet's time, where what follows may belong to the same read
        let mut goes_on = None;
        for looked_at in 0.. {
            if at >= length {
                break;
            }
            if looked_at == MOST_BLOCKS {
                reads.more = true;
                break;
            }
            let Some(next) = pieces.block(block)? else { break };
            if let Some(packet) = next.packet_of(&conversation, frame.from()).filter(|packet| packet.payload > 0) {
                // what could not be written leaves a hole, and what follows it is something else
                if expected.is_some_and(|expected| expected != packet.sequence) {
                    break;
                }
                expected = Some(packet.sequence.wrapping_add(packet.payload as u32));
                let end = length.min(at + packet.payload.saturating_sub(skip));
                skip = 0;
                let goes_on_here = goes_on == Some(packet.time);
                if let Some(last) = reads.list.last_mut().filter(|_| goes_on_here) {
                    last.bytes.end = end;
                } else if reads.list.len() == most {
                    reads.more = true;
                    break;
                } else {
                    reads.list.push(Read { time: packet.time, bytes: at..end });
                }
                goes_on = (packet.payload == MAX_SEGMENT as u64).then_some(packet.time);
                at = end;
            }
            block += next.length;
        }
        // it may have gone while it was read
        if self.index().is_there(position) { Ok(reads) } else { Err(Gone::error()) }
    }
}

/// Frames that are looked at together.
const AT_ONCE: u64 = 64;

impl super::Index {
    /// Which frame of its first read frame `n` is, by where it begins: 1 for the first one. What is more than a thousand
    /// is told as that.
    pub fn place_in_read(&self, n: u64) -> Option<u64> {
        let frame = self.frame(n)?;
        let position = frame.position()?;
        let (mut first, mut skip, mut place) = (frame, position.skip, 1);
        // what is complete in one read has numbers in a row; what is not may be complete much later
        let earliest = n.saturating_sub(MOST_FRAMES).max(1);
        let (mut earlier, mut some) = (n, Vec::new());
        // where a packet begins, so does the read, or what is of it in another packet is not counted
        while skip > 0 {
            if some.is_empty() {
                let start = earlier.saturating_sub(AT_ONCE).max(earliest);
                self.frames_from(start, (earlier - start) as usize, &mut some);
                earlier = start;
            }
            let Some(before) = some.pop() else { break };
            if !before.is_beside(&first) {
                continue;
            }
            if !first.follows(&before) {
                break;
            }
            place += 1;
            let Some(begins) = before.position().filter(|before| before.block == position.block) else { break };
            (first, skip) = (before, begins.skip);
        }
        Some(place)
    }
}
