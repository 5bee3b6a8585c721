//! What happens by itself in a lesson: its script, and the looking whether what was asked for was done.

use std::time::Instant;

use super::{Act, Feedback, MOST_SAID, Session, Visit, scripted_key};
use crate::capture::filter::{Filter, Matcher};
use crate::capture::{ConnectionId, Event, EventKind, Origin, Timestamp};
use crate::lessons::lesson::{Deed, Task};
use crate::lessons::script::{Send, Statement};
use crate::lessons::stage::{Stage, Told};
use crate::wire::Side;

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

    pub(super) fn go(&mut self, at: usize) {
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

    pub(super) fn say(&mut self, send: &Send, now: Instant) {
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

    pub(super) fn queue(&mut self, pieces: Vec<Told>, every: std::time::Duration, act: impl Fn(Told) -> Act) {
        let mut due = self.latest_due(Instant::now());
        for (place, piece) in pieces.into_iter().enumerate() {
            if place > 0 {
                due += every;
            }
            self.coming.push_back((due, act(piece)));
        }
    }

    pub(super) fn latest_due(&self, now: Instant) -> Instant {
        self.coming.back().map_or(now, |(due, _)| (*due).max(now))
    }

    /// Lets happen what is due.
    pub(super) fn play(&mut self, now: Instant) {
        while self.due().is_some_and(|due| due <= now) {
            self.play_one(now);
        }
    }

    pub(super) fn play_all(&mut self) {
        while !self.coming.is_empty() {
            self.play_one(Instant::now());
        }
    }

    pub(super) fn play_one(&mut self, now: Instant) {
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
    pub(super) fn hurry(&mut self) {
        self.play_all();
    }

    pub(super) fn connection(&self) -> ConnectionId {
        ConnectionId(self.connections.into())
    }

    pub(super) fn connect(&mut self, now: Instant) {
        if !self.stage.is_over() {
            self.stage.end(Side::Client, now);
            self.stage.settle(now);
            self.record();
        }
        self.connections = self.connections.saturating_add(1);
        self.stage = Stage::open(&self.lesson, self.connections, now);
        self.record();
    }

    pub(super) fn record(&mut self) {
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
    pub(super) fn check(&mut self) -> bool {
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

    pub(super) fn is_done(&self, deed: &Deed, last: u64) -> bool {
        // in any order: a frame that never ends is counted after what it led to
        let mut taken = Vec::new();
        deed.expect.iter().all(|filter| {
            let found = self.matching(filter, last).into_iter().find(|n| !taken.contains(n));
            taken.extend(found);
            found.is_some()
        })
    }

    /// What is to be said of the learner's last frame, if there is one.
    pub(super) fn told_wrong(&self, deed: &Deed, last: u64) -> Option<String> {
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
    pub(super) fn matching(&self, filter: &Filter, last: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        let mut matcher = Matcher::of(filter.clone());
        matcher.look(&self.capture, last, &mut numbers);
        let (index, since) = (self.capture.index(), self.since());
        numbers.retain(|n| index.frame(*n).is_some_and(|frame| frame.time() > since));
        numbers.sort_unstable();
        numbers
    }

    pub(super) fn right(&mut self) {
        let praise = self.step().praise.clone();
        self.feedback = Some(Feedback::Right(praise));
        self.solve();
    }

    pub(super) fn solve(&mut self) {
        if !self.is_solved() {
            self.solved.push(self.at);
        }
    }
}
