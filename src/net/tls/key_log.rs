//! The secrets of TLS sessions, for whoever decrypts a capture of them: in the format of NSS (draft-ietf-tls-keylogfile).

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::mem;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::error::TlsSetupError;

/// Where secrets go.
#[derive(Debug, Default)]
pub struct KeyLog {
    file: Option<File>,
    /// Those that nobody has taken yet, if they are to be kept.
    kept: Option<Mutex<String>>,
}

impl KeyLog {
    /// The most bytes of secrets that wait to be taken.
    const MOST: usize = 1 << 20;

    /// Secrets are appended to the file that WSINSPECT_SSLKEYLOGFILE names, or else SSLKEYLOGFILE; it is made for its owner
    /// alone. With `keep` they can be taken, too.
    pub fn from_environment(keep: bool) -> Result<Self, TlsSetupError> {
        let names = ["WSINSPECT_SSLKEYLOGFILE", "SSLKEYLOGFILE"];
        let set = |name| std::env::var_os(name).filter(|path| !path.is_empty());
        let file = match names.into_iter().find_map(|name| Some((name, set(name)?))) {
            None => None,
            Some((name, path)) => {
                let path = PathBuf::from(path);
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
                Some(file.map_err(|error| {
                    TlsSetupError(format!("cannot write the key log {} that {name} names: {error}", path.display()))
                })?)
            }
        };
        Ok(Self { file, kept: keep.then(Mutex::default) })
    }

    /// The secrets that have come since they were last taken; empty unless they are kept.
    pub(in crate::net) fn take(&self) -> String {
        let Some(kept) = &self.kept else { return String::new() };
        mem::take(&mut kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = String::new();
        // writing to a String cannot fail
        let _ = writeln!(line, "{label} {} {}", hex::encode(client_random), hex::encode(secret));
        if let Some(mut file) = self.file.as_ref() {
            // one write each, so that lines of several programs don't mix; a full disk is no reason to end a connection
            let _ = file.write_all(line.as_bytes());
        }
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < Self::MOST {
                kept.push_str(&line);
            }
        }
    }

    fn will_log(&self, _label: &str) -> bool {
        self.file.is_some() || self.kept.is_some()
    }
}
