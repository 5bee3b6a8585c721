//! What the receiver of a frame that breaks a rule did about it, beside what RFC 6455 asks of it (7.1.7).

use super::connection::Connection;
use super::event::Origin;
use super::frame_entry::FrameEntry;
use crate::lint::{Finding, Group, Rule};
use crate::wire::{CloseCode, Opcode, Side};

/// The first frame of a side after which the other one has to fail the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The frame.
    pub frame: u64,
    /// The first rule that it breaks for which a close code is due.
    pub rule: Rule,
    /// That code.
    pub code: CloseCode,
    /// Frames that the receiver has sent since, but for its close frame.
    pub since: u64,
}

/// What the receiver did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It failed the connection with the code that was due.
    Failed,
    /// It closed with another code, or without one.
    ClosedOtherwise,
    /// It ended the TCP connection without a close frame.
    Dropped,
    /// It let the frame pass.
    Passed,
    /// It has not failed the connection so far.
    NothingSoFar,
}

impl Did {
    /// `failed closed-otherwise dropped passed nothing-so-far`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::ClosedOtherwise => "closed-otherwise",
            Self::Dropped => "dropped",
            Self::Passed => "passed",
            Self::NothingSoFar => "nothing-so-far",
        }
    }
}

/// What was due of a side, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The side of which it was due.
    pub of: Side,
    /// What was.
    pub due: Due,
    /// What it did.
    pub did: Did,
    /// All of it in a sentence.
    pub sentence: String,
}

impl Due {
    /// What is due after frame `n`. How large a frame may be is for each receiver to say, so that our limits are not its.
    pub(super) fn after(frame: u64, findings: &[Finding]) -> Option<Self> {
        findings.iter().map(|finding| finding.rule).filter(|rule| rule.group() != Group::Limits).find_map(|rule| {
            let code = rule.close_code()?;
            Some(Self { frame, rule, code, since: 0 })
        })
    }
}

impl Connection {
    /// Frame `n` was seen, all of it or as much as ever will be.
    #[inline]
    pub(super) fn note_due(&mut self, n: u64, frame: &FrameEntry, findings: &[Finding]) {
        if self.is_archived() {
            return;
        }
        let (from, receiver) = (frame.from(), frame.from().other());
        if let Some(due) = self.due[receiver as usize].as_mut().filter(|_| frame.opcode() != Opcode::CLOSE) {
            due.since += 1;
        }
        if findings.is_empty() {
            return;
        }
        // whoever has closed before has nothing more to do; the header of a frame may be reason enough to
        let closed = self.closes[receiver as usize].as_ref();
        if self.due[from as usize].is_none() && closed.is_none_or(|close| close.during == Some(frame.offset())) {
            self.due[from as usize] = Due::after(n, findings);
        }
    }

    /// What each side that got a frame that breaks a rule did about it: of the first such frame of the other one for which
    /// a close code is due.
    pub fn reactions(&self) -> impl Iterator<Item = Reaction> + '_ {
        Side::BOTH.into_iter().filter_map(|from| {
            let due = self.due[from as usize]?;
            let of = from.other();
            let did = self.did(of, due);
            Some(Reaction { of, due, did, sentence: self.reaction(of, due, did) })
        })
    }

    fn did(&self, of: Side, due: Due) -> Did {
        match &self.closes[of as usize] {
            // who stands in the middle and ends the connection speaks for neither
            Some(close) if self.is_foreign_to(of, close.origin) => Did::Passed,
            Some(close) if close.code == Some(due.code) => Did::Failed,
            Some(close) if self.only_answered(of, close.code) => Did::Passed,
            Some(_) => Did::ClosedOtherwise,
            None if self.ended.is_none() && self.socket_ends[of as usize].is_none() => Did::NothingSoFar,
            None if self.closes[of.other() as usize].is_none() && self.socket_ended_first == Some(of) => Did::Dropped,
            None => Did::Passed,
        }
    }

    /// Whether a frame that goes out as from `of` was made by us, who are not `of`.
    fn is_foreign_to(&self, of: Side, origin: Origin) -> bool {
        origin != Origin::Peer && self.vantage.origin_of(of) == Origin::Peer
    }

    /// Whether its close frame does no more than complete the closing handshake that the other side began.
    fn only_answered(&self, of: Side, code: Option<CloseCode>) -> bool {
        let theirs = self.closes[of.other() as usize].as_ref();
        self.closed_first == Some(of.other()) && theirs.is_some_and(|close| close.code == code)
    }

    fn reaction(&self, of: Side, due: Due, did: Did) -> String {
        let Due { frame, rule, code, since } = due;
        let due = format!("{} ({})", code.0, code.name());
        let after = format!("after frame {frame} broke {rule}");
        match did {
            Did::Failed => format!("The {of} failed the connection with {due} {after}, as it has to."),
            Did::ClosedOtherwise => {
                let with = match self.closes[of as usize].as_ref().and_then(|close| close.code) {
                    Some(code) => format!("with {} ({})", code.0, code.name()),
                    None => "without a code".to_owned(),
                };
                format!("The {of} closed {with} {after}, where {due} was due.")
            }
            Did::Dropped => {
                format!("The {of} ended the TCP connection {after}, without the close frame with {due} that was due.")
            }
            Did::Passed => {
                let went_on = match since {
                    0 => String::new(),
                    1 => "; it sent one more frame".to_owned(),
                    since => format!("; it sent {since} more frames"),
                };
                format!("The {of} did not fail the connection {after}, where {due} was due{went_on}.")
            }
            Did::NothingSoFar => format!("The {of} has not failed the connection so far {after}, where {due} is due."),
        }
    }
}
