//! What `wsinspect explain` and `wsinspect rules` print: bytes, handshakes, close codes and rules explained in text.

mod catalogue;
mod frames;
mod frames_text;
mod handshake;
mod input;

pub use catalogue::{explain_accept, explain_close_code, explain_rule, rules_table};
pub use frames::{Cut, ExplainedFrame, ExplainedMessage, Explanation, Lost, Options, explain_frames};
pub use handshake::{ExplainedHead, HandshakeExplanation, explain_handshake};
pub use input::{Input, InputError, parse_input};
