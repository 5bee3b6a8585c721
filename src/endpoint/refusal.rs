//! HTTP responses that do not upgrade.

use super::Page;

/// Why a request came to nothing, and how that is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// What was wrong and what was expected.
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// The whole response.
    pub(super) fn response(&self) -> Vec<u8> {
        let required: &[_] = match self.status {
            405 => &[("Allow", "GET")],
            // RFC 6455 4.4 and RFC 7231 6.5.15: the versions spoken here, and what to upgrade to
            426 => &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        };
        let plain = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")];
        let body = format!("{}\n", self.reason);
        response(self.status, required.iter().chain(&plain).copied(), body.as_bytes())
    }
}

/// The whole response that shows `page`.
pub(super) fn page_response(page: &Page) -> Vec<u8> {
    response(200, page.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())), &page.body)
}

fn response<'a>(status: u16, headers: impl Iterator<Item = (&'a str, &'a str)>, body: &[u8]) -> Vec<u8> {
    let connection = if status == 426 { "Upgrade, close" } else { "close" };
    let mut head = format!("HTTP/1.1 {status} {}\r\nConnection: {connection}\r\n", phrase(status));
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n"]);
    let mut response = head.into_bytes();
    response.extend_from_slice(body);
    response
}

const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
