//! Where the capture file lies: where the user wants it, or out of the way until the program ends.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::file::{CaptureReader, CaptureWriter};
use super::gone::takes_holes;
use super::place::{Place, create};

/// A capture file that has been created.
#[derive(Debug)]
pub struct Recording {
    place: Arc<Place>,
    /// Held by whoever gives the file another name, or removes it.
    moving: Mutex<()>,
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
            Ok(file) => {
                if !keep {
                    // tells others that it is in use; where files can't be locked, nobody takes it for a leftover either
                    let _ = file.try_lock();
                }
                Ok(Self { place: Place::new(Arc::new(file), path, keep), moving: Mutex::new(()) })
            }
            Err(source) => Err(RecordingError { path, source }),
        }
    }

    /// Begins the file; `command` says how the program was called.
    pub fn writer(&self, command: &str) -> Result<CaptureWriter, RecordingError> {
        CaptureWriter::start(self.place.clone(), command).map_err(|source| RecordingError { path: self.path(), source })
    }

    /// Reads the file back.
    pub fn reader(&self) -> CaptureReader {
        CaptureReader::at(self.place.clone())
    }

    /// The file's name, if it has one that the user gave it.
    pub fn name(&self) -> Option<PathBuf> {
        let current = self.place.current();
        current.keep.then(|| current.path.clone())
    }

    pub(super) fn file(&self) -> Arc<File> {
        self.place.current().file.clone()
    }

    /// Keeps a recording that has no name of its own, as `path`, and goes on recording there. The file only gets
    /// another name where it can; else, on another file system, it is copied, and written to in its new place from
    /// between two writes on. If that fails, everything is as before.
    pub fn keep(&self, path: &Path) -> Result<(), KeepError> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = self.name() {
            return Err(KeepError::Kept(name));
        }
        let mut stays = Staying { place: &self.place, is_kept: false };
        *self.place.may_be_cut.lock().unwrap_or_else(PoisonError::into_inner) = false;
        let unnamed = self.path();
        let failed = |source| KeepError::Failed { path: path.to_owned(), source };
        match fs::hard_link(&unnamed, path) {
            Ok(()) => self.place.rename(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(failed(error)),
            Err(_) => {
                let copy = create(path, false).map_err(failed)?;
                if let Err(error) = self.place.move_to(copy, path) {
                    // what was made of it is ours, and of no use
                    let _ = fs::remove_file(path);
                    return Err(failed(error));
                }
            }
        }
        stays.is_kept = true;
        // if it can't be removed, it is left over, as after a crash
        let _ = fs::remove_file(unnamed);
        Ok(())
    }

    /// Whether the oldest part of it can go, and give its room back to the disk.
    pub fn can_be_cut(&self) -> bool {
        takes_holes(&self.file())
    }

    /// Removes the file if it was not asked for. Waits for [`Recording::keep`].
    pub fn remove_unless_kept(&self) {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        if self.name().is_none() {
            // if it can't be removed, it is left over, as after a crash
            let _ = fs::remove_file(self.path());
        }
    }

    fn path(&self) -> PathBuf {
        self.place.current().path.clone()
    }
}

/// Nothing of a recording goes while it is given a name, and nothing once it has one.
struct Staying<'a> {
    place: &'a Place,
    is_kept: bool,
}

impl Drop for Staying<'_> {
    fn drop(&mut self) {
        *self.place.may_be_cut.lock().unwrap_or_else(PoisonError::into_inner) = !self.is_kept;
    }
}

/// A path that no other process or thread of ours takes, in the user's state folder, or in the one for temporary files.
fn unnamed() -> Result<PathBuf, RecordingError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = state_folder();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| RecordingError { path: folder.clone(), source })?;
    let process = std::process::id();
    // a process of that number may have crashed and left its file
    (0..1000)
        .map(|_| NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|n| folder.join(format!("unnamed-{process}-{n}.pcapng")))
        .find(|path| !path.exists())
        .ok_or_else(|| RecordingError { path: folder, source: ErrorKind::AlreadyExists.into() })
}

/// The user's state folder, or the one for temporary files: where recordings lie that have no name.
pub fn state_folder() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("wsinspect")
}

/// Recordings without a name whose programs were killed.
#[derive(Debug)]
pub struct Leftovers {
    /// The newest.
    pub newest: PathBuf,
    /// How many older ones there are.
    pub older: usize,
    /// How many were removed, because they would have taken more room than they may.
    pub removed: usize,
}

/// Looks for recordings that were left over, and removes the oldest as far as they take more than `limit` bytes on the disk
/// together, but never the newest. `None` if there are none.
pub fn leftovers(limit: u64) -> Option<Leftovers> {
    let mut found: Vec<_> =
        fs::read_dir(state_folder()).ok()?.filter_map(|entry| left_over(entry.ok()?.path())).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    let mut room = limit;
    let (mut kept, mut removed) = (Vec::new(), 0);
    for (_, size, path) in found {
        let fits = size <= room;
        room = room.saturating_sub(size);
        // the newest stays in any case
        if fits || kept.is_empty() {
            kept.push(path);
        } else {
            removed += usize::from(fs::remove_file(path).is_ok());
        }
    }
    let older = kept.len().checked_sub(1)?;
    Some(Leftovers { newest: kept.swap_remove(0), older, removed })
}

/// When a recording was last written to and the bytes that it takes on the disk, if no program has it.
fn left_over(path: PathBuf) -> Option<(SystemTime, u64, PathBuf)> {
    let name = path.file_name()?.to_str()?;
    let is_ours = name.starts_with("unnamed-") && name.ends_with(".pcapng");
    let file = File::open(&path).ok().filter(|_| is_ours)?;
    // whoever writes it holds a lock, which the kernel takes away with the process
    file.try_lock().ok()?;
    let metadata = file.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.blocks() * 512, path))
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

/// Why a recording was not kept.
#[derive(Debug)]
pub enum KeepError {
    /// It has a name already.
    Kept(PathBuf),
    /// The file could not be made.
    Failed {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, source) = match self {
            Self::Kept(name) => return write!(f, "the recording is kept already, as {}", name.display()),
            Self::Failed { path, source } => (path.display(), source),
        };
        match source.kind() {
            ErrorKind::AlreadyExists => write!(f, "{path} exists already; choose another name"),
            ErrorKind::NotFound => write!(f, "cannot keep the recording as {path}: there is no such folder"),
            ErrorKind::PermissionDenied => {
                write!(f, "cannot keep the recording as {path}: writing there is not permitted")
            }
            ErrorKind::StorageFull => write!(f, "cannot keep the recording as {path}: the disk is full"),
            _ => write!(f, "cannot keep the recording as {path}: {source}"),
        }
    }
}

impl std::error::Error for KeepError {}
