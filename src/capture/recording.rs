//! Where the capture file lies: where the user wants it, or out of the way until the program ends.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{CaptureReader, CaptureWriter, create};

/// A capture file that has been created.
#[derive(Debug)]
pub struct Recording {
    file: Arc<File>,
    path: PathBuf,
    keep: bool,
}

impl Recording {
    /// Creates the file at `path`, or one without a name of its own that goes with the program. Both are readable by
    /// their owner alone. A file that exists is only replaced with `force`.
    pub fn create(path: Option<&Path>, force: bool) -> Result<Self, RecordingError> {
        let (path, keep) = match path {
            Some(path) => (path.to_owned(), true),
            None => (unnamed()?, false),
        };
        match create(&path, force && keep) {
            Ok(file) => Ok(Self { file: Arc::new(file), path, keep }),
            Err(source) => Err(RecordingError { path, source }),
        }
    }

    /// Begins the file; `command` says how the program was called.
    pub fn writer(&self, command: &str) -> Result<CaptureWriter, RecordingError> {
        CaptureWriter::start(self.file.clone(), command)
            .map_err(|source| RecordingError { path: self.path.clone(), source })
    }

    /// Reads the file back.
    pub fn reader(&self) -> CaptureReader {
        CaptureReader::new(self.file.clone(), self.path.clone())
    }

    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Removes the file if it was not asked for.
    pub fn remove_unless_kept(&self) {
        if !self.keep {
            // if it can't be removed, it is left over, as after a crash
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A path that no other process of ours takes, in the user's state folder, or in the one for temporary files.
fn unnamed() -> Result<PathBuf, RecordingError> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    let folder = state.unwrap_or_else(std::env::temp_dir).join("wsinspect");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| RecordingError { path: folder.clone(), source })?;
    let process = std::process::id();
    // a process of that number may have crashed and left its file
    (0..1000)
        .map(|n| folder.join(format!("unnamed-{process}-{n}.pcapng")))
        .find(|path| !path.exists())
        .ok_or_else(|| RecordingError { path: folder, source: ErrorKind::AlreadyExists.into() })
}

/// Why there is no capture file.
#[derive(Debug)]
pub struct RecordingError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.source.kind() {
            ErrorKind::AlreadyExists => {
                write!(f, "the recording {path} exists already; choose another name, or replace it with --force")
            }
            ErrorKind::NotFound => write!(f, "cannot record to {path}: the folder it is to lie in does not exist"),
            ErrorKind::PermissionDenied => write!(f, "cannot record to {path}: writing there is not permitted"),
            ErrorKind::StorageFull => write!(f, "cannot record to {path}: the disk is full"),
            _ => write!(f, "cannot record to {path}: {}", self.source),
        }
    }
}

impl std::error::Error for RecordingError {}
