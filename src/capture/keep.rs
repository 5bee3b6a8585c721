//! A recording without a name is kept within a size: its oldest part goes, a region of the file at a time.
//!
//! A region that goes becomes blocks of a local type, which other programs pass over, and its room on the disk is given
//! back by a hole: what stands elsewhere in the file stays where it is. What it takes to read on after it is written anew
//! at its beginning: how many frames are gone, and the opening of each connection that goes on (`capture/prelude.rs`).

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::PoisonError;

use super::Capture;
use super::event::ConnectionId;
use super::file::{CaptureWriter, Position};
use super::index::Index;
use super::pcapng::{self, GONE, GONE_LENGTH};
use super::prelude::{self, Going, Moved};
use super::recorder::Deriver;
use crate::wire::Side;

/// Drops the oldest regions of a recording.
#[derive(Debug)]
pub(super) struct Keep {
    /// Bytes on the disk, beyond which the oldest region goes; a quarter of that is the most memory for the index.
    limit: u64,
    /// Where the first region began.
    first: u64,
    /// Where the oldest region begins.
    start: u64,
    /// The ends of the regions, ascending.
    borders: VecDeque<Border>,
    /// Where the last block of what went before the region that went last begins: it still grows.
    grows: u64,
    /// Bytes that the disk has got back before that, and since.
    given_back: [u64; 2],
    /// Bytes of memory at the last border.
    memory: u64,
    /// The file system takes no holes, or writing failed.
    refused: bool,
}

/// The end of a region: everything before it may go.
#[derive(Debug)]
struct Border {
    at: u64,
    /// Frames recorded by then.
    frames: u64,
    /// The last connection that had begun by then.
    last: ConnectionId,
    /// The connections that went on, by number.
    going: Vec<Going>,
}

/// A recording has about so many regions.
const REGIONS: u64 = 16;
/// The share of the limit that the index may take in memory.
const MEMORY: u64 = 4;
/// No region is smaller.
const LEAST: u64 = 4096;
/// What room on a disk is a multiple of.
const PAGE: u64 = 4096;

impl Keep {
    pub(super) fn new(limit: u64, start: u64) -> Self {
        let borders = VecDeque::new();
        Self { limit, first: start, start, borders, grows: start, given_back: [0; 2], memory: 0, refused: false }
    }

    /// Bytes that are written at once, at most.
    pub(super) fn portion(&self) -> u64 {
        // the smallest frames take 24 times as much in memory
        self.limit / REGIONS / 32
    }

    /// Looks, between two writes, whether the oldest frames have to go.
    pub(super) fn look(&mut self, writer: &CaptureWriter, deriver: &mut Deriver, capture: &Capture) {
        if self.refused || writer.place().current().keep {
            // nothing goes any more
            self.borders.clear();
            return;
        }
        let region = self.limit / REGIONS;
        let memory = capture.index().memory();
        let since = writer.length() - self.borders.back().map_or(self.start, |border| border.at);
        if since >= region.max(LEAST) || (since >= LEAST && memory >= self.memory + region / MEMORY) {
            self.memory = memory;
            capture.update(|index| {
                deriver.border(index);
                self.borders.push_back(Border {
                    at: writer.length(),
                    frames: index.totals().frames,
                    last: index.connections().last().map_or(ConnectionId(0), |connection| connection.id),
                    going: deriver.going(writer),
                });
            });
        }
        // the last region is what is being shown
        let mut dropped = false;
        while self.borders.len() > 1 && !self.refused && self.is_over(writer, capture) {
            if !self.drop_oldest(writer, deriver, capture) {
                break;
            }
            dropped = true;
        }
        if dropped {
            self.memory = capture.index().memory();
        }
    }

    fn is_over(&self, writer: &CaptureWriter, capture: &Capture) -> bool {
        // what is being exported goes only when there is no other way
        let limit = if capture.is_held() { self.limit.saturating_mul(2) } else { self.limit };
        let file = writer.length() - self.given_back.iter().sum::<u64>() + limit / REGIONS;
        file > limit || capture.index().memory() > limit / MEMORY
    }

    /// Drops the oldest region; `false` if it has to stay.
    fn drop_oldest(&mut self, writer: &CaptureWriter, deriver: &mut Deriver, capture: &Capture) -> bool {
        let may_be_cut = writer.place().may_be_cut.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(border) = self.borders.front().filter(|border| *may_be_cut && border.at <= capture.copied()) else {
            return false;
        };
        let file = writer.place().current().file.clone();
        let (start, end) = (self.start, border.at);
        let first = start + GONE_LENGTH as u64;
        let anew = prelude::write(&border.going, capture, first, (end - start) / 2);
        if anew.is_short && end - start < self.limit / 2 {
            // it goes together with the next one, which gives more room
            drop(may_be_cut);
            self.borders.pop_front();
            return true;
        }
        let gone_from = first + anew.packets.len() as u64;
        let stays = |id: ConnectionId| id > border.last || border.going.binary_search_by_key(&id, |one| one.id).is_ok();
        let mut written = Ok(());
        capture.update(|index| {
            index.drop_first(border.frames, end, stays);
            let counts = [index.gone(), index.connections_gone()];
            index.set_holes(vec![self.first..start, gone_from..end]);
            written = write_anew(&file, start..end, gone_from, counts, &anew.packets);
            move_all(&anew.moved, border.frames, end, index, deriver);
        });
        let given_back = written.and_then(|()| self.give_back(&file, start, gone_from..end));
        // what is not given back is not worth losing frames for
        self.refused = given_back.is_err();
        self.start = end;
        self.borders.pop_front();
        for going in self.borders.iter_mut().flat_map(|border| &mut border.going) {
            let moved = anew.moved.iter().filter(|one| one.connection == going.id);
            moved.for_each(|one| going.sides[one.from as usize].move_begun(one.old, one.new));
        }
        true
    }

    /// Gives the room of what is gone back to the disk: of what went before `start`, with what was written anew there, and
    /// of `hole`.
    fn give_back(&mut self, file: &File, start: u64, hole: Range<u64>) -> io::Result<()> {
        let mut since = 0;
        for block in split(hole) {
            since += hollow(file, &block)?;
        }
        if self.grows < start {
            // what went bit by bit becomes few large blocks: the ends of each take a page
            let mut blocks = split(self.grows..start);
            write_gone(file, &blocks)?;
            let last = blocks.pop().unwrap_or(start..start);
            self.grows = last.start;
            for block in &blocks {
                self.given_back[0] += hollow(file, block)?;
            }
            since += hollow(file, &last)?;
        }
        self.given_back[1] = since;
        Ok(())
    }
}

/// Makes a region one that is gone, but for `packets` at its beginning. At every moment it is one block that is passed
/// over, or all of what it is to be.
fn write_anew(file: &File, region: Range<u64>, gone_from: u64, counts: [u64; 2], packets: &[u8]) -> io::Result<()> {
    let mut head = pcapng::gone(counts);
    head[4..8].copy_from_slice(&length(&region).to_le_bytes());
    // without the length at the end, which would have to stand elsewhere
    file.write_all_at(&head[..GONE_LENGTH - 4], region.start)?;
    write_gone(file, &split(gone_from..region.end))?;
    file.write_all_at(packets, region.start + GONE_LENGTH as u64)?;
    let head = pcapng::gone(counts);
    file.write_all_at(&head[GONE_LENGTH - 4..], region.start + (GONE_LENGTH - 4) as u64)?;
    file.write_all_at(&head[4..8], region.start + 4)
}

/// The blocks of what is gone: Wireshark believes in none of more than 16 MiB.
fn split(gone: Range<u64>) -> Vec<Range<u64>> {
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

/// Makes blocks of what is gone. The first one is written last: until then it is one with what comes after it, or what
/// it was before. What they begin with is no number of frames that are gone, whatever stood there before.
fn write_gone(file: &File, blocks: &[Range<u64>]) -> io::Result<()> {
    for block in blocks.iter().rev() {
        let length = length(block).to_le_bytes();
        let nothing = [0; 4];
        file.write_all_at(&[GONE.to_le_bytes(), length, nothing, nothing].concat(), block.start)?;
        file.write_all_at(&length, block.end - 4)?;
    }
    Ok(())
}

/// Gives the room of a block of what is gone back to the disk, but for its ends. Returned is how many bytes those were.
fn hollow(file: &File, block: &Range<u64>) -> io::Result<u64> {
    let from = (block.start + GONE_LENGTH as u64).next_multiple_of(PAGE);
    let to = (block.end - 4) / PAGE * PAGE;
    if from < to {
        make_hole(file, from..to)?;
    }
    Ok(to.saturating_sub(from))
}

/// Bytes of a region; a file system that has larger ones than 4 GiB is not known to have been filled at once.
fn length(region: &Range<u64>) -> u32 {
    u32::try_from(region.end - region.start).unwrap_or(u32::MAX - 3)
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

/// What began in the region that went stands elsewhere by now, or nowhere.
fn move_all(moved: &[Moved], gone: u64, kept_from: u64, index: &mut Index, deriver: &mut Deriver) {
    let mut unfinished: HashMap<(ConnectionId, Side), &Moved> = HashMap::new();
    for one in moved {
        let is_at_hand = deriver.move_begun(one.connection, one.from, one.old, one.new);
        if let Some(connection) = index.connection_mut(one.connection) {
            connection.move_growing(one.from, one.old, one.new);
            let head = &mut connection.heads[one.from as usize];
            if let Some((_, length)) = head.filter(|(position, _)| *position == one.old) {
                *head = one.new.map(|position: Position| (position, length));
            }
        }
        if one.is_frame && !is_at_hand {
            unfinished.insert((one.connection, one.from), one);
        }
    }
    deriver.forget_held(kept_from);
    index.set_moved(moved.iter().filter_map(|one| Some(one.new?.block)).collect());
    // what was unfinished is the first frame of its direction that came after those that went
    let mut n = gone + 1;
    while !unfinished.is_empty()
        && let Some(entry) = index.frame(n)
    {
        if let Some(one) = unfinished.remove(&(entry.connection(), entry.from()))
            && entry.position() == Some(one.old)
        {
            index.move_frame(n, one.new);
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_counts_nothing_whatever_stood_there() {
        let file = tempfile::tempfile().unwrap();
        // comments of ours begin like the block that counts
        file.write_all_at(&b"wsinspec".repeat(4096), 0).unwrap();
        let blocks = [0..8192, 8192..8232, 8232..32_768];
        write_gone(&file, &blocks).unwrap();
        for block in blocks {
            let mut bytes = vec![0; (block.end - block.start) as usize];
            file.read_exact_at(&mut bytes, block.start).unwrap();
            assert_eq!(pcapng::read_gone(&bytes[8..]), None);
            assert_eq!((&bytes[..4], &bytes[4..8]), (&GONE.to_le_bytes()[..], &bytes[bytes.len() - 4..]));
        }
    }
}
