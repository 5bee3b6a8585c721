//! The packets of a pcap or pcapng file, one after the other, with the places of their blocks.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write as _};
use std::ops::Range;
use std::sync::Arc;

use super::block::{self, Interface, Order};
use crate::capture::pcapng;

/// Reads packets from a stream of bytes.
pub(super) struct Packets {
    input: Box<dyn Input>,
    /// Whether it is waited for bytes of a pipe, however long that takes.
    pub(super) waits: bool,
    spool: Spool,
    buffer: Vec<u8>,
    /// What of the buffer has not been read yet.
    start: usize,
    end: usize,
    /// Where in the file `start` is.
    at: u64,
    format: Format,
    order: Order,
    interfaces: Vec<Interface>,
    application: String,
    /// Sections so far.
    pub(super) sections: u32,
    /// How many frames and connections are gone, as far as the file has said.
    pub(super) gone: [u64; 2],
    /// Where what is gone was, ascending.
    pub(super) holes: Vec<Range<u64>>,
    /// The last time of a packet: those without one of their own have it.
    time: u64,
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Pcap,
    Pcapng,
}

/// A packet in the buffer.
pub(super) struct Packet {
    /// Where its block begins in the file.
    pub(super) block: u64,
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    /// The link type.
    pub(super) link: u16,
    data: Range<usize>,
    options: Range<usize>,
}

impl Packet {
    /// Whether it may have comments.
    pub(super) fn has_options(&self) -> bool {
        !self.options.is_empty()
    }
}

/// Why there is no further packet.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file ends.
    End,
    /// The file ends inside a block that begins here.
    Torn(u64),
    /// What stands here makes no sense.
    Damaged(u64, &'static str),
    /// It can't be read.
    Failed(io::Error),
    /// Nothing comes at the moment.
    Nothing,
    /// The rest, from here on, is not wanted.
    Unwanted(u64),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the file ends"),
            Self::Torn(at) => write!(f, "the file is cut short: the block at byte {at} is not whole"),
            Self::Damaged(at, what) => write!(f, "the file is damaged at byte {at}: {what}; it is read up to there"),
            Self::Failed(error) => write!(f, "the file cannot be read on: {error}"),
            Self::Nothing => f.write_str("nothing comes"),
            Self::Unwanted(at) => write!(f, "reading was stopped at byte {at}; the rest of the file is not shown"),
        }
    }
}

/// Bytes that are read at once.
const READ: usize = 1 << 20;
/// The longest block that is believed in.
const MAX_BLOCK: usize = 64 << 20;

impl Packets {
    /// Begins to read; `input` stands at its first byte.
    pub(super) fn new(input: Box<dyn Input>) -> Self {
        Self {
            input,
            waits: true,
            spool: Spool::Memory(Vec::new()),
            buffer: Vec::new(),
            start: 0,
            end: 0,
            at: 0,
            format: Format::Pcapng,
            order: Order::Little,
            interfaces: Vec::new(),
            application: String::new(),
            sections: 0,
            gone: [0; 2],
            holes: Vec::new(),
            time: 0,
        }
    }

    /// Reads what stands before the first packet; `false` if this is no capture at all.
    pub(super) fn begin(&mut self) -> Result<bool, Stop> {
        if !self.fill(4)? {
            return Ok(false);
        }
        let magic = u32::from_le_bytes(self.peek(4).try_into().unwrap_or_default());
        if magic == block::SECTION_HEADER {
            while matches!(self.peek_kind(), Ok(Some(block::SECTION_HEADER | block::INTERFACE_DESCRIPTION))) {
                self.block()?;
            }
            return Ok(true);
        }
        let Some((order, nanoseconds)) = block::pcap_magic(magic) else { return Ok(false) };
        self.format = Format::Pcap;
        self.order = order;
        if !self.fill(24)? {
            return Err(Stop::Torn(0));
        }
        let link = self.order.u32(&self.peek(24)[20..]) as u16;
        self.interfaces = vec![Interface::pcap(link, nanoseconds)];
        self.pass(24);
        Ok(true)
    }

    /// Whether the section at hand was written by our recorder and by nothing else.
    pub(super) fn is_ours(&self) -> bool {
        self.format == Format::Pcapng
            && self.order == Order::Little
            && self.application.starts_with("wsinspect ")
            && matches!(&self.interfaces[..], [one] if one.is_ours())
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

    /// The bytes of a packet; it must be the last one that [`Packets::next`] returned.
    pub(super) fn data(&self, packet: &Packet) -> &[u8] {
        &self.buffer[packet.data.clone()]
    }

    /// The comments of a packet, likewise.
    pub(super) fn comments(&self, packet: &Packet) -> impl Iterator<Item = &[u8]> {
        let options = block::options(&self.buffer[packet.options.clone()], self.order);
        options.filter(|(code, _)| *code == block::COMMENT).map(|(_, comment)| comment)
    }

    /// The next packet. After [`Stop::End`] and [`Stop::Torn`] it may be asked for again, if the file grows, and after
    /// [`Stop::Nothing`].
    pub(super) fn next(&mut self) -> Result<Packet, Stop> {
        if self.format == Format::Pcap {
            return self.record();
        }
        loop {
            if let Some(packet) = self.block()? {
                return Ok(packet);
            }
        }
    }

    /// The next record of a pcap file.
    fn record(&mut self) -> Result<Packet, Stop> {
        let at = self.at;
        self.whole(16, at)?;
        let head = self.peek(16);
        let word = |i: usize| self.order.u32(&head[4 * i..]);
        let (seconds, fraction, length) = (word(0), word(1), word(2) as usize);
        if length > MAX_BLOCK {
            return Err(Stop::Damaged(at, "a packet of more than 64 MiB"));
        }
        self.whole(16 + length, at)?;
        let interface = &self.interfaces[0];
        let time = interface.pcap_time(seconds, fraction);
        let data = self.start + 16..self.start + 16 + length;
        let packet = Packet { block: at, time, link: interface.link, data, options: 0..0 };
        self.pass(16 + length);
        Ok(packet)
    }

    fn peek_kind(&mut self) -> Result<Option<u32>, Stop> {
        Ok(self.fill(4)?.then(|| self.order.u32(self.peek(4))))
    }

    /// Takes the next block of a pcapng file; `None` if it holds no packet.
    fn block(&mut self) -> Result<Option<Packet>, Stop> {
        let at = self.at;
        self.whole(12, at)?;
        let head = self.peek(12);
        if head[..4] == block::SECTION_HEADER.to_le_bytes() {
            self.order = Order::of_section(&head[8..]).ok_or(Stop::Damaged(at, "a section without a byte order"))?;
        }
        let head = self.peek(12);
        let (kind, length) = (self.order.u32(head), self.order.u32(&head[4..]) as usize);
        if kind == pcapng::GONE {
            return self.gone(length as u64).map(|()| None);
        }
        if !length.is_multiple_of(4) || !(12..=MAX_BLOCK).contains(&length) {
            return Err(Stop::Damaged(at, "the length of a block makes no sense"));
        }
        self.whole(length, at)?;
        let whole = self.peek(length);
        if self.order.u32(&whole[length - 4..]) as usize != length {
            return Err(Stop::Damaged(at, "the two lengths of a block differ"));
        }
        let body = 8..length - 4;
        let broken = Stop::Damaged(at, "a block is too short for what it says it holds");
        let mut packet = None;
        match kind {
            block::SECTION_HEADER => {
                let application = block::section_application(&whole[body], self.order).ok_or(broken)?;
                self.application = application;
                self.interfaces.clear();
                self.sections += 1;
            }
            block::INTERFACE_DESCRIPTION => {
                let interface = Interface::read(&whole[body], self.order).ok_or(broken)?;
                self.interfaces.push(interface);
            }
            kind if block::holds_packet(kind) => {
                let found = block::packet(kind, &whole[body], self.order).ok_or(broken)?;
                let Some(interface) = self.interfaces.get(found.interface) else {
                    return Err(Stop::Damaged(at, "a packet of an interface that was not described"));
                };
                let time = found.ticks.map_or(self.time, |ticks| interface.time(ticks));
                let shift = |range: Range<usize>| self.start + 8 + range.start..self.start + 8 + range.end;
                let (data, options) = (shift(found.data), shift(found.options));
                packet = Some(Packet { block: at, time, link: interface.link, data, options });
                self.time = time;
            }
            // names, statistics, what other programs add
            _ => {}
        }
        self.pass(length);
        Ok(packet)
    }

    /// Passes over what is gone. The length at its end may be one of what was there before: the program that wrote the file
    /// was killed then.
    fn gone(&mut self, length: u64) -> Result<(), Stop> {
        let at = self.at;
        if !length.is_multiple_of(4) || length < 12 {
            return Err(Stop::Damaged(at, "the length of a block makes no sense"));
        }
        if self.fill(32)?
            && let Some(gone) = pcapng::read_gone(&self.peek(32)[8..])
        {
            self.gone = [0, 1].map(|i| gone[i].max(self.gone[i]));
        }
        match self.holes.last_mut() {
            // what says how much is gone is no hole
            _ if length == pcapng::GONE_LENGTH as u64 => {}
            Some(hole) if hole.end == at => hole.end += length,
            _ => self.holes.push(at..at + length),
        }
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

    fn peek(&self, length: usize) -> &[u8] {
        &self.buffer[self.start..self.start + length]
    }

    fn pass(&mut self, length: usize) {
        self.start += length;
        self.at += length as u64;
    }

    /// Makes sure that `length` bytes of the block at `at` are there.
    fn whole(&mut self, length: usize, at: u64) -> Result<(), Stop> {
        if self.fill(length)? {
            return Ok(());
        }
        Err(if self.start == self.end { Stop::End } else { Stop::Torn(at) })
    }

    /// Reads until `length` bytes are in the buffer; `false` if the file ends before.
    fn fill(&mut self, length: usize) -> Result<bool, Stop> {
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
