//! Which rows the list has: every frame, those that a filter lets through, or messages that open to their frames.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use crate::capture::filter::{Filter, Numbers, Sieve, Sifted, Thread, head_of, parts_of};
use crate::capture::{Capture, ConnectionId};

/// What the rows of the list are.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The expression as it was typed; empty if there is none.
    pub(super) expression: String,
    filter: Option<Filter>,
    /// Rows are messages.
    pub(super) messages: bool,
    /// At work unless every frame is a row.
    sieve: Option<Arc<Sieve>>,
    /// The messages that are opened, by their first frame, and their frames.
    opened: BTreeMap<u64, Vec<u64>>,
    /// The sieve is not the one for what is wanted.
    outdated: bool,
    /// The connection whose frames alone are rows, and the sieve for those, so that the other one need not begin anew.
    only: Option<ConnectionId>,
    narrow: Option<Arc<Sieve>>,
}

/// What stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The frame, or the first one of the message.
    pub(super) n: u64,
    pub(super) kind: Kind,
}

/// As what a frame stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// As itself.
    Frame,
    /// For a message, which may be this frame alone.
    Message,
    /// In an opened message, which begins with this frame.
    Inside(u64),
}

/// What stays selected while rows come and go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Anchor {
    pub(super) n: u64,
    /// The first frame of its message, once that was looked for.
    head: Option<u64>,
    /// The frame itself is meant, and not the message that it begins.
    inside: bool,
}

impl Anchor {
    /// A frame, wherever it stands.
    pub(super) const fn frame(n: u64) -> Self {
        Self { n, head: None, inside: true }
    }

    /// What stands in a row.
    pub(super) const fn at(place: Place) -> Self {
        match place.kind {
            Kind::Frame => Self::frame(place.n),
            Kind::Message => Self { n: place.n, head: Some(place.n), inside: false },
            Kind::Inside(head) => Self { n: place.n, head: Some(head), inside: true },
        }
    }
}

impl Listing {
    /// Only frames that match are listed; all of them without a filter.
    pub(super) fn filter(&mut self, expression: String, filter: Option<Filter>) {
        self.expression = expression;
        self.filter = filter;
        self.outdated = true;
        self.narrow = None;
    }

    /// Rows are messages from now on, or frames again.
    pub(super) fn toggle_messages(&mut self) {
        self.messages = !self.messages;
        // with a filter, both have been found
        self.outdated |= self.filter.is_none();
    }

    /// Only frames of this connection are rows, and those as frames; `None` takes that back.
    pub(super) fn narrow(&mut self, only: Option<ConnectionId>) {
        if only != self.only {
            self.only = only;
            self.narrow = None;
        }
    }

    /// The connection whose frames alone are rows.
    pub(super) const fn only(&self) -> Option<ConnectionId> {
        self.only
    }

    /// Begins to look for what is wanted, if that is something else by now.
    pub(super) fn start(&mut self, capture: &Arc<Capture>) -> io::Result<()> {
        if std::mem::take(&mut self.outdated) {
            self.sieve = None;
            if self.messages || self.filter.is_some() {
                self.sieve = Some(Arc::new(Sieve::start(capture.clone(), self.filter.clone())?));
            }
        }
        if let Some(id) = self.only.filter(|_| self.narrow.is_none()) {
            let filter = Filter::of_connection(id, self.filter.as_ref());
            self.narrow = Some(Arc::new(Sieve::start(capture.clone(), Some(filter))?));
        }
        Ok(())
    }

    /// Whether rows are other than all frames.
    pub(super) fn is_sifted(&self) -> bool {
        self.folds() || self.filter.is_some() || self.only.is_some()
    }

    /// The filter at work; `None` without one. It goes on as long as someone has it.
    pub(super) fn filtering(&self) -> Option<Arc<Sieve>> {
        self.lets_through()?;
        self.current().cloned()
    }

    /// How many of those come after frame `hidden` and up to `last`.
    pub(super) fn matching(&self, hidden: u64, last: u64) -> Option<u64> {
        self.lets_through()?;
        self.sifted(|sifted| sifted.frames.count_to(last).saturating_sub(sifted.frames.count_to(hidden)))
    }

    /// How many frames have been looked at, where that takes time.
    pub(super) fn looked_at(&self) -> Option<u64> {
        self.current().map(|sieve| sieve.looked_at())
    }

    /// Opens the message that begins with frame `first`, or closes it.
    pub(super) fn toggle(&mut self, first: u64) {
        if self.opened.remove(&first).is_none() {
            self.opened.insert(first, Vec::new());
        }
    }

    /// Whether that message is opened.
    pub(super) fn is_open(&self, first: u64) -> bool {
        self.opened.contains_key(&first)
    }

    /// The messages that these rows stand for or are in, by their first frames, if they have several.
    pub(super) fn threads(&self, places: &[Place]) -> HashMap<u64, Thread> {
        let firsts = places.iter().filter_map(|place| match place.kind {
            Kind::Frame => None,
            Kind::Message => Some(place.n),
            Kind::Inside(first) => Some(first),
        });
        self.sifted(|sifted| firsts.filter_map(|first| Some((first, *sifted.thread(first)?))).collect())
            .unwrap_or_default()
    }

    /// What has been found.
    pub(super) fn sifted<T>(&self, look: impl FnOnce(&Sifted) -> T) -> Option<T> {
        self.current().map(|sieve| look(&sieve.sifted()))
    }

    /// Looks for what has come to the messages that are opened.
    pub(super) fn refresh(&mut self, capture: &Capture) {
        let gone = capture.index().gone();
        self.opened.retain(|first, _| *first > gone);
        let Some(sieve) = self.sieve.as_ref().filter(|_| self.folds()) else { return };
        for (first, parts) in &mut self.opened {
            let thread = sieve.sifted().thread(*first).copied();
            let next = parts.last().map_or(0, |last| last + 1);
            if let Some(thread) = thread.filter(|thread| u64::from(thread.last) >= next) {
                parts.extend(parts_of(capture, &thread, next));
            }
        }
    }

    /// The first and the last row, where frames up to `hidden` are hidden and `last` is the last one.
    pub(super) fn rows(&self, hidden: u64, last: u64) -> (u64, u64) {
        let count = |numbers: &Numbers| (numbers.count_to(hidden), numbers.count_to(last));
        let Some((before, up_to)) = self.sifted(|sifted| count(self.numbers(sifted))) else {
            // nothing has been found yet where something is looked for
            return if self.is_sifted() { (1, 0) } else { (hidden + 1, last) };
        };
        let parts = |of: &dyn Fn(&u64, &[u64]) -> usize| -> u64 {
            self.opened_rows().map(|(first, parts)| of(&first, parts) as u64).sum()
        };
        let hidden_parts = parts(&|first, parts| if *first <= hidden { parts.len() } else { 0 });
        let all_parts = parts(&|first, parts| {
            if *first <= hidden { parts.len() } else { parts.partition_point(|part| *part <= last) }
        });
        (before + hidden_parts + 1, up_to + all_parts)
    }

    /// What stands in a row.
    pub(super) fn place(&self, row: u64) -> Option<Place> {
        if !self.is_sifted() {
            return row.checked_sub(1).map(|_| Place { n: row, kind: Kind::Frame });
        }
        let mut before = 0;
        for (first, parts) in self.opened_rows() {
            let head = self.sifted(|sifted| sifted.messages.count_to(first))? + before;
            if row <= head {
                break;
            }
            if let Some(n) = parts.get((row - head - 1) as usize) {
                return Some(Place { n: *n, kind: Kind::Inside(first) });
            }
            before += parts.len() as u64;
        }
        let n = self.sifted(|sifted| self.numbers(sifted).get((row - before).checked_sub(1)?))??;
        Some(Place { n, kind: if self.folds() { Kind::Message } else { Kind::Frame } })
    }

    /// The row of the anchor, or of what is nearest to it; `None` in an empty list.
    pub(super) fn row(&self, anchor: &mut Anchor, capture: &Capture) -> Option<u64> {
        if !self.is_sifted() {
            return Some(anchor.n);
        }
        let wanted = self.head(anchor, capture);
        let (place, n) = self.sifted(|sifted| nearest(self.numbers(sifted), wanted))??;
        Some(self.row_in(place, n, anchor))
    }

    /// The row that shows the anchor; `None` if there is none.
    pub(super) fn row_exactly(&self, anchor: &mut Anchor, capture: &Capture) -> Option<u64> {
        if !self.is_sifted() {
            return Some(anchor.n);
        }
        let wanted = self.head(anchor, capture);
        let (place, n) = self.sifted(|sifted| nearest(self.numbers(sifted), wanted))??;
        (n == wanted).then(|| self.row_in(place, n, anchor))
    }

    fn head(&self, anchor: &mut Anchor, capture: &Capture) -> u64 {
        if self.folds() { *anchor.head.get_or_insert_with(|| head_of(capture, anchor.n)) } else { anchor.n }
    }

    /// The row of the anchor in or at the `place`th message, which begins with frame `first`, or of the `place`th frame.
    fn row_in(&self, place: u64, first: u64, anchor: &Anchor) -> u64 {
        let before: usize =
            self.opened_rows().take_while(|(head, _)| *head < first).map(|(_, parts)| parts.len()).sum();
        let parts = self.opened.get(&first).filter(|_| self.folds() && anchor.inside);
        let within = parts.and_then(|parts| parts.binary_search(&anchor.n).ok()).map_or(0, |part| part as u64 + 1);
        place + 1 + before as u64 + within
    }

    /// The opened messages that are listed.
    fn opened_rows(&self) -> impl Iterator<Item = (u64, &[u64])> {
        let opened = self.opened.iter().filter(|_| self.folds());
        let listed = opened.filter(|(first, _)| self.sifted(|sifted| sifted.messages.contains(**first)) == Some(true));
        listed.map(|(first, parts)| (*first, parts.as_slice()))
    }

    /// Whether a message of several frames is one row.
    const fn folds(&self) -> bool {
        self.messages && self.only.is_none()
    }

    /// `None` if every frame is let through.
    fn lets_through(&self) -> Option<()> {
        (self.filter.is_some() || self.only.is_some()).then_some(())
    }

    /// The sieve for the rows that are wanted.
    fn current(&self) -> Option<&Arc<Sieve>> {
        if self.only.is_some() { self.narrow.as_ref() } else { self.sieve.as_ref() }
    }

    fn numbers<'a>(&self, sifted: &'a Sifted) -> &'a Numbers {
        if self.folds() { &sifted.messages } else { &sifted.frames }
    }
}

/// The number nearest to `n`, and its place.
fn nearest(numbers: &Numbers, n: u64) -> Option<(u64, u64)> {
    let after = numbers.count_to(n);
    let at = |place: Option<u64>| place.and_then(|place| Some((place, numbers.get(place)?)));
    match (at(after.checked_sub(1)), at(Some(after))) {
        (Some(below), Some(above)) => Some(if n - below.1 <= above.1 - n { below } else { above }),
        (below, above) => below.or(above),
    }
}
