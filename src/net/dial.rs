//! Connections to servers: straight, or through a proxy.

use std::fmt;
use std::io::{self, ErrorKind};

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::relay::PATIENCE;
use super::server::{NO_DESCRIPTORS, no_descriptors};
use super::upstream_proxy::{ProxyFault, UpstreamProxy};

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
        let stream = timeout(PATIENCE, dial).await.map_err(|_| failed(Fault::TimedOut))?.map_err(failed)?;
        // small frames go out at once; where that can't be set, they go out a little later
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, ConnectFault> {
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(|_| ConnectFault::UnknownHost)?.collect();
    TcpStream::connect(&addresses[..]).await.map_err(|error| match error.kind() {
        _ if no_descriptors(&error) => ConnectFault::NoDescriptors,
        ErrorKind::ConnectionRefused => ConnectFault::Refused,
        _ => ConnectFault::Unreachable(error),
    })
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
    TimedOut,
}

#[derive(Debug)]
enum ConnectFault {
    UnknownHost,
    Refused,
    NoDescriptors,
    Unreachable(io::Error),
}

impl DialError {
    /// Whether nothing came in time.
    pub const fn is_timeout(&self) -> bool {
        matches!(self.fault, Fault::TimedOut)
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, proxy, fault } = self;
        let first = proxy.as_ref().map_or_else(|| name.clone(), |proxy| format!("the proxy {proxy}"));
        let sentence = match fault {
            Fault::Connect(ConnectFault::UnknownHost) => format!("the host of {first} was not found."),
            Fault::Connect(ConnectFault::Refused) => format!("{first} refused the connection: nothing listens there."),
            Fault::Connect(ConnectFault::NoDescriptors) => NO_DESCRIPTORS.to_owned(),
            Fault::Connect(ConnectFault::Unreachable(error)) => format!("{first} cannot be reached: {error}."),
            Fault::TimedOut => match proxy {
                None => format!("{name} did not take the connection within {} seconds.", PATIENCE.as_secs()),
                Some(proxy) => {
                    format!("the proxy {proxy} did not connect to {name} within {} seconds.", PATIENCE.as_secs())
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
