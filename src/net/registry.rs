//! The connections that are open, and the way to each of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::capture::ConnectionId;
use crate::control::Command;
use crate::wire::Message;

/// Every connection that can be sent something.
#[derive(Debug, Default)]
pub(super) struct Registry {
    inboxes: Mutex<HashMap<ConnectionId, Arc<Letters>>>,
}

/// Where a connection takes what it is to send. It is out of the registry once this is gone.
#[derive(Debug)]
pub(super) struct Inbox {
    letters: Arc<Letters>,
    id: ConnectionId,
    registry: Arc<Registry>,
}

/// What comes to a connection.
#[derive(Debug)]
pub(super) enum Letter {
    /// The user asks for something.
    Wish(Command),
    /// It goes to everyone.
    Broadcast(Arc<Message>),
    /// More waits for this connection's peer than it takes: it has to go.
    TooSlow,
}

/// What waits for a connection. It takes hardly any room where that is nothing, as for most of thousands.
#[derive(Debug, Default)]
struct Letters {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    wishes: VecDeque<Command>,
    broadcasts: VecDeque<Arc<Message>>,
    /// Bytes of broadcasts.
    bytes: usize,
    too_slow: bool,
    /// No more broadcasts are taken.
    has_given_up: bool,
}

impl Registry {
    pub(super) fn join(self: &Arc<Self>, id: ConnectionId) -> Inbox {
        let letters = Arc::<Letters>::default();
        self.lock().insert(id, letters.clone());
        Inbox { letters, id, registry: self.clone() }
    }

    /// Delivers the user's wish, if the connection is still there.
    pub(super) fn send(&self, command: Command) {
        if let Some(letters) = self.lock().get(&command.connection) {
            letters.waiting().wishes.push_back(command);
            letters.came.notify_one();
        }
    }

    /// Delivers `message` to every connection. One whose peer does not keep up is told to go.
    pub(super) fn broadcast(&self, message: &Arc<Message>) {
        for letters in self.lock().values() {
            letters.waiting().broadcast(message);
            letters.came.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Letters>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// What comes next, of the wishes and the broadcasts only if they are wanted now; what is not waits.
    pub(super) async fn next(&self, wishes: bool, broadcasts: bool) -> Letter {
        loop {
            let letter = self.letters.waiting().take(wishes, broadcasts);
            match letter {
                Some(letter) => return letter,
                None => self.letters.came.notified().await,
            }
        }
    }

    /// The user's next wish.
    pub(super) async fn wish(&self) -> Command {
        loop {
            let wish = self.letters.waiting().wish();
            match wish {
                Some(wish) => return wish,
                None => self.letters.came.notified().await,
            }
        }
    }

    /// Forgets the broadcasts that wait, and takes no more.
    pub(super) fn give_up_broadcasts(&self) {
        let mut waiting = self.letters.waiting();
        (waiting.broadcasts, waiting.bytes, waiting.has_given_up) = (VecDeque::new(), 0, true);
    }
}

impl Letters {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The most bytes of broadcasts that wait for one connection, beside a message of any size.
    const MAX_BYTES: usize = 16 << 20;
    /// Room for so many letters stays.
    const ROOM: usize = 16;

    fn broadcast(&mut self, message: &Arc<Message>) {
        if self.has_given_up {
            return;
        }
        if self.bytes > Self::MAX_BYTES {
            // before all that waits: a connection whose peer reads nothing never comes to that
            self.too_slow = true;
            return;
        }
        self.bytes += message.payload.len();
        self.broadcasts.push_back(message.clone());
    }

    fn take(&mut self, wishes: bool, broadcasts: bool) -> Option<Letter> {
        if std::mem::take(&mut self.too_slow) {
            return Some(Letter::TooSlow);
        }
        let wish = if wishes { self.wish() } else { None };
        wish.map(Letter::Wish).or_else(|| if broadcasts { self.next_broadcast() } else { None }.map(Letter::Broadcast))
    }

    fn wish(&mut self) -> Option<Command> {
        let wish = self.wishes.pop_front();
        if self.wishes.is_empty() {
            self.wishes.shrink_to(Self::ROOM);
        }
        wish
    }

    fn next_broadcast(&mut self) -> Option<Arc<Message>> {
        let message = self.broadcasts.pop_front()?;
        self.bytes -= message.payload.len();
        if self.broadcasts.is_empty() {
            self.broadcasts.shrink_to(Self::ROOM);
        }
        Some(message)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.id);
    }
}
