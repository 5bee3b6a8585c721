//! The opening handshake (RFC 6455 1.3, 4): an HTTP/1.1 request and its response.
//!
//! Raw lines are kept as they were sent. What is wrong with them comes as typed faults, all of them, each with the
//! bytes that show it; a request without any turns into an [`Opening`], a response into an [`Accepted`].

mod accept;
mod head;
mod request;
mod response;

pub use accept::{AcceptDerivation, GUID, accept_key};
pub use head::{Head, HeadReader, HeadTooLong, HeaderLine, LineFault, MAX_HEAD};
pub use request::{Opening, Request, RequestFault};
pub use response::{Accepted, Response, ResponseFault, write_accepted};

use std::ops::Range;

/// Something wrong in a head, and the bytes of the head that show it (empty where something is missing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<F> {
    /// What is wrong.
    pub fault: F,
    /// Byte range within the head.
    pub at: Range<usize>,
}
