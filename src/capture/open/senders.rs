//! Whose packets go from one address to another.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::wire::Side;

/// The source and the destination of a packet.
type Ends = (SocketAddr, SocketAddr);

/// A connection, by its place among all of them, and which side of it sends.
type Sender = (usize, Side);

/// Finds the sender of each packet: most of the time without the map, whose hashes no file can foresee and which are slow.
#[derive(Debug)]
pub(super) struct Senders {
    all: HashMap<Ends, Sender>,
    /// Of those that were asked for, the last one for each place.
    recent: Vec<Option<(Ends, Sender)>>,
}

impl Senders {
    const RECENT: usize = 2048;

    pub(super) fn new() -> Self {
        Self { all: HashMap::new(), recent: vec![None; Self::RECENT] }
    }

    pub(super) fn get(&mut self, source: SocketAddr, destination: SocketAddr) -> Option<Sender> {
        let ends = (source, destination);
        let recent = &mut self.recent[place(ends)];
        if let Some((known, sender)) = recent
            && *known == ends
        {
            return Some(*sender);
        }
        let sender = *self.all.get(&ends)?;
        *recent = Some((ends, sender));
        Some(sender)
    }

    /// A connection is there from now on.
    pub(super) fn insert(&mut self, client: SocketAddr, server: SocketAddr, connection: usize) {
        for (ends, side) in [((client, server), Side::Client), ((server, client), Side::Server)] {
            self.recent[place(ends)] = None;
            self.all.insert(ends, (connection, side));
        }
    }

    /// The connection between two addresses is over, whichever of them is the client.
    pub(super) fn remove(&mut self, one: SocketAddr, other: SocketAddr) {
        for ends in [(one, other), (other, one)] {
            self.recent[place(ends)] = None;
            self.all.remove(&ends);
        }
    }

    pub(super) fn clear(&mut self) {
        self.recent.fill(None);
        self.all.clear();
    }
}

/// The ports tell most connections from each other. Below [`Senders::RECENT`].
fn place((source, destination): Ends) -> usize {
    let number = |end: SocketAddr| {
        let ip = match end.ip() {
            IpAddr::V4(ip) => ip.to_bits(),
            IpAddr::V6(ip) => ip.to_bits() as u32,
        };
        u64::from(ip ^ u32::from(end.port()) << 8)
    };
    let mixed = (number(source) << 32 | number(destination)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize % Senders::RECENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_more_connections_than_are_remembered_are_told_from_each_other() {
        let server: SocketAddr = "[::1]:80".parse().unwrap();
        let client = |port: u16| SocketAddr::new(server.ip(), 1000 + port);
        let mut senders = Senders::new();
        let count = 5 * Senders::RECENT as u16;
        (0..count).for_each(|n| senders.insert(client(n), server, n.into()));
        for _ in 0..2 {
            for n in 0..count {
                assert_eq!(senders.get(client(n), server), Some((n.into(), Side::Client)));
                assert_eq!(senders.get(server, client(n)), Some((n.into(), Side::Server)));
            }
        }
        // over, begun again between the same ends, and never there
        senders.remove(server, client(7));
        assert_eq!((senders.get(client(7), server), senders.get(server, client(7))), (None, None));
        senders.insert(client(8), server, 9999);
        assert_eq!(senders.get(client(8), server), Some((9999, Side::Client)));
        assert_eq!(senders.get(server, client(8)), Some((9999, Side::Server)));
        assert_eq!(senders.get(client(count), server), None);
        senders.clear();
        assert_eq!((senders.get(client(8), server), senders.get(client(9), server)), (None, None));
    }
}
