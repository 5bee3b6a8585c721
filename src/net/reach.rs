//! A TCP connection to a server by its name, and what can keep one from being made.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::server::{NO_DESCRIPTORS, no_descriptors};
use super::upstream::Upstream;

/// How long an address has before the next one is tried beside it (RFC 8305 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address of `server` that takes the connection, within `patience` in all.
pub(super) async fn reach(server: &Upstream, patience: Duration) -> Result<TcpStream, Unreachable> {
    let connect = async {
        let found = lookup_host((server.host.as_str(), server.port)).await.map_err(Why::NotFound)?;
        first_of(found.collect()).await.map_err(|error| match error.kind() {
            _ if no_descriptors(&error) => Why::NoDescriptors,
            ErrorKind::ConnectionRefused => Why::Refused,
            _ => Why::Other(error),
        })
    };
    let connected = timeout(patience, connect).await.unwrap_or(Err(Why::TooSlow(patience)));
    connected.map_err(|why| Unreachable { server: server.to_string(), host: server.host.clone(), why })
}

/// Tries one address after the other, and beside those that take their time; the first that takes the connection wins.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = io::Error::from(ErrorKind::NotFound);
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let more = addresses.len() > 0;
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failed = error,
                Some(Err(error)) => failed = io::Error::other(error),
                None => return Err(failed),
            },
            () = sleep(HEAD_START), if more => {}
        }
    }
}

/// Why a server can't be reached.
#[derive(Debug)]
pub struct Unreachable {
    server: String,
    host: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    NotFound(io::Error),
    NoDescriptors,
    Refused,
    TooSlow(Duration),
    Other(io::Error),
}

impl Unreachable {
    /// Whether it may be reached another time.
    pub(super) fn is_transient(&self) -> bool {
        match &self.why {
            // the system has no kind for it, only words: those of getaddrinfo's EAI_AGAIN
            Why::NotFound(error) => error.to_string().contains("Temporary failure"),
            Why::NoDescriptors | Why::Refused | Why::TooSlow(_) | Why::Other(_) => true,
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, host, why } = self;
        match why {
            Why::NotFound(error) if self.is_transient() => {
                write!(f, "the host \"{host}\" was not found for now: {error}")
            }
            Why::NotFound(_) => {
                write!(f, "the host \"{host}\" was not found; expected a name that is known here, or an address")
            }
            Why::NoDescriptors => write!(f, "{server} was not connected to: {NO_DESCRIPTORS}"),
            Why::Refused => write!(f, "{server} refused the connection: nothing listens there"),
            Why::TooSlow(patience) => write!(f, "{server} did not take the connection within {patience:?}"),
            Why::Other(error) => write!(f, "{server} cannot be reached: {error}"),
        }
    }
}

impl std::error::Error for Unreachable {}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // bound, so that nobody else takes it, and not listening
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let bad = socket.local_addr().unwrap();
        let stream = first_of(vec![bad, bad, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert_eq!(first_of(vec![bad, bad]).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(first_of(Vec::new()).await.is_err());
    }

    #[tokio::test]
    async fn an_address_that_never_answers_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // an address for documentation (RFC 5737): it refuses, is unreachable, or swallows everything
        let nowhere = "192.0.2.1:9".parse().unwrap();
        let stream =
            timeout(Duration::from_secs(20), first_of(vec![nowhere, good])).await.expect("it comes to the other");
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn each_failure_has_its_sentence() {
        let why = |server: &'static str, patience| async move {
            reach(&server.parse().unwrap(), patience).await.unwrap_err().to_string()
        };
        let patience = Duration::from_secs(20);
        let unknown = why("ws://no-such-host.invalid", patience).await;
        assert!(unknown.starts_with("the host \"no-such-host.invalid\" was not found"), "{unknown}");
        let refused = why("ws://127.0.0.1:1", patience).await;
        assert_eq!(refused, "ws://127.0.0.1:1 refused the connection: nothing listens there");
        let late = why("ws://127.0.0.1:1", Duration::ZERO).await;
        assert_eq!(late, "ws://127.0.0.1:1 did not take the connection within 0ns");
    }
}
