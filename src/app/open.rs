//! `wsinspect open`: a capture read and shown, without any traffic.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::sync::oneshot;

use super::view::{Parts, View};
use super::{INTERRUPTED, STANDARD_OUTPUT, Signals, command_line};
use crate::capture::filter::{Filter, Matcher};
use crate::capture::{self, Capture, Clock, ReadProgress, Reading};
use crate::cli::{self, FINDINGS, UsageError};
use crate::formats::export::{self, Kind, Progress, Selection, Stop};
use crate::lint::{Level, Rule};
use crate::wire::Side;

/// Opens the file, shows what is in it and takes everything down again.
pub(super) fn run(open: &cli::Open) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start to wait for signals and for the end")?;
    let opened = capture::open(&open.file, open.show.limits(), &command_line())?;
    if let Some(out) = &open.export {
        opened.reading.run(false, &AtomicBool::new(false)).iter().for_each(|sentence| say(sentence));
        let outcome = export(open, out, &opened.capture);
        if let Some(recording) = opened.recording {
            recording.remove_unless_kept();
        }
        return outcome;
    }
    let outcome = runtime.block_on(show(open, opened.capture.clone(), opened.reading, opened.progress));
    runtime.shutdown_background();
    if let Some(recording) = opened.recording {
        recording.remove_unless_kept();
    }
    outcome
}

/// Writes what was read to a file of another kind, or to standard output.
fn export(open: &cli::Open, out: &Path, capture: &Capture) -> anyhow::Result<ExitCode> {
    let kind = open.kind.or_else(|| Kind::of_path(out)).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        UsageError(format!("the suffix of {} says nothing of what to export; --as does: {names}", out.display()))
    })?;
    let selection = match &open.show.filter {
        Some(argument) => Selection::Frames(matching(capture, argument.filter.clone())),
        None => Selection::All,
    };
    let progress = Progress::default();
    if out == Path::new(STANDARD_OUTPUT) {
        let written = export::write(capture, kind, &selection, &progress, &mut io::stdout().lock());
        return match written {
            // whoever reads our output has had enough
            Err(Stop::Failed(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            written => Ok(written.map(|_| ExitCode::SUCCESS)?),
        };
    }
    let frames = export::to_file(capture, out, kind, |_| Ok(selection), &progress, open.force)?;
    say(&format!("{frames} frames exported to {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

/// The numbers of the frames that `filter` lets through, once everything is read.
fn matching(capture: &Capture, filter: Filter) -> Vec<u64> {
    let mut matcher = Matcher::of(filter);
    let mut numbers = Vec::new();
    let last = capture.index().totals().frames;
    matcher.look(capture, last, &mut numbers);
    matcher.give_up_waiting(capture, &mut numbers);
    numbers.sort_unstable();
    numbers
}

async fn show(
    open: &cli::Open,
    capture: Arc<Capture>,
    reading: Reading,
    progress: Arc<ReadProgress>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let stop = Arc::new(AtomicBool::new(false));
    let parts = Parts {
        capture: capture.clone(),
        control: None,
        clock: Clock::start(),
        title: format!("open {}", name(&open.file)),

        between: false,
        peer: Side::Client,
        recording: None,
        notices: None,
        reading: Some(progress),
        marker: None,
        follow: open.follow,
    };
    let mut view = View::start(&open.show, parts)?;
    let mut read = start(reading, open.follow, stop.clone())?;
    let mut is_read = false;
    let has_screen = matches!(view, View::Screen { .. });
    let seen = loop {
        tokio::select! {
            () = signals.stop(false) => break Ok(true),
            ended = view.ended() => break ended.map(|()| false),
            sentences = &mut read, if !is_read => {
                is_read = true;
                if let View::Printed(printer) = &view {
                    printer.nothing_more();
                }
                for sentence in sentences.unwrap_or_default().iter().filter(|_| !has_screen) {
                    say(sentence);
                }
            }
        }
    };
    view.give_back();
    stop.store(true, Ordering::Release);
    let told_to_stop = seen?;
    if told_to_stop {
        tokio::select! {
            ended = view.finish() => ended?,
            () = signals.interrupt() => return Ok(ExitCode::from(INTERRUPTED)),
        }
    }
    let index = capture.index();
    if let (true, Some(damage)) = (has_screen, index.damage()) {
        say(damage);
    }
    if index.totals().missing > 0 {
        say(&format!("{} bytes that crossed the wire are not in the capture", index.totals().missing));
    }
    let level = open.fail_on.filter(|_| !has_screen).map(Level::from);
    let fails = |rule: &Rule| level.is_some_and(|level| rule.level() >= level) && index.rule_count(*rule) > 0;
    Ok(if Rule::ALL.iter().any(fails) { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
}

/// Starts to read. The thread is not waited for: it may be waiting for standard input.
fn start(reading: Reading, follow: bool, stop: Arc<AtomicBool>) -> anyhow::Result<oneshot::Receiver<Vec<String>>> {
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("reader".to_owned())
        // if nobody waits for the end any more, the program is on its way out
        .spawn(move || drop(end.send(reading.run(follow, &stop))))
        .context("cannot start the thread that reads")?;
    Ok(ended)
}

fn name(file: &Path) -> String {
    if file == Path::new(STANDARD_OUTPUT) {
        return "standard input".to_owned();
    }
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn say(sentence: &str) {
    // a closed standard error is no reason to fail
    let _ = writeln!(io::stderr(), "wsinspect: {sentence}");
}
