//! Payloads of frames that stand for themselves, held against a filter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{panic, thread};

use super::Filter;
use super::expr::{Facts, Payload, Truth};
use super::picked::Picked;
use super::threads::Placed;
use crate::capture::bulk::{BulkReader, in_file_order};
use crate::capture::{Capture, FrameEntry, MessageReader};

/// Frames that are laid out at once, 64 each: that many stay in the processor's caches, and lie within few pieces of the file.
const AT_ONCE: usize = 16;

/// Those of `open` whose payloads match; `None` if it was stopped. Of them nothing else has to be known. With a `second` filter,
/// which is the same, two threads look.
pub(super) fn search(
    capture: &Capture,
    filter: &Filter,
    second: Option<&Filter>,
    open: &[Picked],
    messages: &mut MessageReader,
    stop: &AtomicBool,
) -> Option<Vec<Picked>> {
    let Some(second) = second else { return matching(capture, filter, open, messages, stop) };
    let (ours, theirs) = open.split_at(open.len() / 2);
    thread::scope(|scope| {
        let look = move || matching(capture, second, theirs, &mut MessageReader::default(), stop);
        let helper = thread::Builder::new().name("filter".to_owned()).spawn_scoped(scope, look);
        let mut found = matching(capture, filter, ours, messages, stop)?;
        found.extend(match helper {
            Ok(helper) => helper.join().unwrap_or_else(|why| panic::resume_unwind(why)),
            // there is none to be had
            Err(_) => matching(capture, filter, theirs, messages, stop),
        }?);
        Some(found)
    })
}

fn matching(
    capture: &Capture,
    filter: &Filter,
    open: &[Picked],
    messages: &mut MessageReader,
    stop: &AtomicBool,
) -> Option<Vec<Picked>> {
    let mut found = Vec::new();
    let mut reader = BulkReader::new(capture);
    let mut frames = Frames::default();
    for open in open.chunks(AT_ONCE) {
        frames.lay_out(capture, open);
        reader.announce(frames.entries.iter());
        let mut matches: Vec<_> = open.iter().map(|picked| Picked { bits: 0, ..*picked }).collect();
        for (&n, entry) in frames.numbers.iter().zip(&frames.entries) {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let facts = Facts::of(filter, n, entry, Placed::alone(n, entry.opcode()), &[], None);
            // what depends on frames to come is none of these
            if filter.expr.eval(&facts, &mut Some(Payload::of(&mut reader, messages))) == Truth::Yes
                && let Some(place) = matches.partition_point(|picked| picked.first <= n).checked_sub(1)
            {
                matches[place].bits |= 1 << (n - matches[place].first);
            }
        }
        found.extend(matches.into_iter().filter(|picked| !picked.is_empty()));
    }
    Some(found)
}

/// Frames laid out, and their numbers.
#[derive(Default)]
struct Frames {
    numbers: Vec<u64>,
    entries: Vec<FrameEntry>,
}

impl Frames {
    /// Takes those of `open` that are still there instead, in the order of the file.
    fn lay_out(&mut self, capture: &Capture, open: &[Picked]) {
        let Self { numbers, entries } = self;
        numbers.clear();
        entries.clear();
        let index = capture.index();
        for picked in open.iter().map(|picked| picked.above(index.gone())) {
            let (first, before) = (picked.bits.trailing_zeros() as usize, entries.len());
            index.frames_onto(picked.first + first as u64, Picked::MOST - first, entries);
            let all = entries.len() - before;
            let places = picked.places().map(|place| place - first).take_while(|place| *place < all);
            numbers.extend(places.clone().map(|place| picked.first + (first + place) as u64));
            // those that are not picked go
            if numbers.len() < entries.len() {
                for (i, place) in places.enumerate() {
                    entries[before + i] = entries[before + place];
                }
                entries.truncate(numbers.len());
            }
        }
        // in which they are most of the time
        if !entries.is_sorted_by_key(|entry| entry.position().map(|position| position.block)) {
            let order = in_file_order(entries.iter());
            *numbers = order.iter().map(|place| numbers[*place]).collect();
            *entries = order.iter().map(|place| entries[*place]).collect();
        }
    }
}
