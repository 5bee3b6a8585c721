//! A filter at work beside everything else: a thread that goes through the capture and on as it grows.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Filter;
use super::matcher::{Matcher, Step};
use super::numbers::Numbers;
use super::threads::{Thread, parts_of};
use crate::capture::Capture;

/// A filter at work. It ends when this is dropped.
#[derive(Debug)]
pub struct Sieve {
    shared: Arc<Shared>,
    capture: Arc<Capture>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    looked_at: AtomicU64,
    sifted: Mutex<Sifted>,
}

/// What has been found by now.
#[derive(Clone, Debug, Default)]
pub struct Sifted {
    /// The frames that match. Without a filter all of them do, and none is named here.
    pub frames: Numbers,
    /// The first frames of the messages of which any frame matches, and the frames that belong to no message.
    pub messages: Numbers,
    /// The messages that take several frames, in order of their first; the same with any filter.
    threads: Vec<Thread>,
}

impl Sieve {
    /// Goes through `capture`, from the first frame on. Without a filter every frame matches, and only messages are put
    /// together.
    pub fn start(capture: Arc<Capture>, filter: Option<Filter>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (theirs, seen) = (shared.clone(), capture.clone());
        thread::Builder::new().name("filter".to_owned()).spawn(move || work(&seen, filter, &theirs))?;
        Ok(Self { shared, capture })
    }

    /// How many frames have been looked at.
    pub fn looked_at(&self) -> u64 {
        self.shared.looked_at.load(Ordering::Acquire)
    }

    /// What has been found, for a short look: the filter waits meanwhile.
    pub fn sifted(&self) -> MutexGuard<'_, Sifted> {
        self.shared.sifted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sieve {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // it may wait for traffic
        self.capture.wake();
    }
}

impl Sifted {
    /// The message that begins with frame `first`, if it takes several frames.
    pub fn thread(&self, first: u64) -> Option<&Thread> {
        let place = self.threads.binary_search_by_key(&first, |thread| thread.first.into()).ok()?;
        self.threads.get(place)
    }

    /// The frames up to `gone` are gone. Of messages that began with one of them, what is left stands for itself.
    fn forget(&mut self, gone: u64, left: &[u64], has_filter: bool) {
        self.threads.drain(..self.threads.partition_point(|thread| u64::from(thread.first) <= gone));
        let left = left.iter().filter(|n| !has_filter || self.frames.contains(**n));
        left.for_each(|n| self.messages.insert(*n));
        self.frames.drop_to(gone);
        self.messages.drop_to(gone);
    }

    fn add(&mut self, step: &mut Step, has_filter: bool, gone: u64) {
        step.matches.sort_unstable();
        let alone = step.take_alone();
        let mut matches = step.matches.drain(..).filter(|(n, _)| *n > gone).peekable();
        for picked in alone.map(|picked| picked.above(gone)) {
            while let Some((n, head)) = matches.next_if(|(n, _)| *n < picked.first) {
                self.add_one(n, head, has_filter, gone);
            }
            if has_filter {
                self.frames.extend(picked);
            }
            self.messages.extend(picked);
        }
        for (n, head) in matches {
            self.add_one(n, head, has_filter, gone);
        }
        for (first, thread) in std::mem::take(&mut step.threads).into_iter().filter(|(first, _)| *first > gone) {
            match self.threads.binary_search_by_key(&first, |thread| thread.first.into()) {
                Ok(place) => self.threads[place] = thread,
                Err(place) => self.threads.insert(place, thread),
            }
        }
    }

    fn add_one(&mut self, n: u64, head: u64, has_filter: bool, gone: u64) {
        let head = if head > gone { head } else { n };
        if has_filter {
            self.frames.insert(n);
        }
        if has_filter || n == head {
            self.messages.insert(head);
        }
    }
}

fn work(capture: &Capture, filter: Option<Filter>, shared: &Shared) {
    let has_filter = filter.is_some();
    let mut matcher = Matcher::new(filter, true);
    let mut step = Step::default();
    let mut gone = 0;
    loop {
        // before looking, so that nothing recorded meanwhile is missed
        let generation = capture.generation();
        let gone_by_now = capture.index().gone();
        if gone_by_now > gone {
            gone = gone_by_now;
            matcher.forget(capture, gone, &mut step);
            let sifted = || shared.sifted.lock().unwrap_or_else(PoisonError::into_inner);
            let cut: Vec<Thread> = sifted().threads.iter().filter(|thread| thread.is_cut(gone)).copied().collect();
            // not under the lock: whoever looks at what is found may look at the index, too
            let left: Vec<u64> = cut.iter().flat_map(|thread| parts_of(capture, thread, gone + 1)).collect();
            sifted().forget(gone, &left, has_filter);
        }
        let before = matcher.next();
        matcher.step(capture, u64::MAX, &shared.stopped, &mut step);
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        if !step.is_empty() {
            shared.sifted.lock().unwrap_or_else(PoisonError::into_inner).add(&mut step, has_filter, gone);
        }
        shared.looked_at.store(matcher.next() - 1, Ordering::Release);
        if matcher.next() == before {
            capture.wait(generation);
        }
    }
}
