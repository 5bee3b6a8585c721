//! A lesson that is being taken: where the learner is, what happens on its connection, and whether what was asked for
//! was done.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::lesson::{Deed, Lesson, Look, Step, Task};
use super::script::{Send, Statement};
use super::stage::{Stage, Told};
use crate::capture::filter::{Filter, Matcher};
use crate::capture::{
    self, Capture, Clock, ConnectionId, Event, EventKind, Marker, Origin, Recorder, Recording, RecordingError,
    Timestamp,
};
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

/// What happens by itself.
impl Session {
    /// Time has passed: what is due happens, and what was recorded is held against what is expected. Whether anything
    /// has changed.
    pub fn tick(&mut self) -> bool {
        let now = Instant::now();
        let played = self.due().is_some_and(|due| due <= now);
        if played {
            self.play(now);
        }
        let generation = (self.at, self.capture.generation());
        if self.checked == Some(generation) {
            return played;
        }
        self.checked = Some(generation);
        self.check() || played
    }

    fn go(&mut self, at: usize) {
        self.hurry();
        let now = Instant::now();
        self.at = at;
        self.feedback = None;
        self.hints = 0;
        self.checked = None;
        let lesson = self.lesson.clone();
        let step = lesson.step(at);
        let is_new = !self.visits.contains_key(&at);
        let plays = is_new && !step.script.is_empty();
        if is_new {
            self.visits.insert(at, Visit { since: self.last, said: [Vec::new(), Vec::new()] });
        }
        if self.stage.is_over() && (plays || matches!(step.task, Task::Do(_))) {
            self.connect(now);
        }
        if !plays {
            return;
        }
        for statement in &step.script {
            match statement {
                Statement::Connect => {
                    self.play_all();
                    self.connect(now);
                }
                Statement::Pause(pause) => {
                    let due = self.latest_due(now) + *pause;
                    self.coming.push_back((due, Act::Wait));
                }
                Statement::End(side) => {
                    let due = self.latest_due(now);
                    self.coming.push_back((due, Act::End(*side)));
                }
                Statement::Send(send) => self.say(send, now),
            }
        }
        self.play(now);
    }

    fn say(&mut self, send: &Send, now: Instant) {
        // what was said before is known to the server first
        if self.coming.iter().all(|(due, _)| *due <= now) {
            self.play_all();
        }
        let keys = &mut self.keys;
        let fresh = || {
            *keys += 1;
            scripted_key(*keys)
        };
        let told = self.stage.told(send.from, &send.parts, now, fresh);
        let act = if send.from == Side::Client { Act::Client } else { Act::Server };
        self.queue(told.split(send.reads.iter().copied()), send.every, act);
    }

    fn queue(&mut self, pieces: Vec<Told>, every: std::time::Duration, act: impl Fn(Told) -> Act) {
        let mut due = self.latest_due(Instant::now());
        for (place, piece) in pieces.into_iter().enumerate() {
            if place > 0 {
                due += every;
            }
            self.coming.push_back((due, act(piece)));
        }
    }

    fn latest_due(&self, now: Instant) -> Instant {
        self.coming.back().map_or(now, |(due, _)| (*due).max(now))
    }

    /// Lets happen what is due.
    fn play(&mut self, now: Instant) {
        while self.due().is_some_and(|due| due <= now) {
            self.play_one(now);
        }
    }

    fn play_all(&mut self) {
        while !self.coming.is_empty() {
            self.play_one(Instant::now());
        }
    }

    fn play_one(&mut self, now: Instant) {
        let Some((_, act)) = self.coming.pop_front() else { return };
        match act {
            Act::Client(told) => self.stage.client(told, now),
            Act::Server(told) => self.stage.server(told),
            Act::End(side) => self.stage.end(side, now),
            Act::Wait => {}
        }
        // what is cut into writes goes out before what follows from it
        if !self.coming.iter().any(|(_, act)| matches!(act, Act::Server(_))) {
            self.stage.settle(now);
        }
        self.record();
    }

    /// Lets happen at once what was still to happen.
    fn hurry(&mut self) {
        self.play_all();
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId(self.connections.into())
    }

    fn connect(&mut self, now: Instant) {
        if !self.stage.is_over() {
            self.stage.end(Side::Client, now);
            self.stage.settle(now);
            self.record();
        }
        self.connections = self.connections.saturating_add(1);
        self.stage = Stage::open(&self.lesson, self.connections, now);
        self.record();
    }

    fn record(&mut self) {
        let connection = self.connection();
        let mut is_handshake = false;
        for kind in self.stage.take() {
            match &kind {
                EventKind::Opened { .. } => is_handshake = true,
                EventKind::Chunk { from, bytes, .. } if !is_handshake => {
                    if let Some(visit) = self.visits.get_mut(&self.at) {
                        let said = &mut visit.said[*from as usize];
                        let room = MOST_SAID.saturating_sub(said.len()).min(bytes.len());
                        said.extend_from_slice(&bytes[..room]);
                    }
                }
                _ => {}
            }
            // no two events at one time, so that what was recorded can be told by it
            self.last = self.clock.now().max(Timestamp(self.last.0 + 1));
            self.recorder.record_at_once(Event { connection, time: self.last, kind });
        }
    }

    /// Holds what was recorded against what is expected; whether that is worth a drawing.
    fn check(&mut self) -> bool {
        let lesson = self.lesson.clone();
        let Task::Do(deed) = &lesson.step(self.at).task else { return false };
        if self.is_solved() {
            return false;
        }
        let index = self.capture.index();
        let (last, is_all) = (index.totals().frames, index.latest() >= self.last);
        drop(index);
        if self.is_done(deed, last) {
            self.right();
            return true;
        }
        // an answer may still be on its way
        if !is_all || !self.coming.is_empty() {
            return false;
        }
        let feedback = self.told_wrong(deed, last).map(Feedback::Wrong);
        let changed = feedback.is_some() && feedback != self.feedback;
        if changed {
            self.feedback = feedback;
        }
        if self.stage.is_over() {
            self.connect(Instant::now());
        }
        changed
    }

    fn is_done(&self, deed: &Deed, last: u64) -> bool {
        // in any order: a frame that never ends is counted after what it led to
        let mut taken = Vec::new();
        deed.expect.iter().all(|filter| {
            let found = self.matching(filter, last).into_iter().find(|n| !taken.contains(n));
            taken.extend(found);
            found.is_some()
        })
    }

    /// What is to be said of the learner's last frame, if there is one.
    fn told_wrong(&self, deed: &Deed, last: u64) -> Option<String> {
        let (index, since) = (self.capture.index(), self.since());
        let is_theirs =
            |n: &u64| index.frame(*n).is_some_and(|frame| frame.origin() == Origin::User && frame.time() > since);
        let newest = (1..=last).rev().find(is_theirs)?;
        drop(index);
        let matching = |filter: &Filter| self.matching(filter, last).into_iter().any(|n| n >= newest);
        let known = deed.wrong.iter().find(|(filter, _)| matching(filter));
        Some(known.map_or(&deed.otherwise, |(_, why)| why).clone())
    }

    /// The frames of this step that a filter lets through, in their order.
    fn matching(&self, filter: &Filter, last: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        let mut matcher = Matcher::of(filter.clone());
        matcher.look(&self.capture, last, &mut numbers);
        let (index, since) = (self.capture.index(), self.since());
        numbers.retain(|n| index.frame(*n).is_some_and(|frame| frame.time() > since));
        numbers.sort_unstable();
        numbers
    }

    fn right(&mut self) {
        let praise = self.step().praise.clone();
        self.feedback = Some(Feedback::Right(praise));
        self.solve();
    }

    fn solve(&mut self) {
        if !self.is_solved() {
            self.solved.push(self.at);
        }
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
