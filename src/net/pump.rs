//! One direction of a relayed connection: bytes go on as soon as they were read, whole frame or not.

use std::collections::VecDeque;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use rustix::net::{Shutdown, shutdown};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::borders::Borders;
use super::injection::Injection;
use super::server::Shared;
use super::session::{MIN_ROOM, READ_SIZE};
use crate::capture::{ConnectionId, Event, EventKind, Note, Origin, SocketEnd};
use crate::control::Outgoing;
use crate::wire::{CloseCode, Side};

/// What both directions of a connection share.
#[derive(Debug)]
pub(super) struct Leg {
    id: ConnectionId,
    shared: Shared,
    /// The server has agreed to a WebSocket: frames may be put in.
    open: AtomicBool,
}

impl Leg {
    pub(super) fn new(id: ConnectionId, shared: Shared) -> Self {
        Self { id, shared, open: AtomicBool::new(false) }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) async fn record(&self, kind: EventKind) {
        let time = self.shared.clock.now();
        self.shared.recorder.record(Event { connection: self.id, time, kind }).await;
    }

    pub(super) async fn record_chunk(&self, from: Side, bytes: Bytes, notes: Vec<Note>) {
        self.record(EventKind::Chunk { from, bytes, notes }).await;
    }
}

/// One direction.
pub(super) struct Pump<'a> {
    from: Side,
    source: &'a TcpStream,
    sink: &'a TcpStream,
    leg: &'a Leg,
    borders: Borders,
    asks: mpsc::UnboundedReceiver<Ask>,
    /// What waits for its border.
    queue: VecDeque<Injection>,
    buffer: BytesMut,
    /// How long the first byte may take.
    patience: Option<Duration>,
    /// The program is on its way out.
    stopping: bool,
    /// A close frame of ours went out for that reason: nothing follows it.
    draining: bool,
    /// A close frame of ours went out.
    has_closed: bool,
}

/// What is asked of a direction.
#[derive(Debug)]
pub(super) enum Ask {
    /// The user puts something in.
    Send(Outgoing),
    /// It is to come to an end: with a close frame, and whatever answers it.
    Stop,
}

/// What ends both directions at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abort {
    /// This side tore its connection down.
    Reset(Side),
    /// The connection to this side failed in another way.
    Failed(Side),
    /// The source has not sent anything in time.
    Silent,
}

impl<'a> Pump<'a> {
    /// The direction that comes from `from`, read from `source` and written to `sink`.
    pub(super) fn new(
        leg: &'a Leg,
        from: Side,
        (source, sink): (&'a TcpStream, &'a TcpStream),
        borders: Borders,
        asks: mpsc::UnboundedReceiver<Ask>,
    ) -> Self {
        Self {
            from,
            source,
            sink,
            leg,
            borders,
            asks,
            queue: VecDeque::new(),
            buffer: BytesMut::new(),
            patience: None,
            stopping: false,
            draining: false,
            has_closed: false,
        }
    }

    /// The first byte has to come within `patience`.
    pub(super) fn with_patience(self, patience: Option<Duration>) -> Self {
        Self { patience, ..self }
    }

    /// Passes everything on until the source ends in order, which is passed on too. `head` and `rest` have been read and
    /// recorded already and go first; the borders begin with `rest`.
    pub(super) async fn run(mut self, head: Bytes, rest: Bytes) -> Result<(), Abort> {
        self.borders.advance(&rest, None);
        self.write(head).await?;
        self.write(rest).await?;
        loop {
            self.inject().await?;
            if self.stopping && self.borders.is_closed() {
                return Ok(());
            }
            let patience = async {
                match self.patience {
                    Some(patience) => tokio::time::sleep(patience).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // an error shows again, and in full, in the read that follows
                _ = self.source.readable() => {
                    if !self.read().await? {
                        return self.end().await;
                    }
                }
                Some(ask) = self.asks.recv() => self.take(ask),
                () = patience => return Err(Abort::Silent),
            }
        }
    }

    /// Reads once and passes it on; tells whether more may come.
    async fn read(&mut self) -> Result<bool, Abort> {
        if self.buffer.capacity() - self.buffer.len() < MIN_ROOM {
            self.buffer.reserve(READ_SIZE);
        }
        match self.source.try_read_buf(&mut self.buffer) {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.patience = None;
                let chunk = self.buffer.split().freeze();
                self.pass(chunk).await.map(|()| true)
            }
            Err(error) if is_temporary(&error) => Ok(true),
            Err(error) => Err(Abort::of(&error, self.from)),
        }
    }

    async fn pass(&mut self, mut chunk: Bytes) -> Result<(), Abort> {
        while let Ok(ask) = self.asks.try_recv() {
            self.take(ask);
        }
        while !chunk.is_empty() {
            let border = self.queue.front().map(|injection| injection.border);
            let part = chunk.split_to(self.borders.advance(&chunk, border));
            if self.from == Side::Server && self.borders.has_frames() {
                self.leg.open.store(true, Ordering::Relaxed);
            }
            self.leg.record_chunk(self.from, part.clone(), Vec::new()).await;
            if !self.draining {
                self.write(part).await?;
            }
            self.inject().await?;
        }
        Ok(())
    }

    /// The source has sent all it had to send.
    async fn end(&mut self) -> Result<(), Abort> {
        self.leg.record(EventKind::Ended { from: self.from, how: SocketEnd::Fin }).await;
        // a peer that is gone already needs no end
        let _ = shutdown(self.sink, Shutdown::Write);
        Ok(())
    }

    fn take(&mut self, ask: Ask) {
        let to = self.from.other();
        match ask {
            Ask::Send(outgoing) => self.queue.extend(Injection::new(&outgoing, to, Origin::User)),
            Ask::Stop => {
                self.stopping = true;
                self.queue.clear();
                // after a close frame nothing follows (RFC 6455 5.5.1)
                if !self.has_closed && !self.borders.is_closed() {
                    let reason = "the relay is shutting down".to_owned();
                    let close = Outgoing::Close { code: Some(CloseCode::GOING_AWAY), reason };
                    self.queue.extend(Injection::new(&close, to, Origin::Endpoint));
                }
            }
        }
    }

    /// Puts in what may go in here.
    async fn inject(&mut self) -> Result<(), Abort> {
        while self.leg.is_open() {
            let Some(injection) = self.queue.pop_front_if(|injection| self.borders.is_at(injection.border)) else {
                break;
            };
            self.has_closed |= injection.is_close;
            self.draining |= injection.is_close && self.stopping;
            let (mut rest, mut notes) = (injection.bytes, injection.notes);
            while !rest.is_empty() {
                let written = self.write_some(&rest).await?;
                let (here, later) = notes.into_iter().partition(|note| note.offset < written);
                self.leg.record_chunk(self.from, rest.split_to(written), here).await;
                notes = later;
                for note in &mut notes {
                    note.offset -= written;
                }
            }
        }
        Ok(())
    }

    async fn write(&self, mut bytes: Bytes) -> Result<(), Abort> {
        while !bytes.is_empty() {
            let written = self.write_some(&bytes).await?;
            bytes.advance(written);
        }
        Ok(())
    }

    /// Writes as much as the sink takes, once it takes anything.
    async fn write_some(&self, bytes: &[u8]) -> Result<usize, Abort> {
        loop {
            match self.sink.try_write(bytes) {
                Ok(written) => return Ok(written),
                Err(error) if is_temporary(&error) => {}
                Err(error) => return Err(Abort::of(&error, self.from.other())),
            }
            tokio::select! {
                // an error shows again in the write that follows
                _ = self.sink.writable() => {}
                error = broken(self.source) => return Err(Abort::of(&error, self.from)),
            }
        }
    }
}

impl Abort {
    /// What an error of the connection to `side` comes to.
    pub(super) fn of(error: &io::Error, side: Side) -> Self {
        match error.kind() {
            // the latter is what Linux calls a reset after the other side's end
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Self::Reset(side),
            _ => Self::Failed(side),
        }
    }
}

pub(super) fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Waits until a connection that nobody reads from breaks.
pub(super) async fn broken(stream: &TcpStream) -> io::Error {
    loop {
        if let Err(error) = stream.ready(Interest::ERROR).await {
            return error;
        }
        match stream.take_error() {
            Ok(Some(error)) | Err(error) => return error,
            // whoever read or wrote has taken it: wait for the next
            Ok(None) => drop(stream.try_io(Interest::ERROR, || Err::<(), _>(ErrorKind::WouldBlock.into()))),
        }
    }
}
