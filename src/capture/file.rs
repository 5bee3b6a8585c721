//! The capture file: pcapng, written chunk by chunk and read back from.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::ahead::Ahead;
use super::event::{ConnectionId, Event, EventKind, Timestamp};
use super::gather::{CAN_GATHER, write_around};
use super::gone;
use super::packets::{Apart, PacketWriter};
use super::pcapng::{BlockPrefix, PACKET_PREFIX};
use super::place::Place;
use super::settle::Settling;
use super::tcp::{Conversation, MAX_HEADERS, Recognised};
use crate::wire::Side;

/// Where a byte of a connection stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Where the block of its packet begins.
    pub block: u64,
    /// How many bytes of the packet's payload stand before it: below 65 000.
    pub skip: u16,
}

/// Appends what happens to the capture file. At every moment the file ends between two blocks, or the kernel is
/// writing the last ones.
#[derive(Debug)]
pub struct CaptureWriter {
    place: Arc<Place>,
    /// Bytes in the file.
    length: u64,
    /// Blocks that are not in the file yet.
    pending: Vec<u8>,
    /// Bytes that belong between those, and how many.
    pending_apart: Apart,
    length_apart: u64,
    /// Whose bytes those hold, or tell to be missing.
    pending_bytes: Vec<PendingBytes>,
    /// Where among those blocks the user's marks are.
    pending_marks: Vec<Range<usize>>,
    packets: PacketWriter,
    /// Payload bytes that could not be written and are not in the file.
    missing: u64,
    limit: Option<u64>,
    ahead: Ahead,
    settling: Settling,
}

#[derive(Clone, Copy, Debug)]
struct PendingBytes {
    connection: ConnectionId,
    from: Side,
    bytes: u64,
    /// Bytes that were lost before, of which a comment tells.
    told: u64,
}

impl CaptureWriter {
    /// Bytes of marks that wait for room on the disk.
    const MOST_MARKS: usize = 64 << 10;
    /// Room for blocks that is kept.
    const MOST_ROOM: usize = 1 << 20;

    /// Begins the file; `command` says how the program was called.
    pub(super) fn start(place: Arc<Place>, command: &str) -> io::Result<Self> {
        let mut pending = Vec::new();
        let packets = PacketWriter::start(&mut pending, command);
        let mut writer = Self {
            place,
            length: 0,
            pending,
            pending_apart: Vec::new(),
            length_apart: 0,
            pending_bytes: Vec::new(),
            pending_marks: Vec::new(),
            packets,
            missing: 0,
            limit: None,
            ahead: Ahead::default(),
            settling: Settling::default(),
        };
        writer.flush().map(|()| writer)
    }

    /// Takes an event in. Where in the file the parts of a chunk will begin is added to `blocks`.
    pub fn push(&mut self, event: &Event, blocks: &mut Vec<u64>) {
        let start = self.pending.len();
        let apart = CAN_GATHER.then_some(&mut self.pending_apart);
        let known = apart.as_ref().map_or(0, |apart| apart.len());
        let at = self.length + self.length_apart;
        let told = self.packets.push_around(event, at, &mut self.pending, blocks, apart);
        self.length_apart += self.pending_apart[known..].iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        match &event.kind {
            EventKind::Chunk { from, bytes, .. } => {
                let bytes = bytes.len() as u64;
                self.pending_bytes.push(PendingBytes { connection: event.connection, from: *from, bytes, told });
            }
            EventKind::Gap { bytes, .. } => self.missing += bytes,
            EventKind::Mark(_) => self.pending_marks.push(start..self.pending.len()),
            _ => {}
        }
    }

    /// Writes what was pushed. If that fails, all of it is left out of the file, which stays valid, and its payload
    /// bytes count as missing; the next flush tries again with the user's marks and what comes next.
    pub fn flush(&mut self) -> io::Result<()> {
        let current = self.place.current();
        let end = self.length + self.pending.len() as u64 + self.length_apart;
        self.ahead.take(&current.file, self.length, end, self.limit);
        let written = write_around(&current.file, &self.pending, &self.pending_apart, self.length);
        self.pending_apart.clear();
        self.length_apart = 0;
        if written.is_ok() {
            self.length = end;
            self.settling.wrote(&current.file, self.length);
        } else {
            // the file ends where it did before; if even that fails, the next write goes over the torn block
            let _ = current.file.set_len(self.length);
            for lost in &self.pending_bytes {
                self.missing += lost.bytes;
                self.packets.lost(lost.connection, lost.from, lost.bytes + lost.told);
            }
        }
        let marks = if written.is_ok() { Vec::new() } else { self.marks() };
        self.pending_marks.clear();
        self.pending_marks.extend(Some(0..marks.len()).filter(|all| !all.is_empty()));
        // its room is used again: to get new pages from the kernel for each portion cost as much as to write it
        self.pending.clear();
        self.pending.shrink_to(Self::MOST_ROOM);
        self.pending.extend(marks);
        self.pending_bytes.clear();
        written
    }

    /// The file's next `bytes` bytes are left to whoever writes there: what stands there is passed over meanwhile. Returned is
    /// where they are.
    pub(super) fn leave(&mut self, bytes: u64) -> io::Result<Range<u64>> {
        let left = self.length..self.length + bytes;
        let current = self.place.current();
        if let Err(error) = gone::leave(&current.file, left.clone()) {
            // as where a write fails
            let _ = current.file.set_len(self.length);
            return Err(error);
        }
        self.length = left.end;
        Ok(left)
    }

    /// Writes what was pushed and gives the disk back what was taken for more.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let written = self.flush();
        self.ahead.give_back(&self.place.current().file, self.length);
        written
    }

    /// The marks that were pushed: they belong to no stream of bytes, so that they can still be written later.
    fn marks(&self) -> Vec<u8> {
        let marks = self.pending_marks.iter().map(|mark| &self.pending[mark.clone()]);
        let mut room = Self::MOST_MARKS;
        let fits = marks.take_while(|mark| {
            let fits = mark.len() <= room;
            room = room.saturating_sub(mark.len());
            fits
        });
        fits.collect::<Vec<_>>().concat()
    }

    /// The file is kept within about `limit` bytes on the disk, and its index within a quarter of that in memory, unless
    /// it is given a name: the oldest frames go first.
    #[must_use]
    pub fn within(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn packets(&self) -> &PacketWriter {
        &self.packets
    }

    /// Payload bytes that are not in the file although they crossed the wire.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// Reads bytes of connections back from the file.
#[derive(Clone, Debug)]
pub struct CaptureReader {
    place: Arc<Place>,
}

impl CaptureReader {
    /// Reads from `file`, which lies at `path`.
    pub fn new(file: Arc<File>, path: PathBuf) -> Self {
        Self::at(Place::new(file, path, true))
    }

    pub(super) fn at(place: Arc<Place>) -> Self {
        Self { place }
    }

    /// Where the file lies.
    pub fn path(&self) -> PathBuf {
        self.place.current().path.clone()
    }

    /// Reads bytes of the file itself from `offset` on: fewer than there is room for only where it ends.
    pub fn read_file(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_up_to(&self.file(), buffer, offset)
    }

    fn file(&self) -> Arc<File> {
        self.place.current().file.clone()
    }

    /// Bytes of the file itself.
    pub fn file_bytes(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file().read_exact_at(&mut bytes, at).map(|()| bytes)
    }

    /// Reads `length` bytes that `from` sent on the connection between `client` and `server`, after passing over `skip`
    /// bytes from `position` on. Fewer come back where the file ends first.
    pub fn read(
        &self,
        (client, server): (SocketAddr, SocketAddr),
        from: Side,
        position: Position,
        skip: u64,
        length: usize,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length.min(1 << 20));
        let pieces = Pieces { file: self.file(), region: Region::default() };
        pieces.read(&Conversation::new(client, server), from, position, skip, length, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads many places of the file, from memory where they were read ahead.
    pub(super) fn pieces(&self) -> Pieces {
        Pieces { file: self.file(), region: Region::default() }
    }
}

/// The file as it is now, and a part of it in memory. What stands there must not change any more.
#[derive(Debug)]
pub(super) struct Pieces {
    file: Arc<File>,
    region: Region,
}

#[derive(Debug, Default)]
struct Region {
    start: u64,
    bytes: Vec<u8>,
}

impl Pieces {
    /// Reads `range` of the file into memory, as far as it goes.
    pub(super) fn read_ahead(&mut self, range: Range<u64>) -> io::Result<()> {
        let Region { start, bytes } = &mut self.region;
        *start = range.start;
        bytes.resize(range.end.saturating_sub(range.start) as usize, 0);
        let got = read_up_to(&self.file, bytes, range.start);
        bytes.truncate(*got.as_ref().unwrap_or(&0));
        got.map(|_| ())
    }

    /// Whether the byte at `at` is in memory.
    pub(super) fn holds(&self, at: u64) -> bool {
        self.region.get(at, 1).is_some()
    }

    /// Where in the file `length` bytes of a conversation stand, if they are in memory and in one packet: [`read`](Self::read)
    /// would read the same.
    #[inline]
    pub(super) fn place(
        &self,
        conversation: &Conversation,
        from: Side,
        position: Position,
        skip: u64,
        length: usize,
    ) -> Option<Range<u64>> {
        let start = self.region.get(position.block, PACKET_PREFIX + MAX_HEADERS)?;
        let packet = packet_of(&BlockPrefix::parse(start)?, &start[PACKET_PREFIX..], conversation, from)?;
        let skip = skip + u64::from(position.skip);
        let length = length as u64;
        if skip.checked_add(length)? > packet.payload {
            return None;
        }
        let start = position.block + packet.headers + skip;
        Some(start..start + length).filter(|place| self.held(place).is_some())
    }

    /// Bytes of the file, if they are in memory.
    pub(super) fn held(&self, place: &Range<u64>) -> Option<&[u8]> {
        self.region.get(place.start, usize::try_from(place.end - place.start).ok()?)
    }

    /// Appends `length` bytes of a conversation to `out`, as [`CaptureReader::read`] reads them.
    pub(super) fn read(
        &self,
        conversation: &Conversation,
        from: Side,
        position: Position,
        mut skip: u64,
        length: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let end = out.len().saturating_add(length);
        let mut block = position.block;
        let mut expected = None;
        skip += u64::from(position.skip);
        while out.len() < end {
            let Some(next) = self.block(block)? else { break };
            if let Some(PacketOf { headers, sequence, payload, .. }) = next.packet_of(conversation, from) {
                // what could not be written leaves a hole, and what follows it is something else
                if expected.is_some_and(|expected| expected != sequence) {
                    break;
                }
                expected = Some(sequence.wrapping_add(payload as u32));
                if skip >= payload {
                    skip -= payload;
                } else {
                    let take = (payload - skip).min((end - out.len()) as u64) as usize;
                    let offset = block + headers + skip;
                    if let Some(bytes) = self.region.get(offset, take) {
                        out.extend_from_slice(bytes);
                    } else {
                        let at = out.len();
                        out.resize(at + take, 0);
                        self.file.read_exact_at(&mut out[at..], offset)?;
                    }
                    skip = 0;
                }
            }
            block += next.length;
        }
        Ok(())
    }

    /// The block that begins at `at`; `None` where there is none of ours.
    pub(super) fn block(&self, at: u64) -> io::Result<Option<Block>> {
        let mut start = [0; PACKET_PREFIX + MAX_HEADERS];
        let got = if let Some(bytes) = self.region.get(at, start.len()) {
            start.copy_from_slice(bytes);
            start.len()
        } else {
            read_up_to(&self.file, &mut start, at)?
        };
        Ok(BlockPrefix::parse(&start[..got]).map(|prefix| Block {
            length: prefix.block_length.into(),
            prefix,
            packet: start,
            got: got.saturating_sub(PACKET_PREFIX),
        }))
    }
}

/// The beginning of a block.
#[derive(Debug)]
pub(super) struct Block {
    /// Bytes of it: the next one begins after them.
    pub(super) length: u64,
    prefix: BlockPrefix,
    packet: [u8; PACKET_PREFIX + MAX_HEADERS],
    got: usize,
}

/// A packet of one side of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketOf {
    /// Bytes of the block before the payload.
    pub(super) headers: u64,
    /// The sequence number of its first byte.
    pub(super) sequence: u32,
    /// Bytes of it.
    pub(super) payload: u64,
    /// When it was seen.
    pub(super) time: Timestamp,
}

impl Block {
    /// The packet in it, if `from` sent it in this conversation: there may be other blocks between, of other connections
    /// and of other programs.
    pub(super) fn packet_of(&self, conversation: &Conversation, from: Side) -> Option<PacketOf> {
        packet_of(&self.prefix, self.packet.get(PACKET_PREFIX..PACKET_PREFIX + self.got)?, conversation, from)
    }
}

fn packet_of(prefix: &BlockPrefix, packet: &[u8], conversation: &Conversation, from: Side) -> Option<PacketOf> {
    if !prefix.is_packet {
        return None;
    }
    let Recognised { headers, sequence, .. } = conversation.recognise(packet).filter(|packet| packet.from == from)?;
    Some(PacketOf {
        headers: (PACKET_PREFIX + headers) as u64,
        sequence,
        payload: u64::from(prefix.packet_length).saturating_sub(headers as u64),
        time: prefix.time,
    })
}

impl Region {
    fn get(&self, at: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
