//! How the program ends: signals, a closed pipe, and what is left behind.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wsinspect::wire::{CloseBody, CloseCode, Opcode};

use crate::support::{Client, PATIENCE, Program};

/// A second and what a busy machine may add.
const ABOUT_A_SECOND: Duration = Duration::from_secs(4);

#[test]
fn a_signal_closes_every_client_with_1001_and_the_exit_code_is_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut program = Program::json(&[]);
        let mut clients: Vec<Client> = (0..5).map(|_| Client::open(program.address())).collect();
        program.signal(signal);
        for client in &mut clients {
            let (code, reason) = client.read_close();
            assert_eq!(code, Some(CloseCode::GOING_AWAY));
            assert_eq!(reason, "the server is shutting down");
            client.message(Opcode::CLOSE, &CloseBody::encode(CloseCode::GOING_AWAY, ""));
        }
        let answered = Instant::now();
        clients.into_iter().for_each(Client::ended);
        assert_eq!(program.wait(PATIENCE).code(), Some(0));
        assert!(answered.elapsed() < Duration::from_secs(2), "nobody is waited for");
        assert_eq!(program.stderr().all().len(), 1, "the address and nothing else");
        let lines = program.stdout().all();
        let closes: Vec<_> = lines.iter().filter(|line| line.contains(r#""event":"close""#)).collect();
        assert_eq!(closes.len(), 5);
        for line in closes {
            for part in [r#""code":1001"#, r#""by":"wsinspect""#, r#""clean":true"#, r#""how":"handshake""#] {
                assert!(line.contains(part), "{line}");
            }
        }
    }
}

#[test]
fn a_client_that_never_answers_keeps_the_program_for_about_a_second() {
    let mut program = Program::json(&[]);
    let mut unfinished = Client::bare(program.address());
    unfinished.send(b"GET / HTTP/1.1\r\n");
    // once this one is open, the one before has been accepted
    let mut silent = Client::open(program.address());
    program.signal(Signal::INT);
    let began = Instant::now();
    assert_eq!(program.wait(PATIENCE).code(), Some(0));
    assert!(began.elapsed() < ABOUT_A_SECOND, "{:?}", began.elapsed());
    assert_eq!(silent.read_close().0, Some(CloseCode::GOING_AWAY));
    let close = program.stdout().all().pop().unwrap();
    assert!(close.contains(r#""how":"timeout""#) && close.contains(r#""clean":false"#), "{close}");
    let answer = String::from_utf8(unfinished.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[test]
fn a_second_sigint_ends_the_program_at_once_with_130() {
    let mut program = Program::json(&[]);
    let mut silent = Client::open(program.address());
    program.signal(Signal::INT);
    // it is on its way out
    silent.read_close();
    program.signal(Signal::INT);
    let began = Instant::now();
    assert_eq!(program.wait(PATIENCE).code(), Some(130));
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(std::fs::read_dir(program.home().join("wsinspect")).unwrap().next().is_none(), "the recording is gone");
}

#[test]
fn a_reader_that_has_read_enough_ends_the_program_without_a_complaint() {
    for format in ["text", "json"] {
        let mut program = Program::start("0", &["--format", format], &[], false);
        let mut client = Client::open(program.address());
        let mut stdout = BufReader::new(program.take_stdout());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        assert!(first.contains("open"), "{first}");
        drop(stdout);
        // it is noticed when there is more to print
        client.message(Opcode::TEXT, b"one too many");
        assert_eq!(program.wait(PATIENCE).code(), Some(0));
        assert_eq!(program.stderr().all().len(), 1, "the address and nothing else");
    }
}

#[test]
fn output_that_cannot_be_written_is_exit_code_1_after_an_orderly_end() {
    let mut program = Program::start_into("0", &[], &[], File::create("/dev/full").unwrap().into());
    let mut client = Client::open(program.address());
    assert_eq!(client.read_close().0, Some(CloseCode::GOING_AWAY));
    client.message(Opcode::CLOSE, &CloseBody::encode(CloseCode::GOING_AWAY, ""));
    client.ended();
    assert_eq!(program.wait(PATIENCE).code(), Some(1));
    let errors = program.stderr().all();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[1].starts_with("wsinspect: cannot write to standard output: "), "{errors:?}");
    assert!(std::fs::read_dir(program.home().join("wsinspect")).unwrap().next().is_none(), "the recording is gone");
}

#[test]
fn the_unnamed_recording_is_the_owners_alone_and_goes_with_the_program() {
    let mut program = Program::json(&[]);
    Client::open(program.address()).echoes("secret");
    let file = program.unnamed_recording();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(file.as_path()), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    program.signal(Signal::TERM);
    assert_eq!(program.wait(PATIENCE).code(), Some(0));
    assert!(!file.exists());
}

#[test]
fn programs_side_by_side_have_a_recording_each() {
    let home = tempfile::tempdir().unwrap();
    let environment = [("XDG_STATE_HOME", home.path().to_str().unwrap())];
    let programs: Vec<_> = (0..3).map(|_| Program::start("0", &[], &environment, true)).collect();
    assert_eq!(std::fs::read_dir(home.path().join("wsinspect")).unwrap().count(), 3);
    for program in programs {
        program.signal(Signal::TERM);
    }
}
