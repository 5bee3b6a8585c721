//! Whole sessions as scripts: what the endpoint hears, what it says, what it tells, and the time that passes between.

mod asking;
mod broken;
mod broken_server;
mod client;
mod closing;
mod deflate;
mod keepalive;
mod opening;
mod properties;
mod session;

use std::time::{Duration, Instant};

use super::{Config, Endpoint, Event};
use crate::wire::{CloseBody, CloseCode, Header, MaskingKey, Opcode, frame};

/// The request of RFC 6455 1.3.
const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The response of RFC 6455 1.3, without a subprotocol.
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const SECOND: Duration = Duration::from_secs(1);

/// A session with a fake clock.
struct Play {
    endpoint: Endpoint,
    now: Instant,
    /// Where the user's frames begin in what was written last.
    by_user: Vec<usize>,
}

impl Play {
    /// A TCP connection, nothing sent yet.
    fn connected(config: Config) -> Self {
        let now = Instant::now();
        Self { endpoint: Endpoint::new(config, now), now, by_user: Vec::new() }
    }

    /// The opening handshake is done.
    fn open(config: Config) -> Self {
        let mut play = Self::connected(config);
        play.hears(REQUEST).says(ACCEPTED);
        assert!(matches!(play.event(), Some(Event::Request(_))));
        assert!(matches!(play.event(), Some(Event::Opened(..))));
        play
    }

    fn hears(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.endpoint.receive(bytes.as_ref(), self.now);
        self
    }

    fn hears_the_end(&mut self) -> &mut Self {
        self.endpoint.receive_end(self.now);
        self
    }

    /// Time passes, with a look at every timeout on the way.
    fn waits(&mut self, time: Duration) -> &mut Self {
        let until = self.now + time;
        while let Some(next) = self.endpoint.next_timeout().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
            assert!(self.endpoint.next_timeout().is_none_or(|later| later > self.now), "a timeout repeats");
        }
        self.now = until;
        self
    }

    /// Exactly these bytes wait; they are written.
    #[track_caller]
    fn says(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let said = self.takes();
        assert_eq!(said.escape_ascii().to_string(), bytes.as_ref().escape_ascii().to_string());
        self
    }

    /// All that waits is written.
    fn takes(&mut self) -> Vec<u8> {
        let said = self.endpoint.outbox().to_vec();
        self.by_user = self.endpoint.written(said.len(), self.now).by_user;
        said
    }

    #[track_caller]
    fn says_nothing(&mut self) -> &mut Self {
        self.says("")
    }

    fn event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.event()).collect()
    }

    /// All is said, the sending half is to be shut; once the peer ends its half, it is over.
    #[track_caller]
    fn hangs_up(&mut self) -> &mut Self {
        assert!(self.endpoint.outbox().is_empty(), "something waits to be written");
        assert!(self.endpoint.wants_shutdown(), "it does not want to hang up");
        assert!(!self.endpoint.is_finished(), "it does not wait for the peer");
        self.hears_the_end().is_over()
    }

    #[track_caller]
    fn is_over(&mut self) -> &mut Self {
        assert!(self.endpoint.is_finished());
        assert_eq!((self.endpoint.outbox(), self.endpoint.next_timeout()), (&b""[..], None));
        self
    }
}

/// A frame as a client sends it.
fn client(opcode: Opcode, payload: impl AsRef<[u8]>) -> Vec<u8> {
    part(opcode, payload, true)
}

/// The same, with FIN as said.
fn part(opcode: Opcode, payload: impl AsRef<[u8]>, fin: bool) -> Vec<u8> {
    let payload = payload.as_ref();
    let key = MaskingKey([0x37, 0xfa, payload.len() as u8, 0x3d]);
    frame(&Header::new(opcode, Some(key), payload.len() as u64).with_fin(fin), payload)
}

/// A frame as a server sends it.
fn server(opcode: Opcode, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(&Header::new(opcode, None, payload.as_ref().len() as u64), payload.as_ref())
}

fn close_body(code: u16, reason: &str) -> Vec<u8> {
    CloseBody::encode(CloseCode(code), reason)
}

/// The code and reason of the Close that `bytes` end in, whatever comes before it.
fn last_close(bytes: &[u8]) -> (u16, String) {
    let at = (0..bytes.len()).rev().find(|&at| bytes[at] == 0x88 && bytes.len() - at == 2 + bytes[at + 1] as usize);
    let body = &bytes[at.expect("there is a Close") + 2..];
    (u16::from_be_bytes([body[0], body[1]]), String::from_utf8(body[2..].to_vec()).unwrap())
}
