//! Connections to servers: straight, or through a proxy.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::relay::PATIENCE;
use super::server::{NO_DESCRIPTORS, no_descriptors};
use super::upstream_proxy::{ProxyFault, UpstreamProxy};

/// How long an address has before the next one is tried beside it (RFC 8305 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Makes connections to servers.
#[derive(Clone, Debug, Default)]
pub struct Dialler {
    /// What they go through, if anything: it looks names up then.
    pub proxy: Option<UpstreamProxy>,
}

impl Dialler {
    /// Connects to a server: `host` is a name or an address, an IPv6 address without its brackets. In errors it is called
    /// `name`. Takes 10 seconds at most.
    pub async fn dial(&self, host: &str, port: u16, name: &(dyn fmt::Display + Sync)) -> Result<TcpStream, DialError> {
        self.dial_within(PATIENCE, host, port, name).await
    }

    /// The same within `patience`.
    pub(super) async fn dial_within(
        &self,
        patience: Duration,
        host: &str,
        port: u16,
        name: &(dyn fmt::Display + Sync),
    ) -> Result<TcpStream, DialError> {
        let failed = |fault| DialError { name: name.to_string(), proxy: self.proxy.as_ref().map(shown), fault };
        let dial = async {
            match &self.proxy {
                None => connect(host, port).await.map_err(Fault::Connect),
                Some(proxy) => {
                    let mut stream = connect(&proxy.host, proxy.port).await.map_err(Fault::Connect)?;
                    proxy.ask(&mut stream, host, port).await.map_err(Fault::Proxy)?;
                    Ok(stream)
                }
            }
        };
        let stream = timeout(patience, dial).await.map_err(|_| failed(Fault::TimedOut(patience)))?.map_err(failed)?;
        // small frames go out at once; where that can't be set, they go out a little later
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, ConnectFault> {
    let found = lookup_host((host, port)).await.map_err(|error| {
        // the system has no kind for it, only words: those of getaddrinfo's EAI_AGAIN
        ConnectFault::UnknownHost { for_now: error.to_string().contains("Temporary failure") }
    })?;
    first_of(found.collect()).await.map_err(|error| match error.kind() {
        _ if no_descriptors(&error) => ConnectFault::NoDescriptors,
        ErrorKind::ConnectionRefused => ConnectFault::Refused,
        _ => ConnectFault::Unreachable(error),
    })
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

fn shown(proxy: &UpstreamProxy) -> String {
    proxy.to_string()
}

/// Why there is no connection to a server.
#[derive(Debug)]
pub struct DialError {
    name: String,
    /// What it was to go through.
    proxy: Option<String>,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    /// The server, or the proxy before it, was not reached.
    Connect(ConnectFault),
    /// The proxy was reached, and did not connect to the server.
    Proxy(ProxyFault),
    TimedOut(Duration),
}

#[derive(Debug)]
enum ConnectFault {
    UnknownHost {
        /// Another time it may be found.
        for_now: bool,
    },
    Refused,
    NoDescriptors,
    Unreachable(io::Error),
}

impl DialError {
    /// Whether nothing came in time.
    pub const fn is_timeout(&self) -> bool {
        matches!(self.fault, Fault::TimedOut(_))
    }

    /// Whether the server may be reached another time.
    pub(super) const fn is_transient(&self) -> bool {
        match self.fault {
            Fault::Connect(ConnectFault::UnknownHost { for_now }) => for_now,
            Fault::Connect(_) | Fault::TimedOut(_) => true,
            Fault::Proxy(_) => false,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, proxy, fault } = self;
        let first = proxy.as_ref().map_or_else(|| name.clone(), |proxy| format!("the proxy {proxy}"));
        let sentence = match fault {
            Fault::Connect(ConnectFault::UnknownHost { .. }) => format!("the host of {first} was not found."),
            Fault::Connect(ConnectFault::Refused) => format!("{first} refused the connection: nothing listens there."),
            Fault::Connect(ConnectFault::NoDescriptors) => NO_DESCRIPTORS.to_owned(),
            Fault::Connect(ConnectFault::Unreachable(error)) => format!("{first} cannot be reached: {error}."),
            Fault::TimedOut(patience) => match proxy {
                None => format!("{name} did not take the connection within {}.", seconds(*patience)),
                Some(proxy) => {
                    format!("the proxy {proxy} did not connect to {name} within {}.", seconds(*patience))
                }
            },
            Fault::Proxy(fault) => fault.sentence(&first, name),
        };
        // a sentence begins with a capital letter, a URL as it is
        match sentence.strip_prefix("the ") {
            Some(rest) => write!(f, "The {rest}"),
            None => f.write_str(&sentence),
        }
    }
}

impl std::error::Error for DialError {}

/// `10 seconds`, `500ms`.
fn seconds(patience: Duration) -> String {
    if patience.subsec_nanos() == 0 { format!("{} seconds", patience.as_secs()) } else { format!("{patience:?}") }
}

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
        let why = |host: &'static str, patience| async move {
            let name = format!("ws://{host}:1");
            Dialler::default().dial_within(patience, host, 1, &name).await.unwrap_err()
        };
        let patience = Duration::from_secs(20);
        let unknown = why("no-such-host.invalid", patience).await;
        assert_eq!(unknown.to_string(), "The host of ws://no-such-host.invalid:1 was not found.");
        let refused = why("127.0.0.1", patience).await;
        assert_eq!(refused.to_string(), "ws://127.0.0.1:1 refused the connection: nothing listens there.");
        let fault = Fault::TimedOut(Duration::from_millis(500));
        let late = DialError { name: "ws://a".to_owned(), proxy: None, fault };
        assert_eq!(late.to_string(), "ws://a did not take the connection within 500ms.");
        assert!(refused.is_transient() && late.is_transient());
    }
}
