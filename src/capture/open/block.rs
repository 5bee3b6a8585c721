//! What stands in the blocks of pcap and pcapng files, in either byte order.

use std::ops::Range;

use crate::capture::pcapng;

pub(super) const SECTION_HEADER: u32 = pcapng::SECTION_HEADER;
pub(super) const INTERFACE_DESCRIPTION: u32 = pcapng::INTERFACE_DESCRIPTION;
pub(super) const COMMENT: u16 = pcapng::OPT_COMMENT;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const TIMESTAMP_OFFSET: u16 = 14;

/// The byte order of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// From a section's magic number.
    pub(super) fn of_section(magic: &[u8]) -> Option<Self> {
        match magic.first_chunk::<4>()? {
            [0x4D, 0x3C, 0x2B, 0x1A] => Some(Self::Little),
            [0x1A, 0x2B, 0x3C, 0x4D] => Some(Self::Big),
            _ => None,
        }
    }

    /// The number at the front of `bytes`; what is too short counts as 0.
    pub(super) fn u32(self, bytes: &[u8]) -> u32 {
        let bytes = bytes.first_chunk::<4>().copied().unwrap_or_default();
        if self == Self::Little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    }

    /// The same with two bytes.
    pub(super) fn u16(self, bytes: &[u8]) -> u16 {
        let bytes = bytes.first_chunk::<2>().copied().unwrap_or_default();
        if self == Self::Little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
    }
}

/// The byte order of a pcap file, and whether its times are in nanoseconds, from its first four bytes.
pub(super) const fn pcap_magic(little_endian: u32) -> Option<(Order, bool)> {
    match little_endian {
        0xA1B2_C3D4 => Some((Order::Little, false)),
        0xA1B2_3C4D => Some((Order::Little, true)),
        0xD4C3_B2A1 => Some((Order::Big, false)),
        0x4D3C_B2A1 => Some((Order::Big, true)),
        _ => None,
    }
}

/// An interface, as far as it says how to read its packets.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) link: u16,
    name: Vec<u8>,
    /// Ticks in a second.
    per_second: u64,
    /// Seconds to add.
    offset: i64,
}

impl Interface {
    pub(super) fn pcap(link: u16, nanoseconds: bool) -> Self {
        let per_second = if nanoseconds { 1_000_000_000 } else { 1_000_000 };
        Self { link, name: Vec::new(), per_second, offset: 0 }
    }

    /// Reads an interface description block.
    pub(super) fn read(body: &[u8], order: Order) -> Option<Self> {
        let mut interface = Self { link: order.u16(body), name: Vec::new(), per_second: 1_000_000, offset: 0 };
        for (code, value) in options(body.get(8..)?, order) {
            match (code, value) {
                (pcapng::OPT_INTERFACE_NAME, name) => interface.name = name.to_vec(),
                (pcapng::OPT_TIMESTAMP_RESOLUTION, [power, ..]) => {
                    let (base, power): (u64, _) = if power & 0x80 == 0 { (10, *power) } else { (2, power & 0x7F) };
                    interface.per_second = base.checked_pow(power.into())?;
                }
                (TIMESTAMP_OFFSET, value) => {
                    let (one, other) = (order.u32(value), order.u32(value.get(4..)?));
                    let (low, high) = if order == Order::Little { (one, other) } else { (other, one) };
                    interface.offset = (u64::from(high) << 32 | u64::from(low)).cast_signed();
                }
                _ => {}
            }
        }
        Some(interface)
    }

    /// Whether our recorder writes such an interface.
    pub(super) fn is_ours(&self) -> bool {
        (self.link, &self.name[..], self.per_second) == (pcapng::LINKTYPE_RAW, b"wsinspect", 1_000_000_000)
    }

    /// Nanoseconds since 1970.
    #[inline]
    pub(super) fn time(&self, ticks: u64) -> u64 {
        let nanoseconds = match self.per_second {
            1_000_000_000 => ticks,
            // 64 bits of ticks and 30 of a billion fit 128
            per_second => {
                let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(per_second);
                u64::try_from(nanoseconds).unwrap_or(u64::MAX)
            }
        };
        nanoseconds.saturating_add_signed(self.offset.saturating_mul(1_000_000_000))
    }

    pub(super) fn pcap_time(&self, seconds: u32, fraction: u32) -> u64 {
        u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * (1_000_000_000 / self.per_second)
    }
}

/// The program that wrote a section, from its header block.
pub(super) fn section_application(body: &[u8], order: Order) -> Option<String> {
    let mut options = options(body.get(16..)?, order);
    let name = options.find(|(code, _)| *code == pcapng::OPT_USER_APPLICATION).map(|(_, name)| name);
    Some(String::from_utf8_lossy(name.unwrap_or_default()).into_owned())
}

/// A packet's parts in the body of its block.
pub(super) struct Found {
    pub(super) interface: usize,
    pub(super) ticks: Option<u64>,
    pub(super) data: Range<usize>,
    pub(super) options: Range<usize>,
}

/// Whether a block of this kind holds a packet.
pub(super) const fn holds_packet(kind: u32) -> bool {
    matches!(kind, pcapng::ENHANCED_PACKET | OLD_PACKET | SIMPLE_PACKET)
}

/// Reads a block that holds a packet; `None` if it is broken.
pub(super) fn packet(kind: u32, body: &[u8], order: Order) -> Option<Found> {
    let (interface, head, length) = match kind {
        OLD_PACKET => (usize::from(order.u16(body)), 20, order.u32(body.get(12..)?) as usize),
        // as much as there is: the snap length cuts it
        SIMPLE_PACKET => (0, 4, (order.u32(body) as usize).min(body.len().checked_sub(4)?)),
        _ => (order.u32(body) as usize, 20, order.u32(body.get(12..)?) as usize),
    };
    let end = head + length;
    if end > body.len() {
        return None;
    }
    let ticks = (head == 20).then(|| u64::from(order.u32(&body[4..])) << 32 | u64::from(order.u32(&body[8..])));
    let options = end.next_multiple_of(4).min(body.len())..body.len();
    Some(Found { interface, ticks, data: head..end, options })
}

/// The options at the end of a block: codes and values, up to the first that is broken.
pub(super) fn options(mut bytes: &[u8], order: Order) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (code, length) = (order.u16(bytes), usize::from(order.u16(bytes.get(2..4)?)));
        let value = bytes.get(4..4 + length)?;
        bytes = bytes.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    })
}
