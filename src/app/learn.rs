//! `wsinspect learn`: the lessons, without any network.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::view::{CANNOT_PRINT, View};
use super::{INTERRUPTED, Signals, command_line};
use crate::capture::{self, Capture, Clock, Recording};
use crate::cli::{self, UsageError};
use crate::formats::sanitize;
use crate::lessons::{Library, Progress};
use crate::tui::{Course, Screen, StopScreen};
use crate::wire::Side;

/// Shows the lessons, or prints which there are.
pub(super) fn run(learn: &cli::Learn) -> anyhow::Result<ExitCode> {
    let mut library = Library::shipped();
    if let Some(folder) = &learn.lessons {
        library.add(folder)?;
    }
    let place = learn.lesson.as_deref().map(|name| place(&library, name)).transpose()?;
    if !io::stdout().is_terminal() {
        return print(&library);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start to wait for signals and for the end")?;
    let outcome = runtime.block_on(show(library, place, &learn.look));
    runtime.shutdown_background();
    outcome
}

/// The lessons, and what is kept of how far they are.
pub(super) fn course(library: Library) -> Course {
    Course::new(library, Progress::read(&capture::state_folder()))
}

fn place(library: &Library, name: &str) -> Result<usize, UsageError> {
    library.place(name).ok_or_else(|| {
        let names: Vec<_> = library.lessons.iter().map(|lesson| &lesson.name[..]).collect();
        UsageError(format!("there is no lesson {name:?}; there are {}", names.join(", ")))
    })
}

fn print(library: &Library) -> anyhow::Result<ExitCode> {
    let (progress, trouble) = Progress::read(&capture::state_folder());
    if let Some(sentence) = trouble {
        let _ = writeln!(io::stderr(), "wsinspect: {sentence}");
    }
    let width = library.lessons.iter().map(|lesson| lesson.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for lesson in &library.lessons {
        let (done, steps) = (progress.count(&lesson.name, lesson.steps.len()), lesson.steps.len());
        let title = sanitize::printable(&lesson.title);
        let _ = writeln!(out, "{:width$}  {done:>2} of {steps:>2} steps  {title}", lesson.name);
    }
    match io::stdout().write_all(out.as_bytes()) {
        // whoever reads our output has had enough
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => written.map(|()| ExitCode::SUCCESS).context(CANNOT_PRINT),
    }
}

async fn show(library: Library, place: Option<usize>, look: &cli::Look) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    // nothing is recorded in it: each lesson has a recording of its own
    let recording = Recording::create(None, false)?;
    let capture = Arc::new(Capture::new(recording.reader()));
    recording.writer(&command_line())?;
    recording.remove_unless_kept();
    let mut view = View::show(Screen {
        capture,
        control: None,
        title: "learn, no network".to_owned(),
        between: false,
        peer: Side::Server,
        notices: None,
        recording: None,
        reading: None,
        marker: None,
        course: course(library),
        learn: Some(place),
        follow: true,
        filter: None,
        ascii: look.ascii,
        color: look.is_colored(),
        clock: Clock::start(),
        stop: StopScreen::default(),
    })?;
    let told_to_stop = tokio::select! {
        () = signals.stop(false) => true,
        ended = view.ended() => {
            ended?;
            false
        }
    };
    view.give_back();
    if told_to_stop {
        tokio::select! {
            ended = view.finish() => ended?,
            () = signals.interrupt() => return Ok(ExitCode::from(INTERRUPTED)),
        }
    }
    Ok(ExitCode::SUCCESS)
}
