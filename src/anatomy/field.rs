//! One field of a frame or of a handshake.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

/// A field: where it stands, what the wire holds there and what that means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The RFC's name for it, or a header's name as it was sent.
    pub name: Cow<'static, str>,
    /// Where it stands in the frame (header first) or in the head of the handshake.
    pub bytes: Range<u64>,
    /// Which bits of those bytes it takes, counted from the top bit as the RFC's grids do; `None` for all.
    pub bits: Option<Range<u32>>,
    /// The value as the wire has it: `1`, `0x1`, `126`, `37 fa 21 3d`. Of long ones the beginning, then `…`.
    pub value: String,
    /// What this value means here, in a sentence or two.
    pub meaning: String,
    /// Why there is such a field, in a sentence; empty where nothing needs to be said.
    pub why: &'static str,
    /// Where to read on: `RFC 6455 5.2`.
    pub section: &'static str,
}

impl Field {
    /// Whether the byte at `offset` belongs to the field, in whole or in part.
    pub fn covers(&self, offset: u64) -> bool {
        self.bytes.contains(&offset)
    }

    /// The field's bits, counted from the first bit of the frame.
    pub fn grid_bits(&self) -> Range<u64> {
        let bit = |byte: u64| byte.saturating_mul(8);
        match &self.bits {
            Some(bits) => bit(self.bytes.start) + u64::from(bits.start)..bit(self.bytes.start) + u64::from(bits.end),
            None => bit(self.bytes.start)..bit(self.bytes.end),
        }
    }
}

/// `37 fa 21 3d`: at most `limit` bytes, then `…`. `length` is how many there are, at hand or not.
pub(super) fn hex_row(bytes: &[u8], length: u64, limit: usize) -> String {
    let mut row = String::new();
    for byte in bytes.iter().take(limit) {
        let separator = if row.is_empty() { "" } else { " " };
        // writing to a String cannot fail
        let _ = write!(row, "{separator}{byte:02x}");
    }
    if length > bytes.len().min(limit) as u64 {
        row.push_str(if row.is_empty() { "…" } else { " …" });
    }
    row
}

/// `1 byte`, `5 bytes`.
pub(super) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `"text"`, of which at most 60 characters are quoted.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 60;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
