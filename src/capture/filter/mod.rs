//! The display filter: a language for asking which frames are of interest. Wireshark's names and operators work.
//!
//! ```text
//! opcode == text and payload contains "price" and not finding
//! ```
//!
//! A comparison with a field that a frame does not have is false, whichever way it is asked.

mod clocks;
mod columns;
mod complete;
mod error;
mod expr;
mod field;
mod lex;
mod matcher;
mod numbers;
mod parse;
mod payloads;
mod picked;
mod sieve;
mod threads;
mod value;

use jiff::tz::TimeZone;

pub use complete::{Completion, complete};
pub use error::{FilterError, Problem};
pub use matcher::Matcher;
pub use numbers::Numbers;
pub use sieve::{Sieve, Sifted};
pub use threads::{Thread, head_of, parts_of};

use super::ConnectionId;
use expr::{Compare, Expr};
use field::Field;

/// An expression that frames are held against.
#[derive(Clone, Debug)]
pub struct Filter {
    expr: Expr,
    zone: TimeZone,
    /// Whether it asks which message a frame belongs to, and how long a ping waited.
    asks_messages: bool,
    asks_round_trips: bool,
    /// Whether it asks for the rules that a frame breaks.
    asks_rules: bool,
    /// Whether only payloads may have to be looked at where a glance at frames that stand for themselves leaves something open.
    leaves_payloads: bool,
}

impl Filter {
    /// Understands an expression. Times of day in it are in the system's time zone.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Self::parse_in(text, TimeZone::system())
    }

    /// Understands an expression, with times of day in this zone.
    pub fn parse_in(text: &str, zone: TimeZone) -> Result<Self, FilterError> {
        let expr = parse::parse(text)?;
        Ok(Self {
            asks_messages: expr.asks(&[Field::Payload, Field::PayloadText, Field::Fragments]),
            asks_round_trips: expr.asks(&[Field::Rtt]),
            asks_rules: expr.asks(&[Field::Rule, Field::Level]),
            leaves_payloads: columns::leaves_payloads(&expr),
            expr,
            zone,
        })
    }

    /// Lets frames of one connection through, and of those only the ones that `filter` lets through.
    pub fn of_connection(id: ConnectionId, filter: Option<&Self>) -> Self {
        let conn = Expr::Number(Field::Conn, Compare::Equal, id.0.into());
        match filter {
            Some(filter) => Self { expr: Expr::All(vec![conn, filter.expr.clone()]), ..filter.clone() },
            None => Self {
                expr: conn,
                zone: TimeZone::UTC,
                asks_messages: false,
                asks_round_trips: false,
                asks_rules: false,
                leaves_payloads: true,
            },
        }
    }
}
