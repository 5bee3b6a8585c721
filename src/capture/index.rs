//! The index: what is kept in memory of each frame once it is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::checkpoints::{Checkpoint, Checkpoints};
use super::connection::Connection;
use super::deflation;
use super::event::{ConnectionId, Timestamp};
use super::exchange::Exchange;
use super::file::Position;
use super::frame_entry::{FrameBatch, FrameEntry, Span};
use super::frame_store::FrameStore;
use super::statistics::Statistics;
use crate::lint::{Finding, Limits, Rule};
use crate::wire::Side;

/// Something that happened to a connection between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// How many there were before it.
    pub number: u64,
    /// How many frames had been recorded by then.
    pub after_frame: u64,
    /// Which connection.
    pub connection: ConnectionId,
    /// What.
    pub kind: MilestoneKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MilestoneKind {
    /// The opening handshake succeeded.
    Opened,
    /// The opening handshake came to nothing.
    Refused,
    /// An open connection is over.
    Closed,
    /// A request that is no upgrade is over.
    Exchanged,
}

/// All that is known of a capture, in memory. Frames are numbered from 1 in the order in which they were completed.
#[derive(Debug)]
pub struct Index {
    frames: FrameStore,
    /// By frame number, ascending.
    findings: Vec<(u64, Finding)>,
    /// By number, ascending.
    connections: Vec<Connection>,
    connections_gone: u64,
    /// By number, ascending.
    milestones: Vec<Milestone>,
    milestones_so_far: u64,
    /// By milestone: opening handshakes that a response refused, as they were by then.
    refusals: Vec<(u64, Connection)>,
    /// Requests that are no upgrade, in the order in which they were over, and the milestone of each.
    exchanges: Vec<(u64, Exchange)>,
    /// Pongs and the pings that they answer, ascending by pong; pings and the pong that ended the wait, ascending by ping.
    answers: Vec<(u64, u64)>,
    answered: Vec<(u64, u64)>,
    /// Frames that the user has marked, and what was said of them.
    marks: BTreeMap<u64, String>,
    /// How often each rule was broken, in the order of [`Rule::ALL`].
    rule_counts: Vec<u64>,
    pub(super) statistics: Statistics,
    open: u64,
    /// Connections of which a frame is still coming in.
    pub(super) growing: BTreeSet<ConnectionId>,
    /// Bytes of the capture file.
    pub(super) file_length: u64,
    /// Payload bytes that crossed the wire and are not in it.
    pub(super) missing: u64,
    /// When the last thing happened.
    pub(super) latest: Timestamp,
    /// What keeps the rest of a file from being read.
    pub(super) damage: Option<String>,
    /// What stood in the file before this is gone.
    kept_from: u64,
    /// But for what was written there anew, in ascending order: where that begins.
    moved: Vec<u64>,
    /// The parts of the file that hold nothing any more, ascending.
    holes: Vec<Range<u64>>,
    /// Where reading compressed messages can begin.
    pub(super) checkpoints: Checkpoints,
    /// The most bytes that a message is inflated to.
    pub(super) message_limit: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            frames: FrameStore::default(),
            findings: Vec::new(),
            connections: Vec::new(),
            connections_gone: 0,
            milestones: Vec::new(),
            milestones_so_far: 0,
            refusals: Vec::new(),
            exchanges: Vec::new(),
            answers: Vec::new(),
            answered: Vec::new(),
            marks: BTreeMap::new(),
            rule_counts: vec![0; Rule::ALL.len()],
            statistics: Statistics::default(),
            open: 0,
            growing: BTreeSet::new(),
            file_length: 0,
            missing: 0,
            latest: Timestamp::default(),
            damage: None,
            kept_from: 0,
            moved: Vec::new(),
            holes: Vec::new(),
            checkpoints: Checkpoints::default(),
            message_limit: Limits::default().max_message,
        }
    }
}

/// The numbers of the status line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that are open as WebSockets.
    pub open: u64,
    /// Connections in all, also those that are gone.
    pub connections: u64,
    /// Frames recorded, also those that are gone.
    pub frames: u64,
    /// The oldest of them, which are not there any more.
    pub gone: u64,
    /// Broken rules, in frames and handshakes.
    pub findings: u64,
    /// Bytes of the capture file.
    pub file_length: u64,
    /// Payload bytes that crossed the wire and are not in it.
    pub missing: u64,
}

impl Index {
    /// The numbers of the status line.
    pub fn totals(&self) -> Totals {
        Totals {
            open: self.open,
            connections: self.connections_gone + self.connections.len() as u64,
            frames: self.frames.len(),
            gone: self.frames.gone(),
            findings: self.rule_counts.iter().sum(),
            file_length: self.file_length,
            missing: self.missing,
        }
    }

    /// When the last thing happened.
    pub fn latest(&self) -> Timestamp {
        self.latest
    }

    /// What kept the rest of the file from being read, in a sentence.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// How many frames are gone, the oldest first: the number of the last of them.
    pub fn gone(&self) -> u64 {
        self.frames.gone()
    }

    /// How many connections are gone with them.
    pub fn connections_gone(&self) -> u64 {
        self.connections_gone
    }

    /// How many connections are gone when those that `stays` does not keep are, too.
    pub(super) fn connections_gone_without(&self, stays: impl Fn(ConnectionId) -> bool) -> u64 {
        self.connections_gone + self.connections.iter().filter(|connection| !stays(connection.id)).count() as u64
    }

    /// Whether what stands at `position` in the file has not gone.
    pub fn is_there(&self, position: Position) -> bool {
        position.block >= self.kept_from || self.moved.binary_search(&position.block).is_ok()
    }

    /// Frame `n`, from 1.
    pub fn frame(&self, n: u64) -> Option<FrameEntry> {
        self.frames.get(n.checked_sub(1)?)
    }

    /// Puts frame `n`, from 1, and some of those after it into `room`, `most` at most.
    pub(super) fn frames_from(&self, n: u64, most: usize, room: &mut Vec<FrameEntry>) {
        room.clear();
        self.frames_onto(n, most, room);
    }

    /// Appends them.
    pub(super) fn frames_onto(&self, n: u64, most: usize, frames: &mut Vec<FrameEntry>) {
        // there is no frame 0
        self.frames.copy(n.wrapping_sub(1), most, frames);
    }

    /// Frame `n`, from 1, and some of those after it, `most` at most and one at least, as they lie in memory; `None` if it is not
    /// there. And whether that tells all of them.
    pub(super) fn span(&self, n: u64, most: usize) -> Option<(Span<'_>, bool)> {
        self.frames.span(n.checked_sub(1)?, most)
    }

    /// The frames with these numbers, as far as they are there.
    pub fn frames(&self, numbers: Range<u64>) -> Vec<(u64, FrameEntry)> {
        numbers.map_while(|n| Some((n, self.frame(n)?))).collect()
    }

    /// What is wrong with frame `n`.
    pub fn findings(&self, n: u64) -> &[(u64, Finding)] {
        let start = self.findings.partition_point(|(frame, _)| *frame < n);
        let end = self.findings.partition_point(|(frame, _)| *frame <= n);
        &self.findings[start..end]
    }

    /// The next frame after `n` that breaks a rule.
    pub fn finding_after(&self, n: u64) -> Option<u64> {
        self.findings.get(self.findings.partition_point(|(frame, _)| *frame <= n)).map(|(frame, _)| *frame)
    }

    /// The last frame before `n` that breaks a rule.
    pub fn finding_before(&self, n: u64) -> Option<u64> {
        let end = self.findings.partition_point(|(frame, _)| *frame < n);
        self.findings[..end].last().map(|(frame, _)| *frame)
    }

    /// What the user said when marking frame `n`, perhaps nothing; `None` if it is not marked.
    pub fn mark(&self, n: u64) -> Option<&str> {
        self.marks.get(&n).map(String::as_str)
    }

    /// How often `rule` was broken.
    pub fn rule_count(&self, rule: Rule) -> u64 {
        self.rule_counts[rule as usize]
    }

    /// How often each rule was broken, in frames and handshakes, in the order of [`Rule::ALL`].
    pub fn rule_counts(&self) -> &[u64] {
        &self.rule_counts
    }

    /// Numbers over all frames.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Every connection that is not gone, in order of acceptance.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// One connection.
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(self.connection_place(id)?)
    }

    /// Where a connection stands among those that are not gone.
    pub fn connection_place(&self, id: ConnectionId) -> Option<usize> {
        self.connections.binary_search_by_key(&id, |connection| connection.id).ok()
    }

    /// The ping that pong `n` answers.
    pub fn answers(&self, n: u64) -> Option<u64> {
        let at = self.answers.binary_search_by_key(&n, |(pong, _)| *pong).ok()?;
        Some(self.answers[at].1)
    }

    /// The pong that answers ping `n`, or a later ping and passes over this one.
    pub fn answered_by(&self, n: u64) -> Option<u64> {
        let at = self.answered.binary_search_by_key(&n, |(ping, _)| *ping).ok()?;
        Some(self.answered[at].1)
    }

    /// Nanoseconds from a ping to pong `n`, which answers it.
    pub fn round_trip(&self, n: u64) -> Option<u64> {
        let ping = self.frame(self.answers(n)?)?;
        Some(self.frame(n)?.time().0.saturating_sub(ping.time().0))
    }

    /// The exchange of the `milestone`th milestone.
    pub(super) fn exchange_at(&self, milestone: u64) -> Option<&Exchange> {
        let at = self.exchanges.binary_search_by_key(&milestone, |(at, _)| *at).ok()?;
        Some(&self.exchanges[at].1)
    }

    /// What was known of a connection at the `milestone`th milestone, at which a response refused it.
    pub(super) fn refusal_at(&self, milestone: u64) -> Option<&Connection> {
        let at = self.refusals.binary_search_by_key(&milestone, |(at, _)| *at).ok()?;
        Some(&self.refusals[at].1)
    }

    /// Exchanges of a connection that are over and not gone, the last one first.
    pub fn exchanges_of(&self, connection: &Connection) -> impl Iterator<Item = &Exchange> {
        let get = |n: u32| {
            let at = self.exchanges.binary_search_by_key(&n, |(_, exchange)| exchange.n).ok()?;
            Some(&self.exchanges[at].1)
        };
        std::iter::successors(get(connection.last_exchange), move |exchange| get(exchange.previous))
    }

    /// Milestones from number `start` on, from 0. Those of connections that are gone are left out.
    pub fn milestones(&self, start: u64) -> &[Milestone] {
        &self.milestones[self.milestones.partition_point(|milestone| milestone.number < start)..]
    }

    pub(super) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let place = self.connection_place(id)?;
        self.connections.get_mut(place)
    }

    pub(super) fn add_connection(&mut self, connection: Connection) {
        let place = self.connections.partition_point(|before| before.id < connection.id);
        self.connections.insert(place, connection);
    }

    /// Bytes of memory, about.
    pub(super) fn memory(&self) -> u64 {
        let each = [
            (self.findings.len() as u64, 64),
            (self.connections.len() as u64, 1024),
            (self.refusals.len() as u64, 1024),
            (self.exchanges.len() as u64, 400),
            (self.answers.len() as u64, 32),
        ];
        self.frames.memory() + each.iter().map(|(count, bytes)| count * bytes).sum::<u64>()
    }

    /// The first `frames` frames are gone from now on, and the connections that `stays` does not keep. What stands
    /// before `kept_from` in the file goes with them.
    pub(super) fn drop_first(&mut self, frames: u64, kept_from: u64, stays: impl Fn(ConnectionId) -> bool) {
        self.frames.drop_first(frames);
        let gone = self.frames.gone();
        self.findings.drain(..self.findings.partition_point(|(n, _)| *n <= gone));
        self.marks = self.marks.split_off(&(gone + 1));
        let before = self.connections.len();
        self.connections.retain(|connection| stays(connection.id));
        self.connections_gone += (before - self.connections.len()) as u64;
        self.kept_from = kept_from;
        self.moved.clear();
        self.checkpoints.drop_first(gone, &stays);
        self.answers.drain(..self.answers.partition_point(|(pong, _)| *pong <= gone));
        self.answered.drain(..self.answered.partition_point(|(ping, _)| *ping <= gone));
        self.exchanges.retain(|(_, exchange)| {
            stays(exchange.connection) && exchange.heads[0].is_some_and(|(position, _)| position.block >= kept_from)
        });
        self.refusals.retain(|(_, connection)| {
            stays(connection.id) && connection.heads[0].is_some_and(|(position, _)| position.block >= kept_from)
        });
        let mut milestones = std::mem::take(&mut self.milestones);
        milestones.retain(|milestone| {
            self.connection_place(milestone.connection).is_some()
                && (milestone.kind != MilestoneKind::Exchanged || self.exchange_at(milestone.number).is_some())
        });
        self.milestones = milestones;
    }

    /// The file does not hold what came before: so many frames and connections.
    pub(super) fn begin_after(&mut self, frames: u64, connections: u64) {
        if self.frames.len() == self.frames.gone() {
            self.frames.drop_first(frames);
            self.connections_gone = self.connections_gone.max(connections);
        }
    }

    /// What began at a position that is gone was written anew elsewhere, or is not there any more.
    pub(super) fn move_frame(&mut self, n: u64, to: Option<Position>) {
        // there is no frame 0
        self.frames.move_to(n.wrapping_sub(1), to);
    }

    /// The parts of the file that hold nothing any more, in ascending order.
    pub fn holes(&self) -> &[Range<u64>] {
        &self.holes
    }

    /// There is another one, behind the others.
    pub(super) fn add_hole(&mut self, hole: Range<u64>) {
        self.holes.push(hole);
    }

    pub(super) fn set_holes(&mut self, holes: Vec<Range<u64>>) {
        self.holes = holes;
    }

    /// The file has these positions before [`Index::drop_first`]'s `kept_from` all the same.
    pub(super) fn set_moved(&mut self, mut blocks: Vec<u64>) {
        blocks.sort_unstable();
        self.moved = blocks;
    }

    /// Adds the frames of `batch` in these places.
    pub(super) fn add_frames(&mut self, batch: &FrameBatch, places: Range<usize>) {
        self.frames.extend(batch, places.clone());
        self.statistics.frames(batch, places);
    }

    /// What is wrong with the last frame.
    pub(super) fn add_findings(&mut self, findings: Vec<Finding>) {
        let n = self.frames.len();
        self.count_findings(&findings);
        self.findings.extend(findings.into_iter().map(|finding| (n, finding)));
    }

    pub(super) fn add_answer(&mut self, pong: u64, pings: &[u64]) {
        let Some(&meant) = pings.last() else { return };
        self.answers.push((pong, meant));
        if let (Some(waited), Some(ping)) = (self.round_trip(pong), self.frame(meant)) {
            self.statistics.round_trip(ping.from(), waited);
        }
        for &ping in pings {
            // pings are answered soon, so that little has to make room
            let at = self.answered.partition_point(|(earlier, _)| *earlier < ping);
            self.answered.insert(at, (ping, pong));
        }
    }

    pub(super) fn add_refusal(&mut self, connection: Connection) {
        let id = connection.id;
        self.refusals.push((self.milestones_so_far, connection));
        self.add_milestone(id, MilestoneKind::Refused);
    }

    pub(super) fn add_exchange(&mut self, exchange: Exchange) {
        let id = exchange.connection;
        self.exchanges.push((self.milestones_so_far, exchange));
        self.add_milestone(id, MilestoneKind::Exchanged);
    }

    /// After the last frame, the messages of `from` can be inflated with this window; `offset` is how far its stream is.
    pub(super) fn add_checkpoint(
        &mut self,
        connection: ConnectionId,
        from: Side,
        offset: u64,
        place: deflation::Place,
    ) {
        let deflation::Place { work, window, is_border } = place;
        let after = self.frames.len();
        self.checkpoints.add(connection, from, Checkpoint { after, offset, work, window }, is_border);
    }

    pub(super) fn count_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            self.rule_counts[finding.rule as usize] += 1;
        }
    }

    pub(super) fn set_mark(&mut self, n: u64, text: Option<String>) {
        match text.filter(|_| n > self.frames.gone()) {
            Some(text) => self.marks.insert(n, text),
            None => self.marks.remove(&n),
        };
    }

    pub(super) fn add_milestone(&mut self, connection: ConnectionId, kind: MilestoneKind) {
        match kind {
            MilestoneKind::Opened => self.open += 1,
            MilestoneKind::Closed => self.open -= 1,
            MilestoneKind::Refused | MilestoneKind::Exchanged => {}
        }
        let number = self.milestones_so_far;
        self.milestones_so_far += 1;
        self.milestones.push(Milestone { number, after_frame: self.frames.len(), connection, kind });
    }
}
