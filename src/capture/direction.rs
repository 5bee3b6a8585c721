//! One direction of a connection: its frames.

mod chunk;
mod halfway;
mod lane;

use super::connection::Connection;
use super::deflation::{Deflated, Deflation, Place as Checkpoint};
use super::event::{ConnectionId, Origin, Timestamp, Vantage};
use super::file::Position;
use super::frame_entry::{FrameEntry, NewFrame};
use super::growing::Growing;
use super::resync;
use crate::lint::{Finding, Limits, Linter, Rule};
use crate::wire::{Decoder, DeflateAgreement, Header, MessageSequence, Opcode, Piece, Place, Rsv, Side, mask_onto};
pub(super) use chunk::Chunk;
use chunk::HeldChunk;
pub(super) use halfway::{Before, Halfway, Unfinished};
pub(super) use lane::Lane;

/// What one side sends.
#[derive(Debug)]
pub(super) struct Direction {
    connection: ConnectionId,
    from: Side,
    limits: Limits,
    vantage: Vantage,
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

/// What is known of the compression on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deflate {
    /// There is none.
    Off,
    /// There may be: the handshake was not seen, or makes no sense.
    Unknown,
    Agreed(DeflateAgreement),
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

/// How much of a frame has arrived, and what shows by then.
#[derive(Clone, Copy)]
struct Arrived {
    time: Timestamp,
    complete: bool,
    compressed: bool,
    has_findings: bool,
}

#[derive(Debug)]
struct FrameInProgress {
    header: Header,
    compressed: bool,
    findings: Vec<Finding>,
    /// A control frame's payload, unmasked, up to what is legal.
    body: Vec<u8>,
}

/// Who is told of the frames in a chunk, in order.
pub(super) trait Frames {
    /// One that came whole, is a message of its own and breaks no rule: nearly every frame.
    fn usual(&mut self, entry: FrameEntry);

    /// Any other.
    fn done(&mut self, done: Done);
}

/// A frame that is complete, or never will be, and what is to be said of it.
pub(super) struct Done {
    pub(super) entry: FrameEntry,
    pub(super) findings: Vec<Finding>,
    /// A control frame's payload, up to what is legal.
    pub(super) body: Vec<u8>,
    /// What the compressed message counts as that it ends, and all of them so far.
    pub(super) deflated: Option<(Deflated, Deflated)>,
    /// Where reading such messages can begin, if that is after this frame.
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Direction {
    /// The most bytes that are held before the handshake is answered.
    const MAX_HELD: usize = 1 << 20;
    /// Room for unmasking that is kept between chunks.
    const SCRATCH: usize = 1024;

    pub(super) fn new(connection: &Connection, from: Side, limits: Limits) -> Self {
        Self {
            connection: connection.id,
            from,
            limits,
            vantage: connection.vantage,
            maker: connection.vantage.origin_of(from),
            held: Vec::new(),
            held_bytes: 0,
            lost: false,
            searching: false,
            mid_message: false,
            unseen_pings: false,
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

    /// The frame at hand, `time` being when its last bytes so far came.
    pub(super) fn growing(&self, time: Timestamp) -> Option<Growing> {
        let start = self.start.as_ref().filter(|_| !self.lost && !self.searching)?;
        let entry = self.frame.as_ref().map(|frame| {
            let FrameInProgress { header, compressed, .. } = *frame;
            self.entry(header, start, Arrived { time, complete: false, compressed, has_findings: false })
        });
        Some(Growing { entry, came: self.stream.saturating_sub(start.offset), began: start.time, time })
    }

    /// Bytes of the stream after the opening handshake.
    pub(super) fn stream(&self) -> u64 {
        self.stream
    }

    fn message(&self) -> Unfinished {
        match self.messages.unfinished() {
            Some(opcode) => Unfinished::Message(opcode, self.compressed),
            None => Unfinished::No,
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

    /// Finds the frames in a chunk and tells `frames` of each that is complete.
    pub(super) fn chunk(&mut self, chunk: &Chunk<'_>, frames: &mut impl Frames) {
        if self.lost {
            return;
        }
        if self.searching {
            self.search(chunk, frames);
            return;
        }
        if let Some(start) = &mut self.start {
            start.chunks = start.chunks.saturating_add(1);
        }
        let whole = chunk.rest();
        let mut input = whole;
        let mut origins = chunk.origins(self.maker);
        loop {
            if self.start.is_none() {
                self.usual(chunk, &mut input, frames);
                if input.is_empty() {
                    break;
                }
                let at = whole.len() - input.len();
                let chunks = std::mem::take(&mut self.earlier_chunks).saturating_add(1);
                let (offset, position, origin) = (self.stream + at as u64, chunk.position(at), origins.at(at));
                let message = self.message();
                self.start = Some(FrameStart { offset, position, origin, chunks, time: chunk.time, message });
            }
            match self.decoder.next(&mut input) {
                None => break,
                Some(Piece::Header(header)) => self.header(header),
                Some(Piece::Payload { bytes, offset }) => self.payload(bytes, offset),
                Some(Piece::End) => self.finish(chunk.time, true).into_iter().for_each(|done| frames.done(done)),
                Some(Piece::Lost(_)) => {
                    // this frame never ends, and none after it can be found
                    self.finish(chunk.time, false).into_iter().for_each(|done| frames.done(done));
                    self.lost = true;
                    break;
                }
            }
        }
        self.stream += whole.len() as u64;
        // thousands of connections at rest hold no more than a little each
        if self.scratch.capacity() > Self::SCRATCH {
            self.scratch.shrink_to(Self::SCRATCH);
        }
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

    /// `bytes` were not seen. A payload is followed over them; a frame that can't be is returned.
    pub(super) fn gap(&mut self, bytes: u64, time: Timestamp) -> Option<Done> {
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
        let cut = self.give_up(time);
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
    fn search(&mut self, chunk: &Chunk<'_>, frames: &mut impl Frames) {
        self.held_bytes += chunk.rest().len();
        self.held.push(HeldChunk::new(chunk));
        let segments: Vec<_> = self.held.iter().map(HeldChunk::rest).collect();
        let found = resync::find(&segments, Some(self.from == Side::Client));
        let over = self.held.len() > resync::MAX_SEGMENTS || self.held_bytes > Self::MAX_HELD;
        let skipped = found.unwrap_or(usize::from(over));
        for held in self.held.drain(..skipped) {
            let length = held.rest().len();
            self.stream += length as u64;
            self.held_bytes -= length;
        }
        if found.is_some() {
            self.searching = false;
            self.held_bytes = 0;
            for held in std::mem::take(&mut self.held) {
                self.chunk(&held.chunk(), frames);
            }
        }
    }

    /// The frame that was cut short when the connection ended.
    pub(super) fn give_up(&mut self, time: Timestamp) -> Option<Done> {
        self.finish(time, false)
    }

    /// Takes whole frames from the front of `input`, the rest of `chunk`, as long as each is a message of its own that breaks
    /// no rule: nothing more has to be known of them.
    fn usual(&mut self, chunk: &Chunk<'_>, input: &mut &[u8], frames: &mut impl Frames) {
        if let Some(mut lane) = self.open_lane() {
            lane.take(chunk, input, &mut self.scratch, |run, frame, _| frames.usual(run.frame(&frame)));
            self.close_lane(lane);
        }
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
        if self.vantage == Vantage::Archive {
            findings.retain(|finding| finding.rule.concerns_message());
        }
        let arrived = Arrived { time, complete, compressed, has_findings: !findings.is_empty() };
        let entry = self.entry(header, &start, arrived);
        let mut done = Done { entry, findings, body, deflated: None, checkpoint: None };
        if complete && header.fin && compressed {
            let whole = self.linter.inflater().is_some() && self.linter.inflate_error().is_none();
            let message = self.deflation.message(whole.then_some(self.inflated));
            done.deflated = Some((message, self.deflation.total()));
            done.checkpoint = self.linter.inflater().and_then(|inflater| self.deflation.place(inflater));
        }
        Some(done)
    }

    fn entry(&self, header: Header, start: &FrameStart, arrived: Arrived) -> FrameEntry {
        let new = NewFrame {
            time: arrived.time,
            position: start.position,
            offset: start.offset,
            connection: self.connection,
            from: self.from,
            header,
            chunks: start.chunks,
            complete: arrived.complete,
            compressed: arrived.compressed,
            origin: start.origin,
        };
        let is_injected = start.origin == Origin::User && self.vantage == Vantage::Beside;
        FrameEntry::new(&new, arrived.has_findings, is_injected, self.vantage == Vantage::Archive)
    }
}
