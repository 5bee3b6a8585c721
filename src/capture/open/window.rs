//! The bytes of a file at hand, from some place on.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write as _};
use std::ops::Range;
use std::sync::Arc;

use super::packets::Stop;
use super::readahead::Piece;

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

    /// The next bytes, if they are read ahead; else they are to be read.
    fn next_piece(&mut self) -> Option<Piece> {
        None
    }

    /// A buffer is not needed any more.
    fn give_back(&mut self, _: Vec<u8>) {}
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
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// Where in the buffer the next byte is.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Bytes of the buffer, which are there as long as no others are asked for.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// The next bytes, as many as there are.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The next `length` bytes, which are there.
    #[inline]
    pub(super) fn peek(&self, length: usize) -> &[u8] {
        &self.rest()[..length]
    }

    /// Takes `length` bytes that are there.
    #[inline]
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
            if self.take_piece()? {
                continue;
            }
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
            self.end += got;
            self.spool(got)?;
        }
        Ok(true)
    }

    /// Goes on in the next piece that was read ahead, with what is left here before it; `false` if there is none.
    fn take_piece(&mut self) -> Result<bool, Stop> {
        let left = self.end - self.start;
        if left > Piece::ROOM {
            return Ok(false);
        }
        let Some(Piece { mut buffer, length }) = self.input.next_piece() else { return Ok(false) };
        let start = Piece::ROOM - left;
        buffer[start..Piece::ROOM].copy_from_slice(self.rest());
        self.input.give_back(std::mem::replace(&mut self.buffer, buffer));
        (self.start, self.end) = (start, Piece::ROOM + length);
        self.spool(length)?;
        Ok(true)
    }

    /// The last `length` bytes at hand have just been read.
    fn spool(&mut self, length: usize) -> Result<(), Stop> {
        let new = &self.buffer[self.end - length..self.end];
        match &mut self.spool {
            Spool::Nowhere => Ok(()),
            Spool::Memory(bytes) => {
                bytes.extend_from_slice(new);
                Ok(())
            }
            Spool::File(file) => (&**file).write_all(new).map_err(Stop::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::super::progress::{FileFrom, ReadProgress};
    use super::*;

    #[test]
    fn what_is_at_hand_is_what_stands_in_the_file_however_it_is_taken() {
        let bytes: Vec<u8> = (0..1_500_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.write_all_at(&bytes, 0).unwrap();
        let mut window =
            Window::new(Box::new(FileFrom::start(file.clone(), Arc::new(ReadProgress::default())).unwrap()));
        window.keep(None).unwrap();
        // some longer than what is read ahead at once, and than the room before it
        let mut at = 0;
        for (n, length) in [1, 60_000, 7, 65_536, 12, 100_000, 300_000, 90_001].into_iter().cycle().enumerate() {
            if at + length > bytes.len() {
                break;
            }
            if n % 20 == 19 {
                window.pass_over(length as u64, 0).unwrap();
            } else {
                window.whole(length, 0).unwrap();
                assert!(window.peek(length) == &bytes[at..at + length], "{length} bytes at {at}");
                window.pass(length);
            }
            at += length;
            assert_eq!(window.position(), at as u64);
        }
        let left = bytes.len() - at;
        assert!(left < 300_000 && matches!(window.whole(left + 4, 7), Err(Stop::Torn(7))));
        file.write_all_at(b"more", bytes.len() as u64).unwrap();
        window.whole(left + 4, 7).unwrap();
        assert!(window.rest().starts_with(&bytes[at..]) && window.rest().ends_with(b"more"));
        window.pass(left + 4);
        assert!(matches!(window.whole(1, 7), Err(Stop::End)));
    }
}
