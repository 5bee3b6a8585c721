//! What permessage-deflate adds to break (RFC 7692 6.1, 7.2.2), and compressed messages inflated to be judged.

use std::ops::Range;

use super::payload_checks::TextChecks;
use super::{Detail, Finding, Rule};
use crate::wire::{DeflateAgreement, Header, InflateError, Inflater, MAX_WINDOW, Opcode, Side};

/// Judges where RSV1 stands.
pub(super) fn check_rsv1(header: &Header, found: &mut Vec<Finding>) {
    let opcode = header.opcode;
    if !header.rsv.rsv1() {
        return;
    }
    if opcode.is_control() {
        found.push(Finding::with_number(Rule::Rsv1OnControl, 0..1, opcode.value().into()));
    } else if opcode == Opcode::CONTINUATION {
        found.push(Finding::new(Rule::Rsv1OnContinuation, 0..1));
    }
}

/// The compressed messages of one direction.
#[derive(Debug)]
pub(super) struct CompressionChecks {
    inflater: Inflater,
    /// The message at hand is compressed, and neither complete nor given up.
    is_open: bool,
    /// Why it can't be told to its end.
    error: Option<InflateError>,
    /// Its bytes in frames before this one.
    before: u64,
    /// Where earlier messages may be missing: inflates as if they had been anything, so that it fails on what is no DEFLATE
    /// after whatever messages.
    after_anything: Option<Inflater>,
}

impl CompressionChecks {
    pub(super) fn new(agreement: DeflateAgreement, side: Side, max_message: u64) -> Self {
        let inflater = Inflater::new(agreement.takes_over(side), max_message);
        Self { inflater, is_open: false, error: None, before: 0, after_anything: None }
    }

    /// There may have been messages before the first one.
    pub(super) fn in_mid_conversation(mut self, max_message: u64) -> Self {
        let refers_back = self.inflater.takes_over();
        self.after_anything = refers_back.then(|| Inflater::resume(&vec![0; MAX_WINDOW], max_message));
        self
    }

    /// Whether the message at hand is compressed.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) const fn inflater(&self) -> &Inflater {
        &self.inflater
    }

    pub(super) const fn error(&self) -> Option<InflateError> {
        self.error
    }

    /// A message begins, compressed or not; one that was not complete is given up.
    pub(super) fn begin(&mut self, is_compressed: bool) {
        if self.is_open {
            self.inflater.abandon();
            self.after_anything.iter_mut().for_each(Inflater::abandon);
        }
        (self.is_open, self.error, self.before) = (is_compressed, None, 0);
    }

    /// Bytes were not seen, of the message at hand or of whole ones.
    pub(super) fn abandon(&mut self) {
        self.inflater.abandon();
        self.after_anything.iter_mut().for_each(Inflater::abandon);
        self.is_open = false;
        self.error = Some(InflateError::Lost);
    }

    /// Bytes of a compressed message in the frame with `header`.
    pub(super) fn payload(
        &mut self,
        bytes: &[u8],
        header: &Header,
        text: Option<&mut TextChecks>,
        found: &mut Vec<Finding>,
        mut inflated: impl FnMut(&[u8]),
    ) {
        let after_anything = self.after_anything.as_mut().map(|inflater| inflater.push(bytes, |_| {}));
        if self.error.is_some() {
            self.fail_after_anything(after_anything, header, found);
            return;
        }
        let mut invalid = None;
        let mut checker = text;
        let pushed = self.inflater.push(bytes, |piece| {
            invalid = invalid.or(checker.as_mut().and_then(|text| text.push(piece)));
            inflated(piece);
        });
        found.extend(invalid.map(|offset| invalid_utf8(header, offset)));
        match pushed {
            Ok(()) => {}
            Err(InflateError::Corrupt { .. } | InflateError::Lost) if after_anything.is_some() => {
                self.error = Some(InflateError::Lost);
                self.fail_after_anything(after_anything, header, found);
            }
            Err(error) => self.fail(error, header, found),
        }
    }

    /// What can't be inflated for want of earlier messages may be no DEFLATE whatever they were.
    fn fail_after_anything(
        &mut self,
        inflated: Option<Result<(), InflateError>>,
        header: &Header,
        found: &mut Vec<Finding>,
    ) {
        if self.error == Some(InflateError::Lost)
            && let Some(Err(error)) = inflated
        {
            self.fail(error, header, found);
        }
    }

    /// That frame is complete.
    pub(super) fn end(&mut self, header: &Header, text: Option<&mut TextChecks>, found: &mut Vec<Finding>) {
        self.before += header.length;
        if !header.fin {
            return;
        }
        self.is_open = false;
        let finished = self.inflater.finish();
        let after_anything = self.after_anything.as_mut().map(Inflater::finish);
        if self.error.is_some() {
            self.fail_after_anything(after_anything, header, found);
            return;
        }
        match finished {
            Err(error) => self.fail(error, header, found),
            Ok(()) => found.extend(text.and_then(TextChecks::finish).map(|offset| invalid_utf8(header, offset))),
        }
    }

    fn fail(&mut self, error: InflateError, header: &Header, found: &mut Vec<Finding>) {
        self.error = Some(error);
        let finding = match error {
            InflateError::Corrupt { offset } => {
                // a block may have begun in an earlier frame, but the byte that spoils it is in this one
                let at = header.len() as u64 + offset.saturating_sub(self.before);
                Finding::with_number(Rule::InflateFailed, at..at + 1, offset)
            }
            InflateError::Unfinished => Finding::new(Rule::InflateFailed, payload_at(header)),
            InflateError::TooBig { limit } => {
                let detail = Detail::Inflated(limit);
                Finding { rule: Rule::MessageTooBig, at: payload_at(header), detail }
            }
            // that was said of the message which failed
            InflateError::Lost => return,
        };
        found.push(finding);
    }
}

/// Which of a frame's compressed bytes gave the one that is wrong can't be told.
fn invalid_utf8(header: &Header, offset: u64) -> Finding {
    Finding { rule: Rule::InvalidUtf8, at: payload_at(header), detail: Detail::Inflated(offset) }
}

/// A frame's payload; its header where it has none.
const fn payload_at(header: &Header) -> Range<u64> {
    let header_len = header.len() as u64;
    if header.length == 0 { 0..header_len } else { header_len..header_len + header.length }
}
