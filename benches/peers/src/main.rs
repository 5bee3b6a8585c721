//! What wsinspect is measured against, and what measures it; `benches/compare/run` runs all of this.
//!
//! - `peers echo LIBRARY`: an echo server, with `bare`, `fastwebsockets`, `tokio-tungstenite` or `tokio-websockets`
//! - `peers relay ADDRESS`: a relay that looks at nothing
//! - `peers load ADDRESS [--connections N] [--window N] [--size BYTES] [--seconds S] [--messages N] [--binary]
//!   [--tls] [--pid N]…`: sends messages to an echo server, and checks and times each that comes back
//! - `peers open ADDRESS [OPTION]…`, with the same options: opens connections and lets go of them, as many at once
//!
//! The servers say `listening on 127.0.0.1:PORT` and run until they are ended.

mod echo;
mod latency;
mod load;
mod relay;
mod socket;

use std::error::Error;
use std::process::ExitCode;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["echo", library] => echo::run(library),
        ["relay", address] => relay::run(address),
        ["load", address, ref options @ ..] => load::Options::read(address, options).and_then(|o| load::run(&o)),
        ["open", address, ref options @ ..] => {
            load::Options::read(address, options).and_then(|o| load::open_and_leave(&o))
        }
        _ => Err("expected: peers echo LIBRARY, peers relay ADDRESS, or peers load or open ADDRESS [OPTION]…".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}
