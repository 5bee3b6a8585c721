//! The two ends of a TCP connection, as they stand in a packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a packet comes from and where it goes, quick to compare. Whatever has two parts has the source first: the words of
/// addresses, and the two halves of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ends {
    /// Addresses and ports.
    Four(u64, u32),
    /// The same.
    Six([u64; 4], u32),
}

impl Ends {
    /// From the addresses in an IPv4 header.
    #[inline]
    pub(super) fn four(addresses: [u8; 8], ports: u32) -> Self {
        Self::Four(u64::from_be_bytes(addresses), ports)
    }

    /// From those in an IPv6 header.
    #[inline]
    pub(super) fn six(addresses: &[u8; 32], ports: u32) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(addresses.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        Self::Six(words, ports)
    }

    /// The way back.
    pub(super) fn back(self) -> Self {
        match self {
            Self::Four(addresses, ports) => Self::Four(addresses.rotate_left(32), ports.rotate_left(16)),
            Self::Six([a, b, c, d], ports) => Self::Six([c, d, a, b], ports.rotate_left(16)),
        }
    }

    /// Where it comes from.
    pub(super) fn source(self) -> SocketAddr {
        let (ip, ports): (IpAddr, u32) = match self {
            Self::Four(addresses, ports) => (Ipv4Addr::from_bits((addresses >> 32) as u32).into(), ports),
            Self::Six([a, b, ..], ports) => (Ipv6Addr::from_bits(u128::from(a) << 64 | u128::from(b)).into(), ports),
        };
        SocketAddr::new(ip, (ports >> 16) as u16)
    }

    /// Where it goes.
    pub(super) fn destination(self) -> SocketAddr {
        self.back().source()
    }

    /// A number in which every bit counts a little.
    #[inline]
    pub(super) fn mixed(self) -> u64 {
        let (addresses, ports) = match self {
            Self::Four(addresses, ports) => (addresses, ports),
            Self::Six([a, b, c, d], ports) => (a ^ b.rotate_left(16) ^ c.rotate_left(32) ^ d.rotate_left(48), ports),
        };
        let ports = u64::from(ports).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (addresses ^ ports ^ ports >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_those_that_stand_in_the_packet() {
        let four = Ends::four([10, 0, 0, 1, 10, 0, 0, 2], 50_000 << 16 | 0x50);
        let mut addresses = [0; 32];
        (addresses[15], addresses[16], addresses[31]) = (1, 0xFE, 2);
        let six = Ends::six(&addresses, 50_000 << 16 | 0x50);
        for (ends, source, destination) in
            [(four, "10.0.0.1:50000", "10.0.0.2:80"), (six, "[::1]:50000", "[fe00::2]:80")]
        {
            assert_eq!(
                (ends.source().to_string(), ends.destination().to_string()),
                (source.into(), destination.into())
            );
            assert_eq!((ends.back().source(), ends.back().back()), (ends.destination(), ends));
        }
    }
}
