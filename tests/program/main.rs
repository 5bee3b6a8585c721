//! The program as users and scripts meet it: its binary, over real sockets, pipes and signals.
#![cfg(feature = "program")]

mod support;

mod broken_rules;
mod clients;
mod command_line;
mod compose;
mod deflate;
mod endings;
mod explain;
mod export;
mod files;
mod filter;
mod handshake;
mod har;
mod injection;
mod json;
mod keep;
mod lessons;
mod loss;
mod open;
mod opening;
mod reactions;
mod readme;
mod recording;
mod refusals;
mod relay;
mod relay_crowd;
mod relay_http;
mod screen;
mod text;
mod traffic;
