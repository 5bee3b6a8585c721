//! Builds the parts of the program, joins them and takes them down.

mod ca;
mod connect;
mod learn;
mod open;
mod tls;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::capture::filter::Filter;
use crate::capture::{self, Capture, CaptureWriter, Clock, Leftovers, Marker, ReadProgress, Recorder, Recording};
use crate::cli::{self, Cli, Command, Common, Format, Show, UsageError};
use crate::control::{Commands, Control};
use crate::endpoint::{self, Page};
use crate::formats::{jsonl, text};
use crate::headless::{Form, Printer};
use crate::lessons::Library;
use crate::lint::Limits;
use crate::net::{
    self, ClientTls, Dialler, KeyLog, ProxyOptions, ProxyTls, RelayOptions, Rewriting, ServeOptions, Server, ServerTls,
    TlsSetupError, UpstreamProxy,
};
use crate::tui::{self, Outcome, Screen, StopScreen};
use crate::wire::{DeflateAgreement, Side};

/// Exit code of a second SIGINT.
const INTERRUPTED: u8 = 130;
/// Payload bytes that a line for people shows.
const TEXT_PAYLOAD: u64 = 100;

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

/// A command that shows live traffic.
enum Live {
    Serve(cli::Serve),
    Relay(cli::Relay),
    Proxy(cli::Proxy),
}

impl Live {
    const fn common(&self) -> &Common {
        match self {
            Self::Serve(serve) => &serve.common,
            Self::Relay(relay) => &relay.common,
            Self::Proxy(proxy) => &proxy.common,
        }
    }

    const fn listen(&self) -> &cli::ListenAddress {
        match self {
            Self::Serve(serve) => &serve.listen,
            Self::Relay(relay) => &relay.listen,
            Self::Proxy(proxy) => &proxy.listen,
        }
    }

    /// What runs, for the top of the screen.
    fn title(&self, address: SocketAddr) -> String {
        match self {
            Self::Serve(serve) => format!("serve {}{address}", if serve.tls.tls { "wss://" } else { "" }),
            Self::Relay(relay) => {
                let arrow = if relay.common.show.look.ascii { "<->" } else { "⇄" };
                let from = if relay.tls.tls { "wss://" } else { "" };
                let trust = if relay.trust.insecure { "unverified " } else { "" };
                let through = through(relay.upstream_proxy.as_ref());
                format!("relay {from}{address} {arrow} {trust}{}{through}", relay.upstream)
            }
            Self::Proxy(proxy) => {
                let trust = if proxy.trust.insecure { " (not verifying)" } else { "" };
                format!("proxy {address}{trust}{}", through(proxy.upstream_proxy.as_ref()))
            }
        }
    }

    /// What is said on standard error where there is no screen.
    fn announcement(&self, address: SocketAddr) -> String {
        match self {
            Self::Serve(serve) => format!("listening on {}", listening(address, &serve.tls)),
            Self::Relay(relay) => {
                let trust = if relay.trust.insecure { ", whose certificate is not verified" } else { "" };
                let through = through(relay.upstream_proxy.as_ref());
                format!(
                    "listening on {}, relaying to {}{through}{trust}",
                    listening(address, &relay.tls),
                    relay.upstream
                )
            }
            Self::Proxy(proxy) => {
                let trust = if proxy.trust.insecure { "; servers' certificates are not verified" } else { "" };
                let through = through(proxy.upstream_proxy.as_ref());
                format!("listening on http://{address}, a proxy{through}: HTTP_PROXY=http://{address}{trust}")
            }
        }
    }

    /// What TLS needs on either leg.
    fn tls(&self) -> Result<Tls, TlsSetupError> {
        let is_used = match self {
            Self::Serve(serve) => serve.tls.tls,
            Self::Relay(relay) => relay.tls.tls || relay.upstream.tls,
            Self::Proxy(_) => true,
        };
        let key_log = if is_used { KeyLog::from_environment(self.common().record_secrets)? } else { KeyLog::default() };
        let key_log = Arc::new(key_log);
        Ok(match self {
            Self::Serve(serve) => Tls { clients: tls::listen(&serve.tls, &key_log)?, ..Tls::default() },
            Self::Relay(relay) => Tls {
                clients: tls::listen(&relay.tls, &key_log)?,
                server: relay.upstream.tls.then(|| tls::trust(&relay.trust, key_log)).transpose()?,
                ..Tls::default()
            },
            Self::Proxy(proxy) => Tls { tunnels: tls::open(&proxy.trust, key_log)?, ..Tls::default() },
        })
    }

    fn start(&self, listener: TcpListener, tls: Tls, recorder: Recorder, commands: Commands, clock: Clock) -> Server {
        let max_connections = self.common().max_connections as usize;
        match self {
            Self::Serve(serve) => {
                let endpoint = Arc::new(endpoint_config(serve, serve.common.show.limits()));
                let options = ServeOptions { endpoint, tls: tls.clients, clock, max_connections };
                net::serve(listener, options, recorder, commands)
            }
            Self::Relay(relay) => {
                let options = RelayOptions {
                    upstream: relay.upstream.clone(),
                    rewriting: Rewriting { host: !relay.keep_host, origin: relay.rewrite_origin },
                    dialler: Dialler { proxy: relay.upstream_proxy.clone() },
                    tls: tls.clients,
                    upstream_tls: tls.server,
                    clock,
                    max_connections,
                };
                net::relay(listener, options, recorder, commands)
            }
            Self::Proxy(proxy) => {
                let dialler = Dialler { proxy: proxy.upstream_proxy.clone() };
                let options =
                    ProxyOptions { only: proxy.only.clone(), dialler, tls: tls.tunnels, clock, max_connections };
                net::proxy(listener, options, recorder, commands)
            }
        }
    }
}

/// How clients are spoken to by TLS, how the server is, and how tunnels are opened.
#[derive(Default)]
struct Tls {
    clients: Option<ServerTls>,
    server: Option<ClientTls>,
    tunnels: ProxyTls,
}

/// What clients connect to.
fn listening(address: SocketAddr, tls: &cli::ListenTls) -> String {
    if tls.tls { format!("ws://{address} and wss://{address}") } else { format!("ws://{address}") }
}

/// How connections to servers are made, if not straight.
fn through(proxy: Option<&UpstreamProxy>) -> String {
    proxy.map_or_else(String::new, |proxy| format!(" through {proxy}"))
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
    let tls = live.tls()?;
    let listener = net::listen(&live.listen().host, live.listen().port).await?;
    let address = listener.local_addr().context("cannot tell which address is listened on")?;
    let is_named = common.record.is_some() && !streams;
    if !is_named {
        tell_of_leftovers(common.keep);
    }
    let recording = Arc::new(Recording::create(common.record.as_deref().filter(|_| !streams), common.force)?);
    let capture = Arc::new(Capture::new(recording.reader()));
    let writer = writer(&recording, is_named, common.keep)?;
    let (recorder, recorder_thread) =
        capture::start(writer, capture.clone(), common.show.limits()).context("cannot start the recorder")?;
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
            peer: parts.peer,
            recording: parts.recording,
            notices: parts.notices,
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

    /// Shows what is left, after everything was recorded, however long whoever reads it takes.
    async fn show_all(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Printed(printer) => {
                printer.nothing_more();
                self.ended().await
            }
            Self::Screen { .. } | Self::Nothing => Ok(()),
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
    /// What is to be said as it happens.
    notices: Option<mpsc::Receiver<String>>,
    /// How far the file is read that was opened.
    reading: Option<Arc<ReadProgress>>,
    /// Where wishes go; a capture that was opened takes none.
    control: Option<Control>,
    clock: Clock,
    /// What runs: `serve 127.0.0.1:9002`.
    title: String,
    /// Whether we stand between two others.
    between: bool,
    /// Whom we send to where we don't.
    peer: Side,
    /// Whether the newest frame is what is of interest.
    follow: bool,
}

/// The name of a file that stands for standard input or output.
const STANDARD_OUTPUT: &str = "-";

/// How long the screen may take to give the terminal back.
const SCREEN_PATIENCE: Duration = Duration::from_millis(300);
const CANNOT_PRINT: &str = "cannot write to standard output";

fn form(show: &Show) -> Form {
    match show.format.unwrap_or(Format::Text) {
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
