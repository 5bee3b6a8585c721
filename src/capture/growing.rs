//! Frames that are still coming in: part of what is known of their connections, without a number as yet.

use super::connection::Connection;
use super::event::Timestamp;
use super::file::Position;
use super::frame_entry::FrameEntry;
use super::index::Index;
use crate::wire::Side;

/// A frame that is still coming in.
#[derive(Clone, Copy, Debug)]
pub struct Growing {
    /// The frame, incomplete; `None` as long as its header is.
    pub entry: Option<FrameEntry>,
    /// Bytes of it that have come.
    pub came: u64,
    /// When the first of them came.
    pub began: Timestamp,
    /// When the last of them came.
    pub time: Timestamp,
}

impl Connection {
    /// What begins at `old` stands at `new` from now on, or is not there any more.
    pub(super) fn move_growing(&mut self, from: Side, old: Position, new: Option<Position>) {
        let entry = self.growing[from as usize].as_mut().and_then(|growing| growing.entry.as_mut());
        if let Some(entry) = entry.filter(|entry| entry.position() == Some(old)) {
            entry.set_position(new);
        }
    }
}

impl Index {
    /// Frames that are still coming in, those of the oldest connection first.
    pub fn growing(&self) -> impl Iterator<Item = (&Connection, Side, &Growing)> {
        let connections = self.growing.iter().filter_map(|id| self.connection(*id));
        connections.flat_map(|connection| {
            let of = move |side: Side| Some((connection, side, connection.growing[side as usize].as_ref()?));
            Side::BOTH.into_iter().filter_map(of)
        })
    }

    /// Something of a connection has changed.
    pub(super) fn set_connection(&mut self, connection: Connection) {
        if connection.growing.iter().any(Option::is_some) {
            self.growing.insert(connection.id);
        } else {
            self.growing.remove(&connection.id);
        }
        match self.connection_mut(connection.id) {
            Some(known) => *known = connection,
            None => self.add_connection(connection),
        }
    }
}
