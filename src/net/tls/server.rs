//! TLS for clients, on a port that takes plain connections too.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Accepted, Acceptor, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::authority::LocalAuthority;
use super::error::{HandshakeError, TlsError, TlsSetupError, Why};
use super::files::read_pair;
use super::key_log::KeyLog;
use super::stream::{Session, TlsStream};
use super::{HTTP_1_1, PATIENCE, facts, provider};
use crate::capture::Tls;
use crate::net::socket::Socket;

/// With which certificate a server answers.
#[derive(Clone, Debug)]
pub enum ServerTlsOptions {
    /// The one in these files (PEM).
    Files {
        /// With those that vouch for it.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// One that is made for the name that the client asks for.
    Local(Arc<LocalAuthority>),
}

/// Makes TLS connections out of clients' connections.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificates: Certificates,
    key_log: Arc<KeyLog>,
}

#[derive(Clone, Debug)]
enum Certificates {
    One(Arc<CertifiedKey>),
    Local(Arc<LocalAuthority>),
}

/// The first byte of a TLS record with a handshake in it (RFC 8446 5.1). No request of HTTP begins with it.
const HANDSHAKE: u8 = 22;

/// Room for one read of a ClientHello.
const HELLO_SIZE: usize = 4096;

impl ServerTls {
    /// Reads the files, if there are any.
    pub fn new(options: &ServerTlsOptions, key_log: Arc<KeyLog>) -> Result<Self, TlsSetupError> {
        let certificates = match options {
            ServerTlsOptions::Files { certificate, key } => Certificates::One(Arc::new(read_pair(certificate, key)?)),
            ServerTlsOptions::Local(authority) => Certificates::Local(authority.clone()),
        };
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsSetupError(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Nobody));
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        config.key_log = key_log.clone();
        Ok(Self { config: Arc::new(config), certificates, key_log })
    }

    /// Waits for the client's first byte, which tells whether it speaks TLS, and carries out the handshake then. One that
    /// says nothing for ten seconds is taken for a plain one.
    pub(in crate::net) async fn greet(&self, tcp: TcpStream) -> Result<Socket, TlsError> {
        let mut first = [0];
        match timeout(PATIENCE, tcp.peek(&mut first)).await {
            Ok(Ok(1)) if first == [HANDSHAKE] => self.accept(tcp, &[], None).await,
            // an error or an end shows again in the read that follows
            _ => Ok(Socket::Plain(tcp)),
        }
    }

    /// Carries out the handshake with the client at the other end of `tcp`, of which `come` has been read already. A
    /// client that asks for no name gets a certificate for `host`, or else for our end of the connection. It takes ten
    /// seconds at most.
    pub(in crate::net) async fn accept(
        &self,
        tcp: TcpStream,
        come: &[u8],
        host: Option<&str>,
    ) -> Result<Socket, TlsError> {
        let error = |why| TlsError { peer: "the client".to_owned(), why };
        let accepted = timeout(PATIENCE, self.handshake(&tcp, come, host)).await;
        let (session, facts) = accepted.map_err(|_| error(Why::Late(PATIENCE)))?.map_err(error)?;
        Ok(Socket::Tls(Box::new(TlsStream::new(tcp, session, facts))))
    }

    /// The secrets of sessions since they were last taken, if they are kept.
    pub(in crate::net) fn take_secrets(&self) -> String {
        self.key_log.take()
    }

    async fn handshake(&self, tcp: &TcpStream, come: &[u8], host: Option<&str>) -> Result<(Session, Tls), Why> {
        let (accepted, rest) = read_hello(tcp, come).await?;
        let sni = accepted.client_hello().server_name().map(str::to_owned);
        let names = match (&sni, host) {
            (Some(name), _) => names_for(name),
            (None, Some(host)) => names_for(host),
            (None, None) => names_for(&tcp.local_addr().map_err(HandshakeError::Io)?.ip().to_canonical().to_string()),
        };
        let certified = match &self.certificates {
            Certificates::One(certified) => certified.clone(),
            Certificates::Local(authority) => authority.leaf(&names).map_err(Why::NoCertificate)?,
        };
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::new(One(certified.clone()));
        let connection = match accepted.into_connection(Arc::new(config)) {
            Ok(connection) => connection,
            Err((error, mut alert)) => {
                send_alert(tcp, |out| alert.write_all(out));
                return Err(HandshakeError::Tls(error).into());
            }
        };
        let session = Session::begin(tcp, connection, &rest).await?;
        let facts = facts(session.connection(), sni.as_deref(), &certified.cert);
        Ok((session, facts))
    }
}

/// Reads up to the end of the ClientHello; what came after it is returned too.
async fn read_hello(tcp: &TcpStream, come: &[u8]) -> Result<(Accepted, Vec<u8>), HandshakeError> {
    let mut acceptor = Acceptor::default();
    let mut buffer = come.to_vec();
    loop {
        let mut input = &buffer[..];
        while !input.is_empty() {
            acceptor.read_tls(&mut input)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok((accepted, input.to_vec())),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    send_alert(tcp, |out| alert.write_all(out));
                    return Err(HandshakeError::Tls(error));
                }
            }
        }
        tcp.readable().await?;
        buffer.clear();
        buffer.reserve(HELLO_SIZE);
        match tcp.try_read_buf(&mut buffer) {
            Ok(0) => return Err(HandshakeError::Ended),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tells the client what was wrong. One that takes nothing is not waited for.
fn send_alert(tcp: &TcpStream, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
    let mut alert = Vec::new();
    if write(&mut alert).is_ok() && !alert.is_empty() {
        let _ = tcp.try_write(&alert);
    }
}

/// The names that a certificate for `host` is for: all by which one reaches this machine from itself, if it is one of them.
fn names_for(host: &str) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    }
    vec![host]
}

/// The certificate of one connection.
#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Stands where each connection puts its own.
#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}
