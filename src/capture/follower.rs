//! A capture as a sequence of what happened, for those who print it.

use std::ops::RangeInclusive;

use super::Capture;
use super::connection::Connection;
use super::exchange::Exchange;
use super::index::{FrameEntry, MilestoneKind};
use crate::lint::Finding;

/// Walks through a capture from its first frame on, as far as it is recorded.
#[derive(Debug)]
pub struct Follower {
    next_frame: u64,
    next_milestone: u64,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Item {
    /// An opening handshake succeeded.
    Opened(Connection),
    /// An opening handshake came to nothing.
    Refused(Connection),
    /// The frames with these numbers went before they were looked at.
    Gone(RangeInclusive<u64>),
    /// A frame: its number, itself, what is wrong with it.
    Frame(u64, FrameEntry, Vec<Finding>),
    /// An open connection is over.
    Closed(Connection),
    /// A request that is no upgrade is over.
    Exchanged(Connection, Exchange),
}

impl Default for Follower {
    fn default() -> Self {
        Self { next_frame: 1, next_milestone: 0 }
    }
}

impl Follower {
    /// The next things that happened, at most `max`; none if nothing new was recorded.
    pub fn next(&mut self, capture: &Capture, max: usize) -> Vec<Item> {
        let index = capture.index();
        let mut items = Vec::new();
        if self.next_frame <= index.gone() {
            items.push(Item::Gone(self.next_frame..=index.gone()));
            self.next_frame = index.gone() + 1;
        }
        while items.len() < max {
            if let Some(milestone) = index.milestones(self.next_milestone).first()
                && milestone.after_frame < self.next_frame
            {
                let number = milestone.number;
                self.next_milestone = number + 1;
                // whoever passes a milestone has been added before
                let Some(connection) = index.connection(milestone.connection) else { continue };
                items.push(match milestone.kind {
                    MilestoneKind::Opened => Item::Opened(connection.clone()),
                    // others may have followed on the connection
                    MilestoneKind::Refused => Item::Refused(index.refusal_at(number).unwrap_or(connection).clone()),
                    MilestoneKind::Closed => Item::Closed(connection.clone()),
                    MilestoneKind::Exchanged => {
                        let Some(exchange) = index.exchange_at(number).cloned() else { continue };
                        Item::Exchanged(connection.clone(), exchange)
                    }
                });
            } else if let Some(entry) = index.frame(self.next_frame) {
                let findings = index.findings(self.next_frame).iter().map(|(_, finding)| finding.clone()).collect();
                items.push(Item::Frame(self.next_frame, *entry, findings));
                self.next_frame += 1;
            } else {
                break;
            }
        }
        items
    }
}
