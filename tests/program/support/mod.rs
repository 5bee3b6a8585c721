//! What every test of the program needs: the program, a client that can send anything, and tools that may be missing.

mod client;
mod program;
mod server;
mod terminal;
mod tls;
mod tools;

pub(crate) use client::{Client, KEY, Response, UPGRADE, exchange, masked, request};
pub(crate) use program::{Lines, Output, Piped, Program, run, run_unread, run_with};
pub(crate) use server::{Peer, Server};
pub(crate) use terminal::Terminal;
pub(crate) use tls::{Authority, Certified, Duplex, client_config, server_config};
pub(crate) use tools::{have, node_modules, python, skip, tshark};

use std::time::{Duration, Instant};

/// How long anything may take that the program does at once, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `probe` gives something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
