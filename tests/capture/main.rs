//! What the capture promises: bytes are kept as they were, and everything else is derived from them.
#![cfg(feature = "program")]

mod derivation;
mod export;
mod file;
mod filter;
mod foreign;
mod reopen;
mod support;
mod verdict;
mod wire_file;
