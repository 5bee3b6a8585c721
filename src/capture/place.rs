//! Where the capture file is at the moment: shared by who writes it, who reads it and who keeps it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// The capture file and its name. Both may change while it is written; what stands where in it does not.
#[derive(Debug)]
pub(super) struct Place {
    current: RwLock<Current>,
    /// The oldest part of the file may go: it has no name, and is not being given one. Held while it goes.
    pub(super) may_be_cut: Mutex<bool>,
}

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    /// The file stays when the program ends.
    pub(super) keep: bool,
}

/// What is copied at once.
const PIECE: usize = 1 << 20;

impl Place {
    pub(super) fn new(file: Arc<File>, path: PathBuf, keep: bool) -> Arc<Self> {
        Arc::new(Self { may_be_cut: Mutex::new(!keep), current: RwLock::new(Current { file, path, keep }) })
    }

    /// The file as it is now; it stays that while this is held.
    pub(super) fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file has this name from now on and stays.
    pub(super) fn rename(&self, path: &Path) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        path.clone_into(&mut current.path);
        current.keep = true;
    }

    /// Goes on in a copy. Most of it is made while the file is still written to; nobody writes during the rest.
    pub(super) fn move_to(&self, copy: File, path: &Path) -> io::Result<()> {
        let mut done = 0;
        loop {
            let file = self.current().file.clone();
            let before = done;
            done = copy_from(&file, &copy, done, file.metadata()?.len())?;
            if done - before <= PIECE as u64 {
                break;
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        copy_from(&current.file, &copy, done, current.file.metadata()?.len())?;
        *current = Current { file: Arc::new(copy), path: path.to_owned(), keep: true };
        Ok(())
    }
}

/// Creates the file `path`, readable by its owner alone. An existing one is replaced only if `replace` is set.
pub(super) fn create(path: &Path, replace: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    if replace {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options.open(path)
}

/// The first place from `at` on that is no hole; the end of the file if there is none.
#[cfg(target_os = "linux")]
fn data_from(file: &File, at: u64) -> u64 {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => data,
        Err(rustix::io::Errno::NXIO) => u64::MAX,
        Err(_) => at,
    }
}

#[cfg(not(target_os = "linux"))]
fn data_from(_: &File, at: u64) -> u64 {
    at
}

/// Copies the bytes from `at` up to `end`, and leaves holes out; returned is how far it came.
fn copy_from(from: &File, to: &File, mut at: u64, end: u64) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE];
    while at < end {
        at = data_from(from, at).min(end);
        let want = buffer.len().min((end - at) as usize);
        match from.read_at(&mut buffer[..want], at) {
            Ok(0) => break,
            Ok(n) => {
                to.write_all_at(&buffer[..n], at)?;
                at += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}
