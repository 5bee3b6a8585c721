//! Which frames make a message: a first one, its continuations, and the control frames that the same side sent in
//! between (RFC 6455 5.4).

use std::collections::BTreeMap;

use super::expr::Fragments;
use super::numbers::small;
use crate::capture::frame_entry::Packed;
use crate::capture::{Capture, ConnectionId, FrameEntry};
use crate::wire::{Header, Opcode};

/// A message that takes more than one frame. The one before its last frame may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The number of its first frame.
    pub first: u32,
    /// The number of the last frame of it, or in between, that has come.
    pub last: u32,
    /// How many frames carry it.
    pub fragments: u32,
    /// How many control frames came in between.
    pub inside: u32,
    /// Payload bytes of all its frames.
    pub length: u64,
}

impl Thread {
    /// Whether its beginning is among the frames up to `gone`, and its end is not.
    pub(super) fn is_cut(&self, gone: u64) -> bool {
        u64::from(self.first) <= gone && u64::from(self.last) > gone
    }
}

/// A frame among the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// The first frame of the message that it belongs to or came into; itself if there is none.
    pub(super) head: u64,
    /// What kind of message it belongs to.
    pub(super) message: Option<Opcode>,
    pub(super) fragments: Fragments,
}

/// What a frame does to messages that take several frames.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Those that have begun or grown, as they are by now, by their first frame.
    pub(super) grown: BTreeMap<u64, Thread>,
    /// Those that grow no more.
    pub(super) finished: Vec<Thread>,
}

impl Placed {
    /// A frame that belongs to no message of several frames.
    #[inline]
    pub(super) fn alone(n: u64, opcode: Opcode) -> Self {
        let is_data = !opcode.is_control() && opcode != Opcode::CONTINUATION;
        Self {
            head: n,
            message: is_data.then_some(opcode),
            fragments: if opcode.is_control() { Fragments::None } else { Fragments::Exactly(1) },
        }
    }
}

/// Follows the messages of every direction. Only unfinished ones are kept.
#[derive(Debug, Default)]
pub(super) struct Threads {
    open: BTreeMap<(ConnectionId, bool), (Thread, Opcode)>,
}

impl Threads {
    /// Whether each of the next frames stands for itself, so that they need not be taken one by one: most traffic has no
    /// fragments.
    #[inline]
    pub(super) fn are_alone(&self, frames: &[Packed]) -> bool {
        let goes_on = |frame: &Packed| {
            let first = frame.first_two()[0];
            let opcode = Opcode::new(first);
            first & 0x80 == 0 && !opcode.is_control() && opcode != Opcode::CONTINUATION
        };
        self.open.is_empty() && !frames.iter().fold(false, |any, frame| any | goes_on(frame))
    }

    /// Takes the next frame.
    #[inline]
    pub(super) fn place(&mut self, n: u64, entry: &FrameEntry, header: &Header, changes: &mut Changes) -> Placed {
        let alone = Placed::alone(n, header.opcode);
        let begins = !header.opcode.is_control() && header.opcode != Opcode::CONTINUATION;
        if self.open.is_empty() && (header.fin || !begins) {
            return alone;
        }
        self.place_among(n, entry, header, alone, changes)
    }

    fn place_among(
        &mut self,
        n: u64,
        entry: &FrameEntry,
        header: &Header,
        alone: Placed,
        changes: &mut Changes,
    ) -> Placed {
        let is_control = header.opcode.is_control();
        let key = (entry.connection(), entry.from() == crate::wire::Side::Server);
        if !is_control && header.opcode != Opcode::CONTINUATION {
            // the message that it interrupts
            changes.finished.extend(self.open.remove(&key).map(|(thread, _)| thread));
            if header.fin {
                return alone;
            }
            let thread = Thread { first: small(n), last: small(n), fragments: 1, inside: 0, length: header.length };
            self.open.insert(key, (thread, header.opcode));
            changes.grown.insert(n, thread);
            return Placed { fragments: Fragments::AtLeast(1), ..alone };
        }
        let Some((thread, opcode)) = self.open.get_mut(&key) else { return alone };
        thread.last = small(n);
        if is_control {
            thread.inside = thread.inside.saturating_add(1);
            changes.grown.insert(thread.first.into(), *thread);
            return Placed { head: thread.first.into(), ..alone };
        }
        thread.fragments = thread.fragments.saturating_add(1);
        thread.length = thread.length.saturating_add(header.length);
        let (thread, opcode) = (*thread, *opcode);
        let done = header.fin && entry.is_complete();
        changes.grown.insert(thread.first.into(), thread);
        if done {
            self.open.remove(&key);
            changes.finished.push(thread);
        }
        let count = thread.fragments.into();
        Placed {
            head: thread.first.into(),
            message: Some(opcode),
            fragments: if done { Fragments::Exactly(count) } else { Fragments::AtLeast(count) },
        }
    }

    /// A connection is over: what it has begun grows no more.
    pub(super) fn end(&mut self, connection: ConnectionId) -> impl Iterator<Item = Thread> {
        [false, true]
            .map(|server| self.open.remove(&(connection, server)))
            .into_iter()
            .flatten()
            .map(|(thread, _)| thread)
    }

    /// The frames up to `gone` are gone: what began with one of them goes on as if it had not begun.
    pub(super) fn forget(&mut self, gone: u64) {
        self.open.retain(|_, (thread, _)| u64::from(thread.first) > gone);
    }

    /// Every unfinished message.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = Thread> {
        self.open.values().map(|(thread, _)| *thread)
    }
}

/// Frames that are looked at before the recorder gets its turn.
const PIECE: u64 = 8192;
/// The most frames of one message that are listed.
const MOST_PARTS: usize = 1 << 18;

/// The numbers of the frames of a message and of those that came in between, from frame `from` on.
pub fn parts_of(capture: &Capture, thread: &Thread, from: u64) -> Vec<u64> {
    let last = u64::from(thread.last);
    let mut parts = Vec::new();
    let mut n = from.max(thread.first.into());
    // its first frame may be gone
    let beside = capture.index().frame(last);
    while let Some(beside) = beside
        && n <= last
        && parts.len() < MOST_PARTS
    {
        let index = capture.index();
        let end = last.min(n + PIECE - 1);
        parts.extend((n..=end).filter(|&n| index.frame(n).is_some_and(|entry| entry.is_beside(&beside))));
        n = end + 1;
    }
    parts
}

/// The first frame of the message that frame `n` belongs to or came into; `n` if there is none.
pub fn head_of(capture: &Capture, n: u64) -> u64 {
    let Some(entry) = capture.index().frame(n) else { return n };
    let opcode = entry.header().opcode;
    if !opcode.is_control() && opcode != Opcode::CONTINUATION {
        return n;
    }
    let mut end = n;
    while end > capture.index().gone() + 1 {
        let index = capture.index();
        let start = end.saturating_sub(PIECE).max(index.gone() + 1);
        let data = (start..end).rev().filter_map(|earlier| Some((earlier, index.frame(earlier)?)));
        let data = data.filter(|(_, earlier)| earlier.is_beside(&entry) && !earlier.header().opcode.is_control());
        for (earlier, header) in data.map(|(earlier, entry)| (earlier, entry.header())) {
            if header.fin {
                return n;
            }
            if header.opcode != Opcode::CONTINUATION {
                return earlier;
            }
        }
        end = start;
    }
    n
}
