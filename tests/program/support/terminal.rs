//! The real program in a real terminal: a pseudo-terminal with an emulator behind it.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, Winsize};
use tempfile::TempDir;

/// How long anything that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the thread that reads looks away.
const TURN: Duration = Duration::from_millis(10);

/// What the thread that reads does.
const READS: u8 = 0;
const STOPPED: u8 = 1;
const GONE: u8 = 2;

/// `wsinspect` running in a terminal.
pub(crate) struct Terminal {
    /// There until the terminal dies.
    child: Option<Child>,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    emulator: vt100::Parser,
    reading: Arc<AtomicU8>,
    _state: TempDir,
}

impl Terminal {
    /// Starts `program` in a terminal of `columns` × `rows`.
    pub(crate) fn start(program: &Path, (columns, rows): (u16, u16), arguments: &[&str]) -> Self {
        Self::start_with(program, (columns, rows), arguments, &[])
    }

    /// The same with environment variables.
    pub(crate) fn start_with(
        program: &Path,
        (columns, rows): (u16, u16),
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(Path::new(name.to_str().unwrap())).unwrap();
        set_size(&slave, columns, rows);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env("TZ", "UTC")
            .env("XDG_STATE_HOME", state.path())
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .envs(variables.iter().copied())
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave));
        // SAFETY: both are system calls that only change the child, between fork and exec
        #[expect(unsafe_code, reason = "the terminal has to control the child, or resizing it tells nobody")]
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = Some(command.spawn().unwrap());
        drop(command);
        let mut screen = File::from(master.try_clone().unwrap());
        let (sender, output) = mpsc::channel();
        let reading = Arc::new(AtomicU8::new(READS));
        let state_of_reader = reading.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match state_of_reader.load(Ordering::Relaxed) {
                    READS => {}
                    STOPPED => {
                        thread::sleep(TURN);
                        continue;
                    }
                    _ => return,
                }
                let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(TURN.subsec_nanos()) };
                let ready = poll(&mut [PollFd::new(&screen, PollFlags::IN)], Some(&timeout));
                if ready.is_ok_and(|ready| ready == 0) {
                    continue;
                }
                match screen.read(&mut buffer) {
                    Ok(n @ 1..) if sender.send(buffer[..n].to_vec()).is_ok() => {}
                    _ => return,
                }
            }
        });
        let emulator = vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0);
        Self { child, keyboard: File::from(master), output, emulator, reading, _state: state }
    }

    /// From now on nobody reads what the program writes.
    pub(crate) fn stop_reading(&self) {
        self.reading.store(STOPPED, Ordering::Relaxed);
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Types `keys`.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.emulator.screen_mut().set_size(at_least_one(rows), at_least_one(columns));
        set_size(&self.keyboard, columns, rows);
    }

    /// Waits until `text` is on the screen.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(&format!("{text:?} on the screen"), |screen| screen.contents().contains(text));
    }

    /// Waits until the screen is as `condition` wants it; `what` says what that is.
    pub(crate) fn wait_until(&mut self, what: &str, condition: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self.emulator.screen()) {
            assert!(Instant::now() < deadline, "no {what}:\n{}", self.emulator.screen().contents());
            match self.output.recv_timeout(Duration::from_millis(50)) {
                Ok(bytes) => self.emulator.process(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    assert!(condition(self.emulator.screen()), "no {what}:\n{}", self.emulator.screen().contents());
                }
            }
        }
    }

    /// The screen once nothing has changed on it for a moment.
    pub(crate) fn settled(&mut self) -> &vt100::Screen {
        let mut before = self.emulator.screen().contents_formatted();
        let mut since = Instant::now();
        let deadline = Instant::now() + PATIENCE;
        while since.elapsed() < Duration::from_millis(300) && Instant::now() < deadline {
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(50)) {
                self.emulator.process(&bytes);
                let now = self.emulator.screen().contents_formatted();
                if now != before {
                    (before, since) = (now, Instant::now());
                }
            }
        }
        self.emulator.screen()
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.emulator.screen()
    }

    /// Waits until the program has ended, and shows what it wrote on its way out.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(20)) {
                self.emulator.process(&bytes);
            } else if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                // its last words may not have been read yet; after them the terminal is hung up
                while let Ok(bytes) = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    self.emulator.process(&bytes);
                }
                return status;
            }
            assert!(Instant::now() < deadline, "the program goes on:\n{}", self.emulator.screen().contents());
        }
    }
}

impl Terminal {
    /// The same while nobody reads.
    pub(crate) fn wait_for_end_unread(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program goes on");
            thread::sleep(TURN);
        }
    }

    /// The terminal is gone, as when its window was closed; the program is left to itself.
    pub(crate) fn die(mut self) -> Child {
        self.child.take().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.reading.store(GONE, Ordering::Relaxed);
        if let Some(child) = &mut self.child {
            // it may have ended already
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn set_size(terminal: &impl AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    termios::tcsetwinsize(terminal, size).unwrap();
}

fn at_least_one(n: u16) -> NonZero<u16> {
    NonZero::new(n).expect("a terminal has rows and columns")
}
