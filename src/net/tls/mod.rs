//! TLS on either leg (RFC 8446, RFC 5246), without a socket of its own: it runs over a TCP connection that there is.

mod authority;
mod certificate;
mod client;
mod error;
mod files;
mod key_log;
mod server;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use rustls::Connection;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;

pub use authority::LocalAuthority;
pub use client::{ClientTls, ClientTlsOptions};
pub use error::TlsSetupError;
pub(super) use error::session_failure;
pub use key_log::KeyLog;
pub use server::{ServerTls, ServerTlsOptions};
pub(super) use stream::TlsStream;

use crate::capture::Tls;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The protocol that WebSockets begin with, by its name for ALPN (RFC 7301 6).
const HTTP_1_1: &[u8] = b"http/1.1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What was agreed on in a handshake.
fn facts(connection: &Connection, sni: Option<&str>, chain: &[CertificateDer<'_>]) -> Tls {
    let version = connection.protocol_version().and_then(|version| version.as_str());
    let cipher = connection.negotiated_cipher_suite().and_then(|cipher| cipher.suite().as_str());
    Tls {
        version: version.unwrap_or_default().replace("TLSv1_", "TLSv1."),
        // the names of RFC 8446 B.4, which differ from those of rustls
        cipher: cipher.unwrap_or_default().replace("TLS13_", "TLS_"),
        alpn: connection.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        sni: sni.map(str::to_owned),
        chain: certificate::read_chain(chain),
        unverified: None,
    }
}
