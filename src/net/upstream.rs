//! Where a relay sends on to, and what it changes in a request on the way there.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::wire::handshake::Head;

/// The server behind a relay: `localhost:9003`, `ws://localhost:9003/path`, `wss://example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is spoken to by TLS.
    pub tls: bool,
    /// Host and port as a Host header has them: as they were given.
    pub authority: String,
    /// What replaces the target of every request, if anything does.
    pub path: Option<String>,
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected a server such as localhost:9003, ws://localhost:9003/path or wss://example.com, found \"{text}\""
            )
        };
        let (has_scheme, tls, rest) = match text.split_once("://") {
            None => (false, false, text),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => (true, false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => (true, true, rest),
            Some(_) => return Err(expected()),
        };
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7F || byte == b'#' || byte == b'@') {
            return Err(expected());
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('?') => (&rest[..at], Some(format!("/{}", &rest[at..]))),
            Some(at) => (&rest[..at], Some(rest[at..].to_owned())),
            None => (rest, None),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| expected())?),
            // the ports that RFC 6455 3 gives ws and wss
            _ if has_scheme => (authority, if tls { 443 } else { 80 }),
            _ => return Err(expected()),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains([':', '[', ']']) => return Err(expected()),
            None => host,
        };
        if host.is_empty() || port == 0 {
            return Err(expected());
        }
        Ok(Self { host: host.to_owned(), port, tls, authority: authority.to_owned(), path })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            if self.tls { "wss" } else { "ws" },
            self.authority,
            self.path.as_deref().unwrap_or_default()
        )
    }
}

/// What is changed in a request's head on its way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewriting {
    /// Host becomes the server's.
    pub host: bool,
    /// Origin becomes the server's, where there is one.
    pub origin: bool,
}

/// A head as it is sent on: every byte is the client's but for the lines that are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) bytes: Vec<u8>,
    /// The lines that differ, as they are sent on, as far as they are told of.
    pub(super) lines: Vec<String>,
    /// Likewise those that are not sent on, as they came.
    pub(super) removed: Vec<String>,
}

/// How a line of a head is sent on.
#[derive(Debug)]
pub(super) struct Edit {
    /// Where it stands, without its line break.
    pub(super) line: Range<usize>,
    /// What of it is replaced by what; without that it is not sent on at all.
    pub(super) new: Option<(Range<usize>, String)>,
}

/// As much of what differs as is told of: a line has its name once, and what has it more often is no request.
const MOST_LINES: usize = 8;
const LONGEST_LINE: usize = 1024;

/// Changes what is to be changed in `head` for `upstream`. What is malformed stays as it is.
pub(super) fn rewrite(head: &Head, upstream: &Upstream, rewriting: Rewriting) -> Rewritten {
    let mut edits = Vec::new();
    if let (Some(path), Some(target)) = (&upstream.path, target(head)) {
        edits.push(Edit { line: head.start_line_at(), new: Some((target, path.clone())) });
    }
    let mut header = |name, value: &str| {
        edits.extend(head.lines(name).map(|line| {
            let new = Some((line.value.clone(), value.to_owned()));
            Edit { line: line.line.clone(), new }
        }));
    };
    if rewriting.host {
        header("Host", &upstream.authority);
    }
    if rewriting.origin {
        let scheme = if upstream.tls { "https" } else { "http" };
        header("Origin", &format!("{scheme}://{}", upstream.authority));
    }
    edit(head, edits)
}

/// Makes these changes, and tells of those that are any.
pub(super) fn edit(head: &Head, mut edits: Vec<Edit>) -> Rewritten {
    edits.sort_by_key(|edit| edit.line.start);
    let raw = head.raw();
    let told = |line: &[u8]| String::from_utf8_lossy(line).chars().take(LONGEST_LINE).collect::<String>();
    let (mut bytes, mut at) = (Vec::with_capacity(raw.len() + 64), 0);
    let (mut lines, mut removed) = (Vec::new(), Vec::new());
    for Edit { line, new } in edits {
        let Some((place, new)) = new else {
            bytes.extend_from_slice(&raw[at..line.start]);
            // its line break goes, too
            at = raw[line.end..].iter().position(|&byte| byte == b'\n').map_or(raw.len(), |n| line.end + n + 1);
            if removed.len() < MOST_LINES {
                removed.push(told(&raw[line]));
            }
            continue;
        };
        if raw[place.clone()] == *new.as_bytes() {
            continue;
        }
        bytes.extend_from_slice(&raw[at..place.start]);
        let start = bytes.len() - (place.start - line.start);
        bytes.extend_from_slice(new.as_bytes());
        bytes.extend_from_slice(&raw[place.end..line.end]);
        at = line.end;
        if lines.len() < MOST_LINES {
            lines.push(told(&bytes[start..]));
        }
    }
    bytes.extend_from_slice(&raw[at..]);
    Rewritten { bytes, lines, removed }
}

/// Where the target stands in a request line that has three words.
pub(super) fn target(head: &Head) -> Option<Range<usize>> {
    let line = head.start_line_at();
    let words: Vec<_> = head.raw()[line.clone()].split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else { return None };
    let start = line.start + method.len() + 1;
    version.starts_with(b"HTTP/").then(|| start..start + target.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_required_and_a_path_is_not() {
        for (text, host, port, tls, authority, path) in [
            ("localhost:9003", "localhost", 9003, false, "localhost:9003", None),
            ("ws://example.com", "example.com", 80, false, "example.com", None),
            ("WS://[::1]:9003/chat?a=b", "::1", 9003, false, "[::1]:9003", Some("/chat?a=b")),
            ("ws://[::1]", "::1", 80, false, "[::1]", None),
            ("ws://a:1?x", "a", 1, false, "a:1", Some("/?x")),
            ("wss://example.com", "example.com", 443, true, "example.com", None),
            ("WSS://a:1/b", "a", 1, true, "a:1", Some("/b")),
        ] {
            let path = path.map(str::to_owned);
            let expected = Upstream { host: host.to_owned(), port, tls, authority: authority.to_owned(), path };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "9003",
            "localhost",
            "localhost:0",
            "localhost:x",
            "http://a:1",
            "::1:9003",
            "ws://",
            "ws://a b:1",
            "u@a:1",
        ] {
            let error = text.parse::<Upstream>().unwrap_err();
            assert!(error.starts_with("expected a server such as localhost:9003"), "{error}");
        }
    }

    fn rewritten(raw: &str, upstream: &str, rewriting: Rewriting) -> (String, Vec<String>) {
        let Rewritten { bytes, lines, .. } = rewrite(&Head::parse(raw.into()), &upstream.parse().unwrap(), rewriting);
        (String::from_utf8(bytes).unwrap(), lines)
    }

    const BOTH: Rewriting = Rewriting { host: true, origin: true };

    #[test]
    fn only_what_is_asked_for_changes() {
        let raw = "GET /a HTTP/1.1\r\nhOsT:  old:1 \r\nX: y\r\nOrigin: http://old:1\r\n\r\n";
        let (bytes, lines) = rewritten(raw, "new:2", Rewriting { origin: false, ..BOTH });
        assert_eq!(bytes, raw.replace("  old:1 ", "  new:2 "));
        assert_eq!(lines, ["hOsT:  new:2 "]);
        let (bytes, lines) = rewritten(raw, "ws://new:2/b", BOTH);
        assert_eq!(bytes, "GET /b HTTP/1.1\r\nhOsT:  new:2 \r\nX: y\r\nOrigin: http://new:2\r\n\r\n");
        assert_eq!(lines, ["GET /b HTTP/1.1", "hOsT:  new:2 ", "Origin: http://new:2"]);
        assert_eq!(rewritten(raw, "wss://new:2", BOTH).1, ["hOsT:  new:2 ", "Origin: https://new:2"]);
        assert_eq!(rewritten(raw, "new:2", Rewriting { host: false, origin: false }), (raw.to_owned(), vec![]));
    }

    #[test]
    fn of_what_differs_no_more_is_told_than_makes_sense_but_all_of_it_is_changed() {
        let raw = format!("GET / HTTP/1.1\r\n{}X: y\r\n\r\n", "Host: old\r\n".repeat(2000));
        let (bytes, lines) = rewritten(&raw, "new:2", BOTH);
        assert_eq!(bytes, raw.replace("old", "new:2"));
        assert_eq!(lines, ["Host: new:2"; MOST_LINES]);
    }

    #[test]
    fn what_is_malformed_or_the_same_already_stays_as_it_is() {
        for raw in [
            "\r\n\r\n",
            "GET\n\n",
            "Host: a\r\n\r\n",
            "GET /\r\nHost : a\r\n Host: b\r\n\r\n",
            "G / HTTP/1.1\nHost: new:2\n\n",
        ] {
            assert_eq!(rewritten(raw, "new:2", BOTH), (raw.to_owned(), vec![]), "{raw:?}");
        }
        assert_eq!(rewritten("G / H\r\nHost:\r\n\r\n", "new:2", BOTH).0, "G / H\r\nHost:new:2\r\n\r\n");
    }
}
