//! What both directions of a relayed connection share: the recorder, and how far its requests have come.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::absolute::{Asked, Destination};
use super::pump::Ask;
use super::relay::{PATIENCE, RelayOptions};
use super::server::Shared;
use super::socket::Socket;
use super::upstream::{Rewritten, rewrite};
use crate::capture::{ConnectionId, Event, EventKind, Note, Unopened};
use crate::wire::Side;
use crate::wire::handshake::Request;
use crate::wire::http::Exchanges;

/// What both directions of a connection share.
#[derive(Debug)]
pub(super) struct Leg {
    id: ConnectionId,
    shared: Shared,
    pub(super) way: Way,
    unopened: Option<Counted>,
    /// The server has agreed to a WebSocket: frames may be put in.
    pub(super) open: AtomicBool,
    http: Mutex<Http>,
    asks: [Asks; 2],
    elsewhere: Mutex<Option<Elsewhere>>,
    /// Bytes of the server are on their way to the client, and when they have gone on while a request is put aside.
    passing: AtomicBool,
    pub(super) passed: Notify,
}

/// What becomes of requests on their way.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// All are for one server, and changed as a relay is told to.
    Relay(Arc<RelayOptions>),
    /// Each says whom it is for, and becomes what that server expects.
    Proxy(Destination),
    /// They go on as they came.
    Unchanged,
}

/// A request that the server at hand can't be sent.
#[derive(Debug)]
pub(super) struct Elsewhere {
    pub(super) request: Box<Request>,
    /// What came after its head.
    pub(super) rest: Bytes,
    /// What of both has not been recorded.
    pub(super) unrecorded: Bytes,
}

/// What a direction is asked.
#[derive(Debug, Default)]
struct Asks {
    waiting: Mutex<VecDeque<Ask>>,
    /// Something was, or it is to look around.
    stirred: Notify,
}

/// What is not looked into is counted.
#[derive(Debug)]
struct Counted {
    why: Arc<str>,
    bytes: [AtomicU64; 2],
}

/// The requests and responses before frames come.
#[derive(Debug, Default)]
pub(super) struct Http {
    pub(super) exchanges: Exchanges,
    /// Since when the server has known what is asked of it.
    pub(super) asked: Option<Instant>,
}

impl Leg {
    pub(super) fn new(id: ConnectionId, shared: Shared, way: Way) -> Self {
        Self {
            id,
            shared,
            way,
            unopened: None,
            open: AtomicBool::new(false),
            http: Mutex::default(),
            asks: Default::default(),
            elsewhere: Mutex::default(),
            passing: AtomicBool::new(false),
            passed: Notify::new(),
        }
    }

    /// From now on nothing that crosses is recorded, only how much it is.
    pub(super) async fn leave_unopened(&mut self, why: &str) {
        self.unopened = Some(Counted { why: why.into(), bytes: [AtomicU64::new(0), AtomicU64::new(0)] });
        self.count().await;
    }

    pub(super) const fn is_unopened(&self) -> bool {
        self.unopened.is_some()
    }

    /// Says how much has crossed of what is not looked into.
    pub(super) async fn count(&self) {
        if let Some(Counted { why, bytes }) = &self.unopened {
            let bytes = [0, 1].map(|side: usize| bytes[side].load(Ordering::Relaxed));
            self.tell(EventKind::Unopened(Arc::new(Unopened { why: why.clone(), bytes }))).await;
        }
    }

    /// What is sent on for a request; `None` if it is not for the server at hand.
    pub(super) fn sent_on(&self, request: &Request) -> Option<Rewritten> {
        let head = &request.head;
        match &self.way {
            Way::Relay(options) => Some(rewrite(head, &options.upstream, options.rewriting)),
            Way::Unchanged => Some(Rewritten { bytes: head.raw().to_vec(), lines: Vec::new(), removed: Vec::new() }),
            Way::Proxy(destination) => {
                let asked = Asked::read(request).ok().filter(|asked| asked.destination == *destination)?;
                Some(asked.in_origin_form(head))
            }
        }
    }

    /// Asks the direction that comes from `from` for something.
    pub(super) fn put(&self, from: Side, ask: Ask) {
        self.asks(from).push_back(ask);
        self.stir(from);
    }

    /// What was asked before a server was there is not done any more.
    pub(super) fn forget_asks(&self) {
        for from in Side::BOTH {
            *self.asks(from) = VecDeque::new();
        }
    }

    /// What that direction is asked next.
    pub(super) fn take_ask(&self, from: Side) -> Option<Ask> {
        self.asks(from).pop_front()
    }

    /// Has that direction look around: something that it goes by has changed.
    pub(super) fn stir(&self, from: Side) {
        self.asks[from as usize].stirred.notify_one();
    }

    /// Waits until something is asked of that direction, or it is to look around.
    pub(super) async fn stirred(&self, from: Side) {
        self.asks[from as usize].stirred.notified().await;
    }

    fn asks(&self, from: Side) -> MutexGuard<'_, VecDeque<Ask>> {
        self.asks[from as usize].waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request aside that is not for the server at hand: nothing after it is sent on.
    pub(super) fn set_aside(&self, elsewhere: Elsewhere) {
        *self.aside() = Some(elsewhere);
    }

    /// Whether there is one.
    pub(super) fn has_aside(&self) -> bool {
        self.aside().is_some()
    }

    /// Takes it, once everything before it has been answered.
    pub(super) fn take_aside(&self) -> Option<Elsewhere> {
        let is_next = !self.passing.load(Ordering::Relaxed) && self.http().exchanges.awaits_only_last();
        is_next.then(|| self.aside().take()).flatten()
    }

    /// Bytes of the server have been read and are to be sent on to the client.
    pub(super) fn begin_to_pass(&self) {
        self.passing.store(true, Ordering::Relaxed);
    }

    /// They have gone on.
    pub(super) fn end_to_pass(&self) {
        self.passing.store(false, Ordering::Relaxed);
        if self.has_aside() {
            self.passed.notify_one();
        }
    }

    fn aside(&self) -> MutexGuard<'_, Option<Elsewhere>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn http(&self) -> MutexGuard<'_, Http> {
        self.http.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the server knows what is asked of it.
    pub(super) fn ask(&self) {
        self.http().asked = Some(Instant::now());
    }

    /// By when the server has to have begun to answer a request for a WebSocket; a page may take as long as it takes.
    pub(super) fn answer_due(&self) -> Option<Instant> {
        let http = self.http();
        http.asked.filter(|_| http.exchanges.awaits_upgrade()).map(|asked| asked + PATIENCE)
    }

    /// Tells what was agreed on with the peer on that side, if that is TLS.
    pub(super) async fn tell_tls(&self, with: Side, socket: &Socket, secrets: String) {
        self.shared.tell_tls(self.id, with, socket, secrets).await;
    }

    pub(super) async fn record(&self, kind: EventKind) {
        match (&self.unopened, &kind) {
            (Some(unopened), EventKind::Chunk { from, bytes, .. }) => {
                unopened.bytes[*from as usize].fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            (Some(_), EventKind::SentOn(_)) => {}
            // as often as others tell how long that took
            (Some(_), EventKind::Delayed { .. }) => self.count().await,
            (Some(_), EventKind::Closed { .. }) => {
                self.count().await;
                self.tell(kind).await;
            }
            _ => self.tell(kind).await,
        }
    }

    async fn tell(&self, kind: EventKind) {
        let time = self.shared.clock.now();
        self.shared.recorder.record(Event { connection: self.id, time, kind }).await;
    }

    pub(super) async fn record_chunk(&self, from: Side, bytes: Bytes, notes: Vec<Note>) {
        self.record(EventKind::Chunk { from, bytes, notes }).await;
    }
}
