#![forbid(unsafe_code)]
//! wsinspect: what is on my WebSocket?
//!
//! The bytes are the truth. Sockets yield chunks; chunks are what is stored; frames, messages, broken rules and verdicts
//! are derived from them by code that does no I/O, so that the live panel, a line of JSON and `wsinspect explain` show the
//! same thing because the same code made it.
//!
//! Data moves down this list, and nothing imports upward:
//!
//! | room | what it does |
//! |---|---|
//! | [`wire`] | bytes ⇄ frames ⇄ messages, and the opening handshake; judges nothing |
//! | [`lint`] | what RFC 6455 forbids, and what in given bytes breaks it |
//! | [`anatomy`] | any frame or handshake taken apart into fields, each with its meaning |
//! | [`compose`] | frames as a user wants them, legal or not, and what they break by themselves |
//! | [`endpoint`] | our own end of a connection, as a state machine |
//! | [`formats`] | what leaves and enters: pcapng, JSON Lines, text, explanations |
//! | `capture` | what was seen: the recorder, its file, the index over it |
//! | `control` | what a user can ask of live traffic |
//! | `lessons` | lessons: texts, a connection of their own, and what is to be done on it |
//! | `net` | sockets |
//! | `headless` | the capture, printed |
//! | `tui` | the capture, on the screen |
//! | `cli`, `app` | the command line; the parts built and joined |
//!
//! The first six build without the program's crates (`--no-default-features`): they know no socket, no clock, no
//! terminal and no source of random numbers.

pub mod anatomy;
#[cfg(feature = "program")]
pub mod app;
#[cfg(feature = "program")]
pub mod capture;
#[cfg(feature = "program")]
pub mod cli;
pub mod compose;
#[cfg(feature = "program")]
pub mod control;
pub mod endpoint;
pub mod formats;
#[cfg(feature = "program")]
pub mod headless;
#[cfg(feature = "program")]
pub mod lessons;
pub mod lint;
#[cfg(feature = "program")]
pub mod net;
#[cfg(feature = "program")]
pub mod tui;
pub mod wire;
