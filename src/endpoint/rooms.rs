//! Rooms for what goes out: given away with the bytes in them, and used again once nobody needs those any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rooms that are free, for all ends of connections that share them.
#[derive(Clone, Debug, Default)]
pub struct Rooms(Arc<Mutex<Free>>);

#[derive(Debug, Default)]
struct Free {
    rooms: Vec<Vec<u8>>,
    /// Bytes of all of them.
    bytes: usize,
}

/// Bytes that were written. Where they were given away with the room that they stand in, that is free again after them.
#[derive(Debug, Default)]
pub struct Room {
    /// Of which the first `length` were written.
    bytes: Vec<u8>,
    length: usize,
    home: Option<Rooms>,
}

impl Rooms {
    /// The most bytes that are kept free.
    const MOST: usize = 16 << 20;
    /// A larger one is not kept.
    const LARGEST: usize = 1 << 20;

    /// A room whose bytes mean nothing: to get new ones from the system, and to have zeros in them, would cost as much as
    /// to fill them. Empty where none is free.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut free = self.free();
        let room = free.rooms.pop().unwrap_or_default();
        free.bytes -= room.capacity();
        room
    }

    pub(super) fn give_back(&self, room: Vec<u8>) {
        let (mut free, bytes) = (self.free(), room.capacity());
        if (1..=Self::LARGEST).contains(&bytes) && free.bytes + bytes <= Self::MOST {
            free.bytes += bytes;
            free.rooms.push(room);
        }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first `length` bytes of a room that comes back here.
    pub(super) fn lend(&self, room: Vec<u8>, length: usize) -> Room {
        Room { bytes: room, length, home: Some(self.clone()) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl From<Vec<u8>> for Room {
    fn from(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len(), bytes, home: None }
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_free_again_once_nobody_needs_its_bytes_and_no_more_are_kept_than_are_of_use() {
        let rooms = Rooms::default();
        assert!(rooms.take().is_empty(), "none is free yet");
        let room = rooms.lend(vec![1; 5000], 4999);
        assert_eq!(room.as_ref(), [1; 4999]);
        assert!(rooms.take().is_empty(), "it is needed");
        drop(room);
        assert_eq!(rooms.take(), [1; 5000]);
        let large = Rooms::LARGEST / 2;
        let lent: Vec<_> = (0..2 * Rooms::MOST / large).map(|_| rooms.lend(vec![2; large], 10)).collect();
        drop(lent);
        drop(rooms.lend(vec![3; Rooms::LARGEST + 1], 1));
        drop(Room::from(vec![4; 10]));
        let is_free = |room: &Vec<u8>| room.first() == Some(&2) && room.capacity() == large;
        assert_eq!(std::iter::from_fn(|| Some(rooms.take()).filter(is_free)).count(), Rooms::MOST / large);
        assert_eq!(rooms.free().bytes, 0);
    }
}
