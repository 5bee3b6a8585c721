//! The parts of a capture file that hold nothing: blocks that are passed over, whose room the disk has back.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use super::pcapng::{self, GONE, GONE_LENGTH};

/// Bytes for a place in the file.
pub(super) type Write = (u64, Vec<u8>);

/// The smallest block.
pub(super) const LEAST: u64 = (HEAD + 4) as u64;
/// Bytes at the beginning of a block: its type, its length, and that it counts nothing, whatever stood there before.
const HEAD: usize = 16;
/// What room on a disk is a multiple of.
const PAGE: u64 = 4096;

/// Makes a block, or several, of what lies behind the end of the file.
pub(super) fn leave(file: &File, range: Range<u64>) -> io::Result<()> {
    write(file, &block(&range))?;
    let parts = split(range);
    if parts.len() > 1 { write(file, &blocks(&parts)) } else { Ok(()) }
}

/// What takes the place of all up to the end of `room`, which was left in the file for that.
pub(super) struct Change {
    /// What is written into the room. Nothing of it is seen before the switch.
    pub(super) hidden: Vec<Write>,
    /// The write by which everything up to `head` becomes one with the block that begins at `grows`.
    pub(super) switch: Write,
    /// Where it is said how much is gone. The packets follow on that.
    pub(super) head: u64,
    /// What of the room is left over.
    pub(super) rest: Range<u64>,
}

impl Change {
    /// Bytes of a room that are not for packets.
    pub(super) const AROUND: u64 = HEAD as u64 + 4 + GONE_LENGTH as u64 + LEAST;

    /// Where the packets will stand in `room`, as many bytes as there is room for.
    pub(super) fn packets(room: &Range<u64>) -> Range<u64> {
        room.start + HEAD as u64 + 4 + GONE_LENGTH as u64..room.end - LEAST
    }

    /// `counts` says how many frames and connections are gone then.
    pub(super) fn new(grows: u64, room: &Range<u64>, counts: [u64; 2], packets: &[u8]) -> Self {
        let first = Self::packets(room).start;
        let head = first - GONE_LENGTH as u64;
        let rest = first + packets.len() as u64..room.end;
        let merged = length(&(grows..head)).to_le_bytes();
        let mut hidden = Vec::new();
        if split(room.clone()).len() > 1 {
            // it is one block again first
            hidden.push((room.start + 4, length(room).to_le_bytes().to_vec()));
        }
        hidden.push((head - 4, [&merged, &pcapng::gone(counts)[..], packets].concat()));
        hidden.extend(blocks(&split(rest.clone())));
        // four bytes in one page: they are there or not, whenever the program is killed
        Self { hidden, switch: (grows + 4, merged.to_vec()), head, rest }
    }
}

pub(super) fn write(file: &File, writes: &[Write]) -> io::Result<()> {
    writes.iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, *at))
}

/// The blocks of what is gone: Wireshark believes in none of more than 16 MiB.
pub(super) fn split(gone: Range<u64>) -> Vec<Range<u64>> {
    const MOST: u64 = 16 << 20;
    let mut blocks = Vec::new();
    let mut at = gone.start;
    while gone.end - at > MOST {
        // what is left has room for a block, too
        let length = if gone.end - at - MOST < PAGE { MOST - PAGE } else { MOST };
        blocks.push(at..at + length);
        at += length;
    }
    blocks.push(at..gone.end);
    blocks
}

/// Makes these blocks of what was one. The first one is written last: until then it is that one.
pub(super) fn blocks(parts: &[Range<u64>]) -> Vec<Write> {
    parts.iter().rev().flat_map(block).collect()
}

fn block(block: &Range<u64>) -> [Write; 2] {
    let length = length(block).to_le_bytes();
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&GONE.to_le_bytes());
    head[4..8].copy_from_slice(&length);
    [(block.start, head.to_vec()), (block.end - 4, length.to_vec())]
}

/// Bytes of a block, which are no more than 32 bits hold.
fn length(block: &Range<u64>) -> u32 {
    u32::try_from(block.end - block.start).unwrap_or(u32::MAX - 3)
}

/// Gives the room of these blocks back to the disk, but for their ends; what is before `given` was given before. Returned is
/// how many bytes take none now.
pub(super) fn give_back(file: &File, blocks: &[Range<u64>], given: u64) -> io::Result<u64> {
    let mut bytes = 0;
    for block in blocks {
        let from = (block.start + GONE_LENGTH as u64).next_multiple_of(PAGE);
        let to = (block.end - 4) / PAGE * PAGE;
        let new = from.max(given / PAGE * PAGE);
        if new < to {
            make_hole(file, new..to)?;
        }
        bytes += to.saturating_sub(from);
    }
    Ok(bytes)
}

/// Has the disk give the room of what was left in the file.
#[cfg(target_os = "linux")]
pub(super) fn take_back(file: &File, left: &Range<u64>) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, left.start, left.end - left.start)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn take_back(_: &File, _: &Range<u64>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn make_hole(file: &File, range: Range<u64>) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, range.start, range.end - range.start)?)
}

#[cfg(not(target_os = "linux"))]
fn make_hole(_: &File, _: Range<u64>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether room in the middle of the file can be given back.
pub(super) fn takes_holes(file: &File) -> bool {
    // behind its end there is nothing to lose
    let end = file.metadata().map_or(0, |file| file.len()).next_multiple_of(PAGE);
    make_hole(file, end..end + PAGE).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// The blocks of a file, which ends with a whole one.
    #[track_caller]
    fn walk(file: &File) -> Vec<Range<u64>> {
        let end = file.metadata().unwrap().len();
        let (mut at, mut blocks) = (0, Vec::new());
        while at < end {
            let mut head = [0; 8];
            file.read_exact_at(&mut head, at).unwrap();
            assert_eq!(head[..4], GONE.to_le_bytes());
            let next = at + u64::from(u32::from_le_bytes(head[4..].try_into().unwrap()));
            assert!(next > at && next <= end, "a block at {at} up to {next} of {end}");
            blocks.push(at..next);
            at = next;
        }
        blocks
    }

    #[test]
    fn what_is_left_takes_hardly_any_room_and_is_blocks_that_others_believe_in() {
        let file = tempfile::tempfile().unwrap();
        let mut end = 0;
        for length in [LEAST, 4096, 100_000, 100 << 20, LEAST] {
            leave(&file, end..end + length).unwrap();
            end += length;
        }
        let blocks = walk(&file);
        let given = give_back(&file, &blocks, 0).unwrap();
        assert!(blocks.iter().all(|block| block.end - block.start <= 16 << 20), "{blocks:?}");
        for block in &blocks {
            let mut last = [0; 4];
            file.read_exact_at(&mut last, block.end - 4).unwrap();
            assert_eq!(u64::from(u32::from_le_bytes(last)), block.end - block.start);
        }
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), end);
        assert!(metadata.blocks() * 512 <= end - given + (64 << 10), "{} on the disk", metadata.blocks() * 512);
        assert!(end - given < 100_000, "{given} of {end}");
    }

    #[test]
    fn a_block_becomes_several_by_writes_after_each_of_which_there_are_only_whole_ones() {
        let file = tempfile::tempfile().unwrap();
        let whole = 0..50 << 20;
        write(&file, &block(&whole)).unwrap();
        let parts = split(whole.clone());
        let mut seen = vec![walk(&file)];
        for one in blocks(&parts) {
            write(&file, &[one]).unwrap();
            seen.push(walk(&file));
        }
        seen.dedup();
        assert_eq!(seen, [vec![whole], parts]);
    }

    #[test]
    fn what_is_gone_counts_nothing_whatever_stood_there() {
        let file = tempfile::tempfile().unwrap();
        // comments of ours begin like the block that counts
        file.write_all_at(&b"wsinspec".repeat(4096), 0).unwrap();
        let parts = [0..8192, 8192..8232, 8232..32_768];
        write(&file, &blocks(&parts)).unwrap();
        for block in parts {
            let mut bytes = vec![0; (block.end - block.start) as usize];
            file.read_exact_at(&mut bytes, block.start).unwrap();
            assert_eq!(pcapng::read_gone(&bytes[8..]), None);
            assert_eq!((&bytes[..4], &bytes[4..8]), (&GONE.to_le_bytes()[..], &bytes[bytes.len() - 4..]));
        }
    }
}
