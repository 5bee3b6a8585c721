//! What a HAR holds of payloads and heads, out of memory until everything is in order.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Bytes that have been put away.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) length: u64,
}

/// A file that nobody else sees.
pub(super) struct Spool {
    out: BufWriter<Arc<File>>,
    length: u64,
    /// Why nothing more is put away.
    pub(super) failure: Option<io::Error>,
}

impl Spool {
    pub(super) fn new(file: Arc<File>) -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, file), length: 0, failure: None }
    }

    /// Puts `bytes` away; `None` if that failed, now or before.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<Place> {
        if self.failure.is_none() {
            self.failure = self.out.write_all(bytes).err();
        }
        let place = Place { at: self.length, length: bytes.len() as u64 };
        self.length += place.length;
        self.failure.is_none().then_some(place)
    }

    /// Everything is put away.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// What was put away at `place`.
    pub(super) fn get(&self, place: Place) -> io::Result<Vec<u8>> {
        // it was in memory before, in one piece
        let mut bytes = vec![0; place.length as usize];
        self.out.get_ref().read_exact_at(&mut bytes, place.at)?;
        Ok(bytes)
    }
}
