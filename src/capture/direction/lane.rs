//! One direction of a connection as long as nothing unusual comes.

use super::{Chunk, Direction};
use crate::capture::event::{ConnectionId, Origin, Vantage};
use crate::capture::frame_entry::{Flags, Packed, Run};
use crate::lint::RecentKeys;
use crate::wire::{Side, is_text, whole_frame};

/// What has to be known of a direction, and kept of it, as long as whole frames come, each a message of its own that breaks no
/// rule: nearly always. It is one line of the cache, for there may be many of these in turn.
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::capture) struct Lane {
    keys: RecentKeys,
    from: Side,
    flags: Flags,
    connection: ConnectionId,
    /// How many frames there were since it was opened.
    pub(in crate::capture) frames: u32,
    /// Bytes of the stream before the chunk at hand.
    pub(in crate::capture) stream: u64,
    /// The most payload bytes that a frame may have: fewer than [`Packed::LONG`].
    most: u64,
}

const _: () = assert!(size_of::<Option<Lane>>() == 64);

impl Lane {
    /// Takes such frames from the front of `input`, the rest of `chunk`. `room` is for unmasking. `frame` is told of each with
    /// its run, and whether that begins with it.
    #[expect(clippy::inline_always, reason = "the parts of a chunk are in registers then, and not laid out in memory")]
    #[inline(always)]
    pub(in crate::capture) fn take(
        &mut self,
        chunk: &Chunk<'_>,
        input: &mut &[u8],
        room: &mut Vec<u8>,
        mut frame: impl FnMut(&Run, Packed, bool),
    ) {
        // where somebody has noted who made a frame, that is not the usual one
        if !chunk.notes.is_empty() {
            return;
        }
        let length = chunk.rest().len();
        let mut run = Run::at(chunk.time, self.connection, self.flags);
        let (mut start, mut end) = (0, 0);
        let mut rest = *input;
        while !rest.is_empty()
            && let Some((header, payload)) = whole_frame(&mut rest)
            && self.keys.note_usual(&header, self.from, self.most, || is_text(payload, header.masking_key, room))
        {
            let at = length - input.len();
            let begins = at >= end;
            if begins {
                (start, end) = (at, chunk.segment_end(at));
                run = run.beginning(self.stream + at as u64, chunk.position(at));
            }
            // a segment is no longer than can be told
            frame(&run, Packed::new(&header, (at - start) as u16), begins);
            self.frames += 1;
            *input = rest;
        }
    }

    /// What `chunk` begins with has been taken, up to `input`.
    #[inline]
    pub(in crate::capture) fn pass(&mut self, chunk: &mut Chunk<'_>, input: &[u8]) {
        let taken = chunk.rest().len() - input.len();
        chunk.start += taken;
        self.stream += taken as u64;
    }
}

impl Direction {
    /// A lane for what comes next; `None` where more has to be asked of it.
    #[inline]
    pub(in crate::capture) fn open_lane(&mut self) -> Option<Lane> {
        let is_between_frames = self.start.is_none() && !self.lost && !self.searching && self.earlier_chunks == 0;
        let is_between_messages = !self.mid_message && self.messages.unfinished().is_none();
        if !is_between_frames || !is_between_messages || !self.linter.expects_usual() {
            return None;
        }
        Some(Lane {
            keys: self.linter.keys().clone(),
            from: self.from,
            flags: Flags::made(self.from, self.maker)
                .with(Flags::INJECTED, self.maker == Origin::User && self.vantage == Vantage::Beside)
                .with(Flags::ARCHIVED, self.vantage == Vantage::Archive),
            connection: self.connection,
            frames: 0,
            stream: self.stream,
            most: self.limits.max_whole().min(u64::from(Packed::LONG) - 1),
        })
    }

    /// Goes on from where a lane has come to.
    #[inline]
    pub(in crate::capture) fn close_lane(&mut self, lane: Lane) {
        self.stream = lane.stream;
        *self.linter.keys() = lane.keys;
    }
}
