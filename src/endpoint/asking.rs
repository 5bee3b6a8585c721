//! The client's request, and its judgment on the answer (RFC 6455 4.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::opening::explained;
use crate::lint::check_response;
use crate::wire::handshake::{Accepted, Head, Opening, Request, Response};
use crate::wire::http::{Body, BodyLength};
use crate::wire::{DEFLATE, DeflateAgreement, DeflateOffer, Side, WindowOffer, parse_extensions};

/// What a client's end asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Path and query: `/chat?room=1`.
    pub target: String,
    /// Host, and port where it is not the usual one, as a Host header has them.
    pub host: String,
    /// 16 bytes that nobody can foresee, fresh for each connection.
    pub key: [u8; 16],
    /// The origin, if one is to be named.
    pub origin: Option<String>,
    /// The subprotocols offered, the best first.
    pub subprotocols: Vec<String>,
    /// The compression offered.
    pub deflate: Option<DeflateOffer>,
    /// More headers. One that stands above too takes its place, whatever it does to the handshake.
    pub headers: Vec<(String, String)>,
}

impl Ask {
    /// The request as it is sent.
    pub fn request(&self) -> Vec<u8> {
        let own = [
            ("Host", Some(self.host.clone())),
            ("Upgrade", Some("websocket".to_owned())),
            ("Connection", Some("Upgrade".to_owned())),
            ("Sec-WebSocket-Key", Some(STANDARD.encode(self.key))),
            ("Sec-WebSocket-Version", Some("13".to_owned())),
            ("Origin", self.origin.clone()),
            ("Sec-WebSocket-Protocol", (!self.subprotocols.is_empty()).then(|| self.subprotocols.join(", "))),
            ("Sec-WebSocket-Extensions", self.deflate.map(|offer| offer.to_extension().to_string())),
        ];
        let replaced = |name: &str| self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let mut head = format!("GET {} HTTP/1.1\r\n", self.target);
        for (name, value) in own {
            if let Some(value) = value.filter(|_| !replaced(name)) {
                head.extend([name, ": ", &value, "\r\n"]);
            }
        }
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// What a request offers, also where it was made to be no valid opening handshake.
pub(super) fn offered(request: &[u8]) -> Opening {
    let request = Request::read(Head::parse(request.to_vec()));
    request.opening().unwrap_or_else(|_| Opening {
        target: request.target.clone(),
        key: request.head.value("Sec-WebSocket-Key").unwrap_or_default().into_owned(),
        origin: None,
        subprotocols: request.subprotocols(),
        extensions: request
            .head
            .joined("Sec-WebSocket-Extensions")
            .and_then(|value| parse_extensions(&value).ok())
            .unwrap_or_default(),
    })
}

/// What was agreed on; or why this is no acceptance of `opening`, in a sentence. The tolerant accept any 101.
pub(super) fn judge(response: &Response, opening: &Opening, tolerant: bool) -> Result<Accepted, String> {
    match response.status {
        None => return Err(no_http(response.head.raw())),
        Some(101) => {}
        Some(status) => return Err(refused(status, response)),
    }
    match check_response(response, opening).first() {
        Some(finding) if !tolerant => Err(explained(finding)),
        _ => Ok(response.agreement()),
    }
}

/// What can't become a response of HTTP/1 any more, however it goes on.
pub(super) fn is_no_http(beginning: &[u8]) -> bool {
    !beginning.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// The sentence for such an answer.
pub(super) fn no_http(beginning: &[u8]) -> String {
    // a record of TLS begins with its type and the protocol's major version
    if let [0x14..=0x17, 3, ..] = beginning {
        return "The server answered in TLS, not in HTTP; wss:// in place of ws:// speaks TLS.".to_owned();
    }
    let line = beginning.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let shown = line[..line.len().min(60)].escape_ascii();
    format!("The answer is no HTTP: it begins with \"{shown}\"; is another kind of server at that port?")
}

fn refused(status: u16, response: &Response) -> String {
    let line = response.head.start_line();
    let shown = |text: &str| -> String { text.chars().take(200).collect() };
    let phrase = line.splitn(3, ' ').nth(2).map(str::trim).filter(|phrase| !phrase.is_empty());
    let phrase = phrase.map(|phrase| format!(" {}", shown(phrase))).unwrap_or_default();
    let location = response.head.value("Location").filter(|_| (300..400).contains(&status));
    let location = location.map(|url| format!(" It is to be found at {}.", shown(&url))).unwrap_or_default();
    format!("The server refused the WebSocket with status {status}{phrase}.{location}")
}

/// Whether a server that answers with this status may answer otherwise before long.
pub(super) const fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// What was agreed on about compression, and how the client itself is to compress: as it offered to, whether or not the
/// answer repeats it (RFC 7692 7.1.1.2, 7.1.2.2).
pub(super) fn deflation(accepted: &Accepted, opening: &Opening) -> Option<(DeflateAgreement, Deflation)> {
    let answer = accepted.extensions.iter().find(|extension| extension.name == DEFLATE)?;
    let agreement = DeflateAgreement::parse(answer).ok()?;
    let offers = opening.extensions.iter().filter(|extension| extension.name == DEFLATE);
    let offer =
        offers.filter_map(|offer| DeflateOffer::parse(offer).ok()).find(|offer| offer.allows(agreement).is_ok());
    let offer = offer.unwrap_or_default();
    let most = match offer.client_max_window_bits {
        Some(WindowOffer::UpTo(bits)) => bits,
        Some(WindowOffer::Any) | None => 15,
    };
    let takes_over = agreement.takes_over(Side::Client) && !offer.client_no_context_takeover;
    Some((agreement, Deflation { takes_over, window_bits: agreement.window_bits(Side::Client).min(most) }))
}

/// How a side compresses.
pub(super) struct Deflation {
    pub(super) takes_over: bool,
    pub(super) window_bits: u8,
}

/// A response that refuses, while the beginning of its body comes in.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) status: Option<u16>,
    pub(super) reason: String,
    is_chunked: bool,
    /// How far the body reaches; `None` where that can't be told.
    rest: Option<Body>,
    body: Vec<u8>,
}

impl Rejection {
    /// The most bytes of a body that are kept, and waited for.
    const MAX_BODY: usize = 4096;

    pub(super) fn new(response: &Response, reason: String) -> Self {
        let length = if response.status == Some(101) { None } else { BodyLength::of_response(response, false).ok() };
        Self {
            status: response.status,
            reason,
            is_chunked: length == Some(BodyLength::Chunked),
            rest: length.map(Body::new),
            body: Vec::new(),
        }
    }

    /// Takes bytes of the body; whether that is enough.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(rest) = &mut self.rest else { return true };
        let mut left = bytes;
        let is_over = rest.advance(&mut left).is_err() || rest.is_ended();
        let body = &bytes[..bytes.len() - left.len()];
        self.body.extend_from_slice(&body[..body.len().min(Self::MAX_BODY - self.body.len())]);
        is_over || self.body.len() == Self::MAX_BODY
    }

    /// The beginning of the body.
    pub(super) fn into_body(self) -> Vec<u8> {
        if self.is_chunked { dechunked(&self.body) } else { self.body }
    }
}

/// What is in the chunks of a body (RFC 9112 7.1), as far as it has come.
fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = body.windows(2).position(|pair| pair == b"\r\n") {
        let digits = body[..end].split(|&byte| byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let chunk = &body[end + 2..];
        let Some(size @ 1..) = size else { break };
        content.extend_from_slice(&chunk[..size.min(chunk.len())]);
        // after it stands a line break
        body = chunk.get(size.saturating_add(2)..).unwrap_or_default();
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_chunks_is_read_as_far_as_it_came() {
        let whole = b"5\r\nHello\r\n7;x=y\r\n, world\r\n0\r\n\r\n";
        assert_eq!(dechunked(whole), b"Hello, world");
        for end in 0..whole.len() {
            assert!(b"Hello, world".starts_with(&dechunked(&whole[..end])), "{end}");
        }
        for odd in [&b"x\r\nHello"[..], b"ffffffffffffffff\r\nHello", b"\r\n\r\n", b"-1\r\na"] {
            assert!(dechunked(odd).len() <= 5);
        }
    }

    #[test]
    fn only_what_begins_like_http_may_become_a_response() {
        for beginning in ["", "H", "HTTP/1.1 101", "HTTP/1.0 400 Bad Request\r\n"] {
            assert!(!is_no_http(beginning.as_bytes()), "{beginning}");
        }
        for beginning in ["SSH-2.0-OpenSSH", "HTTP/2", "220 mail", "\x15\x03\x01"] {
            assert!(is_no_http(beginning.as_bytes()), "{beginning}");
        }
    }
}
