//! All checks on the frames of one direction.

use super::Finding;
use super::header_checks::{self, RecentKeys};
use super::payload_checks::{self, OpenPings, TextChecks};
use super::sequence_checks::SequenceChecks;
use crate::wire::{Header, Opcode, Place, Rsv, Side};

/// Bounds that RFC 6455 10.4 tells an implementation to set for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most payload bytes of a frame.
    pub max_frame: u64,
    /// The most payload bytes of a message.
    pub max_message: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame: 16 << 20, max_message: 64 << 20 }
    }
}

/// Judges the frames that one side sends, as they arrive: each frame's header, its unmasked payload in any number of
/// pieces, its end. Findings are pushed as soon as the bytes show them.
#[derive(Clone, Debug)]
pub struct Linter {
    side: Side,
    limits: Limits,
    known_rsv: Rsv,
    keys: RecentKeys,
    sequence: SequenceChecks,
    /// The text message that is unfinished, if it is one.
    text: Option<TextChecks>,
    pings: OpenPings,
    frame: Option<Frame>,
}

/// The frame whose payload is coming in.
#[derive(Clone, Debug)]
struct Frame {
    header: Header,
    /// What its payload has to be judged as.
    judged: Judged,
    /// A control frame's payload as far as it came, up to what is legal.
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    NotAtAll,
    Text,
    ControlBody,
}

impl Linter {
    /// For the frames that `side` sends.
    pub fn new(side: Side, limits: Limits) -> Self {
        Self {
            side,
            limits,
            known_rsv: Rsv::NONE,
            keys: RecentKeys::default(),
            sequence: SequenceChecks::default(),
            text: None,
            pings: OpenPings::default(),
            frame: None,
        }
    }

    /// An extension that was agreed on gives these RSV bits a meaning (RFC 6455 9).
    pub fn allow_rsv(&mut self, rsv: Rsv) {
        self.known_rsv = rsv;
    }

    /// The other side sent a ping with this payload: a pong to it is not unsolicited.
    pub fn expect_pong(&mut self, payload: &[u8]) {
        self.pings.ping(&payload[..payload.len().min(125)]);
    }

    /// A frame begins.
    pub fn header(&mut self, header: &Header, found: &mut Vec<Finding>) {
        header_checks::check(header, self.side, self.known_rsv, &self.limits, found);
        self.keys.check(header, found);
        let place = self.sequence.check(header, &self.limits, found);
        let judged = match place {
            Place::First | Place::Interrupting => {
                // a compressed message is UTF-8 only once inflated
                let is_plain_text = header.opcode == Opcode::TEXT && !(header.rsv.rsv1() && self.known_rsv.rsv1());
                self.text = is_plain_text.then(TextChecks::default);
                if is_plain_text { Judged::Text } else { Judged::NotAtAll }
            }
            Place::Continuation if self.text.is_some() => Judged::Text,
            Place::Control if matches!(header.opcode, Opcode::CLOSE | Opcode::PONG) => Judged::ControlBody,
            Place::Control | Place::Continuation | Place::Orphan => Judged::NotAtAll,
        };
        self.frame = Some(Frame { header: *header, judged, body: Vec::new() });
    }

    /// Whether the payload of the frame at hand has to be shown to [`Linter::payload`]; if not, it need not be unmasked.
    pub fn judges_payload(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.judged != Judged::NotAtAll)
    }

    /// The next payload bytes of the frame, unmasked.
    pub fn payload(&mut self, bytes: &[u8], found: &mut Vec<Finding>) {
        let Some(frame) = &mut self.frame else { return };
        match frame.judged {
            Judged::NotAtAll => {}
            Judged::Text => {
                if let Some(text) = &mut self.text {
                    text.payload(bytes, frame.header.len() as u64, found);
                }
            }
            Judged::ControlBody => {
                let room = 125_usize.saturating_sub(frame.body.len());
                frame.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }

    /// Bytes of the frame's payload were not seen: neither it nor the rest of its message is judged by what they hold.
    pub fn pass_over(&mut self) {
        self.text = None;
        if let Some(frame) = &mut self.frame {
            frame.judged = Judged::NotAtAll;
        }
    }

    /// The frame is complete.
    pub fn end(&mut self, found: &mut Vec<Finding>) {
        let Some(Frame { header, judged, body }) = self.frame.take() else { return };
        let header_len = header.len() as u64;
        match judged {
            Judged::NotAtAll => {}
            Judged::Text => {
                if let Some(text) = &mut self.text {
                    text.end(header.fin, header.length, header_len, found);
                }
            }
            Judged::ControlBody if header.opcode == Opcode::CLOSE => {
                payload_checks::check_close_body(&body, &header, found);
            }
            Judged::ControlBody => {
                self.pings.check_pong(&body, 0..header_len + header.length, found);
            }
        }
        self.sequence.end(header.opcode);
    }
}
