//! A thread that reads on while others work on what it has read.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Reads ahead.
pub(super) struct ReadAhead {
    filled: Receiver<Piece>,
    used: Sender<Vec<u8>>,
}

/// What was read at once: `length` bytes, behind [`Piece::ROOM`] others.
pub(super) struct Piece {
    pub(super) buffer: Vec<u8>,
    pub(super) length: usize,
}

impl Piece {
    /// Room for what was left of the piece before, so that a block which began there stands in one.
    pub(super) const ROOM: usize = 128 << 10;
    /// Few enough that they stay in the processor's caches, and enough that the threads seldom wait for each other.
    const LENGTH: usize = 256 << 10;
}

impl ReadAhead {
    /// How many pieces there are.
    const PIECES: usize = 4;

    /// Reads `input` until it ends or fails; whoever reads on from there learns why.
    pub(super) fn start(mut input: impl Read + Send + 'static) -> io::Result<Self> {
        let ((used, free), (fill, filled)) = (channel::<Vec<u8>>(), channel());
        for _ in 0..Self::PIECES {
            // its other end is here
            let _ = used.send(vec![0; Piece::ROOM + Piece::LENGTH]);
        }
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || {
            for mut buffer in free {
                let Ok(length @ 1..) = input.read(&mut buffer[Piece::ROOM..]) else { return };
                if fill.send(Piece { buffer, length }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { filled, used })
    }

    /// The next piece; `None` if it is to be read on without this.
    pub(super) fn next(&mut self) -> Option<Piece> {
        self.filled.recv().ok()
    }

    /// A piece's buffer is not needed any more.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        if buffer.len() == Piece::ROOM + Piece::LENGTH {
            // if nothing more is read ahead, it goes
            let _ = self.used.send(buffer);
        }
    }
}
