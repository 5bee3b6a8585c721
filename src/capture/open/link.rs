//! From a packet as it was captured to the TCP segment in it.

use super::ends::Ends;
use crate::capture::pcapng::LINKTYPE_RAW;

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) ends: Ends,
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

    /// Whether it holds bytes and says nothing of where the connection begins or ends.
    pub(super) const fn is_data(&self) -> bool {
        !self.fin() && !self.syn() && !self.rst() && !self.payload.is_empty()
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

/// TCP, as IP numbers it.
const TCP: u8 = 6;

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
    let packet = if link == LINKTYPE_RAW { packet } else { ip_in(link, packet)? };
    usual_segment_in(packet).or_else(|| segment_in(packet))
}

/// The same, if the packet is as nearly all of ours are: bare IPv4, and no options.
#[expect(clippy::inline_always, reason = "what is found is in registers then, and not laid out in memory")]
#[inline(always)]
pub(super) fn usual_segment(link: u16, packet: &[u8]) -> Option<Segment<'_>> {
    if link == LINKTYPE_RAW { usual_segment_in(packet) } else { None }
}

/// The IP packet in what was captured.
fn ip_in(link: u16, packet: &[u8]) -> Option<&[u8]> {
    match link {
        ETHERNET => ethertype(u16_at(packet, 12)?, packet.get(14..)?),
        LINUX_COOKED => ethertype(u16_at(packet, 14)?, packet.get(16..)?),
        LINUX_COOKED_2 => ethertype(u16_at(packet, 0)?, packet.get(20..)?),
        // four bytes of address family, in the byte order of whoever wrote it; the IP version says the same
        NULL | LOOP => packet.get(4..),
        link if is_known(link) => Some(packet),
        _ => None,
    }
}

fn ethertype(mut kind: u16, mut packet: &[u8]) -> Option<&[u8]> {
    while VLAN.contains(&kind) {
        kind = u16_at(packet, 2)?;
        packet = packet.get(4..)?;
    }
    matches!(kind, ETHERTYPE_IPV4 | ETHERTYPE_IPV6).then_some(packet)
}

/// The TCP segment in an IP packet, if both are as nearly all are: IPv4, and no options.
#[expect(clippy::inline_always, reason = "the same")]
#[inline(always)]
fn usual_segment_in(packet: &[u8]) -> Option<Segment<'_>> {
    let front = packet.first_chunk::<40>()?;
    let length = usize::from(u16::from_be_bytes([front[2], front[3]]));
    let is_fragment = [front[6] & 0x3F, front[7]] != [0, 0];
    if (front[0], front[9], front[32] >> 4) != (0x45, TCP, 5) || is_fragment || length < front.len() {
        return None;
    }
    let word = |at: usize| u32::from_be_bytes([front[at], front[at + 1], front[at + 2], front[at + 3]]);
    Some(Segment {
        ends: Ends::four(*front[12..].first_chunk()?, word(20)),
        sequence: word(24),
        acknowledged: word(28),
        flags: front[33],
        payload: &packet[front.len()..length.min(packet.len())],
        cut: length.saturating_sub(packet.len()) as u32,
    })
}

/// The TCP segment in an IP packet.
#[cold]
fn segment_in(packet: &[u8]) -> Option<Segment<'_>> {
    let (is_six, header, length) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 15) * 4;
            let fragment = u16_at(packet, 6)? & 0x3FFF;
            if *packet.get(9)? != TCP || fragment != 0 || header < 20 {
                return None;
            }
            (false, header, usize::from(u16_at(packet, 2)?))
        }
        6 => {
            let (mut next, mut header) = (*packet.get(6)?, 40);
            while next != TCP {
                // hop-by-hop, routing and destination options; a fragment holds no whole segment
                if !matches!(next, 0 | 43 | 60) {
                    return None;
                }
                next = *packet.get(header)?;
                header += (usize::from(*packet.get(header + 1)?) + 1) * 8;
            }
            let length = usize::from(u16_at(packet, 4)?);
            (true, header, if length == 0 { 0 } else { length + 40 })
        }
        _ => return None,
    };
    // the network card cuts what the kernel hands it in one piece, whose length may stand there as 0
    let length = if length == 0 { packet.len() } else { length };
    let tcp = packet.get(header..length.min(packet.len()))?;
    let front = tcp.first_chunk::<20>()?;
    let [ports, sequence, acknowledged, _, _] = words(front);
    let offset = usize::from(front[12] >> 4) * 4;
    let payload = tcp.get(offset..).filter(|_| offset >= 20)?;
    let ends = if is_six {
        Ends::six(packet.get(8..)?.first_chunk()?, ports)
    } else {
        Ends::four(*packet.get(12..)?.first_chunk()?, ports)
    };
    Some(Segment {
        ends,
        sequence,
        acknowledged,
        flags: front[13],
        payload,
        cut: length.saturating_sub(packet.len()) as u32,
    })
}

/// The five words of a TCP header.
fn words(front: &[u8; 20]) -> [u32; 5] {
    let mut words = [0; 5];
    for (word, bytes) in words.iter_mut().zip(front.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tcp::{Conversation, Segment as Written};
    use crate::wire::Side;

    #[test]
    fn what_is_taken_at_once_is_what_is_read_field_by_field() {
        let (client, server) = ("10.0.0.1:50000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let mut packet = Vec::new();
        Conversation::new(client, server).write(&mut packet, Side::Client, Written::Data(b"Hello"));
        assert!(usual_segment_in(&packet).is_some_and(|segment| segment.payload == b"Hello" && segment.is_data()));
        for at in 0..packet.len() {
            for value in 0..=u8::MAX {
                let mut other = packet.clone();
                other[at] = value;
                for length in [other.len() + 3, other.len(), other.len() - 1, at] {
                    other.resize(length, 0);
                    let usual = usual_segment_in(&other);
                    assert!(usual.is_none() || usual == segment_in(&other), "{other:02x?}");
                }
            }
        }
    }
}
