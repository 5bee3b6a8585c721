//! The packets of a pcap or pcapng file, one after the other, with the places of their blocks.

use std::fmt;
use std::io;
use std::ops::Range;

use super::block::{self, Interface, Order};
use super::window::{Input, Window};
use crate::capture::pcapng;

/// Reads packets from a stream of bytes.
pub(super) struct Packets {
    pub(super) window: Window,
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

/// Packets that stand at hand one after the other, each whole, in an enhanced packet block of the only interface in a
/// little-endian section, without options.
pub(super) struct AtHand<'a> {
    rest: &'a [u8],
    /// Where in the file that begins.
    pub(super) at: u64,
    /// When the last packet was seen.
    pub(super) time: u64,
    interface: &'a Interface,
}

/// A packet among them.
pub(super) struct Plain<'a> {
    pub(super) time: u64,
    /// The link type.
    pub(super) link: u16,
    pub(super) data: &'a [u8],
    length: usize,
}

impl<'a> AtHand<'a> {
    /// The next of them; it is to be passed.
    #[inline]
    pub(super) fn peek(&self) -> Option<Plain<'a>> {
        const AROUND: usize = pcapng::PACKET_PREFIX + 4;
        let head = self.rest.first_chunk::<{ pcapng::PACKET_PREFIX }>()?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let [length, captured] = [word(4), word(20)].map(|word| word as usize);
        let block = self.rest.get(..length).filter(|_| length <= MAX_BLOCK)?;
        let is_plain = word(0) == pcapng::ENHANCED_PACKET
            && word(8) == 0
            && captured.checked_next_multiple_of(4) == length.checked_sub(AROUND)
            && *block.last_chunk::<4>()? == word(4).to_le_bytes();
        let data = block.get(pcapng::PACKET_PREFIX..)?.get(..captured).filter(|_| is_plain)?;
        let time = self.interface.time(u64::from(word(12)) << 32 | u64::from(word(16)));
        Some(Plain { time, link: self.interface.link, data, length })
    }

    #[inline]
    pub(super) fn pass(&mut self, packet: &Plain<'_>) {
        self.rest = &self.rest[packet.length..];
        self.at += packet.length as u64;
        self.time = packet.time;
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

/// The longest block that is believed in.
const MAX_BLOCK: usize = 64 << 20;

impl Packets {
    /// Begins to read; `input` stands at its first byte.
    pub(super) fn new(input: Box<dyn Input>) -> Self {
        Self {
            window: Window::new(input),
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
        if !self.window.fill(4)? {
            return Ok(false);
        }
        let magic = u32::from_le_bytes(self.window.peek(4).try_into().unwrap_or_default());
        if magic == block::SECTION_HEADER {
            while matches!(self.peek_kind(), Ok(Some(block::SECTION_HEADER | block::INTERFACE_DESCRIPTION))) {
                self.block()?;
            }
            return Ok(true);
        }
        let Some((order, nanoseconds)) = block::pcap_magic(magic) else { return Ok(false) };
        self.format = Format::Pcap;
        self.order = order;
        if !self.window.fill(24)? {
            return Err(Stop::Torn(0));
        }
        let link = self.order.u32(&self.window.peek(24)[20..]) as u16;
        self.interfaces = vec![Interface::pcap(link, nanoseconds)];
        self.window.pass(24);
        Ok(true)
    }

    /// Whether the section at hand was written by our recorder and by nothing else.
    pub(super) fn is_ours(&self) -> bool {
        self.format == Format::Pcapng
            && self.order == Order::Little
            && self.application.starts_with("wsinspect ")
            && matches!(&self.interfaces[..], [one] if one.is_ours())
    }

    /// The packets at hand, as long as they stand as nearly all of ours do. What is taken of them is to be passed then.
    pub(super) fn at_hand(&self) -> Option<AtHand<'_>> {
        let [interface] = &self.interfaces[..] else { return None };
        let is_plain = self.format == Format::Pcapng && self.order == Order::Little;
        is_plain.then(|| AtHand { rest: self.window.rest(), at: self.window.position(), interface, time: self.time })
    }

    /// The packets up to `at` have been taken; the last of them was seen at `time`.
    pub(super) fn pass(&mut self, at: u64, time: u64) {
        self.window.pass((at - self.window.position()) as usize);
        self.time = time;
    }

    /// The bytes of a packet; it must be the last one that [`Packets::next`] returned.
    pub(super) fn data(&self, packet: &Packet) -> &[u8] {
        self.window.bytes(packet.data.clone())
    }

    /// The comments of a packet, likewise.
    pub(super) fn comments(&self, packet: &Packet) -> impl Iterator<Item = &[u8]> {
        let options = block::options(self.window.bytes(packet.options.clone()), self.order);
        options.filter(|(code, _)| *code == block::COMMENT).map(|(_, comment)| comment)
    }

    /// The next packet. After [`Stop::End`] and [`Stop::Torn`] it may be asked for again, if the file grows, and after
    /// [`Stop::Nothing`].
    #[inline]
    pub(super) fn next(&mut self) -> Result<Packet, Stop> {
        if self.format == Format::Pcap {
            return self.record();
        }
        if let Some(packet) = self.usual() {
            return Ok(packet);
        }
        loop {
            if let Some(packet) = self.block()? {
                return Ok(packet);
            }
        }
    }

    /// The next packet, if it stands as nearly every one does: whole at hand, in an enhanced packet block of a little-endian
    /// section. Otherwise nothing has happened.
    #[inline]
    fn usual(&mut self) -> Option<Packet> {
        let rest = self.window.rest();
        let head = rest.first_chunk::<{ pcapng::PACKET_PREFIX }>()?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = word(4) as usize;
        let end = pcapng::PACKET_PREFIX.checked_add(word(20) as usize)?;
        let options = end.checked_next_multiple_of(4)?;
        let twice = rest.get(..length)?.last_chunk::<4>()?;
        let is_usual = word(0) == pcapng::ENHANCED_PACKET
            && self.order == Order::Little
            && length.is_multiple_of(4)
            && length <= MAX_BLOCK
            && u32::from_le_bytes(*twice) == word(4)
            && options <= length - 4;
        let interface = self.interfaces.get(word(8) as usize).filter(|_| is_usual)?;
        let start = self.window.start();
        let packet = Packet {
            block: self.window.position(),
            time: interface.time(u64::from(word(12)) << 32 | u64::from(word(16))),
            link: interface.link,
            data: start + pcapng::PACKET_PREFIX..start + end,
            options: start + options..start + length - 4,
        };
        self.time = packet.time;
        self.window.pass(length);
        Some(packet)
    }

    /// The next record of a pcap file.
    fn record(&mut self) -> Result<Packet, Stop> {
        let at = self.window.position();
        self.window.whole(16, at)?;
        let head = self.window.peek(16);
        let word = |i: usize| self.order.u32(&head[4 * i..]);
        let (seconds, fraction, length) = (word(0), word(1), word(2) as usize);
        if length > MAX_BLOCK {
            return Err(Stop::Damaged(at, "a packet of more than 64 MiB"));
        }
        self.window.whole(16 + length, at)?;
        let interface = &self.interfaces[0];
        let time = interface.pcap_time(seconds, fraction);
        let data = self.window.start() + 16..self.window.start() + 16 + length;
        let packet = Packet { block: at, time, link: interface.link, data, options: 0..0 };
        self.window.pass(16 + length);
        Ok(packet)
    }

    fn peek_kind(&mut self) -> Result<Option<u32>, Stop> {
        Ok(self.window.fill(4)?.then(|| self.order.u32(self.window.peek(4))))
    }

    /// Takes the next block of a pcapng file; `None` if it holds no packet.
    fn block(&mut self) -> Result<Option<Packet>, Stop> {
        let at = self.window.position();
        self.window.whole(12, at)?;
        let head = self.window.peek(12);
        if head[..4] == block::SECTION_HEADER.to_le_bytes() {
            self.order = Order::of_section(&head[8..]).ok_or(Stop::Damaged(at, "a section without a byte order"))?;
        }
        let head = self.window.peek(12);
        let (kind, length) = (self.order.u32(head), self.order.u32(&head[4..]) as usize);
        if kind == pcapng::GONE {
            return self.gone(length as u64).map(|()| None);
        }
        if !length.is_multiple_of(4) || !(12..=MAX_BLOCK).contains(&length) {
            return Err(Stop::Damaged(at, "the length of a block makes no sense"));
        }
        self.window.whole(length, at)?;
        let whole = self.window.peek(length);
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
                let shift =
                    |range: Range<usize>| self.window.start() + 8 + range.start..self.window.start() + 8 + range.end;
                let (data, options) = (shift(found.data), shift(found.options));
                packet = Some(Packet { block: at, time, link: interface.link, data, options });
                self.time = time;
            }
            // names, statistics, what other programs add
            _ => {}
        }
        self.window.pass(length);
        Ok(packet)
    }

    /// Passes over what is gone. The length at its end may be one of what was there before: the program that wrote the file
    /// was killed then.
    fn gone(&mut self, length: u64) -> Result<(), Stop> {
        let at = self.window.position();
        if !length.is_multiple_of(4) || length < 12 {
            return Err(Stop::Damaged(at, "the length of a block makes no sense"));
        }
        if self.window.fill(32)?
            && let Some(gone) = pcapng::read_gone(&self.window.peek(32)[8..])
        {
            self.gone = [0, 1].map(|i| gone[i].max(self.gone[i]));
        }
        match self.holes.last_mut() {
            // what says how much is gone is no hole
            _ if length == pcapng::GONE_LENGTH as u64 => {}
            Some(hole) if hole.end == at => hole.end += length,
            _ => self.holes.push(at..at + length),
        }
        self.window.pass_over(length, at)
    }
}
