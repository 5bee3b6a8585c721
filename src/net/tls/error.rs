//! What keeps a TLS connection from being made, in a sentence for people.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use crate::capture::Certificate;
use crate::formats::tls;

/// Why a TLS handshake came to nothing.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The connection failed under it.
    Io(io::Error),
    /// The peer ended it.
    Ended,
    /// What came is no TLS, or none that we can agree on, or an alert.
    Tls(rustls::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustls::Error> for HandshakeError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

impl From<HandshakeError> for Why {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

/// Why there is no TLS connection to a peer: a sentence without a period.
#[derive(Debug)]
pub(in crate::net) struct TlsError {
    /// Who the peer is: a server's name, or "the client".
    pub(super) peer: String,
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Why {
    Handshake(HandshakeError),
    /// It took too long.
    Late(Duration),
    /// The server's certificate is refused: which, and why.
    Certificate(Box<Certificate>, CertificateError),
    /// The name of the server can't stand in a certificate.
    Name,
    /// No certificate could be made.
    NoCertificate(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = &self.peer;
        match &self.why {
            Why::Certificate(certificate, error) => {
                f.write_str(&refusal(peer, certificate, error))?;
                f.write_str("; -k accepts any certificate")
            }
            Why::Late(patience) => {
                write!(f, "{peer} did not finish the TLS handshake within {} seconds", patience.as_secs())
            }
            Why::Name => write!(f, "\"{peer}\" is no name that a certificate could be for"),
            Why::NoCertificate(why) => write!(f, "no certificate could be made for {peer}: {why}"),
            Why::Handshake(HandshakeError::Ended) => write!(f, "{peer} ended the connection during the TLS handshake"),
            Why::Handshake(HandshakeError::Io(error)) if is_gone(error) => {
                write!(f, "{peer} tore the connection down during the TLS handshake")
            }
            Why::Handshake(HandshakeError::Io(error)) => write!(f, "the connection to {peer} failed: {error}"),
            Why::Handshake(HandshakeError::Tls(error)) => f.write_str(&protocol(peer, error)),
        }
    }
}

impl std::error::Error for TlsError {}

impl TlsError {
    /// Whether the peer has not taken our certificate: it may have said so, or just gone.
    pub(in crate::net) const fn is_distrust(&self) -> bool {
        match &self.why {
            Why::Handshake(HandshakeError::Ended) => true,
            Why::Handshake(HandshakeError::Tls(rustls::Error::AlertReceived(alert))) => matches!(
                alert,
                AlertDescription::UnknownCA
                    | AlertDescription::BadCertificate
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::UnsupportedCertificate
                    | AlertDescription::CertificateExpired
            ),
            _ => false,
        }
    }

    /// With a capital letter and a period.
    pub(in crate::net) fn sentence(&self) -> String {
        let mut text = format!("{self}.");
        let first = text.remove(0).to_ascii_uppercase();
        text.insert(0, first);
        text
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

/// What is wrong with a server's certificate, and what to do other than to accept it.
pub(super) fn refusal(host: &str, certificate: &Certificate, error: &CertificateError) -> String {
    use CertificateError as E;
    let is_over = |seconds: i64| jiff::Timestamp::now().as_second() > seconds;
    match error {
        E::NotValidForName | E::NotValidForNameContext { .. } => match &certificate.names[..] {
            [] => format!(
                "the certificate of {host} names no host at all (subject {}), so it is for none (RFC 9525): \
                 the server needs another one",
                certificate.subject
            ),
            names => format!(
                "the certificate of {host} is for {}, not for {host}: connect by a name that it is for",
                list(names)
            ),
        },
        E::Expired | E::ExpiredContext { .. } if is_over(certificate.not_after) => format!(
            "the certificate of {host} expired on {}: the server needs a new one, unless the clock here is wrong",
            date(certificate.not_after)
        ),
        E::Expired | E::ExpiredContext { .. } => {
            format!("a certificate that vouches for {host} has expired: the server needs a new chain")
        }
        E::NotValidYet | E::NotValidYetContext { .. } => format!(
            "the certificate of {host} is not valid before {}: look at the clock here and at the server's",
            date(certificate.not_before)
        ),
        _ if certificate.is_self_signed() => format!(
            "the certificate of {host} is self-signed, nobody else vouches for it: trust it by --ca FILE if it is the right one"
        ),
        E::UnknownIssuer => format!(
            "the certificate of {host} was issued by {}, whom this system does not trust: trust the issuer's certificate \
             by --ca FILE if it is the right one",
            certificate.issuer
        ),
        E::BadSignature => format!(
            "the certificate of {host} says that {} issued it, but the one of that name that is trusted here did not sign \
             it: look whether the issuer has been made anew",
            certificate.issuer
        ),
        E::Revoked => format!("the certificate of {host} was revoked: the server needs a new one"),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            format!("the certificate of {host} is not one for servers: the server needs another one")
        }
        E::BadEncoding => format!("the certificate of {host} can't be read: the server needs another one"),
        error => format!("the certificate of {host} can't be verified: {error}"),
    }
}

fn list(names: &[String]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.join(""),
    }
}

fn date(seconds: i64) -> String {
    format!("{} (UTC)", tls::day(seconds))
}

/// What went wrong between us and `peer` other than its certificate.
fn protocol(peer: &str, error: &rustls::Error) -> String {
    use rustls::Error as E;
    match error {
        E::AlertReceived(alert) => {
            let name = alert_name(*alert);
            match alert {
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired => {
                    format!(
                        "{peer} does not trust the certificate that it was shown (alert {name}); if the local authority \
                         made it, wsinspect ca says how to trust that"
                    )
                }
                AlertDescription::CertificateRequired => {
                    format!("{peer} asks for a certificate of ours, and there is none (alert {name})")
                }
                AlertDescription::UnrecognisedName => format!("{peer} has no certificate for that name (alert {name})"),
                _ => format!("{peer} refused the TLS handshake (alert {name})"),
            }
        }
        E::InvalidMessage(_) => format!("{peer} does not speak TLS there: what came is something else"),
        E::PeerIncompatible(_) => {
            format!(
                "{peer} and wsinspect have no version or cipher of TLS in common; it has to know TLS 1.2 or 1.3 ({error})"
            )
        }
        E::NoApplicationProtocol => format!("{peer} offers by ALPN other protocols than HTTP/1.1 alone"),
        error => format!("the TLS handshake with {peer} failed: {error}"),
    }
}

/// A name of RFC 8446 6.2: `unknown_ca`.
fn alert_name(alert: AlertDescription) -> String {
    let name = format!("{alert:?}").replace("CA", "Ca");
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// What keeps TLS from being set up at all, for the command line.
#[derive(Debug)]
pub struct TlsSetupError(pub(super) String);

impl fmt::Display for TlsSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsSetupError {}

impl TlsSetupError {
    pub(super) fn file(what: &str, path: &Path, error: impl fmt::Display) -> Self {
        Self(format!("cannot {what} {}: {error}", path.display()))
    }
}
