//! What our own exports say of a connection, beside what every HAR does.

use std::net::SocketAddr;

use serde::de::{MapAccess, SeqAccess};

use super::closed::Closed;
use super::json::{Array, Fields, Items, Object, Scalar};
use super::log::{Connection, Passing, pass_over};
use super::message::time;
use crate::capture::event::{Account, Cause, SocketEnd, Vantage};
use crate::wire::Side;

/// `_wsinspect` of an entry.
pub(super) struct Extras {
    passing: Passing,
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
    /// From where it was looked at; `None` where frames had to be searched for, or were made of messages.
    vantage: Option<Vantage>,
    pub(super) began: Option<u64>,
    answered: Option<u64>,
    pub(super) ended: Option<u64>,
    /// What another HAR said of the end.
    pub(super) account: Option<Account>,
    ends: Vec<(Side, SocketEnd)>,
    cause: Option<Cause>,
}

impl Extras {
    pub(super) fn new(passing: Passing) -> Self {
        Self {
            passing,
            client: None,
            server: None,
            vantage: None,
            began: None,
            answered: None,
            ended: None,
            account: None,
            ends: Vec::new(),
            cause: None,
        }
    }

    /// The connection again, if enough is told; it began at `began` where nothing more precise is.
    pub(super) fn connection(self, began: u64) -> Option<Connection> {
        let began = self.began.unwrap_or(began);
        Some(Connection {
            vantage: self.vantage?,
            client: Some(self.client?),
            server: Some(self.server?),
            began,
            answered: self.answered.unwrap_or(began),
            ended: self.ended,
            request: None,
            response: None,
            account: None,
            ends: self.ends,
            cause: self.cause,
        })
    }
}

impl Fields for Extras {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "ends" {
            return map.next_value_seed(Array(self));
        }
        if name == "account" {
            let mut closed = Closed::default();
            map.next_value_seed(Object(&mut closed))?;
            self.account = closed.account;
            return Ok(());
        }
        if !matches!(name, "client" | "server" | "vantage" | "began" | "answered" | "ended" | "cause") {
            return pass_over(map, &self.passing);
        }
        let value: Scalar = map.next_value()?;
        match name {
            "began" => self.began = time(&value),
            "answered" => self.answered = time(&value),
            "ended" => self.ended = time(&value),
            _ => {
                let Some(text) = value.text() else { return Ok(()) };
                match name {
                    "client" => self.client = text.parse().ok(),
                    "server" => self.server = text.parse().ok(),
                    "vantage" => {
                        let is_exact = |vantage: &Vantage| !matches!(vantage, Vantage::Late | Vantage::Archive);
                        self.vantage = Vantage::from_name(&text).filter(is_exact);
                    }
                    _ => self.cause = Cause::from_name(&text),
                }
            }
        }
        Ok(())
    }
}

impl Items for Extras {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut end = End { from: None, how: None };
        let is_there = seq.next_element_seed(Object(&mut end))?.is_some();
        if let (Some(from), Some(how), true) = (end.from, end.how, self.ends.len() < 2) {
            self.ends.push((from, how));
        }
        Ok(is_there)
    }
}

/// How a side's TCP connection ended.
struct End {
    from: Option<Side>,
    how: Option<SocketEnd>,
}

impl Fields for End {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let text = map.next_value::<Scalar>()?.text().unwrap_or_default();
        match name {
            "from" => self.from = Side::BOTH.into_iter().find(|side| side.name() == text),
            "how" => self.how = SocketEnd::from_name(&text),
            _ => {}
        }
        Ok(())
    }
}
