//! What was derived, on its way into the index.

use super::connection::Connection;
use super::dissector::Step;
use super::event::{ConnectionId, Timestamp};
use super::frame_entry::FrameBatch;
use super::index::Index;

/// What events came to that the index does not know of as yet.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Connections that have changed, as they are now.
    pub(super) connections: Vec<Connection>,
    /// Frames that are complete, or never will be.
    pub(super) frames: FrameBatch,
    /// What else follows: after how many of those, from what happened on which connection.
    pub(super) steps: Vec<(usize, ConnectionId, Step)>,
    /// When the last event was.
    pub(super) latest: Timestamp,
    /// The most bytes that a message is inflated to.
    pub(super) message_limit: u64,
}

impl News {
    /// Adds all of it to the index, and is empty then; the file now has `length` bytes, and `missing` ones are not in it.
    pub(super) fn apply(&mut self, index: &mut Index, length: u64, missing: u64) {
        self.connections.drain(..).for_each(|connection| index.set_connection(connection));
        let mut added = 0;
        for (frames, id, step) in self.steps.drain(..) {
            index.add_frames(&self.frames, added..frames);
            added = frames;
            match step {
                Step::Findings(findings) => index.add_findings(findings),
                Step::Deflated(from, message) => index.statistics.compressed[from as usize].add(message),
                Step::Handshake(findings) => index.count_findings(&findings),
                Step::Answered { pong, pings } => index.add_answer(pong, &pings),
                Step::Milestone(kind) => index.add_milestone(id, kind),
                Step::Gone(frames, connections) => index.begin_after(frames, connections),
                Step::Refused(connection) => index.add_refusal(*connection),
                Step::Exchange(exchange) => index.add_exchange(*exchange),
                Step::Checkpoint(from, offset, place) => index.add_checkpoint(id, from, offset, place),
                Step::BeginningGone(from) => index.checkpoints.forget(id, from),
                Step::Mark(frame, text) => index.set_mark(frame, text),
            }
        }
        index.add_frames(&self.frames, added..self.frames.len());
        self.frames.clear();
        index.file_length = length;
        index.missing = missing;
        index.latest = self.latest;
        index.message_limit = self.message_limit;
    }
}
