//! The catalogue of rules: its names are a contract, and every rule in it has been seen broken.

use std::collections::BTreeSet;

use wsinspect::lint::{Finding, Rule};

use crate::{frame_rules, handshake_rules};

/// The ids that scripts outside the project hold on to.
const IDS: &str = "
    unmasked-client-frame masked-server-frame rsv-without-extension reserved-opcode fragmented-control
    control-too-long length-not-minimal length-top-bit masking-key-reused
    continuation-without-start data-inside-message frame-after-close
    invalid-utf8 close-body-one-byte close-code-forbidden close-code-unassigned close-reason-invalid-utf8
    pong-unsolicited
    rsv1-on-continuation rsv1-on-control inflate-failed
    request-not-get request-http-version host-missing upgrade-missing connection-missing key-missing key-not-16-bytes
    version-not-13 accept-missing accept-wrong status-not-101 subprotocol-not-offered extension-not-offered
    extension-parameter-invalid header-malformed
    frame-too-big message-too-big";

#[test]
fn the_catalogue_holds_the_promised_ids_and_no_others() {
    let promised: Vec<_> = IDS.split_whitespace().collect();
    let ids: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids, promised);
}

#[test]
fn every_rule_has_traffic_that_breaks_it_and_traffic_that_only_just_does_not() {
    let tried: BTreeSet<_> = frame_rules::rules().into_iter().chain(handshake_rules::rules()).collect();
    let untried: Vec<_> = Rule::ALL.iter().filter(|rule| !tried.contains(rule)).collect();
    assert!(untried.is_empty(), "no case breaks {untried:?}");
}

#[test]
fn a_rule_is_found_by_its_id_and_says_what_it_asks() {
    for &rule in Rule::ALL {
        assert_eq!(Rule::from_id(rule.id()), Some(rule));
        assert!(rule.id().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{rule}");
        assert!(rule.sentence().ends_with('.'), "{rule}");
        let section = rule.section();
        let number = section.strip_prefix("RFC 6455 ").or(section.strip_prefix("RFC 7692 "));
        let number = number.expect("a section of RFC 6455 or RFC 7692");
        assert!(number.split('.').all(|part| part.parse::<u8>().is_ok_and(|n| n > 0)), "{rule}: {number}");
    }
    assert_eq!(Rule::from_id("no-such-rule"), None);
}

/// What a finding says is one sentence or more, for people: no line break, no control character, no value as Rust
/// prints it for programmers.
pub(crate) fn assert_reads_well(finding: &Finding) {
    let (sees, rule) = (finding.sees(), finding.rule);
    assert!(sees.ends_with('.') && !sees.ends_with(".."), "{rule}: {sees}");
    assert!(sees.starts_with(|c: char| c.is_uppercase() || c == '"' || c.is_ascii_digit()), "{rule}: {sees}");
    assert!(!sees.contains(char::is_control), "{rule}: {sees:?}");
    assert!(sees.chars().count() < 400, "{rule}: {} characters", sees.chars().count());
    let debug = sees.as_bytes().windows(2).any(|pair| {
        let opens = matches!(pair[1], b'(' | b'{' | b'[') && pair[0].is_ascii_alphanumeric();
        opens || pair == b"::"
    });
    assert!(!debug && !sees.contains(&format!("{rule:?}")), "{rule}: {sees}");
}
