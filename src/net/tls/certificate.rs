//! What a certificate says, read from its DER (X.690, RFC 5280 4.1): no more than is shown. Whether it may be trusted is
//! not decided here.

use std::net::{Ipv4Addr, Ipv6Addr};

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;

use crate::capture::{Certificate, Tls};
use crate::formats::sanitize;

/// What the certificates say, the first ones of too many.
pub(super) fn read_chain(chain: &[CertificateDer<'_>]) -> Vec<Certificate> {
    chain.iter().take(Tls::MOST_CERTIFICATES).map(|der| read(der)).collect()
}

/// What a certificate says; what can't be read is empty.
pub(super) fn read(der: &[u8]) -> Certificate {
    let mut certificate = parse(der).unwrap_or_default();
    certificate.fingerprint = hex::encode(sha256(der));
    certificate
}

/// The key that a certificate is about, as its SubjectPublicKeyInfo has it.
pub(super) fn public_key(der: &[u8]) -> Option<&[u8]> {
    let mut fields = Der(der).take(SEQUENCE)?.take(SEQUENCE)?;
    fields.skip_optional(VERSION);
    // serial number, signature algorithm, issuer, validity, subject
    for _ in 0..5 {
        fields.next()?;
    }
    let before = fields.0;
    fields.next()?;
    Some(&before[..before.len() - fields.0.len()])
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let provider = default_provider();
    let hash =
        provider.cipher_suites.iter().filter_map(SupportedCipherSuite::tls13).map(|suite| suite.common.hash_provider);
    hash.filter(|hash| hash.output_len() == 32)
        .map(|hash| hash.hash(bytes).as_ref().to_vec())
        .next()
        .unwrap_or_default()
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const BMP_STRING: u8 = 0x1E;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1D, 0x11];
/// Tags of a GeneralName (RFC 5280 4.2.1.6).
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// Bytes of a name that are kept: with all of them a chain still fits a comment of a packet.
const LONGEST: usize = 200;

/// DER that is still to be read.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, Der<'a>)> {
        let (&[tag, length], rest) = self.0.split_first_chunk()?;
        let (length, rest) = if length < 0x80 {
            (length.into(), rest)
        } else {
            let (digits, rest) = rest.split_at_checked((length & 0x7F).into())?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, Der(content)))
    }

    /// The next element, which has to have this tag.
    fn take(&mut self, tag: u8) -> Option<Der<'a>> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    fn skip_optional(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.next();
        }
    }
}

fn parse(der: &[u8]) -> Option<Certificate> {
    let mut fields = Der(der).take(SEQUENCE)?.take(SEQUENCE)?;
    fields.skip_optional(VERSION);
    // serial number and signature algorithm
    fields.next()?;
    fields.next()?;
    let issuer = name(fields.take(SEQUENCE)?);
    let mut validity = fields.take(SEQUENCE)?;
    let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
    let subject = name(fields.take(SEQUENCE)?);
    let mut names = Vec::new();
    while let Some((tag, mut content)) = fields.next() {
        if tag == EXTENSIONS {
            names = content.take(SEQUENCE).and_then(alternative_names).unwrap_or_default();
        }
    }
    Some(Certificate { subject, issuer, names, not_before, not_after, fingerprint: String::new() })
}

/// `CN=example.com, O=Example`, the most telling part first.
fn name(mut parts: Der<'_>) -> String {
    let mut told = Vec::new();
    while let Some(mut set) = parts.take(SET) {
        while let Some(mut part) = set.take(SEQUENCE) {
            let (Some(oid), Some((tag, value))) = (part.take(OID), part.next()) else { break };
            // the attributes of X.520, which all certificates are named by
            let label = match oid.0 {
                [0x55, 0x04, 3] => "CN",
                [0x55, 0x04, 6] => "C",
                [0x55, 0x04, 7] => "L",
                [0x55, 0x04, 8] => "ST",
                [0x55, 0x04, 10] => "O",
                [0x55, 0x04, 11] => "OU",
                _ => continue,
            };
            told.push((label != "CN", format!("{label}={}", text(tag, value.0))));
        }
    }
    told.sort_by_key(|(is_less_telling, _)| *is_less_telling);
    let told: Vec<_> = told.into_iter().map(|(_, part)| part).collect();
    shorten(&told.join(", "))
}

fn text(tag: u8, bytes: &[u8]) -> String {
    let text = if tag == BMP_STRING {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]])).collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    shorten(&sanitize::printable(&text))
}

fn shorten(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

/// Unix seconds of a UTCTime or a GeneralizedTime, both of which end in Z (RFC 5280 4.1.2.5).
fn time((tag, content): (u8, Der<'_>)) -> Option<i64> {
    let text = std::str::from_utf8(content.0).ok()?.strip_suffix('Z')?;
    let text = match (tag, text.get(..2)?.parse::<u8>().ok()?) {
        (UTC_TIME, 50..) => format!("19{text}"),
        (UTC_TIME, _) => format!("20{text}"),
        _ => text.to_owned(),
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

fn alternative_names(mut extensions: Der<'_>) -> Option<Vec<String>> {
    loop {
        let mut extension = extensions.take(SEQUENCE)?;
        if extension.take(OID)?.0 != ALTERNATIVE_NAME {
            continue;
        }
        let (mut tag, mut value) = extension.next()?;
        if tag != OCTET_STRING {
            // it says first that it is critical
            (tag, value) = extension.next()?;
        }
        let mut names = if tag == OCTET_STRING { value.take(SEQUENCE)? } else { return None };
        let mut told = Vec::new();
        while told.len() < Certificate::MOST_NAMES
            && let Some((tag, name)) = names.next()
        {
            match (tag, name.0) {
                (DNS_NAME, name) => told.push(text(tag, name)),
                (IP_ADDRESS, &[a, b, c, d]) => told.push(Ipv4Addr::new(a, b, c, d).to_string()),
                (IP_ADDRESS, ip) => told.extend(<[u8; 16]>::try_from(ip).map(|ip| Ipv6Addr::from(ip).to_string())),
                _ => {}
            }
        }
        return Some(told);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn made(subject: &str, names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Tests");
        params.distinguished_name.push(DnType::CommonName, subject);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 2, 29), date_time_ymd(2051, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn names_dates_and_the_fingerprint_are_read() {
        let der = made("a\u{1b}[31m.example", &["a.example", "127.0.0.1", "::1"]);
        let certificate = read(&der);
        assert_eq!(certificate.subject, "CN=a\\x1b[31m.example, O=Tests");
        assert!(certificate.is_self_signed());
        assert_eq!(certificate.names, ["a.example", "127.0.0.1", "::1"]);
        assert_eq!((certificate.not_before, certificate.not_after), (1_582_934_400, 2_556_144_000));
        assert_eq!(certificate.fingerprint.len(), 64);
        assert!(public_key(&der).is_some_and(|key| key.len() == 91));
    }

    #[test]
    fn more_names_longer_ones_and_more_certificates_than_are_told_of_are_left_out() {
        let names: Vec<_> = (0..100).map(|n| format!("{n}.example")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let der = made(&"x".repeat(5000), &names);
        let certificate = read(&der);
        assert_eq!((certificate.names.len(), certificate.subject.len()), (Certificate::MOST_NAMES, LONGEST));
        assert_eq!(read_chain(&vec![der; 100]).len(), Tls::MOST_CERTIFICATES);
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_certificate_do_no_harm(
            at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400, noise in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut der = made("a.example", &["a.example", "::1"]).to_vec();
            der[at.min(200)] = byte;
            der.truncate(cut);
            read(&der);
            public_key(&der);
            assert_eq!(read(&noise).names, Vec::<String>::new());
        }
    }
}
