//! `wsinspect connect`: our own client, its connection shown, or its messages passed to and from standard input and output.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::view::{Parts, View, form};
use super::{Begun, INTERRUPTED, Signals, begin_recording, streams, tell_of_missing, tls};
use crate::capture::{Capture, Clock, RecorderThread};
use crate::cli::{self, ClientReply};
use crate::control::Control;
use crate::endpoint::{self, Ask};
use crate::formats::plain;
use crate::formats::sanitize::{printable, printable_bytes};
use crate::headless::{Form, InputOptions, read_standard_input};
use crate::net::{self, Client, ClientTls, ConnectOptions, Dialler, Failure, KeyLog, TlsSetupError};
use crate::wire::Side;

/// Connects, shows the connection and takes everything down again.
pub(super) fn run(connect: &cli::Connect) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that move the traffic")?;
    let outcome = runtime.block_on(run_until_over(connect));
    // a thread that is stuck in the terminal does not keep the program from ending
    runtime.shutdown_background();
    outcome
}

async fn run_until_over(connect: &cli::Connect) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let common = &connect.common;
    let streams = streams(common)?;
    // whoever pipes something in wants it sent
    let has_screen = !streams && !common.show.headless && io::stdout().is_terminal() && io::stdin().is_terminal();
    let tls = client_tls(connect)?;
    let Begun { recording, capture, recorder, thread: recorder_thread } = begin_recording(common, streams)?;
    let (control, commands) = Control::new();
    let clock = Clock::start();
    let marker = recorder.marker();
    let input =
        InputOptions { binary: connect.binary, one_message: connect.one_message, max_message: common.show.max_message };
    let messages =
        if has_screen { None } else { Some(read_standard_input(input).context("cannot read standard input")?) };
    // once there is a screen, nothing is written over it
    let (notify, notices) = mpsc::channel();
    let screen_is_up = Arc::new(AtomicBool::new(false));
    let quiet = screen_is_up.clone();
    let client = net::connect(options(connect, tls, clock), recorder, commands, messages, move |sentence| {
        if quiet.load(Ordering::Relaxed) {
            // a screen that is gone shows nothing more
            let _ = notify.send(sentence);
        } else {
            let _ = writeln!(io::stderr(), "wsinspect: {sentence}");
        }
    });
    let mut running = Running { client, outcome: None };
    let mut told_to_end = false;
    if has_screen {
        // there is nothing to look at before a connection stands
        tokio::select! {
            _ = running.client.connected() => {}
            () = signals.stop(false) => told_to_end = true,
        }
    }
    let mut view = if !has_screen {
        let filter = common.show.filter.clone().map(|argument| argument.filter).filter(|_| !streams);
        View::print(capture.clone(), headless_form(connect, streams), filter)?
    } else if running.client.is_connected() {
        screen_is_up.store(true, Ordering::Relaxed);
        let parts = Parts {
            capture: capture.clone(),
            control: Some(control),
            clock,
            title: format!("connect {}{}", connect.url.0, if connect.trust.insecure { " (not verified)" } else { "" }),
            between: false,
            peer: Side::Server,
            recording: Some(recording.clone()),
            notices: Some(notices),
            reading: None,
            marker: Some(marker),
            follow: true,
        };
        View::start(&common.show, parts)?
    } else {
        View::Nothing
    };
    let has_screen = matches!(view, View::Screen { .. });
    let mut seen = Ok(());
    if !told_to_end {
        tokio::select! {
            () = signals.stop(has_screen) => told_to_end = true,
            ended = view.ended() => (seen, told_to_end) = (ended, true),
            // a screen stays, to look at what came
            () = running.end(), if !has_screen => {}
        }
    }
    let ending = Ending { view, running: &mut running, recorder_thread, told_to_end };
    let ended = ending.take_down(&mut signals).await;
    recording.remove_unless_kept();
    tell_of_missing(&capture);
    match (ended, running.outcome) {
        (None, _) => Ok(ExitCode::from(INTERRUPTED)),
        (_, Some(Err(failure))) => Err(anyhow!(sentence(&failure, &capture))),
        (Some(ended), _) => seen.and(ended).map(|()| ExitCode::SUCCESS),
    }
}

/// What is taken down when the connection is over, or the user has seen enough.
struct Ending<'a> {
    view: View,
    running: &'a mut Running,
    recorder_thread: RecorderThread,
    /// By the user, or by a signal.
    told_to_end: bool,
}

impl Ending<'_> {
    /// Closes the connection, shows what is left; `None` if the user is out of patience with that.
    async fn take_down(mut self, signals: &mut Signals) -> Option<anyhow::Result<()>> {
        self.view.give_back();
        self.running.client.stop();
        let closing = async {
            self.running.end().await;
            // the recorder ends with the client, which held the last way to it
            let _ = tokio::task::spawn_blocking(|| self.recorder_thread.join()).await;
        };
        tokio::select! {
            () = closing => {}
            () = signals.interrupt() => return None,
        }
        let mut seen = Ok(());
        if !self.told_to_end {
            // whoever reads our output may take as long as it takes
            tokio::select! {
                shown = self.view.show_all() => seen = shown,
                () = signals.stop(false) => {}
            }
        }
        tokio::select! {
            finished = self.view.finish() => Some(seen.and(finished)),
            () = signals.interrupt() => None,
        }
    }
}

/// The client, and what came of it once that is known.
struct Running {
    client: Client,
    outcome: Option<Result<(), Failure>>,
}

impl Running {
    /// Waits until there is no connection any more and there will be none.
    async fn end(&mut self) {
        if self.outcome.is_none() {
            self.outcome = Some(self.client.ended().await);
        }
    }
}

/// Messages as they are, unless frames are asked for.
fn headless_form(connect: &cli::Connect, streams: bool) -> Form {
    let show = &connect.common.show;
    if streams {
        return Form::Recording;
    }
    if show.format.is_some() {
        return form(show);
    }
    Form::Messages(plain::Options {
        payload_limit: show.payload_limit.unwrap_or(u64::MAX),
        binary: connect.binary,
        tolerant: connect.tolerant,
        terminal: io::stdout().is_terminal(),
    })
}

/// How the server is spoken to by TLS, if it is.
fn client_tls(connect: &cli::Connect) -> Result<Option<ClientTls>, TlsSetupError> {
    if !connect.url.0.tls {
        return Ok(None);
    }
    let key_log = KeyLog::from_environment(connect.common.record_secrets)?;
    tls::trust(&connect.trust, Arc::new(key_log)).map(Some)
}

fn options(connect: &cli::Connect, tls: Option<ClientTls>, clock: Clock) -> ConnectOptions {
    let server = connect.url.0.clone();
    let mut headers: Vec<_> =
        connect.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
    if let Some(basic) = &connect.basic_auth {
        headers.push(("Authorization".to_owned(), format!("Basic {}", STANDARD.encode(&basic.0))));
    }
    let ask = Ask {
        target: server.path.clone().unwrap_or_else(|| "/".to_owned()),
        host: server.authority.clone(),
        // each connection gets one of its own
        key: [0; 16],
        origin: connect.origin.clone(),
        subprotocols: connect.subprotocol.clone(),
        deflate: connect.deflate_offer(),
        headers,
    };
    let config = endpoint::Config {
        limits: connect.common.show.limits(),
        reply: match connect.reply {
            ClientReply::Echo => endpoint::Reply::Echo,
            ClientReply::None => endpoint::Reply::Nothing,
        },
        handshake_timeout: connect.connect_timeout,
        ping_interval: connect.ping_interval,
        auto_pong: !connect.no_auto_pong,
        tolerant: connect.tolerant,
        ..endpoint::Config::default()
    };
    ConnectOptions {
        server,
        dialler: Dialler { proxy: connect.upstream_proxy.clone() },
        tls,
        ask,
        endpoint: Arc::new(config),
        clock,
        patience: connect.connect_timeout,
        retry: connect.retry,
        linger: (!connect.no_close).then_some(connect.linger),
    }
}

/// Lines of a refusal that are shown, and characters of each.
const MOST_LINES: usize = 5;
const LONGEST_LINE: usize = 200;

/// What happened, as it is said on standard error.
fn sentence(failure: &Failure, capture: &Capture) -> String {
    match failure {
        Failure::Broken { .. } => verdict(capture).unwrap_or_else(|| failure.to_string()),
        Failure::Refused { body, .. } => {
            let lines = body.split(|&byte| byte == b'\n').map(|line| printable_bytes(line.trim_ascii()));
            let shown: Vec<_> = lines.filter(|line| !line.is_empty()).take(MOST_LINES).collect();
            let mut text = printable(&failure.to_string()).into_owned();
            if !shown.is_empty() {
                text.push_str(" It said:");
            }
            for line in shown {
                text.push_str("\n    ");
                text.extend(line.chars().take(LONGEST_LINE));
            }
            text
        }
        _ => failure.to_string(),
    }
}

/// How the last connection ended, in the words of every other view.
fn verdict(capture: &Capture) -> Option<String> {
    let index = capture.index();
    let connection = index.connections().last()?;
    let verdict = connection.verdict()?;
    let reason = verdict.reason.filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(" Its reason: \"{}\".", printable(&reason))).unwrap_or_default();
    Some(format!("{}{reason}", verdict.sentence))
}
