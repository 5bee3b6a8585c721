//! How the traffic is shown: printed, or on the screen.

use std::io::{self, IsTerminal as _};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::sync::oneshot;

use super::learn;
use crate::capture::filter::Filter;
use crate::capture::{Capture, Clock, Marker, ReadProgress, Recording};
use crate::cli::{Format, Show};
use crate::control::Control;
use crate::formats::{jsonl, text};
use crate::headless::{Form, Printer};
use crate::lessons::Library;
use crate::tui::{self, Outcome, Screen, StopScreen};
use crate::wire::Side;

/// How long the screen may take to give the terminal back.
const SCREEN_PATIENCE: Duration = Duration::from_millis(300);
pub(super) const CANNOT_PRINT: &str = "cannot write to standard output";
/// Payload bytes that a line for people shows.
const TEXT_PAYLOAD: u64 = 100;

/// How the traffic is shown.
pub(super) enum View {
    Printed(Printer),
    Screen {
        stop: StopScreen,
        ended: oneshot::Receiver<io::Result<Outcome>>,
    },
    /// Nobody looks any more.
    Nothing,
}

impl View {
    pub(super) fn start(show: &Show, parts: Parts) -> anyhow::Result<Self> {
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

    pub(super) fn show(screen: Screen) -> anyhow::Result<Self> {
        let stop = screen.stop.clone();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("screen".to_owned())
            // if nobody waits for the end any more, the program is on its way out
            .spawn(move || drop(end.send(tui::run(screen))))
            .context("cannot start the thread that draws")?;
        Ok(Self::Screen { stop, ended })
    }

    pub(super) fn print(capture: Arc<Capture>, form: Form, filter: Option<Filter>) -> anyhow::Result<Self> {
        let printer = Printer::start(capture, form, filter).context("cannot start the thread that prints")?;
        Ok(Self::Printed(printer))
    }

    /// Waits until whoever looks has seen enough.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
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
    pub(super) fn give_back(&self) {
        if let Self::Screen { stop, .. } = self {
            stop.stop();
        }
    }

    /// Shows what is left, after everything was recorded, however long whoever reads it takes.
    pub(super) async fn show_all(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Printed(printer) => {
                printer.nothing_more();
                self.ended().await
            }
            Self::Screen { .. } | Self::Nothing => Ok(()),
        }
    }

    /// Shows what is left, after everything was recorded.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
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
pub(super) struct Parts {
    pub(super) capture: Arc<Capture>,
    /// What is being recorded, and where marks go, if anything is.
    pub(super) recording: Option<Arc<Recording>>,
    pub(super) marker: Option<Marker>,
    /// What is to be said as it happens.
    pub(super) notices: Option<mpsc::Receiver<String>>,
    /// How far the file is read that was opened.
    pub(super) reading: Option<Arc<ReadProgress>>,
    /// Where wishes go; a capture that was opened takes none.
    pub(super) control: Option<Control>,
    pub(super) clock: Clock,
    /// What runs: `serve 127.0.0.1:9002`.
    pub(super) title: String,
    /// Whether we stand between two others.
    pub(super) between: bool,
    /// Whom we send to where we don't.
    pub(super) peer: Side,
    /// Whether the newest frame is what is of interest.
    pub(super) follow: bool,
}

pub(super) fn form(show: &Show) -> Form {
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
