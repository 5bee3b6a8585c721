//! Room on the disk that is taken before it is needed: a write then costs the file system about half as much.

use std::fs::File;

/// How far the blocks of the capture file are taken already. The file's length is not touched by that.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    until: u64,
    /// The file system can't, or is full: it goes without.
    fails: bool,
}

impl Ahead {
    /// A small recording takes no more room than it has bytes.
    const LEAST: u64 = 1 << 20;
    const MOST: u64 = 64 << 20;

    /// The bytes from `length`, where the file ends, up to `end` will be written, and more later. Taken is a quarter of
    /// what is there, and little of `limit`, within which the file is kept.
    pub(super) fn take(&mut self, file: &File, length: u64, end: u64, limit: Option<u64>) {
        if end <= self.until || self.fails {
            return;
        }
        let ahead = (end / 4).min(limit.unwrap_or(u64::MAX) / 32).min(Self::MOST);
        if ahead >= Self::LEAST {
            self.until = end + ahead;
            self.fails = !allocate(file, length, self.until - length);
        }
    }

    /// Gives back what was not needed: the file ends at `length`.
    pub(super) fn give_back(&mut self, file: &File, length: u64) {
        if self.until > length {
            // if it can't be given back, it stays with the file until that is removed
            let _ = file.set_len(length);
            self.until = length;
        }
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, from: u64, bytes: u64) -> bool {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, from, bytes).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File, _: u64, _: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    use super::*;

    fn on_disk(file: &File) -> (u64, u64) {
        let metadata = file.metadata().unwrap();
        (metadata.len(), metadata.blocks() * 512)
    }

    #[test]
    fn room_is_taken_behind_the_end_as_the_file_grows_and_given_back() {
        let file = tempfile::tempfile().unwrap();
        let (mut ahead, mut length) = (Ahead::default(), 0);
        let piece = vec![1; 1 << 20];
        for _ in 0..24 {
            let end = length + piece.len() as u64;
            ahead.take(&file, length, end, None);
            file.write_all_at(&piece, length).unwrap();
            length = end;
            let (bytes, room) = on_disk(&file);
            assert_eq!(bytes, length, "the file is no longer for it");
            assert!(room <= length + length / 4 + Ahead::LEAST, "{room} for {length}");
        }
        // where the file system can't, there is nothing to give back
        ahead.give_back(&file, length);
        file.sync_all().unwrap();
        let (bytes, room) = on_disk(&file);
        assert!(bytes == length && room < length + (64 << 10), "{room} for {length}");
    }

    #[test]
    fn little_is_taken_where_the_file_is_kept_within_little() {
        let file = tempfile::tempfile().unwrap();
        let mut ahead = Ahead::default();
        ahead.take(&file, 0, 20 << 20, Some(30 << 20));
        assert_eq!((ahead.until, on_disk(&file)), (0, (0, 0)));
        ahead.take(&file, 0, 20 << 20, Some(64 << 20));
        assert_eq!((ahead.until, on_disk(&file).0), (22 << 20, 0));
    }
}
