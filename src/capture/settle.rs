//! What was written a while ago goes to the disk and leaves the system's memory: a recording that grows to gigabytes takes
//! no more of that than one of some megabytes, and new bytes go where old ones were. A thread of its own waits for the
//! disk.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// How far the capture file has settled.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// Whole pieces of the file that the thread knows to be written.
    pieces: u64,
    thread: Option<Sender<(Arc<File>, u64)>>,
}

impl Settling {
    const PIECE: u64 = 16 << 20;
    /// Pieces that the disk need not have yet: a recording of half a gibibyte may be removed before it ever gets there.
    const UNWRITTEN: u64 = 32;
    /// Pieces that stay in memory. To be read and written there, they cost nothing; on their way out, they do.
    const KEPT: u64 = 64;

    /// The file has been written up to `length`.
    pub(super) fn wrote(&mut self, file: &Arc<File>, length: u64) {
        let pieces = length / Self::PIECE;
        for piece in self.pieces.max(Self::UNWRITTEN)..pieces {
            // if there is no thread to be had, the system does it in its own time
            let _ = self.thread.get_or_insert_with(start).send((file.clone(), piece));
        }
        self.pieces = pieces;
    }
}

fn start() -> Sender<(Arc<File>, u64)> {
    let (pieces, incoming) = channel::<(Arc<File>, u64)>();
    let thread = thread::Builder::new().name("settler".to_owned());
    let _ = thread.spawn(move || {
        for (file, piece) in incoming {
            for before in [Settling::UNWRITTEN, Settling::KEPT] {
                // what has to be written first is written, but not waited for
                piece.checked_sub(before).into_iter().for_each(|piece| leave_memory(&file, piece));
            }
        }
    });
    pieces
}

#[cfg(target_os = "linux")]
fn leave_memory(file: &File, piece: u64) {
    let length = std::num::NonZeroU64::new(Settling::PIECE);
    // it is advice: whoever does not follow it has its reasons
    let _ = rustix::fs::fadvise(file, piece * Settling::PIECE, length, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn leave_memory(_: &File, _: u64) {}
