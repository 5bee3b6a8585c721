//! The peer's frames: checked, unmasked as far as anybody needs them, and put together.

use super::Config;
use super::config::Reply;
use crate::lint::{Finding, Linter, Rule};
use crate::wire::{
    Decoder, DeflateAgreement, Header, Message, Opcode, Piece, Reassembler, Side, is_text, mask, mask_onto,
};

/// What the peer's bytes amount to.
#[derive(Debug)]
pub(super) enum Arrival<'a> {
    /// A text or binary message in a frame of its own that breaks no rule and is not compressed: its header, and its payload
    /// as it is on the wire.
    Whole(Header, &'a [u8]),
    /// Another whole text or binary message.
    Message(Message),
    /// A ping with this payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong {
        /// It answers a ping of ours.
        solicited: bool,
    },
    /// A Close with this body.
    Close(Vec<u8>),
    /// A rule is broken that is enforced. Nothing that comes after it means anything.
    Broken(Finding),
}

#[derive(Debug)]
pub(super) struct Incoming {
    decoder: Decoder,
    linter: Linter,
    reassembler: Reassembler,
    /// The frame whose payload is coming in.
    frame: Option<Header>,
    /// Its payload, if it is a control frame: at most 125 bytes.
    control_body: Vec<u8>,
    /// Whether anybody wants the messages.
    collects: bool,
    tolerant: bool,
    found: Vec<Finding>,
    /// Unmasked bytes on their way: at most [`Self::PIECE`], or one frame of those that came together.
    plain: Vec<u8>,
}

impl Incoming {
    /// Payloads are unmasked in pieces that stay in the processor's nearest cache until they are checked and copied.
    const PIECE: usize = 16 * 1024;
    /// Room for those that is kept while nothing comes.
    const KEPT: usize = 4 * 1024;

    /// For what `peer` sends.
    pub(super) fn new(config: &Config, peer: Side) -> Self {
        Self {
            decoder: Decoder::default(),
            linter: Linter::new(peer, config.limits),
            reassembler: Reassembler::new(config.limits.max_message),
            frame: None,
            control_body: Vec::new(),
            collects: config.reply != Reply::Nothing,
            tolerant: config.tolerant,
            found: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// permessage-deflate was agreed on.
    pub(super) fn expect_deflate(&mut self, agreement: DeflateAgreement) {
        self.linter.expect_deflate(agreement);
    }

    /// We sent a ping with this payload.
    pub(super) fn expect_pong(&mut self, payload: &[u8]) {
        self.linter.expect_pong(payload);
    }

    /// Whether the peer is in the midst of a frame, where it can send nothing else.
    pub(super) fn is_inside_frame(&self) -> bool {
        !self.decoder.is_at_border()
    }

    /// The next arrival in `input`, from whose front it is taken; `None` when more bytes are needed.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Arrival<'a>> {
        loop {
            // most frames are there whole
            let arrival = if let Some((header, payload)) = self.decoder.whole(input) {
                self.whole(header, payload)
            } else {
                match self.decoder.next(input)? {
                    Piece::Header(header) => self.header(&header),
                    Piece::Payload { bytes, offset } => self.payload(bytes, offset),
                    Piece::End => self.end(),
                    // without frame borders even the tolerant are lost, and were told with the header
                    Piece::Lost(_) => None,
                }
            };
            if arrival.is_some() {
                return arrival;
            }
        }
    }

    /// The payload of a message that is not needed any more.
    pub(super) fn use_again(&mut self, payload: Vec<u8>) {
        self.reassembler.use_again(payload);
    }

    /// All has been taken that came: thousands of connections at rest hold no more than a little each.
    pub(super) fn rest(&mut self) {
        if !self.is_inside_frame() {
            self.plain.clear();
            self.plain.shrink_to(Self::KEPT);
            self.reassembler.shrink_room(Self::KEPT);
        }
    }

    fn whole<'a>(&mut self, header: Header, payload: &'a [u8]) -> Option<Arrival<'a>> {
        let room = &mut self.plain;
        if self.linter.whole_message(&header, || is_text(payload, header.masking_key, room)) {
            return self.collects.then_some(Arrival::Whole(header, payload));
        }
        self.header(&header)
            .or_else(|| if payload.is_empty() { None } else { self.payload(payload, 0) })
            .or_else(|| self.end())
    }

    fn header(&mut self, header: &Header) -> Option<Arrival<'static>> {
        self.frame = Some(*header);
        self.control_body.clear();
        self.linter.header(header, &mut self.found);
        if let Some(broken) = self.broken() {
            return Some(broken);
        }
        if self.collects {
            // a message that is too big is given up; here it is so only where that is tolerated
            let _ = self.reassembler.header(&self.as_inflated(header));
        }
        None
    }

    /// How large a compressed message gets shows, and is limited, only when it is inflated.
    fn as_inflated(&self, header: &Header) -> Header {
        if self.linter.inflates() { Header { length: 0, ..*header } } else { *header }
    }

    fn payload(&mut self, bytes: &[u8], offset: u64) -> Option<Arrival<'static>> {
        let header = self.frame?;
        let is_control = header.opcode.is_control();
        if !(is_control || self.collects || self.linter.judges_payload()) {
            return None;
        }
        for (piece, offset) in bytes.chunks(Self::PIECE).zip((offset..).step_by(Self::PIECE)) {
            self.plain.clear();
            match header.masking_key {
                Some(key) => mask_onto(&mut self.plain, piece, key, offset),
                None => self.plain.extend_from_slice(piece),
            }
            let (collects, reassembler) = (self.collects, &mut self.reassembler);
            self.linter.payload(&self.plain, &mut self.found, |inflated| {
                if collects {
                    reassembler.payload(inflated);
                }
            });
            if let Some(broken) = self.broken() {
                return Some(broken);
            }
            if is_control {
                let room = 125 - self.control_body.len();
                self.control_body.extend_from_slice(&self.plain[..self.plain.len().min(room)]);
            } else if self.collects && !self.linter.inflates() {
                self.reassembler.payload(&self.plain);
            }
        }
        None
    }

    fn end(&mut self) -> Option<Arrival<'static>> {
        let header = self.frame.take()?;
        self.linter.end(&mut self.found);
        let is_whole = self.linter.inflate_error().is_none();
        let solicited = self.found.iter().all(|finding| finding.rule != Rule::PongUnsolicited);
        if let Some(broken) = self.broken() {
            return Some(broken);
        }
        match header.opcode {
            Opcode::PING => Some(Arrival::Ping(self.control_body.clone())),
            Opcode::PONG => Some(Arrival::Pong { solicited }),
            Opcode::CLOSE => Some(Arrival::Close(self.control_body.clone())),
            _ if header.opcode.is_control() || !self.collects => None,
            _ => {
                let message = self.reassembler.end().filter(|_| is_whole);
                message.filter(|message| !message.opcode.is_reserved()).map(Arrival::Message)
            }
        }
    }

    /// The first rule among those just found broken that is enforced.
    fn broken(&mut self) -> Option<Arrival<'static>> {
        let enforced = |finding: &Finding| match finding.rule {
            Rule::LengthTopBit => true,
            rule => !self.tolerant && rule.close_code().is_some(),
        };
        let found = self.found.iter().position(enforced).map(|first| Arrival::Broken(self.found.swap_remove(first)));
        self.found.clear();
        found
    }
}

/// The message that such a frame is.
pub(super) fn whole_message(header: &Header, payload: &[u8]) -> Message {
    let mut payload = payload.to_vec();
    if let Some(key) = header.masking_key {
        mask(&mut payload, key, 0);
    }
    Message { opcode: header.opcode, payload, fragments: 1 }
}
