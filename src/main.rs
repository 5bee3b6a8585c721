#![forbid(unsafe_code)]
//! Runs the command and turns its outcome into an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use wsinspect::app;
use wsinspect::cli::{Cli, Usage, UsageError};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    match Cli::read(std::env::args_os()) {
        Ok(cli) => app::run(cli).unwrap_or_else(|error| {
            fail(&format!("{error:#}"), if error.is::<UsageError>() { WRONG_USAGE } else { FAILED })
        }),
        Err(Usage::Asked(text)) => {
            // whoever closed our output has read enough
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Usage::Wrong(error)) => fail(&error, WRONG_USAGE),
    }
}

fn fail(error: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "wsinspect: {error}");
    ExitCode::from(code)
}
