//! What both directions of a relayed connection share: the recorder, and how far its requests have come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::relay::{PATIENCE, RelayOptions};
use super::server::Shared;
use super::socket::Socket;
use crate::capture::{ConnectionId, Event, EventKind, Note};
use crate::wire::Side;
use crate::wire::http::Exchanges;

/// What both directions of a connection share.
#[derive(Debug)]
pub(super) struct Leg {
    id: ConnectionId,
    shared: Shared,
    pub(super) options: Arc<RelayOptions>,
    /// The server has agreed to a WebSocket: frames may be put in.
    pub(super) open: AtomicBool,
    http: Mutex<Http>,
    /// A WebSocket was asked for on a connection that had been used before.
    pub(super) asked: Notify,
}

/// The requests and responses before frames come.
#[derive(Debug, Default)]
pub(super) struct Http {
    pub(super) exchanges: Exchanges,
    /// Since when the server has known what is asked of it.
    pub(super) asked: Option<Instant>,
}

impl Leg {
    pub(super) fn new(id: ConnectionId, shared: Shared, options: Arc<RelayOptions>) -> Self {
        Self { id, shared, options, open: AtomicBool::new(false), http: Mutex::default(), asked: Notify::new() }
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

    /// Tells what was agreed on with the server, if that is TLS.
    pub(super) async fn tell_tls(&self, server: &Socket, secrets: String) {
        self.shared.tell_tls(self.id, Side::Server, server, secrets).await;
    }

    pub(super) async fn record(&self, kind: EventKind) {
        let time = self.shared.clock.now();
        self.shared.recorder.record(Event { connection: self.id, time, kind }).await;
    }

    pub(super) async fn record_chunk(&self, from: Side, bytes: Bytes, notes: Vec<Note>) {
        self.record(EventKind::Chunk { from, bytes, notes }).await;
    }
}
