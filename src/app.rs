//! Builds the parts of the program, joins them and takes them down.

mod learn;
mod open;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::capture::filter::Filter;
use crate::capture::{self, Capture, Clock, Leftovers, Marker, ReadProgress, Recorder, Recording};
use crate::cli::{self, Cli, Command, Common, Format, Show, UsageError};
use crate::control::{Commands, Control};
use crate::endpoint::{self, Page};
use crate::formats::{jsonl, text};
use crate::headless::{Form, Printer};
use crate::lessons::Library;
use crate::lint::Limits;
use crate::net::{self, RelayOptions, Rewriting, ServeOptions, Server};
use crate::tui::{self, Outcome, Screen, StopScreen};
use crate::wire::DeflateAgreement;

/// Exit code of a second SIGINT.
const INTERRUPTED: u8 = 130;
/// Payload bytes that a line for people shows.
const TEXT_PAYLOAD: u64 = 100;

/// Carries out a command; the outcome is the exit code, or an error in one line.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(serve) => run_live(&Live::Serve(serve)),
        Command::Relay(relay) => run_live(&Live::Relay(relay)),
        Command::Open(open) => open::run(&open),
        Command::Learn(learn) => learn::run(&learn),
        Command::Explain(explain) => cli::run_explain(&explain),
        Command::Rules(rules) => cli::run_rules(&rules),
        Command::Completions(completions) => cli::run_completions(&completions),
        Command::Man => cli::run_man(),
    }
}

/// A command that shows live traffic.
enum Live {
    Serve(cli::Serve),
    Relay(cli::Relay),
}

impl Live {
    const fn common(&self) -> &Common {
        match self {
            Self::Serve(serve) => &serve.common,
            Self::Relay(relay) => &relay.common,
        }
    }

    const fn listen(&self) -> &cli::ListenAddress {
        match self {
            Self::Serve(serve) => &serve.listen,
            Self::Relay(relay) => &relay.listen,
        }
    }

    /// What runs, for the top of the screen.
    fn title(&self, address: SocketAddr) -> String {
        match self {
            Self::Serve(_) => format!("serve {address}"),
            Self::Relay(relay) => {
                let arrow = if relay.common.show.look.ascii { "<->" } else { "⇄" };
                format!("relay {address} {arrow} {}", relay.upstream)
            }
        }
    }

    /// What is said on standard error where there is no screen.
    fn announcement(&self, address: SocketAddr) -> String {
        match self {
            Self::Serve(_) => format!("listening on ws://{address}"),
            Self::Relay(relay) => format!("listening on ws://{address}, relaying to {}", relay.upstream),
        }
    }

    fn start(&self, listener: TcpListener, recorder: Recorder, commands: Commands, clock: Clock) -> Server {
        let max_connections = self.common().max_connections as usize;
        match self {
            Self::Serve(serve) => {
                let endpoint = Arc::new(endpoint_config(serve, serve.common.show.limits()));
                net::serve(listener, ServeOptions { endpoint, clock, max_connections }, recorder, commands)
            }
            Self::Relay(relay) => {
                let rewriting = Rewriting { host: !relay.keep_host, origin: relay.rewrite_origin };
                let options = RelayOptions { upstream: relay.upstream.clone(), rewriting, clock, max_connections };
                net::relay(listener, options, recorder, commands)
            }
        }
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
    let streams = common.record.as_deref() == Some(Path::new(STANDARD_OUTPUT));
    if streams && io::stdout().is_terminal() {
        let error = "a recording is not written to a terminal; pipe it on, for example to wireshark -k -i -";
        return Err(UsageError(error.to_owned()).into());
    }
    let listener = net::listen(&live.listen().host, live.listen().port).await?;
    let address = listener.local_addr().context("cannot tell which address is listened on")?;
    let is_named = common.record.is_some() && !streams;
    if !is_named {
        tell_of_leftovers(common.keep);
    }
    let recording = Arc::new(Recording::create(common.record.as_deref().filter(|_| !streams), common.force)?);
    let capture = Arc::new(Capture::new(recording.reader()));
    let writer = recording.writer(&command_line())?;
    let writer = if is_named {
        writer
    } else if recording.can_be_cut() {
        writer.within(common.keep)
    } else {
        let _ = writeln!(
            io::stderr(),
            "wsinspect: {} is on a file system whose files can't give room back, so the recording is not kept within \
             --keep: it grows as the disk allows",
            recording.reader().path().display()
        );
        writer
    };
    let (recorder, recorder_thread) =
        capture::start(writer, capture.clone(), common.show.limits()).context("cannot start the recorder")?;
    let (control, commands) = Control::new();
    let clock = Clock::start();
    let marker = recorder.marker();
    let server = live.start(listener, recorder, commands, clock);
    let parts = Parts {
        capture: capture.clone(),
        control: Some(control),
        clock,
        title: live.title(address),
        between: matches!(live, Live::Relay(_)),
        recording: Some(recording.clone()),
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
    let missing = capture.index().totals().missing;
    if missing > 0 {
        let _ = writeln!(
            io::stderr(),
            "wsinspect: {missing} bytes that crossed the wire could not be recorded: the disk was full or failed"
        );
    }
    outcome
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

/// How the traffic is shown.
enum View {
    Printed(Printer),
    Screen {
        stop: StopScreen,
        ended: oneshot::Receiver<io::Result<Outcome>>,
    },
    /// Nobody looks any more.
    Nothing,
}

impl View {
    fn start(show: &Show, parts: Parts) -> anyhow::Result<Self> {
        if show.headless || !io::stdout().is_terminal() {
            return Self::print(parts.capture, form(show), show.filter.clone().map(|argument| argument.filter));
        }
        let screen = Screen {
            capture: parts.capture,
            control: parts.control,
            title: parts.title,
            between: parts.between,
            recording: parts.recording,
            reading: parts.reading,
            marker: parts.marker,
            course: learn::course(Library::shipped()),
            learn: None,
            filter: show.filter.clone().map(|argument| (argument.text, argument.filter)),
            ascii: show.look.ascii,
            color: show.look.is_colored(),
            follow: parts.follow,
            clock: parts.clock,
            stop: StopScreen::default(),
        };
        Self::show(screen)
    }

    fn show(screen: Screen) -> anyhow::Result<Self> {
        let stop = screen.stop.clone();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("screen".to_owned())
            // if nobody waits for the end any more, the program is on its way out
            .spawn(move || drop(end.send(tui::run(screen))))
            .context("cannot start the thread that draws")?;
        Ok(Self::Screen { stop, ended })
    }

    fn print(capture: Arc<Capture>, form: Form, filter: Option<Filter>) -> anyhow::Result<Self> {
        let printer = Printer::start(capture, form, filter).context("cannot start the thread that prints")?;
        Ok(Self::Printed(printer))
    }

    /// Waits until whoever looks has seen enough.
    async fn ended(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Printed(printer) => printer.ended().await.context(CANNOT_PRINT),
            Self::Screen { ended, .. } => {
                let ended = ended.await;
                *self = Self::Nothing;
                match ended {
                    Ok(Ok(Outcome::Quit | Outcome::Stopped)) => Ok(()),
                    // the traffic goes on without anyone to look at it
                    Ok(Ok(Outcome::TerminalLost)) => std::future::pending().await,
                    Ok(Err(error)) => Err(error).context("cannot draw on the terminal; --headless prints instead"),
                    Err(_) => Err(anyhow!("the screen came to an unexpected end; the traffic was recorded until then")),
                }
            }
            Self::Nothing => std::future::pending().await,
        }
    }

    /// Gives the terminal back, before connections are closed: that may take a second.
    fn give_back(&self) {
        if let Self::Screen { stop, .. } = self {
            stop.stop();
        }
    }

    /// Shows what is left, after everything was recorded.
    async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Printed(printer) => printer.finish().await.context(CANNOT_PRINT),
            Self::Screen { ended, .. } => {
                // a terminal that has stopped reading holds its thread; the program ends without it
                let _ = tokio::time::timeout(SCREEN_PATIENCE, ended).await;
                Ok(())
            }
            Self::Nothing => Ok(()),
        }
    }
}

/// What a view needs.
struct Parts {
    capture: Arc<Capture>,
    /// What is being recorded, and where marks go, if anything is.
    recording: Option<Arc<Recording>>,
    marker: Option<Marker>,
    /// How far the file is read that was opened.
    reading: Option<Arc<ReadProgress>>,
    /// Where wishes go; a capture that was opened takes none.
    control: Option<Control>,
    clock: Clock,
    /// What runs: `serve 127.0.0.1:9002`.
    title: String,
    /// Whether we stand between two others.
    between: bool,
    /// Whether the newest frame is what is of interest.
    follow: bool,
}

/// The name of a file that stands for standard input or output.
const STANDARD_OUTPUT: &str = "-";

/// How long the screen may take to give the terminal back.
const SCREEN_PATIENCE: Duration = Duration::from_millis(300);
const CANNOT_PRINT: &str = "cannot write to standard output";

fn form(show: &Show) -> Form {
    match show.format {
        Format::Json => Form::Json(jsonl::Options {
            // no larger frame or message is let in, but where no rule is enforced
            payload_limit: show.payload_limit.unwrap_or(show.max_frame.max(show.max_message)),
            messages: show.messages,
        }),
        Format::Text => Form::Text(text::Options {
            payload_limit: show.payload_limit.unwrap_or(TEXT_PAYLOAD),
            color: show.look.is_colored(),
            ascii: show.look.ascii,
        }),
    }
}

fn endpoint_config(serve: &cli::Serve, limits: Limits) -> endpoint::Config {
    endpoint::Config {
        limits,
        reply: match serve.reply {
            cli::Reply::Echo => endpoint::Reply::Echo,
            cli::Reply::Broadcast => endpoint::Reply::HandOver,
            cli::Reply::None => endpoint::Reply::Nothing,
        },
        subprotocols: serve.subprotocol.clone(),
        origins: serve.origin.clone(),
        deflate: (serve.deflate == cli::Switch::On).then_some(DeflateAgreement {
            server_no_context_takeover: serve.server_no_context_takeover,
            client_no_context_takeover: serve.client_no_context_takeover,
            server_max_window_bits: serve.server_max_window_bits,
            client_max_window_bits: serve.client_max_window_bits,
        }),
        headers: serve.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        pages: pages(),
        ping_interval: serve.ping_interval,
        auto_pong: !serve.no_auto_pong,
        tolerant: serve.tolerant,
        ..endpoint::Config::default()
    }
}

/// The test page for browsers: it loads nothing from elsewhere, and connects only to WebSockets.
fn pages() -> Vec<Page> {
    let page = |path, kind: &str, body: &'static str| Page {
        path,
        body: body.as_bytes().into(),
        headers: [
            ("Content-Type", kind),
            ("Content-Security-Policy", PAGE_POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    };
    vec![
        page("/", "text/html; charset=utf-8", include_str!("../assets/page.html")),
        page("/page.css", "text/css; charset=utf-8", include_str!("../assets/page.css")),
        page("/page.js", "text/javascript; charset=utf-8", include_str!("../assets/page.js")),
    ]
}

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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
