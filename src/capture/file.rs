//! The capture file: pcapng, written chunk by chunk and read back from.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::event::{ConnectionId, Event, EventKind, Note, Origin, SocketEnd, Vantage};
use super::pcapng::{self, BlockPrefix, PACKET_PREFIX};
use super::remark::Remark;
use super::tcp::{Conversation, MAX_HEADERS, MAX_SEGMENT, Recognised, Segment};
use crate::wire::Side;

/// Where a byte of a connection stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Where the block of its packet begins.
    pub block: u64,
    /// How many bytes of the packet's payload stand before it: below 65 000.
    pub skip: u16,
}

/// Creates the file `path`, readable by its owner alone. An existing one is replaced only if `replace` is set.
pub(super) fn create(path: &Path, replace: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    if replace {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options.open(path)
}

/// Appends what happens to the capture file. At every moment the file ends between two blocks, or the kernel is
/// writing the last ones.
#[derive(Debug)]
pub struct CaptureWriter {
    file: Arc<File>,
    /// Bytes in the file.
    length: u64,
    /// Blocks that are not in the file yet.
    pending: Vec<u8>,
    conversations: HashMap<ConnectionId, Open>,
    /// Payload bytes that could not be written and are not in the file.
    missing: u64,
}

/// A connection that is being written.
#[derive(Debug)]
struct Open {
    conversation: Conversation,
    vantage: Vantage,
    /// The side whose next packet acknowledges that the other one has ended.
    owes: Option<Side>,
}

impl CaptureWriter {
    /// Begins the file; `command` says how the program was called.
    pub fn start(file: Arc<File>, command: &str) -> io::Result<Self> {
        let mut writer = Self { file, length: 0, pending: Vec::new(), conversations: HashMap::new(), missing: 0 };
        let program = concat!("wsinspect ", env!("CARGO_PKG_VERSION"));
        pcapng::write_start(&mut writer.pending, program, command);
        writer.flush().map(|()| writer)
    }

    /// Takes an event in. A chunk becomes a block for each 65 000 bytes of it; where those will begin is added
    /// to `blocks`.
    pub fn push(&mut self, event: &Event, blocks: &mut Vec<u64>) {
        let time = event.time.0;
        if let EventKind::Opened { client, server, vantage } = event.kind {
            self.open(event.connection, time, client, server, vantage);
            return;
        }
        let Some(Open { conversation, vantage, owes }) = self.conversations.get_mut(&event.connection) else { return };
        let out = &mut self.pending;
        match &event.kind {
            // of the client's conversation alone packets are made
            EventKind::Opened { .. } | EventKind::SentOn(_) | EventKind::NotSentOn(_) => {}
            EventKind::Chunk { from, bytes, notes } => {
                *owes = owes.filter(|side| side != from);
                let expected = vantage.origin_of(*from);
                for (i, segment) in bytes.chunks(MAX_SEGMENT).enumerate() {
                    blocks.push(self.length + out.len() as u64);
                    let comments = comments(notes, i * MAX_SEGMENT, segment.len(), expected);
                    pcapng::write_packet(out, time, &comments, |packet| {
                        conversation.write(packet, *from, Segment::Data(segment));
                    });
                }
            }
            EventKind::Ended { from, how } => {
                let segment = match how {
                    SocketEnd::Fin => Segment::Fin,
                    SocketEnd::Reset => Segment::Rst,
                };
                pcapng::write_packet(out, time, &[], |packet| conversation.write(packet, *from, segment));
                *owes = (*how == SocketEnd::Fin).then_some(from.other());
            }
            EventKind::Gap { from, bytes } => {
                self.missing += bytes;
                // sequence numbers count round
                conversation.advance(*from, *bytes as u32);
            }
            EventKind::Closed { cause } => {
                let comment = [Remark::Closed { cause: *cause }.to_string()];
                // the last end is acknowledged; where there was none, a side gave up
                let (from, segment) = owes.map_or((Side::Server, Segment::Rst), |side| (side, Segment::Ack));
                pcapng::write_packet(out, time, &comment, |packet| conversation.write(packet, from, segment));
                self.conversations.remove(&event.connection);
            }
        }
    }

    /// Writes what was pushed. If that fails, all of it is left out of the file, which stays valid, and `lost` tells
    /// how many payload bytes are missing; the next flush tries again with what comes next.
    pub fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all_at(&self.pending, self.length);
        match written {
            Ok(()) => self.length += self.pending.len() as u64,
            Err(_) => {
                // the file ends where it did before; if even that fails, the next write goes over the torn block
                let _ = self.file.set_len(self.length);
            }
        }
        self.pending.clear();
        written
    }

    /// Counts payload bytes as missing from the file.
    pub fn count_missing(&mut self, bytes: u64) {
        self.missing += bytes;
    }

    /// Payload bytes that are not in the file although they crossed the wire.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn open(&mut self, connection: ConnectionId, time: u64, client: SocketAddr, server: SocketAddr, vantage: Vantage) {
        let mut conversation = Conversation::new(client, server);
        let comment = [Remark::Connection { number: connection.0, vantage }.to_string()];
        for (from, segment, comments) in [
            (Side::Client, Segment::Syn, &comment[..]),
            (Side::Server, Segment::SynAck, &[]),
            (Side::Client, Segment::Ack, &[]),
        ] {
            pcapng::write_packet(&mut self.pending, time, comments, |packet| conversation.write(packet, from, segment));
        }
        self.conversations.insert(connection, Open { conversation, vantage, owes: None });
    }
}

/// What bytes alone can't say, for the frames that begin in `[start, start + length)` of a chunk: who made them, where
/// that is not `expected`.
fn comments(notes: &[Note], start: usize, length: usize, expected: Origin) -> Vec<String> {
    notes
        .iter()
        .filter(|note| note.origin != expected && (start..start + length).contains(&note.offset))
        .map(|note| Remark::Origin { origin: note.origin, offset: note.offset - start }.to_string())
        .collect()
}

/// Reads bytes of connections back from the file.
#[derive(Clone, Debug)]
pub struct CaptureReader {
    file: Arc<File>,
    path: PathBuf,
}

impl CaptureReader {
    /// Reads from `file`, which lies at `path`.
    pub fn new(file: Arc<File>, path: PathBuf) -> Self {
        Self { file, path }
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file itself.
    pub fn file_bytes(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at).map(|()| bytes)
    }

    /// Reads `length` bytes that `from` sent on the connection between `client` and `server`, after passing over `skip`
    /// bytes from `position` on. Fewer come back where the file ends first.
    pub fn read(
        &self,
        (client, server): (SocketAddr, SocketAddr),
        from: Side,
        position: Position,
        mut skip: u64,
        length: usize,
    ) -> io::Result<Vec<u8>> {
        let conversation = Conversation::new(client, server);
        let mut bytes = Vec::with_capacity(length.min(1 << 20));
        let mut block = position.block;
        let mut expected = None;
        skip += u64::from(position.skip);
        let mut start = [0; PACKET_PREFIX + MAX_HEADERS];
        while bytes.len() < length {
            let got = read_up_to(&self.file, &mut start, block)?;
            let Some(prefix) = BlockPrefix::parse(&start[..got]) else { break };
            let packet = start[..got].get(PACKET_PREFIX..).unwrap_or_default();
            // between packets there may be blocks that other programs have added
            if prefix.is_packet
                && let Some(Recognised { headers, sequence, .. }) =
                    conversation.recognise(packet).filter(|packet| packet.from == from)
            {
                let payload = u64::from(prefix.packet_length).saturating_sub(headers as u64);
                // what could not be written leaves a hole, and what follows it is something else
                if expected.is_some_and(|expected| expected != sequence) {
                    break;
                }
                expected = Some(sequence.wrapping_add(payload as u32));
                if skip >= payload {
                    skip -= payload;
                } else {
                    let take = (payload - skip).min((length - bytes.len()) as u64) as usize;
                    let at = bytes.len();
                    bytes.resize(at + take, 0);
                    let offset = block + (PACKET_PREFIX + headers) as u64 + skip;
                    self.file.read_exact_at(&mut bytes[at..], offset)?;
                    skip = 0;
                }
            }
            block += u64::from(prefix.block_length);
        }
        Ok(bytes)
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
