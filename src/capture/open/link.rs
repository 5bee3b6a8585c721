//! From a packet as it was captured to the TCP segment in it.

use std::net::{IpAddr, SocketAddr};

use crate::capture::pcapng::LINKTYPE_RAW;

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) sequence: u32,
    /// The sequence number that the other side is to go on with.
    pub(super) acknowledged: u32,
    flags: u8,
    pub(super) payload: &'a [u8],
    /// Bytes of payload that were sent and not captured, because packets were cut short.
    pub(super) cut: u32,
}

impl Segment<'_> {
    pub(super) const fn fin(&self) -> bool {
        self.flags & 1 != 0
    }

    pub(super) const fn syn(&self) -> bool {
        self.flags & 2 != 0
    }

    pub(super) const fn rst(&self) -> bool {
        self.flags & 4 != 0
    }

    pub(super) const fn ack(&self) -> bool {
        self.flags & 16 != 0
    }
}

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
/// Raw IP, as some systems number it.
const RAW_BSD: [u16; 2] = [12, 14];
const LOOP: u16 = 108;
const LINUX_COOKED: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_COOKED_2: u16 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
/// 802.1Q, 802.1ad and what came before it.
const VLAN: [u16; 3] = [0x8100, 0x88A8, 0x9100];

/// Whether packets of this link type can be read.
pub(super) fn is_known(link: u16) -> bool {
    matches!(link, NULL | ETHERNET | LOOP | LINUX_COOKED | IPV4 | IPV6 | LINUX_COOKED_2 | LINKTYPE_RAW)
        || RAW_BSD.contains(&link)
}

/// The TCP segment in a packet; `None` if there is none, or only a fragment of it.
pub(super) fn segment(link: u16, packet: &[u8]) -> Option<Segment<'_>> {
    match link {
        ETHERNET => ethertype(u16_at(packet, 12)?, packet.get(14..)?),
        LINUX_COOKED => ethertype(u16_at(packet, 14)?, packet.get(16..)?),
        LINUX_COOKED_2 => ethertype(u16_at(packet, 0)?, packet.get(20..)?),
        // four bytes of address family, in the byte order of whoever wrote it; the IP version says the same
        NULL | LOOP => ip(packet.get(4..)?),
        link if is_known(link) => ip(packet),
        _ => None,
    }
}

fn ethertype(mut kind: u16, mut packet: &[u8]) -> Option<Segment<'_>> {
    while VLAN.contains(&kind) {
        kind = u16_at(packet, 2)?;
        packet = packet.get(4..)?;
    }
    matches!(kind, ETHERTYPE_IPV4 | ETHERTYPE_IPV6).then(|| ip(packet))?
}

fn ip(packet: &[u8]) -> Option<Segment<'_>> {
    const TCP: u8 = 6;
    let (source, destination, header, length): (IpAddr, IpAddr, usize, usize) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 15) * 4;
            let fragment = u16_at(packet, 6)? & 0x3FFF;
            if *packet.get(9)? != TCP || fragment != 0 || header < 20 {
                return None;
            }
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let destination: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (source.into(), destination.into(), header, usize::from(u16_at(packet, 2)?))
        }
        6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            let (mut next, mut header) = (packet[6], 40);
            while next != TCP {
                // hop-by-hop, routing and destination options; a fragment holds no whole segment
                if !matches!(next, 0 | 43 | 60) {
                    return None;
                }
                next = *packet.get(header)?;
                header += (usize::from(*packet.get(header + 1)?) + 1) * 8;
            }
            let length = usize::from(u16_at(packet, 4)?);
            (source.into(), destination.into(), header, if length == 0 { 0 } else { length + 40 })
        }
        _ => return None,
    };
    // the network card cuts what the kernel hands it in one piece, whose length may stand there as 0
    let length = if length == 0 { packet.len() } else { length };
    let tcp = packet.get(header..length.min(packet.len()))?;
    let offset = usize::from(tcp.get(12)? >> 4) * 4;
    let payload = tcp.get(offset..).filter(|_| offset >= 20)?;
    Some(Segment {
        source: SocketAddr::new(source, u16_at(tcp, 0)?),
        destination: SocketAddr::new(destination, u16_at(tcp, 2)?),
        sequence: u32_at(tcp, 4)?,
        acknowledged: u32_at(tcp, 8)?,
        flags: tcp[13],
        payload,
        cut: length.saturating_sub(packet.len()) as u32,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
