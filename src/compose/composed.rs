//! Frames and the way in which their bytes are written.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::wire::{Header, LengthForm, MaskingKey, Opcode, encode_frame};

/// A frame of any header with any payload: neither has to fit the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposedFrame {
    /// What stands in the header. A length that its form can't hold is refused by [`Composed::new`].
    pub header: Header,
    /// The payload, not masked yet.
    pub payload: Vec<u8>,
}

/// Frames that go out one after the other, as bytes, and in how many writes they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    frames: Vec<ComposedFrame>,
    writes: usize,
    delay: Duration,
}

/// Why something can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotComposed {
    /// So many payload bytes are more than [`Composed::MAX_PAYLOAD`].
    TooLong(usize),
    /// The form can't hold that length.
    FormTooShort(LengthForm, u64),
    /// So many writes are none, or more than [`Composed::MAX_WRITES`].
    Writes(usize),
    /// All delays together are longer than [`Composed::MAX_DELAY`].
    Delay(Duration),
}

impl ComposedFrame {
    /// A frame as a correct sender makes it.
    pub fn new(opcode: Opcode, key: Option<MaskingKey>, payload: &[u8]) -> Self {
        Self { header: Header::new(opcode, key, payload.len() as u64), payload: payload.to_vec() }
    }
}

impl Composed {
    /// The most payload bytes of all frames together.
    pub const MAX_PAYLOAD: usize = 1 << 20;
    /// The most writes.
    pub const MAX_WRITES: usize = 1000;
    /// The most time that all delays take together: other bytes of that direction wait meanwhile.
    pub const MAX_DELAY: Duration = Duration::from_mins(1);

    /// `frames` in so many writes of about equal size, with `delay` between two of them. There are no more writes than
    /// bytes.
    ///
    /// # Errors
    /// What goes past a bound, or is no frame that could be read back.
    pub fn new(frames: Vec<ComposedFrame>, writes: usize, delay: Duration) -> Result<Self, NotComposed> {
        let payload = frames.iter().map(|frame| frame.payload.len()).sum();
        if payload > Self::MAX_PAYLOAD {
            return Err(NotComposed::TooLong(payload));
        }
        for ComposedFrame { header: Header { length, length_form, .. }, .. } in &frames {
            if LengthForm::shortest(*length).bits() > length_form.bits() {
                return Err(NotComposed::FormTooShort(*length_form, *length));
            }
        }
        if !(1..=Self::MAX_WRITES).contains(&writes) {
            return Err(NotComposed::Writes(writes));
        }
        let delays = delay.saturating_mul(writes as u32 - 1);
        if delays > Self::MAX_DELAY {
            return Err(NotComposed::Delay(delays));
        }
        Ok(Self { frames, writes, delay })
    }

    /// The frames.
    pub fn frames(&self) -> &[ComposedFrame] {
        &self.frames
    }

    /// The time between two writes.
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// All bytes, as they stand on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in &self.frames {
            encode_frame(&frame.header, &frame.payload, &mut bytes);
        }
        bytes
    }

    /// The part of those bytes that each write takes.
    pub fn writes(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let length = self.frames.iter().map(|frame| frame.header.len() + frame.payload.len()).sum::<usize>();
        let writes = self.writes.min(length).max(1);
        (0..writes).map(move |n| n * length / writes..(n + 1) * length / writes)
    }
}

impl fmt::Display for NotComposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(f, "The payload has {bytes} bytes; {} is the most.", Composed::MAX_PAYLOAD)
            }
            Self::FormTooShort(form, length) => {
                let most = if *form == LengthForm::Bits7 { 125 } else { 65535 };
                write!(f, "{length} does not fit the {}-bit length, which ends at {most}.", form.bits())
            }
            Self::Writes(_) => write!(f, "The number of writes is a number from 1 to {}.", Composed::MAX_WRITES),
            Self::Delay(delay) => {
                let most = Composed::MAX_DELAY.as_secs();
                write!(f, "All delays together take {} s; {most} s is the most.", delay.as_secs_f64())
            }
        }
    }
}

impl std::error::Error for NotComposed {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Parsed, Rsv, mask};

    fn binary(payload: &[u8]) -> ComposedFrame {
        ComposedFrame::new(Opcode::BINARY, None, payload)
    }

    fn composed(frame: ComposedFrame, writes: usize, delay: Duration) -> Result<Composed, NotComposed> {
        Composed::new(vec![frame], writes, delay)
    }

    #[test]
    fn payload_writes_and_delay_have_bounds() {
        let none = Duration::ZERO;
        let payload = |bytes| composed(binary(&vec![0; bytes]), 1, none);
        assert!(payload(Composed::MAX_PAYLOAD).is_ok());
        assert_eq!(payload(Composed::MAX_PAYLOAD + 1), Err(NotComposed::TooLong((1 << 20) + 1)));
        for (writes, fits) in [(0, false), (1, true), (1000, true), (1001, false), (usize::MAX, false)] {
            let got = composed(binary(b""), writes, none);
            assert_eq!(got.is_ok(), fits, "{writes}");
        }
        let slow = |writes, seconds| composed(binary(b""), writes, Duration::from_secs(seconds));
        assert!(slow(1, u64::MAX).is_ok(), "a single write waits for nothing");
        assert!(slow(7, 10).is_ok());
        assert_eq!(slow(8, 10), Err(NotComposed::Delay(Duration::from_secs(70))));
        assert!(matches!(slow(1000, u64::MAX), Err(NotComposed::Delay(_))));
    }

    #[test]
    fn a_form_that_can_not_hold_the_length_is_refused_with_what_it_holds() {
        let with = |length, length_form| {
            let mut frame = binary(b"");
            frame.header = Header { length, length_form, ..frame.header };
            composed(frame, 1, Duration::ZERO).map_err(|error| error.to_string())
        };
        assert!(with(125, LengthForm::Bits7).is_ok());
        let refused = "126 does not fit the 7-bit length, which ends at 125.".to_owned();
        assert_eq!(with(126, LengthForm::Bits7), Err(refused));
        assert!(with(65535, LengthForm::Bits16).is_ok());
        assert!(with(65536, LengthForm::Bits16).is_err());
        assert!(with(u64::MAX, LengthForm::Bits64).is_ok());
    }

    proptest! {
        #[test]
        fn the_writes_together_are_the_bytes_and_the_bytes_read_back_to_the_frame(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            (first, key, declared) in (any::<u8>(), any::<Option<[u8; 4]>>(), any::<Option<u16>>()),
            (wide, writes) in (any::<bool>(), 1_usize..40),
        ) {
            let length = declared.map_or(payload.len() as u64, u64::from);
            let length_form = if wide { LengthForm::Bits64 } else { LengthForm::shortest(length) };
            let header = Header {
                fin: first & 0x80 != 0,
                rsv: Rsv::new(first >> 4),
                opcode: Opcode::new(first),
                masking_key: key.map(MaskingKey),
                length,
                length_form,
            };
            let frame = ComposedFrame { header, payload: payload.clone() };
            let composed = composed(frame, writes, Duration::ZERO).unwrap();
            let bytes = composed.bytes();
            let pieces: Vec<_> = composed.writes().collect();
            prop_assert_eq!(pieces.len(), writes.min(bytes.len()));
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            let joined: Vec<u8> = pieces.into_iter().flat_map(|piece| bytes[piece].to_vec()).collect();
            prop_assert_eq!(&joined, &bytes);
            prop_assert_eq!(Header::parse(&bytes), Parsed::Complete(header));
            let mut rest = bytes[header.len()..].to_vec();
            if let Some(key) = header.masking_key {
                mask(&mut rest, key, 0);
            }
            prop_assert_eq!(rest, payload);
        }
    }
}
