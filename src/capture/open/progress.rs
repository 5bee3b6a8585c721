//! How far reading has come, and the bytes that are counted for it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::readahead::{Piece, ReadAhead};
use super::window::Input;

/// How far the reading of a file has come, for whoever waits for it, and whether it is still wanted.
#[derive(Debug, Default)]
pub struct ReadProgress {
    read: AtomicU64,
    /// 0 where it is not known.
    size: AtomicU64,
    over: AtomicBool,
    stopped: AtomicBool,
}

impl ReadProgress {
    /// Bytes of the file that were read, and how many there are where that is known; `None` once its end was reached.
    pub fn so_far(&self) -> Option<(u64, Option<u64>)> {
        if self.over.load(Ordering::Acquire) {
            return None;
        }
        let size = self.size.load(Ordering::Relaxed);
        Some((self.read.load(Ordering::Relaxed), (size > 0).then_some(size)))
    }

    /// The rest is not wanted; what was read stays. `false` if there is nothing to stop.
    pub fn stop(&self) -> bool {
        !self.over.load(Ordering::Acquire) && !self.stopped.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The end was reached.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

/// Reads a file whose own position others may move. Once it is not wanted any more, nothing comes of it.
pub(super) struct FileFrom {
    file: Arc<File>,
    at: u64,
    progress: Arc<ReadProgress>,
    /// Bytes that were read one after the other without it.
    unaided: u64,
    ahead: Option<ReadAhead>,
}

/// From `at` on, as somebody reads it who tells nobody.
struct Rest {
    file: Arc<File>,
    at: u64,
}

impl FileFrom {
    /// So much is read before another thread is asked to read ahead: most files are smaller, and its first bytes are shown
    /// sooner.
    const UNAIDED: u64 = 1 << 20;

    pub(super) fn start(file: Arc<File>, progress: Arc<ReadProgress>) -> io::Result<Self> {
        progress.size.store(file.metadata()?.len(), Ordering::Relaxed);
        Ok(Self { file, at: 0, progress, unaided: 0, ahead: None })
    }

    fn pass(&mut self, length: u64) {
        self.at += length;
        self.progress.read.store(self.at, Ordering::Relaxed);
    }
}

impl Read for FileFrom {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.progress.is_stopped() {
            return Err(ErrorKind::WouldBlock.into());
        }
        // what that has read is read again
        self.ahead = None;
        let got = self.file.read_at(bytes, self.at)?;
        self.pass(got as u64);
        self.unaided += got as u64;
        Ok(got)
    }
}

impl Input for FileFrom {
    fn skip(&mut self, length: u64) -> u64 {
        (self.ahead, self.unaided) = (None, 0);
        // no further than it goes: what is cut short is to be seen
        let end = self.file.metadata().map_or(self.at, |file| file.len());
        let skipped = length.min(end.saturating_sub(self.at));
        self.pass(skipped);
        skipped
    }

    fn next_piece(&mut self) -> Option<Piece> {
        if self.progress.is_stopped() {
            return None;
        }
        if self.ahead.is_none() && self.unaided >= Self::UNAIDED {
            self.unaided = 0;
            self.ahead = ReadAhead::start(Rest { file: self.file.clone(), at: self.at }).ok();
        }
        let piece = self.ahead.as_mut()?.next();
        match &piece {
            Some(piece) => self.pass(piece.length as u64),
            None => self.ahead = None,
        }
        piece
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        if let Some(ahead) = &mut self.ahead {
            ahead.give_back(buffer);
        }
    }
}

impl Read for Rest {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(bytes, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

/// Reads a pipe. Where nothing comes for a while, it says so with [`ErrorKind::WouldBlock`].
pub(super) struct Pipe {
    file: File,
    progress: Arc<ReadProgress>,
}

impl Pipe {
    const PATIENCE: Duration = Duration::from_millis(50);

    /// Reads `file` on, of which `read` bytes are read already.
    pub(super) fn after(read: usize, file: File, progress: Arc<ReadProgress>) -> Self {
        progress.read.store(read as u64, Ordering::Relaxed);
        Self { file, progress }
    }
}

impl Read for Pipe {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(Self::PATIENCE.subsec_nanos()) };
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        // whatever else is wrong shows when it is read
        if self.progress.is_stopped() || poll(&mut polled, Some(&patience)) == Ok(0) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let got = self.file.read(bytes)?;
        self.progress.read.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}
