//! A lesson that is being taken: where the learner is, what happens on its connection, and whether what was asked for
//! was done.

mod play;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::lesson::{Lesson, Look, Step, Task};
use super::script::Statement;
use super::stage::{Stage, Told};
use crate::capture::{self, Capture, Clock, Marker, Recorder, Recording, RecordingError, Timestamp};
use crate::control::{Command, Outgoing};
use crate::lint::Limits;
use crate::wire::{MaskingKey, Side};

/// A lesson that is being taken. Its connection is recorded in a capture of its own, which goes with it.
#[derive(Debug)]
pub struct Session {
    lesson: Arc<Lesson>,
    at: usize,
    recording: Arc<Recording>,
    capture: Arc<Capture>,
    recorder: Recorder,
    clock: Clock,
    stage: Stage,
    connections: u16,
    /// What is still to happen, each thing at its time.
    coming: VecDeque<(Instant, Act)>,
    /// When the last event was, as it was recorded.
    last: Timestamp,
    /// The steps that were opened.
    visits: BTreeMap<usize, Visit>,
    /// The steps that were done in this session, and how many of them were taken note of.
    solved: Vec<usize>,
    noted: usize,
    feedback: Option<Feedback>,
    hints: usize,
    /// What was looked at last.
    checked: Option<(usize, u64)>,
    keys: u32,
}

/// A step that was opened.
#[derive(Debug)]
struct Visit {
    /// When: the last event before it.
    since: Timestamp,
    /// The bytes that each side has sent in it, handshakes aside.
    said: [Vec<u8>; 2],
}

/// What is said of what the learner did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// It is done.
    Right(String),
    /// It is not, and why.
    Wrong(String),
}

/// Why a lesson can't be opened.
#[derive(Debug)]
pub enum SessionError {
    /// There is no place for its recording.
    Recording(RecordingError),
    /// There is no thread for it.
    Thread(io::Error),
}

#[derive(Debug)]
enum Act {
    Client(Told),
    Server(Told),
    End(Side),
    /// Nothing; what comes after it is later.
    Wait,
}

/// The most bytes of a side that a step shows.
const MOST_SAID: usize = 4096;

impl Session {
    /// Opens a lesson at a step: its connection is opened, and what happens in the step begins.
    pub fn open(lesson: Arc<Lesson>, step: usize, clock: Clock) -> Result<Self, SessionError> {
        let recording = Arc::new(Recording::create(None, false).map_err(SessionError::Recording)?);
        let capture = Arc::new(Capture::new(recording.reader()));
        let writer = recording.writer("wsinspect learn").map_err(SessionError::Recording)?;
        // the thread ends when the recorder is gone
        let (recorder, _) = capture::start(writer, capture.clone(), Limits::default()).map_err(SessionError::Thread)?;
        let mut session = Self {
            stage: Stage::open(&lesson, 1, Instant::now()),
            at: 0,
            recording,
            capture,
            recorder,
            clock,
            connections: 1,
            coming: VecDeque::new(),
            last: Timestamp::default(),
            visits: BTreeMap::new(),
            solved: Vec::new(),
            noted: 0,
            feedback: None,
            hints: 0,
            checked: None,
            keys: 0,
            lesson,
        };
        session.record();
        session.go(step.min(session.lesson.steps.len() - 1));
        Ok(session)
    }

    /// The lesson.
    pub fn lesson(&self) -> &Arc<Lesson> {
        &self.lesson
    }

    /// The number of the step, from 0.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The step.
    pub fn step(&self) -> &Step {
        self.lesson.step(self.at)
    }

    /// What is recorded of its connection.
    pub const fn capture(&self) -> &Arc<Capture> {
        &self.capture
    }

    /// Where that is recorded.
    pub const fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    /// Takes the learner's marks.
    pub fn marker(&self) -> Marker {
        self.recorder.marker()
    }

    /// Whether the step was done in this session.
    pub fn is_solved(&self) -> bool {
        self.solved.contains(&self.at)
    }

    /// Whether the panes are hidden that would tell the answer.
    pub fn hides(&self) -> bool {
        self.step().look == Look::Hidden && !self.is_solved()
    }

    /// What is said of what was done last in this step.
    pub const fn feedback(&self) -> Option<&Feedback> {
        self.feedback.as_ref()
    }

    /// The hints that were asked for.
    pub fn hints(&self) -> &[String] {
        &self.step().hints[..self.hints]
    }

    /// The bytes that a side has sent in this step: the first few thousand.
    pub fn said(&self, from: Side) -> &[u8] {
        self.visits.get(&self.at).map_or(&[], |visit| &visit.said[from as usize])
    }

    /// The first frame that was recorded in this step, if it is there by now.
    pub fn first_frame(&self) -> Option<u64> {
        let index = self.capture.index();
        (1..=index.totals().frames).find(|n| index.frame(*n).is_some_and(|frame| frame.time() > self.since()))
    }

    /// When the step was opened.
    fn since(&self) -> Timestamp {
        self.visits.get(&self.at).map_or(self.last, |visit| visit.since)
    }

    /// Whether something happens when the step is opened.
    pub fn plays(&self) -> bool {
        self.step().script.iter().any(|statement| matches!(statement, Statement::Send(_)))
    }

    /// When something more is to happen, if it is.
    pub fn due(&self) -> Option<Instant> {
        self.coming.front().map(|(due, _)| *due)
    }

    /// The steps that were done since this was last asked.
    pub fn take_solved(&mut self) -> Vec<usize> {
        let new = self.solved[self.noted..].to_vec();
        self.noted = self.solved.len();
        new
    }
}

/// What the learner does.
impl Session {
    /// Goes on to the next step; what was only to be read is done with that. `false` if there is none.
    pub fn forward(&mut self) -> bool {
        if matches!(self.step().task, Task::Read) {
            self.solve();
        }
        let is_last = self.at + 1 == self.lesson.steps.len();
        if !is_last {
            self.go(self.at + 1);
        }
        !is_last
    }

    /// Goes back to the step before. `false` if there is none.
    pub fn back(&mut self) -> bool {
        let Some(before) = self.at.checked_sub(1) else { return false };
        self.go(before);
        true
    }

    /// Has happen once more what happens when the step is opened.
    pub fn again(&mut self) {
        self.visits.remove(&self.at);
        self.go(self.at);
    }

    /// Gives one more hint. `false` if there is none.
    pub fn hint(&mut self) -> bool {
        let more = self.hints < self.step().hints.len();
        self.hints += usize::from(more);
        more
    }

    /// Takes an answer.
    pub fn answer(&mut self, answer: &str) {
        let Task::Ask(question) = &self.step().task else { return };
        match question.check(answer) {
            Ok(()) => self.right(),
            Err(why) => self.feedback = Some(Feedback::Wrong(why)),
        }
    }

    /// Sends what the learner wants to be sent. A connection that is over takes nothing.
    pub fn send(&mut self, command: &Command) {
        self.hurry();
        let now = Instant::now();
        if self.stage.is_over() || command.connection != self.connection() {
            return;
        }
        let (told, composed) = match (command.to, &command.send) {
            (Side::Client, outgoing) => (self.stage.learner_as_server(outgoing, now), None),
            (Side::Server, outgoing @ Outgoing::Composed(composed)) => {
                (Told::by_the_learner(outgoing, random_key), Some(composed))
            }
            (Side::Server, outgoing) => (Told::by_the_learner(outgoing, random_key), None),
        };
        let act = if command.to == Side::Client { Act::Server } else { Act::Client };
        match composed {
            Some(composed) => {
                let sizes = composed.writes().map(|write| write.len());
                self.queue(told.split(sizes), composed.delay(), act);
            }
            None => self.coming.push_back((now, act(told))),
        }
        self.play(now);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // unless the learner has given it a name
        self.recording.remove_unless_kept();
    }
}

/// A key that is another one each time, and the same in every run.
fn scripted_key(n: u32) -> MaskingKey {
    MaskingKey((n.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995).to_be_bytes())
}

/// A key that nobody can foresee; a system without random numbers gives one that is known, and nobody is harmed here.
fn random_key() -> MaskingKey {
    let mut key = [0x37, 0xfa, 0x21, 0x3d];
    let _ = getrandom::fill(&mut key);
    MaskingKey(key)
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start the recorder of the lesson: {error}"),
        }
    }
}

impl std::error::Error for SessionError {}
