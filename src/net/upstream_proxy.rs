//! The proxy that connections to servers go through: HTTP's CONNECT (RFC 9110 9.3.6) or SOCKS5 (RFC 1928, RFC 1929).

use std::fmt::{self, Write as _};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wire::handshake::{Head, Response};

/// `http://[user:password@]host:port` or `socks5://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamProxy {
    kind: Kind,
    /// A name or an address; an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl FromStr for UpstreamProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // what is wrong is said without what was given: there may be a password in it
        let expected = || "expected a proxy such as http://localhost:3128 or socks5://user:password@localhost:1080";
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "http" => Kind::Http,
            "socks5" | "socks5h" => Kind::Socks5,
            _ => return Err(format!("{}, found the scheme \"{scheme}\"", expected())),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, rest),
        };
        let credentials = credentials.map(|text| Credentials::parse(text, kind)).transpose()?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| expected())?),
            _ => (authority, if kind == Kind::Http { 80 } else { 1080 }),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains([':', '[', ']']) => return Err(expected().to_owned()),
            None => host,
        };
        let is_host = |byte: u8| byte > b' ' && byte != 0x7F && !b"/?#@".contains(&byte);
        if host.is_empty() || port == 0 || !host.bytes().all(is_host) {
            return Err(expected().to_owned());
        }
        Ok(Self { kind, host: host.to_owned(), port, credentials })
    }
}

impl Credentials {
    fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
        if kind == Kind::Socks5 && (user.is_empty() || user.len() > 255 || password.len() > 255) {
            return Err(
                "expected 1 to 255 bytes for a user's name, and 255 at most for a password (RFC 1929)".to_owned()
            );
        }
        if kind == Kind::Http && user.contains(&b':') {
            return Err("expected a user's name without a colon (RFC 7617)".to_owned());
        }
        Ok(Self { user, password })
    }
}

fn percent_decoded(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut decoded = [0];
        let digits = rest.split_off(..2).unwrap_or_default();
        hex::decode_to_slice(digits, &mut decoded)
            .map_err(|_| "expected two hexadecimal digits after each % of a user's name or password".to_owned())?;
        bytes.push(decoded[0]);
    }
    Ok(bytes)
}

/// Without the password.
impl fmt::Display for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.kind == Kind::Http { "http" } else { "socks5" };
        write!(f, "{scheme}://{}", authority(&self.host, self.port))
    }
}

/// Host and port as a URL has them.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Why a proxy that was reached did not connect to the server.
#[derive(Debug)]
pub(super) enum ProxyFault {
    /// What it answered instead: `status 403 (Forbidden)`.
    Refuses(String),
    /// It takes nobody without a name and a password.
    WantsAuthentication,
    /// Or none with these.
    RejectsCredentials,
    /// What it answered is nothing that such a proxy would.
    NotAProxy(&'static str),
    /// It went without an answer.
    Ended,
    Failed(io::Error),
    /// SOCKS has no room for a longer name.
    NameTooLong,
}

impl ProxyFault {
    pub(super) fn sentence(&self, proxy: &str, name: &str) -> String {
        match self {
            Self::Refuses(answer) => format!("{proxy} did not connect to {name}: it answered with {answer}."),
            Self::WantsAuthentication => format!(
                "{proxy} wants to know who asks: give a name and a password, as in --upstream-proxy http://user:password@host:port."
            ),
            Self::RejectsCredentials => format!("{proxy} does not take the name and the password that it was given."),
            Self::NotAProxy(kind) => {
                format!("{proxy} does not answer like {kind} proxy: is it one, and is that its port?")
            }
            Self::Ended => format!("{proxy} ended the connection instead of connecting to {name}."),
            Self::Failed(error) => format!("The connection to {proxy} failed: {error}."),
            Self::NameTooLong => {
                format!("{proxy} can't be asked for {name}: SOCKS5 has room for 255 bytes of a name.")
            }
        }
    }
}

impl From<io::Error> for ProxyFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Ended,
            _ => Self::Failed(error),
        }
    }
}

/// The longest head of an answer that is read.
const MAX_HEAD: usize = 16 * 1024;
const HTTP: ProxyFault = ProxyFault::NotAProxy("an HTTP");
const SOCKS5: ProxyFault = ProxyFault::NotAProxy("a SOCKS5");

impl UpstreamProxy {
    /// Asks for a connection to a server; of what comes after the answer nothing is read.
    pub(super) async fn ask(&self, stream: &mut TcpStream, host: &str, port: u16) -> Result<(), ProxyFault> {
        match self.kind {
            Kind::Http => self.ask_http(stream, &authority(host, port)).await,
            Kind::Socks5 => self.ask_socks5(stream, host, port).await,
        }
    }

    async fn ask_http(&self, stream: &mut TcpStream, target: &str) -> Result<(), ProxyFault> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(Credentials { user, password }) = &self.credentials {
            let basic = STANDARD.encode([&user[..], b":", password].concat());
            // a String takes everything
            let _ = write!(request, "Proxy-Authorization: Basic {basic}\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            // one by one: what follows is the server's already
            head.push(stream.read_u8().await?);
            if head.len() == MAX_HEAD || !b"HTTP/".iter().zip(&head).all(|(expected, byte)| expected == byte) {
                return Err(HTTP);
            }
        }
        let response = Response::read(Head::parse(head));
        match response.status {
            Some(200..=299) => Ok(()),
            Some(407) if self.credentials.is_some() => Err(ProxyFault::RejectsCredentials),
            Some(407) => Err(ProxyFault::WantsAuthentication),
            Some(status) => {
                let line = response.head.start_line();
                let reason: String = line.splitn(3, ' ').nth(2).unwrap_or_default().chars().take(100).collect();
                let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
                Err(ProxyFault::Refuses(format!("status {status}{reason}")))
            }
            None => Err(HTTP),
        }
    }

    async fn ask_socks5(&self, stream: &mut TcpStream, host: &str, port: u16) -> Result<(), ProxyFault> {
        const NO_AUTHENTICATION: u8 = 0;
        const PASSWORD: u8 = 2;
        let greeting: &[u8] =
            if self.credentials.is_some() { &[5, 2, NO_AUTHENTICATION, PASSWORD] } else { &[5, 1, NO_AUTHENTICATION] };
        stream.write_all(greeting).await?;
        if stream.read_u8().await? != 5 {
            return Err(SOCKS5);
        }
        match (stream.read_u8().await?, &self.credentials) {
            (NO_AUTHENTICATION, _) => {}
            (PASSWORD, Some(Credentials { user, password })) => {
                // both have 255 bytes at most
                let request = [&[1, user.len() as u8], &user[..], &[password.len() as u8], password].concat();
                stream.write_all(&request).await?;
                let _version = stream.read_u8().await?;
                if stream.read_u8().await? != 0 {
                    return Err(ProxyFault::RejectsCredentials);
                }
            }
            (0xFF, None) => return Err(ProxyFault::WantsAuthentication),
            (0xFF, Some(_)) => return Err(ProxyFault::RejectsCredentials),
            _ => return Err(SOCKS5),
        }
        let mut request = vec![5, 1, 0];
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                request.push(1);
                request.extend_from_slice(&address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                request.push(4);
                request.extend_from_slice(&address.octets());
            }
            // the proxy looks it up
            Err(_) => {
                request.extend([3, u8::try_from(host.len()).map_err(|_| ProxyFault::NameTooLong)?]);
                request.extend_from_slice(host.as_bytes());
            }
        }
        request.extend_from_slice(&port.to_be_bytes());
        stream.write_all(&request).await?;
        let mut reply = [0; 4];
        stream.read_exact(&mut reply[..2]).await?;
        if reply[0] != 5 {
            return Err(SOCKS5);
        }
        if reply[1] != 0 {
            return Err(ProxyFault::Refuses(refusal(reply[1])));
        }
        stream.read_exact(&mut reply[2..]).await?;
        let length = match reply[3] {
            1 => 4,
            3 => stream.read_u8().await?.into(),
            4 => 16,
            _ => return Err(SOCKS5),
        };
        let mut bound = [0; 255 + 2];
        stream.read_exact(&mut bound[..length + 2]).await?;
        Ok(())
    }
}

/// A reply of SOCKS5 in words (RFC 1928 6).
fn refusal(reply: u8) -> String {
    let words = match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "which is not assigned",
    };
    format!("reply {reply} ({words})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_url_and_shown_without_its_password() {
        for (text, shown) in [
            ("http://localhost:3128", "http://localhost:3128"),
            ("HTTP://proxy/", "http://proxy:80"),
            ("socks5://user:p%40ss@[::1]:1080", "socks5://[::1]:1080"),
            ("socks5h://a", "socks5://a:1080"),
        ] {
            let proxy: UpstreamProxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), shown);
            assert!(!format!("{proxy:?}").contains("112, 64"), "{proxy:?}");
        }
        let proxy: UpstreamProxy = "http://a:d%3Ae:f@h:1".parse().unwrap();
        assert_eq!(proxy.credentials.unwrap().password, b"d:e:f");
    }

    #[test]
    fn a_wrong_one_is_named_without_what_was_given() {
        let long = format!("socks5://{}:x@a:1", "u".repeat(256));
        for (text, says) in [
            ("localhost:3128", "expected a proxy such as"),
            ("https://secret:secret@a:1", "found the scheme \"https\""),
            ("http://a:0", "expected a proxy such as"),
            ("http://a:b", "expected a proxy such as"),
            ("http://", "expected a proxy such as"),
            ("http://::1:80", "expected a proxy such as"),
            ("http://a b:80", "expected a proxy such as"),
            ("http://a/path:80", "expected a proxy such as"),
            ("socks5://:secret@a:1", "1 to 255 bytes"),
            (&long, "1 to 255 bytes"),
            ("http://%3a:secret@a:1", "without a colon"),
            ("http://%g1:secret@a:1", "two hexadecimal digits"),
            ("http://%:secret@a:1", "two hexadecimal digits"),
        ] {
            let error = text.parse::<UpstreamProxy>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
