//! What an endpoint is told to do.

use std::borrow::Cow;
use std::time::Duration;

use super::rooms::Rooms;
use crate::lint::Limits;
use crate::wire::DeflateAgreement;
use crate::wire::handshake::MAX_HEAD;

/// How an end behaves. What answers requests is a server's alone; what a client asks for is an [`super::Ask`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The most bytes of a head; a request with a longer one is answered 431.
    pub max_head: usize,
    /// The time from the connection's beginning to the end of the peer's head, however slowly it trickles in.
    pub handshake_timeout: Duration,
    /// The most bytes of a frame and of a message that is received.
    pub limits: Limits,
    /// What is done with the messages of the peer.
    pub reply: Reply,
    /// Server: the subprotocols spoken here. The first of the client's offers that is among them is chosen.
    pub subprotocols: Vec<String>,
    /// Server: origins from which browsers may connect, as `scheme://host[:port]`; none means all. A request without `Origin`
    /// passes: it comes from no browser, and whoever is no browser may claim any origin (RFC 6455 10.2).
    pub origins: Vec<String>,
    /// Server: permessage-deflate is agreed to where the client offers it, and this is what is wanted of it beyond what the client
    /// asks for: it goes into the answer where RFC 7692 allows it (7.1). `None`: messages are never compressed.
    pub deflate: Option<DeflateAgreement>,
    /// Server: headers added to the response that accepts.
    pub headers: Vec<(String, String)>,
    /// Server: what a browser is shown that asks for one of these without an upgrade.
    pub pages: Vec<Page>,
    /// A ping is sent this often; a peer that has not answered by the next one is given up. `None` or zero: never.
    pub ping_interval: Option<Duration>,
    /// Whether pings are answered.
    pub auto_pong: bool,
    /// Enforces no rule. Only where the frame borders are lost does the connection end.
    pub tolerant: bool,
    /// How long the peer may take for its part of closing: its Close, then its end of the TCP connection. A server may
    /// have much to answer before its Close: as long as it sends, a client waits.
    pub close_timeout: Duration,
    /// The same when the program ends ([`super::Endpoint::shutdown`]).
    pub shutdown_timeout: Duration,
    /// Outgoing bytes above which the endpoint wants no more input and takes nothing more to send.
    pub high_water: usize,
    /// Rooms for outgoing bytes, shared by all ends that have them from here.
    pub rooms: Rooms,
}

/// What is done with the messages of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reply {
    /// They are sent back.
    #[default]
    Echo,
    /// They are handed out as [`super::Event::Message`].
    HandOver,
    /// They are checked and forgotten.
    Nothing,
}

/// The answer to a browser's plain GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is found: `/`.
    pub path: &'static str,
    /// The body.
    pub body: Cow<'static, [u8]>,
    /// Its headers: `Content-Type`, `Content-Security-Policy`. Length and connection headers are added.
    pub headers: Vec<(String, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_head: MAX_HEAD,
            handshake_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            reply: Reply::default(),
            subprotocols: Vec::new(),
            origins: Vec::new(),
            deflate: Some(DeflateAgreement::default()),
            headers: Vec::new(),
            pages: Vec::new(),
            ping_interval: None,
            auto_pong: true,
            tolerant: false,
            close_timeout: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(1),
            high_water: 4 << 20,
            rooms: Rooms::default(),
        }
    }
}
