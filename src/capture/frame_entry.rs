//! A frame, as the derivation tells of it and as the index holds it.

mod batch;
mod flags;
mod piece;
mod run;

pub(super) use batch::FrameBatch;
pub(super) use flags::Flags;
pub(super) use piece::{Piece, Span};
pub(super) use run::{Packed, Run};

use super::event::{ConnectionId, Origin, Timestamp};
use super::file::Position;
use crate::wire::{Header, LengthForm, MaskingKey, Opcode, Rsv, Side};

/// What the index holds of a frame: 44 bytes, whatever its payload, and 12 where it came right behind another one. The bytes
/// themselves are in the capture file.
#[derive(Clone, Copy, Debug)]
pub struct FrameEntry {
    time: Halves,
    length: Halves,
    /// Where its block begins in the file, and where it begins in its direction's stream.
    places: Places,
    connection: u32,
    key: MaskingKey,
    skip: u16,
    chunks: u16,
    first_two: [u8; 2],
    flags: Flags,
}

const _: () = assert!(size_of::<FrameEntry>() == 44);

/// A number of 64 bits, lower half first, that stands wherever one of 32 may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Halves([u32; 2]);

impl Halves {
    const fn new(number: u64) -> Self {
        Self([number as u32, (number >> 32) as u32])
    }

    const fn get(self) -> u64 {
        (self.0[1] as u64) << 32 | self.0[0] as u64
    }
}

/// Two numbers of 48 bits: their lower 32, then the upper 16 of both. A larger number counts as the largest: no file gets to
/// 256 TiB, and a stream of which that much has passed is kept from its beginning by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    lower: [u32; 2],
    upper: [u16; 2],
}

impl Places {
    const MOST: u64 = (1 << 48) - 1;
    const BLOCK: usize = 0;
    const OFFSET: usize = 1;

    const fn new(block: u64, offset: u64) -> Self {
        Self { lower: [0; 2], upper: [0; 2] }.with(Self::BLOCK, block).with(Self::OFFSET, offset)
    }

    const fn with(mut self, which: usize, number: u64) -> Self {
        let number = if number > Self::MOST { Self::MOST } else { number };
        self.lower[which] = number as u32;
        self.upper[which] = (number >> 32) as u16;
        self
    }

    const fn get(self, which: usize) -> u64 {
        (self.upper[which] as u64) << 32 | self.lower[which] as u64
    }
}

/// Everything that a [`FrameEntry`] is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewFrame {
    /// When its last byte came.
    pub(super) time: Timestamp,
    /// Where its first byte stands in the file; `None` if it is not there.
    pub(super) position: Option<Position>,
    /// Where its first byte stands in its direction's stream after the opening handshake.
    pub(super) offset: u64,
    /// The connection.
    pub(super) connection: ConnectionId,
    /// Who sent it.
    pub(super) from: Side,
    /// Its header.
    pub(super) header: Header,
    /// How many reads it arrived in.
    pub(super) chunks: u16,
    /// Whether all of it came.
    pub(super) complete: bool,
    /// Whether it belongs to a message that an extension has compressed.
    pub(super) compressed: bool,
    /// Who made it.
    pub(super) origin: Origin,
}

impl FrameEntry {
    pub(super) fn new(frame: &NewFrame, has_findings: bool, is_injected: bool, is_archived: bool) -> Self {
        let header = &frame.header;
        let mut entry = Self {
            time: Halves::new(frame.time.0),
            length: Halves::new(header.length),
            places: Places::new(0, frame.offset),
            connection: frame.connection.0,
            key: header.masking_key.unwrap_or_default(),
            skip: 0,
            chunks: frame.chunks,
            first_two: first_two(header),
            flags: Flags::made(frame.from, frame.origin)
                .with(Flags::COMPLETE, frame.complete)
                .with(Flags::COMPRESSED, frame.compressed)
                .with(Flags::HAS_FINDINGS, has_findings)
                .with(Flags::INJECTED, is_injected)
                .with(Flags::ARCHIVED, is_archived),
        };
        entry.set_position(frame.position);
        entry
    }

    /// When its last byte came.
    pub const fn time(&self) -> Timestamp {
        Timestamp(self.time.get())
    }

    /// The connection that it came on.
    pub const fn connection(&self) -> ConnectionId {
        ConnectionId(self.connection)
    }

    /// Who sent it.
    pub const fn from(&self) -> Side {
        self.flags.from()
    }

    /// Where its first byte stands in its direction's stream after the opening handshake.
    pub const fn offset(&self) -> u64 {
        self.places.get(Places::OFFSET)
    }

    /// Its opcode.
    pub const fn opcode(&self) -> Opcode {
        Opcode::new(self.first_two[0])
    }

    /// Its header, whole.
    pub const fn header(&self) -> Header {
        let [first, second] = self.first_two;
        Header {
            fin: first & 0x80 != 0,
            rsv: Rsv::new(first >> 4),
            opcode: Opcode::new(first),
            masking_key: if second & 0x80 == 0 { None } else { Some(self.key) },
            length: self.length.get(),
            length_form: LengthForm::from_length_bits(second & 0x7F),
        }
    }

    /// Its payload's length.
    pub(super) const fn length(&self) -> u64 {
        self.length.get()
    }

    /// How many reads it arrived in; 65 535 stands for that many or more.
    pub const fn chunks(&self) -> u16 {
        self.chunks
    }

    /// Whether all of it came.
    pub const fn is_complete(&self) -> bool {
        self.flags.has(Flags::COMPLETE)
    }

    /// Whether it belongs to a compressed message.
    pub const fn is_compressed(&self) -> bool {
        self.flags.has(Flags::COMPRESSED)
    }

    /// Whether it breaks a rule.
    pub const fn has_findings(&self) -> bool {
        self.flags.has(Flags::HAS_FINDINGS)
    }

    /// Who made it.
    pub const fn origin(&self) -> Origin {
        self.flags.origin()
    }

    /// Whether the user put it in between two peers.
    pub const fn is_injected(&self) -> bool {
        self.flags.has(Flags::INJECTED)
    }

    /// Whether it stands for a message that an archive holds: of its header the opcode is known, and nothing else. How
    /// its message was cut into frames and reads, and where in the stream they stood, is not known either.
    pub const fn is_archived(&self) -> bool {
        self.flags.has(Flags::ARCHIVED)
    }

    /// Where its first byte stands in the file; `None` if it could not be written.
    pub const fn position(&self) -> Option<Position> {
        if self.flags.has(Flags::MISSING) {
            None
        } else {
            Some(Position { block: self.places.get(Places::BLOCK), skip: self.skip })
        }
    }

    pub(super) fn set_position(&mut self, position: Option<Position>) {
        if let Some(Position { block, skip }) = position {
            self.places = self.places.with(Places::BLOCK, block);
            self.skip = skip;
        }
        self.flags = self.flags.with(Flags::MISSING, position.is_none());
    }

    /// Whether the same side of the same connection sent both.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.connection == other.connection && self.from() == other.from()
    }

    /// Whether its first byte is the one after the last of `other`, which is of the same side.
    pub(super) const fn follows(&self, other: &Self) -> bool {
        let header = other.header().len() as u64;
        other.offset().saturating_add(header).saturating_add(other.length()) == self.offset()
    }
}

/// The first two bytes of a header, but for the length: the 7-bit form keeps it elsewhere, and these bits tell the form.
#[inline]
fn first_two(header: &Header) -> [u8; 2] {
    let length_bits = match header.length_form {
        LengthForm::Bits7 => 0,
        LengthForm::Bits16 => 126,
        LengthForm::Bits64 => 127,
    };
    [
        u8::from(header.fin) << 7 | header.rsv.value() << 4 | header.opcode.value(),
        u8::from(header.masking_key.is_some()) << 7 | length_bits,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(block: u64, offset: u64, time: u64, length: u64) -> NewFrame {
        NewFrame {
            time: Timestamp(time),
            position: Some(Position { block, skip: u16::MAX }),
            offset,
            connection: ConnectionId(u32::MAX),
            from: Side::Server,
            header: Header::new(Opcode::BINARY, Some(MaskingKey([1, 2, 3, 4])), length),
            chunks: 1,
            complete: true,
            compressed: false,
            origin: Origin::Peer,
        }
    }

    #[test]
    fn every_number_comes_back_and_places_beyond_48_bits_count_as_the_last_one() {
        let numbers = [0, 1, u64::from(u32::MAX), 1 << 32, Places::MOST, 1 << 48, u64::MAX];
        for block in numbers {
            for offset in numbers {
                for number in numbers {
                    let (time, length) = (number, number >> 1);
                    let new = frame(block, offset, time, length);
                    let entry = FrameEntry::new(&new, false, false, false);
                    let place = |number: u64| number.min((1 << 48) - 1);
                    assert_eq!((entry.time(), entry.header()), (Timestamp(time), new.header));
                    assert_eq!(entry.offset(), place(offset));
                    assert_eq!(entry.position(), Some(Position { block: place(block), skip: u16::MAX }));
                    let run = Run::at(Timestamp(time), entry.connection(), Flags::made(Side::Server, Origin::Peer));
                    let run = run.beginning(block, Some(Position { block: offset, skip: 3 }));
                    let other = run.frame(&Packed::new(&new.header, 0));
                    assert_eq!(other.offset(), place(block));
                    assert_eq!(other.position(), Some(Position { block: place(offset), skip: 3 }));
                    assert_eq!((other.time(), other.from()), (Timestamp(time), Side::Server));
                }
            }
        }
    }
}
