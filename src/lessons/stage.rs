//! The connection of a lesson: our endpoint is its server, and its client is made of bytes. Sans-IO: the time is handed
//! in, and what would cross the wire is handed out as what a recorder takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::lesson::Lesson;
use super::script::{Key, Part};
use crate::capture::{EventKind, Note, Origin, SocketEnd, Vantage};
use crate::compose::{Composed, ComposedFrame};
use crate::control::Outgoing;
use crate::endpoint::{Config, Endpoint, Reply, Written};
use crate::wire::{
    CloseBody, CloseCode, DeflateAgreement, Deflater, Header, MaskingKey, Opcode, Rsv, Side, encode_frame, fragments,
};

/// One connection.
#[derive(Debug)]
pub(super) struct Stage {
    endpoint: Endpoint,
    /// The client's, where messages are compressed.
    deflater: Option<Deflater>,
    client_ended: bool,
    is_over: bool,
    happened: Vec<EventKind>,
}

/// Bytes that one side sends, and who made the frames in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) bytes: Vec<u8>,
    pub(super) notes: Vec<Note>,
}

impl Stage {
    /// The `number`th connection of a lesson, its opening handshake done.
    pub(super) fn open(lesson: &Lesson, number: u16, now: Instant) -> Self {
        let config = Config {
            reply: if lesson.echo { Reply::Echo } else { Reply::Nothing },
            deflate: lesson.deflate.then(DeflateAgreement::default),
            ..Config::default()
        };
        let client = SocketAddr::from(([127, 0, 0, 1], 50_000_u16.saturating_add(number)));
        let server = SocketAddr::from(([127, 0, 0, 1], 9002));
        let mut stage = Self {
            endpoint: Endpoint::new(config, now),
            deflater: None,
            client_ended: false,
            is_over: false,
            happened: vec![EventKind::Opened { client, server, vantage: Vantage::End(Side::Server) }],
        };
        // the first key is the lesson's, each later one another
        let mut key = lesson.key;
        key[15] = key[15].wrapping_add(number as u8 - 1);
        let offer = if lesson.deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let request = format!(
            "GET /chat HTTP/1.1\r\nHost: localhost:9002\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n",
            STANDARD.encode(key)
        );
        stage.client(Told { bytes: request.into_bytes(), notes: Vec::new() }, now);
        stage.settle(now);
        if lesson.deflate {
            stage.deflater = Deflater::new(true, 15);
        }
        stage
    }

    /// Whether nothing is sent on it any more.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// What happened since it was last asked.
    pub(super) fn take(&mut self) -> Vec<EventKind> {
        std::mem::take(&mut self.happened)
    }

    /// The server reads this, all at once.
    pub(super) fn client(&mut self, told: Told, now: Instant) {
        if self.client_ended || self.is_over || told.bytes.is_empty() {
            return;
        }
        self.endpoint.receive(&told.bytes, now);
        self.happened.push(chunk(Side::Client, told));
    }

    /// The client reads this, all at once; the server has queued it before.
    pub(super) fn server(&mut self, told: Told) {
        if !self.is_over && !told.bytes.is_empty() {
            self.happened.push(chunk(Side::Server, told));
        }
    }

    /// A side ends its half of the TCP connection.
    pub(super) fn end(&mut self, side: Side, now: Instant) {
        if self.is_over {
            return;
        }
        self.happened.push(EventKind::Ended { from: side, how: SocketEnd::Fin });
        match side {
            Side::Client => {
                self.client_ended = true;
                self.endpoint.receive_end(now);
            }
            Side::Server => self.close(),
        }
    }

    /// What the server has to say is said, and the TCP connection ends where it does: the server goes first (RFC 6455
    /// 7.1.1), and the client at once after it.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.is_over {
            return;
        }
        let answer = self.queued(now);
        self.server(answer);
        if self.endpoint.wants_shutdown() || self.endpoint.is_finished() {
            self.happened.push(EventKind::Ended { from: Side::Server, how: SocketEnd::Fin });
            self.close();
        }
    }

    /// The bytes of the script's parts, as `from` sends them; `fresh` gives masking keys.
    pub(super) fn told(
        &mut self,
        from: Side,
        parts: &[Part],
        now: Instant,
        mut fresh: impl FnMut() -> MaskingKey,
    ) -> Told {
        let mut key = |key: Key| match key {
            Key::Usual => (from == Side::Client).then(&mut fresh),
            Key::Given(key) => Some(key),
            Key::None => None,
        };
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                Part::Bytes(raw) => bytes.extend_from_slice(raw),
                Part::Deflated { text, .. } if from == Side::Server => {
                    // a lesson without compression sends it as it is
                    let _ = self.endpoint.send_text(&String::from_utf8_lossy(text));
                    bytes.extend(self.queued(now).bytes);
                }
                Part::Deflated { text, key: how } => {
                    let mut payload = Vec::new();
                    let rsv = if let Some(deflater) = &mut self.deflater {
                        deflater.message(text, &mut payload);
                        Rsv::RSV1
                    } else {
                        payload.clone_from(text);
                        Rsv::NONE
                    };
                    let header = Header { rsv, ..Header::new(Opcode::TEXT, key(*how), payload.len() as u64) };
                    encode_frame(&header, &payload, &mut bytes);
                }
                Part::Frame { frame, key: how } if from == Side::Server => {
                    let header = Header { masking_key: key(*how), ..frame.header };
                    let frame = ComposedFrame { header, payload: frame.payload.clone() };
                    if let Ok(composed) = Composed::new(vec![frame], 1, Duration::ZERO) {
                        // where it is on its way out already, nothing more is said
                        let _ = self.endpoint.send_composed(&composed, now);
                    }
                    bytes.extend(self.queued(now).bytes);
                }
                Part::Frame { frame, key: how } => Part::encode(frame, key(*how), &mut bytes),
            }
        }
        Told { bytes, notes: Vec::new() }
    }

    /// What the learner sends to the client, in the server's place.
    pub(super) fn learner_as_server(&mut self, outgoing: &Outgoing, now: Instant) -> Told {
        let endpoint = &mut self.endpoint;
        // what can't be sent any more is not: the connection is on its way out, which is to be seen
        let _ = match outgoing {
            Outgoing::Text(text) => endpoint.send_text(text),
            Outgoing::Fragments { text, count, ping_between } => {
                endpoint.send_fragments(text, u16::try_from(*count).unwrap_or(u16::MAX), *ping_between)
            }
            Outgoing::Ping(payload) => endpoint.send_ping(payload),
            Outgoing::Pong(payload) => endpoint.send_pong(payload),
            Outgoing::Close { code, reason } => endpoint.close(code.unwrap_or(CloseCode::NO_STATUS), reason, now),
            Outgoing::Composed(composed) => endpoint.send_composed(composed, now),
        };
        self.queued(now)
    }

    /// What the server has queued.
    fn queued(&mut self, now: Instant) -> Told {
        let Written { bytes, by_user } = self.endpoint.written(self.endpoint.outbox().len(), now);
        let notes = by_user.into_iter().map(|offset| Note { offset, origin: Origin::User }).collect();
        Told { bytes: bytes.as_ref().to_vec(), notes }
    }

    fn close(&mut self) {
        if !self.client_ended {
            self.client_ended = true;
            self.happened.push(EventKind::Ended { from: Side::Client, how: SocketEnd::Fin });
        }
        self.happened.push(EventKind::Closed { cause: None });
        self.is_over = true;
    }
}

impl Told {
    /// What the learner sends to the server, in the client's place: masked with what `fresh` gives for each frame.
    pub(super) fn by_the_learner(outgoing: &Outgoing, mut fresh: impl FnMut() -> MaskingKey) -> Self {
        let mut told = Self::default();
        let mut push = |opcode, fin, payload: &[u8]| {
            let header = Header::new(opcode, Some(fresh()), payload.len() as u64).with_fin(fin);
            told.frame(&header, payload);
        };
        match outgoing {
            Outgoing::Text(text) => push(Opcode::TEXT, true, text.as_bytes()),
            Outgoing::Fragments { text, count, ping_between } => {
                let count = u16::try_from(*count).unwrap_or(u16::MAX);
                for (opcode, fin, fragment) in fragments(Opcode::TEXT, text.as_bytes(), count) {
                    push(opcode, fin, fragment);
                    if *ping_between && opcode == Opcode::TEXT && !fin {
                        push(Opcode::PING, true, b"between fragments");
                    }
                }
            }
            Outgoing::Ping(payload) => push(Opcode::PING, true, payload),
            Outgoing::Pong(payload) => push(Opcode::PONG, true, payload),
            Outgoing::Close { code, reason } => {
                // 1005 stands for no body, as it does in `serve`
                let code = code.filter(|&code| code != CloseCode::NO_STATUS);
                push(Opcode::CLOSE, true, &code.map_or_else(Vec::new, |code| CloseBody::encode(code, reason)));
            }
            Outgoing::Composed(composed) => {
                composed.frames().iter().for_each(|frame| told.frame(&frame.header, &frame.payload));
            }
        }
        told
    }

    fn frame(&mut self, header: &Header, payload: &[u8]) {
        self.notes.push(Note { offset: self.bytes.len(), origin: Origin::User });
        encode_frame(header, payload, &mut self.bytes);
    }

    /// The same in pieces of these sizes, and the rest in one more.
    pub(super) fn split(mut self, sizes: impl Iterator<Item = usize>) -> Vec<Self> {
        let mut pieces = Vec::new();
        for size in sizes {
            if size >= self.bytes.len() {
                break;
            }
            let rest = self.bytes.split_off(size);
            let (notes, mut later): (Vec<_>, Vec<_>) = self.notes.into_iter().partition(|note| note.offset < size);
            for note in &mut later {
                note.offset -= size;
            }
            pieces.push(Self { bytes: self.bytes, notes });
            self = Self { bytes: rest, notes: later };
        }
        pieces.push(self);
        pieces
    }
}

fn chunk(from: Side, told: Told) -> EventKind {
    EventKind::Chunk { from, bytes: Bytes::from(told.bytes), notes: told.notes }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::script::{self, Statement};
    use super::*;

    fn lesson(head: &str) -> Lesson {
        let text = format!("lesson: A\nabout: B\n{head}\n\n== One\n\nText\n");
        Lesson::parse(Path::new("a.lesson"), &text).unwrap()
    }

    /// What a connection comes to on which the client sends `line`: the bytes of each chunk.
    fn chunks(head: &str, line: &str) -> (Vec<(Side, Vec<u8>)>, bool) {
        let now = Instant::now();
        let mut stage = Stage::open(&lesson(head), 1, now);
        stage.take();
        let Ok(Statement::Send(send)) = script::send(Side::Client, line) else { panic!("{line}") };
        let told = stage.told(Side::Client, &send.parts, now, || MaskingKey([1, 2, 3, 4]));
        for piece in told.split(send.reads.into_iter()) {
            stage.client(piece, now);
        }
        stage.settle(now);
        let chunks = stage.take().into_iter().filter_map(|kind| match kind {
            EventKind::Chunk { from, bytes, .. } => Some((from, bytes.to_vec())),
            _ => None,
        });
        (chunks.collect(), stage.is_over())
    }

    #[test]
    fn the_handshake_is_the_first_thing_that_is_there() {
        let mut stage = Stage::open(&lesson(""), 1, Instant::now());
        let [
            EventKind::Opened { .. },
            EventKind::Chunk { from: Side::Client, bytes: request, .. },
            EventKind::Chunk { from: Side::Server, bytes: response, .. },
        ] = &stage.take()[..]
        else {
            panic!("no handshake")
        };
        let text = String::from_utf8_lossy(request);
        assert!(text.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "{text}");
        assert!(String::from_utf8_lossy(response).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn bytes_arrive_as_they_are_cut_and_are_answered() {
        let (chunks, over) = chunks("", "text \"Hi\" in 1 3");
        let expected = [
            (Side::Client, vec![0x81]),
            (Side::Client, vec![0x82, 1, 2]),
            (Side::Client, vec![3, 4, b'H' ^ 1, b'i' ^ 2]),
            (Side::Server, vec![0x81, 2, b'H', b'i']),
        ];
        assert_eq!((&chunks[..], over), (&expected[..], false));
        assert_eq!(self::chunks("reply: none", "text \"Hi\"").0.len(), 1);
    }

    #[test]
    fn a_broken_rule_ends_it_as_it_ends_any_connection() {
        let (chunks, over) = chunks("", "text \"Hi\" unmasked");
        let (from, close) = &chunks[1];
        assert_eq!((*from, close[0], &close[2..4], over), (Side::Server, 0x88, &b"\x03\xea"[..], true));
    }

    #[test]
    fn what_the_learner_makes_is_noted_as_theirs() {
        let outgoing = Outgoing::Fragments { text: "abc".to_owned(), count: 3, ping_between: true };
        let told = Told::by_the_learner(&outgoing, MaskingKey::default);
        assert_eq!(told.notes.len(), 4);
        let pieces = told.split([7, 8].into_iter());
        assert_eq!(pieces.iter().map(|piece| piece.notes.len()).collect::<Vec<_>>(), [1, 1, 2]);
    }
}
