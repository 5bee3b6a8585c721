//! Frames that are still coming in: they stand below all others, and can be selected like those.

use super::action::View;
use super::listing::{Anchor, Kind, Place};
use super::model::Model;
use crate::capture::{Capture, ConnectionId, FrameEntry, Growing, Index};
use crate::wire::Side;

/// By what a frame that comes in is found again, also when it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    connection: ConnectionId,
    from: Side,
    offset: u64,
}

/// The most of them that are listed.
const MOST: usize = 8;
/// The most frames that are looked through for one that has become complete.
const LOOK_BACK: u64 = 20_000;

impl Incoming {
    const fn of(entry: &FrameEntry) -> Self {
        Self { connection: entry.connection(), from: entry.from(), offset: entry.offset() }
    }
}

impl Model {
    /// The frames that come in and whose headers are there, where the list has all frames.
    pub(super) fn incoming(&self, index: &Index) -> Vec<(FrameEntry, Growing)> {
        if self.view != View::Frames || self.listing.is_sifted() || self.frozen.is_some() {
            return Vec::new();
        }
        let with_header = index.growing().filter_map(|(_, _, growing)| Some((growing.entry?, *growing)));
        with_header.take(MOST).collect()
    }

    /// The one that is selected.
    pub(super) fn selected_incoming(&self, index: &Index) -> Option<(FrameEntry, Growing)> {
        let wanted = self.incoming_at?;
        self.incoming(index).into_iter().find(|(entry, _)| Incoming::of(entry) == wanted)
    }

    /// Puts the cursor of the list in order: rows are `first` to `last`, and below them those that come in.
    pub(super) fn settle_rows(&mut self, capture: &Capture, (first, last): (u64, u64), height: usize) {
        let index = capture.index();
        let incoming: Vec<Incoming> = self.incoming(&index).iter().map(|(entry, _)| Incoming::of(entry)).collect();
        // unless the cursor was moved, it goes where what it was on has gone
        let moved = self.frames.selected != self.placed;
        let stays = !moved && !self.frames.follow;
        let mut row = None;
        if let Some(at) = self.incoming_at.filter(|_| stays) {
            let place = incoming.iter().position(|one| *one == at);
            row = place.map(|place| last + 1 + place as u64);
            if row.is_none()
                && let Some(n) = complete(&index, at)
            {
                self.anchor = Anchor::frame(n);
                self.incoming_at = None;
            }
        }
        drop(index);
        if self.incoming_at.is_none() && stays {
            row = self.listing.row(&mut self.anchor, capture);
        }
        if let Some(row) = row {
            self.frames.shift(row);
        }
        self.frames.settle_above(first, last, incoming.len() as u64, height);
        self.placed = self.frames.selected;
        let below = self.placed.checked_sub(last + 1).and_then(|place| incoming.get(place as usize));
        self.incoming_at = below.copied();
        self.place = match below {
            Some(_) => Some(Place { n: self.placed, kind: Kind::Frame }),
            None => self.listing.place(self.placed).filter(|_| self.placed >= first),
        };
        if let Some(place) = self.place.filter(|_| (moved || self.frames.follow) && below.is_none()) {
            self.anchor = Anchor::at(place);
        }
    }
}

/// The number of a frame that has come in.
fn complete(index: &Index, wanted: Incoming) -> Option<u64> {
    let last = index.totals().frames;
    let is_it = |n: &u64| index.frame(*n).is_some_and(|entry| Incoming::of(&entry) == wanted);
    (last.saturating_sub(LOOK_BACK).max(1)..=last).rev().find(is_it)
}
