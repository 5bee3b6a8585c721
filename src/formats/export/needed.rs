//! The compressed messages without which chosen ones could not be inflated by whoever reads an export.

use std::collections::HashMap;

use super::{Selection, Stop, Walk};
use crate::capture::{ConnectionId, FrameEntry, GoneBefore};
use crate::wire::{Opcode, Side};

/// Frames that are looked at before the recorder gets its turn.
const PIECE: u64 = 8192;

/// What is exported, and what whoever reads it has to be told.
#[derive(Debug)]
pub(super) struct Needed {
    pub(super) selection: Selection,
    /// The connections of which what compressed messages refer to is gone.
    pub(super) gone: HashMap<ConnectionId, [GoneBefore; 2]>,
}

/// What has been seen of one direction.
#[derive(Debug, Default)]
struct Direction {
    /// Where its first frame that is there begins.
    begins: Option<u64>,
    /// What of it is gone, if compressed messages refer to that.
    gone: Option<GoneBefore>,
    /// Its compressed frames that are chosen or needed, as far as that is known.
    needed: Vec<u64>,
    /// The compressed frames since; needed if one of those, or one that refers to them, is chosen.
    open: Vec<u64>,
    /// The message at hand is compressed, and one of its frames is chosen.
    chosen: bool,
}

/// The frames that were chosen, and with each frame of a compressed message all of that message; where its sender's window is
/// carried over, also the compressed messages before it.
pub(super) fn with_needed(walk: &Walk<'_>) -> Result<Needed, Stop> {
    let mut gone: HashMap<ConnectionId, [GoneBefore; 2]> = HashMap::new();
    let Selection::Frames(chosen) = walk.selection else { return Ok(Needed { selection: Selection::All, gone }) };
    let mut directions: HashMap<(ConnectionId, Side), Direction> = HashMap::new();
    for start in (walk.gone + 1..=walk.last).step_by(PIECE as usize) {
        walk.progress.is_at(0)?;
        let frames = walk.capture.index().frames(start..(start + PIECE).min(walk.last + 1));
        // most captures have neither
        for (n, entry) in frames.iter().filter(|(_, entry)| entry.is_compressed() || walk.gone > 0) {
            let direction = directions.entry((entry.connection(), entry.from())).or_default();
            direction.begins.get_or_insert(entry.offset());
            if entry.is_compressed() {
                direction.take(*n, entry, takes_over(walk, entry), walk.selection.has(*n));
            }
        }
    }
    for ((connection, from), direction) in &directions {
        if let Some(before) = direction.gone.filter(|_| walk.gone > 0) {
            gone.entry(*connection).or_default()[*from as usize] = before;
        }
    }
    let mut numbers: Vec<u64> =
        directions.into_values().flat_map(|direction| direction.needed).chain(chosen.iter().copied()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Needed { selection: Selection::Frames(numbers), gone })
}

fn takes_over(walk: &Walk<'_>, entry: &FrameEntry) -> bool {
    let index = walk.capture.index();
    let agreement = index.connection(entry.connection()).and_then(|connection| connection.deflate);
    agreement.is_some_and(|agreement| agreement.takes_over(entry.from()))
}

impl Direction {
    fn take(&mut self, n: u64, entry: &FrameEntry, takes_over: bool, is_chosen: bool) {
        let header = entry.header();
        if takes_over && self.open.is_empty() && self.needed.is_empty() {
            let cuts_message = header.opcode == Opcode::CONTINUATION;
            self.gone = self.begins.filter(|bytes| *bytes > 0).map(|bytes| GoneBefore { bytes, cuts_message });
        }
        if header.opcode != Opcode::CONTINUATION {
            self.chosen = false;
            if !takes_over {
                self.open.clear();
            }
        }
        self.chosen |= is_chosen;
        self.open.push(n);
        if self.chosen {
            self.needed.append(&mut self.open);
        }
    }
}
