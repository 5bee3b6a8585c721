//! A broken rule in given bytes.

use std::ops::Range;

use super::Rule;
use crate::wire::{CloseCode, Opcode, Rsv};

/// A rule that a frame or a handshake breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which one.
    pub rule: Rule,
    /// The bytes that show it: a range within the frame (header first) or within the head of the handshake.
    pub at: Range<u64>,
    /// What makes the sentence of [`Finding::sees`] precise.
    pub detail: Detail,
}

/// What was seen where a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing beyond the rule.
    None,
    /// A number: an opcode, a length, a code, an offset, as the rule has it.
    Number(u64),
    /// The same, of the bytes that a compressed message inflates to.
    Inflated(u64),
    /// What a line of a handshake holds.
    Text(Box<str>),
}

impl Finding {
    pub(super) const fn new(rule: Rule, at: Range<u64>) -> Self {
        Self { rule, at, detail: Detail::None }
    }

    pub(super) const fn with_number(rule: Rule, at: Range<u64>, number: u64) -> Self {
        Self { rule, at, detail: Detail::Number(number) }
    }

    /// What was seen, in a sentence.
    pub fn sees(&self) -> String {
        match &self.detail {
            Detail::None => self.sees_plain().to_owned(),
            Detail::Number(number) => self.sees_number(*number),
            Detail::Inflated(number) => self.sees_inflated(*number),
            Detail::Text(text) => text.to_string(),
        }
    }

    fn sees_plain(&self) -> &'static str {
        match self.rule {
            Rule::UnmaskedClientFrame => "The client sent this frame with MASK 0 and no masking key.",
            Rule::MaskedServerFrame => "The server sent this frame with MASK 1 and a masking key.",
            Rule::ContinuationWithoutStart => "A continuation, and no message has been begun in this direction.",
            Rule::FrameAfterClose => "This side had sent its close frame before.",
            Rule::CloseReasonInvalidUtf8 => "The reason is not valid UTF-8 from here on.",
            Rule::InflateFailed => "The compressed message ends inside a block of DEFLATE.",
            Rule::Rsv1OnContinuation => "This continuation has RSV1 1.",
            Rule::PongUnsolicited => "No ping with this payload was waiting for an answer.",
            rule => rule.sentence(),
        }
    }

    fn sees_inflated(&self, number: u64) -> String {
        match self.rule {
            Rule::InvalidUtf8 => format!("Byte {number} of the inflated message is not valid UTF-8."),
            Rule::MessageTooBig => format!("Inflated, the message has more than {number} bytes."),
            _ => self.sees_number(number),
        }
    }

    fn sees_number(&self, number: u64) -> String {
        let opcode = || Opcode::new(number as u8);
        match self.rule {
            Rule::RsvWithoutExtension => {
                let rsv = Rsv::new(number as u8);
                let set: Vec<_> = [("RSV1", rsv.rsv1()), ("RSV2", rsv.rsv2()), ("RSV3", rsv.rsv3())]
                    .into_iter()
                    .filter_map(|(name, is_set)| is_set.then_some(name))
                    .collect();
                let (names, verb) = (set.join(" and "), if set.len() == 1 { "is" } else { "are" });
                format!("{names} {verb} 1, and no extension gives that a meaning here.")
            }
            Rule::ReservedOpcode => format!("Opcode {number} (0x{number:x}) is reserved."),
            Rule::FragmentedControl if opcode().is_reserved() => "This control frame has FIN 0.".to_owned(),
            Rule::FragmentedControl => format!("This {} has FIN 0.", opcode()),
            Rule::ControlTooLong => format!("This control frame declares {number} bytes; 125 is the most."),
            Rule::LengthNotMinimal => format!("{number} would have fitted a shorter form of the length."),
            Rule::LengthTopBit => format!("The 64-bit length is 0x{number:016x}: its top bit is 1."),
            Rule::MaskingKeyReused => match number {
                1 => "The frame before had the same masking key.".to_owned(),
                frames => format!("The same masking key was used {frames} frames earlier."),
            },
            Rule::DataInsideMessage => {
                format!("A new message begins while a fragmented {} message is unfinished.", opcode())
            }
            Rule::InvalidUtf8 => format!("Byte {number} of the message is not valid UTF-8."),
            Rule::CloseBodyOneByte => format!("The body is the single byte 0x{number:02x}."),
            Rule::CloseCodeForbidden => {
                format!("Code {number} ({}) must never stand in a close frame.", CloseCode(number as u16).name())
            }
            Rule::CloseCodeUnassigned => format!("Code {number} has no meaning yet."),
            Rule::Rsv1OnControl if opcode().is_reserved() => "This control frame has RSV1 1.".to_owned(),
            Rule::Rsv1OnControl => format!("This {} has RSV1 1.", opcode()),
            Rule::InflateFailed => format!("Byte {number} of the compressed message can't be DEFLATE here."),
            Rule::FrameTooBig => format!("The frame declares {number} bytes."),
            Rule::MessageTooBig => format!("With this frame the message has {number} bytes."),
            rule => rule.sentence().to_owned(),
        }
    }
}
