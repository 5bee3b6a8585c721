//! A filter held against the frames of a capture, in their order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Filter;
use super::columns::{ALL, Block, Glance};
use super::expr::{Facts, Fragments, Payload, Truth};
use super::threads::{Changes, Placed, Thread, Threads};
use crate::capture::bulk::BulkReader;
use crate::capture::{Capture, FrameEntry, Index, MessageReader, MilestoneKind};
use crate::lint::Finding;

/// Holds a filter against every frame, from the first one on. Headers are looked at under the index's lock, a piece at a
/// time; payloads are read after that, and only those that decide.
#[derive(Debug)]
pub struct Matcher {
    filter: Option<Filter>,
    /// Whether it is told which message each frame belongs to.
    follows_messages: bool,
    threads: Threads,
    next: u64,
    next_milestone: u64,
    /// What waits for the end of the message that begins with this frame.
    later: BTreeMap<u64, Vec<Candidate>>,
    messages: MessageReader,
}

/// A frame that its header alone did not decide on.
#[derive(Debug)]
struct Candidate {
    n: u64,
    entry: FrameEntry,
    findings: Vec<(u64, Finding)>,
    placed: Placed,
    rtt: Option<u64>,
}

/// What a step of the matcher came to.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Frames that match, each with the first frame of its message. Not in order.
    pub(super) matches: Vec<(u64, u64)>,
    /// Messages of several frames that have begun or grown, by their first frame.
    pub(super) threads: BTreeMap<u64, Thread>,
}

impl Matcher {
    /// Frames that are looked at before the recorder gets its turn.
    const PIECE: u64 = 4096;
    /// The most frames that wait for the end of one message; those after them don't.
    const MOST_LATER: usize = 1 << 16;
    /// Compressed directions that are read one beside the other: 32 KiB each.
    const MOST_STREAMS: usize = 512;

    /// Holds `filter` against frames; without one all of them match. `messages` are followed in any case if the filter asks
    /// for them.
    pub(super) fn new(filter: Option<Filter>, messages: bool) -> Self {
        Self {
            follows_messages: messages || filter.as_ref().is_some_and(|filter| filter.asks_messages),
            filter,
            threads: Threads::default(),
            next: 1,
            next_milestone: 0,
            later: BTreeMap::new(),
            messages: MessageReader::keeping(Self::MOST_STREAMS),
        }
    }

    /// Holds `filter` against the frames of a capture.
    pub fn of(filter: Filter) -> Self {
        Self::new(Some(filter), false)
    }

    /// The next frame that will be looked at.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Every frame below this one is decided on.
    pub fn decided_below(&self) -> u64 {
        self.later.values().filter_map(|waiting| waiting.first()).map(|one| one.n).min().unwrap_or(self.next)
    }

    /// Looks at the frames up to `last`, as far as they are there, and adds the numbers of those that match, in no order.
    pub fn look(&mut self, capture: &Capture, last: u64, matches: &mut Vec<u64>) {
        let mut step = Step::default();
        loop {
            let before = self.next;
            // at least once: a connection may have ended since
            self.step(capture, last, &AtomicBool::new(false), &mut step);
            if self.next == before || self.next > last {
                break;
            }
        }
        matches.extend(step.matches.into_iter().map(|(n, _)| n));
    }

    /// Decides on the frames that wait for the end of their message, although it has not come.
    pub fn give_up_waiting(&mut self, capture: &Capture, matches: &mut Vec<u64>) {
        let mut step = Step::default();
        let unfinished: Vec<_> = self.threads.unfinished().collect();
        self.finish(capture, unfinished, &mut step);
        matches.extend(step.matches.into_iter().map(|(n, _)| n));
    }

    /// Looks at the next frames, up to `last`. If `stop` is set meanwhile, payloads are no longer read.
    pub(super) fn step(&mut self, capture: &Capture, last: u64, stop: &AtomicBool, found: &mut Step) {
        let mut candidates = Vec::new();
        let mut changes = Changes::default();
        let mut over = Vec::new();
        let index = capture.index();
        if self.next <= index.gone() {
            self.next = index.gone() + 1;
        }
        let end = last.min(self.next.saturating_add(Self::PIECE - 1));
        while self.next <= end {
            let entries = index.frames_from(self.next);
            let most = entries.len().min((end - self.next + 1) as usize);
            if most == 0 {
                break;
            }
            self.headers(&index, &entries[..most], found, &mut candidates, &mut changes);
        }
        while let Some(milestone) = index.milestones(self.next_milestone).first()
            && milestone.after_frame < self.next
        {
            self.next_milestone = milestone.number + 1;
            if milestone.kind == MilestoneKind::Closed {
                over.push(milestone.connection);
            }
        }
        drop(index);
        found.threads.append(&mut changes.grown);
        let mut finished = changes.finished;
        if !candidates.is_empty() && !self.payloads(capture, candidates, stop, found) {
            return;
        }
        for connection in over {
            finished.extend(self.threads.end(connection));
        }
        self.finish(capture, finished, found);
    }

    /// What the headers of the next frames tell, a block of them at most.
    fn headers(
        &mut self,
        index: &Index,
        entries: &[FrameEntry],
        found: &mut Step,
        candidates: &mut Vec<Candidate>,
        changes: &mut Changes,
    ) {
        let Glance { mut yes, mut maybe } = match &self.filter {
            Some(filter) => Block::of(self.next, entries, &filter.zone).glance(&filter.expr),
            None => ALL,
        };
        for entry in entries.iter().take(Block::MOST) {
            let glance = match (yes & 1, maybe & 1) {
                (1, _) => Truth::Yes,
                (_, 1) => Truth::Unread,
                _ => Truth::No,
            };
            self.header(index, entry, glance, found, candidates, changes);
            (yes, maybe, self.next) = (yes >> 1, maybe >> 1, self.next + 1);
        }
    }

    /// What a frame's header tells, if it was not told at a glance.
    fn header(
        &mut self,
        index: &Index,
        entry: &FrameEntry,
        glance: Truth,
        found: &mut Step,
        candidates: &mut Vec<Candidate>,
        changes: &mut Changes,
    ) {
        let n = self.next;
        let placed = if self.follows_messages {
            self.threads.place(n, entry, &entry.header(), changes)
        } else {
            Placed { head: n, message: None, fragments: Fragments::None }
        };
        match glance {
            Truth::Yes => return found.matches.push((n, placed.head)),
            Truth::No => return,
            Truth::Unread | Truth::Unsure => {}
        }
        // without a filter every frame matches at a glance
        let Some(filter) = &self.filter else { return };
        let header = entry.header();
        let findings = if filter.asks_rules && entry.has_findings() { index.findings(n) } else { &[] };
        let rtt = if filter.asks_round_trips { index.round_trip(n) } else { None };
        let (message, fragments) = (placed.message, placed.fragments);
        let facts = Facts { n, entry, header, findings, message, fragments, rtt, zone: &filter.zone };
        match filter.expr.eval(&facts, &mut None) {
            Truth::Yes => found.matches.push((n, placed.head)),
            Truth::No => {}
            Truth::Unread | Truth::Unsure => {
                candidates.push(Candidate { n, entry: *entry, findings: findings.to_vec(), placed, rtt });
            }
        }
    }

    /// What their payloads tell; `false` if it was stopped.
    fn payloads(
        &mut self,
        capture: &Capture,
        mut candidates: Vec<Candidate>,
        stop: &AtomicBool,
        found: &mut Step,
    ) -> bool {
        let Some(filter) = &self.filter else { return true };
        // in the order of the file
        candidates.sort_by_key(|candidate| candidate.entry.position().map(|position| position.block));
        let mut reader = BulkReader::new(capture, candidates.iter().map(|candidate| &candidate.entry));
        let mut unsure = Vec::new();
        for candidate in candidates {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            match candidate.eval(filter, &mut reader, &mut self.messages) {
                Truth::Yes => found.matches.push((candidate.n, candidate.placed.head)),
                Truth::Unsure => unsure.push(candidate),
                Truth::No | Truth::Unread => {}
            }
        }
        unsure.sort_unstable_by_key(|candidate| candidate.n);
        for candidate in unsure {
            let waiting = self.later.entry(candidate.placed.head).or_default();
            if waiting.len() < Self::MOST_LATER {
                waiting.push(candidate);
            }
        }
        true
    }

    /// The frames up to `gone` are gone: what has come of messages that began with one of them stands for itself.
    pub(super) fn forget(&mut self, capture: &Capture, gone: u64, found: &mut Step) {
        self.threads.forget(gone);
        let waiting = self.later.split_off(&(gone + 1));
        let candidates = std::mem::replace(&mut self.later, waiting).into_values().flatten();
        let candidates: Vec<_> = candidates.filter(|candidate| candidate.n > gone).collect();
        let Some(filter) = &self.filter else { return };
        let mut reader = BulkReader::new(capture, candidates.iter().map(|candidate| &candidate.entry));
        for mut candidate in candidates {
            candidate.placed.fragments = Fragments::Exactly(1);
            if candidate.eval(filter, &mut reader, &mut self.messages) == Truth::Yes {
                found.matches.push((candidate.n, candidate.n));
            }
        }
    }

    /// Decides on what has waited for the end of these messages.
    fn finish(&mut self, capture: &Capture, finished: Vec<Thread>, found: &mut Step) {
        let Some(filter) = &self.filter else { return };
        for thread in finished {
            let Some(waiting) = self.later.remove(&thread.first.into()) else { continue };
            let mut reader = BulkReader::new(capture, waiting.iter().map(|candidate| &candidate.entry));
            for mut candidate in waiting {
                candidate.placed.fragments = Fragments::Exactly(thread.fragments.into());
                if candidate.eval(filter, &mut reader, &mut self.messages) == Truth::Yes {
                    found.matches.push((candidate.n, candidate.placed.head));
                }
            }
        }
    }
}

impl Candidate {
    fn eval(&self, filter: &Filter, reader: &mut BulkReader<'_>, messages: &mut MessageReader) -> Truth {
        let facts = Facts {
            n: self.n,
            entry: &self.entry,
            header: self.entry.header(),
            findings: &self.findings,
            message: self.placed.message,
            fragments: self.placed.fragments,
            rtt: self.rtt,
            zone: &filter.zone,
        };
        filter.expr.eval(&facts, &mut Some(Payload::of(reader, messages)))
    }
}
