//! What was agreed on by TLS, in words.

use crate::capture::{Certificate, Connection, Tls};
use crate::wire::Side;

/// One thing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is: `cipher`.
    pub name: &'static str,
    /// As it was agreed on, or sent.
    pub value: String,
    /// What it means.
    pub meaning: String,
    /// Where to read on.
    pub section: &'static str,
    /// Whether something is wrong with it.
    pub is_bad: bool,
}

/// `TLSv1.3`, or where we stand in the middle `TLSv1.3 with the client, TLSv1.2 with the server`; `None` without TLS.
pub fn summary(connection: &Connection) -> Option<String> {
    let told: Vec<_> = Side::BOTH
        .into_iter()
        .filter_map(|with| {
            let tls = connection.tls[with as usize].as_deref()?;
            let unverified = tls.unverified.as_ref().map_or_else(String::new, |why| format!(" (not verified: {why})"));
            Some(format!("{} with the {with}{unverified}", tls.version))
        })
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// All of it, in the order in which it is agreed on.
pub fn in_words(tls: &Tls, with: Side) -> Vec<Part> {
    let part = |name, value: &str, meaning: &str, section| Part {
        name,
        value: value.to_owned(),
        meaning: meaning.to_owned(),
        section,
        is_bad: false,
    };
    let (version, section) = version_in_words(&tls.version);
    let mut parts = vec![
        part("version", &tls.version, version, section),
        part("cipher", &tls.cipher, &cipher_in_words(&tls.cipher), "RFC 8446 B.4"),
        match &tls.sni {
            Some(name) => part(
                "SNI",
                name,
                "The name that the client asked for: it goes in the clear, so that the server can choose its certificate.",
                "RFC 6066 3",
            ),
            None => part("SNI", "none", "The client asked for no name; for an address there is none.", "RFC 6066 3"),
        },
        match &tls.alpn {
            Some(protocol) => part(
                "ALPN",
                protocol,
                "The protocol that both speak inside TLS, agreed on without another round trip; a WebSocket begins with \
                 a request of HTTP/1.1.",
                "RFC 7301 3.2",
            ),
            None => part(
                "ALPN",
                "none",
                "No protocol was agreed on; HTTP/1.1 is what a WebSocket begins with anyhow.",
                "RFC 7301 3.2",
            ),
        },
    ];
    parts.push(trust(tls, with));
    for (i, certificate) in tls.chain.iter().enumerate() {
        parts.push(certificate_in_words(certificate, i == 0));
    }
    parts
}

fn version_in_words(version: &str) -> (&'static str, &'static str) {
    match version {
        "TLSv1.3" => (
            "One round trip; all that follows the two hellos is encrypted, the certificates too, and keys can't be had \
             from the certificate's key later.",
            "RFC 8446 2",
        ),
        "TLSv1.2" => ("Two round trips, with the certificates in the clear.", "RFC 5246 7.3"),
        _ => ("A version that is not known here.", "RFC 8446 4.2.1"),
    }
}

fn cipher_in_words(cipher: &str) -> String {
    let with = match cipher {
        _ if cipher.contains("AES_256_GCM") => "AES with keys of 256 bits, in GCM",
        _ if cipher.contains("AES_128_GCM") => "AES with keys of 128 bits, in GCM",
        _ if cipher.contains("CHACHA20_POLY1305") => "ChaCha20 with Poly1305",
        _ => "The cipher named here",
    };
    format!("{with}: encrypts each record, and shows whether it was changed on the way.")
}

fn trust(tls: &Tls, with: Side) -> Part {
    let part = |value: &str, meaning, is_bad| Part {
        name: "trust",
        value: value.to_owned(),
        meaning,
        section: "RFC 9525 6",
        is_bad,
    };
    match (&tls.unverified, with) {
        (Some(why), _) => {
            part("not verified", format!("Accepted all the same, since -k asks for that: {why}."), true)
        }
        (None, Side::Client) => part(
            "the client's to decide",
            "It finished the handshake, so it accepted the certificate: it trusts who issued it, or does not look.".to_owned(),
            false,
        ),
        (None, Side::Server) => part(
            "verified",
            "The name that was connected to is among the certificate's, today is within its dates, and its issuer leads \
             to one that is trusted here."
                .to_owned(),
            false,
        ),
    }
}

fn certificate_in_words(certificate: &Certificate, is_first: bool) -> Part {
    let names = match &certificate.names[..] {
        [] => "It names no host".to_owned(),
        names => format!("For {}", names.join(", ")),
    };
    let issuer = if certificate.is_self_signed() {
        "signed by itself".to_owned()
    } else {
        format!("issued by {}", certificate.issuer)
    };
    Part {
        name: if is_first { "certificate" } else { "vouched by" },
        value: certificate.subject.clone(),
        meaning: format!(
            "{names}; {issuer}; valid from {} to {} (UTC). SHA-256 {}.",
            day(certificate.not_before),
            day(certificate.not_after),
            certificate.fingerprint
        ),
        section: if is_first { "RFC 5280 4.1, RFC 8446 4.4.2" } else { "RFC 5280 6" },
        is_bad: false,
    }
}

/// `2026-01-31`, in UTC.
pub fn day(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%d").to_string()
}
