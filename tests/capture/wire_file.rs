//! Captures of other programs, made by hand: packets of any link type, in pcap and pcapng files.

/// How a packet is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Ethernet,
    Vlan,
    Cooked,
    Cooked2,
    Raw,
    Null,
}

impl Link {
    pub(crate) const ALL: [Self; 6] = [Self::Ethernet, Self::Vlan, Self::Cooked, Self::Cooked2, Self::Raw, Self::Null];

    fn number(self) -> u16 {
        match self {
            Self::Ethernet | Self::Vlan => 1,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Raw => 101,
            Self::Null => 0,
        }
    }

    fn header(self, six: bool) -> Vec<u8> {
        let kind: [u8; 2] = if six { [0x86, 0xDD] } else { [8, 0] };
        match self {
            Self::Ethernet => [&[2; 12][..], &kind].concat(),
            Self::Vlan => [&[2; 12][..], &[0x88, 0xA8, 0, 7, 0x81, 0, 0, 9], &kind].concat(),
            Self::Cooked => [&[0; 14][..], &kind].concat(),
            Self::Cooked2 => [&kind[..], &[0; 18]].concat(),
            Self::Raw => Vec::new(),
            Self::Null => if six { 30_u32 } else { 2 }.to_le_bytes().to_vec(),
        }
    }
}

pub(crate) const SYN: u8 = 2;
pub(crate) const FIN: u8 = 1;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// A TCP connection whose packets are collected.
pub(crate) struct Conversation {
    pub(crate) link: Link,
    pub(crate) six: bool,
    /// Packets with their microseconds.
    pub(crate) packets: Vec<(u64, Vec<u8>)>,
    /// The next sequence number of client and server.
    pub(crate) next: [u32; 2],
    time: u64,
}

impl Conversation {
    pub(crate) fn new(link: Link, six: bool) -> Self {
        // sequence numbers go round while it lasts
        Self { link, six, packets: Vec::new(), next: [u32::MAX - 50, 77], time: 1_700_000_000_000_000 }
    }

    /// The three packets of its beginning.
    pub(crate) fn connect(mut self) -> Self {
        for (from, flags) in [(0, SYN), (1, SYN | ACK)] {
            let sequence = self.next[from];
            self.packet(from, sequence, flags, b"");
            self.next[from] = sequence.wrapping_add(1);
        }
        let sequence = self.next[0];
        self.packet(0, sequence, ACK, b"");
        self
    }

    /// The next bytes of a side.
    pub(crate) fn data(&mut self, from: usize, bytes: &[u8]) {
        let sequence = self.next[from];
        self.packet(from, sequence, ACK, bytes);
        self.next[from] = sequence.wrapping_add(bytes.len() as u32);
    }

    /// Any packet.
    pub(crate) fn packet(&mut self, from: usize, sequence: u32, flags: u8, bytes: &[u8]) {
        let ports = [50_000_u16, 9002];
        let tcp = [
            &ports[from].to_be_bytes()[..],
            &ports[1 - from].to_be_bytes(),
            &sequence.to_be_bytes(),
            &self.next[1 - from].to_be_bytes(),
            // a timestamp among the options
            &[8 << 4, flags, 255, 255, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            bytes,
        ]
        .concat();
        let ip = if self.six {
            let address = |end: usize| [&[0; 15][..], &[end as u8 + 1]].concat();
            let length = (tcp.len() as u16).to_be_bytes();
            [&[0x60, 0, 0, 0][..], &length, &[6, 64], &address(from), &address(1 - from)].concat()
        } else {
            let length = (20 + tcp.len() as u16).to_be_bytes();
            let address = |end: usize| [10, 0, 0, end as u8 + 1];
            [&[0x45, 0][..], &length, &[0, 0, 0x40, 0, 64, 6, 0, 0], &address(from), &address(1 - from)].concat()
        };
        self.time += 1000;
        // short frames are filled up on an Ethernet
        let padding = if matches!(self.link, Link::Ethernet) && tcp.len() < 6 { &[0; 6][..] } else { &[] };
        self.packets.push((self.time, [&self.link.header(self.six)[..], &ip, &tcp, padding].concat()));
    }

    /// A pcap file with microseconds.
    pub(crate) fn pcap(&self) -> Vec<u8> {
        let mut file =
            [0xA1B2_C3D4_u32, 2 | 4 << 16, 0, 0, 65_535, self.link.number().into()].map(u32::to_le_bytes).concat();
        for (time, packet) in &self.packets {
            let length = packet.len() as u32;
            let head = [(time / 1_000_000) as u32, (time % 1_000_000) as u32, length, length];
            file.extend(head.map(u32::to_le_bytes).concat());
            file.extend(packet);
        }
        file
    }

    /// A big-endian pcapng file of another program.
    pub(crate) fn pcapng(&self) -> Vec<u8> {
        let block = |kind: u32, body: &[u8]| {
            let padded = [body, &[0; 3][..body.len().next_multiple_of(4) - body.len()]].concat();
            let length = (padded.len() as u32 + 12).to_be_bytes();
            [&kind.to_be_bytes()[..], &length, &padded, &length].concat()
        };
        let mut file = block(0x0A0D_0D0A, &[&[0x1A, 0x2B, 0x3C, 0x4D, 0, 1, 0, 0][..], &[255; 8]].concat());
        file.extend(block(1, &[&self.link.number().to_be_bytes()[..], &[0; 6]].concat()));
        for (time, packet) in &self.packets {
            let length = packet.len() as u32;
            let head = [0, (time >> 32) as u32, *time as u32, length, length].map(u32::to_be_bytes).concat();
            file.extend(block(6, &[&head, &packet[..]].concat()));
        }
        file
    }
}
