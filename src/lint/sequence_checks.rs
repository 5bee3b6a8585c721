//! What the order of frames can break (RFC 6455 5.4, 5.5.1).

use super::{Finding, Limits, Rule};
use crate::wire::{Header, MessageSequence, Opcode, Place};

/// Follows one direction's messages.
#[derive(Clone, Debug, Default)]
pub(super) struct SequenceChecks {
    messages: MessageSequence,
    /// Of the message at hand; `None` where it is compressed: its length then shows when it is inflated.
    message_length: Option<u64>,
    too_big_said: bool,
    closed: bool,
}

impl SequenceChecks {
    /// `marks_compressed` if RSV1 of a message's first frame does.
    pub(super) fn check(
        &mut self,
        header: &Header,
        marks_compressed: bool,
        limits: &Limits,
        found: &mut Vec<Finding>,
    ) -> Place {
        if self.closed {
            found.push(Finding::new(Rule::FrameAfterClose, 0..header.len() as u64));
        }
        let unfinished = self.messages.unfinished();
        let place = self.messages.place(header);
        match (place, unfinished) {
            (Place::Orphan, _) => found.push(Finding::new(Rule::ContinuationWithoutStart, 0..1)),
            (Place::Interrupting, Some(opcode)) => {
                found.push(Finding::with_number(Rule::DataInsideMessage, 0..1, opcode.value().into()));
            }
            _ => {}
        }
        match place {
            Place::First | Place::Interrupting => {
                let is_compressed = marks_compressed && header.rsv.rsv1();
                self.message_length = (!is_compressed).then_some(header.length);
                self.too_big_said = false;
            }
            Place::Continuation => {
                self.message_length = self.message_length.map(|length| length.saturating_add(header.length));
            }
            Place::Control | Place::Orphan => return place,
        }
        let Some(message_length) = self.message_length else { return place };
        // a length with its top bit set is no length: that it is forbidden has been said
        if message_length > limits.max_message && !self.too_big_said && !header.has_length_top_bit() {
            self.too_big_said = true;
            let length_at = 1..2 + header.length_form.extended_bytes() as u64;
            found.push(Finding::with_number(Rule::MessageTooBig, length_at, message_length));
        }
        place
    }

    /// Whether a message may begin here.
    #[inline]
    pub(super) fn is_between_messages(&self) -> bool {
        !self.closed && self.messages.unfinished().is_none()
    }

    /// A frame with this opcode is complete.
    pub(super) fn end(&mut self, opcode: Opcode) {
        self.closed |= opcode == Opcode::CLOSE;
    }
}
