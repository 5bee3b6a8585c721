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
use super::course::Course;
use super::learning;
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
use crate::lessons::Session;
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
    /// The lessons.
    pub course: Course,
    /// Whether there are only lessons, and no traffic; the place of the one that is opened at once, if one is.
    pub learn: Option<Option<usize>>,
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
/// The same where more frames have come meanwhile than there are lines for them: nobody reads as fast as that.
const FLOOD: Duration = Duration::from_millis(30);
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
    model.course = screen.course.clone();
    if let Some(lesson) = screen.learn {
        model.view = View::Lessons;
        model.quiet = Some("There is no network here: 7 shows the lessons, and each has a connection of its own.");
        model.task = lesson.map(Task::Learn);
        model.course.cursor.select(lesson.map_or(1, |place| place as u64 + 1));
    }
    let output = terminal::screen(size)?;
    let live = Desk {
        model,
        capture: screen.capture.clone(),
        reader: SnapshotReader::default(),
        recording: screen.recording.clone(),
        marker: screen.marker.clone(),
    };
    let mut panel = Panel { screen, live, lesson: None, output, drawn: None, changed: true };
    // when there is no drawing on the terminal, there is nobody to tell why
    let outcome = panel.run(&keys).unwrap_or(Outcome::TerminalLost);
    // before the panel is dropped: ratatui complains if it can't show the cursor itself
    terminal::restore();
    for desk in panel.lesson.iter_mut().chain([&mut panel.live]) {
        if let Some(work) = desk.model.work.take() {
            work.end();
        }
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
    /// What the program was started for.
    live: Desk,
    /// The lesson that is open; what goes on meanwhile goes on.
    lesson: Option<Desk>,
    output: Terminal<CrosstermBackend<Output>>,
    drawn: Option<Drawn>,
    /// Something other than the capture changed since.
    changed: bool,
}

/// A capture and the way it is looked at.
struct Desk {
    model: Model,
    capture: Arc<Capture>,
    reader: SnapshotReader,
    recording: Option<Arc<Recording>>,
    marker: Option<Marker>,
}

/// The last drawing.
#[derive(Clone, Copy)]
struct Drawn {
    at: Instant,
    generation: u64,
    /// How many frames there were.
    frames: u64,
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
                self.output = terminal::screen(self.desk().model.size)?;
            }
            self.teach();
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
            if self.desk().model.quit {
                return Ok(Outcome::Quit);
            }
        }
    }

    /// What is on the screen.
    fn desk(&mut self) -> &mut Desk {
        self.lesson.as_mut().unwrap_or(&mut self.live)
    }

    fn resize(&mut self, size: Size) -> bool {
        let model = &mut self.desk().model;
        let resized = size != model.size;
        if resized {
            model.resize(size);
            self.changed = true;
        }
        resized
    }

    /// Takes everything that has come.
    fn input(&mut self) -> io::Result<()> {
        while crossterm::event::poll(SHORT)? {
            let event = crossterm::event::read()?;
            self.changed = true;
            let desk = self.lesson.as_mut().unwrap_or(&mut self.live);
            let command = update::event(&mut desk.model, event, &desk.capture);
            if let Some(command) = command {
                match (&mut desk.model.learning, &self.screen.control) {
                    (Some(learning), _) => learning.session.send(&command),
                    (None, Some(control)) => control.send(command),
                    (None, None) => {}
                }
            }
            if desk.model.quit {
                break;
            }
        }
        Ok(())
    }

    /// Lets the lesson that is open go on, and notes what was done of it.
    fn teach(&mut self) {
        let Some(Desk { model, .. }) = &mut self.lesson else { return };
        self.changed |= learning::tick(model);
        let Some(learning) = &mut model.learning else { return };
        for step in learning.session.take_solved() {
            if let Some(done) = learning.done.get_mut(step) {
                *done = true;
            }
            let trouble = self.live.model.course.add(&learning.session.lesson().name, step);
            if let Some(sentence) = trouble {
                model.notice = Some(super::model::Notice::new(sentence));
            }
        }
    }

    /// Opens a lesson where it was left.
    fn learn(&mut self, place: usize) {
        let live = &mut self.live.model;
        let Some(lesson) = live.course.lessons().get(place).cloned() else { return };
        let done = (0..lesson.steps.len()).map(|step| live.course.is_done(&lesson, step)).collect();
        let session = match Session::open(lesson.clone(), live.course.next(&lesson), self.screen.clock) {
            Ok(session) => session,
            Err(error) => return live.say(error.to_string()),
        };
        let capture = session.capture().clone();
        let (recording, marker) = (Some(session.recording().clone()), Some(session.marker()));
        let model = learning::open(session, done, live.theme, live.size);
        self.lesson = Some(Desk { model, capture, reader: SnapshotReader::default(), recording, marker });
        self.drawn = None;
    }

    /// Goes back from a lesson to what goes on meanwhile.
    fn leave(&mut self) {
        let Some(Desk { mut model, .. }) = self.lesson.take() else { return };
        if let Some(work) = model.work.take() {
            work.end();
        }
        let live = &mut self.live.model;
        live.resize(model.size);
        if let Some(learning) = &model.learning {
            let lesson = learning.session.lesson();
            let (done, steps) = (live.course.done(lesson), lesson.steps.len());
            live.say(format!("lesson {}: {done} of {steps} steps done", lesson.name));
        }
        self.drawn = None;
    }

    /// Begins what is to be done with files, and sees what came of it; says what is to be said.
    fn work(&mut self) {
        for model in self.lesson.iter_mut().map(|desk| &mut desk.model).chain([&mut self.live.model]) {
            if let Some(finished) = model.work.as_ref().and_then(Work::finished) {
                model.work = None;
                model.say(finished.said);
                if let Some(path) = finished.kept {
                    model.recording = Some(work::name(&path));
                }
                self.changed = true;
            }
        }
        let notice = self.screen.notices.as_ref().and_then(|notices| notices.try_iter().last());
        if let Some(notice) = notice {
            self.live.model.say(notice);
            self.changed = true;
        }
        let Desk { model, capture, recording, .. } = self.desk();
        let Some(task) = model.task.take() else { return };
        match (task, recording) {
            (Task::Export { path, kind, what }, _) => {
                let chosen = match what {
                    What::All => Chosen::Known(Selection::All),
                    What::Listed => model.listed(&capture.index()),
                    What::Payload(n) => Chosen::Known(Selection::Frames(vec![n])),
                };
                model.work = Some(Work::export(capture.clone(), path, kind, chosen));
            }
            (Task::Keep(path), Some(recording)) => {
                model.work = Some(Work::keep(capture.clone(), recording.clone(), path));
            }
            (Task::Mark(n, text), _) => self.mark(n, text),
            (Task::Learn(place), _) => self.learn(place),
            (Task::Leave, _) => self.leave(),
            (Task::Keep(_), None) => {}
        }
        self.changed = true;
    }

    fn mark(&mut self, frame: u64, text: Option<String>) {
        let now = self.screen.clock.now();
        let Desk { model, capture, marker, .. } = self.desk();
        let index = capture.index();
        let Some(entry) = index.frame(frame) else { return };
        let id = entry.connection();
        let Some((client, server)) = index.connection(id).map(Connection::addresses) else { return };
        let (from, to) = if entry.from() == Side::Client { (client, server) } else { (server, client) };
        drop(index);
        let mark = Mark { frame, text, from, to };
        if !marker.as_ref().is_some_and(|marker| marker.mark(id, now, mark)) {
            model.say("nothing is recorded any more, marks neither");
        }
    }

    /// Whether something that is in view has changed since the last drawing, and that is long enough ago.
    fn is_due(&mut self, now: Instant) -> bool {
        let Desk { model, capture, .. } = self.lesson.as_mut().unwrap_or(&mut self.live);
        if model.notice.as_ref().is_some_and(|notice| notice.until <= now) {
            model.notice = None;
            self.changed = true;
        }
        let Some(drawn) = self.drawn else { return true };
        let since = now.saturating_duration_since(drawn.at);
        if self.changed {
            return true;
        }
        // the first pass over a HAR shows nothing yet
        let reads = model.reading.as_ref().is_some_and(|reading| reading.so_far().is_some());
        if (reads || model.work.is_some()) && since >= WORK {
            return true;
        }
        let traffic = capture.generation() != drawn.generation || model.listing.looked_at() != drawn.looked_at;
        let pause = if model.frozen.is_some() {
            FROZEN
        } else if capture.index().totals().frames - drawn.frames > u64::from(model.size.height) {
            FLOOD
        } else {
            FRAME
        };
        let ticks = matches!(model.view, View::Connections | View::Statistics) && model.frozen.is_none();
        (traffic && since >= pause) || (ticks && since >= TICK)
    }

    fn draw(&mut self) -> io::Result<()> {
        let Desk { model, capture, reader, .. } = self.lesson.as_mut().unwrap_or(&mut self.live);
        // before the snapshot: what comes meanwhile is drawn next time
        let generation = capture.generation();
        let frames = capture.index().totals().frames;
        let looked_at = model.listing.looked_at();
        // what is over goes on no more
        let now = if model.live { self.screen.clock.now() } else { capture.index().latest() };
        let waits = draw(&mut self.output, model, reader, capture, now)?;
        self.drawn = Some(Drawn { at: Instant::now(), generation, frames, looked_at });
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
