//! A filter held against the frames of a capture, in their order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Filter;
use super::clocks::Clocks;
use super::columns::{ALL, Block, Glance, UNKNOWN};
use super::expr::{Facts, Fragments, Payload, Truth};
use super::payloads;
use super::picked::Picked;
use super::threads::{Changes, Placed, Thread, Threads};
use crate::capture::bulk::{BulkReader, in_file_order};
use crate::capture::frame_entry::{Flags, Span};
use crate::capture::{Capture, ConnectionId, FrameEntry, Index, MessageReader, MilestoneKind};
use crate::lint::Finding;

/// Holds a filter against every frame, from the first one on. Headers are looked at under the index's lock, a piece at a
/// time; payloads are read after that, and only those that decide.
#[derive(Debug)]
pub struct Matcher {
    filter: Option<Filter>,
    /// The same for a second thread: a regular expression keeps room for one, and another would wait for it.
    second: Option<Filter>,
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

/// Frames that their headers alone did not decide on.
#[derive(Debug, Default)]
struct Undecided {
    /// Those of which nothing has to be known beyond header and payload.
    lone: Vec<Picked>,
    others: Vec<Candidate>,
    /// Payload bytes of all of them.
    bytes: u64,
}

/// What a step of the matcher came to.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Frames that match and stand for themselves: a bit for each of 64, by the first of those.
    alone: BTreeMap<u64, u64>,
    /// Others that match, each with the first frame of its message. Not in order.
    pub(super) matches: Vec<(u64, u64)>,
    /// Messages of several frames that have begun or grown, by their first frame.
    pub(super) threads: BTreeMap<u64, Thread>,
}

impl Matcher {
    /// Frames that are looked at before the recorder gets its turn.
    const PIECE: u64 = 4096;
    /// Pieces that are looked at before payloads are read, and the payload bytes at which there are fewer. What each reading
    /// begins with, room and the ends of connections, is little beside so many.
    const PIECES: usize = 16;
    const ENOUGH: u64 = 8 << 20;
    /// Payload bytes that two threads look at.
    const MUCH: u64 = 1 << 20;
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
            second: None,
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
    pub fn next(&self) -> u64 {
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
        matches.extend(step.numbers());
    }

    /// Decides on the frames that wait for the end of their message, although it has not come.
    pub fn give_up_waiting(&mut self, capture: &Capture, matches: &mut Vec<u64>) {
        let mut step = Step::default();
        let unfinished: Vec<_> = self.threads.unfinished().collect();
        self.finish(capture, unfinished, &mut step);
        matches.extend(step.numbers());
    }

    /// Looks at the next frames, up to `last`. If `stop` is set meanwhile, payloads are no longer read.
    pub(super) fn step(&mut self, capture: &Capture, last: u64, stop: &AtomicBool, found: &mut Step) {
        let mut undecided = Undecided::default();
        let mut changes = Changes::default();
        let mut over = Vec::new();
        // payloads are read for several pieces at once
        for _ in 0..Self::PIECES {
            let before = self.next;
            self.piece(&capture.index(), last, found, &mut undecided, &mut changes, &mut over);
            if self.next == before || undecided.bytes >= Self::ENOUGH || stop.load(Ordering::Relaxed) {
                break;
            }
        }
        found.threads.append(&mut changes.grown);
        let mut finished = changes.finished;
        let is_much = undecided.bytes >= Self::MUCH;
        if !self.lone(capture, &undecided.lone, is_much, stop, found)
            || !self.payloads(capture, undecided.others, stop, found)
        {
            return;
        }
        for connection in over {
            finished.extend(self.threads.end(connection));
        }
        self.finish(capture, finished, found);
    }

    /// What the headers of the next piece of frames tell, and which connections are over.
    fn piece(
        &mut self,
        index: &Index,
        last: u64,
        found: &mut Step,
        undecided: &mut Undecided,
        changes: &mut Changes,
        over: &mut Vec<ConnectionId>,
    ) {
        if self.next <= index.gone() {
            self.next = index.gone() + 1;
        }
        let end = last.min(self.next.saturating_add(Self::PIECE - 1));
        let clocks = self.filter.as_ref().map(|filter| Clocks::of(filter.zone.clone()));
        let mut entries = Vec::new();
        while self.next <= end {
            // no more than PIECE
            let Some((span, tells_all)) = index.span(self.next, Block::MOST.min((end - self.next + 1) as usize)) else {
                break;
            };
            let there = u64::MAX >> (Block::MOST - span.len());
            let are_alone = !self.follows_messages || self.threads.are_alone(span.frames());
            let Glance { yes, maybe } = match (&self.filter, &clocks) {
                (Some(filter), Some(clocks)) if tells_all => {
                    Block::of(self.next, span, are_alone, clocks).glance(&filter.expr)
                }
                (Some(_), _) => UNKNOWN,
                (None, _) => ALL,
            };
            let glance = Glance { yes: yes & there, maybe: maybe & there };
            if are_alone && (glance.is_decided() || tells_all && self.leaves_payloads(&span)) {
                // nothing more has to be known of them, but payloads of some
                let picked = |bits| Picked { first: self.next, bits };
                found.add(picked(glance.yes));
                let open = picked(glance.maybe & !glance.yes);
                if !open.is_empty() {
                    let lengths = open.places().map(|place| u64::from(span.frames()[place].length()));
                    undecided.bytes = undecided.bytes.saturating_add(lengths.sum());
                    undecided.lone.push(open);
                }
                self.next += span.len() as u64;
                continue;
            }
            index.frames_from(self.next, span.len(), &mut entries);
            let changes = if are_alone { None } else { Some(&mut *changes) };
            self.headers(index, &entries, glance, found, undecided, changes);
        }
        while let Some(milestone) = index.milestones(self.next_milestone).first()
            && milestone.after_frame < self.next
        {
            self.next_milestone = milestone.number + 1;
            if milestone.kind == MilestoneKind::Closed {
                over.push(milestone.connection);
            }
        }
    }

    /// Whether of these frames, which stand for themselves, only payloads may have to be looked at, each as it was on the wire.
    fn leaves_payloads(&self, span: &Span<'_>) -> bool {
        !span.may_have(Flags::COMPRESSED) && self.filter.as_ref().is_some_and(|filter| filter.leaves_payloads)
    }

    /// What the headers of the next frames tell, which are a block at most. There are no `changes` where each stands for itself.
    fn headers(
        &mut self,
        index: &Index,
        entries: &[FrameEntry],
        Glance { mut yes, mut maybe }: Glance,
        found: &mut Step,
        undecided: &mut Undecided,
        mut changes: Option<&mut Changes>,
    ) {
        let leaves_payloads = changes.is_none() && self.filter.as_ref().is_some_and(|filter| filter.leaves_payloads);
        for (n, entry) in (self.next..).zip(entries) {
            // where it is known already, the frame is not looked at
            let placed = changes.as_deref_mut().map(|changes| self.threads.place(n, entry, &entry.header(), changes));
            if yes & 1 == 1 {
                found.matches.push((n, placed.map_or(n, |placed| placed.head)));
            } else if maybe & 1 == 1 && leaves_payloads && !entry.is_compressed() {
                undecided.bytes = undecided.bytes.saturating_add(entry.length());
                undecided.add_lone(n);
            } else if maybe & 1 == 1 {
                let placed = placed.unwrap_or_else(|| Placed::alone(n, entry.header().opcode));
                self.header(index, n, entry, placed, found, undecided);
            }
            (yes, maybe) = (yes >> 1, maybe >> 1);
        }
        self.next += entries.len() as u64;
    }

    /// What a frame's header tells that was not told at a glance.
    fn header(
        &self,
        index: &Index,
        n: u64,
        entry: &FrameEntry,
        placed: Placed,
        found: &mut Step,
        undecided: &mut Undecided,
    ) {
        // without a filter every frame matches at a glance
        let Some(filter) = &self.filter else { return };
        let findings = if filter.asks_rules && entry.has_findings() { index.findings(n) } else { &[] };
        let rtt = if filter.asks_round_trips { index.round_trip(n) } else { None };
        let facts = Facts::of(filter, n, entry, placed, findings, rtt);
        let truth = filter.expr.eval(&facts, &mut None);
        if matches!(truth, Truth::Unread | Truth::Unsure) {
            undecided.bytes = undecided.bytes.saturating_add(entry.length());
        }
        match truth {
            Truth::Yes => found.matches.push((n, placed.head)),
            Truth::No => {}
            Truth::Unread
                if placed == Placed::alone(n, entry.header().opcode)
                    && findings.is_empty()
                    && rtt.is_none()
                    && !entry.is_compressed() =>
            {
                undecided.add_lone(n);
            }
            Truth::Unread | Truth::Unsure => {
                let (entry, findings) = (*entry, findings.to_vec());
                undecided.others.push(Candidate { n, entry, findings, placed, rtt });
            }
        }
    }

    /// What the payloads of such tell, by two threads if they are much; `false` if it was stopped.
    fn lone(&mut self, capture: &Capture, lone: &[Picked], is_much: bool, stop: &AtomicBool, found: &mut Step) -> bool {
        let Some(filter) = self.filter.as_ref().filter(|_| !lone.is_empty()) else { return true };
        let second = is_much.then(|| &*self.second.get_or_insert_with(|| filter.clone()));
        let matches = payloads::search(capture, filter, second, lone, &mut self.messages, stop);
        matches.iter().flatten().for_each(|picked| found.add(*picked));
        matches.is_some()
    }

    /// What the payloads of the others tell; `false` if it was stopped.
    fn payloads(&mut self, capture: &Capture, candidates: Vec<Candidate>, stop: &AtomicBool, found: &mut Step) -> bool {
        let Some(filter) = self.filter.as_ref().filter(|_| !candidates.is_empty()) else { return true };
        let order = in_file_order(candidates.iter().map(|candidate| &candidate.entry));
        let mut reader = BulkReader::of(capture, order.iter().map(|place| &candidates[*place].entry));
        let mut are_unsure = vec![false; candidates.len()];
        for place in order {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            let candidate = &candidates[place];
            match candidate.eval(filter, &mut reader, &mut self.messages) {
                Truth::Yes => found.matches.push((candidate.n, candidate.placed.head)),
                Truth::Unsure => are_unsure[place] = true,
                Truth::No | Truth::Unread => {}
            }
        }
        for (candidate, _) in candidates.into_iter().zip(are_unsure).filter(|(_, is_unsure)| *is_unsure) {
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
        let mut reader = BulkReader::of(capture, candidates.iter().map(|candidate| &candidate.entry));
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
            let mut reader = BulkReader::of(capture, waiting.iter().map(|candidate| &candidate.entry));
            for mut candidate in waiting {
                candidate.placed.fragments = Fragments::Exactly(thread.fragments.into());
                if candidate.eval(filter, &mut reader, &mut self.messages) == Truth::Yes {
                    found.matches.push((candidate.n, candidate.placed.head));
                }
            }
        }
    }
}

impl Undecided {
    /// Frame `n`, which comes after the others.
    fn add_lone(&mut self, n: u64) {
        match self.lone.last_mut() {
            Some(Picked { first, bits }) if n - *first < Picked::MOST as u64 => *bits |= 1 << (n - *first),
            _ => self.lone.push(Picked::one(n)),
        }
    }
}

impl Step {
    pub(super) fn is_empty(&self) -> bool {
        self.alone.is_empty() && self.matches.is_empty() && self.threads.is_empty()
    }

    /// Frames that match and stand for themselves.
    fn add(&mut self, picked: Picked) {
        if !picked.is_empty() {
            *self.alone.entry(picked.first).or_default() |= picked.bits;
        }
    }

    /// The same, in ascending order, and none of them from now on.
    pub(super) fn take_alone(&mut self) -> impl Iterator<Item = Picked> + use<> {
        std::mem::take(&mut self.alone).into_iter().map(|(first, bits)| Picked { first, bits })
    }

    /// The frames that match, in no order.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        let alone = self.alone.iter().flat_map(|(&first, &bits)| Picked { first, bits }.numbers());
        alone.chain(self.matches.iter().map(|(n, _)| *n))
    }
}

impl Candidate {
    fn eval(&self, filter: &Filter, reader: &mut BulkReader<'_>, messages: &mut MessageReader) -> Truth {
        let facts = Facts::of(filter, self.n, &self.entry, self.placed, &self.findings, self.rtt);
        filter.expr.eval(&facts, &mut Some(Payload::of(reader, messages)))
    }
}
