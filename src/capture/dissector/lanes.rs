//! What a dissector does as long as nothing unusual comes.

use super::{Dissector, Phase, Steps};
use crate::capture::connection::ConnectionState;
use crate::capture::direction::{Chunk, Lane};
use crate::wire::Side;

impl Dissector {
    /// Takes what is usual from the front of a chunk; returned is whether that is all of it.
    #[expect(clippy::inline_always, reason = "the parts of a chunk are in registers then, and not laid out in memory")]
    #[inline(always)]
    pub(super) fn usual(&mut self, from: Side, chunk: &mut Chunk<'_>, steps: &mut Steps) -> bool {
        if self.lanes[from as usize].is_none() {
            self.lanes[from as usize] = self.open_lane(from);
        }
        let Some(lane) = &mut self.lanes[from as usize] else { return false };
        let mut rest = chunk.rest();
        let Steps { frames, frames_so_far, room, .. } = steps;
        let before = lane.frames;
        lane.take(chunk, &mut rest, room, |run, frame, begins| {
            if begins {
                frames.begin(*run);
            }
            frames.add(frame);
        });
        *frames_so_far += u64::from(lane.frames.wrapping_sub(before));
        lane.pass(chunk, rest);
        chunk.is_empty()
    }

    /// A lane for what `from` sends, if nothing that concerns the connection has to be asked of each of its frames.
    fn open_lane(&mut self, from: Side) -> Option<Lane> {
        let connection = &self.connection;
        let is_at_ease = matches!(self.phase, Phase::Frames)
            && connection.state != ConnectionState::Connecting
            && connection.due[from.other() as usize].is_none()
            && connection.growing[from as usize].is_none();
        if is_at_ease { self.directions[from as usize].open_lane() } else { None }
    }

    /// Closes the lanes: directions and connection are then as they have come so far.
    pub(in crate::capture) fn settle(&mut self) {
        for from in Side::BOTH {
            if let Some(lane) = self.lanes[from as usize].take() {
                let direction = &mut self.directions[from as usize];
                self.connection.frames[from as usize] += u64::from(lane.frames);
                self.connection.bytes[from as usize] += lane.stream - direction.stream();
                direction.close_lane(lane);
            }
        }
    }
}
