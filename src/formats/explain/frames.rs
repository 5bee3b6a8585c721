//! Frames explained: decoded, taken apart and judged.

use crate::anatomy::{self, FrameAnatomy, FrameContext, FrameContexts};
use crate::lint::{Finding, Limits, Linter};
use crate::wire::{Decoder, DeflateAgreement, Header, InflateError, Opcode, Parsed, Piece, Place, Side, mask};

/// Of a payload no more than this is kept to be shown.
const KEPT: usize = 4096;

/// What is known of the bytes beside themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Who sent them; `None` to tell it from each frame's MASK bit.
    pub from: Option<Side>,
    /// The limits to judge by.
    pub limits: Limits,
    /// Whether permessage-deflate was agreed on.
    pub deflate: bool,
}

/// Frames explained, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The frames; the last may be cut short.
    pub frames: Vec<ExplainedFrame>,
    /// The bytes after a frame whose end cannot be told.
    pub lost: Option<Lost>,
    /// The sender of each frame was told from its MASK bit.
    pub guessed: bool,
}

/// One frame explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedFrame {
    /// Where it begins.
    pub offset: u64,
    /// The header as it stands on the wire, as far as it is there.
    pub header_bytes: Vec<u8>,
    /// What the header says; `None` if it is cut short.
    pub header: Option<Header>,
    /// Who sent it.
    pub from: Side,
    /// Its fields.
    pub anatomy: FrameAnatomy,
    /// The beginning of the unmasked payload, up to 4096 bytes.
    pub payload: Vec<u8>,
    /// What is missing, if the bytes end inside the frame.
    pub cut: Option<Cut>,
    /// The compressed message that it ends.
    pub message: Option<ExplainedMessage>,
    /// The rules that it breaks.
    pub findings: Vec<Finding>,
}

/// A compressed message, inflated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedMessage {
    /// Payload bytes of its frames.
    pub wire_length: u64,
    /// Bytes that they gave.
    pub length: u64,
    /// Their beginning, up to 4096 bytes.
    pub beginning: Vec<u8>,
    /// What kept it from being inflated to its end: it may refer to messages that are not given.
    pub error: Option<InflateError>,
}

/// How many bytes of a frame are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Of the header: at least this many.
    Header(u64),
    /// Of the payload.
    Payload(u64),
}

/// Bytes in which no frame can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
}

impl Explanation {
    /// Every finding, in the order of the frames.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.frames.iter().flat_map(|frame| &frame.findings)
    }
}

/// Explains the frames in `bytes`, which begin at a frame's first byte.
pub fn explain_frames(bytes: &[u8], options: &Options) -> Explanation {
    let mut explanation = Explanation { frames: Vec::new(), lost: None, guessed: options.from.is_none() };
    let mut directions = Side::BOTH.map(|side| Direction::new(side, options));
    let mut decoder = Decoder::default();
    let mut open: Option<OpenFrame> = None;
    let mut input = bytes;
    loop {
        let offset = (bytes.len() - input.len()) as u64;
        let Some(piece) = decoder.next(&mut input) else { break };
        match piece {
            Piece::Header(header) => {
                let from = options.from.unwrap_or_else(|| guess(header.masking_key.is_some()));
                let direction = &mut directions[from as usize];
                let context = direction.contexts.next(&header);
                let mut findings = Vec::new();
                direction.header(&header, context, &mut findings);
                open = Some(OpenFrame { offset, header, context, payload: Vec::new(), received: 0, findings });
            }
            Piece::Payload { bytes, offset } => {
                if let Some(frame) = &mut open {
                    frame.take(bytes, offset, &mut directions[frame.context.from as usize]);
                }
            }
            Piece::End => {
                if let Some(mut frame) = open.take() {
                    let from = frame.context.from;
                    let message = directions[from as usize].end(&mut frame);
                    if frame.header.opcode == Opcode::PING {
                        directions[from.other() as usize].linter.expect_pong(&frame.payload);
                    }
                    explanation.frames.push(ExplainedFrame { message, ..frame.explained() });
                }
            }
            Piece::Lost(bytes) => explanation.lost = Some(Lost { offset, bytes: bytes.len() as u64 }),
        }
    }
    explanation.frames.extend(open.map(OpenFrame::explained));
    let partial = decoder.partial_header();
    if let Parsed::Partial(needed) = Header::parse(partial)
        && !partial.is_empty()
    {
        let from = options.from.unwrap_or_else(|| guess(partial.get(1).is_some_and(|second| second & 0x80 != 0)));
        explanation.frames.push(cut_header(partial, needed, from, (bytes.len() - partial.len()) as u64));
    }
    explanation
}

const fn guess(masked: bool) -> Side {
    if masked { Side::Client } else { Side::Server }
}

fn cut_header(bytes: &[u8], needed: usize, from: Side, offset: u64) -> ExplainedFrame {
    ExplainedFrame {
        offset,
        header_bytes: bytes.to_vec(),
        header: None,
        from,
        anatomy: anatomy::cut_frame(bytes, needed, from),
        payload: Vec::new(),
        cut: Some(Cut::Header((needed - bytes.len()) as u64)),
        message: None,
        findings: Vec::new(),
    }
}

/// What one side sends.
struct Direction {
    contexts: FrameContexts,
    linter: Linter,
    /// The compressed message that is unfinished.
    message: ExplainedMessage,
}

impl Direction {
    fn new(side: Side, options: &Options) -> Self {
        let contexts = FrameContexts::new(side, options.deflate);
        let mut linter = Linter::new(side, options.limits);
        if options.deflate {
            linter.expect_deflate_in_mid_conversation(DeflateAgreement::default());
        }
        Self { contexts, linter, message: ExplainedMessage::default() }
    }

    /// A frame begins.
    fn header(&mut self, header: &Header, context: FrameContext, findings: &mut Vec<Finding>) {
        self.linter.header(header, findings);
        if matches!(context.place, Place::First | Place::Interrupting) {
            self.message = ExplainedMessage::default();
        }
        if context.compressed {
            self.message.wire_length = self.message.wire_length.saturating_add(header.length);
        }
    }

    /// It is complete; returned is the compressed message that it ends.
    fn end(&mut self, frame: &mut OpenFrame) -> Option<ExplainedMessage> {
        self.linter.end(&mut frame.findings);
        let ends = frame.context.compressed && frame.header.fin;
        ends.then(|| ExplainedMessage { error: self.linter.inflate_error(), ..std::mem::take(&mut self.message) })
    }
}

impl ExplainedMessage {
    fn take(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        let room = KEPT - self.beginning.len();
        self.beginning.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

/// The frame whose payload is coming in.
struct OpenFrame {
    offset: u64,
    header: Header,
    context: FrameContext,
    payload: Vec<u8>,
    received: u64,
    findings: Vec<Finding>,
}

impl OpenFrame {
    fn take(&mut self, bytes: &[u8], offset: u64, direction: &mut Direction) {
        let linter = &mut direction.linter;
        self.received = offset + bytes.len() as u64;
        // unmasked piece by piece, so that a payload of any size costs no copy of its own
        for (n, piece) in bytes.chunks(KEPT).enumerate() {
            let room = KEPT - self.payload.len();
            if room == 0 && !linter.judges_payload() {
                break;
            }
            let mut plain = piece.to_vec();
            if let Some(key) = self.header.masking_key {
                mask(&mut plain, key, offset + (n * KEPT) as u64);
            }
            let message = &mut direction.message;
            linter.payload(&plain, &mut self.findings, |piece| message.take(piece));
            self.payload.extend_from_slice(&plain[..plain.len().min(room)]);
        }
    }

    fn explained(self) -> ExplainedFrame {
        let header = self.header;
        let mut header_bytes = Vec::new();
        crate::wire::encode_header(&header, &mut header_bytes);
        let missing = if header.has_length_top_bit() { 0 } else { header.length - self.received };
        ExplainedFrame {
            offset: self.offset,
            header_bytes,
            header: Some(header),
            from: self.context.from,
            anatomy: anatomy::frame(&header, &self.payload, self.context),
            payload: self.payload,
            cut: (missing > 0).then_some(Cut::Payload(missing)),
            message: None,
            findings: self.findings,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::anatomy::{Example, example};
    use crate::formats::Look;
    use crate::lint::Rule;

    fn explain(hex: &str) -> Explanation {
        explain_frames(&hex::decode(hex.replace(' ', "")).unwrap(), &Options::default())
    }

    fn rules(explanation: &Explanation) -> Vec<Rule> {
        explanation.findings().map(|finding| finding.rule).collect()
    }

    #[test]
    fn the_examples_of_rfc_6455_5_7_break_no_rule() {
        for (hex, payload) in [
            ("81 05 48 65 6c 6c 6f", "Hello"),
            ("81 85 37 fa 21 3d 7f 9f 4d 51 58", "Hello"),
            ("89 05 48 65 6c 6c 6f 8a 85 37 fa 21 3d 7f 9f 4d 51 58", "Hello"),
            ("01 03 48 65 6c 80 02 6c 6f", "Hel"),
        ] {
            let explanation = explain(hex);
            assert_eq!(rules(&explanation), [], "{hex}");
            assert_eq!(explanation.frames[0].payload, payload.as_bytes());
            assert!(explanation.frames.iter().all(|frame| frame.cut.is_none()));
        }
    }

    #[test]
    fn the_long_examples_of_rfc_6455_5_7_are_whole_with_their_payload_and_say_what_is_missing_without() {
        for (header, length) in [("827e0100", 256), ("827f0000000000010000", 65536)] {
            let header = hex::decode(header).unwrap();
            let explanation = explain_frames(&header, &Options::default());
            assert_eq!(explanation.frames[0].cut, Some(Cut::Payload(length as u64)));
            let explanation = explain_frames(&[header, vec![0; length]].concat(), &Options::default());
            assert_eq!(explanation.frames[0].cut, None);
            assert_eq!(explanation.frames[0].payload.len(), length.min(KEPT));
        }
    }

    #[test]
    fn every_rule_that_frames_can_break_is_broken_by_its_example_and_shown() {
        for &rule in Rule::ALL {
            let Example::Frames { from, deflate, hex } = example(rule) else { continue };
            let bytes = hex::decode(hex.replace(' ', "")).unwrap();
            let explanation = explain_frames(&bytes, &Options { from: Some(from), deflate, ..Options::default() });
            assert!(rules(&explanation).contains(&rule), "{rule}: {:?}", rules(&explanation));
            assert!(explanation.to_text(&Look::default()).contains(rule.id()));
        }
    }

    #[test]
    fn a_compressed_message_that_stands_for_itself_is_inflated() {
        // the examples of RFC 7692 7.2.3.1 and, in two fragments and referring back, 7.2.3.2
        let options = Options { deflate: true, ..Options::default() };
        let bytes = hex::decode("c107f248cdc9c907004103f20011800200 00".replace(' ', "")).unwrap();
        let explanation = explain_frames(&bytes, &options);
        let messages: Vec<_> = explanation.frames.iter().map(|frame| frame.message.as_ref()).collect();
        let hello = |one: &ExplainedMessage| (one.beginning.clone(), one.length, one.error);
        assert_eq!(messages[0].map(hello), Some((b"Hello".to_vec(), 5, None)));
        assert_eq!(messages[1], None);
        assert_eq!(messages[2].map(hello), Some((b"Hello".to_vec(), 5, None)));
        let text = explanation.to_text(&Look::default());
        assert!(text.contains("7 bytes of DEFLATE data on the wire") && text.contains("Hello"), "{text}");
    }

    #[test]
    fn a_compressed_message_that_refers_to_what_is_not_given_breaks_no_rule_for_that() {
        let options = Options { deflate: true, ..Options::default() };
        let told = |hex: &str| {
            let explanation = explain_frames(&hex::decode(hex.replace(' ', "")).unwrap(), &options);
            (rules(&explanation), explanation.to_text(&Look { width: 1000, ..Look::default() }))
        };
        // the second message of RFC 7692 7.2.3.2, whole and in three fragments, the last of them empty
        for hex in ["c1 05 f200110000", "41 03 f20011 00 02 0000 80 00", "c1 05 f200110000 c1 05 f200110000"] {
            let (broken, text) = told(hex);
            assert_eq!(broken, [], "{hex}");
            assert!(text.contains("It cannot be inflated by itself: it refers to messages before it"), "{text}");
        }
        // no DEFLATE, whatever came before: a block of a type that there is not; a block without an end
        for hex in ["c1 02 ffff", "41 02 f200 80 02 ffff", "c1 05 f200110000 c1 02 ffff", "c1 03 f20011"] {
            let (broken, text) = told(hex);
            assert_eq!(broken, [Rule::InflateFailed], "{hex}");
            assert!(text.contains("Not inflated: "), "{text}");
        }
    }

    #[test]
    fn a_frame_that_ends_too_early_says_how_much_is_missing() {
        let cut = |hex| explain(hex).frames.last().unwrap().cut;
        assert_eq!(cut("81"), Some(Cut::Header(1)));
        assert_eq!(cut("81 05 48 65 6c 6c 6f 82 ff 00"), Some(Cut::Header(11)));
        assert_eq!(cut("81 05 48"), Some(Cut::Payload(4)));
        assert_eq!(cut("81 05 48 65 6c 6c 6f"), None);
        assert!(explain("").frames.is_empty());
        let text = explain("81 05 48").to_text(&Look::default());
        assert!(text.contains("Cut short: 4 bytes of the payload are missing."), "{text}");
    }

    #[test]
    fn bytes_after_an_impossible_length_are_lost_and_counted() {
        let explanation = explain("82 7f ff ff ff ff ff ff ff ff 81 00");
        assert_eq!(explanation.lost, Some(Lost { offset: 10, bytes: 2 }));
        assert_eq!(rules(&explanation).first(), Some(&Rule::LengthTopBit));
        assert!(explanation.to_text(&Look::default()).contains("2 bytes in which no frame can be found"));
    }

    #[test]
    fn the_sender_is_told_from_the_mask_bit_unless_it_is_given() {
        let bytes = [0x81, 0x00];
        assert_eq!(rules(&explain_frames(&bytes, &Options::default())), []);
        let client = Options { from: Some(Side::Client), ..Options::default() };
        assert_eq!(rules(&explain_frames(&bytes, &client)), [Rule::UnmaskedClientFrame]);
    }

    #[test]
    fn a_long_masked_text_is_judged_to_its_last_byte() {
        let key = crate::wire::MaskingKey([1, 2, 3, 4]);
        let mut payload = vec![b'a'; 3 * KEPT + 1];
        payload.push(0xFF);
        let header = Header::new(Opcode::TEXT, Some(key), payload.len() as u64);
        let explanation = explain_frames(&crate::wire::frame(&header, &payload), &Options::default());
        let finding = explanation.findings().next().unwrap();
        assert_eq!((finding.rule, finding.at.start), (Rule::InvalidUtf8, 8 + 3 * KEPT as u64 + 1));
        assert!(explanation.frames[0].payload.iter().all(|&byte| byte == b'a'));
    }

    #[test]
    fn the_text_keeps_to_the_width_and_lets_nothing_through_raw() {
        let hostile = "a\x1b[2J\u{202e}\u{9b}\u{7}東京 Zürich ".repeat(40);
        let mut bytes = crate::wire::frame(&Header::new(Opcode::TEXT, None, hostile.len() as u64), hostile.as_bytes());
        bytes.extend(hex::decode("888537fa213d341288c144").unwrap());
        let explanation = explain_frames(&bytes, &Options::default());
        for width in [40, 60, 80, 120, 200] {
            for ascii in [false, true] {
                let text = explanation.to_text(&Look { width, ascii, ..Look::default() });
                for line in text.lines() {
                    assert!(crate::formats::paper::columns(line) <= width.max(60), "{width}: {line}");
                    assert!(!line.chars().any(crate::formats::sanitize::is_unsafe), "{line:?}");
                    assert!(!ascii || line.is_ascii(), "{line}");
                }
            }
        }
        let colour = explanation.to_text(&Look { color: true, ..Look::default() });
        let ours = ["\x1b[0m", "\x1b[1m", "\x1b[36m", "\x1b[32m", "\x1b[2m", "\x1b[1;31m"];
        let plain = ours.iter().fold(colour, |text, escape| text.replace(escape, ""));
        let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
        assert_eq!(trimmed, explanation.to_text(&Look::default()).lines().collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_explained_to_the_last_one(bytes in prop::collection::vec(any::<u8>(), 0..300), width in 0..200_usize) {
            let explanation = explain_frames(&bytes, &Options::default());
            let starts = explanation.frames.iter().map(|frame| frame.offset).chain(explanation.lost.map(|lost| lost.offset));
            prop_assert!(starts.is_sorted());
            let text = explanation.to_text(&Look { width, ..Look::default() });
            prop_assert!(text.lines().all(|line| crate::formats::paper::columns(line) <= width.max(60)), "{}", text);
        }
    }

    #[test]
    fn the_masked_hello_reads_like_this() {
        let text = explain("818537fa213d7f9f4d5158").to_text(&Look { width: 100, why: false, ..Look::default() });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "frame 1 at byte 0: text, FIN, 5 bytes, masked, from client");
        for line in [
            "  │1│0│0│0│0 0 0 1│1│0 0 0 0 1 0 1│",
            "  0      4-7   opcode          0x1             Text: the payload is UTF-8. [RFC 6455 5.6]",
            "  6-10         payload data    7f 9f 4d 51 58  The text: \"Hello\". [RFC 6455 5.6]",
            "    wire   7f 9f 4d 51 58",
            "    key    37 fa 21 3d 37",
            "    plain  48 65 6c 6c 6f",
            "           H  e  l  l  o",
        ] {
            assert!(lines.contains(&line), "{line:?} is not in\n{text}");
        }
    }
}
