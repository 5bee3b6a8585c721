//! Messages that are fed to a connection, and to the next one if that breaks.

use std::collections::VecDeque;

use crate::control::Messages;
use crate::wire::Message;

/// Where they come from, and those that wait to be sent.
#[derive(Debug)]
pub(super) struct Feed {
    from: Messages,
    waiting: VecDeque<Message>,
    ended: bool,
    /// Why there are no more, where that is no good end.
    fault: Option<String>,
    /// Whether the connection is to be closed after the last of them.
    closes: bool,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Fed {
    /// A message is to be sent.
    Message(Message),
    /// There are no more: the connection is to be closed.
    End,
}

impl Feed {
    pub(super) const fn new(from: Messages, closes: bool) -> Self {
        Self { from, waiting: VecDeque::new(), ended: false, fault: None, closes }
    }

    /// Whether more is to be taken in: nothing waits, and there may be more.
    pub(super) fn is_hungry(&self) -> bool {
        self.waiting.is_empty() && !self.ended
    }

    /// Takes in what comes next. What has been taken in stays if this is given up.
    pub(super) async fn take_in(&mut self) {
        match self.from.recv().await {
            Some(Ok(messages)) => self.waiting.extend(messages),
            Some(Err(fault)) => {
                self.ended = true;
                self.closes = true;
                self.fault = Some(fault);
            }
            None => self.ended = true,
        }
    }

    /// What is to be done next, if that is known.
    pub(super) fn next(&mut self) -> Option<Fed> {
        match self.waiting.pop_front() {
            Some(message) => Some(Fed::Message(message)),
            None => (self.ended && self.closes).then_some(Fed::End),
        }
    }

    /// Why there are no more messages, where that is no good end.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    /// Whether all was sent, and the connection closed for it.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.ended && self.closes
    }
}
