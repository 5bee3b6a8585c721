//! What has to be known beside a frame's own bytes to say what they mean.

use crate::wire::{Header, MessageSequence, Opcode, Place, Side};

/// A frame's surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameContext {
    /// Who sent it.
    pub from: Side,
    /// Its place among the messages of that side.
    pub place: Place,
    /// The opcode of the message that it belongs to, if it belongs to one that is known.
    pub message: Option<Opcode>,
    /// Whether permessage-deflate was agreed on.
    pub deflate: bool,
    /// Whether it belongs to a compressed message.
    pub compressed: bool,
}

impl FrameContext {
    /// For a frame of which nothing else is known: a continuation is taken to continue something.
    pub const fn alone(header: &Header, from: Side) -> Self {
        let (place, message) = match header.opcode {
            opcode if opcode.is_control() => (Place::Control, None),
            Opcode::CONTINUATION => (Place::Continuation, None),
            opcode => (Place::First, Some(opcode)),
        };
        Self { from, place, message, deflate: false, compressed: false }
    }
}

/// Follows the frames of one direction and tells each one's context.
#[derive(Clone, Copy, Debug)]
pub struct FrameContexts {
    from: Side,
    deflate: bool,
    sequence: MessageSequence,
    compressed: bool,
}

impl FrameContexts {
    /// For the frames that `from` sends; `deflate` if permessage-deflate was agreed on.
    pub fn new(from: Side, deflate: bool) -> Self {
        Self { from, deflate, sequence: MessageSequence::default(), compressed: false }
    }

    /// Takes the next frame's header.
    pub fn next(&mut self, header: &Header) -> FrameContext {
        let unfinished = self.sequence.unfinished();
        let place = self.sequence.place(header);
        let message = match place {
            Place::Control | Place::Orphan => None,
            Place::First | Place::Interrupting => {
                self.compressed = self.deflate && header.rsv.rsv1();
                Some(header.opcode)
            }
            Place::Continuation => unfinished,
        };
        let compressed = message.is_some() && self.compressed;
        FrameContext { from: self.from, place, message, deflate: self.deflate, compressed }
    }
}
