//! A recording without a name is kept within a size: its oldest part goes, a region of the file at a time.
//!
//! A region that goes becomes blocks of a local type, which other programs pass over, and its room on the disk is given
//! back by a hole: what stands elsewhere in the file stays where it is. What it takes to read on after it is how many frames
//! are gone, and the opening of each connection that goes on (`capture/prelude.rs`): that is written into room that was left
//! for it at the region's end, and seen once all of it is there.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::PoisonError;

use super::Capture;
use super::event::ConnectionId;
use super::file::{CaptureWriter, Position};
use super::gone::{self, Change};
use super::index::Index;
use super::prelude::{self, Anew, Going, Moved};
use super::recorder::Deriver;
use crate::wire::Side;

/// Drops the oldest regions of a recording.
#[derive(Debug)]
pub(super) struct Keep {
    /// Bytes on the disk, beyond which the oldest region goes; a quarter of that is the most memory for the index.
    limit: u64,
    /// Where the block begins that the first region becomes part of when it goes.
    first: u64,
    /// Where the oldest region begins.
    start: u64,
    /// The ends of the regions, ascending.
    borders: VecDeque<Border>,
    /// Where the last block of what is gone begins: it still grows.
    grows: u64,
    /// Where it ends: there it is said how much is gone.
    head: u64,
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
    /// What was left in the file for the openings of connections, up to the end of the region.
    room: Range<u64>,
    /// Bytes of it, and of what was left for earlier ones in the same region, that the disk has got back.
    given_back: u64,
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
/// The share of the limit that may be left for the openings of connections.
const OPENINGS: u64 = 4;
/// The share of the limit that frames at hand may take of that, and the most bytes: they are read into memory.
const UNFINISHED: u64 = 8;
const MOST_UNFINISHED: u64 = 64 << 20;
/// What is left for them does not have to be given back to the disk meanwhile if it is no more than this share of a region.
const LITTLE: u64 = 16;
/// No region is smaller.
const LEAST: u64 = 4096;
/// None is larger, and no room for openings: a block has 32 bits for its length, and a region becomes one with what was left
/// at its end and with others.
const MOST: u64 = 1 << 30;

impl Keep {
    pub(super) fn start(limit: u64, writer: &mut CaptureWriter) -> io::Result<Self> {
        let first = writer.leave(gone::LEAST)?.start;
        Ok(Self {
            limit,
            first,
            start: writer.length(),
            borders: VecDeque::new(),
            grows: first,
            head: first,
            given_back: [0; 2],
            memory: 0,
            refused: false,
        })
    }

    /// Bytes that are written at once, at most.
    pub(super) fn portion(&self) -> u64 {
        // the smallest frames take 24 times as much in memory
        self.region() / 32
    }

    /// Looks, between two writes, whether the oldest frames have to go.
    pub(super) fn look(&mut self, writer: &mut CaptureWriter, deriver: &mut Deriver, capture: &Capture) {
        if self.refused || writer.place().current().keep {
            // nothing goes any more
            self.borders.clear();
            return;
        }
        let region = self.region();
        let memory = capture.index().memory();
        let since = writer.length() - self.borders.back().map_or(self.start, |border| border.room.end);
        if since >= region.max(LEAST) || (since >= LEAST && memory >= self.memory + region / MEMORY) {
            self.memory = memory;
            self.note_border(writer, deriver, capture);
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

    /// Ends a region here, with room for what has to be written anew when it goes.
    fn note_border(&mut self, writer: &mut CaptureWriter, deriver: &mut Deriver, capture: &Capture) {
        let going = deriver.going(writer);
        let openings =
            prelude::length(&going, capture, self.unfinished()).min((self.limit / OPENINGS).min(MOST) / 4 * 4);
        // if it can't be written, nothing can: the next write tries again
        let Ok(room) = writer.leave(openings + Change::AROUND) else { return };
        let mut given_back = 0;
        if openings > self.region() / LITTLE {
            let current = writer.place().current();
            given_back = gone::give_back(&current.file, &gone::split(room.clone()), 0).unwrap_or_default();
        }
        capture.update(|index| {
            deriver.border(index);
            index.file_length = writer.length();
            index.add_hole(room.clone());
            self.borders.push_back(Border {
                room,
                given_back,
                frames: index.totals().frames,
                last: index.connections().last().map_or(ConnectionId(0), |connection| connection.id),
                going,
            });
        });
    }

    /// How many bytes a region has, about.
    fn region(&self) -> u64 {
        (self.limit / REGIONS).min(MOST)
    }

    /// The most bytes of frames at hand that are written anew.
    fn unfinished(&self) -> u64 {
        (self.limit / UNFINISHED).min(MOST_UNFINISHED)
    }

    fn is_over(&self, writer: &CaptureWriter, capture: &Capture) -> bool {
        // what is being exported goes only when there is no other way
        let limit = if capture.is_held() { self.limit.saturating_mul(2) } else { self.limit };
        let left = self.borders.iter().map(|border| border.given_back).sum::<u64>();
        let file = writer.length() - self.given_back.iter().sum::<u64>() - left + self.region();
        file > limit || capture.index().memory() > limit / MEMORY
    }

    /// Drops the oldest region; `false` if it has to stay.
    fn drop_oldest(&mut self, writer: &CaptureWriter, deriver: &mut Deriver, capture: &Capture) -> bool {
        let may_be_cut = writer.place().may_be_cut.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(border) = self.borders.front().filter(|border| *may_be_cut && border.room.end <= capture.copied())
        else {
            return false;
        };
        if u32::try_from(border.room.end - self.grows).is_err() {
            // a single write was so large: no block is
            self.refused = true;
            return false;
        }
        let file = writer.place().current().file.clone();
        if border.given_back > 0 && gone::take_back(&file, &border.room).is_err() {
            // there may be room on the disk at another time
            return false;
        }
        let end = border.room.end;
        let anew = self.written_anew(border, capture);
        if anew.is_short && end - self.start < (self.limit / 2).min(MOST) {
            // it goes together with the next one, which gives more room
            let given_back = gone::give_back(&file, &gone::split(border.room.clone()), 0);
            drop(may_be_cut);
            self.refused = given_back.is_err();
            let given_back = border.given_back;
            self.borders.pop_front();
            self.borders.iter_mut().take(1).for_each(|next| next.given_back += given_back);
            return true;
        }
        let Change { hidden, switch, head, rest } = self.change(border, capture, &anew.packets);
        if gone::write(&file, &hidden).is_err() {
            return false;
        }
        let mut written = Ok(());
        capture.update(|index| {
            written = gone::write(&file, &[switch]);
            if written.is_ok() {
                index.drop_first(border.frames, end, |id| border.stays(id));
                let later = self.borders.iter().skip(1).map(|border| border.room.clone());
                index.set_holes([self.first..head, rest.clone()].into_iter().chain(later).collect());
                move_all(&anew.moved, border.frames, end, index, deriver);
            }
        });
        let given_back = written.and_then(|()| self.give_back(&file, head, rest));
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

    /// What has to be written anew when the region up to `border` goes.
    fn written_anew(&self, border: &Border, capture: &Capture) -> Anew {
        prelude::write(&border.going, capture, Change::packets(&border.room), self.unfinished())
    }

    /// How the file changes then.
    fn change(&self, border: &Border, capture: &Capture, packets: &[u8]) -> Change {
        let connections = capture.index().connections_gone_without(|id| border.stays(id));
        Change::new(self.grows, &border.room, [border.frames, connections], packets)
    }

    /// Gives the room of what is gone back to the disk: up to `head`, and what is left of the room for the openings.
    fn give_back(&mut self, file: &File, head: u64, rest: Range<u64>) -> io::Result<()> {
        // what went bit by bit becomes few large blocks: the ends of each take a page
        let mut whole = gone::split(self.grows..head);
        if whole.len() > 1 {
            gone::write(file, &gone::blocks(&whole))?;
        }
        let grows = whole.split_off(whole.len() - 1);
        self.grows = grows.first().map_or(self.grows, |block| block.start);
        let given = std::mem::replace(&mut self.head, head) - 4;
        self.given_back[0] += gone::give_back(file, &whole, given)?;
        self.given_back[1] = gone::give_back(file, &grows, given)? + gone::give_back(file, &gone::split(rest), 0)?;
        Ok(())
    }
}

impl Border {
    /// Whether a connection goes on after it, or begins there.
    fn stays(&self, id: ConnectionId) -> bool {
        id > self.last || self.going.binary_search_by_key(&id, |one| one.id).is_ok()
    }
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
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use bytes::Bytes;

    use super::*;
    use crate::capture::event::{Event, EventKind, SocketEnd, Timestamp, Vantage};
    use crate::capture::{Follower, Item, Recording};
    use crate::lint::Limits;
    use crate::wire::{Header, Opcode, frame};

    /// A recorder without a thread, of which nothing has to go by itself.
    struct Kept {
        recording: Recording,
        writer: CaptureWriter,
        deriver: Deriver,
        capture: Capture,
        keep: Keep,
        time: u64,
    }

    impl Kept {
        /// Regions of 8 KiB.
        const LIMIT: u64 = 128 << 10;

        fn new() -> Self {
            let recording = Recording::create(None, false).unwrap();
            let mut writer = recording.writer("a test").unwrap().within(Self::LIMIT);
            let keep = Keep::start(Self::LIMIT, &mut writer).unwrap();
            let (deriver, capture) = (Deriver::new(Limits::default()), Capture::new(recording.reader()));
            Self { recording, writer, deriver, capture, keep, time: 0 }
        }

        fn happens(&mut self, id: u32, kind: EventKind) {
            self.time += 1000;
            let event = Event { connection: ConnectionId(id), time: Timestamp(self.time), kind };
            self.deriver.batch(&mut self.writer, [&event].into_iter());
            let Self { writer, deriver, capture, .. } = self;
            capture.update(|index| deriver.apply(index, writer.length(), writer.missing()));
            let since = writer.length() - self.keep.borders.back().map_or(self.keep.start, |border| border.room.end);
            if since >= Self::LIMIT / REGIONS {
                self.keep.note_border(writer, deriver, capture);
            }
        }

        fn sends(&mut self, id: u32, from: Side, bytes: &[u8]) {
            self.happens(id, EventKind::Chunk { from, bytes: Bytes::copy_from_slice(bytes), notes: Vec::new() });
        }

        fn opens(&mut self, id: u32) {
            let [client, server] = [50_000 + id as u16, 9002].map(|port| ([127, 0, 0, 1], port).into());
            self.happens(id, EventKind::Opened { client, server, vantage: Vantage::Beside });
            let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
            let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            self.sends(id, Side::Client, request.as_bytes());
            self.sends(id, Side::Server, response.as_bytes());
        }

        /// A connection that stays says something, and others come, leave a frame unfinished, and go.
        fn goes_on(&mut self) {
            let end = self.writer.length() + 3 * Self::LIMIT / REGIONS;
            let mut n = self.time as u32;
            while self.writer.length() < end {
                n += 1;
                self.opens(n);
                let long = frame(&Header::new(Opcode::BINARY, None, 700), &[n as u8; 700]);
                self.sends(1, Side::Server, &long[..300]);
                self.sends(n, Side::Server, &long);
                self.sends(1, Side::Server, &long[300..]);
                self.happens(n, EventKind::Ended { from: Side::Client, how: SocketEnd::Reset });
                self.happens(n, EventKind::Closed { cause: None });
            }
        }

        fn file(&self) -> Vec<u8> {
            std::fs::read(self.recording.reader().path()).unwrap()
        }
    }

    /// All that a recording holds.
    #[track_caller]
    fn held(file: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = &folder.path().join("killed.pcapng");
        std::fs::write(path, file).unwrap();
        let opened = crate::capture::open(path, Limits::default(), "a test").unwrap();
        assert_eq!(opened.reading.run(false, &AtomicBool::new(false)), [] as [String; 0]);
        let capture: Arc<Capture> = opened.capture;
        assert_eq!(capture.index().totals().missing, 0);
        let told = |item: &Item| match item {
            Item::Frame(_, entry, _) => format!("{item:?} {:?}", capture.frame_bytes(entry, 0..u64::MAX).unwrap()),
            _ => format!("{item:?}"),
        };
        Follower::default().next(&capture, usize::MAX).iter().map(told).collect()
    }

    #[test]
    fn whenever_the_program_is_killed_while_a_region_goes_the_file_holds_all_of_it_or_what_is_left() {
        let mut kept = Kept::new();
        kept.opens(1);
        for round in 0..3 {
            kept.goes_on();
            let Kept { keep, writer, capture, deriver, .. } = &mut kept;
            let border = keep.borders.front().unwrap();
            let anew = keep.written_anew(border, capture);
            let change = keep.change(border, capture, &anew.packets);
            let mut file = std::fs::read(writer.place().current().path.clone()).unwrap();
            let before = held(&file);
            assert!(keep.drop_oldest(writer, deriver, capture));
            let after = held(&kept.file());
            assert_ne!(before, after);
            for (at, bytes) in &change.hidden {
                // a write may be cut short, too
                for written in [bytes.len() / 2, bytes.len()] {
                    file[*at as usize..][..written].copy_from_slice(&bytes[..written]);
                    assert!(held(&file) == before, "round {round}, at {at}");
                }
            }
            let (at, bytes) = change.switch;
            assert!(at.is_multiple_of(4) && bytes.len() == 4, "in one page");
            file[at as usize..][..4].copy_from_slice(&bytes);
            assert!(held(&file) == after, "round {round}");
        }
        kept.recording.remove_unless_kept();
    }
}
