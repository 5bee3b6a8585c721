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
        self.word_at(0).to_le_bytes()
    }

    /// Eight copies' worth of the key, turned so that its first byte is the one for `offset`.
    fn word_at(self, offset: u64) -> u64 {
        // not by turning the array: that is a call, and takes longer than to mask 64 bytes
        let half = u64::from(u32::from_le_bytes(self.0).rotate_right(8 * (offset & 3) as u32));
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
    let word = key.word_at(offset);
    if bytes.len() < LONG {
        return in_place(bytes, word);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = Level::new().as_avx2() {
        return avx2.vectorize(
            #[inline(always)]
            move || wide_in_place(bytes, word),
        );
    }
    long_in_place(bytes, word);
}

/// Masks or unmasks `bytes` into the front of `out`, which must have room for them, and returns that front: the
/// fastest way where a copy is needed anyway.
#[inline]
pub fn mask_into<'o>(out: &'o mut [u8], bytes: &[u8], key: MaskingKey, offset: u64) -> &'o mut [u8] {
    let (out, word) = (&mut out[..bytes.len()], key.word_at(offset));
    if bytes.len() < LONG {
        return copying(out, bytes, word);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = Level::new().as_avx2() {
        return avx2.vectorize(
            #[inline(always)]
            move || wide_copying(out, bytes, word),
        );
    }
    long_copying(out, bytes, word)
}

/// Appends `bytes`, masked or unmasked, to `out`.
#[inline]
pub fn mask_onto(out: &mut Vec<u8>, bytes: &[u8], key: MaskingKey, offset: u64) {
    let start = out.len();
    // zeros first: a copy of some 2 KiB and more is slow on processors where its two places lie alike in their pages
    out.resize(start + bytes.len(), 0);
    mask_into(&mut out[start..], bytes, key, offset);
}

/// From so many bytes on it pays to ask what the processor can do: what is compiled for every x86-64 moves 16 at once.
const LONG: usize = 256;

/// From so many on it pays to begin them where none crosses lines of the cache.
const VERY_LONG: usize = 1024;

/// A wide move.
type Wide = [u8; 32];

/// The key's word for a byte that stands so many after the one it is for.
const fn turned(word: u64, by: usize) -> u64 {
    word.rotate_right(8 * (by as u32 & 3))
}

#[expect(clippy::inline_always, reason = "what calls it decides how wide its moves are")]
#[inline(always)]
fn wide(mut bytes: Wide, word: u64) -> Wide {
    for chunk in bytes.as_chunks_mut().0 {
        *chunk = (u64::from_le_bytes(*chunk) ^ word).to_le_bytes();
    }
    bytes
}

#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn wide_in_place(bytes: &mut [u8], word: u64) {
    let head = if bytes.len() < VERY_LONG { 0 } else { bytes.as_ptr().align_offset(size_of::<Wide>()) };
    let (head, body) = bytes.split_at_mut(head.min(bytes.len()));
    in_place(head, word);
    in_place(body, turned(word, head.len()));
}

/// In moves that don't cross lines of the cache as they write; the first and the last one may, and overlap those.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn wide_copying<'o>(out: &'o mut [u8], bytes: &[u8], word: u64) -> &'o mut [u8] {
    let length = bytes.len();
    let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
        return copying(out, bytes, word);
    };
    out.first_chunk_mut().into_iter().for_each(|chunk| *chunk = wide(*first, word));
    let head = out.as_ptr().align_offset(size_of::<Wide>()).min(length);
    let chunks = out[head..].as_chunks_mut().0.iter_mut().zip(bytes[head..].as_chunks().0);
    let (middle, end) = (turned(word, head), turned(word, length - size_of::<Wide>()));
    for (out, chunk) in chunks {
        *out = wide(*chunk, middle);
    }
    out.last_chunk_mut().into_iter().for_each(|chunk| *chunk = wide(*last, end));
    out
}

// not part of their callers, which would have to make room for them
#[inline(never)]
fn long_in_place(bytes: &mut [u8], word: u64) {
    in_place(bytes, word);
}

#[inline(never)]
fn long_copying<'o>(out: &'o mut [u8], bytes: &[u8], word: u64) -> &'o mut [u8] {
    copying(out, bytes, word)
}

#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn in_place(bytes: &mut [u8], word: u64) {
    let (words, rest) = bytes.as_chunks_mut();
    for chunk in words {
        *chunk = (u64::from_le_bytes(*chunk) ^ word).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_le_bytes()) {
        *byte ^= key;
    }
}

fn copying<'o>(out: &'o mut [u8], bytes: &[u8], word: u64) -> &'o mut [u8] {
    let (words, rest) = bytes.as_chunks();
    let (out_words, out_rest) = out.as_chunks_mut();
    for (out, chunk) in out_words.iter_mut().zip(words) {
        *out = (u64::from_le_bytes(*chunk) ^ word).to_le_bytes();
    }
    for ((out, byte), key) in out_rest.iter_mut().zip(rest).zip(word.to_le_bytes()) {
        *out = byte ^ key;
    }
    out
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
                let at = 1 + (offset * 5) as usize;
                assert_eq!(mask_into(&mut room[at..], &plain, key, offset), expected);
                assert_eq!([room[at - 1], room[at + length]], [0xEE; 2], "no more than that");
                mask(&mut room[at..at + length], key, offset);
                assert_eq!(room[at..at + length], plain);
                assert_eq!([room[at - 1], room[at + length]], [0xEE; 2], "no more than that");
            }
        }
    }
}
