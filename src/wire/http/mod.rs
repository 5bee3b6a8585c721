//! Requests and responses that follow each other on a connection (RFC 9112): as much of HTTP/1.1 as it takes to tell where
//! each begins and ends, and where a WebSocket comes of one.

mod body;
mod exchanges;

pub use body::{Body, BodyLength, Unclear};
pub use exchanges::{ClientStep, Exchanges, ServerStep};
