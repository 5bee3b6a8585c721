//! Messages that are fed to a connection, and to the next one if that breaks.

use std::collections::VecDeque;
use std::time::Duration;

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
    /// How long a server has to be quiet after the last of them for the connection to be closed; `None`: it is not closed.
    linger: Option<Duration>,
    /// That has begun.
    is_leaving: bool,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Fed {
    /// A message is to be sent.
    Message(Message),
    /// There are no more: the connection is to be closed once the server has been quiet for so long.
    End(Duration),
}

impl Feed {
    pub(super) const fn new(from: Messages, linger: Option<Duration>) -> Self {
        Self { from, waiting: VecDeque::new(), ended: false, fault: None, linger, is_leaving: false }
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
                self.linger.get_or_insert_default();
                self.fault = Some(fault);
            }
            None => self.ended = true,
        }
    }

    /// What is to be done next, if that is known.
    pub(super) fn next(&mut self) -> Option<Fed> {
        if let Some(message) = self.waiting.pop_front() {
            return Some(Fed::Message(message));
        }
        let linger = self.linger.filter(|_| self.ended && !self.is_leaving)?;
        self.is_leaving = true;
        Some(Fed::End(linger))
    }

    /// Why there are no more messages, where that is no good end.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    /// Whether all was sent, and the connection closed for it.
    pub(super) fn is_over(&self) -> bool {
        self.is_leaving
    }
}
