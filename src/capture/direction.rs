//! One direction of a connection: its frames.

use super::connection::Connection;
use super::deflation::{Deflated, Deflation, Place as Checkpoint};
use super::event::{ConnectionId, Note, Origin, Timestamp};
use super::file::Position;
use super::frame_entry::{FrameEntry, NewFrame};
use super::growing::Growing;
use super::resync;
use super::tcp::MAX_SEGMENT;
use crate::lint::{Finding, Limits, Linter, Rule};
use crate::wire::{Decoder, DeflateAgreement, Header, MessageSequence, Opcode, Piece, Place, Rsv, Side, mask_onto};

/// What one side sends.
#[derive(Debug)]
pub(super) struct Direction {
    from: Side,
    limits: Limits,
    /// Who makes frames of which nothing else is noted.
    maker: Origin,
    /// Chunks that came before it was known what they mean.
    held: Vec<HeldChunk>,
    held_bytes: usize,
    /// More came than is held: where the frames are can't be told any more.
    lost: bool,
    /// Where the next frame begins is not known; chunks are held until it is.
    searching: bool,
    /// The beginning of the message at hand may not have been seen.
    mid_message: bool,
    /// Pings of the other side may not have been seen.
    unseen_pings: bool,
    /// Its frames stand for messages of an archive.
    archived: bool,
    decoder: Decoder,
    linter: Linter,
    messages: MessageSequence,
    /// What is known of permessage-deflate.
    deflate: Deflate,
    /// The message that is unfinished is compressed.
    compressed: bool,
    /// Bytes that it was inflated to so far.
    inflated: u64,
    deflation: Deflation,
    /// Bytes of the stream after the opening handshake, before the chunk at hand.
    stream: u64,
    /// The first byte of the frame at hand, if any of it has come.
    start: Option<FrameStart>,
    frame: Option<FrameInProgress>,
    /// Reads that the frame at hand arrived in and that are not in the file any more, but for its last one.
    earlier_chunks: u16,
    scratch: Vec<u8>,
}

/// How far a direction has come: what it takes to go on from there without what came before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halfway {
    /// Where the first byte of what is unfinished stands: of a frame, or of a head.
    pub(super) begun: Option<Position>,
    /// How many bytes of an unfinished frame have come.
    pub(super) unfinished: u64,
    /// Who makes it.
    pub(super) origin: Origin,
    /// What came before it.
    pub(super) before: Before,
}

impl Halfway {
    /// What begins at `old` stands at `new` from now on, or is not there any more.
    pub(super) fn move_begun(&mut self, old: Position, new: Option<Position>) {
        if self.begun == Some(old) {
            self.begun = new;
        }
    }
}

/// What is not there of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// Frames.
    pub(super) frames: u64,
    /// Bytes after the opening handshake.
    pub(super) bytes: u64,
    /// How many reads the frame at hand has arrived in, if any of it has come.
    pub(super) chunks: u16,
    /// The message at hand.
    pub(super) message: Unfinished,
}

/// A message that is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// There is none.
    No,
    /// One of this opcode, compressed or not.
    Message(Opcode, bool),
    /// Where frames begin is not known.
    Unknown,
}

/// What is known of the compression on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deflate {
    /// There is none.
    Off,
    /// There may be: the handshake was not seen, or makes no sense.
    Unknown,
    Agreed(DeflateAgreement),
}

/// A chunk held back, and where its bytes stand.
#[derive(Debug)]
pub(super) struct HeldChunk {
    bytes: Vec<u8>,
    blocks: Vec<u64>,
    notes: Vec<Note>,
    start: usize,
    time: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct FrameStart {
    offset: u64,
    position: Option<Position>,
    origin: Origin,
    chunks: u16,
    /// When its first byte came.
    time: Timestamp,
    /// The message at hand when it began.
    message: Unfinished,
}

#[derive(Debug)]
struct FrameInProgress {
    header: Header,
    compressed: bool,
    findings: Vec<Finding>,
    /// A control frame's payload, unmasked, up to what is legal.
    body: Vec<u8>,
}

/// A frame that is complete, or never will be.
pub(super) struct Done {
    pub(super) frame: NewFrame,
    pub(super) findings: Vec<Finding>,
    /// A control frame's payload, up to what is legal.
    pub(super) body: Vec<u8>,
    /// The compressed messages so far, if the frame ends one.
    pub(super) deflated: Option<Deflated>,
    /// Where reading such messages can begin, if that is after this frame.
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Direction {
    /// The most bytes that are held before the handshake is answered.
    const MAX_HELD: usize = 1 << 20;
    /// Room for unmasking that is kept between chunks.
    const SCRATCH: usize = 1024;

    pub(super) fn new(from: Side, limits: Limits, maker: Origin) -> Self {
        Self {
            from,
            limits,
            maker,
            held: Vec::new(),
            held_bytes: 0,
            lost: false,
            searching: false,
            mid_message: false,
            unseen_pings: false,
            archived: false,
            decoder: Decoder::default(),
            linter: Linter::new(from, limits),
            messages: MessageSequence::default(),
            deflate: Deflate::Off,
            compressed: false,
            inflated: 0,
            deflation: Deflation::default(),
            stream: 0,
            start: None,
            frame: None,
            earlier_chunks: 0,
            scratch: Vec::new(),
        }
    }

    /// How far it has come, after `frames` frames and `bytes` bytes that follow the opening handshake.
    pub(super) fn halfway(&self, frames: u64, bytes: u64) -> Halfway {
        let message = if self.lost || self.searching { Unfinished::Unknown } else { self.message() };
        let before = Before { frames, bytes, chunks: 0, message };
        match &self.start {
            Some(start) => Halfway {
                begun: start.position,
                unfinished: bytes.saturating_sub(start.offset),
                origin: start.origin,
                before: Before { bytes: start.offset, chunks: start.chunks, message: start.message, ..before },
            },
            None => Halfway { begun: None, unfinished: 0, origin: self.maker, before },
        }
    }

    /// What came before the frame at hand, or the next one, will go: from where on, with what, its compressed messages can
    /// be inflated then.
    pub(super) fn border(&mut self) -> Option<(u64, Checkpoint)> {
        let (offset, message) = match &self.start {
            Some(start) => (start.offset, start.message),
            None => (self.stream, self.message()),
        };
        let has_begun = matches!(message, Unfinished::Message(_, true));
        Some((offset, self.deflation.border(self.linter.inflater()?, has_begun)?))
    }

    /// The frame at hand, `time` being when its last bytes so far came.
    pub(super) fn growing(&self, connection: &Connection, time: Timestamp) -> Option<Growing> {
        let start = self.start.as_ref().filter(|_| !self.lost && !self.searching)?;
        let entry = self.frame.as_ref().map(|frame| {
            let new = NewFrame {
                time,
                position: start.position,
                offset: start.offset,
                connection: connection.id,
                from: self.from,
                header: frame.header,
                chunks: start.chunks,
                complete: false,
                compressed: frame.compressed,
                message: None,
                origin: start.origin,
            };
            FrameEntry::new(&new, false, false, false)
        });
        Some(Growing { entry, came: self.stream.saturating_sub(start.offset), began: start.time, time })
    }

    fn message(&self) -> Unfinished {
        match self.messages.unfinished() {
            Some(opcode) => Unfinished::Message(opcode, self.compressed),
            None => Unfinished::No,
        }
    }

    /// Goes on from there, `before` not being there.
    pub(super) fn resume(&mut self, before: &Before) {
        if before.bytes == 0 {
            // all of the first frame is there, written anew
            self.earlier_chunks = before.chunks.saturating_sub(1);
            return;
        }
        self.lose_borders();
        self.stream = before.bytes;
        self.earlier_chunks = before.chunks.saturating_sub(1);
        let Unfinished::Message(opcode, compressed) = before.message else {
            self.searching = before.message == Unfinished::Unknown;
            self.mid_message = self.searching;
            return;
        };
        // what the message began with is not judged again
        let start = Header { rsv: if compressed { Rsv::RSV1 } else { Rsv::NONE }, ..Header::new(opcode, None, 0) };
        let start = start.with_fin(false);
        self.linter.header(&start, &mut Vec::new());
        self.linter.pass_over();
        self.linter.end(&mut Vec::new());
        self.messages.place(&start);
        self.compressed = compressed;
        (self.searching, self.mid_message) = (false, false);
    }

    /// What begins at `old` stands at `new` from now on, or is not there any more; returned is whether that is the frame at
    /// hand.
    pub(super) fn move_begun(&mut self, old: Position, new: Option<Position>) -> bool {
        let start = self.start.as_mut().filter(|start| start.position == Some(old));
        start.map(|start| start.position = new).is_some()
    }

    /// What stood in the file before `kept_from` is not there any more.
    pub(super) fn forget_held(&mut self, kept_from: u64) {
        for held in self.held.iter_mut().filter(|held| held.blocks.iter().any(|block| *block < kept_from)) {
            held.blocks.clear();
        }
    }

    /// permessage-deflate was agreed on: RSV1 marks compressed messages (RFC 7692 6).
    /// `None` where what was agreed on makes no sense.
    pub(super) fn expect_deflate(&mut self, agreement: Option<DeflateAgreement>) {
        self.deflate = agreement.map_or(Deflate::Unknown, Deflate::Agreed);
        self.linter = self.new_linter();
    }

    fn new_linter(&self) -> Linter {
        let mut linter = Linter::new(self.from, self.limits);
        match self.deflate {
            Deflate::Off => {}
            Deflate::Unknown => linter.allow_rsv(Rsv::RSV1),
            Deflate::Agreed(agreement) => linter.expect_deflate(agreement),
        }
        linter
    }

    /// The other side sent a ping.
    pub(super) fn expect_pong(&mut self, payload: &[u8]) {
        self.linter.expect_pong(payload);
    }

    /// Keeps a chunk until it is known whether it holds frames.
    pub(super) fn hold(&mut self, chunk: &Chunk<'_>) {
        self.held_bytes += chunk.bytes.len();
        if self.held_bytes > Self::MAX_HELD {
            self.lost = true;
            self.held.clear();
            return;
        }
        self.held.push(HeldChunk::new(chunk));
    }

    /// The chunks that were kept.
    pub(super) fn take_held(&mut self) -> Vec<HeldChunk> {
        std::mem::take(&mut self.held)
    }

    /// Finds the frames in a chunk and tells `done` of each that is complete.
    pub(super) fn chunk(&mut self, chunk: &Chunk<'_>, mut done: impl FnMut(Done)) {
        if self.lost {
            return;
        }
        if self.searching {
            self.search(chunk, done);
            return;
        }
        if let Some(start) = &mut self.start {
            start.chunks = start.chunks.saturating_add(1);
        }
        let whole = chunk.rest();
        let mut input = whole;
        loop {
            let at = whole.len() - input.len();
            if self.start.is_none() && !input.is_empty() {
                let offset = self.stream + at as u64;
                self.start = Some(FrameStart {
                    offset,
                    position: chunk.position(at),
                    origin: chunk.origin(at, self.maker),
                    chunks: std::mem::take(&mut self.earlier_chunks).saturating_add(1),
                    time: chunk.time,
                    message: self.message(),
                });
            }
            // most frames are there whole
            if let Some((header, payload)) = self.decoder.whole(&mut input) {
                self.header(header);
                if !payload.is_empty() {
                    self.payload(payload, 0);
                }
                if let Some(frame) = self.finish(chunk.time, true) {
                    done(frame);
                }
                continue;
            }
            match self.decoder.next(&mut input) {
                None => break,
                Some(Piece::Header(header)) => self.header(header),
                Some(Piece::Payload { bytes, offset }) => self.payload(bytes, offset),
                Some(Piece::End) => {
                    if let Some(frame) = self.finish(chunk.time, true) {
                        done(frame);
                    }
                }
                Some(Piece::Lost(_)) => {
                    // this frame never ends, and none after it can be found
                    if let Some(frame) = self.finish(chunk.time, false) {
                        done(frame);
                    }
                    self.lost = true;
                    break;
                }
            }
        }
        self.stream += whole.len() as u64;
        // thousands of connections at rest hold no more than a little each
        self.scratch.shrink_to(Self::SCRATCH);
    }

    /// The connection had begun before it was looked at: what was agreed on, and where frames begin, is not known.
    pub(super) fn begin_late(&mut self) {
        self.deflate = Deflate::Unknown;
        self.lose_borders();
        self.expect_any_pong();
    }

    /// Pings of the other side may not have been seen.
    pub(super) fn expect_any_pong(&mut self) {
        self.unseen_pings = true;
    }

    /// Its frames are made of messages: what messages don't tell is not judged.
    pub(super) fn judge_messages_alone(&mut self) {
        self.archived = true;
    }

    /// `bytes` were not seen. A payload is followed over them; a frame that can't be is returned.
    pub(super) fn gap(&mut self, bytes: u64) -> Option<(NewFrame, Vec<Finding>)> {
        if self.searching {
            // borders are looked for in what is without a gap
            self.stream += std::mem::take(&mut self.held_bytes) as u64;
            self.held.clear();
        }
        self.stream += bytes;
        if self.lost || self.searching {
            return None;
        }
        if self.decoder.payload_left().is_some_and(|left| left > bytes) {
            self.decoder.pass_over(bytes);
            self.linter.pass_over();
            return None;
        }
        let cut = self.give_up();
        self.lose_borders();
        cut
    }

    fn lose_borders(&mut self) {
        self.searching = true;
        self.mid_message = true;
        self.start = None;
        self.frame = None;
        self.decoder = Decoder::default();
        self.messages = MessageSequence::default();
        self.linter = self.new_linter();
        self.linter.pass_over();
    }

    /// Looks for a chunk at which frames begin.
    fn search(&mut self, chunk: &Chunk<'_>, mut done: impl FnMut(Done)) {
        self.held_bytes += chunk.rest().len();
        self.held.push(HeldChunk::new(chunk));
        let segments: Vec<_> = self.held.iter().map(|held| &held.bytes[held.start..]).collect();
        let found = resync::find(&segments, Some(self.from == Side::Client));
        let over = self.held.len() > resync::MAX_SEGMENTS || self.held_bytes > Self::MAX_HELD;
        let skipped = found.unwrap_or(usize::from(over));
        for held in self.held.drain(..skipped) {
            let length = held.bytes.len() - held.start;
            self.stream += length as u64;
            self.held_bytes -= length;
        }
        if found.is_some() {
            self.searching = false;
            self.held_bytes = 0;
            for held in std::mem::take(&mut self.held) {
                // a closure of its own each time: this function would otherwise contain itself
                self.chunk(&held.chunk(), &mut done as &mut dyn FnMut(Done));
            }
        }
    }

    /// The frame that was cut short when the connection ended.
    pub(super) fn give_up(&mut self) -> Option<(NewFrame, Vec<Finding>)> {
        self.finish(Timestamp::default(), false).map(|done| (done.frame, done.findings))
    }

    fn header(&mut self, header: Header) {
        let mut findings = Vec::new();
        self.linter.header(&header, &mut findings);
        if self.mid_message {
            findings.retain(|finding| finding.rule != Rule::ContinuationWithoutStart);
            self.mid_message = header.opcode.is_control() || header.opcode == Opcode::CONTINUATION;
        }
        let compressed = match self.messages.place(&header) {
            Place::First | Place::Interrupting => {
                self.inflated = 0;
                self.deflation.give_up();
                self.compressed = self.deflate != Deflate::Off && header.rsv.rsv1();
                self.compressed
            }
            Place::Continuation => self.compressed,
            Place::Control | Place::Orphan => false,
        };
        if compressed {
            self.deflation.frame(header.length);
        }
        self.frame = Some(FrameInProgress { header, compressed, findings, body: Vec::new() });
    }

    fn payload(&mut self, bytes: &[u8], offset: u64) {
        let Some(frame) = &mut self.frame else { return };
        let is_control = frame.header.opcode.is_control();
        if !is_control && !self.linter.judges_payload() {
            return;
        }
        let unmasked = match frame.header.masking_key {
            Some(key) => {
                self.scratch.clear();
                mask_onto(&mut self.scratch, bytes, key, offset);
                &self.scratch
            }
            None => bytes,
        };
        let inflated = &mut self.inflated;
        self.linter.payload(unmasked, &mut frame.findings, |piece| *inflated += piece.len() as u64);
        if is_control {
            let room = 125_usize.saturating_sub(frame.body.len());
            frame.body.extend_from_slice(&unmasked[..unmasked.len().min(room)]);
        }
    }

    fn finish(&mut self, time: Timestamp, complete: bool) -> Option<Done> {
        let start = self.start.take()?;
        let FrameInProgress { header, compressed, mut findings, body } = self.frame.take()?;
        if complete {
            self.linter.end(&mut findings);
        }
        if self.unseen_pings {
            findings.retain(|finding| finding.rule != Rule::PongUnsolicited);
        }
        if self.archived {
            findings.retain(|finding| finding.rule.concerns_message());
        }
        let ends_message = complete && header.fin && compressed;
        let message = ends_message.then(|| {
            let whole = self.linter.inflater().is_some() && self.linter.inflate_error().is_none();
            self.deflation.message(whole.then_some(self.inflated))
        });
        let frame = NewFrame {
            time,
            position: start.position,
            offset: start.offset,
            // the dissector knows it
            connection: ConnectionId(0),
            from: self.from,
            header,
            chunks: start.chunks,
            complete,
            compressed,
            message,
            origin: start.origin,
        };
        let deflated = ends_message.then(|| self.deflation.total());
        let inflater = self.linter.inflater().filter(|_| ends_message);
        let checkpoint = inflater.and_then(|inflater| self.deflation.place(inflater));
        Some(Done { frame, findings, body, deflated, checkpoint })
    }
}

impl HeldChunk {
    fn new(chunk: &Chunk<'_>) -> Self {
        Self {
            bytes: chunk.bytes.to_vec(),
            blocks: chunk.blocks.to_vec(),
            notes: chunk.notes.to_vec(),
            start: chunk.start,
            time: chunk.time,
        }
    }

    /// The chunk again.
    pub(super) fn chunk(&self) -> Chunk<'_> {
        Chunk { bytes: &self.bytes, start: self.start, blocks: &self.blocks, notes: &self.notes, time: self.time }
    }
}

/// The bytes of one read or write, from `start` on, and where they stand in the file.
pub(super) struct Chunk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) start: usize,
    pub(super) blocks: &'a [u64],
    pub(super) notes: &'a [Note],
    pub(super) time: Timestamp,
}

impl<'a> Chunk<'a> {
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Where the byte at `offset` after `start` stands in the file.
    pub(super) fn position(&self, offset: usize) -> Option<Position> {
        let at = self.start + offset;
        let block = *self.blocks.get(at / MAX_SEGMENT)?;
        // the remainder is below MAX_SEGMENT, hence fits 16 bits
        Some(Position { block, skip: (at % MAX_SEGMENT) as u16 })
    }

    fn origin(&self, offset: usize, maker: Origin) -> Origin {
        let at = self.start + offset;
        self.notes.iter().find(|note| note.offset == at).map_or(maker, |note| note.origin)
    }
}
