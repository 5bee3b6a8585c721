//! What sockets yield, as it is recorded: chunks, and how connections begin and end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::mark::Mark;
use super::tls::Tls;
use super::tunnel::{Tunnel, Unopened};
use crate::wire::{CloseCode, Side};

/// A connection's number: 1, 2, … in order of acceptance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Unix seconds, with microseconds kept.
    pub fn seconds(self) -> f64 {
        (self.0 / 1000) as f64 / 1e6
    }
}

/// Tells the time of day without ever going back: the clock is read once, then only monotonic time is added.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: u64,
}

impl Clock {
    /// Starts at the system's time.
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at: since_1970.as_nanos() as u64 }
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.started_at + self.started.elapsed().as_nanos() as u64)
    }
}

/// Who made a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Whoever is at the other end of a socket.
    #[default]
    Peer,
    /// Our own endpoint: echoes, answers to pings, keep-alive, automatic closes.
    Endpoint,
    /// The user asked for it.
    User,
}

impl Cause {
    const ALL: [Self; 4] = [Self::PingUnanswered, Self::CloseUnanswered, Self::HandshakeTooSlow, Self::SocketFailed];

    /// In a word, for the recording and what is exported of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PingUnanswered => "ping-unanswered",
            Self::CloseUnanswered => "close-unanswered",
            Self::HandshakeTooSlow => "handshake-too-slow",
            Self::SocketFailed => "socket-failed",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

impl SocketEnd {
    /// `fin` or `reset`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Reset => "reset",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Fin, Self::Reset].into_iter().find(|end| end.name() == name)
    }
}

impl Vantage {
    const ALL: [Self; 5] = [Self::Beside, Self::End(Side::Client), Self::End(Side::Server), Self::Late, Self::Archive];

    /// In a word, for what is exported.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beside => "beside",
            Self::End(Side::Client) => "client",
            Self::End(Side::Server) => "server",
            Self::Late => "late",
            Self::Archive => "archive",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vantage| vantage.name() == name)
    }
}

impl Origin {
    /// The origin of that name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Peer, Self::Endpoint, Self::User].into_iter().find(|origin| origin.name() == name)
    }

    /// `peer`, `endpoint` or `user`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Endpoint => "endpoint",
            Self::User => "user",
        }
    }
}

/// A frame that begins in a chunk was made by someone other than a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where in the chunk its first byte is.
    pub offset: usize,
    /// Who made it.
    pub origin: Origin,
}

/// One thing that happened on a connection.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where.
    pub connection: ConnectionId,
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A connection between these addresses stands; both ends have one.
    Opened {
        /// The end that asks.
        client: SocketAddr,
        /// The end that answers.
        server: SocketAddr,
        /// From where it is looked at.
        vantage: Vantage,
    },
    /// The bytes of one read, or of one write of our own.
    Chunk {
        /// Who sent them.
        from: Side,
        /// The bytes.
        bytes: Bytes,
        /// Which frames that begin in them a peer did not make.
        notes: Vec<Note>,
    },
    /// A proxy's client has a tunnel from here on; what follows crosses it.
    Tunnelled(Arc<Tunnel>),
    /// What crosses the tunnel is not looked into: why, and how much it is by now.
    Unopened(Arc<Unopened>),
    /// The next request of a relayed connection is sent on.
    SentOn(Arc<SentOn>),
    /// How long the bytes of one side have stayed with us by now.
    Delayed {
        /// Who sent them.
        from: Side,
        /// Since the beginning of the connection.
        delay: Delay,
    },
    /// There is nobody to send a request on to: why, in a sentence.
    NotSentOn(Arc<str>),
    /// TLS stands with the peer on that side; what follows is what it carries.
    Tls {
        /// With whom.
        with: Side,
        /// What was agreed on.
        tls: Arc<Tls>,
    },
    /// Nothing came of the client's TLS handshake, or TLS failed later: why, in a sentence.
    NoTls(Arc<str>),
    /// What one side sent by TLS ended without the end that TLS has of its own.
    Truncated {
        /// Which.
        from: Side,
    },
    /// Secrets of TLS sessions, in the format of a key log, for whoever has a capture of what crossed the wire.
    Secrets(Arc<str>),
    /// Bytes crossed the wire and were not seen.
    Gap {
        /// Who sent them.
        from: Side,
        /// How many.
        bytes: u64,
    },
    /// One side sends no more.
    Ended {
        /// Which.
        from: Side,
        /// How it said so.
        how: SocketEnd,
    },
    /// What an archive says of the connection's end; of an archived one alone.
    Account(Arc<Account>),
    /// The connection is over.
    Closed {
        /// Why, where bytes alone don't tell.
        cause: Option<Cause>,
    },
    /// The user marks one of its frames; it may be over by then.
    Mark(Mark),
}

/// How a request was sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentOn {
    /// Our end of the connection that it went out on.
    pub from: SocketAddr,
    /// The server that it went to.
    pub to: SocketAddr,
    /// Its lines that differ from those of the client, as they were sent on; what is not UTF-8 is replaced by U+FFFD.
    pub lines: Vec<String>,
    /// Those of the client that were not, as they came.
    pub removed: Vec<String>,
}

/// What an archive says of how a connection ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The code that it was closed with.
    pub code: Option<CloseCode>,
    /// The reason that was given.
    pub reason: Option<String>,
    /// What went wrong, in the words of the archive.
    pub error: Option<String>,
}

/// How long bytes of one direction stayed with us: from the end of the read to the end of the write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// How many reads were passed on.
    pub reads: u64,
    /// Nanoseconds of all of them together.
    pub total: u64,
    /// Nanoseconds of the one that took longest.
    pub most: u64,
}

impl Delay {
    /// One more read was passed on.
    pub fn add(&mut self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.reads += 1;
        self.total = self.total.saturating_add(took);
        self.most = self.most.max(took);
    }

    /// Nanoseconds of one read on the average; `None` if there was none.
    pub const fn mean(&self) -> Option<u64> {
        self.total.checked_div(self.reads)
    }
}

/// From where a connection is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vantage {
    /// From beside it, from its beginning on.
    #[default]
    Beside,
    /// From this end of it, which is our own endpoint.
    End(Side),
    /// From beside it, and it had begun before.
    Late,
    /// From an archive that another program made of its messages: none of its bytes were seen. What stands in the
    /// capture in their place says no more than the archive does: opcode, payload, time and direction of each message.
    Archive,
}

impl Vantage {
    /// Who makes the frames of `side`, where nothing else is known of them.
    pub(super) fn origin_of(self, side: Side) -> Origin {
        if self == Self::End(side) { Origin::Endpoint } else { Origin::Peer }
    }
}

/// How a side of a TCP connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEnd {
    /// In order: it has no more to send.
    Fin,
    /// Torn down.
    Reset,
}

/// Why a connection ended, where its bytes don't tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A ping of ours was not answered in time.
    PingUnanswered,
    /// Our close frame was not answered in time.
    CloseUnanswered,
    /// The opening handshake did not come in time.
    HandshakeTooSlow,
    /// The socket failed in another way.
    SocketFailed,
}
