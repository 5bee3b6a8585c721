//! Requests in absolute form (RFC 9112 3.2.2), as a proxy gets them, and in origin form, as their server gets them.

use crate::wire::handshake::{Head, Request};

use super::upstream::{Edit, Rewritten, edit, target};
use super::upstream_proxy::authority;

/// A host and a port: whom a client of a proxy wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// A name or an address in lower case; an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

impl Destination {
    /// Reads `host:port`, `[address]:port`, or without the port, where there is a usual one.
    pub(super) fn parse(text: &str, usual_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                let port = if port.is_empty() { usual_port } else { port.parse().ok().filter(|_| is_number) };
                (host, port?)
            }
            _ => (text, usual_port?),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().ok().map(|_| address)?,
            None if host.contains([':', '[', ']']) => return None,
            None => host,
        };
        let is_host = |byte: u8| byte > b' ' && byte != 0x7F && !b"/?#@\\\"<>".contains(&byte);
        let is_valid = !host.is_empty() && host.len() <= 255 && port != 0 && host.bytes().all(is_host);
        is_valid.then(|| Self { host: host.to_ascii_lowercase(), port })
    }
}

/// What a request in absolute form asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) destination: Destination,
    /// The host and the port as they were given, for the Host header.
    authority: String,
    /// The target in origin form.
    path: String,
}

/// Why a request is none that a proxy can send on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAsked {
    /// The target is no URL: it is asked of the proxy itself.
    OriginForm,
    /// The URL is one of TLS, which is asked for by CONNECT.
    Tls,
    /// The scheme is neither http nor ws, or there is no host in it.
    Other,
}

impl Asked {
    pub(super) fn read(request: &Request) -> Result<Self, NotAsked> {
        let Some((scheme, rest)) = request.target.split_once("://") else { return Err(NotAsked::OriginForm) };
        if request.target.starts_with('/') {
            return Err(NotAsked::OriginForm);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => {}
            "https" | "wss" => return Err(NotAsked::Tls),
            _ => return Err(NotAsked::Other),
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // a name and a password there are the client's (RFC 9110 4.2.4)
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        let path = match path.chars().next() {
            Some('/') => path.to_owned(),
            Some(_) => format!("/{path}"),
            None if request.method == "OPTIONS" => "*".to_owned(),
            None => "/".to_owned(),
        };
        let destination = Destination::parse(authority, Some(80)).ok_or(NotAsked::Other)?;
        Ok(Self { destination, authority: authority.to_owned(), path })
    }

    /// The request as its server gets it: in origin form, with the URL's host in Host (RFC 9112 3.2.2), and without what is
    /// said to the proxy alone.
    pub(super) fn in_origin_form(&self, head: &Head) -> Rewritten {
        let mut edits = Vec::new();
        let hosts: Vec<_> = head.lines("Host").collect();
        if let Some(target) = target(head) {
            let mut line = self.path.clone();
            let mut place = target;
            if hosts.is_empty() {
                // where there is none, it follows the request line
                let end = head.start_line_at().end;
                line.push_str(&String::from_utf8_lossy(&head.raw()[place.end..end]));
                line.push_str("\r\nHost: ");
                line.push_str(&self.authority);
                place.end = end;
            }
            edits.push(Edit { line: head.start_line_at(), new: Some((place, line)) });
        }
        edits.extend(hosts.into_iter().map(|line| {
            let new = Some((line.value.clone(), self.authority.clone()));
            Edit { line: line.line.clone(), new }
        }));
        for name in ["Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate"] {
            edits.extend(head.lines(name).map(|line| Edit { line: line.line.clone(), new: None }));
        }
        edit(head, edits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_a_host_and_a_port() {
        for (text, usual, shown) in [
            ("Example.COM:443", None, "example.com:443"),
            ("[::1]:80", None, "[::1]:80"),
            ("127.0.0.1:65535", None, "127.0.0.1:65535"),
            ("a", Some(80), "a:80"),
            ("a:", Some(80), "a:80"),
            ("[::1]", Some(80), "[::1]:80"),
        ] {
            assert_eq!(Destination::parse(text, usual).map(|one| one.to_string()).as_deref(), Some(shown), "{text}");
        }
        let long = format!("{}:80", "a".repeat(256));
        for text in
            ["", "a", ":80", "a:0", "a:65536", "a:+80", "::1:80", "[a]:80", "[::1]", "a b:80", "u@a:80", "a/:80", &long]
        {
            assert_eq!(Destination::parse(text, None), None, "{text}");
        }
    }

    fn asked(target: &str) -> Result<(String, String), NotAsked> {
        let raw = format!("GET {target} HTTP/1.1\r\n\r\n");
        let asked = Asked::read(&Request::read(Head::parse(raw.into())))?;
        Ok((asked.destination.to_string(), asked.path))
    }

    #[test]
    fn a_url_says_whom_and_what_for() {
        for (target, destination, path) in [
            ("http://a", "a:80", "/"),
            ("ws://A:9003/chat?b=c", "a:9003", "/chat?b=c"),
            ("HTTP://u:p@a?x", "a:80", "/?x"),
            ("http://[::1]:81/http://b/", "[::1]:81", "/http://b/"),
        ] {
            assert_eq!(asked(target), Ok((destination.to_owned(), path.to_owned())));
        }
        for (target, fault) in [
            ("/chat", NotAsked::OriginForm),
            ("/http://a", NotAsked::OriginForm),
            ("*", NotAsked::OriginForm),
            ("https://a/", NotAsked::Tls),
            ("wss://a/", NotAsked::Tls),
            ("ftp://a/", NotAsked::Other),
            ("http:///chat", NotAsked::Other),
        ] {
            assert_eq!(asked(target), Err(fault), "{target}");
        }
    }

    #[track_caller]
    fn check(came: &str, went: &str, lines: &[&str], removed: &[&str]) {
        let request = Request::read(Head::parse(came.into()));
        let rewritten = Asked::read(&request).unwrap().in_origin_form(&request.head);
        assert_eq!(String::from_utf8(rewritten.bytes).unwrap(), went);
        assert_eq!((&rewritten.lines[..], &rewritten.removed[..]), (&lines.map_owned()[..], &removed.map_owned()[..]));
    }

    trait Owned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl Owned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|&line| line.to_owned()).collect()
        }
    }

    #[test]
    fn only_the_target_the_host_and_what_is_for_the_proxy_change() {
        check(
            "GET http://a:1/b HTTP/1.1\r\nhost:  A:1 \r\nproxy-connection: keep-alive\r\nX: y\r\nProxy-Authorization: Basic eA==\r\n\r\n",
            "GET /b HTTP/1.1\r\nhost:  a:1 \r\nX: y\r\n\r\n",
            &["GET /b HTTP/1.1", "host:  a:1 "],
            &["proxy-connection: keep-alive", "Proxy-Authorization: Basic eA=="],
        );
        check(
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["GET / HTTP/1.1"],
            &[],
        );
        check(
            "GET ws://a HTTP/1.0\nX: y\n\n",
            "GET / HTTP/1.0\r\nHost: a\nX: y\n\n",
            &["GET / HTTP/1.0\r\nHost: a"],
            &[],
        );
    }
}
