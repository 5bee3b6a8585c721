//! UTF-8 checked as the bytes arrive (RFC 6455 8.1).

use std::fmt;

#[cfg(target_arch = "x86_64")]
use fearless_simd::{Level, Simd};

use super::{MaskingKey, mask_onto};

/// Checks a text message piece by piece, across fragments, and fails at the first byte that cannot be right.
#[derive(Clone, Debug, Default)]
pub struct Utf8Checker {
    /// The first bytes of a character whose last have not come: `held_len < 4`.
    held: [u8; 4],
    held_len: usize,
    /// Bytes of the message before those held.
    checked: u64,
}

/// Where a message stops being UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8 {
    /// Offset within the message of the first byte that belongs to no valid character.
    pub offset: u64,
}

impl Utf8Checker {
    /// Takes the next bytes of the message.
    #[inline]
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), InvalidUtf8> {
        if self.held_len > 0 {
            bytes = self.complete_held(bytes)?;
        }
        // most short texts are ASCII, and found to be so before simdutf8 would begin
        if bytes.len() < 256 && is_ascii(bytes, [0; 8]) {
            self.checked += bytes.len() as u64;
            return Ok(());
        }
        self.check(bytes)
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        match simdutf8::compat::from_utf8(bytes) {
            Ok(_) => self.checked += bytes.len() as u64,
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                self.checked += valid.len() as u64;
                if error.error_len().is_some() {
                    return Err(InvalidUtf8 { offset: self.checked });
                }
                // without an error length the rest is the beginning of one character, so at most 3 bytes
                self.held[..rest.len()].copy_from_slice(rest);
                self.held_len = rest.len();
            }
        }
        Ok(())
    }

    /// The message is over: no character may be cut short.
    pub fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.held_len == 0 { Ok(()) } else { Err(InvalidUtf8 { offset: self.checked }) }
    }

    /// Adds bytes to the character held until it is whole; what is left is returned.
    fn complete_held<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], InvalidUtf8> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.held[self.held_len] = byte;
            self.held_len += 1;
            bytes = rest;
            match std::str::from_utf8(&self.held[..self.held_len]) {
                Ok(_) => {
                    self.checked += self.held_len as u64;
                    self.held_len = 0;
                    break;
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8 { offset: self.checked }),
                // still the beginning of a character, hence shorter than 4 bytes
                Err(_) => {}
            }
        }
        Ok(bytes)
    }
}

/// Whether `payload`, as it is on the wire, is a whole text that is valid. It is not unmasked where it is ASCII, else into
/// `room`, whatever that holds.
#[expect(clippy::inline_always, reason = "a call costs as much as to look at a short text")]
#[inline(always)]
pub fn is_text(payload: &[u8], key: Option<MaskingKey>, room: &mut Vec<u8>) -> bool {
    is_ascii(payload, key.unwrap_or_default().twice()) || is_other_text(payload, key, room)
}

fn is_other_text(payload: &[u8], key: Option<MaskingKey>, room: &mut Vec<u8>) -> bool {
    let Some(key) = key else { return simdutf8::basic::from_utf8(payload).is_ok() };
    room.clear();
    mask_onto(room, payload, key, 0);
    simdutf8::basic::from_utf8(room).is_ok()
}

/// What is looked at before anything is said of it: nearly all that is not ASCII shows it soon.
const PART: usize = 256;

#[expect(clippy::inline_always, reason = "see `is_text`")]
#[inline(always)]
fn is_ascii(bytes: &[u8], key: [u8; 8]) -> bool {
    if bytes.len() < 2 * PART { are_parts_ascii(bytes, key) } else { is_long_ascii(bytes, key) }
}

// a call is nothing beside that, and it would be in many places
#[inline(never)]
fn is_long_ascii(bytes: &[u8], key: [u8; 8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = Level::new().as_avx2() {
        return avx2.vectorize(
            #[inline(always)]
            move || are_parts_ascii(bytes, key),
        );
    }
    are_parts_ascii(bytes, key)
}

/// Eight bytes at a time, whatever is found on the way: for less than a few hundred, that is the fastest.
#[expect(clippy::inline_always, reason = "what calls it decides how wide its moves are")]
#[inline(always)]
fn are_parts_ascii(bytes: &[u8], key: [u8; 8]) -> bool {
    let word = u64::from_ne_bytes(key);
    let are_ascii = |words: &[[u8; 8]]| {
        words.iter().fold(0, |all, chunk| all | (u64::from_ne_bytes(*chunk) ^ word)) & 0x8080_8080_8080_8080 == 0
    };
    let (parts, last) = bytes.as_chunks::<PART>();
    let (words, rest) = last.as_chunks();
    let rest = rest.iter().zip(key).fold(0, |all, (byte, key)| all | (byte ^ key));
    parts.iter().all(|part| are_ascii(part.as_chunks().0)) && are_ascii(words) && rest < 0x80
}

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} is not valid UTF-8", self.offset)
    }
}

impl std::error::Error for InvalidUtf8 {}
