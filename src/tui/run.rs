//! The loop of the panel: wait, take what came, draw if something changed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;

use super::action::View;
use super::model::Model;
use super::snapshot::SnapshotReader;
use super::terminal::{self, Keys, Output, Waited};
use super::theme::Theme;
use super::work::{self, Chosen, Task, What, Work};
use super::{update, view};
use crate::capture::filter::Filter;
use crate::capture::{Capture, Clock, Connection, Mark, Marker, ReadProgress, Recording, Timestamp};
use crate::control::Control;
use crate::formats::export::Selection;
use crate::wire::Side;

/// What the panel shows, and where its wishes go.
#[derive(Debug)]
pub struct Screen {
    /// What was seen.
    pub capture: Arc<Capture>,
    /// Takes what the user sends; `None` where there is nobody to send to.
    pub control: Option<Control>,
    /// What runs: `serve 127.0.0.1:9002`.
    pub title: String,
    /// Whether we stand between two others, and have a choice whom to send to.
    pub between: bool,
    /// Whom we send to where we have none.
    pub peer: Side,
    /// What is being recorded, if anything is.
    pub recording: Option<Arc<Recording>>,
    /// How far the file is read that was opened, if one was.
    pub reading: Option<Arc<ReadProgress>>,
    /// What is to be said at the bottom as it happens, if anything may be.
    pub notices: Option<Receiver<String>>,
    /// Takes the user's marks, where there is a recording.
    pub marker: Option<Marker>,
    /// Whether the newest frame is followed from the start.
    pub follow: bool,
    /// The filter to begin with, and how it was written.
    pub filter: Option<(String, Filter)>,
    /// Whether only ASCII may be used.
    pub ascii: bool,
    /// Whether colours may be used.
    pub color: bool,
    /// Tells the time, by the same clock as the capture's.
    pub clock: Clock,
    /// Ends the panel from outside.
    pub stop: StopScreen,
}

/// Ends the panel from another thread: within a frame's time, unless the terminal has stopped reading.
#[derive(Clone, Debug, Default)]
pub struct StopScreen {
    stopped: Arc<AtomicBool>,
}

impl StopScreen {
    /// The panel ends.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// Why the panel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user wants the program to end.
    Quit,
    /// [`StopScreen::stop`] was called.
    Stopped,
    /// The terminal is gone, or [`super::restore`] gave it back.
    TerminalLost,
}

/// The least time between two drawings.
const FRAME: Duration = Duration::from_millis(16);
/// The least patience with which crossterm looks at all.
const SHORT: Duration = Duration::from_millis(1);
/// How often the count of new frames is drawn while the view is frozen.
const FROZEN: Duration = Duration::from_millis(250);
/// How often it is drawn how far an export is, or the reading of a file.
const WORK: Duration = Duration::from_millis(100);
/// How often a time that goes on is drawn.
const TICK: Duration = Duration::from_secs(1);

/// Shows the panel until the user quits, it is stopped or the terminal is gone. The terminal is given back in any case.
pub fn run(screen: Screen) -> io::Result<Outcome> {
    let keys = Keys::open()?;
    let size = terminal::size()?;
    terminal::take()?;
    let _restored = Restore;
    let theme = Theme { color: screen.color, ascii: screen.ascii };
    let recording = screen.recording.as_ref().and_then(|recording| recording.name());
    let mut model = Model::new(screen.title.clone(), recording.map(|path| work::name(&path)), theme, size);
    model.towards = screen.between.then_some(Side::Server);
    model.peer = screen.peer;
    model.live = screen.control.is_some();
    model.frames.follow = screen.follow;
    model.reading.clone_from(&screen.reading);
    if let Some((expression, filter)) = screen.filter.clone() {
        model.filters.push(expression.clone());
        model.listing.filter(expression, Some(filter));
        model.sift(&screen.capture);
    }
    let output = terminal::screen(size)?;
    let mut panel = Panel { screen, model, output, reader: SnapshotReader::default(), drawn: None, changed: true };
    // when there is no drawing on the terminal, there is nobody to tell why
    let outcome = panel.run(&keys).unwrap_or(Outcome::TerminalLost);
    // before the panel is dropped: ratatui complains if it can't show the cursor itself
    terminal::restore();
    if let Some(work) = panel.model.work.take() {
        work.end();
    }
    Ok(outcome)
}

struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        terminal::restore();
    }
}

struct Panel {
    screen: Screen,
    model: Model,
    output: Terminal<CrosstermBackend<Output>>,
    reader: SnapshotReader,
    drawn: Option<Drawn>,
    /// Something other than the capture changed since.
    changed: bool,
}

/// The last drawing.
#[derive(Clone, Copy)]
struct Drawn {
    at: Instant,
    generation: u64,
    /// How far the filter had come.
    looked_at: Option<u64>,
}

impl Panel {
    fn run(&mut self, keys: &Keys) -> io::Result<Outcome> {
        loop {
            if self.screen.stop.is_stopped() {
                return Ok(Outcome::Stopped);
            }
            if !terminal::is_taken() {
                // a panic on another thread gave it back
                return Ok(Outcome::TerminalLost);
            }
            if self.resize(terminal::size()?) {
                self.output = terminal::screen(self.model.size)?;
            }
            self.work();
            if self.is_due(Instant::now()) {
                self.draw()?;
            }
            // looking whether something came costs next to nothing; only what changed is drawn
            match keys.wait(FRAME) {
                Waited::Lost => return Ok(Outcome::TerminalLost),
                Waited::Nothing => {}
                Waited::Input => self.input()?,
            }
            if self.model.quit {
                return Ok(Outcome::Quit);
            }
        }
    }

    fn resize(&mut self, size: Size) -> bool {
        let resized = size != self.model.size;
        if resized {
            self.model.resize(size);
            self.changed = true;
        }
        resized
    }

    /// Takes everything that has come.
    fn input(&mut self) -> io::Result<()> {
        while crossterm::event::poll(SHORT)? {
            let event = crossterm::event::read()?;
            self.changed = true;
            if let Some(command) = update::event(&mut self.model, event, &self.screen.capture)
                && let Some(control) = &self.screen.control
            {
                control.send(command);
            }
            if self.model.quit {
                break;
            }
        }
        Ok(())
    }

    /// Begins what is to be done with files, and sees what came of it; says what is to be said.
    fn work(&mut self) {
        if let Some(finished) = self.model.work.as_ref().and_then(Work::finished) {
            self.model.work = None;
            self.model.say(finished.said);
            if let Some(path) = finished.kept {
                self.model.recording = Some(work::name(&path));
            }
            self.changed = true;
        }
        let notice = self.screen.notices.as_ref().and_then(|notices| notices.try_iter().last());
        if let Some(notice) = notice {
            self.model.say(notice);
            self.changed = true;
        }
        let Some(task) = self.model.task.take() else { return };
        let capture = &self.screen.capture;
        match (task, &self.screen.recording) {
            (Task::Export { path, kind, what }, _) => {
                let chosen = match what {
                    What::All => Chosen::Known(Selection::All),
                    What::Listed => self.model.listed(&capture.index()),
                    What::Payload(n) => Chosen::Known(Selection::Frames(vec![n])),
                };
                self.model.work = Some(Work::export(capture.clone(), path, kind, chosen));
            }
            (Task::Keep(path), Some(recording)) => {
                self.model.work = Some(Work::keep(capture.clone(), recording.clone(), path));
            }
            (Task::Mark(n, text), _) => self.mark(n, text),
            (Task::Keep(_), None) => {}
        }
        self.changed = true;
    }

    fn mark(&mut self, frame: u64, text: Option<String>) {
        let index = self.screen.capture.index();
        let Some(entry) = index.frame(frame) else { return };
        let id = entry.connection();
        let Some((client, server)) = index.connection(id).map(Connection::addresses) else { return };
        let (from, to) = if entry.from() == Side::Client { (client, server) } else { (server, client) };
        drop(index);
        let mark = Mark { frame, text, from, to };
        let now = self.screen.clock.now();
        if !self.screen.marker.as_ref().is_some_and(|marker| marker.mark(id, now, mark)) {
            self.model.say("nothing is recorded any more, marks neither");
        }
    }

    /// Whether something that is in view has changed since the last drawing, and that is long enough ago.
    fn is_due(&mut self, now: Instant) -> bool {
        if self.model.notice.as_ref().is_some_and(|notice| notice.until <= now) {
            self.model.notice = None;
            self.changed = true;
        }
        let Some(drawn) = self.drawn else { return true };
        let since = now.saturating_duration_since(drawn.at);
        if self.changed {
            return true;
        }
        // the first pass over a HAR shows nothing yet
        let reads = self.model.reading.as_ref().is_some_and(|reading| reading.so_far().is_some());
        if (reads || self.model.work.is_some()) && since >= WORK {
            return true;
        }
        let traffic =
            self.screen.capture.generation() != drawn.generation || self.model.listing.looked_at() != drawn.looked_at;
        let pause = if self.model.frozen.is_some() { FROZEN } else { FRAME };
        let ticks = matches!(self.model.view, View::Connections | View::Statistics) && self.model.frozen.is_none();
        (traffic && since >= pause) || (ticks && since >= TICK)
    }

    fn draw(&mut self) -> io::Result<()> {
        // before the snapshot: what comes meanwhile is drawn next time
        let generation = self.screen.capture.generation();
        let looked_at = self.model.listing.looked_at();
        // what is over goes on no more
        let now = if self.model.live { self.screen.clock.now() } else { self.screen.capture.index().latest() };
        let waits = draw(&mut self.output, &mut self.model, &mut self.reader, &self.screen.capture, now)?;
        self.drawn = Some(Drawn { at: Instant::now(), generation, looked_at });
        self.changed = waits;
        Ok(())
    }
}

/// Draws what the model has in view, as far as that differs from the last drawing; whether more is left to be read.
pub(super) fn draw<W: io::Write>(
    output: &mut Terminal<CrosstermBackend<W>>,
    model: &mut Model,
    reader: &mut SnapshotReader,
    capture: &Arc<Capture>,
    now: Timestamp,
) -> io::Result<bool> {
    let snapshot = reader.take(model, capture, now);
    output.draw(|frame| {
        if let Some(cursor) = view::draw(model, &snapshot, frame.buffer_mut()) {
            frame.set_cursor_position(cursor);
        }
    })?;
    Ok(snapshot.waits)
}
