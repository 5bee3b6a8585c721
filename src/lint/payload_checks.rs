//! What a payload can break (RFC 6455 5.5.1, 5.5.3, 7.4, 8.1).

use std::collections::VecDeque;

use super::{Finding, Rule};
use crate::wire::{CloseBody, CloseCodeClass, Header, Utf8Checker};

/// The text message of one direction that is coming in.
#[derive(Clone, Debug, Default)]
pub(super) struct TextChecks {
    checker: Utf8Checker,
    /// Bytes of the message that came in frames before this one.
    before: u64,
    failed: bool,
}

impl TextChecks {
    /// Payload bytes of a frame whose payload begins `header_len` bytes into it.
    pub(super) fn payload(&mut self, bytes: &[u8], header_len: u64, found: &mut Vec<Finding>) {
        if let Some(offset) = self.push(bytes) {
            self.fail(offset, header_len, 1, found);
        }
    }

    /// The frame is complete; `last` if its message is too.
    pub(super) fn end(&mut self, last: bool, frame_length: u64, header_len: u64, found: &mut Vec<Finding>) {
        if last && let Some(offset) = self.finish() {
            self.fail(offset, header_len, frame_length, found);
        }
        self.before += frame_length;
    }

    /// The next bytes of the message itself, which may have been inflated. Tells the offset of the first byte that cannot
    /// be right, once.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<u64> {
        let error = if self.failed { None } else { self.checker.push(bytes).err() };
        self.failed |= error.is_some();
        error.map(|error| error.offset)
    }

    /// The message is complete. Tells the offset of a character that is not.
    pub(super) fn finish(&mut self) -> Option<u64> {
        let error = if self.failed { None } else { self.checker.finish().err() };
        self.failed |= error.is_some();
        error.map(|error| error.offset)
    }

    fn fail(&self, offset: u64, header_len: u64, frame_length: u64, found: &mut Vec<Finding>) {
        // a character may have begun in an earlier frame: then this frame's first byte of payload shows it, or, if the
        // frame has none, its header, which ends the message
        let first = header_len + offset.saturating_sub(self.before);
        let at = if frame_length == 0 { 0..header_len } else { first..first + 1 };
        found.push(Finding::with_number(Rule::InvalidUtf8, at, offset));
    }
}

/// Judges a close frame's payload, unmasked: all of it, or its beginning where it is longer than a control frame may be.
pub(super) fn check_close_body(payload: &[u8], header: &Header, found: &mut Vec<Finding>) {
    let header_len = header.len() as u64;
    let is_cut = header.length > payload.len() as u64;
    let code_at = header_len..header_len + 2;
    match CloseBody::parse(payload) {
        CloseBody::Empty => {}
        CloseBody::OneByte(byte) => {
            found.push(Finding::with_number(Rule::CloseBodyOneByte, header_len..header_len + 1, byte.into()));
        }
        CloseBody::Code(code, reason) => {
            match code.class() {
                CloseCodeClass::Forbidden => {
                    found.push(Finding::with_number(Rule::CloseCodeForbidden, code_at, code.0.into()));
                }
                CloseCodeClass::Unassigned => {
                    found.push(Finding::with_number(Rule::CloseCodeUnassigned, code_at, code.0.into()));
                }
                CloseCodeClass::Registered | CloseCodeClass::Library | CloseCodeClass::Private => {}
            }
            // what was cut off may be the rest of a character
            if let Err(error) = std::str::from_utf8(reason)
                && (error.error_len().is_some() || !is_cut)
            {
                let at = header_len + 2 + error.valid_up_to() as u64;
                found.push(Finding::new(Rule::CloseReasonInvalidUtf8, at..header_len + header.length));
            }
        }
    }
}

/// The pings of the other side that this side has not answered yet.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenPings {
    payloads: VecDeque<Box<[u8]>>,
    /// More were open at once than are kept: an unknown pong may answer one of those.
    forgotten: bool,
}

impl OpenPings {
    const KEPT: usize = 64;

    pub(super) fn ping(&mut self, payload: &[u8]) {
        if self.payloads.len() == Self::KEPT {
            self.payloads.pop_front();
            self.forgotten = true;
        }
        self.payloads.push_back(payload.into());
    }

    /// A pong answers a ping, and with it all earlier ones (RFC 6455 5.5.3).
    pub(super) fn check_pong(&mut self, payload: &[u8], frame: std::ops::Range<u64>, found: &mut Vec<Finding>) {
        match self.payloads.iter().position(|ping| **ping == *payload) {
            Some(position) => drop(self.payloads.drain(..=position)),
            None if self.forgotten => {}
            None => found.push(Finding::new(Rule::PongUnsolicited, frame)),
        }
    }
}
