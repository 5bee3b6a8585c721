//! What keeps the program from starting: one line that says what was expected, and the exit code.

use std::net::TcpListener;

use crate::support::{Output, Program, run, run_with};

/// It failed with `code` and one line on standard error.
#[track_caller]
fn failed(output: &Output, code: i32, says: &str) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(output.stderr.starts_with("wsinspect: "), "{}", output.stderr);
    assert!(output.stderr.contains(says), "{}", output.stderr);
}

#[test]
fn a_bad_command_line_is_exit_code_2_and_one_line_that_says_what_was_expected() {
    for (arguments, says) in [
        (&[][..], "a command is missing"),
        (&["serve"], "[HOST:]PORT"),
        (&["serve", "http"], "expected a port from 0 to 65535"),
        (&["serve", "65536"], "expected a port from 0 to 65535"),
        (&["serve", "::1:9002"], "brackets"),
        (&["serve", "0", "--reply", "loud"], "echo, broadcast, none"),
        (&["serve", "0", "--max-frame", "big"], "expected a size such as 16MiB"),
        (&["serve", "0", "--ping-interval", "0"], "expected a time such as 30"),
        (&["serve", "0", "-H", "nonsense"], "expected 'Name: value'"),
        (&["serve", "0", "-H", "A: b\r\nC: d"], "expected 'Name: value'"),
        (&["serve", "0", "--format", "xml"], "text, json"),
        (&["serve", "0", "--color", "pink"], "auto, always, never"),
        (&["serve", "0", "--force"], "--record"),
        (&["serve", "0", "--bogus"], "--bogus"),
        (&["observe", "0"], "observe"),
    ] {
        failed(&run(arguments), 2, says);
    }
}

#[test]
fn help_and_version_are_standard_output_and_exit_code_0() {
    for (arguments, says) in
        [(&["--help"][..], "serve"), (&["serve", "--help"], "--ping-interval"), (&["--version"], "wsinspect ")]
    {
        let output = run(arguments);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert!(output.stdout.contains(says), "{}", output.stdout);
    }
}

#[test]
fn a_port_in_use_is_named_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    failed(&run(&["serve", &port, "--headless"]), 1, &format!("port {port} on 127.0.0.1 is in use"));
}

#[test]
fn an_unknown_host_is_named_and_exit_code_1() {
    failed(&run(&["serve", "no-such-host.invalid:0", "--headless"]), 1, "no-such-host.invalid");
    // a documentation address (RFC 5737), which no machine has
    failed(&run(&["serve", "192.0.2.1:0", "--headless"]), 1, "192.0.2.1");
}

#[test]
fn a_recording_that_exists_is_kept_unless_force_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let name = file.to_str().unwrap();
    std::fs::write(&file, "precious").unwrap();
    failed(&run(&["serve", "0", "--headless", "--record", name]), 1, "--force");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    Program::serve(&["--record", name, "--force"]).finish();
    assert_eq!(std::fs::read(&file).unwrap()[..4], [0x0A, 0x0D, 0x0D, 0x0A]);
}

#[test]
fn a_recording_that_cannot_be_is_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("missing/chat.pcapng");
    failed(
        &run(&["serve", "0", "--headless", "-w", name.to_str().unwrap()]),
        1,
        "the folder it is to lie in does not exist",
    );
    failed(
        &run(&["serve", "0", "--headless", "--force", "-w", folder.path().to_str().unwrap()]),
        1,
        "cannot record to",
    );
    // where unnamed recordings would lie is no folder
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let state = [("XDG_STATE_HOME", file.to_str().unwrap())];
    failed(&run_with(&["serve", "0", "--headless"], b"", &state), 1, "cannot record to");
}
