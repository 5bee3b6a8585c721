//! A certificate authority of our own, for whoever chooses to trust it: made once, kept with the user's data, and asked for
//! a certificate of every name that a client wants.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::certificate;
use super::error::TlsSetupError;
use super::files::{pair_of, read_certificates};
use crate::capture::Certificate;

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";
const DAY: Duration = Duration::from_hours(24);
/// How long the authority is good for.
const AUTHORITY_DAYS: u32 = 3650;
/// How long a certificate is: clients take none that is valid for more than 398 days.
const LEAF_DAYS: u32 = 90;
/// After that a certificate is made anew, should the program run for so long.
const RENEWAL: Duration = Duration::from_hours(30 * 24);
/// Certificates that are kept at once.
const MOST_LEAVES: usize = 256;

/// The local certificate authority.
#[derive(Debug)]
pub struct LocalAuthority {
    folder: PathBuf,
    told: Certificate,
    issuer: Issuer<'static, KeyPair>,
    /// One key for all certificates: they are no more than as good as this process.
    leaf_key: KeyPair,
    leaves: Mutex<HashMap<String, (Arc<CertifiedKey>, SystemTime)>>,
}

impl LocalAuthority {
    /// The authority in `$XDG_DATA_HOME/wsinspect`, or `~/.local/share/wsinspect`; it is made if there is none.
    pub fn of_user() -> Result<Self, TlsSetupError> {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
        let data = data.or_else(home).ok_or_else(|| {
            TlsSetupError("there is no place for a certificate authority: set HOME or XDG_DATA_HOME".to_owned())
        })?;
        Self::in_folder(&data.join("wsinspect"))
    }

    /// The authority in `folder`; it is made if there is none.
    pub fn in_folder(folder: &Path) -> Result<Self, TlsSetupError> {
        let folder = folder.join("ca");
        let key_path = folder.join(KEY);
        let key = match fs::read_to_string(&key_path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(&folder)
                    .map_err(|error| TlsSetupError::file("make a certificate authority in", &folder, error))?;
                fs::read_to_string(&key_path)
            }
            key => key,
        };
        let key = key.map_err(|error| TlsSetupError::file("read the key of the authority from", &key_path, error))?;
        let key = KeyPair::from_pem(&key).map_err(|error| {
            let again = format!("{error}; remove {} to have a new authority made", folder.display());
            TlsSetupError::file("use the key of the authority in", &key_path, again)
        })?;
        let certificate_path = folder.join(CERTIFICATE);
        let der = read_certificates(&certificate_path)?;
        let told = certificate::read(&der[0]);
        let is_wrong = if certificate::public_key(&der[0]) != Some(&key.subject_public_key_info()) {
            Some("its key is another one")
        } else if told.not_after < jiff::Timestamp::now().as_second() {
            Some("it has expired")
        } else {
            None
        };
        if let Some(why) = is_wrong {
            let again = format!("{why}; remove {} to have a new authority made", folder.display());
            return Err(TlsSetupError::file("use the authority's certificate in", &certificate_path, again));
        }
        let leaf_key = KeyPair::generate().map_err(|error| TlsSetupError(format!("cannot make a key: {error}")))?;
        Ok(Self { folder, told, issuer: Issuer::new(params(), key), leaf_key, leaves: Mutex::default() })
    }

    /// The file (PEM) with the certificate that clients have to trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// The file with its key, which nobody else may see.
    pub fn key(&self) -> PathBuf {
        self.folder.join(KEY)
    }

    /// What its certificate says.
    pub const fn told(&self) -> &Certificate {
        &self.told
    }

    /// A certificate for `names`, and its key; made at the first time.
    pub(super) fn leaf(&self, names: &[String]) -> Result<Arc<CertifiedKey>, String> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let key = names.join(" ");
        let now = SystemTime::now();
        let is_good = |made: &SystemTime| now.duration_since(*made).is_ok_and(|age| age < RENEWAL);
        if let Some((leaf, _)) = leaves.get(&key).filter(|(_, made)| is_good(made)) {
            return Ok(leaf.clone());
        }
        if leaves.len() >= MOST_LEAVES {
            // made in less than a millisecond, so those that are still wanted come back
            leaves.clear();
        }
        let leaf = self.make(names, now)?;
        leaves.insert(key, (leaf.clone(), now));
        Ok(leaf)
    }

    fn make(&self, names: &[String], now: SystemTime) -> Result<Arc<CertifiedKey>, String> {
        let mut params = CertificateParams::new(names).map_err(|error| error.to_string())?;
        params.distinguished_name = DistinguishedName::new();
        // a common name has 64 characters at most (RFC 5280 A.1); clients look at the alternative names (RFC 9525)
        let common_name: String = names.first().map_or("", String::as_str).chars().take(64).collect();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // a day back: clocks differ
        (params.not_before, params.not_after) = ((now - DAY).into(), (now + DAY * LEAF_DAYS).into());
        let made = params.signed_by(&self.leaf_key, &self.issuer).map_err(|error| error.to_string())?;
        let key = PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der());
        pair_of(vec![made.der().clone()], key.into()).map_err(|error| error.to_string())
    }
}

/// What the authority's certificate says, but for its dates.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "wsinspect local CA");
    params.distinguished_name.push(DnType::OrganizationName, "wsinspect");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Makes an authority in `folder`, all of it at once: another process that does the same at the same time comes first, or
/// finds this one.
fn create(folder: &Path) -> io::Result<()> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let now = SystemTime::now();
    let mut params = params();
    (params.not_before, params.not_after) = ((now - DAY).into(), (now + DAY * AUTHORITY_DAYS).into());
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    let parent = folder.parent().unwrap_or(folder);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let made = parent.join(format!(".ca-{}", hex::encode(suffix)));
    fs::DirBuilder::new().mode(0o700).create(&made)?;
    let written = write(&made.join(KEY), 0o600, &key.serialize_pem())
        .and_then(|()| write(&made.join(CERTIFICATE), 0o644, &certificate.pem()))
        .and_then(|()| fs::rename(&made, folder));
    if written.is_err() {
        // what can't be removed either is an empty folder or half an authority that nobody asks
        let _ = fs::remove_dir_all(&made);
    }
    // somebody else was faster
    if folder.join(KEY).exists() { Ok(()) } else { written }
}

fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
