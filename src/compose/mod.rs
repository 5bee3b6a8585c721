//! Frames as a user wants them, legal or not: their bytes, how they are written, what they break by themselves.
//!
//! Sans-IO: masking keys and the state of the connection are handed in.

mod composed;
mod judge;
mod preset;

pub use composed::{Composed, ComposedFrame, NotComposed};
pub use judge::{Judged, Judgement, Surroundings, judge};
pub use preset::Preset;
