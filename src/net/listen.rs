//! Listening sockets, and what can keep one from opening.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::{TcpListener, lookup_host};

/// Opens a listening socket on the first address that `host` stands for.
pub async fn listen(host: &str, port: u16) -> Result<TcpListener, ListenError> {
    let unknown = |source| ListenError::UnknownHost { host: host.to_owned(), source };
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(|error| unknown(Some(error)))?.collect();
    let first = *addresses.first().ok_or_else(|| unknown(None))?;
    TcpListener::bind(&addresses[..]).await.map_err(|source| ListenError::Bind { address: first, source })
}

/// Why there is no listening socket.
#[derive(Debug)]
pub enum ListenError {
    /// The host stands for no address.
    UnknownHost {
        /// The host as given.
        host: String,
        /// What the system says.
        source: Option<io::Error>,
    },
    /// The address can't be listened on.
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, source) = match self {
            Self::UnknownHost { host, .. } => {
                return write!(
                    f,
                    "the host \"{host}\" was not found; expected a name or an address of this machine, such as 127.0.0.1"
                );
            }
            Self::Bind { address, source } => (address, source),
        };
        let (ip, port) = (address.ip(), address.port());
        match source.kind() {
            ErrorKind::AddrInUse => write!(
                f,
                "port {port} on {ip} is in use by another program; stop that one, or choose another port (0 takes a free one)"
            ),
            ErrorKind::PermissionDenied => {
                write!(f, "port {port} is reserved for privileged programs; choose one from 1024 up, such as 9002")
            }
            ErrorKind::AddrNotAvailable => {
                write!(f, "this machine has no address {ip}; use 127.0.0.1, or 0.0.0.0 to listen on every address")
            }
            _ => write!(f, "cannot listen on {address}: {source}"),
        }
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_says_what_to_do_next() {
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        for (kind, says) in [
            (ErrorKind::AddrInUse, "port 80 on 127.0.0.1 is in use"),
            (ErrorKind::PermissionDenied, "choose one from 1024 up"),
            (ErrorKind::AddrNotAvailable, "this machine has no address 127.0.0.1"),
        ] {
            let error = ListenError::Bind { address, source: kind.into() };
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_and_an_unknown_host_are_told_apart() {
        let first = listen("127.0.0.1", 0).await.unwrap();
        let taken = first.local_addr().unwrap().port();
        let error = listen("127.0.0.1", taken).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "port {taken} on 127.0.0.1 is in use by another program; stop that one, or choose another port (0 takes a free one)"
            )
        );
        let error = listen("no-such-host.invalid", 0).await.unwrap_err();
        assert!(error.to_string().starts_with("the host \"no-such-host.invalid\" was not found"), "{error}");
    }
}
