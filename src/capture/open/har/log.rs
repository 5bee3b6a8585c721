//! The whole of a HAR: `{"log": {"entries": […]}}`.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess};

use super::entry::Entry;
use super::json::{Array, Fields, Items, Object};
use super::message::Frame;
use super::spool::{Place, Spool};
use crate::capture::event::{Account, Cause, SocketEnd, Vantage};
use crate::wire::Side;

/// Set while a value is passed over.
pub(super) type Passing = Rc<Cell<bool>>;

/// Takes a value that is of no interest.
pub(super) fn pass_over<'de, A: MapAccess<'de>>(map: &mut A, passing: &Passing) -> Result<(), A::Error> {
    passing.set(true);
    map.next_value::<IgnoredAny>()?;
    passing.set(false);
    Ok(())
}

/// A WebSocket of a HAR.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) vantage: Vantage,
    pub(super) client: Option<SocketAddr>,
    pub(super) server: Option<SocketAddr>,
    pub(super) began: u64,
    pub(super) answered: u64,
    pub(super) ended: Option<u64>,
    pub(super) request: Option<Place>,
    pub(super) response: Option<Place>,
    pub(super) account: Option<Account>,
    pub(super) ends: Vec<(Side, SocketEnd)>,
    pub(super) cause: Option<Cause>,
}

/// What was read.
pub(super) struct Log {
    pub(super) passing: Passing,
    pub(super) spool: Spool,
    pub(super) connections: Vec<Connection>,
    pub(super) frames: Vec<Frame>,
    /// Whether `entries` were found.
    pub(super) has_entries: bool,
    /// How many there are, WebSockets or not.
    pub(super) entries: u64,
    /// WebSockets without a message.
    pub(super) silent: u64,
    /// Messages without a direction, an opcode or data.
    pub(super) left_out: u64,
    /// Compressed messages that could not be inflated, where the frames are not told.
    pub(super) deflated: u64,
    /// Messages whose data is no base64 although it should be.
    pub(super) not_base64: u64,
}

impl Log {
    pub(super) fn new(spool: Spool, passing: Passing) -> Self {
        Self {
            passing,
            spool,
            connections: Vec::new(),
            frames: Vec::new(),
            has_entries: false,
            entries: 0,
            silent: 0,
            left_out: 0,
            deflated: 0,
            not_base64: 0,
        }
    }
}

/// The outermost object.
pub(super) struct Root<'a>(pub(super) &'a mut Log);

impl Fields for Root<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "log" { map.next_value_seed(Object(self.0)) } else { pass_over(map, &self.0.passing) }
    }
}

impl Fields for Log {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name != "entries" {
            return pass_over(map, &self.passing);
        }
        self.has_entries = true;
        map.next_value_seed(Array(self))
    }
}

impl Items for Log {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut entry = Entry::new(self);
        let read = seq.next_element_seed(Object(&mut entry));
        // of an entry that is cut off, what came of it is kept
        if !matches!(read, Ok(None)) {
            entry.finish(read.is_ok());
        }
        let is_there = read?.is_some();
        match &self.spool.failure {
            Some(error) => Err(A::Error::custom(error)),
            None => Ok(is_there),
        }
    }
}
