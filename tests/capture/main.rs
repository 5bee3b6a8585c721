//! What the capture promises: bytes are kept as they were, and everything else is derived from them.
#![cfg(feature = "program")]

mod deflate;
mod derivation;
mod export;
mod file;
mod filter;
mod filter_payloads;
mod foreign;
mod har;
mod inflated;
mod keep;
mod keep_deflate;
mod reads;
mod reopen;
mod support;
mod verdict;
mod wire_file;
