//! The index: what is kept in memory of each frame once it is recorded.

use std::collections::BTreeMap;
use std::ops::Range;

use super::connection::Connection;
use super::event::{ConnectionId, Origin, Timestamp, Vantage};
use super::file::Position;
use super::statistics::Statistics;
use crate::lint::{Finding, Rule};
use crate::wire::{Header, LengthForm, MaskingKey, Opcode, Rsv, Side};

/// A frame as the index holds it: 48 bytes, whatever its payload. The bytes themselves are in the capture file.
#[derive(Clone, Copy, Debug)]
pub struct FrameEntry {
    time: u64,
    block: u64,
    offset: u64,
    length: u64,
    connection: u32,
    key: MaskingKey,
    skip: u16,
    chunks: u16,
    first_two: [u8; 2],
    flags: u16,
}

const _: () = assert!(size_of::<FrameEntry>() == 48);

const FROM_SERVER: u16 = 1;
const COMPLETE: u16 = 2;
const COMPRESSED: u16 = 4;
const HAS_FINDINGS: u16 = 8;
const BY_ENDPOINT: u16 = 16;
const BY_USER: u16 = 32;
const MISSING: u16 = 64;
const INJECTED: u16 = 128;

/// Everything that a [`FrameEntry`] is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewFrame {
    /// When its last byte came.
    pub(super) time: Timestamp,
    /// Where its first byte stands in the file; `None` if it is not there.
    pub(super) position: Option<Position>,
    /// Where its first byte stands in its direction's stream after the opening handshake.
    pub(super) offset: u64,
    /// The connection.
    pub(super) connection: ConnectionId,
    /// Who sent it.
    pub(super) from: Side,
    /// Its header.
    pub(super) header: Header,
    /// How many reads it arrived in.
    pub(super) chunks: u16,
    /// Whether all of it came.
    pub(super) complete: bool,
    /// Whether it belongs to a message that an extension has compressed.
    pub(super) compressed: bool,
    /// Who made it.
    pub(super) origin: Origin,
}

impl FrameEntry {
    pub(super) fn new(frame: &NewFrame, has_findings: bool, is_injected: bool) -> Self {
        let header = &frame.header;
        let flag = |set, bit| if set { bit } else { 0 };
        let position = frame.position.unwrap_or(Position { block: 0, skip: 0 });
        // the 7-bit form keeps its length in `length`; these bits tell the form
        let length_bits = match header.length_form {
            LengthForm::Bits7 => 0,
            LengthForm::Bits16 => 126,
            LengthForm::Bits64 => 127,
        };
        Self {
            time: frame.time.0,
            block: position.block,
            offset: frame.offset,
            length: header.length,
            connection: frame.connection.0,
            key: header.masking_key.unwrap_or_default(),
            skip: position.skip,
            chunks: frame.chunks,
            first_two: [
                u8::from(header.fin) << 7 | header.rsv.value() << 4 | header.opcode.value(),
                u8::from(header.masking_key.is_some()) << 7 | length_bits,
            ],
            flags: flag(frame.from == Side::Server, FROM_SERVER)
                | flag(frame.complete, COMPLETE)
                | flag(frame.compressed, COMPRESSED)
                | flag(has_findings, HAS_FINDINGS)
                | flag(frame.origin == Origin::Endpoint, BY_ENDPOINT)
                | flag(frame.origin == Origin::User, BY_USER)
                | flag(frame.position.is_none(), MISSING)
                | flag(is_injected, INJECTED),
        }
    }

    /// When its last byte came.
    pub const fn time(&self) -> Timestamp {
        Timestamp(self.time)
    }

    /// The connection that it came on.
    pub const fn connection(&self) -> ConnectionId {
        ConnectionId(self.connection)
    }

    /// Who sent it.
    pub const fn from(&self) -> Side {
        if self.has(FROM_SERVER) { Side::Server } else { Side::Client }
    }

    /// Where its first byte stands in its direction's stream after the opening handshake.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Its header, whole.
    pub const fn header(&self) -> Header {
        let [first, second] = self.first_two;
        Header {
            fin: first & 0x80 != 0,
            rsv: Rsv::new(first >> 4),
            opcode: Opcode::new(first),
            masking_key: if second & 0x80 == 0 { None } else { Some(self.key) },
            length: self.length,
            length_form: LengthForm::from_length_bits(second & 0x7F),
        }
    }

    /// How many reads it arrived in; 65 535 stands for that many or more.
    pub const fn chunks(&self) -> u16 {
        self.chunks
    }

    /// Whether all of it came.
    pub const fn is_complete(&self) -> bool {
        self.has(COMPLETE)
    }

    /// Whether it belongs to a compressed message.
    pub const fn is_compressed(&self) -> bool {
        self.has(COMPRESSED)
    }

    /// Whether it breaks a rule.
    pub const fn has_findings(&self) -> bool {
        self.has(HAS_FINDINGS)
    }

    /// Who made it.
    pub const fn origin(&self) -> Origin {
        if self.has(BY_USER) {
            Origin::User
        } else if self.has(BY_ENDPOINT) {
            Origin::Endpoint
        } else {
            Origin::Peer
        }
    }

    /// Whether the user put it in between two peers.
    pub const fn is_injected(&self) -> bool {
        self.has(INJECTED)
    }

    /// Where its first byte stands in the file; `None` if it could not be written.
    pub const fn position(&self) -> Option<Position> {
        if self.has(MISSING) { None } else { Some(Position { block: self.block, skip: self.skip }) }
    }

    /// Whether the same side of the same connection sent both.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.connection == other.connection && self.from() == other.from()
    }

    const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Frames in pieces of a fixed size, so that growing never moves or doubles what is there.
#[derive(Debug, Default)]
struct FrameStore {
    pieces: Vec<Vec<FrameEntry>>,
}

impl FrameStore {
    const PIECE: usize = 8192;

    fn len(&self) -> u64 {
        let last = self.pieces.last().map_or(0, Vec::len);
        (self.pieces.len().saturating_sub(1) * Self::PIECE + last) as u64
    }

    fn push(&mut self, entry: FrameEntry) {
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < Self::PIECE => piece.push(entry),
            // the first piece grows as it must: most captures are small
            None => self.pieces.push(vec![entry]),
            Some(_) => {
                let mut piece = Vec::with_capacity(Self::PIECE);
                piece.push(entry);
                self.pieces.push(piece);
            }
        }
    }

    fn get(&self, index: u64) -> Option<&FrameEntry> {
        let index = usize::try_from(index).ok()?;
        self.pieces.get(index / Self::PIECE)?.get(index % Self::PIECE)
    }
}

/// Something that happened to a connection between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milestone {
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
}

/// All that is known of a capture, in memory. Frames are numbered from 1 in the order in which they were completed.
#[derive(Debug)]
pub struct Index {
    frames: FrameStore,
    /// By frame number, ascending.
    findings: Vec<(u64, Finding)>,
    connections: Vec<Connection>,
    milestones: Vec<Milestone>,
    /// Frames that the user has marked, and what was said of them.
    marks: BTreeMap<u64, String>,
    /// How often each rule was broken, in the order of [`Rule::ALL`].
    rule_counts: Vec<u64>,
    pub(super) statistics: Statistics,
    open: u64,
    /// Bytes of the capture file.
    pub(super) file_length: u64,
    /// Payload bytes that crossed the wire and are not in it.
    pub(super) missing: u64,
    /// When the last thing happened.
    pub(super) latest: Timestamp,
    /// What keeps the rest of a file from being read.
    pub(super) damage: Option<String>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            frames: FrameStore::default(),
            findings: Vec::new(),
            connections: Vec::new(),
            milestones: Vec::new(),
            marks: BTreeMap::new(),
            rule_counts: vec![0; Rule::ALL.len()],
            statistics: Statistics::default(),
            open: 0,
            file_length: 0,
            missing: 0,
            latest: Timestamp::default(),
            damage: None,
        }
    }
}

/// The numbers of the status line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that are open as WebSockets.
    pub open: u64,
    /// Connections in all.
    pub connections: u64,
    /// Frames recorded.
    pub frames: u64,
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
            connections: self.connections.len() as u64,
            frames: self.frames.len(),
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

    /// Frame `n`, from 1.
    pub fn frame(&self, n: u64) -> Option<&FrameEntry> {
        self.frames.get(n.checked_sub(1)?)
    }

    /// The frames with these numbers, as far as they are there.
    pub fn frames(&self, numbers: Range<u64>) -> Vec<(u64, FrameEntry)> {
        numbers.map_while(|n| Some((n, *self.frame(n)?))).collect()
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

    /// Every connection, in order of acceptance.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// One connection.
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }

    /// Milestones from the `start`th on.
    pub fn milestones(&self, start: usize) -> &[Milestone] {
        self.milestones.get(start..).unwrap_or_default()
    }

    pub(super) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }

    /// Connections are numbered by their place here.
    pub(super) fn add_connection(&mut self, connection: Connection) {
        self.connections.push(connection);
    }

    pub(super) fn add_frame(&mut self, frame: &NewFrame, findings: Vec<Finding>) {
        let is_injected = frame.origin == Origin::User
            && self.connection(frame.connection).is_some_and(|connection| connection.vantage == Vantage::Beside);
        self.frames.push(FrameEntry::new(frame, !findings.is_empty(), is_injected));
        let n = self.frames.len();
        self.statistics.frame(frame);
        self.count_findings(&findings);
        self.findings.extend(findings.into_iter().map(|finding| (n, finding)));
    }

    pub(super) fn count_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            self.rule_counts[finding.rule as usize] += 1;
        }
    }

    pub(super) fn set_mark(&mut self, n: u64, text: Option<String>) {
        match text {
            Some(text) => self.marks.insert(n, text),
            None => self.marks.remove(&n),
        };
    }

    pub(super) fn add_milestone(&mut self, connection: ConnectionId, kind: MilestoneKind) {
        match kind {
            MilestoneKind::Opened => self.open += 1,
            MilestoneKind::Closed => self.open -= 1,
            MilestoneKind::Refused => {}
        }
        self.milestones.push(Milestone { after_frame: self.frames.len(), connection, kind });
    }
}
