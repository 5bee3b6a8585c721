//! TLS for tests: certificates as they need them, and both ends of a connection.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;

use super::PATIENCE;

const DAY: Duration = Duration::from_hours(24);

/// An authority of a test's own, and a folder for its files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// The same in files.
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("Authority of a test")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, "Tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate for `names`, valid from so many days ago to in so many days.
    pub(crate) fn certify(&self, names: &[&str], from: i32, to: i32) -> Certified {
        let (params, key) = (params(names, from, to), KeyPair::generate().unwrap());
        let made = params.signed_by(&key, &self.issuer).unwrap();
        self.keep(&made, &key)
    }

    /// One that nobody else vouches for.
    pub(crate) fn self_signed(&self, names: &[&str]) -> Certified {
        let (params, key) = (params(names, 1, 1), KeyPair::generate().unwrap());
        let made = params.self_signed(&key).unwrap();
        self.keep(&made, &key)
    }

    fn keep(&self, certificate: &rcgen::Certificate, key: &KeyPair) -> Certified {
        let name = hex::encode(&key.public_key_raw()[1..9]);
        let (certificate_file, key_file) =
            (self.path().join(format!("{name}.pem")), self.path().join(format!("{name}-key.pem")));
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Certified { chain: vec![certificate.der().clone()], key, certificate_file, key_file }
    }
}

fn params(names: &[&str], from: i32, to: i32) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("nobody"));
    let at = |days: i32| {
        let distance = DAY * days.unsigned_abs();
        if days < 0 { SystemTime::now() - distance } else { SystemTime::now() + distance }
    };
    (params.not_before, params.not_after) = (at(-from).into(), at(to).into());
    params
}

/// A client's side that trusts the certificates in `file`.
pub(crate) fn client_config(file: &Path) -> Arc<ClientConfig> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A server's side with that certificate.
pub(crate) fn server_config(certified: &Certified) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(certified.chain.clone(), certified.key.clone_key()).unwrap())
}

/// A connection, plain or by TLS, that one thread reads and another one writes.
#[derive(Clone)]
pub(crate) struct Duplex {
    tcp: Arc<TcpStream>,
    tls: Option<Arc<Mutex<Connection>>>,
    /// What has been decrypted and not been read.
    early: Arc<Mutex<VecDeque<u8>>>,
}

impl Duplex {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        Self { tcp: Arc::new(tcp), tls: None, early: Arc::default() }
    }

    /// A TLS client that asks for `name`.
    pub(crate) fn connect(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let connection = ClientConnection::new(config, name.to_owned().try_into().unwrap()).unwrap();
        Self::plain(TcpStream::connect(address)?).begin(connection.into())
    }

    /// A TLS server with a client that has connected.
    pub(crate) fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        Self::plain(tcp).begin(ServerConnection::new(config).unwrap().into())
    }

    fn begin(mut self, mut connection: Connection) -> io::Result<Self> {
        connection.set_buffer_limit(None);
        connection.complete_io(&mut &*self.tcp)?;
        while connection.wants_write() {
            connection.write_tls(&mut &*self.tcp)?;
        }
        self.tls = Some(Arc::new(Mutex::new(connection)));
        Ok(self)
    }

    /// ALPN's choice.
    pub(crate) fn alpn(&self) -> Option<Vec<u8>> {
        self.tls.as_ref()?.lock().unwrap().alpn_protocol().map(<[u8]>::to_vec)
    }

    /// Sends no more, and says so.
    pub(crate) fn end(&mut self) {
        if let Some(tls) = self.tls.clone() {
            tls.lock().unwrap().send_close_notify();
            self.send().unwrap();
        }
        self.end_tcp();
    }

    /// The same without a word of TLS.
    pub(crate) fn end_tcp(&self) {
        self.tcp.shutdown(Shutdown::Write).unwrap();
    }

    /// It is torn down once this is dropped.
    pub(crate) fn reset(&self) {
        rustix::net::sockopt::set_socket_linger(&*self.tcp, Some(Duration::ZERO)).unwrap();
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(tls) = &self.tls else { return Ok(()) };
        let mut records = Vec::new();
        {
            let mut tls = tls.lock().unwrap();
            while tls.wants_write() {
                tls.write_tls(&mut records)?;
            }
        }
        // not under the lock: the other thread has to go on reading
        (&*self.tcp).write_all(&records)
    }
}

impl Read for Duplex {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return (&*self.tcp).read(buffer) };
        loop {
            {
                let mut early = self.early.lock().unwrap();
                if !early.is_empty() {
                    return early.read(buffer);
                }
                match tls.lock().unwrap().reader().read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    read => return read,
                }
            }
            let mut bytes = [0; 4096];
            let read = (&*self.tcp).read(&mut bytes)?;
            let mut tls = tls.lock().unwrap();
            let mut input = &bytes[..read];
            loop {
                tls.read_tls(&mut input)?;
                let state = tls.process_new_packets().map_err(io::Error::other)?;
                let mut plain = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut plain)?;
                self.early.lock().unwrap().extend(plain);
                if input.is_empty() {
                    break;
                }
            }
        }
    }
}

impl Write for Duplex {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return (&*self.tcp).write(bytes) };
        tls.lock().unwrap().writer().write_all(bytes)?;
        self.send()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
