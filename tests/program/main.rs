#![cfg(feature = "program")]
//! The program as users and scripts meet it: its binary, over real sockets, pipes and signals.

mod screen;
mod support;

mod command_line;
mod endings;
mod flow;
mod handshake;
mod json;
mod text;
