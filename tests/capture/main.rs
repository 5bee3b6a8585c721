//! What the capture promises: bytes are kept as they were, and everything else is derived from them.
#![cfg(feature = "program")]

mod deflate;
mod derivation;
mod export;
mod file;
mod filter;
mod foreign;
mod inflated;
mod reopen;
mod support;
mod wire_file;
