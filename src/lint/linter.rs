//! All checks on the frames of one direction.

use super::Finding;
use super::compression_checks::{self, CompressionChecks};
use super::header_checks::{self, RecentKeys};
use super::payload_checks::{self, OpenPings, TextChecks};
use super::sequence_checks::SequenceChecks;
use crate::wire::{DeflateAgreement, Header, InflateError, Inflater, Opcode, Place, Rsv, Side};

/// Bounds that RFC 6455 10.4 tells an implementation to set for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most payload bytes of a frame.
    pub max_frame: u64,
    /// The most payload bytes of a message.
    pub max_message: u64,
}

impl Limits {
    /// The most payload bytes of a message in one frame.
    pub fn max_whole(&self) -> u64 {
        self.max_frame.min(self.max_message)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame: 16 << 20, max_message: 64 << 20 }
    }
}

/// Judges the frames that one side sends, as they arrive: each frame's header, its unmasked payload in any number of
/// pieces, its end. Findings are pushed as soon as the bytes show them. Compressed messages are inflated on the way, and
/// whoever drives the linter is handed what they give.
#[derive(Debug)]
pub struct Linter {
    side: Side,
    limits: Limits,
    known_rsv: Rsv,
    /// Where permessage-deflate was agreed on.
    compression: Option<CompressionChecks>,
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
    /// Of a compressed message, which is text if [`Linter::text`] is there.
    Compressed,
    ControlBody,
}

impl Linter {
    /// For the frames that `side` sends.
    pub fn new(side: Side, limits: Limits) -> Self {
        Self {
            side,
            limits,
            known_rsv: Rsv::NONE,
            compression: None,
            keys: RecentKeys::default(),
            sequence: SequenceChecks::default(),
            text: None,
            pings: OpenPings::default(),
            frame: None,
        }
    }

    /// permessage-deflate was agreed on: compressed messages are inflated and judged by what they give, and RSV1 marks
    /// nothing but their first frames (RFC 7692 6).
    pub fn expect_deflate(&mut self, agreement: DeflateAgreement) {
        self.known_rsv = Rsv::new(self.known_rsv.value() | Rsv::RSV1.value());
        self.compression = Some(CompressionChecks::new(agreement, self.side, self.limits.max_message));
    }

    /// The same, where compressed messages may have come before the first frame: a message that refers back to what is not
    /// known breaks no rule by that; it gives [`InflateError::Lost`].
    pub fn expect_deflate_in_mid_conversation(&mut self, agreement: DeflateAgreement) {
        self.expect_deflate(agreement);
        let limit = self.limits.max_message;
        self.compression = self.compression.take().map(|compression| compression.in_mid_conversation(limit));
    }

    /// An extension that was agreed on, or may have been, gives these RSV bits a meaning (RFC 6455 9). A message that
    /// RSV1 marks is taken to be compressed in an unknown way: what it holds is not judged.
    pub fn allow_rsv(&mut self, rsv: Rsv) {
        self.known_rsv = rsv;
    }

    /// The other side sent a ping with this payload: a pong to it is not unsolicited.
    pub fn expect_pong(&mut self, payload: &[u8]) {
        self.pings.ping(&payload[..payload.len().min(125)]);
    }

    /// Takes a whole frame in if it is what nearly every one is: a text or binary message that breaks no rule. Otherwise
    /// nothing has happened, and the frame is to be shown in the usual way. `is_text` is asked of a text message alone:
    /// whether it is valid UTF-8.
    #[inline]
    pub fn whole_message(&mut self, header: &Header, is_text: impl FnOnce() -> bool) -> bool {
        self.expects_usual() && self.keys.note_usual(header, self.side, self.limits.max_whole(), is_text)
    }

    /// Whether the next frame may be such a one, whatever it is. As long as all of them are, [`RecentKeys::note_usual`] is all
    /// that has to be asked.
    #[inline]
    pub fn expects_usual(&self) -> bool {
        self.compression.is_none() && self.sequence.is_between_messages()
    }

    /// The masking keys that came last.
    #[inline]
    pub fn keys(&mut self) -> &mut RecentKeys {
        &mut self.keys
    }

    /// A frame begins.
    pub fn header(&mut self, header: &Header, found: &mut Vec<Finding>) {
        header_checks::check(header, self.side, self.known_rsv, &self.limits, found);
        if self.compression.is_some() {
            compression_checks::check_rsv1(header, found);
        }
        self.keys.check(header, found);
        let place = self.sequence.check(header, self.known_rsv.rsv1(), &self.limits, found);
        let judged = match place {
            Place::First | Place::Interrupting => {
                let is_compressed = header.rsv.rsv1() && self.known_rsv.rsv1();
                if let Some(compression) = &mut self.compression {
                    compression.begin(is_compressed);
                }
                // a compressed message is UTF-8 only once inflated
                let is_judged = header.opcode == Opcode::TEXT && (!is_compressed || self.compression.is_some());
                self.text = is_judged.then(TextChecks::default);
                self.judged_as_data()
            }
            Place::Continuation => self.judged_as_data(),
            Place::Control if matches!(header.opcode, Opcode::CLOSE | Opcode::PONG) => Judged::ControlBody,
            Place::Control | Place::Orphan => Judged::NotAtAll,
        };
        self.frame = Some(Frame { header: *header, judged, body: Vec::new() });
    }

    fn judged_as_data(&self) -> Judged {
        if self.compression.as_ref().is_some_and(CompressionChecks::is_open) {
            Judged::Compressed
        } else if self.text.is_some() {
            Judged::Text
        } else {
            Judged::NotAtAll
        }
    }

    /// Whether the frame at hand is of a compressed message that is inflated here: what the message holds is what goes
    /// to `inflated` of [`Linter::payload`].
    pub fn inflates(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.judged == Judged::Compressed)
    }

    /// Why the compressed message at hand, or the one that was just complete, can't be told to its end.
    pub fn inflate_error(&self) -> Option<InflateError> {
        self.compression.as_ref().and_then(CompressionChecks::error)
    }

    /// What inflates the messages, where permessage-deflate was agreed on.
    pub fn inflater(&self) -> Option<&Inflater> {
        self.compression.as_ref().map(CompressionChecks::inflater)
    }

    /// Whether the payload of the frame at hand has to be shown to [`Linter::payload`]; if not, it need not be unmasked.
    pub fn judges_payload(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.judged != Judged::NotAtAll)
    }

    /// The next payload bytes of the frame, unmasked. What those of a compressed message inflate to goes to `inflated`,
    /// in pieces of up to 8 KiB, in all up to [`Limits::max_message`].
    pub fn payload(&mut self, bytes: &[u8], found: &mut Vec<Finding>, inflated: impl FnMut(&[u8])) {
        let Some(frame) = &mut self.frame else { return };
        match frame.judged {
            Judged::NotAtAll => {}
            Judged::Text => {
                if let Some(text) = &mut self.text {
                    text.payload(bytes, frame.header.len() as u64, found);
                }
            }
            Judged::Compressed => {
                if let Some(compression) = &mut self.compression {
                    compression.payload(bytes, &frame.header, self.text.as_mut(), found, inflated);
                }
            }
            Judged::ControlBody => {
                let room = 125_usize.saturating_sub(frame.body.len());
                frame.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }

    /// Bytes of the frame's payload, or between two frames, were not seen: neither it nor the rest of its message is
    /// judged by what they hold, nor a compressed message that may refer to them.
    pub fn pass_over(&mut self) {
        self.text = None;
        let concerns_compression = self.frame.is_none() || self.inflates();
        if let Some(compression) = &mut self.compression
            && concerns_compression
        {
            compression.abandon();
        }
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
            Judged::Compressed => {
                if let Some(compression) = &mut self.compression {
                    compression.end(&header, self.text.as_mut(), found);
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
