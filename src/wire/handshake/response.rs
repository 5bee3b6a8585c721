//! The server's half of the opening handshake (RFC 6455 4.1, 4.2.2).

use super::{Head, LineFault, Located, Opening, accept_key};
use crate::wire::{Extension, ListError, extension};

/// A response as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The bytes and lines.
    pub head: Head,
    /// The status code; `None` where the status line holds none.
    pub status: Option<u16>,
}

/// What makes a response no acceptance of the opening handshake that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseFault {
    /// A line breaks the grammar of HTTP.
    Malformed(LineFault),
    /// The status is not 101.
    StatusNot101,
    /// No `Upgrade: websocket`.
    UpgradeMissing,
    /// No `Connection` that holds `Upgrade`.
    ConnectionMissing,
    /// No `Sec-WebSocket-Accept`.
    AcceptMissing,
    /// The accept value is not the one that the key asks for.
    AcceptWrong {
        /// The value that would be right.
        expected: String,
    },
    /// A subprotocol that the client did not offer, or more than one.
    SubprotocolNotOffered,
    /// An extension that the client did not offer.
    ExtensionNotOffered(String),
    /// The list of extensions cannot be read.
    ExtensionsUnreadable(ListError),
}

/// What an accepted handshake has agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol chosen.
    pub subprotocol: Option<String>,
    /// The extensions in use.
    pub extensions: Vec<Extension>,
}

impl Response {
    /// Reads the status line of `head`.
    pub fn read(mut head: Head) -> Self {
        head.forbid_repeating(&["Sec-WebSocket-Accept"]);
        let line = head.start_line();
        let mut words = line.splitn(3, ' ');
        let http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
        let status = words.next().filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
        let status = status.filter(|code| http && (100..=999).contains(code));
        Self { head, status }
    }

    /// What was agreed on, or everything that keeps this from being an acceptance of `opening` (at least one fault).
    pub fn accepted(&self, opening: &Opening) -> Result<Accepted, Vec<Located<ResponseFault>>> {
        let faults = self.faults(opening);
        if faults.is_empty() { Ok(self.agreement()) } else { Err(faults) }
    }

    /// The subprotocol and the extensions that the response names, whether or not they were offered.
    pub fn agreement(&self) -> Accepted {
        Accepted {
            subprotocol: self.head.value("Sec-WebSocket-Protocol").map(std::borrow::Cow::into_owned),
            extensions: self
                .head
                .joined("Sec-WebSocket-Extensions")
                .and_then(|value| extension::parse_extensions(&value).ok())
                .unwrap_or_default(),
        }
    }

    /// Everything that keeps the response from accepting `opening`, the gravest first.
    pub fn faults(&self, opening: &Opening) -> Vec<Located<ResponseFault>> {
        let head = &self.head;
        let start = head.start_line_at();
        let mut faults = Vec::new();
        let mut found = |fault, at| faults.push(Located { fault, at });

        let line_fault = head.start_line_fault().or(self.status.is_none().then_some(LineFault::StartLine));
        if let Some(fault) = line_fault {
            found(ResponseFault::Malformed(fault), start.clone());
        }
        for line in head.faulty_lines() {
            if let Some(fault) = line.fault {
                found(ResponseFault::Malformed(fault), line.line.clone());
            }
        }
        match self.status {
            Some(101) => {}
            // nothing else is asked of a response that is no upgrade
            Some(_) => {
                found(ResponseFault::StatusNot101, start);
                return faults;
            }
            None => return faults,
        }
        let nowhere = start.end..start.end;
        let at = |name| head.lines(name).next().map_or(nowhere.clone(), |line| line.line.clone());
        if head.value("Upgrade").is_none_or(|value| !value.eq_ignore_ascii_case("websocket")) {
            found(ResponseFault::UpgradeMissing, at("Upgrade"));
        }
        if !head.has_token("Connection", "upgrade") {
            found(ResponseFault::ConnectionMissing, at("Connection"));
        }
        let expected = accept_key(&opening.key);
        match head.value("Sec-WebSocket-Accept") {
            None => found(ResponseFault::AcceptMissing, nowhere.clone()),
            Some(accept) if accept != expected => {
                found(ResponseFault::AcceptWrong { expected }, at("Sec-WebSocket-Accept"));
            }
            Some(_) => {}
        }
        if let Some(value) = head.joined("Sec-WebSocket-Protocol")
            && !opening.subprotocols.contains(&value)
        {
            found(ResponseFault::SubprotocolNotOffered, at("Sec-WebSocket-Protocol"));
        }
        let extensions_at = at("Sec-WebSocket-Extensions");
        match head.joined("Sec-WebSocket-Extensions").map(|value| extension::parse_extensions(&value)) {
            None => {}
            Some(Err(error)) => found(ResponseFault::ExtensionsUnreadable(error), extensions_at),
            Some(Ok(extensions)) => {
                for extension in extensions {
                    if !opening.extensions.iter().any(|offer| offer.name == extension.name) {
                        found(ResponseFault::ExtensionNotOffered(extension.name), extensions_at.clone());
                    }
                }
            }
        }
        faults
    }
}

/// The response that accepts `opening` and agrees on `accepted`; `headers` are added as they are.
pub fn write_accepted(opening: &Opening, accepted: &Accepted, headers: &[(String, String)]) -> Vec<u8> {
    let mut head = String::from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    let mut line = |name: &str, value: &str| {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    };
    line("Sec-WebSocket-Accept", &accept_key(&opening.key));
    if let Some(subprotocol) = &accepted.subprotocol {
        line("Sec-WebSocket-Protocol", subprotocol);
    }
    if !accepted.extensions.is_empty() {
        let extensions: Vec<_> = accepted.extensions.iter().map(ToString::to_string).collect();
        line("Sec-WebSocket-Extensions", &extensions.join(", "));
    }
    for (name, value) in headers {
        line(name, value);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The response of RFC 6455 1.3.
    const EXAMPLE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

    fn opening() -> Opening {
        Opening {
            target: "/chat".into(),
            key: "dGhlIHNhbXBsZSBub25jZQ==".into(),
            origin: None,
            subprotocols: vec!["chat".into(), "superchat".into()],
            extensions: Vec::new(),
        }
    }

    fn read(response: &str) -> Response {
        Response::read(Head::parse(response.as_bytes().to_vec()))
    }

    #[test]
    fn the_example_of_rfc_6455_1_3_accepts_its_request() {
        let accepted = read(EXAMPLE).accepted(&opening()).unwrap();
        assert_eq!(accepted.subprotocol.as_deref(), Some("chat"));
        assert_eq!(write_accepted(&opening(), &accepted, &[]), EXAMPLE.as_bytes());
    }

    #[test]
    fn each_fault_is_told_apart() {
        use ResponseFault as F;
        let wrong = F::AcceptWrong { expected: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into() };
        let unreadable = F::ExtensionsUnreadable(ListError { offset: 2, expected: "a parameter's name" });
        for (from, to, fault) in [
            ("101 Switching Protocols", "200 OK", F::StatusNot101),
            ("HTTP/1.1 101", "ICY 101", F::Malformed(LineFault::StartLine)),
            ("Upgrade: websocket\r\n", "", F::UpgradeMissing),
            ("Connection: Upgrade\r\n", "", F::ConnectionMissing),
            ("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "", F::AcceptMissing),
            ("s3pPLM", "S3pPLM", wrong),
            ("Protocol: chat", "Protocol: soap", F::SubprotocolNotOffered),
            ("Protocol: chat", "Protocol: chat, superchat", F::SubprotocolNotOffered),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n", F::ExtensionNotOffered("x".into())),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x;\r\n\r\n", unreadable),
        ] {
            assert!(EXAMPLE.contains(from));
            let response = read(&EXAMPLE.replacen(from, to, 1));
            let faults: Vec<_> = response.faults(&opening()).into_iter().map(|located| located.fault).collect();
            assert_eq!(faults, [fault], "{from:?} → {to:?}");
        }
    }
}
