//! The program as users and scripts meet it: its binary, over real sockets, pipes and signals.
#![cfg(feature = "program")]

mod support;

mod broken_rules;
mod clients;
mod command_line;
mod deflate;
mod endings;
mod explain;
mod export;
mod files;
mod filter;
mod handshake;
mod injection;
mod json;
mod loss;
mod open;
mod readme;
mod recording;
mod refusals;
mod relay;
mod screen;
mod text;
mod traffic;
