//! The four opcode bits of a frame (RFC 6455 5.2, 11.8).

use std::fmt;

/// A frame's opcode, 0 to 15. Reserved values are kept as they came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opcode(u8);

impl Opcode {
    /// Goes on with the message that an earlier frame began.
    pub const CONTINUATION: Self = Self(0x0);
    /// Begins a message of UTF-8 text.
    pub const TEXT: Self = Self(0x1);
    /// Begins a message of arbitrary bytes.
    pub const BINARY: Self = Self(0x2);
    /// The closing handshake.
    pub const CLOSE: Self = Self(0x8);
    /// Asks for a pong.
    pub const PING: Self = Self(0x9);
    /// Answers a ping, or stands alone as a heartbeat.
    pub const PONG: Self = Self(0xA);

    /// The opcode in the low four bits of `byte`.
    pub const fn new(byte: u8) -> Self {
        Self(byte & 0x0F)
    }

    /// 0 to 15.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether the top bit is set, as it is in close, ping, pong and 11 to 15 (RFC 6455 5.5).
    pub const fn is_control(self) -> bool {
        self.0 & 0x8 != 0
    }

    /// 3 to 7 and 11 to 15: without a meaning until an extension gives them one.
    pub const fn is_reserved(self) -> bool {
        matches!(self.0, 0x3..=0x7 | 0xB..=0xF)
    }

    /// `text binary continuation close ping pong`, else `reserved`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CONTINUATION => "continuation",
            Self::TEXT => "text",
            Self::BINARY => "binary",
            Self::CLOSE => "close",
            Self::PING => "ping",
            Self::PONG => "pong",
            _ => "reserved",
        }
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opcode({:#x} {})", self.0, self.name())
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixteen_opcodes_have_the_kinds_of_rfc_6455_5_2() {
        for value in 0..16 {
            let opcode = Opcode::new(value);
            assert_eq!(opcode.is_control(), value >= 8, "{opcode:?}");
            assert_eq!(opcode.is_reserved(), opcode.name() == "reserved", "{opcode:?}");
        }
        assert_eq!((0..16).filter(|&v| Opcode::new(v).is_reserved()).count(), 10);
    }

    #[test]
    fn only_the_low_four_bits_count() {
        assert_eq!(Opcode::new(0x81), Opcode::TEXT);
    }
}
