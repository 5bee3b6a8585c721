//! What leaves and enters the program.

pub mod explain;
#[cfg(feature = "program")]
pub mod export;
#[cfg(feature = "program")]
pub mod jsonl;
#[cfg(feature = "program")]
mod messages;
mod paper;
pub mod sanitize;
#[cfg(feature = "program")]
pub mod text;
#[cfg(feature = "program")]
pub mod tls;

pub use paper::{Look, wants_color};
