//! What leaves and enters the program.

#[cfg(feature = "program")]
pub mod jsonl;
#[cfg(feature = "program")]
mod messages;
#[cfg(feature = "program")]
pub mod pcapng;
#[cfg(feature = "program")]
pub mod tcp;
