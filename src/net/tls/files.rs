//! Certificates and keys in files (PEM).

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;

use super::error::TlsSetupError;
use super::provider;

/// All certificates of a file.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| TlsSetupError::file("read certificates from", path, says(&error)))?;
    if certificates.is_empty() {
        let expected = "there is none in it; expected PEM, which begins with -----BEGIN CERTIFICATE-----";
        return Err(TlsSetupError::file("read certificates from", path, expected));
    }
    Ok(certificates)
}

/// A certificate with those that vouch for it, and its key.
pub(super) fn read_pair(certificates: &Path, key: &Path) -> Result<CertifiedKey, TlsSetupError> {
    let chain = read_certificates(certificates)?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let expected = "there is none in it; expected PEM, which begins with -----BEGIN PRIVATE KEY-----";
            TlsSetupError::file("read a private key from", key, expected)
        }
        error => TlsSetupError::file("read a private key from", key, says(&error)),
    })?;
    let signing = provider().key_provider.load_private_key(der);
    let signing = signing.map_err(|error| TlsSetupError::file("use the private key in", key, error))?;
    let pair = CertifiedKey::new(chain, signing);
    match pair.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => Err(TlsSetupError(format!(
            "the key in {} is not the one of the certificate in {}; give the two that belong together",
            key.display(),
            certificates.display()
        ))),
        // where that can't be told, the handshake will
        _ => Ok(pair),
    }
}

fn says(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        error => format!("{error}; expected PEM"),
    }
}

/// A certificate that was just made, and its key.
pub(super) fn pair_of(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    Ok(Arc::new(CertifiedKey::new(chain, provider().key_provider.load_private_key(key)?)))
}
