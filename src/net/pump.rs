//! One direction of a relayed connection: bytes go on as soon as they were read, whole frame or not.

use std::collections::VecDeque;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::time::{Instant, sleep_until};

use super::borders::Borders;
use super::injection::Injection;
use super::leg::{Elsewhere, Leg};
use super::relay::PATIENCE;
use super::socket::Socket;
use super::tls::session_failure;
use super::upstream::Rewritten;
use crate::capture::{Delay, EventKind, Origin, SentOn, SocketEnd};
use crate::control::Outgoing;
use crate::wire::http::{ClientStep, ServerStep};
use crate::wire::{CloseCode, Side};

/// One direction.
pub(super) struct Pump<'a> {
    from: Side,
    source: &'a Socket,
    sink: &'a Socket,
    leg: &'a Leg,
    borders: Borders,
    /// Frames come from here on.
    is_in_frames: bool,
    /// What waits for its border.
    queue: VecDeque<Injection>,
    /// Since when the beginning of a request's head has been held back.
    held_since: Option<Instant>,
    /// How long bytes stayed here, and when that is told next.
    delay: Delay,
    told: Option<Instant>,
    /// The program is on its way out.
    stopping: bool,
    /// A close frame of ours went out for that reason: nothing follows it.
    draining: bool,
    /// A close frame of ours went out.
    has_closed: bool,
}

/// What is sent on.
#[derive(Debug)]
pub(super) enum Part {
    /// Bytes as they came.
    Bytes(Bytes),
    /// A request's head.
    Head(Rewritten),
}

/// How soon after bytes were passed on it is told how long that took.
const TELL_DELAY: Duration = Duration::from_secs(1);

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
    pub(super) fn new(leg: &'a Leg, from: Side, (source, sink): (&'a Socket, &'a Socket)) -> Self {
        Self {
            from,
            source,
            sink,
            leg,
            // until a WebSocket is asked for
            borders: Borders::none(),
            is_in_frames: false,
            queue: VecDeque::new(),
            held_since: None,
            delay: Delay::default(),
            told: None,
            stopping: false,
            draining: false,
            has_closed: false,
        }
    }

    /// Passes everything on until the source ends in order, which is passed on too. `first` and `rest` have been read and
    /// recorded already and go first; `rest` has not been looked into.
    pub(super) async fn run(mut self, first: Vec<Part>, rest: Bytes) -> Result<(), Abort> {
        let ended = self.pump(first, rest).await;
        if self.told.is_some() {
            self.tell_delay().await;
        }
        ended
    }

    async fn pump(&mut self, first: Vec<Part>, rest: Bytes) -> Result<(), Abort> {
        if self.from == Side::Client && self.leg.http().exchanges.asks_upgrade() {
            self.borders = Borders::of_frames();
        }
        for part in first {
            if let Part::Bytes(_) = part {
                self.tell_sent_on(Vec::new(), Vec::new()).await;
            }
            self.write_part(part).await?;
        }
        self.pass(rest, true).await?;
        // one for all, set anew only where something is due before it: that is dear, and done for each read otherwise
        let timer = sleep_until(Instant::now());
        tokio::pin!(timer);
        let mut rings = None;
        loop {
            self.take_asks();
            self.inject().await?;
            if self.from == Side::Client && !self.is_in_frames && self.leg.has_aside() {
                return Ok(());
            }
            if self.stopping && self.borders.is_closed() {
                return Ok(());
            }
            let due = self.due();
            if let Some(due) = due.filter(|due| rings.is_none_or(|rings| *due < rings)) {
                timer.as_mut().reset(due);
                rings = Some(due);
            }
            tokio::select! {
                // an error shows again, and in full, in the read that follows
                _ = self.source.readable() => {
                    if !self.read().await? {
                        return self.end().await;
                    }
                }
                () = &mut timer, if rings.is_some() => {
                    rings = None;
                    self.do_what_is_due().await?;
                }
                () = self.leg.stirred(self.from) => {}
            }
        }
    }

    /// When something is to be done, if nothing happens before.
    fn due(&self) -> Option<Instant> {
        [self.answer_due(), self.held_due(), self.told].into_iter().flatten().min()
    }

    /// By when the server is to answer.
    fn answer_due(&self) -> Option<Instant> {
        if self.from == Side::Client || self.is_in_frames { None } else { self.leg.answer_due() }
    }

    fn held_due(&self) -> Option<Instant> {
        self.held_since.map(|since| since + PATIENCE)
    }

    async fn do_what_is_due(&mut self) -> Result<(), Abort> {
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.answer_due()) {
            return Err(Abort::Silent);
        }
        if is_due(self.held_due()) {
            self.let_go().await?;
        }
        if is_due(self.told) {
            self.tell_delay().await;
        }
        Ok(())
    }

    /// Reads once and passes it on; tells whether more may come.
    async fn read(&mut self) -> Result<bool, Abort> {
        match self.source.read() {
            Ok(chunk) if chunk.is_empty() => Ok(false),
            Ok(chunk) => {
                let read = Instant::now();
                self.pass(chunk, false).await?;
                let written = Instant::now();
                self.delay.add(written - read);
                self.told.get_or_insert(written + TELL_DELAY);
                Ok(true)
            }
            Err(error) if is_temporary(&error) => Ok(true),
            Err(error) => {
                if let Some(why) = session_failure(&error, self.from) {
                    self.leg.record(EventKind::NoTls(why.into())).await;
                }
                Err(Abort::of(&error, self.from))
            }
        }
    }

    async fn tell_delay(&mut self) {
        self.told = None;
        self.leg.record(EventKind::Delayed { from: self.from, delay: self.delay }).await;
    }

    async fn pass(&mut self, mut chunk: Bytes, is_recorded: bool) -> Result<(), Abort> {
        self.take_asks();
        if !self.is_in_frames {
            let (http, parts) = if self.from == Side::Client {
                self.requests(&chunk, is_recorded)
            } else {
                self.leg.begin_to_pass();
                self.responses(&chunk)
            };
            let http = chunk.split_to(http);
            if !is_recorded && !http.is_empty() {
                self.leg.record_chunk(self.from, http, Vec::new()).await;
            }
            for part in parts {
                self.write_part(part).await?;
            }
            if self.from == Side::Client && self.leg.has_aside() {
                return Ok(());
            }
            if self.from == Side::Server {
                self.leg.end_to_pass();
            }
            if self.from == Side::Server && self.is_in_frames {
                self.leg.open.store(true, Ordering::Relaxed);
                self.leg.stir(Side::Client);
                self.inject().await?;
            }
        }
        while !chunk.is_empty() {
            let border = self.queue.front().map(|injection| injection.border);
            let part = chunk.split_to(self.borders.advance(&chunk, border));
            if !is_recorded {
                self.leg.record_chunk(self.from, part.clone(), Vec::new()).await;
            }
            if !self.draining {
                self.write(part).await?;
            }
            self.inject().await?;
        }
        Ok(())
    }

    /// How many bytes of `chunk` come before the frames, and what is sent on for them. The beginning of a head is held
    /// back until all of it is there.
    fn requests(&mut self, chunk: &Bytes, is_recorded: bool) -> (usize, Vec<Part>) {
        let mut http = self.leg.http();
        let (mut input, mut parts) = (&chunk[..], Vec::new());
        while !input.is_empty() {
            let start = chunk.len() - input.len();
            let step = http.exchanges.client(&mut input);
            let taken = start..chunk.len() - input.len();
            match step {
                ClientStep::Head(request) => {
                    let Some(head) = self.leg.sent_on(&request) else {
                        let unrecorded = if is_recorded { Bytes::new() } else { chunk.slice(taken.start..) };
                        self.leg.set_aside(Elsewhere { request, rest: chunk.slice(taken.end..), unrecorded });
                        return (taken.start, parts);
                    };
                    let upgrades = request.wants_upgrade();
                    self.borders = if upgrades { Borders::of_frames() } else { Borders::none() };
                    if upgrades {
                        http.asked = Some(Instant::now());
                        self.leg.stir(Side::Server);
                    }
                    parts.push(Part::Head(head));
                }
                ClientStep::Partial => {}
                ClientStep::TooLong(held) => parts.push(Part::Bytes(held.into())),
                ClientStep::Undecided => {
                    self.borders.advance(&chunk[taken.clone()], None);
                    parts.push(Part::Bytes(chunk.slice(taken)));
                }
                ClientStep::Body | ClientStep::Blank | ClientStep::Blind => parts.push(Part::Bytes(chunk.slice(taken))),
                ClientStep::Frames => {
                    self.is_in_frames = true;
                    break;
                }
            }
        }
        if http.exchanges.partial_request().is_empty() {
            self.held_since = None;
        } else {
            self.held_since.get_or_insert_with(Instant::now);
        }
        (chunk.len() - input.len(), parts)
    }

    /// How many bytes of `chunk` come before the frames; all of them are sent on.
    fn responses(&mut self, chunk: &Bytes) -> (usize, Vec<Part>) {
        let mut http = self.leg.http();
        let mut input = &chunk[..];
        while !input.is_empty() && !matches!(http.exchanges.server(&mut input), ServerStep::Frames) {}
        http.asked = Some(Instant::now());
        if http.exchanges.are_frames() {
            self.is_in_frames = true;
            self.borders = Borders::of_frames();
        }
        let length = chunk.len() - input.len();
        (length, vec![Part::Bytes(chunk.slice(..length))])
    }

    /// Sends the beginning of a head on as it is: the rest of it does not come.
    async fn let_go(&mut self) -> Result<(), Abort> {
        self.held_since = None;
        let held = {
            let mut http = self.leg.http();
            let held = Bytes::copy_from_slice(http.exchanges.partial_request());
            http.exchanges.give_up();
            held
        };
        self.write(held).await
    }

    async fn tell_sent_on(&self, lines: Vec<String>, removed: Vec<String>) {
        if let (Ok(from), Ok(to)) = (self.sink.tcp().local_addr(), self.sink.tcp().peer_addr()) {
            self.leg.record(EventKind::SentOn(Arc::new(SentOn { from, to, lines, removed }))).await;
        }
    }

    async fn write_part(&self, part: Part) -> Result<(), Abort> {
        match part {
            Part::Bytes(bytes) => self.write(bytes).await,
            Part::Head(Rewritten { bytes, lines, removed }) => {
                self.tell_sent_on(lines, removed).await;
                self.write(bytes.into()).await
            }
        }
    }

    /// The source has sent all it had to send.
    async fn end(&mut self) -> Result<(), Abort> {
        if self.held_since.is_some() {
            self.let_go().await?;
        }
        let is_truncated = self.source.is_truncated();
        if is_truncated {
            self.leg.record(EventKind::Truncated { from: self.from }).await;
        }
        self.leg.record(EventKind::Ended { from: self.from, how: SocketEnd::Fin }).await;
        if is_truncated {
            // the other side is to see what we saw
            self.sink.shutdown_tcp();
        } else {
            self.sink.shutdown().await;
        }
        Ok(())
    }

    fn take_asks(&mut self) {
        while let Some(ask) = self.leg.take_ask(self.from) {
            self.take(ask);
        }
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
            let mut writes = injection.writes.into_iter();
            while !rest.is_empty() {
                let mut write = writes.next().unwrap_or(rest.len());
                while write > 0 {
                    let written = self.write_some(&rest[..write]).await?;
                    let (here, later) = notes.into_iter().partition(|note| note.offset < written);
                    self.leg.record_chunk(self.from, rest.split_to(written), here).await;
                    notes = later;
                    for note in &mut notes {
                        note.offset -= written;
                    }
                    write -= written;
                }
                if !rest.is_empty() {
                    self.pause(injection.delay).await?;
                }
            }
        }
        Ok(())
    }

    /// Lets time pass between two writes of one frame. Other bytes of this direction stay with the source meanwhile; when
    /// the program ends, nothing is waited for.
    async fn pause(&mut self, delay: Duration) -> Result<(), Abort> {
        let until = Instant::now() + delay;
        while !delay.is_zero() && !self.stopping {
            tokio::select! {
                () = sleep_until(until) => break,
                () = self.leg.stirred(self.from) => self.take_asks(),
                error = self.source.broken() => return Err(Abort::of(&error, self.from)),
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
                Ok(written) => {
                    while !self.sink.is_flushed() {
                        match self.sink.flush() {
                            Err(error) if is_temporary(&error) => self.room().await?,
                            flushed => flushed.map_err(|error| Abort::of(&error, self.from.other()))?,
                        }
                    }
                    return Ok(written);
                }
                Err(error) if is_temporary(&error) => self.room().await?,
                Err(error) => return Err(Abort::of(&error, self.from.other())),
            }
        }
    }

    /// Waits until the sink takes something.
    async fn room(&self) -> Result<(), Abort> {
        tokio::select! {
            // an error shows again in the write that follows
            _ = self.sink.writable() => Ok(()),
            error = self.source.broken() => Err(Abort::of(&error, self.from)),
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

/// Waits until then, or for ever.
pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

pub(super) fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
