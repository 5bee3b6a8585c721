//! TLS to a server: its certificate is verified, unless that is not asked for.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::{TlsError, TlsSetupError, Why, refusal};
use super::files::read_certificates;
use super::key_log::KeyLog;
use super::stream::{Session, TlsStream};
use super::{HTTP_1_1, PATIENCE, certificate, facts, provider};
use crate::net::socket::Socket;

/// Whom a client trusts.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsOptions {
    /// A file (PEM) with certificates that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// Any certificate is accepted.
    pub insecure: bool,
}

/// Makes TLS connections to servers.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// None where nobody is trusted.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    /// Those that were given, which are trusted for themselves too.
    given: Arc<[CertificateDer<'static>]>,
    insecure: bool,
    key_log: Arc<KeyLog>,
}

impl ClientTls {
    /// Reads the certificates that are trusted.
    pub fn new(options: &ClientTlsOptions, key_log: Arc<KeyLog>) -> Result<Self, TlsSetupError> {
        let mut roots = RootCertStore::empty();
        // those that can't be read are as good as not there
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut given = Vec::new();
        if let Some(path) = &options.ca {
            given = read_certificates(path)?;
            for der in &given {
                roots.add(der.clone()).map_err(|error| TlsSetupError::file("trust a certificate in", path, error))?;
            }
        }
        let verifier = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            Some(built.map_err(|error| TlsSetupError(error.to_string()))?)
        };
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsSetupError(error.to_string()))?;
        // its verifier is another one for each connection
        let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        config.key_log = key_log.clone();
        // each connection shows its whole handshake
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), verifier, given: given.into(), insecure: options.insecure, key_log })
    }

    /// Carries out the handshake with the server at the other end of `tcp`, which is to be `host`: a name, or an address
    /// without brackets. It takes ten seconds at most.
    pub(in crate::net) async fn connect(&self, tcp: TcpStream, host: &str) -> Result<Socket, TlsError> {
        let error = |why| TlsError { peer: host.to_owned(), why };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| error(Why::Name))?;
        let witness = Arc::new(Witness {
            verifier: self.verifier.clone(),
            given: self.given.clone(),
            algorithms: self.config.crypto_provider().signature_verification_algorithms,
            insecure: self.insecure,
            refused: Mutex::default(),
        });
        let mut config = ClientConfig::clone(&self.config);
        config.dangerous().set_certificate_verifier(witness.clone());
        let connection =
            ClientConnection::new(Arc::new(config), name).map_err(|failed| error(Why::Handshake(failed.into())))?;
        let begun = timeout(PATIENCE, Session::begin(&tcp, connection, &[])).await;
        let session = begun.map_err(|_| error(Why::Late(PATIENCE)))?;
        let refused = witness.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        let session = session.map_err(|failed| match refused.clone() {
            Some((der, why)) if !self.insecure => error(Why::Certificate(Box::new(certificate::read(&der)), why)),
            _ => error(Why::Handshake(failed)),
        })?;
        let sni = host.parse::<IpAddr>().is_err().then_some(host);
        let mut facts = facts(session.connection(), sni, session.connection().peer_certificates().unwrap_or_default());
        facts.unverified = refused.map(|(der, why)| refusal(host, &certificate::read(&der), &why));
        Ok(Socket::Tls(Box::new(TlsStream::new(tcp, session, facts))))
    }

    /// The secrets of sessions since they were last taken, if they are kept.
    pub(in crate::net) fn take_secrets(&self) -> String {
        self.key_log.take()
    }
}

/// Verifies one server's certificate, and remembers what was wrong with it.
#[derive(Debug)]
struct Witness {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    given: Arc<[CertificateDer<'static>]>,
    algorithms: WebPkiSupportedAlgorithms,
    insecure: bool,
    refused: Mutex<Option<(CertificateDer<'static>, CertificateError)>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match &self.verifier {
            Some(verifier) => verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let verified = match verified {
            Err(_) if self.given.contains(end_entity) => verify_itself(end_entity, server_name, now),
            verified => verified,
        };
        let why = match verified {
            Err(Error::InvalidCertificate(why)) => why,
            verified => return verified,
        };
        let refused = Some((end_entity.clone().into_owned(), why.clone()));
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        if self.insecure { Ok(ServerCertVerified::assertion()) } else { Err(why.into()) }
    }

    // that the server has the certificate's key is verified in any case
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies a certificate that is trusted for itself, whoever issued it and whether or not it might issue others, as those
/// that openssl signs by themselves might: its name and its dates count.
fn verify_itself(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    let told = certificate::read(certificate);
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > told.not_after {
        return Err(CertificateError::Expired.into());
    }
    if now < told.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    Ok(ServerCertVerified::assertion())
}
