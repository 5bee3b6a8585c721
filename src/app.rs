//! Builds the parts of the program, joins them and takes them down.

mod ca;
mod connect;
mod learn;
mod live;
mod open;
mod tls;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::capture::{self, Capture, CaptureWriter, Clock, Leftovers, Recorder, RecorderThread, Recording};
use crate::cli::{self, Cli, Command, Common, UsageError};
use crate::control::Control;
use crate::headless::Form;
use crate::net;
use crate::wire::Side;
use live::Live;
use view::{Parts, View};

/// Exit code of a second SIGINT.
const INTERRUPTED: u8 = 130;

/// Carries out a command; the outcome is the exit code, or an error in one line.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(serve) => run_live(&Live::Serve(serve)),
        Command::Relay(relay) => run_live(&Live::Relay(relay)),
        Command::Connect(connect) => connect::run(&connect),
        Command::Proxy(proxy) => run_live(&Live::Proxy(proxy)),
        Command::Open(open) => open::run(&open),
        Command::Ca => ca::run(),
        Command::Learn(learn) => learn::run(&learn),
        Command::Explain(explain) => cli::run_explain(&explain),
        Command::Rules(rules) => cli::run_rules(&rules),
        Command::Completions(completions) => cli::run_completions(&completions),
        Command::Man => cli::run_man(),
    }
}

fn run_live(live: &Live) -> anyhow::Result<ExitCode> {
    take_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that move the traffic")?;
    let outcome = runtime.block_on(run_until_told(live));
    // a thread that is stuck in the terminal does not keep the program from ending
    runtime.shutdown_background();
    outcome
}

/// Takes as many file descriptors as the system lets a program have: a relayed connection needs two. Where it gives none,
/// those that there are have to do.
fn take_descriptors() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, all);
}

async fn run_until_told(live: &Live) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let common = live.common();
    let streams = streams(common)?;
    let tls = live.tls()?;
    let listener = net::listen(&live.listen().host, live.listen().port).await?;
    let address = listener.local_addr().context("cannot tell which address is listened on")?;
    let Begun { recording, capture, recorder, thread: recorder_thread } = begin_recording(common, streams)?;
    let (control, commands) = Control::new();
    let clock = Clock::start();
    let marker = recorder.marker();
    let server = live.start(listener, tls, recorder, commands, clock);
    let parts = Parts {
        capture: capture.clone(),
        control: Some(control),
        clock,
        title: live.title(address),
        between: matches!(live, Live::Relay(_) | Live::Proxy(_)),
        peer: Side::Client,
        recording: Some(recording.clone()),
        notices: None,
        reading: None,
        marker: Some(marker),
        follow: true,
    };
    let mut view =
        if streams { View::print(parts.capture, Form::Recording, None)? } else { View::start(&common.show, parts)? };
    if !matches!(view, View::Screen { .. }) {
        let _ = writeln!(io::stderr(), "{}", live.announcement(address));
    }

    let has_screen = matches!(view, View::Screen { .. });
    // a view that failed is no reason to leave the clients and the recording behind
    let seen = tokio::select! {
        () = signals.stop(has_screen) => Ok(()),
        ended = view.ended() => ended,
    };
    view.give_back();
    let ending = async {
        server.stop().await;
        // the recorder ends with the server, which held the last way to it
        let _ = tokio::task::spawn_blocking(|| recorder_thread.join()).await;
        view.finish().await
    };
    let outcome = tokio::select! {
        ended = ending => seen.and(ended).map(|()| ExitCode::SUCCESS),
        () = signals.interrupt() => Ok(ExitCode::from(INTERRUPTED)),
    };
    recording.remove_unless_kept();
    tell_of_missing(&capture);
    outcome
}

/// Whether the recording goes to standard output.
fn streams(common: &Common) -> anyhow::Result<bool> {
    let streams = common.record.as_deref() == Some(Path::new(STANDARD_OUTPUT));
    if streams && io::stdout().is_terminal() {
        let error = "a recording is not written to a terminal; pipe it on, for example to wireshark -k -i -";
        return Err(UsageError(error.to_owned()).into());
    }
    Ok(streams)
}

/// A recording that has begun.
struct Begun {
    recording: Arc<Recording>,
    capture: Arc<Capture>,
    recorder: Recorder,
    thread: RecorderThread,
}

fn begin_recording(common: &Common, streams: bool) -> anyhow::Result<Begun> {
    let is_named = common.record.is_some() && !streams;
    if !is_named {
        tell_of_leftovers(common.keep);
    }
    let recording = Arc::new(Recording::create(common.record.as_deref().filter(|_| !streams), common.force)?);
    let capture = Arc::new(Capture::new(recording.reader()));
    let writer = writer(&recording, is_named, common.keep)?;
    let (recorder, thread) =
        capture::start(writer, capture.clone(), common.show.limits()).context("cannot start the recorder")?;
    Ok(Begun { recording, capture, recorder, thread })
}

/// What writes the recording; one without a name is kept within `keep`, where that can be.
fn writer(recording: &Recording, is_named: bool, keep: u64) -> anyhow::Result<CaptureWriter> {
    let writer = recording.writer(&command_line())?;
    if is_named {
        return Ok(writer);
    }
    if recording.can_be_cut() {
        return Ok(writer.within(keep));
    }
    let _ = writeln!(
        io::stderr(),
        "wsinspect: {} is on a file system whose files can't give room back, so the recording is not kept within --keep: \
         it grows as the disk allows",
        recording.reader().path().display()
    );
    Ok(writer)
}

/// Nothing is lost in silence.
fn tell_of_missing(capture: &Capture) {
    let missing = capture.index().totals().missing;
    if missing > 0 {
        let _ = writeln!(
            io::stderr(),
            "wsinspect: {missing} bytes that crossed the wire could not be recorded: the disk was full or failed"
        );
    }
}

/// Recordings of runs that were killed are not lost, and don't pile up either.
fn tell_of_leftovers(keep: u64) {
    let Some(Leftovers { newest, older, removed }) = capture::leftovers(keep) else { return };
    let others = if older == 0 { String::new() } else { format!(" ({older} older beside it)") };
    let gone = if removed == 0 { String::new() } else { format!("; the oldest were removed: {removed}") };
    let newest = newest.display();
    let sentence = format!("the recording of a run that was killed is there{others}: wsinspect open {newest}{gone}");
    let _ = writeln!(io::stderr(), "wsinspect: {sentence}");
}

/// The name of a file that stands for standard input or output.
const STANDARD_OUTPUT: &str = "-";

/// How the program was called, for whoever opens the recording.
fn command_line() -> String {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The signals that end the program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// A file may grow no more: listened to so that it does not end the program. The write fails, as on a full disk.
    _file_size: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The program is told to end. A terminal that hangs up ends the view of it, not the traffic.
    async fn stop(&mut self, has_screen: bool) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv(), if !has_screen => {}
        }
    }

    /// The user is out of patience.
    async fn interrupt(&mut self) {
        self.interrupt.recv().await;
    }
}
