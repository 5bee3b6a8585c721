//! A capture as a sequence of what happened, for those who print it.

use std::ops::RangeInclusive;

use super::Capture;
use super::connection::Connection;
use super::exchange::Exchange;
use super::frame_entry::FrameEntry;
use super::index::MilestoneKind;
use crate::lint::Finding;

/// Walks through a capture from its first frame on, as far as it is recorded.
#[derive(Debug)]
pub struct Follower {
    next_frame: u64,
    next_milestone: u64,
}

/// One thing that happened. Most are frames, so that what is larger lies elsewhere.
#[derive(Clone, Debug)]
pub enum Item {
    /// An opening handshake succeeded.
    Opened(Box<Connection>),
    /// An opening handshake came to nothing.
    Refused(Box<Connection>),
    /// The frames with these numbers went before they were looked at.
    Gone(RangeInclusive<u64>),
    /// A frame: its number, itself, what is wrong with it.
    Frame(u64, FrameEntry, Vec<Finding>),
    /// An open connection is over.
    Closed(Box<Connection>),
    /// A request that is no upgrade is over.
    Exchanged(Box<Connection>, Box<Exchange>),
}

/// Frames that are looked at together.
const AT_ONCE: usize = 64;

impl Default for Follower {
    fn default() -> Self {
        Self { next_frame: 1, next_milestone: 0 }
    }
}

impl Follower {
    /// The next things that happened, at most `max`; none if nothing new was recorded.
    pub fn next(&mut self, capture: &Capture, max: usize) -> Vec<Item> {
        self.next_of(capture, max, u64::MAX, Some)
    }

    /// The same as far as frame `end`, which is not among them. `first_wanted` tells which frame is wanted first from a number
    /// on; others are passed over.
    pub fn next_of(
        &mut self,
        capture: &Capture,
        max: usize,
        end: u64,
        first_wanted: impl Fn(u64) -> Option<u64>,
    ) -> Vec<Item> {
        let index = capture.index();
        let (mut items, mut frames) = (Vec::new(), Vec::new());
        if self.next_frame <= index.gone() {
            items.push(Item::Gone(self.next_frame..=index.gone()));
            self.next_frame = index.gone() + 1;
        }
        while items.len() < max {
            let milestone = index.milestones(self.next_milestone).first();
            if let Some(milestone) = milestone.filter(|milestone| milestone.after_frame < self.next_frame) {
                let number = milestone.number;
                self.next_milestone = number + 1;
                // whoever passes a milestone has been added before
                let Some(connection) = index.connection(milestone.connection) else { continue };
                items.push(match milestone.kind {
                    MilestoneKind::Opened => Item::Opened(Box::new(connection.clone())),
                    // others may have followed on the connection
                    MilestoneKind::Refused => {
                        Item::Refused(Box::new(index.refusal_at(number).unwrap_or(connection).clone()))
                    }
                    MilestoneKind::Closed => Item::Closed(Box::new(connection.clone())),
                    MilestoneKind::Exchanged => {
                        let Some(exchange) = index.exchange_at(number).cloned() else { continue };
                        Item::Exchanged(Box::new(connection.clone()), Box::new(exchange))
                    }
                });
                continue;
            }
            let until = milestone.map_or(u64::MAX, |milestone| milestone.after_frame + 1);
            let until = until.min(end).min(index.totals().frames + 1);
            let mut wanted = first_wanted(self.next_frame).unwrap_or(until);
            self.next_frame = self.next_frame.max(wanted.min(until));
            if self.next_frame >= until {
                // unless something has happened just before the next one
                if milestone.is_some_and(|milestone| milestone.after_frame < self.next_frame) {
                    continue;
                }
                break;
            }
            let most = usize::try_from(until - self.next_frame).unwrap_or(usize::MAX).min(AT_ONCE);
            index.frames_from(self.next_frame, most, &mut frames);
            for entry in &frames {
                if items.len() == max {
                    break;
                }
                let n = self.next_frame;
                self.next_frame += 1;
                if n == wanted {
                    let findings = if entry.has_findings() { index.findings(n) } else { &[] };
                    items.push(Item::Frame(n, *entry, findings.iter().map(|(_, finding)| finding.clone()).collect()));
                    wanted = first_wanted(n + 1).unwrap_or(until);
                }
            }
        }
        items
    }
}
