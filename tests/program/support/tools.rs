//! Other programs that some tests need, and what happens where they are missing.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether `program` runs here.
pub(crate) fn have(program: impl Into<OsString>, version: &str) -> bool {
    let status = Command::new(program.into()).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Says loudly that a test is not made; where everything must be there, that is a failure.
#[track_caller]
pub(crate) fn skip(test: &str, missing: &str) {
    let line = format!("SKIPPED: {test}: {missing} is missing here");
    assert!(std::env::var_os("WSINSPECT_CI").is_none_or(|value| value != "1"), "{line}");
    // past the test harness, which would keep it to itself
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// tshark, which is not to take a conversation for something else by a port that the system happened to choose.
pub(crate) fn tshark() -> Command {
    let mut tshark = Command::new("tshark");
    // all that `tshark -G decodes` knows of TCP ports from 32768 to 60999
    for protocol in ["ams", "cbsp", "ecatf", "enip", "irc", "pcp", "pmproxy"] {
        tshark.args(["--disable-protocol", protocol]);
    }
    tshark
}

/// A Python that has the package `websockets`.
pub(crate) fn python() -> Option<OsString> {
    let python = std::env::var_os("WSINSPECT_PYTHON").unwrap_or_else(|| "python3".into());
    let asked = Command::new(&python).args(["-c", "import websockets.asyncio.client"]).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success()).then_some(python)
}

/// A folder of Node's modules that has `ws`, where there is a Node.
pub(crate) fn node_modules() -> Option<PathBuf> {
    let modules = PathBuf::from(std::env::var_os("WSINSPECT_NODE_MODULES")?);
    (modules.join("ws/package.json").exists() && have("node", "--version")).then_some(modules)
}
