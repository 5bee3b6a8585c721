//! Masking (RFC 6455 5.3): payload byte i is XOR'd with byte i mod 4 of the key.

use std::fmt;

#[cfg(target_arch = "x86_64")]
use fearless_simd::{Level, Simd};

/// The four masking-key bytes as they stand on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MaskingKey(pub [u8; 4]);

impl MaskingKey {
    /// The key's byte for the payload byte at `offset`.
    pub const fn byte_at(self, offset: u64) -> u8 {
        self.0[(offset & 3) as usize]
    }

    pub(super) fn twice(self) -> [u8; 8] {
        self.word_at(0).to_ne_bytes()
    }

    /// Eight copies' worth of the key, turned so that its first byte is the one for `offset`.
    fn word_at(self, offset: u64) -> u64 {
        let mut turned = self.0;
        turned.rotate_left((offset & 3) as usize);
        let half = u64::from(u32::from_ne_bytes(turned));
        half << 32 | half
    }
}

impl fmt::Debug for MaskingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaskingKey({self})")
    }
}

/// Eight lower-case hex digits.
impl fmt::Display for MaskingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Masks or unmasks `bytes` in place. `offset` is where in its frame's payload the first of them stands.
#[inline]
pub fn mask(bytes: &mut [u8], key: MaskingKey, offset: u64) {
    if bytes.len() < LONG {
        return in_place(bytes, key.word_at(offset));
    }
    let head = head(bytes);
    let (head, body) = bytes.split_at_mut(head);
    let turned = key.word_at(offset.wrapping_add(head.len() as u64));
    in_place(head, key.word_at(offset));
    with_wide_moves(
        #[inline(always)]
        || in_place(body, turned),
    );
}

/// Masks or unmasks `bytes` into the front of `out`, which must have room for them, and returns that front: the
/// fastest way where a copy is needed anyway.
#[inline]
pub fn mask_into<'o>(out: &'o mut [u8], bytes: &[u8], key: MaskingKey, offset: u64) -> &'o mut [u8] {
    let out = &mut out[..bytes.len()];
    if bytes.len() < LONG {
        copying(out, bytes, key.word_at(offset));
        return out;
    }
    let head = head(out);
    let ((head, body), (out_head, out_body)) = (bytes.split_at(head), out.split_at_mut(head));
    let turned = key.word_at(offset.wrapping_add(head.len() as u64));
    copying(out_head, head, key.word_at(offset));
    with_wide_moves(
        #[inline(always)]
        || copying(out_body, body, turned),
    );
    out
}

/// Appends `bytes`, masked or unmasked, to `out`.
#[inline]
pub fn mask_onto(out: &mut Vec<u8>, bytes: &[u8], key: MaskingKey, offset: u64) {
    let start = out.len();
    // zeros first: a copy of some 2 KiB and more is slow on processors where its two places lie alike in their pages
    out.resize(start + bytes.len(), 0);
    mask_into(&mut out[start..], bytes, key, offset);
}

/// From so many bytes on it pays to ask what the processor can do.
const LONG: usize = 256;

/// From so many on it pays to begin them where moves of 32 bytes don't cross lines of the cache.
const VERY_LONG: usize = 4096;

/// How many of `bytes` stand before such a place.
fn head(bytes: &[u8]) -> usize {
    if bytes.len() < VERY_LONG { 0 } else { bytes.as_ptr().align_offset(32).min(bytes.len()) }
}

/// Does `work` with moves of 32 bytes where the processor has them. What is compiled for every x86-64 moves 16.
fn with_wide_moves(work: impl FnOnce()) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = Level::new().as_avx2() {
        return avx2.vectorize(work);
    }
    work();
}

#[expect(clippy::inline_always, reason = "what calls it decides how wide its moves are")]
#[inline(always)]
fn in_place(bytes: &mut [u8], word: u64) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
}

#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn copying(out: &mut [u8], bytes: &[u8], word: u64) {
    let (words, rest) = bytes.as_chunks::<8>();
    let (out_words, out_rest) = out.as_chunks_mut::<8>();
    for (out, chunk) in out_words.iter_mut().zip(words) {
        *out = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for ((out, byte), key) in out_rest.iter_mut().zip(rest).zip(word.to_ne_bytes()) {
        *out = byte ^ key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6455_5_7_masked_hello() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        mask(&mut payload, MaskingKey([0x37, 0xfa, 0x21, 0x3d]), 0);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn any_length_at_any_payload_offset_is_the_transform_of_rfc_6455_5_3() {
        let key = MaskingKey([0x12, 0x34, 0x56, 0x78]);
        // short ones, and longer ones, for which a processor may have wider moves
        for length in (0..70).chain(LONG - 2..LONG + 70).chain(VERY_LONG - 2..VERY_LONG + 34) {
            for offset in 0..9_u64 {
                let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let expected: Vec<u8> =
                    plain.iter().zip(offset..).map(|(byte, at)| byte ^ key.0[(at % 4) as usize]).collect();
                let mut masked = vec![0xEE];
                mask_onto(&mut masked, &plain, key, offset);
                assert_eq!(masked[1..], expected, "length {length} offset {offset}");
                let mut room = [0xEE; VERY_LONG + 80];
                let at = (offset * 5) as usize;
                assert_eq!(mask_into(&mut room[at..], &plain, key, offset), expected);
                assert_eq!(room[at + length], 0xEE, "no more than that");
                mask(&mut masked[1..], key, offset);
                assert_eq!(masked[1..], plain);
            }
        }
    }
}
