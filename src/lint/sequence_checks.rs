//! What the order of frames can break (RFC 6455 5.4, 5.5.1).

use super::{Finding, Limits, Rule};
use crate::wire::{Header, MessageSequence, Opcode, Place};

/// Follows one direction's messages.
#[derive(Clone, Debug, Default)]
pub(super) struct SequenceChecks {
    messages: MessageSequence,
    message_length: u64,
    too_big_said: bool,
    closed: bool,
}

impl SequenceChecks {
    pub(super) fn check(&mut self, header: &Header, limits: &Limits, found: &mut Vec<Finding>) -> Place {
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
            Place::First | Place::Interrupting => (self.message_length, self.too_big_said) = (header.length, false),
            Place::Continuation => self.message_length = self.message_length.saturating_add(header.length),
            Place::Control | Place::Orphan => return place,
        }
        // a length with its top bit set is no length: that it is forbidden has been said
        if self.message_length > limits.max_message && !self.too_big_said && !header.has_length_top_bit() {
            self.too_big_said = true;
            let length_at = 1..2 + header.length_form.extended_bytes() as u64;
            found.push(Finding::with_number(Rule::MessageTooBig, length_at, self.message_length));
        }
        place
    }

    /// A frame with this opcode is complete.
    pub(super) fn end(&mut self, opcode: Opcode) {
        self.closed |= opcode == Opcode::CLOSE;
    }
}
