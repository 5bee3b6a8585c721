//! The program, started and watched.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, eventually};

/// `wsinspect serve` or `wsinspect relay`, running. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    address: SocketAddr,
    stdout: Lines,
    stderr: Lines,
    /// Its stdout, where nobody reads it.
    unread: Option<ChildStdout>,
    home: TempDir,
}

/// What has come from a stream so far, line by line.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    pub(crate) fn follow(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::with_capacity(1 << 20, stream);
            let mut line = Vec::new();
            let (read, changed) = &*shared.0;
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                let text = String::from_utf8(std::mem::take(&mut line)).expect("output is UTF-8");
                read.lock().unwrap().lines.push(text);
                changed.notify_all();
            }
            read.lock().unwrap().ended = true;
            changed.notify_all();
        });
        lines
    }

    /// Waits until `probe` finds something in the lines so far.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, probe: impl FnMut(&[String]) -> Option<T>) -> T {
        self.wait_within(PATIENCE, what, probe)
    }

    /// The same for what may take so long.
    #[track_caller]
    pub(crate) fn wait_within<T>(
        &self,
        patience: Duration,
        what: &str,
        mut probe: impl FnMut(&[String]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + patience;
        let (read, changed) = &*self.0;
        let mut read = read.lock().unwrap();
        loop {
            if let Some(found) = probe(&read.lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || read.ended {
                let last = read.lines.len().saturating_sub(20);
                let last: Vec<String> =
                    read.lines[last..].iter().map(|line| line.chars().take(300).collect()).collect();
                panic!(
                    "waited for {what}; stream ended: {}; {} lines, the last: {last:#?}",
                    read.ended,
                    read.lines.len()
                );
            }
            read = changed.wait_timeout(read, left).unwrap().0;
        }
    }

    /// Waits for the end of the stream; all of its lines.
    #[track_caller]
    pub(crate) fn all(&self) -> Vec<String> {
        let (read, changed) = &*self.0;
        let (read, waited) = changed.wait_timeout_while(read.lock().unwrap(), PATIENCE, |read| !read.ended).unwrap();
        assert!(!waited.timed_out(), "the stream did not end");
        read.lines.clone()
    }
}

impl Program {
    /// `wsinspect serve 0 --headless ARGUMENTS`
    #[track_caller]
    pub(crate) fn serve(arguments: &[&str]) -> Self {
        Self::start("0", arguments, &[], true)
    }

    /// The same, printing JSON Lines.
    #[track_caller]
    pub(crate) fn json(arguments: &[&str]) -> Self {
        Self::serve(&[&["--format", "json"], arguments].concat())
    }

    /// `wsinspect relay LISTEN ARGUMENTS --headless`, the server among the arguments.
    #[track_caller]
    pub(crate) fn relay(listen: &str, arguments: &[&str]) -> Self {
        Self::relay_in(listen, arguments, &[])
    }

    /// The same with more in the environment.
    #[track_caller]
    pub(crate) fn relay_in(listen: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = [&["relay", listen, "--headless"], arguments].concat();
        let mut program = Self::spawn(&arguments, environment, Stdio::piped());
        program.unread = program.child.stdout.take();
        program.stdout = Lines::follow(program.take_stdout());
        program
    }

    /// `wsinspect proxy LISTEN ARGUMENTS --headless --format json`, with more in the environment.
    #[track_caller]
    pub(crate) fn proxy(listen: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = [&["proxy", listen, "--headless", "--format", "json"], arguments].concat();
        let mut program = Self::spawn(&arguments, environment, Stdio::piped());
        program.unread = program.child.stdout.take();
        program.stdout = Lines::follow(program.take_stdout());
        program
    }

    /// The same with so many file descriptors and no more.
    #[track_caller]
    pub(crate) fn relay_with_descriptors(descriptors: u64, arguments: &[&str]) -> Self {
        let mut program = Self::spawn(&[&["relay", "0", "--headless"], arguments].concat(), &[], Stdio::piped());
        program.unread = program.child.stdout.take();
        program.stdout = Lines::follow(program.take_stdout());
        let limit = rustix::process::Rlimit { current: Some(descriptors), maximum: Some(descriptors) };
        let process = Some(program.process());
        rustix::process::prlimit(process, rustix::process::Resource::Nofile, limit).expect("a limit can be lowered");
        program
    }

    /// The same, listening at `listen`, with more in the environment, its output read or not.
    #[track_caller]
    pub(crate) fn start(listen: &str, arguments: &[&str], environment: &[(&str, &str)], is_read: bool) -> Self {
        let mut program = Self::start_into(listen, arguments, environment, Stdio::piped());
        program.unread = program.child.stdout.take();
        if is_read {
            program.stdout = Lines::follow(program.take_stdout());
        }
        program
    }

    /// The same, printing into `stdout`.
    #[track_caller]
    pub(crate) fn start_into(listen: &str, arguments: &[&str], environment: &[(&str, &str)], stdout: Stdio) -> Self {
        Self::spawn(&[&["serve", listen, "--headless"], arguments].concat(), environment, stdout)
    }

    #[track_caller]
    fn spawn(arguments: &[&str], environment: &[(&str, &str)], stdout: Stdio) -> Self {
        let home = TempDir::new().unwrap();
        let mut child = command(home.path())
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(stdout)
            .spawn()
            .expect("the program starts");
        let stderr = Lines::follow(child.stderr.take().unwrap());
        let address = stderr.wait("the address", |lines| {
            let line = lines.iter().find_map(|line| line.strip_prefix("listening on "))?;
            let line = ["ws://", "http://"].iter().find_map(|scheme| line.strip_prefix(scheme))?;
            line.split([',', ' ']).next()?.parse().ok()
        });
        Self { child, address, stdout: Lines::default(), stderr, unread: None, home }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its XDG_STATE_HOME.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn stdout(&self) -> &Lines {
        &self.stdout
    }

    pub(crate) fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Its stdout, where it is not read.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.unread.take().expect("stdout is not read")
    }

    /// Waits for the first event that `probe` takes; every line up to it is JSON.
    #[track_caller]
    pub(crate) fn event(&self, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
        let mut seen = 0;
        self.stdout.wait(what, |lines| {
            let new = seen;
            seen = lines.len();
            lines[new..].iter().map(|line| json(line)).find(|event| probe(event))
        })
    }

    /// Waits for the event that ends connection `conn`.
    #[track_caller]
    pub(crate) fn close_event(&self, conn: u64) -> Value {
        self.event(&format!("the end of connection {conn}"), |event| event["event"] == "close" && event["conn"] == conn)
    }

    /// Ends the program with SIGTERM; everything that it printed as JSON.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Vec<Value> {
        self.signal(Signal::TERM);
        let status = self.wait(PATIENCE);
        assert_eq!(status.code(), Some(0), "{:?}", self.stderr.all());
        self.stdout.all().iter().map(|line| json(line)).collect()
    }

    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program still runs");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        wait(&mut self.child, patience)
    }

    /// Megabytes of memory that it holds.
    pub(crate) fn resident_megabytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// The capture file that it keeps while it runs.
    pub(crate) fn unnamed_recording(&self) -> PathBuf {
        eventually("the unnamed recording", || {
            let mut files = std::fs::read_dir(self.home.path().join("wsinspect")).ok()?;
            Some(files.next()?.unwrap().path())
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // it has ended already if the test went well
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `wsinspect` with pipes at its standard input and output. It is killed when this is dropped.
pub(crate) struct Piped {
    child: Child,
    /// Nothing more comes once this is gone.
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Lines,
    _home: TempDir,
}

impl Piped {
    /// `wsinspect ARGUMENTS`
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let mut child = command(home.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = Lines::follow(child.stderr.take().unwrap());
        Self { stdin: child.stdin.take(), stdout: child.stdout.take(), stderr, child, _home: home }
    }

    /// Reads its output from now on.
    #[track_caller]
    pub(crate) fn lines(&mut self) -> Lines {
        Lines::follow(self.stdout.take().expect("nobody reads it yet"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program still runs");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        wait(&mut self.child, PATIENCE).code()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // it has ended already if the test went well
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program that ended by itself left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `wsinspect ARGUMENTS` to its end.
#[track_caller]
pub(crate) fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    run_with(arguments, b"", &[])
}

/// The same with its output into a pipe whose reader is gone.
#[track_caller]
pub(crate) fn run_unread(arguments: &[&str]) -> Output {
    let home = TempDir::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command(home.path()).args(arguments).stdout(writer).spawn().expect("the program starts");
    let stderr = Lines::follow(child.stderr.take().unwrap());
    let code = wait(&mut child, PATIENCE).code();
    Output { code, stdout: String::new(), stderr: stderr.all().join("\n") }
}

/// The same with something on its standard input and in its environment.
#[track_caller]
pub(crate) fn run_with<S: AsRef<OsStr>>(arguments: &[S], stdin: &[u8], environment: &[(&str, &str)]) -> Output {
    let home = TempDir::new().unwrap();
    let mut child = command(home.path())
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = Lines::follow(child.stdout.take().unwrap());
    let stderr = Lines::follow(child.stderr.take().unwrap());
    // who does not read its input has closed it
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let code = wait(&mut child, PATIENCE).code();
    let text = |lines: Lines| lines.all().iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    Output { code, stdout: text(stdout), stderr: text(stderr) }
}

/// The program with nothing of the developer's surroundings in its own.
fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsinspect"));
    command
        .env("XDG_STATE_HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .env("XDG_DATA_HOME", home)
        .env_remove("SSLKEYLOGFILE")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[track_caller]
fn wait(child: &mut Child, patience: Duration) -> ExitStatus {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the program still ran after {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON: {error}: {line:.300}"))
}
