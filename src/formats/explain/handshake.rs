//! An opening handshake explained.

use std::collections::BTreeSet;

use super::frames_text::{put_findings, put_meaning};
use crate::anatomy::{self, Field, HandshakeAnatomy, Step};
use crate::formats::Look;
use crate::formats::paper::{Ink, Paper};
use crate::lint::{Finding, check_request, check_response};
use crate::wire::handshake::{Head, HeadReader, Opening, Request, Response};

/// A request, a response, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandshakeExplanation {
    /// The client's half.
    pub request: Option<ExplainedHead>,
    /// The server's half.
    pub response: Option<ExplainedHead>,
    /// How the request's key becomes the accept value; empty without a key.
    pub accept: Vec<Step>,
    /// What was agreed on, if both halves are there and accept each other.
    pub agreement: Vec<String>,
    /// The bytes after the handshake: frames.
    pub rest: u64,
}

/// One half explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedHead {
    /// Its fields.
    pub anatomy: HandshakeAnatomy,
    /// The rules that it breaks.
    pub findings: Vec<Finding>,
    /// Whether the empty line that ends it is there.
    pub complete: bool,
}

impl HandshakeExplanation {
    /// Every finding, the request's first.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        [&self.request, &self.response].into_iter().flatten().flat_map(|head| &head.findings)
    }
}

/// Explains a request, a response, or a request and the response that follows it.
pub fn explain_handshake(bytes: &[u8]) -> HandshakeExplanation {
    let mut explanation = HandshakeExplanation::default();
    let mut rest = bytes;
    let mut opening = None;
    if !rest.starts_with(b"HTTP/") {
        let (head, complete) = take_head(&mut rest);
        let request = Request::read(head);
        opening = best_opening(&request);
        if let Some(key) = request.head.value("Sec-WebSocket-Key") {
            explanation.accept = anatomy::accept_steps(&key).into();
        }
        let findings = check_request(&request);
        explanation.request = Some(ExplainedHead { anatomy: anatomy::request(&request), findings, complete });
    }
    if rest.starts_with(b"HTTP/") {
        let (head, complete) = take_head(&mut rest);
        let response = Response::read(head);
        let findings = opening.as_ref().map(|opening| check_response(&response, opening)).unwrap_or_default();
        if let (Some(opening), true) = (&opening, findings.is_empty()) {
            explanation.agreement = anatomy::agreement_in_words(opening, &response);
        }
        let anatomy = anatomy::response(&response, opening.as_ref());
        explanation.response = Some(ExplainedHead { anatomy, findings, complete });
    }
    explanation.rest = rest.len() as u64;
    explanation
}

/// What the response has to answer, even where the request has faults that no server should accept.
fn best_opening(request: &Request) -> Option<Opening> {
    let key = request.head.value("Sec-WebSocket-Key")?.into_owned();
    let extensions = request.head.joined("Sec-WebSocket-Extensions");
    Some(Opening {
        target: request.target.clone(),
        key,
        origin: None,
        subprotocols: request.subprotocols(),
        extensions: extensions.and_then(|value| crate::wire::parse_extensions(&value).ok()).unwrap_or_default(),
    })
}

/// The head at the front of `input`, and whether it is whole.
fn take_head(input: &mut &[u8]) -> (Head, bool) {
    let mut reader = HeadReader::new(usize::MAX);
    match reader.push(input) {
        Ok(Some(head)) => (head, true),
        Ok(None) | Err(_) => (Head::parse(reader.partial().to_vec()), false),
    }
}

impl HandshakeExplanation {
    /// The explanation as text that ends in a line break.
    pub fn to_text(&self, look: &Look) -> String {
        let mut paper = Paper::new(look);
        let mut whys = BTreeSet::new();
        let mut between = false;
        for (name, head) in [("request", &self.request), ("response", &self.response)] {
            let Some(head) = head else { continue };
            if std::mem::replace(&mut between, true) {
                paper.end_line();
            }
            put_head(&mut paper, name, head, &mut whys);
        }
        if !self.accept.is_empty() {
            paper.end_line();
            paper.paragraph(
                0,
                &[(Ink::Title, "from Sec-WebSocket-Key to Sec-WebSocket-Accept"), (Ink::Dim, "[RFC 6455 1.3, 4.2.2]")],
            );
            put_steps(&mut paper, &self.accept);
        }
        if !self.agreement.is_empty() {
            paper.end_line();
            paper.paragraph(0, &[(Ink::Title, "agreed on")]);
            for sentence in &self.agreement {
                paper.blanks(2);
                paper.paragraph(2, &[(Ink::Plain, sentence)]);
            }
        }
        if self.rest > 0 {
            paper.end_line();
            let text = format!("{} bytes follow the handshake; explain them by themselves.", self.rest);
            paper.paragraph(0, &[(Ink::Dim, &text)]);
        }
        paper.finish()
    }
}

fn put_head(paper: &mut Paper, name: &str, head: &ExplainedHead, whys: &mut BTreeSet<&'static str>) {
    paper.paragraph(0, &[(Ink::Title, &format!("{name}: {}", head.anatomy.title))]);
    for field in &head.anatomy.fields {
        put_field(paper, field, whys);
    }
    if !head.complete {
        paper.end_line();
        paper.blanks(2);
        paper.paragraph(2, &[(Ink::Title, "Cut short: the empty line that ends it is missing.")]);
    }
    put_findings(paper, &head.findings);
}

fn put_field(paper: &mut Paper, field: &Field, whys: &mut BTreeSet<&'static str>) {
    paper.end_line();
    paper.blanks(2);
    paper.paragraph(4, &[(Ink::Name, &field.name), (Ink::Value, &field.value)]);
    paper.blanks(4);
    put_meaning(paper, 4, field, whys);
}

/// A derivation, one step under the other.
pub(super) fn put_steps(paper: &mut Paper, steps: &[Step]) {
    for step in steps {
        paper.blanks(2);
        paper.cell(Ink::Name, step.name, 10);
        paper.paragraph(4, &[(Ink::Value, &step.value)]);
        paper.blanks(14);
        paper.paragraph(4, &[(Ink::Dim, step.meaning)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::anatomy::{Example, example};
    use crate::formats::paper::columns;
    use crate::lint::Rule;

    /// The handshake of RFC 6455 1.3.
    const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

    fn explain(text: &str) -> HandshakeExplanation {
        explain_handshake(text.as_bytes())
    }

    /// `head` with the line that begins like `instead_of` replaced.
    fn with_line(head: &str, instead_of: &str, line: &str) -> String {
        let lines = head.split_inclusive("\r\n");
        assert!(lines.clone().any(|original| original.starts_with(instead_of)), "{instead_of}");
        let break_line = if line.is_empty() { String::new() } else { format!("{line}\r\n") };
        lines.map(|original| if original.starts_with(instead_of) { &break_line } else { original }).collect()
    }

    #[test]
    fn the_handshake_of_rfc_6455_1_3_breaks_no_rule_and_ends_in_the_accept_value_printed_there() {
        let explanation = explain(&format!("{REQUEST}{RESPONSE}"));
        assert_eq!(explanation.findings().count(), 0);
        assert_eq!(explanation.accept[4].value, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(explanation.agreement[0].ends_with("the server chose \"chat\"."));
        let text = explanation.to_text(&Look::default());
        assert!(text.contains("request: a client asks for a WebSocket at \"/chat\""), "{text}");
        assert!(text.contains("b37a4f2cc0624f1690f64606cf385945b2bec4ea"));
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn every_rule_that_a_handshake_can_break_is_broken_by_its_example_and_shown() {
        for &rule in Rule::ALL {
            let handshake = match example(rule) {
                Example::Frames { .. } => continue,
                Example::Request { instead_of, line } => with_line(REQUEST, instead_of, line),
                Example::Response { instead_of, line } => {
                    format!("{REQUEST}{}", with_line(RESPONSE, instead_of, line))
                }
            };
            let explanation = explain(&handshake);
            let rules: Vec<_> = explanation.findings().map(|finding| finding.rule).collect();
            assert!(rules.contains(&rule), "{rule}: {rules:?}");
            assert!(explanation.to_text(&Look::default()).contains(rule.id()));
        }
    }

    #[test]
    fn one_half_a_head_cut_short_and_what_follows_are_told_apart() {
        let alone = explain(RESPONSE);
        assert!(alone.request.is_none() && alone.response.is_some() && alone.accept.is_empty());
        let cut = explain("GET / HTTP/1.1\r\nHost: a");
        assert!(!cut.request.as_ref().unwrap().complete);
        assert!(cut.to_text(&Look::default()).contains("the empty line that ends it is missing"));
        let followed = explain_handshake(&[REQUEST.as_bytes(), RESPONSE.as_bytes(), b"\x81\x00"].concat());
        assert_eq!(followed.rest, 2);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_explained(bytes in prop::collection::vec(any::<u8>(), 0..300), line in ".{0,200}") {
            for head in [bytes.clone(), [b"HTTP/1.1 101 ", &bytes[..]].concat(), format!("GET / HTTP/1.1\r\n{line}").into()] {
                let text = explain_handshake(&head).to_text(&Look::default());
                prop_assert!(text.lines().all(|line| columns(line) <= 80), "{}", text);
            }
        }
    }

    #[test]
    fn a_hostile_head_reaches_no_terminal_raw() {
        let text = explain("GET /\x1b[2J HTTP/1.1\r\nX-\u{202e}: \x1b]0;a\x07\r\n\r\n").to_text(&Look::default());
        assert!(!text.chars().any(|c| c != '\n' && crate::formats::sanitize::is_unsafe(c)), "{text:?}");
    }
}
