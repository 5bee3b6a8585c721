//! Every rule about frames: traffic that breaks it and it alone, and traffic that only just does not.

mod compressed;

use std::ops::Range;

use proptest::prelude::*;
use wsinspect::lint::{Detail, Finding, Limits, Linter, Rule};
use wsinspect::wire::{
    CloseBody, CloseCode, DeflateAgreement, Deflater, Header, IMPLIED_TAIL, LengthForm, MaskingKey, Opcode, Rsv, Side,
    frame,
};

use crate::catalogue::assert_reads_well;
use crate::traffic::{any_stream, cut, cuts, judge, simple_splits};

/// One direction's frames, and what the connection allows.
struct Traffic {
    side: Side,
    limits: Limits,
    rsv: Rsv,
    deflate: Option<DeflateAgreement>,
    pings: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
}

impl Traffic {
    fn linter(&self) -> Linter {
        let mut linter = Linter::new(self.side, self.limits);
        linter.allow_rsv(self.rsv);
        self.deflate.iter().for_each(|&agreement| linter.expect_deflate(agreement));
        self.pings.iter().for_each(|ping| linter.expect_pong(ping));
        linter
    }

    fn with_limits(mut self, max_frame: u64, max_message: u64) -> Self {
        self.limits = Limits { max_frame, max_message };
        self
    }

    fn with_rsv(mut self, rsv: Rsv) -> Self {
        self.rsv = rsv;
        self
    }

    fn with_deflate(mut self) -> Self {
        self.deflate = Some(DeflateAgreement::default());
        self
    }

    fn after_pings(mut self, pings: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.pings = pings.into_iter().collect();
        self
    }
}

fn from(side: Side, frames: impl IntoIterator<Item = Vec<u8>>) -> Traffic {
    let frames = frames.into_iter().collect();
    Traffic { side, limits: Limits::default(), rsv: Rsv::NONE, deflate: None, pings: Vec::new(), frames }
}

fn server(frames: impl IntoIterator<Item = Vec<u8>>) -> Traffic {
    from(Side::Server, frames)
}

fn client(frames: impl IntoIterator<Item = Vec<u8>>) -> Traffic {
    from(Side::Client, frames)
}

/// Traffic whose last frame breaks `rule` at `at`, and no other rule; and its neighbour that breaks none.
struct Case {
    rule: Rule,
    hostile: Traffic,
    at: Range<u64>,
    clean: Traffic,
}

/// The rules for which there is a case here.
pub(crate) fn rules() -> Vec<Rule> {
    cases().into_iter().map(|case| case.rule).collect()
}

#[test]
fn hostile_traffic_breaks_the_one_rule_at_the_bytes_that_show_it_whatever_the_split() {
    for (n, Case { rule, hostile, at, .. }) in cases().into_iter().enumerate() {
        let stream = hostile.frames.concat();
        let found = judge(hostile.linter(), [&stream[..]]);
        let [(frame, finding)] = &found[..] else { panic!("case {n} {rule}: {found:#?}") };
        assert_eq!(finding.rule, rule, "case {n}");
        assert_eq!(*frame, hostile.frames.len() - 1, "case {n} {rule}: the frame");
        assert_eq!(finding.at, at, "case {n} {rule}: the bytes");
        assert!(at.end <= hostile.frames[*frame].len() as u64, "case {n} {rule}: {at:?} reaches past the frame");
        assert_reads_well(finding);
        for chunks in simple_splits(&stream) {
            assert_eq!(judge(hostile.linter(), chunks), found, "case {n} {rule}");
        }
    }
}

#[test]
fn traffic_that_only_just_keeps_the_rule_breaks_none() {
    for (n, Case { rule, clean, .. }) in cases().into_iter().enumerate() {
        let found = judge(clean.linter(), [&clean.frames.concat()[..]]);
        assert_eq!(found, [], "case {n} {rule}");
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |rule, hostile, at, clean| cases.push(Case { rule, hostile, at, clean });
    let fine = || vec![text(b"fine")];
    let (open, more) = (|| unfinished(text(b"a")), |bytes: &[u8]| unmasked(Opcode::CONTINUATION, bytes));

    let rule = Rule::UnmaskedClientFrame;
    case(rule, client([text(b"hi")]), 1..2, client([masked(1, Opcode::TEXT, b"hi")]));
    let rule = Rule::MaskedServerFrame;
    case(rule, server([masked(1, Opcode::TEXT, b"hi")]), 1..6, server([text(b"hi")]));
    case(rule, server([masked(1, Opcode::TEXT, &[b'a'; 126])]), 1..8, server([text(&[b'a'; 126])]));

    let rule = Rule::RsvWithoutExtension;
    let flagged = |rsv| with_first_byte(text(b"hi"), |byte| byte | rsv << 4);
    for rsv in 1..8 {
        case(rule, server([flagged(rsv)]), 0..1, server([flagged(rsv)]).with_rsv(Rsv::new(rsv)));
        if rsv != 4 {
            case(rule, server([flagged(rsv)]).with_rsv(Rsv::RSV1), 0..1, server([flagged(4)]).with_rsv(Rsv::RSV1));
        }
    }

    for value in (3..8).chain(11..16) {
        let clean = server([unmasked(Opcode::new(value & 8 | 2), &[]), unmasked(Opcode::PING, b"hi")]);
        let clean = if value < 8 { clean } else { server([unmasked(Opcode::new(value & 8), b"")]) };
        case(Rule::ReservedOpcode, server([unmasked(Opcode::new(value), b"hi")]), 0..1, clean);
    }

    let rule = Rule::FragmentedControl;
    for opcode in [Opcode::PING, Opcode::CLOSE] {
        case(rule, server([unfinished(unmasked(opcode, b""))]), 0..1, server([open(), unmasked(opcode, b"")]));
    }
    let rule = Rule::ControlTooLong;
    case(rule, server([unmasked(Opcode::PING, &[7; 126])]), 1..4, server([unmasked(Opcode::PING, &[7; 125])]));
    let long = vec![7; 65536];
    case(rule, server([unmasked(Opcode::PING, &long)]), 1..10, server([unmasked(Opcode::BINARY, &long)]));
    let close = |reason: &str| unmasked(Opcode::CLOSE, &[&1000_u16.to_be_bytes(), reason.as_bytes()].concat());
    let (long, short) = ("é".repeat(62), "é".repeat(61));
    case(rule, server([close(&long)]), 1..4, server([close(&short)]));

    let rule = Rule::LengthNotMinimal;
    let with_form = |form, length| {
        let header = Header { length_form: form, ..Header::new(Opcode::BINARY, None, length) };
        server([frame(&header, &vec![0; length as usize])])
    };
    case(rule, with_form(LengthForm::Bits16, 125), 1..4, with_form(LengthForm::Bits16, 126));
    case(rule, with_form(LengthForm::Bits64, 0), 1..10, with_form(LengthForm::Bits7, 0));
    case(rule, with_form(LengthForm::Bits64, 65535), 1..10, with_form(LengthForm::Bits64, 65536));
    let rule = Rule::LengthTopBit;
    let declared = |length| server([frame(&Header::new(Opcode::BINARY, None, length), b"")]);
    let boundless = |length| declared(length).with_limits(u64::MAX, u64::MAX);
    case(rule, declared(1 << 63), 2..10, boundless((1 << 63) - 1));
    case(rule, declared(u64::MAX), 2..10, boundless(1 << 62));

    let rule = Rule::MaskingKeyReused;
    let keyed = |keys: &[u32]| client(keys.iter().map(|&key| masked(key, Opcode::TEXT, b"hi")));
    case(rule, keyed(&[7, 7]), 2..6, keyed(&[7, 8]));
    case(rule, keyed(&[1, 2, 3, 4, 5, 6, 7, 8, 1]), 2..6, keyed(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]));

    let rule = Rule::ContinuationWithoutStart;
    case(rule, server([more(b"b")]), 0..1, server([open(), more(b"b")]));
    case(rule, server([open(), more(b"b"), more(b"c")]), 0..1, server([open(), unfinished(more(b"b")), more(b"c")]));
    let rule = Rule::DataInsideMessage;
    case(rule, server([open(), text(b"b")]), 0..1, server([text(b"a"), text(b"b")]));
    case(rule, server([open(), unmasked(Opcode::BINARY, b"")]), 0..1, server([open(), unmasked(Opcode::PING, b"")]));
    let rule = Rule::FrameAfterClose;
    let closing = || unmasked(Opcode::CLOSE, b"");
    case(rule, server([closing(), text(b"hi")]), 0..2, server([text(b"hi"), closing()]));
    case(rule, server([closing(), closing()]), 0..2, server([open(), closing()]));

    let rule = Rule::InvalidUtf8;
    let binary = server([unmasked(Opcode::BINARY, b"ab\xFFcd")]);
    case(rule, server([text(b"ab\xFFcd")]), 4..5, binary);
    case(rule, client([masked(9, Opcode::TEXT, b"ab\xFFcd")]), 8..9, client([masked(9, Opcode::TEXT, b"abcd")]));
    case(rule, server([text(b"ab\xC3")]), 4..5, server([text(b"ab\xC3\xA9")]));
    let halves = |second: &[u8]| server([unfinished(text(b"\xE2\x82")), more(second)]);
    case(rule, halves(b"\xFF"), 2..3, halves(b"\xAC"));
    case(rule, halves(b""), 0..2, halves(b"\xACuro"));
    let interrupted = |second: &[u8]| {
        server([unfinished(text(b"ab\xE2")), unmasked(Opcode::PING, b"\xFF"), unfinished(more(b"\x82")), more(second)])
    };
    case(rule, interrupted(b""), 0..2, interrupted(b"\xAC"));
    case(rule, server([open(), more(b"bc\xED\xA0\x80")]), 4..5, server([open(), more(b"bc\xED\x9F\xBF")]));
    let compressed = || with_first_byte(text(b"\xFF"), |byte| byte | 0x40);
    let plain_after = server([compressed(), text(b"\xFF")]).with_rsv(Rsv::RSV1);
    case(rule, plain_after, 2..3, server([compressed(), text(b"ok")]).with_rsv(Rsv::RSV1));

    let packed = |text: &[u8]| deflated(Opcode::TEXT, text);
    case(rule, server([packed(b"ab\xFFcd")]).with_deflate(), 2..9, server([packed(b"abcd")]).with_deflate());
    case(rule, server([packed(b"ab\xC3")]).with_deflate(), 2..7, server([packed(b"ab\xC3\xA9")]).with_deflate());
    let binary = server([deflated(Opcode::BINARY, b"ab\xFFcd")]).with_deflate();
    case(rule, client([masked_from(&packed(b"ab\xFFcd"))]).with_deflate(), 6..13, binary);
    let flushed = |text: &[u8]| [compressed_by_itself(text), IMPLIED_TAIL.to_vec()].concat();
    let open_packed = |text: &[u8]| with_first_byte(unmasked(Opcode::TEXT, &flushed(text)), |_| 0x41);
    let halves = |second: &[u8]| server([open_packed(b"\xE2\x82"), more(&compressed_by_itself(second))]).with_deflate();
    case(rule, halves(b"\xFF"), 2..5, halves(b"\xAC"));
    let ended = |text: &[u8]| server([unfinished(packed(text)), more(b"")]).with_deflate();
    case(rule, ended(b"\xE2\x82"), 0..2, ended(b"\xE2\x82\xAC"));

    let rule = Rule::Rsv1OnContinuation;
    let hello = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
    let marked = |frame| with_first_byte(frame, |byte| byte | 0x40);
    let first = || marked(unfinished(text(&hello[..3])));
    let unmarked = || server([first(), more(&hello[3..])]).with_deflate();
    case(rule, server([first(), marked(more(&hello[3..]))]).with_deflate(), 0..1, unmarked());
    case(rule, server([open(), marked(more(b"b"))]).with_deflate(), 0..1, server([open(), more(b"b")]).with_deflate());
    let rule = Rule::Rsv1OnControl;
    for opcode in [Opcode::PING, Opcode::CLOSE] {
        let clean = server([first(), unmasked(opcode, b"")]).with_deflate();
        case(rule, server([first(), marked(unmasked(opcode, b""))]).with_deflate(), 0..1, clean);
    }
    let rule = Rule::InflateFailed;
    let packed = |bytes: &[u8]| server([marked(text(bytes))]).with_deflate();
    case(rule, packed(b"\xFF"), 2..3, packed(b"\x00"));
    case(rule, packed(&hello[..6]), 2..8, packed(hello));
    case(rule, packed(b""), 0..2, packed(b"\x00"));
    // a reference to a message that was never sent, RFC 7692 7.2.3.2
    let again = || marked(text(b"\xF2\x00\x11\x00\x00"));
    case(rule, server([again()]).with_deflate(), 4..5, server([marked(text(hello)), again()]).with_deflate());
    let halves = |second: &[u8]| server([first(), unmasked(Opcode::PING, b"\xFF"), more(second)]).with_deflate();
    case(rule, halves(b"\xC9\xC9\x07\x18"), 5..6, halves(&hello[3..]));

    let rule = Rule::CloseBodyOneByte;
    case(rule, server([unmasked(Opcode::CLOSE, b"\x03")]), 2..3, server([unmasked(Opcode::CLOSE, b"\x03\xE8")]));
    case(rule, client([masked(1, Opcode::CLOSE, b"\x03")]), 6..7, client([masked(1, Opcode::CLOSE, b"")]));
    let closed = |code: u16| server([unmasked(Opcode::CLOSE, &CloseBody::encode(CloseCode(code), "bye"))]);
    for (forbidden, allowed) in
        [(0, 1000), (999, 1000), (1004, 1003), (1005, 1007), (1006, 1007), (1015, 1014), (5000, 4999), (65535, 3000)]
    {
        case(Rule::CloseCodeForbidden, closed(forbidden), 2..4, closed(allowed));
    }
    for (unassigned, assigned) in [(1016, 1014), (2999, 3000)] {
        case(Rule::CloseCodeUnassigned, closed(unassigned), 2..4, closed(assigned));
    }
    let rule = Rule::CloseReasonInvalidUtf8;
    let because = |reason: &[u8]| server([unmasked(Opcode::CLOSE, &[b"\x03\xE8", reason].concat())]);
    case(rule, because(b"ab\xFFc"), 6..8, because("abÿc".as_bytes()));
    case(rule, because(b"ab\xC3"), 6..7, because(b"ab\xC3\xA9"));

    let rule = Rule::PongUnsolicited;
    let pong = |payload: &[u8]| server([unmasked(Opcode::PONG, payload)]);
    let pinged = |pings: &[&str]| pings.iter().map(|ping| ping.as_bytes().to_vec()).collect::<Vec<_>>();
    case(rule, pong(b"a"), 0..3, pong(b"a").after_pings(pinged(&["a"])));
    case(rule, pong(b"b").after_pings(pinged(&["a"])), 0..3, pong(b"b").after_pings(pinged(&["a", "b", "c"])));
    let pongs = |payloads: &[&[u8]]| server(payloads.iter().map(|payload| unmasked(Opcode::PONG, payload)));
    case(
        rule,
        pongs(&[b"b", b"a"]).after_pings(pinged(&["a", "b"])),
        0..3,
        pongs(&[b"a", b"b"]).after_pings(pinged(&["a", "b"])),
    );
    let many = |count: u8| (0..count).map(|n| vec![n]);
    case(rule, pong(b"?").after_pings(many(60)), 0..3, pong(&[0]).after_pings(many(200)));

    let rule = Rule::FrameTooBig;
    let limited = |length: usize| server([text(&vec![b'a'; length])]).with_limits(4, 100);
    case(rule, limited(5), 1..2, limited(4));
    let limited = |length: usize| server([text(&vec![b'a'; length])]).with_limits(200, 1000);
    case(rule, limited(201), 1..4, limited(200));
    let rule = Rule::MessageTooBig;
    let limited = |last: &[u8]| server([open(), unfinished(more(b"bc")), more(last)]).with_limits(100, 5);
    case(rule, limited(b"def"), 1..2, limited(b"de"));
    case(rule, server([text(b"abcdef")]).with_limits(100, 5), 1..2, server(fine()).with_limits(100, 5));
    let zeros =
        |count: usize| server([deflated(Opcode::BINARY, &vec![0; count])]).with_deflate().with_limits(100, 5000);
    case(rule, zeros(5001), 2..24, zeros(5000));
    cases
}

fn unmasked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(&Header::new(opcode, None, payload.len() as u64), payload)
}

fn masked(key: u32, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(&Header::new(opcode, Some(MaskingKey(key.to_be_bytes())), payload.len() as u64), payload)
}

fn text(payload: &[u8]) -> Vec<u8> {
    unmasked(Opcode::TEXT, payload)
}

/// A message compressed in one frame.
fn deflated(opcode: Opcode, message: &[u8]) -> Vec<u8> {
    with_first_byte(unmasked(opcode, &compressed_by_itself(message)), |byte| byte | 0x40)
}

fn compressed_by_itself(message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    Deflater::new(true, 15).expect("a window of 15 bits").message(message, &mut compressed);
    compressed
}

/// The same frame, as a client sends it.
fn masked_from(short: &[u8]) -> Vec<u8> {
    let payload = &short[2..];
    let header = Header {
        rsv: Rsv::new(short[0] >> 4),
        ..Header::new(Opcode::new(short[0]), Some(MaskingKey([9; 4])), payload.len() as u64)
    };
    frame(&header, payload)
}

fn unfinished(frame: Vec<u8>) -> Vec<u8> {
    with_first_byte(frame, |byte| byte & 0x7F)
}

fn with_first_byte(mut frame: Vec<u8>, change: impl Fn(u8) -> u8) -> Vec<u8> {
    frame[0] = change(frame[0]);
    frame
}

#[test]
fn a_message_past_the_limit_is_told_once_and_the_next_one_anew() {
    let big = || [unfinished(text(b"abcdef")), unmasked(Opcode::CONTINUATION, b"g")];
    let traffic = server(big().into_iter().chain(big())).with_limits(100, 5);
    let found = judge(traffic.linter(), [&traffic.frames.concat()[..]]);
    let rules: Vec<_> = found.iter().map(|(frame, finding)| (*frame, finding.rule)).collect();
    assert_eq!(rules, [(0, Rule::MessageTooBig), (2, Rule::MessageTooBig)]);
}

#[test]
fn text_that_went_wrong_is_told_once_and_the_next_message_anew() {
    let traffic =
        server([unfinished(text(b"\xFF")), unmasked(Opcode::CONTINUATION, b"\xFF"), text(b"ok"), text(b"a\xFF")]);
    let found = judge(traffic.linter(), [&traffic.frames.concat()[..]]);
    let seen: Vec<_> = found.iter().map(|(frame, finding)| (*frame, finding.detail.clone())).collect();
    assert_eq!(seen, [(0, Detail::Number(0)), (3, Detail::Number(1))]);
}

#[test]
fn a_frame_that_breaks_many_rules_has_them_all() {
    let header = Header {
        fin: false,
        rsv: Rsv::new(7),
        length_form: LengthForm::Bits64,
        ..Header::new(Opcode::new(11), None, 126)
    };
    let found = judge(client([]).linter(), [&frame(&header, &[0; 126])[..]]);
    let rules: Vec<_> = found.iter().map(|(_, finding)| finding.rule.id()).collect();
    let expected = [
        "unmasked-client-frame",
        "rsv-without-extension",
        "reserved-opcode",
        "fragmented-control",
        "control-too-long",
        "length-not-minimal",
    ];
    assert_eq!(rules, expected);
}

/// Frames of text messages, some cut inside a character, with a stray byte here and there.
fn any_text_stream() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => Just(b'a'), 1 => Just(0xFF_u8), 1 => Just(0xED_u8)];
    let piece = prop_oneof![
        3 => any::<String>().prop_map(String::into_bytes),
        1 => prop::collection::vec(byte, 0..6),
        1 => Just(b"\xE2\x82".to_vec()),
        1 => Just(b"\xAC".to_vec()),
    ];
    let opcodes = vec![Opcode::TEXT, Opcode::CONTINUATION, Opcode::PING, Opcode::CLOSE];
    let frame = (prop::sample::select(opcodes), any::<bool>(), piece).prop_map(|(opcode, fin, payload)| {
        let frame = unmasked(opcode, &payload);
        if fin { frame } else { unfinished(frame) }
    });
    prop::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

fn assert_same_findings(
    linter: impl Fn() -> Linter,
    stream: &[u8],
    chunks: Vec<&[u8]>,
) -> Result<Vec<(usize, Finding)>, TestCaseError> {
    let whole = judge(linter(), [stream]);
    prop_assert_eq!(&judge(linter(), chunks), &whole);
    prop_assert_eq!(&judge(linter(), stream.chunks(1)), &whole);
    Ok(whole)
}

proptest! {
    #[test]
    fn findings_in_text_are_the_same_for_every_split(stream in any_text_stream(), cuts in cuts()) {
        assert_same_findings(|| server([]).linter(), &stream, cut(&stream, &cuts))?;
    }

    #[test]
    fn findings_in_any_frames_are_the_same_for_every_split_lie_in_their_frame_and_read_well(
        stream in any_stream(),
        cuts in cuts(),
    ) {
        let found = assert_same_findings(|| server([]).linter(), &stream, cut(&stream, &cuts))?;
        let frames = crate::traffic::decode([&stream[..]]).frames;
        for (frame, finding) in found {
            let length = frames[frame].header.len() as u64 + frames[frame].header.length;
            prop_assert!(finding.at.start < finding.at.end && finding.at.end <= length, "{:?}", finding);
            assert_reads_well(&finding);
        }
    }
}
