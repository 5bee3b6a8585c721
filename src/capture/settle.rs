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
        for piece in self.leaving(length) {
            // if there is no thread to be had, the system does it in its own time
            let _ = self.thread.get_or_insert_with(start).send((file.clone(), piece));
        }
    }

    /// The pieces whose turn has come by then. Each has two: what has to be written first is written, but not waited for, and
    /// leaves memory at the second.
    fn leaving(&mut self, length: u64) -> impl Iterator<Item = u64> + use<> {
        let pieces = length / Self::PIECE;
        let new = self.pieces..pieces.max(self.pieces);
        self.pieces = new.end;
        new.flat_map(|piece| [Self::UNWRITTEN, Self::KEPT].into_iter().filter_map(move |kept| piece.checked_sub(kept)))
    }
}

fn start() -> Sender<(Arc<File>, u64)> {
    let (pieces, incoming) = channel::<(Arc<File>, u64)>();
    let thread = thread::Builder::new().name("settler".to_owned());
    let _ = thread.spawn(move || {
        for (file, piece) in incoming {
            leave_memory(&file, piece);
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    const PIECE: u64 = Settling::PIECE;

    #[test]
    fn each_piece_has_two_turns_and_none_comes_before_half_a_gibibyte_follows_it() {
        let (mut settling, mut told) = (Settling::default(), vec![0_u64; 200]);
        let mut length = 0;
        for step in [1, PIECE - 1, PIECE / 3, 0, 5 * PIECE + 7].into_iter().cycle().take(100) {
            length += step;
            for piece in settling.leaving(length) {
                let follows = length - (piece + 1) * PIECE;
                assert!(follows >= 512 << 20, "{follows} bytes behind piece {piece}");
                told[piece as usize] += 1;
                assert!(told[piece as usize] == 1 || follows >= 1 << 30, "{follows} bytes behind piece {piece}");
            }
        }
        let whole = length / PIECE;
        for (piece, turns) in (0..).zip(told) {
            let due = u64::from(piece + Settling::UNWRITTEN < whole) + u64::from(piece + Settling::KEPT < whole);
            assert_eq!(turns, due, "piece {piece} of {whole}");
        }
    }

    #[test]
    fn what_has_left_memory_is_still_in_the_file() {
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..PIECE + 5).map(|i| (i / 1000) as u8).collect();
        file.write_all_at(&bytes, 0).unwrap();
        for piece in [0, 0, 1, 7] {
            leave_memory(&file, piece);
        }
        let mut read = vec![0; bytes.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == bytes);
    }
}
