//! The connections that are open, and the way to each of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::capture::ConnectionId;
use crate::control::Command;
use crate::wire::Message;

/// Every connection that can be sent something.
#[derive(Debug, Default)]
pub(super) struct Registry {
    inboxes: Mutex<HashMap<ConnectionId, Sender>>,
}

#[derive(Clone, Debug)]
struct Sender {
    wishes: mpsc::UnboundedSender<Command>,
    broadcasts: mpsc::UnboundedSender<Arc<Message>>,
    /// Bytes of broadcasts that wait.
    waiting: Arc<AtomicUsize>,
    /// More waits for this connection's peer than it takes: it has to go.
    too_slow: Arc<Notify>,
}

/// Where a connection takes what it is to send. It is out of the registry once this is gone.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) wishes: Wishes,
    pub(super) broadcasts: Broadcasts,
    pub(super) too_slow: Arc<Notify>,
    id: ConnectionId,
    registry: Arc<Registry>,
}

/// What the user asks for.
#[derive(Debug)]
pub(super) struct Wishes {
    receiver: mpsc::UnboundedReceiver<Command>,
}

/// What goes to everyone.
#[derive(Debug)]
pub(super) struct Broadcasts {
    receiver: mpsc::UnboundedReceiver<Arc<Message>>,
    waiting: Arc<AtomicUsize>,
}

impl Registry {
    /// The most bytes of broadcasts that wait for one connection, beside a message of any size.
    const MAX_WAITING: usize = 16 << 20;

    pub(super) fn join(self: &Arc<Self>, id: ConnectionId) -> Inbox {
        let (wishes, wish) = mpsc::unbounded_channel();
        let (broadcasts, broadcast) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let too_slow = Arc::new(Notify::new());
        let sender = Sender { wishes, broadcasts, waiting: waiting.clone(), too_slow: too_slow.clone() };
        self.lock().insert(id, sender);
        Inbox {
            wishes: Wishes { receiver: wish },
            broadcasts: Broadcasts { receiver: broadcast, waiting },
            too_slow,
            id,
            registry: self.clone(),
        }
    }

    /// Delivers the user's wish, if the connection is still there.
    pub(super) fn send(&self, command: Command) {
        if let Some(sender) = self.lock().get(&command.connection) {
            // a connection that is just going takes nothing more
            let _ = sender.wishes.send(command);
        }
    }

    /// Delivers `message` to every connection. One whose peer does not keep up is told to go.
    pub(super) fn broadcast(&self, message: &Arc<Message>) {
        for sender in self.lock().values() {
            if sender.waiting.load(Ordering::Relaxed) > Self::MAX_WAITING {
                // beside the queue: a connection whose peer reads nothing never comes to what stands in it
                sender.too_slow.notify_one();
                continue;
            }
            sender.waiting.fetch_add(message.payload.len(), Ordering::Relaxed);
            if sender.broadcasts.send(message.clone()).is_err() {
                sender.waiting.fetch_sub(message.payload.len(), Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Sender>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wishes {
    /// The next wish.
    pub(super) async fn next(&mut self) -> Command {
        match self.receiver.recv().await {
            Some(command) => command,
            // the registry holds a sender until the inbox is dropped
            None => std::future::pending().await,
        }
    }
}

impl Broadcasts {
    /// The next broadcast.
    pub(super) async fn next(&mut self) -> Arc<Message> {
        match self.receiver.recv().await {
            Some(message) => {
                self.waiting.fetch_sub(message.payload.len(), Ordering::Relaxed);
                message
            }
            // given up, or as above
            None => std::future::pending().await,
        }
    }

    /// Forgets what waits, and takes nothing more.
    pub(super) fn give_up(&mut self) {
        self.receiver.close();
        while let Ok(message) = self.receiver.try_recv() {
            self.waiting.fetch_sub(message.payload.len(), Ordering::Relaxed);
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.id);
    }
}
