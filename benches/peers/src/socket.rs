//! The load's end of a connection: plain, or by TLS. Whose certificate it is does not matter here.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream as Blocking;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream};

pub enum Socket<S> {
    Plain(S),
    Tls(S, Box<ClientConnection>),
}

impl Socket<Blocking> {
    /// Begins TLS on a connection, if there is a configuration.
    pub fn on(socket: Blocking, config: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let Some(config) = config else { return Ok(Self::Plain(socket)) };
        let name = ServerName::from(socket.peer_addr()?.ip());
        let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        Ok(Self::Tls(socket, Box::new(tls)))
    }

    /// From now on neither reading nor writing waits.
    pub fn polled(self) -> io::Result<Socket<TcpStream>> {
        let polled = |socket: Blocking| socket.set_nonblocking(true).map(|()| TcpStream::from_std(socket));
        Ok(match self {
            Self::Plain(socket) => Socket::Plain(polled(socket)?),
            Self::Tls(socket, tls) => Socket::Tls(polled(socket)?, tls),
        })
    }
}

impl<S: Read + Write> Socket<S> {
    pub fn tcp(&mut self) -> &mut S {
        match self {
            Self::Plain(socket) | Self::Tls(socket, _) => socket,
        }
    }

    /// Whether a read that did not fill its buffer has taken all there was.
    pub fn is_drained(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Sends what TLS has kept, as far as the socket takes it.
    pub fn send_kept(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(socket, tls) => {
                while tls.wants_write() {
                    match tls.write_tls(socket) {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }
}

impl<S: Read + Write> Read for Socket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(socket, tls) => Stream::new(&mut **tls, socket).read(buffer),
        }
    }
}

impl<S: Read + Write> Write for Socket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(socket, tls) => Stream::new(&mut **tls, socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(socket, tls) => Stream::new(&mut **tls, socket).flush(),
        }
    }
}

/// TLS without a look at certificates, and without resuming sessions.
pub fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
