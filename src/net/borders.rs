//! Where in a direction of a relayed connection something of our own may go in: found by the headers of frames alone.

use crate::wire::{Decoder, MessageSequence, Opcode, Piece};

/// A place between frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Border {
    /// Between two frames, also of one message: for control frames (RFC 6455 5.5).
    Frame,
    /// Between two messages: for messages.
    Message,
}

/// Follows the borders of one direction.
#[derive(Debug)]
pub(super) struct Borders {
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// No frames come, or none that can be found.
    Opaque,
    Frames(Frames),
}

#[derive(Debug, Default)]
struct Frames {
    decoder: Decoder,
    messages: MessageSequence,
    inside: bool,
    /// The frame at hand is a close frame.
    closing: bool,
    closed: bool,
}

impl Borders {
    /// No border ever comes.
    pub(super) const fn none() -> Self {
        Self { phase: Phase::Opaque }
    }

    /// Frames come from the first byte on.
    pub(super) fn of_frames() -> Self {
        Self { phase: Phase::Frames(Frames::default()) }
    }

    /// Whether `border` is here.
    pub(super) fn is_at(&self, border: Border) -> bool {
        match &self.phase {
            Phase::Frames(frames) => frames.is_at(border),
            Phase::Opaque => false,
        }
    }

    /// Whether a whole close frame has come.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Frames(Frames { closed: true, .. }))
    }

    /// Goes on in `bytes` to the first `border` in them, or to their end; how many bytes that is.
    pub(super) fn advance(&mut self, bytes: &[u8], border: Option<Border>) -> usize {
        match &mut self.phase {
            Phase::Opaque => bytes.len(),
            Phase::Frames(frames) => {
                let mut input = bytes;
                frames.advance(&mut input, border);
                bytes.len() - input.len()
            }
        }
    }
}

impl Frames {
    fn is_at(&self, border: Border) -> bool {
        !self.inside && (border == Border::Frame || self.messages.unfinished().is_none())
    }

    fn advance(&mut self, input: &mut &[u8], border: Option<Border>) {
        loop {
            // most frames are there whole
            if let Some((header, _)) = self.decoder.whole(input) {
                self.messages.place(&header);
                self.inside = false;
                self.closed |= header.opcode == Opcode::CLOSE;
                if border.is_some_and(|border| self.is_at(border)) {
                    return;
                }
                continue;
            }
            let before = input.len();
            match self.decoder.next(input) {
                None => {
                    // what was taken is the beginning of a header
                    self.inside |= before > 0;
                    return;
                }
                Some(Piece::Header(header)) => {
                    self.inside = true;
                    self.closing = header.opcode == Opcode::CLOSE;
                    self.messages.place(&header);
                }
                Some(Piece::End) => {
                    self.inside = false;
                    self.closed |= self.closing;
                    if border.is_some_and(|border| self.is_at(border)) {
                        return;
                    }
                }
                Some(Piece::Lost(_)) => *input = &[],
                Some(Piece::Payload { .. }) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text in two fragments with a ping between them, then a close frame.
    const STREAM: &[u8] = b"\x01\x82keyshi\x89\x00\x80\x01!\x88\x00";

    #[test]
    fn any_split_gives_the_same_borders() {
        for (border, expected) in [(Border::Frame, &[8, 10, 13, 15][..]), (Border::Message, &[13, 15])] {
            for size in 1..=STREAM.len() {
                let (mut borders, mut found, mut at) = (Borders::of_frames(), Vec::new(), 0);
                for chunk in STREAM.chunks(size) {
                    let mut rest = chunk;
                    while !rest.is_empty() {
                        let n = borders.advance(rest, Some(border));
                        rest = &rest[n..];
                        at += n;
                        if borders.is_at(border) {
                            found.push(at);
                        }
                    }
                }
                assert_eq!(found, expected, "{border:?} by {size}");
                assert!(borders.is_closed());
            }
        }
    }

    #[test]
    fn after_a_length_that_says_nothing_no_border_comes() {
        let mut borders = Borders::of_frames();
        let lost = b"\x82\x7f\x80\0\0\0\0\0\0\0\x89\x00";
        assert_eq!(borders.advance(lost, Some(Border::Frame)), lost.len());
        assert!(!borders.is_at(Border::Frame));
    }
}
