//! What bytes break before anyone has sent them.

use crate::lint::{Finding, Limits, Linter};
use crate::wire::{Decoder, DeflateAgreement, Header, Parsed, Piece, Side, mask};

/// What is known of the direction that the bytes are to go in.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Who sends, as the receiver sees it.
    pub from: Side,
    /// What was agreed on about compression.
    pub deflate: Option<DeflateAgreement>,
    /// The first frame of the message that is unfinished there.
    pub unfinished: Option<Header>,
}

/// What bytes break by themselves, and where they leave the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// In the order of the bytes.
    pub findings: Vec<Judged>,
    /// The receiver goes on waiting for so many bytes, and takes for them what comes next.
    pub missing: u64,
    /// How many frames begin in the bytes.
    pub frames: usize,
}

/// A rule that one of the frames breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which frame, from 0.
    pub frame: usize,
    /// The rule and what was seen.
    pub finding: Finding,
}

/// Judges `bytes` as frames that come next; of what came before, only `surroundings` is known.
pub fn judge(mut bytes: &[u8], surroundings: Surroundings) -> Judgement {
    let mut linter = Linter::new(surroundings.from, Limits::default());
    if let Some(agreement) = surroundings.deflate {
        linter.expect_deflate(agreement);
    }
    if let Some(first) = surroundings.unfinished {
        linter.header(&Header { length: 0, masking_key: None, fin: false, ..first }, &mut Vec::new());
        // what its payload was is not at hand
        linter.pass_over();
        linter.end(&mut Vec::new());
    }
    let (mut decoder, mut judgement) = (Decoder::default(), Judgement::default());
    let mut key = None;
    while let Some(piece) = decoder.next(&mut bytes) {
        let mut found = Vec::new();
        match piece {
            Piece::Header(header) => {
                key = header.masking_key;
                judgement.frames += 1;
                linter.header(&header, &mut found);
            }
            Piece::Payload { bytes, offset } if linter.judges_payload() => {
                let mut payload = bytes.to_vec();
                if let Some(key) = key {
                    mask(&mut payload, key, offset);
                }
                linter.payload(&payload, &mut found, |_| {});
            }
            Piece::End => linter.end(&mut found),
            Piece::Payload { .. } | Piece::Lost(_) => {}
        }
        let frame = judgement.frames.saturating_sub(1);
        judgement.findings.extend(found.into_iter().map(|finding| Judged { frame, finding }));
    }
    let partial = decoder.partial_header();
    judgement.missing = decoder.payload_left().unwrap_or(match Header::parse(partial) {
        Parsed::Partial(needed) if !partial.is_empty() => (needed - partial.len()) as u64,
        _ => 0,
    });
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::Rule;
    use crate::wire::{MaskingKey, Opcode, frame};

    const ALONE: Surroundings = Surroundings { from: Side::Client, deflate: None, unfinished: None };

    fn rules(judgement: &Judgement) -> Vec<(usize, Rule)> {
        judgement.findings.iter().map(|one| (one.frame, one.finding.rule)).collect()
    }

    #[test]
    fn a_payload_is_judged_unmasked() {
        let key = Some(MaskingKey([0x80, 1, 2, 3]));
        let text =
            |payload: &[u8]| judge(&frame(&Header::new(Opcode::TEXT, key, payload.len() as u64), payload), ALONE);
        assert_eq!(rules(&text(b"Hello")), []);
        assert_eq!(rules(&text(b"\xff")), [(0, Rule::InvalidUtf8)]);
    }

    #[test]
    fn an_unfinished_message_is_gone_on_with_and_not_interrupted() {
        let key = Some(MaskingKey([0; 4]));
        let first = Header::new(Opcode::TEXT, key, 5).with_fin(false);
        let open = Surroundings { unfinished: Some(first), ..ALONE };
        let one = |opcode| frame(&Header::new(opcode, key, 1), b"\xa9");
        assert_eq!(rules(&judge(&one(Opcode::CONTINUATION), open)), []);
        assert_eq!(rules(&judge(&one(Opcode::CONTINUATION), ALONE)), [(0, Rule::ContinuationWithoutStart)]);
        assert_eq!(rules(&judge(&one(Opcode::BINARY), open)), [(0, Rule::DataInsideMessage)]);
    }

    #[test]
    fn a_length_that_is_not_true_leaves_bytes_missing_or_makes_the_rest_the_next_frame() {
        let key = Some(MaskingKey(*b"keys"));
        let declared = |length| judge(&frame(&Header::new(Opcode::BINARY, key, length), b"12345"), ALONE);
        assert_eq!((declared(5).missing, declared(5).frames), (0, 1));
        assert_eq!((declared(9).missing, declared(9).frames), (4, 1));
        assert_eq!(declared(1).frames, 2);
        assert!(rules(&declared(1)).iter().all(|(frame, _)| *frame == 1));
        assert!(declared(4).missing > 0, "one byte is not a whole header");
    }
}
