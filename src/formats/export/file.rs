//! The file of an export: whole, or not there at all.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Kind, Progress, Selection, Stop, write};
use crate::capture::Capture;

/// Bytes that are written at once.
const BUFFER: usize = 256 * 1024;

/// Exports to `path`; returned is how many frames that were. The file is readable by its owner alone, and appears under
/// its name when it is whole. One that exists is only replaced with `force`. Which frames is asked once there is nothing
/// in the way; finding that out may take time.
pub fn to_file(
    capture: &Capture,
    path: &Path,
    kind: Kind,
    choose: impl FnOnce(&Progress) -> Result<Selection, Stop>,
    progress: &Progress,
    force: bool,
) -> Result<u64, ExportError> {
    let failed = |stop| ExportError { path: path.to_owned(), stop };
    // also a link that leads nowhere is something
    if !force && path.symlink_metadata().is_ok() {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    let selection = choose(progress).map_err(failed)?;
    let partial = Partial::create(path).map_err(|error| failed(error.into()))?;
    let mut out = BufWriter::with_capacity(BUFFER, &partial.file);
    let frames = write(capture, kind, &selection, progress, &mut out).map_err(failed)?;
    drop(out);
    partial.finish(path, force).map_err(|error| failed(error.into()))?;
    Ok(frames)
}

/// A file under a name of its own, which goes unless it is finished.
struct Partial {
    file: File,
    path: PathBuf,
}

impl Partial {
    fn create(path: &Path) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(path.file_name().ok_or(ErrorKind::IsADirectory)?);
        name.push(format!(".{}.part", std::process::id()));
        let path = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    fn finish(self, path: &Path, force: bool) -> io::Result<()> {
        if force {
            return fs::rename(&self.path, path);
        }
        // unlike renaming, this replaces nothing that has come meanwhile
        match fs::hard_link(&self.path, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
                // a file system without links
                fs::rename(&self.path, path)
            }
            result => result,
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // after a renaming it is not there any more
        let _ = fs::remove_file(&self.path);
    }
}

/// Why there is no file.
#[derive(Debug)]
pub struct ExportError {
    path: PathBuf,
    stop: Stop,
}

impl ExportError {
    /// Whether the user wanted it so.
    pub const fn is_cancelled(&self) -> bool {
        matches!(self.stop, Stop::Cancelled)
    }

    /// Whether a file of that name is there already.
    pub fn is_taken(&self) -> bool {
        matches!(&self.stop, Stop::Failed(error) if error.kind() == ErrorKind::AlreadyExists)
    }
}

impl From<ErrorKind> for Stop {
    fn from(kind: ErrorKind) -> Self {
        Self::Failed(kind.into())
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let Stop::Failed(error) = &self.stop else { return self.stop.fmt(f) };
        match error.kind() {
            ErrorKind::AlreadyExists => write!(f, "{path} exists already; choose another name"),
            ErrorKind::NotFound => write!(f, "cannot export to {path}: there is no such folder"),
            ErrorKind::PermissionDenied => write!(f, "cannot export to {path}: writing there is not permitted"),
            ErrorKind::StorageFull => write!(f, "cannot export to {path}: the disk is full"),
            _ => write!(f, "cannot export to {path}: {error}"),
        }
    }
}

impl std::error::Error for ExportError {}
