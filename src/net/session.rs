//! One connection of ours: its socket on one side, its endpoint on the other, and the recorder between them.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::io::Interest;

use super::feed::{Fed, Feed};
use super::pacing::Pacing;
use super::pump::is_temporary;
use super::registry::{Inbox, Letter};
use super::server::{Shared, stopped};
use super::socket::Socket;
use super::tls::session_failure;
use crate::capture::{Cause, ConnectionId, Event, EventKind, Note, Origin, SocketEnd};
use crate::control::Outgoing;
use crate::endpoint::{self, Config, End, Endpoint, NotSent, State, Written};
use crate::wire::{CloseCode, Side};

/// Runs a connection that came in to its end.
pub(super) async fn run(
    id: ConnectionId,
    stream: Socket,
    inbox: Inbox,
    shared: Shared,
    config: Arc<Config>,
    began: Instant,
) {
    let endpoint = Endpoint::new(config, began);
    // how it ended is seen where everything is seen
    let _ = Session::new(id, Side::Server, stream, inbox, shared, endpoint).run().await;
}

/// Runs a connection that we made to its end, and sends what is fed in; how it ended.
pub(super) async fn run_as_client(
    id: ConnectionId,
    stream: Socket,
    inbox: Inbox,
    shared: Shared,
    endpoint: Endpoint,
    feed: Option<&mut Feed>,
) -> Option<Fate> {
    let session = Session::new(id, Side::Client, stream, inbox, shared, endpoint);
    Session { feed, ..session }.run().await
}

/// What came of a connection.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It never was open: why, the beginning of the answer's body, and whether another time may be better.
    Refused { reason: String, body: Vec<u8>, transient: bool },
    /// It was open.
    Ended(End),
}

struct Session<'a> {
    id: ConnectionId,
    /// Which end is ours.
    side: Side,
    stream: Socket,
    inbox: Inbox,
    shared: Shared,
    endpoint: Endpoint,
    /// A wish of the user's that waits until the peer has read more.
    wish: Option<Outgoing>,
    /// Messages that are to be sent, one after the other.
    feed: Option<&'a mut Feed>,
    /// How much of the outbox may be written by now.
    pacing: Pacing,
    /// The socket is of no use any more.
    failed: bool,
    cause: Option<Cause>,
    fate: Option<Fate>,
}

/// What a session waited for has come.
enum Wake {
    Ready { readable: bool },
    Timeout,
    Letter(Letter),
    Fed,
    Stop,
}

impl Session<'_> {
    fn new(id: ConnectionId, side: Side, stream: Socket, inbox: Inbox, shared: Shared, endpoint: Endpoint) -> Self {
        Self {
            id,
            side,
            stream,
            inbox,
            shared,
            endpoint,
            wish: None,
            feed: None,
            pacing: Pacing::default(),
            failed: false,
            cause: None,
            fate: None,
        }
    }

    async fn run(mut self) -> Option<Fate> {
        let (ours, theirs) = (self.side, self.side.other());
        let mut stopping = false;
        let mut they_ended = false;
        let mut we_ended = false;
        while !self.endpoint.is_finished() {
            // most of the time the socket takes everything at once
            self.write().await;
            if self.endpoint.is_finished() {
                // nothing would wake it any more
                self.take_events();
                break;
            }
            if self.endpoint.wants_shutdown() && !we_ended {
                we_ended = true;
                self.stream.shutdown().await;
                self.record(EventKind::Ended { from: ours, how: SocketEnd::Fin }).await;
                continue;
            }
            match self.wait(stopping, they_ended).await {
                Wake::Ready { readable: true } => {
                    if !self.read().await {
                        they_ended = true;
                        if self.stream.is_truncated() {
                            self.record(EventKind::Truncated { from: theirs }).await;
                        }
                        self.record(EventKind::Ended { from: theirs, how: SocketEnd::Fin }).await;
                        self.endpoint.receive_end(Instant::now());
                    }
                }
                Wake::Ready { readable: false } | Wake::Fed => {}
                Wake::Timeout => self.endpoint.handle_timeout(Instant::now()),
                Wake::Letter(Letter::Wish(command)) => self.send(command.send),
                Wake::Letter(Letter::Broadcast(message)) => {
                    // as in `send`; the inbox is not looked at while the endpoint is full
                    let _ = self.endpoint.send_message(&message, endpoint::Origin::Endpoint);
                }
                Wake::Letter(Letter::TooSlow) => {
                    self.inbox.give_up_broadcasts();
                    let reason = "too slow for the broadcast";
                    // unless it is on its way out already
                    let _ = self.endpoint.dismiss(CloseCode::POLICY_VIOLATION, reason, Instant::now());
                }
                Wake::Stop => {
                    stopping = true;
                    self.pacing = Pacing::default();
                    self.endpoint.shutdown(Instant::now());
                }
            }
            if let Some(outgoing) = self.wish.take() {
                self.send(outgoing);
            }
            self.take_events();
            self.send_what_is_fed();
        }
        if !we_ended && !self.failed {
            if self.side == Side::Client {
                self.stream.shutdown().await;
            }
            self.record(EventKind::Ended { from: ours, how: SocketEnd::Fin }).await;
        }
        let cause = self.cause;
        self.record(EventKind::Closed { cause }).await;
        self.fate
    }

    async fn wait(&mut self, stopping: bool, they_ended: bool) -> Wake {
        let wants_read = self.endpoint.wants_read() && !they_ended;
        let has_bytes = !self.endpoint.outbox().is_empty() && self.pacing.until().is_none();
        let wants_write = has_bytes || !self.stream.is_flushed();
        let interest = match (wants_read, wants_write) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        };
        let deadline = [self.endpoint.next_timeout(), self.pacing.until()].into_iter().flatten().min();
        let full = self.endpoint.is_full();
        let is_open = self.endpoint.state() == State::Open;
        let feed = self.feed.as_deref_mut().filter(|feed| is_open && feed.is_hungry());
        let feeding = async {
            match feed {
                Some(feed) => feed.take_in().await,
                None => pending().await,
            }
        };
        let stream = &self.stream;
        let ready = async {
            match interest {
                Some(interest) => stream.ready(interest).await,
                None => pending().await,
            }
        };
        let timeout = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            ready = ready => {
                // an error shows again, and in full, in the read that follows
                let ready = ready.ok();
                Wake::Ready {
                    readable: wants_read && ready.is_none_or(|ready| ready.is_readable() || ready.is_read_closed()),
                }
            }
            letter = self.inbox.next(self.wish.is_none(), !full) => Wake::Letter(letter),
            () = feeding => Wake::Fed,
            () = stopped(&mut self.shared.stop), if !stopping => Wake::Stop,
            () = timeout => Wake::Timeout,
        }
    }

    /// Reads once; tells whether more may come.
    async fn read(&mut self) -> bool {
        match self.stream.read() {
            Ok(bytes) if bytes.is_empty() => false,
            Ok(bytes) => {
                self.record_chunk(self.side.other(), bytes.clone(), Vec::new()).await;
                self.endpoint.receive(&bytes, Instant::now());
                true
            }
            Err(error) if is_temporary(&error) => true,
            Err(error) => {
                self.failed(&error).await;
                true
            }
        }
    }

    /// Writes as much as the socket takes now.
    async fn write(&mut self) {
        match self.stream.flush() {
            Err(error) if is_temporary(&error) => return,
            Err(error) => return self.failed(&error).await,
            Ok(()) => {}
        }
        while let waiting @ [_, ..] = self.endpoint.outbox() {
            let now = self.pacing.room(waiting.len(), Instant::now());
            if now == 0 {
                return;
            }
            match self.stream.try_write(&waiting[..now]) {
                Ok(written) => {
                    self.pacing.written(written, Instant::now());
                    let Written { bytes, by_user } = self.endpoint.written(written, Instant::now());
                    let notes = by_user.into_iter().map(|offset| Note { offset, origin: Origin::User }).collect();
                    self.record_chunk(self.side, Bytes::from_owner(bytes), notes).await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed(&error).await;
                    return;
                }
            }
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let now = Instant::now();
        let endpoint = &mut self.endpoint;
        let sent = match &outgoing {
            Outgoing::Text(text) => endpoint.send_text(text),
            Outgoing::Fragments { text, count, ping_between } => {
                endpoint.send_fragments(text, u16::try_from(*count).unwrap_or(u16::MAX), *ping_between)
            }
            Outgoing::Ping(payload) => endpoint.send_ping(payload),
            Outgoing::Pong(payload) => endpoint.send_pong(payload),
            Outgoing::Close { code, reason } => endpoint.close(code.unwrap_or(CloseCode::NO_STATUS), reason, now),
            Outgoing::Composed(composed) => {
                let before = endpoint.outbox().len();
                let sent = endpoint.send_composed(composed, now);
                if sent.is_ok() {
                    self.pacing.pace(before, composed);
                }
                sent
            }
        };
        if sent == Err(NotSent::Full) {
            self.wish = Some(outgoing);
        }
        // where it was not sent for another reason, the connection is on its way out, which is to be seen
    }

    /// Sends as much of what is fed in as the peer takes, and closes after the last of it.
    fn send_what_is_fed(&mut self) {
        let Some(feed) = &mut self.feed else { return };
        while self.endpoint.state() == State::Open && !self.endpoint.is_full() {
            match feed.next() {
                Some(Fed::Message(message)) => {
                    // there is room, and the connection is open
                    let _ = self.endpoint.send_message(&message, endpoint::Origin::User);
                }
                Some(Fed::End(quiet)) => {
                    // the connection is open
                    let _ = self.endpoint.leave(quiet, Instant::now());
                    return;
                }
                None => return,
            }
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                endpoint::Event::Message(message) => self.shared.registry.broadcast(&Arc::new(message)),
                endpoint::Event::Refused { status, reason, body, transient } => {
                    if status == Some(408) && self.side == Side::Server {
                        self.cause = Some(Cause::HandshakeTooSlow);
                    }
                    self.fate = Some(Fate::Refused { reason, body, transient });
                }
                endpoint::Event::Closed(end) => {
                    if end.how == endpoint::How::Timeout {
                        let code = end.sent.as_ref().and_then(|close| close.code);
                        let by_ping = code == Some(CloseCode::INTERNAL_ERROR);
                        self.cause = Some(if by_ping { Cause::PingUnanswered } else { Cause::CloseUnanswered });
                    }
                    self.fate = Some(Fate::Ended(end));
                }
                endpoint::Event::Request(_) | endpoint::Event::Opened(..) | endpoint::Event::Page => {}
            }
        }
    }

    /// The socket failed: by a reset of the peer's, or otherwise.
    async fn failed(&mut self, error: &io::Error) {
        self.failed = true;
        if let Some(why) = session_failure(error, Side::Client) {
            self.record(EventKind::NoTls(why.into())).await;
        }
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                self.record(EventKind::Ended { from: self.side.other(), how: SocketEnd::Reset }).await;
            }
            _ => self.cause = Some(Cause::SocketFailed),
        }
        self.endpoint.receive_reset(Instant::now());
    }

    async fn record_chunk(&self, from: Side, bytes: Bytes, notes: Vec<Note>) {
        self.record(EventKind::Chunk { from, bytes, notes }).await;
    }

    async fn record(&self, kind: EventKind) {
        let time = self.shared.clock.now();
        self.shared.recorder.record(Event { connection: self.id, time, kind }).await;
    }
}
