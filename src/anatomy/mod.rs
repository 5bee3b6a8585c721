//! A frame or a handshake taken apart: every field with its bits, bytes, value, meaning and section.
//!
//! The one source of every explanation: the screen, text, JSON and the lessons print what is said here. Sans-IO, like
//! what it explains.
//!
//! Values and meanings may quote what a peer sent, character for character. Whatever prints them to a terminal makes
//! them printable first.

mod close_code;
mod context;
mod deflate;
mod example;
mod field;
mod frame;
mod frame_header;
mod frame_payload;
mod handshake;
mod handshake_headers;
mod message;
mod reason;
mod unmask;

pub use close_code::{CloseCodeAnatomy, close_code};
pub use context::{FrameContext, FrameContexts};
pub use deflate::{compressed_message_in_words, extension_in_words};
pub use example::{Example, example};
pub use field::Field;
pub use frame::{FrameAnatomy, cut_frame, frame};
pub use handshake::{HandshakeAnatomy, Step, accept_steps, agreement_in_words, request, response};
pub use message::message;
pub use reason::reason;
pub use unmask::{UnmaskStep, unmask_step, unmask_steps};
