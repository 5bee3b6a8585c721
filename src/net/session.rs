//! One connection of the server: its socket on one side, its endpoint on the other, and the recorder between them.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::Interest;

use super::pacing::Pacing;
use super::pump::is_temporary;
use super::registry::Inbox;
use super::server::{Shared, stopped};
use super::socket::Socket;
use super::tls::session_failure;
use crate::capture::{Cause, ConnectionId, Event, EventKind, Note, Origin, SocketEnd};
use crate::control::Outgoing;
use crate::endpoint::{self, Config, Endpoint, FrameNote, NotSent};
use crate::wire::{CloseCode, Message, Side};

/// Runs the connection to its end.
pub(super) async fn run(
    id: ConnectionId,
    stream: Socket,
    inbox: Inbox,
    shared: Shared,
    config: Arc<Config>,
    began: Instant,
) {
    let endpoint = Endpoint::new(config, began);
    let buffer = BytesMut::new();
    let pacing = Pacing::default();
    let session =
        Session { id, stream, inbox, shared, endpoint, buffer, wish: None, pacing, failed: false, cause: None };
    session.run().await;
}

struct Session {
    id: ConnectionId,
    stream: Socket,
    inbox: Inbox,
    shared: Shared,
    endpoint: Endpoint,
    buffer: BytesMut,
    /// A wish of the user's that waits until the peer has read more.
    wish: Option<Outgoing>,
    /// How much of the outbox may be written by now.
    pacing: Pacing,
    /// The socket is of no use any more.
    failed: bool,
    cause: Option<Cause>,
}

/// What a session waited for has come.
enum Wake {
    Ready { readable: bool },
    Timeout,
    Wish(Outgoing),
    Broadcast(Arc<Message>),
    TooSlow,
    Stop,
}

impl Session {
    async fn run(mut self) {
        let mut stopping = false;
        let mut client_ended = false;
        let mut server_ended = false;
        while !self.endpoint.is_finished() {
            // most of the time the socket takes everything at once
            self.write().await;
            if self.endpoint.is_finished() {
                // nothing would wake it any more
                self.take_events();
                break;
            }
            if self.endpoint.wants_shutdown() && !server_ended {
                server_ended = true;
                self.stream.shutdown().await;
                self.record(EventKind::Ended { from: Side::Server, how: SocketEnd::Fin }).await;
                continue;
            }
            match self.wait(stopping, client_ended).await {
                Wake::Ready { readable: true } => {
                    if !self.read().await {
                        client_ended = true;
                        if self.stream.is_truncated() {
                            self.record(EventKind::Truncated { from: Side::Client }).await;
                        }
                        self.record(EventKind::Ended { from: Side::Client, how: SocketEnd::Fin }).await;
                        self.endpoint.receive_end(Instant::now());
                    }
                }
                Wake::Ready { readable: false } => {}
                Wake::Timeout => self.endpoint.handle_timeout(Instant::now()),
                Wake::Wish(outgoing) => self.send(outgoing),
                Wake::Broadcast(message) => {
                    // as in `send`; the inbox is not looked at while the endpoint is full
                    let _ = self.endpoint.send_message(&message, endpoint::Origin::Endpoint);
                }
                Wake::TooSlow => {
                    self.inbox.broadcasts.give_up();
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
        }
        if !server_ended && !self.failed {
            self.record(EventKind::Ended { from: Side::Server, how: SocketEnd::Fin }).await;
        }
        let cause = self.cause;
        self.record(EventKind::Closed { cause }).await;
    }

    async fn wait(&mut self, stopping: bool, client_ended: bool) -> Wake {
        let wants_read = self.endpoint.wants_read() && !client_ended;
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
            command = self.inbox.wishes.next(), if self.wish.is_none() => Wake::Wish(command.send),
            message = self.inbox.broadcasts.next(), if !full => Wake::Broadcast(message),
            () = self.inbox.too_slow.notified() => Wake::TooSlow,
            () = stopped(&mut self.shared.stop), if !stopping => Wake::Stop,
            () = timeout => Wake::Timeout,
        }
    }

    /// Reads once; tells whether more may come.
    async fn read(&mut self) -> bool {
        match self.stream.read_some(&mut self.buffer) {
            Ok(0) => false,
            Ok(_) => {
                let bytes = self.buffer.split().freeze();
                self.record_chunk(Side::Client, bytes.clone(), Vec::new()).await;
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
                    let bytes = Bytes::copy_from_slice(&self.endpoint.outbox()[..written]);
                    let notes = self.endpoint.written(written, Instant::now()).into_iter().map(note).collect();
                    self.record_chunk(Side::Server, bytes, notes).await;
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

    fn take_events(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                endpoint::Event::Message(message) => self.shared.registry.broadcast(&Arc::new(message)),
                endpoint::Event::Refused { status: Some(408), .. } => self.cause = Some(Cause::HandshakeTooSlow),
                endpoint::Event::Closed(end) if end.how == endpoint::How::Timeout => {
                    let by_ping = end.sent.as_ref().is_some_and(|close| close.code == Some(CloseCode::INTERNAL_ERROR));
                    self.cause = Some(if by_ping { Cause::PingUnanswered } else { Cause::CloseUnanswered });
                }
                _ => {}
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
                self.record(EventKind::Ended { from: Side::Client, how: SocketEnd::Reset }).await;
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

fn note(note: FrameNote) -> Note {
    let origin = match note.origin {
        endpoint::Origin::Endpoint => Origin::Endpoint,
        endpoint::Origin::User => Origin::User,
    };
    Note { offset: note.at, origin }
}
