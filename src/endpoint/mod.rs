//! Our own end of a connection: the server of RFC 6455 or its client, from the first byte of the request to the last of
//! the closing handshake.
//!
//! Sans-IO: received bytes, the time and a client's masking keys are handed in; bytes to be sent and events are taken out. Nothing here reads a
//! clock, a socket or a random source, so that a whole session is a script that a test can read aloud.
//!
//! ```text
//!              request accepted         either side sends Close         both did, and TCP is closed
//!  CONNECTING ──────────────────▶ OPEN ──────────────────────▶ CLOSING ────────────────────────────▶ CLOSED
//!       └── refused, or answered with a page ───────────────────▶┘ ▲
//!                                 OPEN ── broken rule, silence ────┘ Close is sent, nothing more is read (7.1.7)
//! ```
//!
//! The driver repeats: write [`Endpoint::outbox`] and tell [`Endpoint::written`]; read while [`Endpoint::wants_read`]
//! into [`Endpoint::receive`]; call [`Endpoint::handle_timeout`] when [`Endpoint::next_timeout`] has come; take every
//! [`Endpoint::poll_event`] after each of these; shut its sending half once [`Endpoint::wants_shutdown`]; drop the
//! socket when [`Endpoint::is_finished`].
//!
//! Memory is bounded by what is configured, whatever the peer does: one message being received (`max_message`, twice
//! that while its buffer grows), and an outbox of at most `high_water` + one message + the answers to one chunk of input,
//! because above `high_water` the endpoint asks for no more input and takes no more messages to send. Compression adds
//! 270 KiB at the first message sent, and a window of 32 KiB at the first one received; where no context is taken over,
//! nothing between messages.

mod asking;
mod config;
mod deadline;
mod event;
mod incoming;
mod keepalive;
mod leaving;
mod machine;
mod opening;
mod outbox;
mod refusal;
mod role;
mod rooms;
mod send;

pub use asking::Ask;
pub use config::{Config, Page, Reply};
pub use event::{CloseFrame, End, Event, How, State};
pub use machine::Endpoint;
pub use outbox::{Origin, Written};
pub use role::MaskingKeys;
pub use rooms::{Room, Rooms};
pub use send::NotSent;

#[cfg(test)]
mod playbook;
