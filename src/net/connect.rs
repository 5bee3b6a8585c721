//! The client: connects to a server, and again if that is asked for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::dial::{DialError, Dialler};
use super::feed::Feed;
use super::server::{Shared, stopped};
use super::session::{Fate, run_as_client};
use super::socket::Socket;
use super::tls::ClientTls;
use super::upstream::Upstream;
use crate::capture::{Clock, ConnectionId, EventKind, Recorder, Vantage};
use crate::control::{Commands, Messages};
use crate::endpoint::{Ask, Config, End, Endpoint, How, MaskingKeys};
use crate::wire::{CloseCode, MaskingKey, Side};

/// The wait before the second attempt; it doubles with each that fails, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait, and how long a connection has to last for the next wait to be short again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What a client is to do.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Whom to connect to.
    pub server: Upstream,
    /// How to get there.
    pub dialler: Dialler,
    /// How TLS is spoken to it, if it is.
    pub tls: Option<ClientTls>,
    /// What to ask for. Each connection has a fresh key.
    pub ask: Ask,
    /// How the endpoint behaves.
    pub endpoint: Arc<Config>,
    /// Tells the time of what is recorded.
    pub clock: Clock,
    /// How long a connection may take to come about.
    pub patience: Duration,
    /// Whether to try again after a failure that may pass.
    pub retry: bool,
    /// How long the server has to be quiet after the last message that is fed in for the connection to be closed; `None`:
    /// it is not closed.
    pub linger: Option<Duration>,
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    stop: watch::Sender<bool>,
    connected: watch::Receiver<bool>,
    task: JoinHandle<Result<(), Failure>>,
}

/// Connects as `options` say. What crosses goes to `recorder`; what the user asks for comes from `commands`, and
/// `messages` are sent in order. What is tried again, and why, is told to `tell`.
pub fn connect(
    options: ConnectOptions,
    recorder: Recorder,
    commands: Commands,
    messages: Option<Messages>,
    tell: impl Fn(String) + Send + Sync + 'static,
) -> Client {
    let (stop, stopped) = watch::channel(false);
    let (connected, is_connected) = watch::channel(false);
    let shared = Shared::new(options.clock, Vantage::End(Side::Client), recorder, stopped);
    let feed = messages.map(|messages| Feed::new(messages, options.linger));
    let connector = Connector { options, shared, feed, connected, last: 0 };
    Client { stop, connected: is_connected, task: tokio::spawn(connector.run(commands, tell)) }
}

impl Client {
    /// Waits until a connection stands, so that the opening handshake begins; false once it is clear that none will.
    pub async fn connected(&self) -> bool {
        // without a sender it is over
        self.connected.clone().wait_for(|connected| *connected).await.is_ok()
    }

    /// Whether a connection has stood by now.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Waits until there is no connection and there will be none, and how that came.
    pub async fn ended(&mut self) -> Result<(), Failure> {
        (&mut self.task).await.unwrap_or_else(|error| Err(Failure::Stuck(error.to_string())))
    }

    /// Begins to close the connection with 1001; [`Client::ended`] waits for its end.
    pub fn stop(&self) {
        // without a receiver it is over already
        let _ = self.stop.send(true);
    }
}

/// Why nothing came of a connection, or how it broke.
#[derive(Debug)]
pub enum Failure {
    /// There is nobody to talk to.
    Unreachable(DialError),
    /// There is no TLS connection to it.
    NoTls(String),
    /// The system gives no random numbers for keys.
    NoRandom(String),
    /// There is no WebSocket.
    Refused {
        /// The server.
        server: String,
        /// Why, in a sentence.
        reason: String,
        /// The beginning of what the server said about it.
        body: Vec<u8>,
        /// Whether it may be otherwise before long.
        transient: bool,
    },
    /// It was open, and ended otherwise than in order. The verdict in the capture says how.
    Broken {
        /// Whether it may be otherwise before long.
        transient: bool,
    },
    /// What was fed in came to no good end: why, in a sentence.
    Fed(String),
    /// The task that moved the traffic has come to an unexpected end.
    Stuck(String),
}

impl Failure {
    /// Whether another attempt may fare better.
    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(why) => why.is_transient(),
            Self::Refused { transient, .. } | Self::Broken { transient } => *transient,
            Self::NoTls(_) | Self::NoRandom(_) | Self::Fed(_) | Self::Stuck(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => why.fmt(f),
            Self::NoRandom(error) => {
                write!(f, "the system gives no random numbers, without which no key is safe: {error}")
            }
            Self::Refused { server, reason, .. } => write!(f, "{server}: {reason}"),
            Self::NoTls(why) | Self::Fed(why) => f.write_str(why),
            Self::Broken { .. } => f.write_str("the connection broke"),
            Self::Stuck(error) => write!(f, "the connection came to an unexpected end: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

struct Connector {
    options: ConnectOptions,
    shared: Shared,
    feed: Option<Feed>,
    connected: watch::Sender<bool>,
    /// The number of the last connection.
    last: u32,
}

impl Connector {
    /// Connects until that is no longer wanted.
    async fn run(mut self, mut commands: Commands, tell: impl Fn(String)) -> Result<(), Failure> {
        let registry = self.shared.registry.clone();
        let deliver = async {
            while let Some(command) = commands.recv().await {
                registry.send(command);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = self.keep_connected(tell) => outcome,
            () = deliver => Ok(()),
        }
    }

    async fn keep_connected(&mut self, tell: impl Fn(String)) -> Result<(), Failure> {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let outcome = self.once().await;
            if let Some(why) = self.feed.as_mut().and_then(Feed::take_fault) {
                return Err(Failure::Fed(why));
            }
            if *self.shared.stop.borrow() {
                return Ok(());
            }
            let again = match &outcome {
                Ok(Ended::InOrder) => false,
                Ok(Ended::GoneAway) => true,
                Err(failure) => failure.is_transient(),
            };
            let is_fed_up = self.feed.as_ref().is_some_and(Feed::is_over);
            if !self.options.retry || !again || is_fed_up {
                return outcome.map(|_| ());
            }
            if began.elapsed() >= LONGEST_WAIT {
                failures = 0;
            }
            let wait = backoff(failures, jitter());
            failures += 1;
            let why = outcome.map_or_else(|failure| failure.to_string(), |_| "the server closed with 1001".to_owned());
            tell(format!("{why}; trying again in {:.1} s", wait.as_secs_f64()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut self.shared.stop) => return Ok(()),
            }
        }
    }

    /// One connection from its beginning to its end.
    async fn once(&mut self) -> Result<Ended, Failure> {
        let ConnectOptions { server, dialler, ask, endpoint, patience, .. } = &self.options;
        let mut stop = self.shared.stop.clone();
        let stream = tokio::select! {
            stream = dialler.dial_within(*patience, &server.host, server.port, server) => {
                stream.map_err(Failure::Unreachable)?
            }
            () = stopped(&mut stop) => return Ok(Ended::InOrder),
        };
        let (Ok(client), Ok(address)) = (stream.local_addr(), stream.peer_addr()) else {
            return Err(Failure::Broken { transient: true });
        };
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| Failure::NoRandom(error.to_string()))?;
        let keys = fresh_keys().map_err(|error| Failure::NoRandom(error.to_string()))?;
        self.last += 1;
        let id = ConnectionId(self.last);
        let opened = EventKind::Opened { client, server: address, vantage: Vantage::End(Side::Client) };
        self.shared.record(id, opened).await;
        let greeted = tokio::select! {
            greeted = self.greet(id, stream) => greeted,
            () = stopped(&mut stop) => Ok(None),
        };
        let socket = match greeted {
            Ok(Some(socket)) => socket,
            nothing => {
                self.shared.record(id, EventKind::Closed { cause: None }).await;
                return nothing.map(|_| Ended::InOrder);
            }
        };
        self.connected.send_replace(true);
        let endpoint = Endpoint::client(endpoint.clone(), &Ask { key, ..ask.clone() }, keys, Instant::now());
        let inbox = self.shared.registry.join(id);
        let fate = run_as_client(id, socket, inbox, self.shared.clone(), endpoint, self.feed.as_mut()).await;
        match fate {
            Some(Fate::Refused { reason, body, transient }) => {
                Err(Failure::Refused { server: server.to_string(), reason, body, transient })
            }
            Some(Fate::Ended(end)) => verdict(&end),
            // it was given up before anything was settled
            None => Ok(Ended::InOrder),
        }
    }
}

impl Connector {
    /// Carries out the handshake of TLS, if that is spoken.
    async fn greet(&self, id: ConnectionId, stream: TcpStream) -> Result<Option<Socket>, Failure> {
        let Some(tls) = &self.options.tls else { return Ok(Some(Socket::Plain(stream))) };
        match tls.connect(stream, &self.options.server.host).await {
            Ok(socket) => {
                self.shared.tell_tls(id, Side::Server, &socket, tls.take_secrets()).await;
                Ok(Some(socket))
            }
            Err(error) => {
                self.shared.record(id, EventKind::NoTls(error.sentence().into())).await;
                Err(Failure::NoTls(error.to_string()))
            }
        }
    }
}

/// How a connection that had been open ended in order.
enum Ended {
    /// With a Close of ours, or one that says that all is done.
    InOrder,
    /// The server goes, and may come back.
    GoneAway,
}

fn verdict(end: &End) -> Result<Ended, Failure> {
    let code = end.code();
    match &end.how {
        How::Handshake if end.by == Side::Client || matches!(code, CloseCode::NORMAL | CloseCode::NO_STATUS) => {
            Ok(Ended::InOrder)
        }
        How::Handshake if code == CloseCode::GOING_AWAY => Ok(Ended::GoneAway),
        // internal error, service restart, try again later, bad gateway
        How::Handshake => Err(Failure::Broken { transient: (1011..=1014).contains(&code.0) }),
        How::Fin | How::Reset | How::Timeout => Err(Failure::Broken { transient: true }),
        How::Failed(_) => Err(Failure::Broken { transient: false }),
    }
}

/// How long to wait after so many failures in a row; `jitter` is from 0 to 1, so that many clients of one server do not
/// all come back at once.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    longest.mul_f64(0.5 + jitter / 2.0)
}

fn jitter() -> f64 {
    // without random numbers all wait alike
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

/// A masking key for each frame from the system's random numbers, which are fetched many at a time.
fn fresh_keys() -> Result<MaskingKeys, getrandom::Error> {
    const KEYS: usize = 256;
    let mut pool = [0; 4 * KEYS];
    getrandom::fill(&mut pool)?;
    let mut used = 0;
    Ok(MaskingKeys::new(move || {
        if used == KEYS {
            // it gave some before, and does not run out of them
            getrandom::fill(&mut pool).expect("the system gives random numbers");
            used = 0;
        }
        let key = pool[4 * used..].first_chunk().copied().expect("there are as many keys as that");
        used += 1;
        MaskingKey(key)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_differ_by_half_at_most() {
        for (failures, seconds) in [(0, 0.5), (1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (7, 30.0), (u32::MAX, 30.0)] {
            assert_eq!(backoff(failures, 1.0), Duration::from_secs_f64(seconds), "{failures}");
            assert_eq!(backoff(failures, 0.0), Duration::from_secs_f64(seconds / 2.0), "{failures}");
        }
        assert!((0.0..=1.0).contains(&jitter()));
    }

    #[test]
    fn what_a_connection_ended_with_says_whether_it_is_tried_again() {
        let closed = |by, code| {
            let close = crate::endpoint::CloseFrame { code: Some(CloseCode(code)), reason: String::new() };
            let closes = Some(close);
            End { side: Side::Client, by, how: How::Handshake, sent: closes.clone(), received: closes }
        };
        for code in [1000, 1008, 4000] {
            assert!(matches!(verdict(&closed(Side::Client, code)), Ok(Ended::InOrder)), "{code}");
        }
        assert!(matches!(verdict(&closed(Side::Server, 1000)), Ok(Ended::InOrder)));
        assert!(matches!(verdict(&closed(Side::Server, 1001)), Ok(Ended::GoneAway)));
        for (code, expected) in [(1002, false), (1008, false), (1011, true), (1012, true), (1013, true), (4000, false)]
        {
            let transient = verdict(&closed(Side::Server, code)).map_err(|failure| failure.is_transient());
            assert_eq!(transient.err(), Some(expected), "{code}");
        }
        let gone = End { how: How::Reset, ..closed(Side::Server, 1000) };
        assert!(verdict(&gone).is_err_and(|failure| failure.is_transient()));
    }
}
