//! Frames to begin with: the usual good ones, and for each rule about frames one that breaks it.

use super::ComposedFrame;
use crate::anatomy::{Example, example};
use crate::lint::{Group, Rule};
use crate::wire::{Header, MaskingKey, Opcode, Parsed, Rsv, Side};

/// Frames to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Legal ones: their name and, of each, FIN, opcode and payload.
    Good(&'static str, &'static [(bool, Opcode, &'static [u8])]),
    /// The shortest ones that break a rule.
    Breaks(Rule),
}

const GOOD: &[Preset] = &[
    Preset::Good("a text", &[(true, Opcode::TEXT, b"Hello")]),
    Preset::Good("an empty text", &[(true, Opcode::TEXT, b"")]),
    Preset::Good("a binary message", &[(true, Opcode::BINARY, b"\x00\x01\x02\xff")]),
    Preset::Good(
        "a text in two fragments",
        &[(false, Opcode::TEXT, b"Hello, "), (true, Opcode::CONTINUATION, b"WebSocket!")],
    ),
    Preset::Good(
        "a ping between two fragments",
        &[
            (false, Opcode::TEXT, b"Hello, "),
            (true, Opcode::PING, b"between"),
            (true, Opcode::CONTINUATION, b"WebSocket!"),
        ],
    ),
    Preset::Good("a ping", &[(true, Opcode::PING, b"are you there?")]),
    Preset::Good("a close, 1000", &[(true, Opcode::CLOSE, b"\x03\xe8")]),
    Preset::Good("a close without a code", &[(true, Opcode::CLOSE, b"")]),
];

impl Preset {
    /// All that make sense for frames that `from` sends, the good ones first. Those about compression need it to be
    /// agreed on (`deflate`).
    pub fn all(from: Side, deflate: bool) -> Vec<Self> {
        let fits = |rule: Rule| match rule {
            Rule::UnmaskedClientFrame | Rule::MaskingKeyReused => from == Side::Client,
            Rule::MaskedServerFrame => from == Side::Server,
            rule => match rule.group() {
                Group::Frames | Group::Order | Group::Payload => true,
                Group::Compression => deflate,
                Group::Handshake | Group::Limits => false,
            },
        };
        let broken = Rule::ALL.iter().copied().filter(|rule| fits(*rule)).map(Self::Breaks);
        GOOD.iter().copied().chain(broken).collect()
    }

    /// `break fragmented-control`
    pub fn name(self) -> String {
        match self {
            Self::Good(name, _) => name.to_owned(),
            Self::Breaks(rule) => format!("break {rule}"),
        }
    }

    /// Its frames as `from` sends them, masked with what `key` gives for each, if that is the client.
    pub fn frames(self, from: Side, mut key: impl FnMut() -> MaskingKey) -> Vec<ComposedFrame> {
        let mut fresh = || (from == Side::Client).then(&mut key);
        match self {
            Self::Good(_, frames) => frames
                .iter()
                .map(|(fin, opcode, payload)| {
                    let frame = ComposedFrame::new(*opcode, fresh(), payload);
                    ComposedFrame { header: frame.header.with_fin(*fin), ..frame }
                })
                .collect(),
            Self::Breaks(rule) => {
                let mut frames = shortest(rule);
                for frame in &mut frames {
                    let header = &mut frame.header;
                    match rule {
                        // of the three bits the one that no extension in use gives a meaning
                        Rule::RsvWithoutExtension => header.rsv = Rsv::new(2),
                        // what it declares is there
                        Rule::ControlTooLong => frame.payload = vec![b'x'; header.length as usize],
                        _ => {}
                    }
                    if !matches!(rule, Rule::UnmaskedClientFrame | Rule::MaskedServerFrame | Rule::MaskingKeyReused) {
                        header.masking_key = fresh();
                    }
                }
                frames
            }
        }
    }
}

/// The frames of the catalogue's example.
fn shortest(rule: Rule) -> Vec<ComposedFrame> {
    let Example::Frames { hex, .. } = example(rule) else { return Vec::new() };
    // a test decodes all of them
    let bytes = hex::decode(hex.replace(' ', "")).unwrap_or_default();
    let (mut rest, mut frames) = (&bytes[..], Vec::new());
    while let Parsed::Complete(header) = Header::parse(rest) {
        rest = &rest[header.len()..];
        // what is declared need not be there
        let length = usize::try_from(header.length).unwrap_or(usize::MAX).min(rest.len());
        frames.push(ComposedFrame { header, payload: rest[..length].to_vec() });
        rest = &rest[length..];
    }
    frames
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Composed, Surroundings, judge};
    use super::*;
    use crate::wire::DeflateAgreement;

    fn found(preset: Preset, from: Side, deflate: bool) -> Vec<Rule> {
        let mut next = 0;
        let key = || {
            next += 1;
            MaskingKey([next, 7, 8, 9])
        };
        let composed = Composed::new(preset.frames(from, key), 1, Duration::ZERO).unwrap();
        let deflate = deflate.then(DeflateAgreement::default);
        let judgement = judge(&composed.bytes(), Surroundings { from, deflate, unfinished: None });
        judgement.findings.iter().map(|one| one.finding.rule).collect()
    }

    #[test]
    fn each_preset_breaks_exactly_the_rule_that_it_names_and_a_good_one_none() {
        for (from, deflate) in [Side::Client, Side::Server].into_iter().flat_map(|side| [(side, false), (side, true)]) {
            for preset in Preset::all(from, deflate) {
                let expected = match preset {
                    Preset::Good(..) => vec![],
                    Preset::Breaks(rule) => vec![rule],
                };
                assert_eq!(found(preset, from, deflate), expected, "{} from the {from}", preset.name());
            }
        }
    }

    #[test]
    fn every_rule_about_frames_has_a_preset_in_one_direction_at_least() {
        let presets: Vec<_> = Side::BOTH.into_iter().flat_map(|from| Preset::all(from, true)).collect();
        for rule in Rule::ALL {
            let about_frames = !matches!(rule.group(), Group::Handshake | Group::Limits);
            assert_eq!(presets.contains(&Preset::Breaks(*rule)), about_frames, "{rule}");
        }
    }
}
