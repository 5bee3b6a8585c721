//! An entry of a HAR: one exchange, which may be a WebSocket.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, general_purpose::PAD};
use serde::de::{MapAccess, SeqAccess};

use super::closed::{Closed, words};
use super::extras::Extras;
use super::head::Half;
use super::json::{Array, Fields, Items, Object, Scalar};
use super::log::{Connection, Log, pass_over};
use super::message::{Frame, Message};
use super::spool::Place;
use crate::capture::event::{Account, Origin, Vantage};
use crate::wire::{Header, Opcode, Side};

/// An entry as far as it has been read.
pub(super) struct Entry<'a> {
    log: &'a mut Log,
    /// When the request was begun.
    started: Option<u64>,
    /// Nanoseconds that all of it took.
    took: u64,
    request: Half,
    response: Half,
    server: Option<IpAddr>,
    is_websocket: bool,
    account: Option<Account>,
    ended: Option<u64>,
    extras: Option<Extras>,
    /// A frame for each message.
    messages: Vec<Frame>,
    /// Compressed messages that could not be inflated.
    deflated: u64,
    /// The frames that they really were, as far as that is told.
    frames: Vec<Frame>,
    /// It is told of every message.
    is_whole: bool,
}

/// As forgiving as those who read base64 elsewhere.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

impl<'a> Entry<'a> {
    pub(super) fn new(log: &'a mut Log) -> Self {
        let half = || Half::new(log.passing.clone());
        Self {
            started: None,
            took: 0,
            request: half(),
            response: half(),
            server: None,
            is_websocket: false,
            account: None,
            ended: None,
            extras: None,
            messages: Vec::new(),
            deflated: 0,
            frames: Vec::new(),
            is_whole: true,
            log,
        }
    }

    fn message(&mut self, message: Message) {
        let from = match &*message.kind {
            "send" => Side::Client,
            "receive" => Side::Server,
            // Chrome's way of saying that the connection failed
            "error" => {
                self.account.get_or_insert_default().error = message.data.map(words);
                self.ended = message.time;
                return;
            }
            _ => {
                self.log.left_out += 1;
                return;
            }
        };
        let (Some(opcode), Some(data)) = (message.opcode, message.data) else {
            self.log.left_out += 1;
            return;
        };
        let is_text = message.extras.as_ref().map_or(opcode == Opcode::TEXT, |extras| extras.is_text);
        let bytes = if is_text { Ok(data.into_bytes()) } else { BASE64.decode(&data).map_err(|_| data) };
        let bytes = bytes.unwrap_or_else(|data| {
            self.log.not_base64 += 1;
            data.into_bytes()
        });
        let Some(payload) = self.log.spool.put(&bytes) else { return };
        let is_deflated = message.extras.as_ref().is_some_and(|extras| extras.is_deflated);
        let is_restorable =
            |extras: &super::message::Extras| self.is_whole && !extras.is_inflated && extras.missing_is_at_end();
        if let Some(extras) = message.extras.filter(is_restorable) {
            self.is_whole = extras.push_frames(from, payload, &mut self.frames);
        } else {
            self.is_whole = false;
        }
        if is_deflated {
            // what was said is not known
            self.deflated += 1;
            return;
        }
        self.messages.push(Frame {
            time: message.time.unwrap_or(0),
            n: 0,
            connection: 0,
            from,
            header: Header::new(opcode, None, payload.length),
            payload,
            chunks: 1,
            origin: Origin::Peer,
            complete: true,
            mark: None,
        });
    }

    /// Adds it to the log if it is a WebSocket. How one ended of which not all was read is not known.
    pub(super) fn finish(mut self, is_whole: bool) {
        self.log.entries += 1;
        let status = self.response.status;
        let scheme = self.request.url.split_once("://").map_or("", |(scheme, _)| scheme);
        if !self.is_websocket && status != Some(101) && !matches!(scheme, "ws" | "wss") {
            return;
        }
        let opens = self.opens();
        let first = self.messages.iter().map(|message| message.time).find(|time| *time > 0);
        let extras = self.extras.take();
        let began = extras.as_ref().and_then(|extras| extras.began).or(self.started).or(first).unwrap_or(0);
        let is_restored = self.is_whole && (self.messages.is_empty() || !self.frames.is_empty());

        if let Some(extras) = &extras {
            self.account = self.account.take().or_else(|| extras.account.clone());
            self.ended = self.ended.or(extras.ended);
        }
        let restored = extras.filter(|_| is_restored).and_then(|extras| extras.connection(began));
        let (mut connection, mut frames) = if let Some(connection) = restored {
            (self.restored(connection), std::mem::take(&mut self.frames))
        } else {
            self.log.deflated += self.deflated;
            (self.archived(began), std::mem::take(&mut self.messages))
        };
        self.log.silent += u64::from(frames.is_empty() && opens);
        connection.ended = connection.ended.filter(|_| is_whole);
        let mut before = connection.began;
        for frame in &mut frames {
            frame.connection = self.log.connections.len() as u32;
            frame.time = if frame.time == 0 { before } else { frame.time };
            before = frame.time;
        }
        self.log.frames.append(&mut frames);
        self.log.connections.push(connection);
    }

    /// Whether its answer opens a WebSocket; in HTTP/2 any 2xx to CONNECT does (RFC 8441).
    fn opens(&self) -> bool {
        let connects = self.request.method == "CONNECT";
        self.response.status.is_some_and(|status| status == 101 || (connects && status / 100 == 2))
    }

    fn restored(&mut self, connection: Connection) -> Connection {
        let request = self.request.request().and_then(|head| self.log.spool.put(&head));
        let response = self.response.response().and_then(|head| self.log.spool.put(&head));
        Connection { request, response, ..connection }
    }

    fn archived(&mut self, began: u64) -> Connection {
        let last = self.messages.last().map_or(began, |message| message.time.max(began));
        let end = last.max(began.saturating_add(self.took));
        // messages prove that it was open; what opened it is not shown where it is no answer of HTTP/1
        let (opened, opens) = (!self.messages.is_empty(), self.opens());
        let bare = (opened || opens) && self.response.status != Some(101);
        let response = if bare { Some(b"HTTP/1.1 101\r\n\r\n".to_vec()) } else { self.response.response() };
        if let Some(error) = self.response.error.take() {
            self.account.get_or_insert_default().error.get_or_insert(words(error));
        }
        let closed = |side| self.messages.iter().any(|one| one.from == side && one.header.opcode == Opcode::CLOSE);
        let is_told = self.account.is_some() || self.ended.is_some();
        let is_over = is_told || !(opened || opens) || Side::BOTH.into_iter().all(closed);
        let port = self.request.port();
        Connection {
            vantage: Vantage::Archive,
            client: None,
            server: self.server.zip(port).map(|(ip, port)| SocketAddr::new(ip, port)),
            began,
            answered: began,
            ended: is_over.then(|| self.ended.unwrap_or(end).max(last)),
            request: self.request.request().and_then(|head| self.log.spool.put(&head)),
            response: response.and_then(|head| self.log.spool.put(&head)),
            account: self.account.take(),
            ends: Vec::new(),
            cause: None,
        }
    }
}

impl Fields for Entry<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "startedDateTime" => {
                let started = map.next_value::<Scalar>()?.text().and_then(|text| text.parse::<jiff::Timestamp>().ok());
                self.started = started.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
            }
            "time" => {
                let milliseconds = map.next_value::<Scalar>()?.number().unwrap_or(0.0);
                // a year is more than any
                self.took = (milliseconds.clamp(0.0, 3.2e10) * 1e6) as u64;
            }
            "request" => {
                map.next_value_seed(Object(&mut self.request))?;
                self.request.is_whole = true;
            }
            "response" => {
                map.next_value_seed(Object(&mut self.response))?;
                self.response.is_whole = true;
            }
            "serverIPAddress" => {
                let text = map.next_value::<Scalar>()?.text().unwrap_or_default();
                self.server = text.trim_start_matches('[').trim_end_matches(']').parse().ok();
            }
            "_resourceType" => {
                self.is_websocket |= map.next_value::<Scalar>()?.text().as_deref() == Some("websocket");
            }
            "_webSocketMessages" => map.next_value_seed(Array(self))?,
            "_webSocketClose" => {
                let mut closed = Closed::default();
                map.next_value_seed(Object(&mut closed))?;
                self.account = closed.account.or(self.account.take());
            }
            "_wsinspect" => {
                let mut extras = Extras::new(self.log.passing.clone());
                map.next_value_seed(Object(&mut extras))?;
                self.extras = Some(extras);
            }
            _ => pass_over(map, &self.log.passing.clone())?,
        }
        Ok(())
    }
}

impl Items for Entry<'_> {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        self.is_websocket = true;
        let mut message = Message::new(self.log.passing.clone());
        let is_there = seq.next_element_seed(Object(&mut message))?.is_some();
        if is_there {
            self.message(message);
        }
        Ok(is_there)
    }
}

impl super::message::Extras {
    /// Bytes can be missing at the end of a frame that is not complete, and nowhere else.
    fn missing_is_at_end(&self) -> bool {
        self.missing == 0 || matches!(self.frames.last(), Some(Some(frame)) if !frame.complete)
    }

    /// Pushes the frames that the payload was cut into; `false` if they don't fit it.
    fn push_frames(self, from: Side, payload: Place, frames: &mut Vec<Frame>) -> bool {
        let mut rest = payload;
        let count = self.frames.len();
        for (i, frame) in self.frames.into_iter().enumerate() {
            let Some(frame) = frame else { return false };
            let length = frame.header.length.min(rest.length);
            let is_last = i + 1 == count;
            let fits = if frame.complete { length == frame.header.length } else { is_last };
            if !fits {
                return false;
            }
            frames.push(Frame { from, payload: Place { at: rest.at, length }, ..frame });
            rest = Place { at: rest.at + length, length: rest.length - length };
        }
        count > 0 && rest.length == 0
    }
}
