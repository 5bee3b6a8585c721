//! The client's half of the opening handshake (RFC 6455 4.1, 4.2.1).

use super::{Head, LineFault, Located, accept};
use crate::wire::{Extension, extension};

/// A request as it was sent: a handshake, or any other request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The bytes and lines.
    pub head: Head,
    /// `GET`, as sent.
    pub method: String,
    /// What is asked for: `/chat?room=1`.
    pub target: String,
    /// `HTTP/1.1`, as sent.
    pub version: String,
}

/// What makes a request no opening handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// A line breaks the grammar of HTTP.
    Malformed(LineFault),
    /// The method is not GET.
    MethodNotGet,
    /// The version is below HTTP/1.1, or none.
    HttpVersion,
    /// No `Host`.
    HostMissing,
    /// No `Upgrade` that holds `websocket`.
    UpgradeMissing,
    /// No `Connection` that holds `Upgrade`.
    ConnectionMissing,
    /// No `Sec-WebSocket-Key`.
    KeyMissing,
    /// The key is not base64 of 16 bytes.
    KeyNot16Bytes,
    /// `Sec-WebSocket-Version` is not 13, or missing.
    VersionNot13,
}

/// An opening handshake that a server may accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// What is asked for.
    pub target: String,
    /// The key, in base64.
    pub key: String,
    /// `Origin`, which browsers send.
    pub origin: Option<String>,
    /// The subprotocols offered, the best first.
    pub subprotocols: Vec<String>,
    /// The extensions offered; empty where the header is not written as the grammar asks.
    pub extensions: Vec<Extension>,
}

impl Request {
    /// Reads the request line of `head`. Where it is malformed, the parts that are there are kept.
    pub fn read(mut head: Head) -> Self {
        head.forbid_repeating(&["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]);
        let line = head.start_line();
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, target, version) = (word(), word(), word());
        Self { head, method, target, version }
    }

    /// Whether this asks for a WebSocket at all, well or badly, rather than for a page.
    pub fn wants_upgrade(&self) -> bool {
        self.head.joined("Upgrade").is_some_and(|protocols| protocols.to_ascii_lowercase().contains("websocket"))
            || self.head.headers().iter().any(|line| {
                self.head.text(&line.name).get(..14).is_some_and(|start| start.eq_ignore_ascii_case("Sec-WebSocket-"))
            })
    }

    /// Whether this asks for a page or for some other protocol, such as `Upgrade: h2c` (RFC 9110 7.8).
    pub fn wants_other_protocol(&self) -> bool {
        self.head.value("Upgrade").is_some() && !self.wants_upgrade()
    }

    /// The handshake that the request is, or everything that keeps it from being one (at least one fault).
    pub fn opening(&self) -> Result<Opening, Vec<Located<RequestFault>>> {
        let faults = self.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let list = |name| self.head.joined(name);
        Ok(Opening {
            target: self.target.clone(),
            key: self.head.value("Sec-WebSocket-Key").unwrap_or_default().into_owned(),
            origin: self.head.value("Origin").map(std::borrow::Cow::into_owned),
            subprotocols: self.subprotocols(),
            extensions: list("Sec-WebSocket-Extensions")
                .and_then(|value| extension::parse_extensions(&value).ok())
                .unwrap_or_default(),
        })
    }

    /// The subprotocols offered, as far as the list can be read.
    pub fn subprotocols(&self) -> Vec<String> {
        let value = self.head.joined("Sec-WebSocket-Protocol").unwrap_or_default();
        value.split(',').map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned).collect()
    }

    /// Everything that keeps the request from being an opening handshake, the gravest first.
    pub fn faults(&self) -> Vec<Located<RequestFault>> {
        let head = &self.head;
        let start = head.start_line_at();
        let mut faults = Vec::new();
        let mut found = |fault, at| faults.push(Located { fault, at });

        let well_formed = self.head.start_line().split(' ').count() == 3 && self.version.starts_with("HTTP/");
        if let Some(fault) = head.start_line_fault().or((!well_formed).then_some(LineFault::StartLine)) {
            found(RequestFault::Malformed(fault), start.clone());
        }
        for line in head.faulty_lines() {
            if let Some(fault) = line.fault {
                found(RequestFault::Malformed(fault), line.line.clone());
            }
        }
        if well_formed {
            let method_end = start.start + self.method.len();
            if self.method != "GET" {
                found(RequestFault::MethodNotGet, start.start..method_end);
            }
            if !is_http_1_1_or_higher(&self.version) {
                found(RequestFault::HttpVersion, start.end - self.version.len().min(start.len())..start.end);
            }
        }
        let nowhere = start.end..start.end;
        let at = |name| head.lines(name).next().map_or(nowhere.clone(), |line| line.line.clone());
        if head.value("Host").is_none() {
            found(RequestFault::HostMissing, nowhere.clone());
        }
        if !head.has_token("Upgrade", "websocket") {
            found(RequestFault::UpgradeMissing, at("Upgrade"));
        }
        if !head.has_token("Connection", "upgrade") {
            found(RequestFault::ConnectionMissing, at("Connection"));
        }
        match head.value("Sec-WebSocket-Key") {
            None => found(RequestFault::KeyMissing, nowhere.clone()),
            Some(key) if !accept::is_sixteen_bytes(&key) => {
                found(RequestFault::KeyNot16Bytes, at("Sec-WebSocket-Key"));
            }
            Some(_) => {}
        }
        if head.value("Sec-WebSocket-Version").is_none_or(|version| version != "13") {
            found(RequestFault::VersionNot13, at("Sec-WebSocket-Version"));
        }
        faults
    }
}

fn is_http_1_1_or_higher(version: &str) -> bool {
    let number = version.strip_prefix("HTTP/").and_then(|number| number.split_once('.'));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u8>().ok())?;
    let parts = number.and_then(|(major, minor)| Some((digits(major)?, digits(minor)?)));
    parts.is_some_and(|parts| ((1, 1)..(2, 0)).contains(&parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of RFC 6455 1.3.
    const EXAMPLE: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn faults(request: &str) -> Vec<RequestFault> {
        let request = Request::read(Head::parse(request.as_bytes().to_vec()));
        request.faults().into_iter().map(|located| located.fault).collect()
    }

    #[test]
    fn the_example_of_rfc_6455_1_3_is_an_opening_handshake() {
        let request = Request::read(Head::parse(EXAMPLE.as_bytes().to_vec()));
        let opening = request.opening().unwrap();
        assert_eq!(opening.target, "/chat");
        assert_eq!(opening.key, "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(opening.origin.as_deref(), Some("http://example.com"));
        assert_eq!(opening.subprotocols, ["chat", "superchat"]);
    }

    #[test]
    fn each_fault_is_told_apart() {
        use RequestFault as F;
        for (from, to, fault) in [
            ("GET ", "POST ", F::MethodNotGet),
            ("HTTP/1.1", "HTTP/1.0", F::HttpVersion),
            ("HTTP/1.1", "HTTP/2.0", F::HttpVersion),
            ("Host: server.example.com\r\n", "", F::HostMissing),
            ("Upgrade: websocket\r\n", "", F::UpgradeMissing),
            ("Upgrade: websocket", "Upgrade: h2c", F::UpgradeMissing),
            ("Connection: Upgrade", "Connection: keep-alive", F::ConnectionMissing),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", F::KeyMissing),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", F::KeyNot16Bytes),
            ("Version: 13", "Version: 8", F::VersionNot13),
            ("Sec-WebSocket-Version: 13\r\n", "", F::VersionNot13),
            ("Upgrade: websocket\r\n", "Upgrade: websocket\n", F::Malformed(LineFault::BareLf)),
            ("Version: 13\r\n", "Version: 13\r\nHost: b\r\n", F::Malformed(LineFault::Repeated)),
            ("GET /chat", "GET  /chat", F::Malformed(LineFault::StartLine)),
        ] {
            assert!(EXAMPLE.contains(from));
            assert_eq!(faults(&EXAMPLE.replacen(from, to, 1)), [fault], "{from:?} → {to:?}");
        }
    }

    #[test]
    fn another_protocol_is_no_websocket_and_a_bad_attempt_at_one_is_an_attempt() {
        for (headers, is_websocket, is_other) in [
            ("", false, false),
            ("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", false, true),
            ("Upgrade: TLS/1.0, HTTP/1.1\r\n", false, true),
            ("Upgrade: h2c\r\nUpgrade: WebSocket\r\n", true, false),
            ("Upgrade: websockets\r\n", true, false),
            ("Upgrade: h2c\r\nsec-websocket-key: a\r\n", true, false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
            let request = Request::read(Head::parse(head.into_bytes()));
            assert_eq!(
                (request.wants_upgrade(), request.wants_other_protocol()),
                (is_websocket, is_other),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn header_names_and_tokens_have_no_case_and_lists_may_hold_more() {
        let request = EXAMPLE
            .replace("Upgrade: websocket", "UPGRADE: WebSocket")
            .replace("Connection: Upgrade", "connection: keep-alive, upgrade");
        assert_eq!(faults(&request), []);
    }
}
