//! IP and TCP headers around the bytes of a connection, so that other programs read them as a conversation.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

#[cfg(target_arch = "x86_64")]
use fearless_simd::{Level, Simd};

use crate::wire::Side;

/// The most payload bytes of a packet: an IPv4 packet has at most 65 535 bytes in all.
pub(super) const MAX_SEGMENT: usize = 65_000;
/// Room for the longest headers that [`Conversation`] writes: IPv6, TCP and its options.
pub(super) const MAX_HEADERS: usize = 40 + 28;

/// Numbers of what stands in an IP packet.
const TCP: u8 = 6;
const EXPERIMENT: u8 = 253;

/// The first sequence number of the client and of the server.
const FIRST: [u32; 2] = [1000, 9000];

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Maximum segment size and window scale, as a SYN announces them.
const SYN_OPTIONS: [u8; 8] = [2, 4, 0xFF, 0xD7, 1, 3, 3, 7];

/// One TCP conversation with its sequence numbers. Each packet acknowledges all that the other side has sent.
#[derive(Debug)]
pub(super) struct Conversation {
    client: SocketAddr,
    server: SocketAddr,
    ends: Ends,
    /// The next sequence number of the client and of the server.
    sequence: [u32; 2],
    identification: u16,
}

/// The addresses and ports as they stand in a packet of the client, and in one of the server: the addresses end the IP
/// header, and the ports begin the TCP header.
#[derive(Debug)]
enum Ends {
    V4([[u8; 12]; 2]),
    V6([[u8; 36]; 2]),
}

/// Appends an IP packet without any TCP in it, to hang a comment on: "use for experimentation and testing" (RFC 3692).
pub(super) fn write_note(out: &mut Vec<u8>, source: IpAddr, destination: IpAddr) {
    let ends = Conversation::new(SocketAddr::new(source, 0), SocketAddr::new(destination, 0));
    write_ip(out, (ends.client.ip(), ends.server.ip()), EXPERIMENT, 0, 0);
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// The first packet of the client.
    Syn,
    /// The server's answer to it.
    SynAck,
    /// The client's answer to that, or a bare acknowledgement.
    Ack,
    /// Bytes, at most [`MAX_SEGMENT`] of them.
    Data(&'a [u8]),
    /// The same, where they are not copied: the headers alone are written.
    Apart(&'a [u8]),
    /// The side sends no more.
    Fin,
    /// The side gave up.
    Rst,
}

/// A packet of a conversation, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recognised {
    /// Who sent it.
    pub(super) from: Side,
    /// Bytes of headers before its payload.
    pub(super) headers: usize,
    /// The sequence number of its payload's first byte.
    pub(super) sequence: u32,
}

impl Conversation {
    /// A conversation between two addresses; where one is IPv4 and the other IPv6, both are written as IPv6.
    pub(super) fn new(client: SocketAddr, server: SocketAddr) -> Self {
        let (client, server) = match (client.ip(), server.ip()) {
            (IpAddr::V4(a), IpAddr::V6(_)) => (SocketAddr::new(a.to_ipv6_mapped().into(), client.port()), server),
            (IpAddr::V6(_), IpAddr::V4(b)) => (client, SocketAddr::new(b.to_ipv6_mapped().into(), server.port())),
            _ => (client, server),
        };
        Self { client, server, ends: Ends::of(client, server), sequence: FIRST, identification: 0 }
    }

    /// A conversation of which the next bytes have these sequence numbers.
    pub(super) fn resumed(client: SocketAddr, server: SocketAddr, sequence: [u32; 2]) -> Self {
        Self { sequence, ..Self::new(client, server) }
    }

    /// The next sequence number of the client and of the server.
    pub(super) fn sequence(&self) -> [u32; 2] {
        self.sequence
    }

    /// How many bytes `from` has sent, where that is fewer than 2^32.
    pub(super) fn sent(&self, from: Side) -> u32 {
        self.sequence[from as usize].wrapping_sub(FIRST[from as usize] + 1)
    }

    /// Appends the next packet of `from`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, from: Side, segment: Segment<'_>) {
        let (source, destination) = match from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        let (flags, options, data): (u8, &[u8], &[u8]) = match segment {
            Segment::Syn => (SYN, &SYN_OPTIONS, &[]),
            Segment::SynAck => (SYN | ACK, &SYN_OPTIONS, &[]),
            Segment::Ack => (ACK, &[], &[]),
            Segment::Data(data) | Segment::Apart(data) => (PSH | ACK, &[], data),
            Segment::Fin => (FIN | ACK, &[], &[]),
            Segment::Rst => (RST | ACK, &[], &[]),
        };
        let tcp_length = 20 + options.len() + data.len();
        write_ip(out, (source.ip(), destination.ip()), TCP, tcp_length as u16, self.identification);
        self.identification = self.identification.wrapping_add(1);
        let tcp_at = out.len();
        out.extend_from_slice(&source.port().to_be_bytes());
        out.extend_from_slice(&destination.port().to_be_bytes());
        out.extend_from_slice(&self.sequence[from as usize].to_be_bytes());
        let acknowledged = if flags & ACK == 0 { 0 } else { self.sequence[from.other() as usize] };
        out.extend_from_slice(&acknowledged.to_be_bytes());
        out.push((((20 + options.len()) / 4) << 4) as u8);
        out.push(flags);
        out.extend_from_slice(&u16::MAX.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(options);
        let pseudo_header = addresses_sum(source.ip(), destination.ip()) + 6 + tcp_length as u64;
        // the header has a multiple of four bytes
        let checksum = checksum(pseudo_header + sum(&out[tcp_at..]) + sum(data));
        out[tcp_at + 16..tcp_at + 18].copy_from_slice(&checksum.to_be_bytes());
        if !matches!(segment, Segment::Apart(_)) {
            out.extend_from_slice(data);
        }
        let counted = data.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.advance(from, counted);
    }

    /// What the packet is whose bytes begin with `packet`, if it belongs to this conversation.
    pub(super) fn recognise(&self, packet: &[u8]) -> Option<Recognised> {
        let (protocol, ip_length) = match packet.first()? >> 4 {
            4 => (packet.get(9)?, 20),
            6 => (packet.get(6)?, 40),
            _ => return None,
        };
        if *protocol != TCP {
            return None;
        }
        let tcp = packet.get(ip_length..ip_length + 20)?;
        let (by_client, by_server) = match &self.ends {
            Ends::V4([client, server]) if ip_length == 20 => (packet[12..24] == *client, packet[12..24] == *server),
            Ends::V6([client, server]) if ip_length == 40 => (packet[8..44] == *client, packet[8..44] == *server),
            _ => return None,
        };
        let from = match (by_client, by_server) {
            (true, _) => Side::Client,
            (false, true) => Side::Server,
            (false, false) => return None,
        };
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        Some(Recognised { from, headers: ip_length + usize::from(tcp[12] >> 4) * 4, sequence })
    }

    /// Passes over bytes of `from` that are not in any packet.
    pub(super) fn advance(&mut self, from: Side, by: u32) {
        let sequence = &mut self.sequence[from as usize];
        *sequence = sequence.wrapping_add(by);
    }
}

impl Ends {
    fn of(client: SocketAddr, server: SocketAddr) -> Self {
        fn joined<const N: usize>(addresses: [&[u8]; 2], ports: [u16; 2]) -> [u8; N] {
            let bytes = addresses.into_iter().flatten().copied().chain(ports.into_iter().flat_map(u16::to_be_bytes));
            let mut ends = [0; N];
            for (end, byte) in ends.iter_mut().zip(bytes) {
                *end = byte;
            }
            ends
        }
        let ports = [client.port(), server.port()];
        let back = [server.port(), client.port()];
        match (client.ip(), server.ip()) {
            (IpAddr::V4(client), IpAddr::V4(server)) => {
                let (client, server) = (client.octets(), server.octets());
                Self::V4([joined([&client, &server], ports), joined([&server, &client], back)])
            }
            (client, server) => {
                let (client, server) = (six(client).octets(), six(server).octets());
                Self::V6([joined([&client, &server], ports), joined([&server, &client], back)])
            }
        }
    }
}

/// Appends an IP header in front of `length` bytes of `protocol`. Both addresses are of one kind.
fn write_ip(
    out: &mut Vec<u8>,
    (source, destination): (IpAddr, IpAddr),
    protocol: u8,
    length: u16,
    identification: u16,
) {
    let at = out.len();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            out.extend_from_slice(&[0x45, 0]);
            out.extend_from_slice(&(20 + length).to_be_bytes());
            out.extend_from_slice(&identification.to_be_bytes());
            // don't fragment; 64 hops; the checksum comes when the rest is there
            out.extend_from_slice(&[0x40, 0, 64, protocol, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
            let checksum = checksum(sum(&out[at..]));
            out[at + 10..at + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        (source, destination) => {
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&[protocol, 64]);
            for address in [source, destination] {
                out.extend_from_slice(&six(address).octets());
            }
        }
    }
}

/// The address as IPv6 writes it.
fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn addresses_sum(source: IpAddr, destination: IpAddr) -> u64 {
    let one = |address| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    one(source) + one(destination)
}

/// The Internet checksum's sum, not yet folded to 16 bits for good. In whichever byte order the machine likes, and with words
/// of four bytes, it comes to the same (RFC 1071 2).
fn sum(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= LONG
        && let Some(avx2) = Level::new().as_avx2()
    {
        return avx2.vectorize(
            #[inline(always)]
            move || sum_of_words(bytes),
        );
    }
    sum_of_words(bytes)
}

/// From so many bytes on it pays to ask what the processor can do.
#[cfg(any(target_arch = "x86_64", test))]
const LONG: usize = 256;

#[expect(clippy::inline_always, reason = "what calls it decides how wide its moves are")]
#[inline(always)]
fn sum_of_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // both words of four bytes in each: of what fits into a packet no sum of those overflows
    let (mut lower, mut upper) = (0, 0);
    for word in words {
        let word = u64::from_ne_bytes(*word);
        lower += word & 0xFFFF_FFFF;
        upper += word >> 32;
    }
    let last = u64::from_ne_bytes(last);
    let sum = lower + upper + (last & 0xFFFF_FFFF) + (last >> 32);
    u64::from((!checksum(sum)).to_be())
}

fn checksum(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> (SocketAddr, SocketAddr) {
        ("127.0.0.1:50000".parse().unwrap(), "127.0.0.1:9002".parse().unwrap())
    }

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), !0xddf2);
        assert_eq!(checksum(sum(&[0x00, 0x01, 0xf2])), !0xf201);
    }

    #[test]
    fn of_any_number_of_bytes_the_checksum_is_that_of_their_pairs() {
        let bytes: Vec<u8> = (0..MAX_SEGMENT).map(|i| (i * i / 7) as u8 | 0x80).collect();
        for length in (0..40).chain(LONG - 9..LONG + 40).chain([MAX_SEGMENT - 1, MAX_SEGMENT]) {
            let pairs = bytes[..length]
                .chunks(2)
                .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()])));
            assert_eq!(checksum(sum(&bytes[..length])), checksum(pairs.sum()), "{length} bytes");
        }
    }

    #[test]
    fn a_written_packet_sums_to_zero_and_is_recognised() {
        let six = ("[::1]:50000".parse().unwrap(), "[::1]:9002".parse().unwrap());
        let both = ("127.0.0.1:50000".parse().unwrap(), "[::1]:9002".parse().unwrap());
        for (client, server) in [addresses(), six, both] {
            let mut conversation = Conversation::new(client, server);
            let mut out = Vec::new();
            conversation.write(&mut out, Side::Server, Segment::Data(b"odd"));
            let ip_length = if server.is_ipv4() { 20 } else { 40 };
            let recognised = Recognised { from: Side::Server, headers: ip_length + 20, sequence: 9000 };
            assert_eq!(conversation.recognise(&out), Some(recognised));
            let tcp = &out[ip_length..];
            let whole = addresses_sum(client.ip(), server.ip()) + 6 + tcp.len() as u64 + sum(tcp);
            assert_eq!(checksum(whole), 0);
            let turned = Recognised { from: Side::Client, ..recognised };
            assert_eq!(Conversation::new(server, client).recognise(&out), Some(turned));
            let other = Conversation::new(server, "127.0.0.1:1".parse().unwrap());
            assert_eq!(other.recognise(&out), None);
            for cut in 0..ip_length + 20 {
                assert_eq!(conversation.recognise(&out[..cut]), None, "the first {cut} bytes");
            }
        }
    }

    #[test]
    fn sequence_numbers_count_bytes_and_the_syn_and_fin_flags() {
        let (client, server) = addresses();
        let mut conversation = Conversation::new(client, server);
        let mut sequence_of = |from, segment| {
            let mut out = Vec::new();
            conversation.write(&mut out, from, segment);
            let word = |at: usize| u32::from_be_bytes(out[at..at + 4].try_into().unwrap());
            (word(24), word(28))
        };
        assert_eq!(sequence_of(Side::Client, Segment::Syn), (1000, 0));
        assert_eq!(sequence_of(Side::Server, Segment::SynAck), (9000, 1001));
        assert_eq!(sequence_of(Side::Client, Segment::Data(b"abc")), (1001, 9001));
        assert_eq!(sequence_of(Side::Server, Segment::Fin), (9001, 1004));
        assert_eq!(sequence_of(Side::Client, Segment::Rst), (1004, 9002));
    }
}
