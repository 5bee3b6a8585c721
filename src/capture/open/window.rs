//! The bytes of a file at hand, from some place on.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write as _};
use std::ops::Range;
use std::sync::Arc;

use super::packets::Stop;

/// Reads a stream of bytes, and keeps what has not been taken of it.
pub(super) struct Window {
    input: Box<dyn Input>,
    /// Whether it is waited for bytes of a pipe, however long that takes.
    pub(super) waits: bool,
    spool: Spool,
    buffer: Vec<u8>,
    /// What of the buffer has not been taken yet.
    start: usize,
    end: usize,
    /// Where in the file `start` is.
    at: u64,
}

/// Where the bytes come from.
pub(super) trait Input: Read + Send {
    /// Passes over as many of the next `length` bytes as it can without reading them; returned is how many.
    fn skip(&mut self, length: u64) -> u64;
}

/// What can only be read.
pub(super) struct Stream<R>(pub(super) R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl<R: Read + Send> Input for Stream<R> {
    fn skip(&mut self, _: u64) -> u64 {
        0
    }
}

/// Where the bytes go that are read.
enum Spool {
    Nowhere,
    Memory(Vec<u8>),
    File(Arc<File>),
}

/// Bytes that are read at once.
const READ: usize = 1 << 20;

impl Window {
    /// Begins to read; `input` stands at its first byte.
    pub(super) fn new(input: Box<dyn Input>) -> Self {
        Self { input, waits: true, spool: Spool::Memory(Vec::new()), buffer: Vec::new(), start: 0, end: 0, at: 0 }
    }

    /// Everything that is read goes to `file` too, from the first byte on; or nowhere.
    pub(super) fn keep(&mut self, file: Option<Arc<File>>) -> io::Result<()> {
        let before = std::mem::replace(&mut self.spool, Spool::Nowhere);
        if let (Spool::Memory(bytes), Some(file)) = (before, file) {
            (&*file).write_all(&bytes)?;
            self.spool = Spool::File(file);
        }
        Ok(())
    }

    /// At most `length` bytes from the first one on, where nothing has been taken yet.
    pub(super) fn beginning(&mut self, length: usize) -> Option<&[u8]> {
        // as many as there are will do
        self.fill(length).ok()?;
        (self.at == 0).then(|| &self.buffer[self.start..self.end.min(self.start + length)])
    }

    /// What is read, from its first byte on, for someone who reads it otherwise; here there is nothing more.
    pub(super) fn give_back(&mut self) -> Box<dyn Read + Send> {
        let input = std::mem::replace(&mut self.input, Box::new(Stream(io::empty())));
        match std::mem::replace(&mut self.spool, Spool::Nowhere) {
            Spool::Memory(bytes) => Box::new(io::Cursor::new(bytes).chain(input)),
            Spool::Nowhere | Spool::File(_) => Box::new(input),
        }
    }

    /// How many bytes of the file have been taken.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// Where in the buffer the next byte is.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Bytes of the buffer, which are there as long as no others are asked for.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// The next bytes, as many as there are.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The next `length` bytes, which are there.
    pub(super) fn peek(&self, length: usize) -> &[u8] {
        &self.rest()[..length]
    }

    /// Takes `length` bytes that are there.
    pub(super) fn pass(&mut self, length: usize) {
        self.start += length;
        self.at += length as u64;
    }

    /// Takes `length` bytes of the block at `at`, whatever they are.
    pub(super) fn pass_over(&mut self, length: u64, at: u64) -> Result<(), Stop> {
        let mut left = length;
        loop {
            let here = left.min((self.end - self.start) as u64);
            self.pass(here as usize);
            left -= here;
            if left == 0 {
                return Ok(());
            }
            if matches!(self.spool, Spool::Nowhere) {
                let skipped = self.input.skip(left);
                self.at += skipped;
                left -= skipped;
            }
            self.whole((left as usize).min(READ / 2), at)?;
        }
    }

    /// Makes sure that `length` bytes of the block at `at` are there.
    pub(super) fn whole(&mut self, length: usize, at: u64) -> Result<(), Stop> {
        if self.fill(length)? {
            return Ok(());
        }
        Err(if self.start == self.end { Stop::End } else { Stop::Torn(at) })
    }

    /// Reads until `length` bytes are in the buffer; `false` if the file ends before.
    pub(super) fn fill(&mut self, length: usize) -> Result<bool, Stop> {
        while self.end - self.start < length {
            if self.buffer.len() - self.start < length.max(READ / 2) {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
                if self.buffer.len() < length.max(READ) {
                    self.buffer.resize(length.max(READ), 0);
                }
            }
            let got = match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.waits => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Stop::Nothing),
                // a compressed file that is cut short
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(Stop::Failed(error)),
            };
            let new = &self.buffer[self.end..self.end + got];
            match &mut self.spool {
                Spool::Nowhere => {}
                Spool::Memory(bytes) => bytes.extend_from_slice(new),
                Spool::File(file) => (&**file).write_all(new).map_err(Stop::Failed)?,
            }
            self.end += got;
        }
        Ok(true)
    }
}
