//! What one frame's header can break (RFC 6455 5.1, 5.2, 5.3, 5.5).

use std::ops::Range;

use super::{Finding, Limits, Rule};
use crate::wire::{Header, MaskingKey, Opcode, Rsv, Side};

const FIRST_BYTE: Range<u64> = 0..1;

/// Judges `header` as sent by `side`; the bits of `known_rsv` have a meaning on this connection.
pub(super) fn check(header: &Header, side: Side, known_rsv: Rsv, limits: &Limits, found: &mut Vec<Finding>) {
    let length_at = 1..2 + header.length_form.extended_bytes() as u64;
    match (side, header.masking_key) {
        (Side::Client, None) => found.push(Finding::new(Rule::UnmaskedClientFrame, 1..2)),
        (Side::Server, Some(_)) => {
            found.push(Finding::new(Rule::MaskedServerFrame, 1..header.len() as u64));
        }
        _ => {}
    }
    let unknown_rsv = header.rsv.value() & !known_rsv.value();
    if unknown_rsv != 0 {
        found.push(Finding::with_number(Rule::RsvWithoutExtension, FIRST_BYTE, unknown_rsv.into()));
    }
    let opcode = header.opcode;
    if opcode.is_reserved() {
        found.push(Finding::with_number(Rule::ReservedOpcode, FIRST_BYTE, opcode.value().into()));
    }
    if opcode.is_control() {
        if !header.fin {
            found.push(Finding::with_number(Rule::FragmentedControl, FIRST_BYTE, opcode.value().into()));
        }
        if header.length > 125 {
            found.push(Finding::with_number(Rule::ControlTooLong, length_at.clone(), header.length));
        }
    }
    if !header.is_minimal() {
        found.push(Finding::with_number(Rule::LengthNotMinimal, length_at.clone(), header.length));
    }
    if header.has_length_top_bit() {
        found.push(Finding::with_number(Rule::LengthTopBit, 2..10, header.length));
    } else if header.length > limits.max_frame {
        found.push(Finding::with_number(Rule::FrameTooBig, length_at, header.length));
    }
}

/// The masking keys of the last few frames of one direction.
#[derive(Clone, Debug, Default)]
pub struct RecentKeys {
    keys: [MaskingKey; Self::KEPT],
    /// How many there have been. Once they are as many as are kept, multiples of that are left out.
    seen: u8,
}

impl RecentKeys {
    /// Enough to catch a fixed key and a short cycle; by chance a fresh key is among them once in 500 million frames.
    const KEPT: usize = 8;

    pub(super) fn check(&mut self, header: &Header, found: &mut Vec<Finding>) {
        if let Some(key) = header.masking_key.filter(|_| self.is_recent(header)) {
            self.check_each(key, header.len() as u64, found);
        }
        self.note(header);
    }

    /// Whether the key may be one of the last; never `false` if it is.
    #[inline]
    fn is_recent(&self, header: &Header) -> bool {
        // all are compared, without a branch for each: nearly always none is the same
        header.masking_key.is_some_and(|key| self.keys.iter().filter(|kept| **kept == key).count() > 0)
    }

    #[inline]
    fn note(&mut self, header: &Header) {
        if let Some(key) = header.masking_key {
            let seen = usize::from(self.seen);
            self.keys[seen % Self::KEPT] = key;
            self.seen = if seen + 1 == 2 * Self::KEPT { Self::KEPT as u8 } else { self.seen + 1 };
        }
    }

    /// Notes the frame's key, if the frame is a whole text or binary message of `side` that breaks no rule by itself, of `most`
    /// payload bytes at most; else nothing has happened. `is_text` is asked of a text message alone: whether it is valid
    /// UTF-8.
    #[expect(clippy::inline_always, reason = "it is asked of every frame, whose header is in registers")]
    #[inline(always)]
    pub fn note_usual(&mut self, header: &Header, side: Side, most: u64, is_text: impl FnOnce() -> bool) -> bool {
        let is_usual = header.fin
            && header.rsv == Rsv::NONE
            && matches!(header.opcode, Opcode::TEXT | Opcode::BINARY)
            && header.masking_key.is_some() == (side == Side::Client)
            && header.is_minimal()
            && header.length <= most
            && !self.is_recent(header)
            && (header.opcode != Opcode::TEXT || is_text());
        if is_usual {
            self.note(header);
        }
        is_usual
    }

    #[cold]
    fn check_each(&self, key: MaskingKey, end: u64, found: &mut Vec<Finding>) {
        let seen = usize::from(self.seen);
        let kept = seen.min(Self::KEPT);
        if let Some(ago) = (1..=kept).find(|ago| self.keys[(seen - ago) % Self::KEPT] == key) {
            found.push(Finding::with_number(Rule::MaskingKeyReused, end - 4..end, ago as u64));
        }
    }
}
