//! A frame's header (RFC 6455 5.2):
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |            (16/64)            |
//! |N|V|V|V|       |S|             |   (if payload len==126/127)   |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//! |    Extended payload length continued, if payload len == 127   |
//! + - - - - - - - - - - - - - - - +-------------------------------+
//! |                               | Masking-key, if MASK set to 1 |
//! +-------------------------------+-------------------------------+
//! | Masking-key (continued)       |          Payload Data         |
//! +-------------------------------- - - - - - - - - - - - - - - - +
//! ```

use std::fmt;

use super::{MaskingKey, Opcode};

/// The longest header: two bytes, a 64-bit length, a masking key.
pub const MAX_HEADER: usize = 14;

/// Everything that the header of a frame says, legal or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// FIN: this is the last frame of its message.
    pub fin: bool,
    /// RSV1 to RSV3.
    pub rsv: Rsv,
    /// What kind of frame this is.
    pub opcode: Opcode,
    /// The masking key; there if and only if the MASK bit is 1.
    pub masking_key: Option<MaskingKey>,
    /// The payload's length in bytes, as declared.
    pub length: u64,
    /// Which of the three ways the length is written in.
    pub length_form: LengthForm,
}

/// What [`Header::parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The header needs this many bytes in all, as far as those at hand tell.
    Partial(usize),
    /// The whole header.
    Complete(Header),
}

impl Header {
    /// A header as a correct sender makes it: FIN set, no RSV bit, the length in its shortest form.
    pub const fn new(opcode: Opcode, masking_key: Option<MaskingKey>, length: u64) -> Self {
        Self { fin: true, rsv: Rsv::NONE, opcode, masking_key, length, length_form: LengthForm::shortest(length) }
    }

    /// The same header with FIN set to `fin`.
    #[must_use]
    pub const fn with_fin(self, fin: bool) -> Self {
        Self { fin, ..self }
    }

    /// Reads the header at the front of `bytes`. What follows the header is not looked at.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Parsed {
        match bytes.first_chunk() {
            Some(front) => Parsed::Complete(Self::read(front)),
            None => Self::parse_short(bytes),
        }
    }

    /// Where fewer bytes are at hand than the longest header has.
    fn parse_short(bytes: &[u8]) -> Parsed {
        let mut front = [0; MAX_HEADER];
        front[..bytes.len()].copy_from_slice(bytes);
        let header = Self::read(&front);
        match bytes.len() {
            0 | 1 => Parsed::Partial(2),
            len if len < header.len() => Parsed::Partial(header.len()),
            _ => Parsed::Complete(header),
        }
    }

    /// Reads as many of these bytes as the header has.
    #[expect(clippy::inline_always, reason = "its parts are in registers then, and not laid out in memory")]
    #[inline(always)]
    pub(super) fn read(front: &[u8; MAX_HEADER]) -> Self {
        let [first, second, rest @ ..] = *front;
        let (length_form, length, key) = match second & 0x7F {
            126 => (LengthForm::Bits16, u16::from_be_bytes(part(&rest, 0)).into(), part(&rest, 2)),
            127 => (LengthForm::Bits64, u64::from_be_bytes(part(&rest, 0)), part(&rest, 8)),
            length => (LengthForm::Bits7, length.into(), part(&rest, 0)),
        };
        Self {
            fin: first & 0x80 != 0,
            rsv: Rsv::new(first >> 4),
            opcode: Opcode::new(first),
            masking_key: (second & 0x80 != 0).then_some(MaskingKey(key)),
            length,
            length_form,
        }
    }

    /// Bytes of this header on the wire: 2 to 14.
    #[expect(clippy::len_without_is_empty, reason = "no header is empty")]
    #[inline]
    pub const fn len(&self) -> usize {
        2 + self.length_form.extended_bytes() + 4 * self.masking_key.is_some() as usize
    }

    /// Whether the length is written in the fewest bytes that hold it, as RFC 6455 5.2 demands.
    pub fn is_minimal(&self) -> bool {
        self.length_form == LengthForm::shortest(self.length)
    }

    /// A 64-bit length with its top bit set, which RFC 6455 5.2 forbids. Where such a frame ends is unknown.
    pub const fn has_length_top_bit(&self) -> bool {
        self.length >> 63 != 0
    }
}

/// The bytes of a header, after its first two, from `at` on: all of them in one move, where `at` is known.
#[expect(clippy::inline_always, reason = "it is always known")]
#[inline(always)]
fn part<const N: usize>(rest: &[u8; MAX_HEADER - 2], at: usize) -> [u8; N] {
    // there are as many
    rest[at..].first_chunk().copied().unwrap_or([0; N])
}

/// The three RSV bits as a number from 0 to 7: RSV1 = 4, RSV2 = 2, RSV3 = 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rsv(u8);

impl Rsv {
    /// No bit set.
    pub const NONE: Self = Self(0);
    /// RSV1 alone: in permessage-deflate, a compressed message (RFC 7692 6).
    pub const RSV1: Self = Self(4);

    /// The bits in the low three of `bits`.
    pub const fn new(bits: u8) -> Self {
        Self(bits & 0b111)
    }

    /// 0 to 7.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether RSV1 is set.
    pub const fn rsv1(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether RSV2 is set.
    pub const fn rsv2(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether RSV3 is set.
    pub const fn rsv3(self) -> bool {
        self.0 & 1 != 0
    }
}

impl fmt::Debug for Rsv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsv({:03b})", self.0)
    }
}

/// The three ways of writing a payload length, in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LengthForm {
    /// 0 to 125 in the seven bits of the second byte.
    Bits7,
    /// 126 in the seven bits, the length in the next two bytes.
    Bits16,
    /// 127 in the seven bits, the length in the next eight bytes.
    Bits64,
}

impl LengthForm {
    /// The form with the fewest bytes that holds `length`.
    pub const fn shortest(length: u64) -> Self {
        match length {
            0..=125 => Self::Bits7,
            126..=0xFFFF => Self::Bits16,
            _ => Self::Bits64,
        }
    }

    /// The form that the seven length bits announce.
    pub const fn from_length_bits(bits: u8) -> Self {
        match bits {
            126 => Self::Bits16,
            127 => Self::Bits64,
            _ => Self::Bits7,
        }
    }

    /// 7, 16 or 64.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Bits7 => 7,
            Self::Bits16 => 16,
            Self::Bits64 => 64,
        }
    }

    /// Bytes that the length takes after the first two: 0, 2 or 8.
    pub const fn extended_bytes(self) -> usize {
        match self {
            Self::Bits7 => 0,
            Self::Bits16 => 2,
            Self::Bits64 => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(bytes: &[u8]) -> Header {
        match Header::parse(bytes) {
            Parsed::Complete(header) => header,
            Parsed::Partial(needed) => panic!("{bytes:02x?} lacks bytes: {needed} needed"),
        }
    }

    #[test]
    fn every_bit_of_the_first_two_bytes_is_where_rfc_6455_5_2_draws_it() {
        for first in 0..=255_u8 {
            for second in 0..126_u8 {
                let header = complete(&[first, second]);
                assert_eq!(header.fin, first >= 0x80);
                assert_eq!(header.rsv.value(), first >> 4 & 7);
                assert_eq!(header.opcode.value(), first & 15);
                assert_eq!((header.length, header.masking_key), (u64::from(second), None));
            }
        }
    }

    #[test]
    fn lengths_are_network_byte_order_in_all_three_forms() {
        assert_eq!(complete(&[0x82, 0x7E, 0x01, 0x00]).length, 256);
        assert_eq!(complete(&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]).length, 65536);
        let header = complete(&[0x82, 0xFE, 0x00, 0x05, 1, 2, 3, 4]);
        assert_eq!((header.length, header.masking_key), (5, Some(MaskingKey([1, 2, 3, 4]))));
        assert!(!header.is_minimal());
        assert!(complete(&[0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0]).has_length_top_bit());
    }

    #[test]
    fn a_partial_header_says_how_many_bytes_it_needs() {
        let whole = [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9];
        assert_eq!(Header::parse(&[]), Parsed::Partial(2));
        assert_eq!(Header::parse(&whole[..1]), Parsed::Partial(2));
        for len in 2..14 {
            assert_eq!(Header::parse(&whole[..len]), Parsed::Partial(14));
        }
        assert_eq!(complete(&whole).len(), 14);
    }
}
