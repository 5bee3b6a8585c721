//! What two ends agreed on by TLS, and who the one that was asked says it is.

use serde::{Deserialize, Serialize};

/// One leg's TLS session, as far as it is told of. Whatever a peer wrote has no control characters, and is shortened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// `TLSv1.3`
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
    /// The protocol that was agreed on by ALPN (RFC 7301), if one was.
    pub alpn: Option<String>,
    /// The name that the client asked for by SNI (RFC 6066 3); an address is not asked for by name.
    pub sni: Option<String>,
    /// The server's certificates, its own first.
    pub chain: Vec<Certificate>,
    /// Why the certificate would have been refused, where it was accepted all the same: the option asked for it.
    pub unverified: Option<String>,
}

/// An X.509 certificate, as far as it is told of (RFC 5280 4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose it is: `CN=example.com, O=Example`.
    pub subject: String,
    /// Who vouches for that.
    pub issuer: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// From when on it is valid, in Unix seconds.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// SHA-256 of all of it, in hex.
    pub fingerprint: String,
}

impl Tls {
    /// The most certificates of a chain that are told of.
    pub const MOST_CERTIFICATES: usize = 6;
}

impl Certificate {
    /// The most names of a certificate that are told of.
    pub const MOST_NAMES: usize = 16;

    /// Whether it vouches for itself.
    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}
