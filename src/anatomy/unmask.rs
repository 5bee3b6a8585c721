//! How a payload byte comes out of a masked one (RFC 6455 5.3).

use std::fmt;

use crate::wire::MaskingKey;

/// One byte's unmasking: `wire XOR key = plain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnmaskStep {
    /// Where in the payload the byte stands.
    pub offset: u64,
    /// The byte as it crossed the wire.
    pub wire: u8,
    /// Which of the four key bytes it meets: `offset mod 4`.
    pub key_index: u8,
    /// That key byte.
    pub key: u8,
    /// The payload byte.
    pub plain: u8,
}

/// Unmasks the byte `wire` at `offset` of a payload.
pub const fn unmask_step(key: MaskingKey, offset: u64, wire: u8) -> UnmaskStep {
    let key_byte = key.byte_at(offset);
    UnmaskStep { offset, wire, key_index: (offset & 3) as u8, key: key_byte, plain: wire ^ key_byte }
}

/// The derivation of every byte of `plain`, an unmasked piece of a payload whose first byte stands at `offset`.
pub fn unmask_steps(key: MaskingKey, plain: &[u8], offset: u64) -> impl Iterator<Item = UnmaskStep> {
    (offset..).zip(plain).map(move |(offset, &plain)| unmask_step(key, offset, plain ^ key.byte_at(offset)))
}

/// `payload[4] = 58 XOR key[4 mod 4 = 0] 37 = 6f`
impl fmt::Display for UnmaskStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, wire, key_index, key, plain } = self;
        write!(f, "payload[{offset}] = {wire:02x} XOR key[{offset} mod 4 = {key_index}] {key:02x} = {plain:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masked_hello_of_rfc_6455_5_7_comes_out_byte_by_byte() {
        let key = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
        let steps: Vec<_> = unmask_steps(key, b"Hello", 0).collect();
        assert_eq!(steps.iter().map(|step| step.wire).collect::<Vec<_>>(), [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(steps[4].to_string(), "payload[4] = 58 XOR key[4 mod 4 = 0] 37 = 6f");
        assert_eq!(unmask_step(key, 4, 0x58), steps[4]);
    }
}
