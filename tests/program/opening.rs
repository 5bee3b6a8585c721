//! `wsinspect open` of what takes long to read: it is shown while it comes, and the rest can be left out.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use wsinspect::wire::CloseCode;

use crate::support::{Client, Lines, Program, Terminal};

const WIDE: (u16, u16) = (140, 36);

/// A pipe with a name, held open by this test: to whoever reads it, more may always come.
struct Pipe {
    end: File,
    path: PathBuf,
    folder: TempDir,
}

impl Pipe {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slow.pcapng");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // for reading too, so that it need not be waited for a reader
        let end = File::options().read(true).write(true).open(&path).unwrap();
        Self { end, path, folder }
    }

    /// A recording of two frames each way, and where in it the second ones begin.
    fn recording(&self) -> (Vec<u8>, usize) {
        let file = self.folder.path().join("whole.pcapng");
        let mut program = Program::json(&["--record", file.to_str().unwrap()]);
        let mut client = Client::open(program.address());
        client.echoes("the first part");
        program.event("the echo", |event| event["n"] == 2);
        let middle = std::fs::metadata(&file).unwrap().len() as usize;
        client.echoes("the second part");
        client.close(CloseCode::NORMAL, "");
        program.close_event(1);
        program.signal(rustix::process::Signal::TERM);
        program.wait(crate::support::PATIENCE);
        (std::fs::read(&file).unwrap(), middle)
    }

    fn open(&self) -> Terminal {
        Terminal::start(Path::new(env!("CARGO_BIN_EXE_wsinspect")), WIDE, &["open", self.path.to_str().unwrap()])
    }
}

/// The same packets, as another program would have captured them.
fn foreign(recording: &[u8]) -> Vec<u8> {
    let mut bytes = recording.to_vec();
    let name = b"wsinspect ";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at..at + name.len()].copy_from_slice(b"something ");
    bytes
}

#[test]
fn what_has_come_is_shown_while_more_may_come_and_esc_leaves_the_rest_out() {
    let mut pipe = Pipe::new();
    let (recording, middle) = pipe.recording();
    for bytes in [recording.clone(), foreign(&recording)] {
        let mut terminal = pipe.open();
        pipe.end.write_all(&bytes[..middle]).unwrap();
        terminal.wait_for("\"the first part\"");
        terminal.wait_for("2 frames");
        terminal.wait_until("how far it is", |screen| {
            let screen = screen.contents();
            let title = screen.lines().next().unwrap();
            title.contains(&format!("reading: {middle} B, Esc stops"))
        });
        terminal.keys("\x1b");
        let stopped = format!("reading was stopped at byte {middle}");
        terminal.wait_for(&stopped);
        terminal.wait_until("the end of it", |screen| !screen.contents().contains("Esc stops"));
        assert!(terminal.screen().contents().contains("\"the first part\""));
        pipe.end.write_all(&bytes[middle..]).unwrap();
        // what is not wanted stays unread: a key is answered, and nothing has been added
        terminal.keys("2");
        terminal.wait_for("127.0.0.1:");
        assert!(terminal.screen().contents().contains("2 frames"));
        terminal.keys("q");
        assert_eq!(terminal.wait_for_end().code(), Some(0));
        drop(terminal);
        // a new pipe: this one still holds the rest
        pipe = Pipe::new();
    }
}

#[test]
fn all_of_it_is_shown_once_it_has_come() {
    let mut pipe = Pipe::new();
    let (recording, middle) = pipe.recording();
    let mut terminal = pipe.open();
    // in the middle of a block too
    pipe.end.write_all(&recording[..middle + 10]).unwrap();
    terminal.wait_for("\"the first part\"");
    pipe.end.write_all(&recording[middle + 10..]).unwrap();
    terminal.wait_for("\"the second part\"");
    drop(pipe.end);
    terminal.wait_until("the end of reading", |screen| !screen.contents().contains("Esc stops"));
    assert!(!terminal.screen().contents().contains("stopped"));
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}

#[test]
fn q_ends_the_program_although_more_may_come() {
    let mut pipe = Pipe::new();
    let (recording, middle) = pipe.recording();
    let mut terminal = pipe.open();
    pipe.end.write_all(&recording[..middle]).unwrap();
    terminal.wait_for("Esc stops");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}

/// A program that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_screen_frames_are_printed_as_they_come() {
    let mut pipe = Pipe::new();
    let (recording, middle) = pipe.recording();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsinspect"));
    command.arg("open").arg(&pipe.path).env("XDG_STATE_HOME", pipe.folder.path());
    let mut program = Running(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
    pipe.end.write_all(&recording[..middle]).unwrap();
    let lines = Lines::follow(program.0.stdout.take().unwrap());
    lines.wait("the first part", |lines| lines.iter().any(|line| line.contains("the first part")).then_some(()));
    pipe.end.write_all(&recording[middle..]).unwrap();
    drop(pipe.end);
    assert!(lines.all().iter().any(|line| line.contains("the second part")));
    assert_eq!(program.0.wait().unwrap().code(), Some(0));
}
