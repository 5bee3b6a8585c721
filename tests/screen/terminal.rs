//! The real program in a real terminal: a pseudo-terminal with an emulator behind it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, Winsize};
use tempfile::TempDir;

/// How long anything that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// `wsinspect` running in a terminal.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    emulator: vt100::Parser,
    state: TempDir,
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
        let child = command.spawn().unwrap();
        drop(command);
        let mut screen = File::from(OwnedFd::from(master.try_clone().unwrap()));
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let emulator = vt100::Parser::new(rows, columns, 0);
        Self { child, keyboard: File::from(master), output, emulator, state }
    }

    /// The folder that the program takes for `$XDG_STATE_HOME`.
    pub(crate) fn state_folder(&self) -> &Path {
        self.state.path()
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Types `keys`.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.emulator.screen_mut().set_size(rows, columns);
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
            } else if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program goes on:\n{}", self.emulator.screen().contents());
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: &impl AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    termios::tcsetwinsize(terminal, size).unwrap();
}
