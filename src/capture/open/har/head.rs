//! The request and the response of an entry, as heads of HTTP/1.

use serde::de::{MapAccess, SeqAccess};

use super::json::{Array, Fields, Items, Object, Scalar};
use super::log::{Passing, pass_over};

/// A request or a response.
pub(super) struct Half {
    passing: Passing,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) version: String,
    /// Not 0, which stands for none.
    pub(super) status: Option<u16>,
    pub(super) status_text: String,
    pub(super) error: Option<String>,
    headers: Vec<u8>,
    /// All of it was read; else its headers are not told.
    pub(super) is_whole: bool,
}

/// The longest head that is read.
const MAX_HEADERS: usize = 24 << 10;
/// The longest value of any other field that is kept.
const MAX_TEXT: usize = 4096;

impl Half {
    pub(super) fn new(passing: Passing) -> Self {
        Self {
            passing,
            method: String::new(),
            url: String::new(),
            version: String::new(),
            status: None,
            status_text: String::new(),
            error: None,
            headers: Vec::new(),
            is_whole: false,
        }
    }

    /// The head of a request; `None` if nothing is told of it.
    pub(super) fn request(&self) -> Option<Vec<u8>> {
        let method = if self.method.is_empty() { "GET" } else { &self.method };
        let line = format!("{method} {} {}", target(&self.url), version(&self.version));
        (!self.url.is_empty()).then(|| self.head(&line))
    }

    /// The head of a response; `None` if there was none.
    pub(super) fn response(&self) -> Option<Vec<u8>> {
        let (status, version) = (self.status?, version(&self.version));
        if !version.starts_with("HTTP/1.") {
            // it had no such head: the status is what is known of it
            return Some(format!("HTTP/1.1 {status}\r\n\r\n").into_bytes());
        }
        Some(self.head(format!("{version} {status} {}", self.status_text).trim_end()))
    }

    fn head(&self, line: &str) -> Vec<u8> {
        let mut head = one_line(line).into_bytes();
        head.extend_from_slice(b"\r\n");
        // more than that is no head that anyone takes
        if self.is_whole && self.headers.len() <= MAX_HEADERS {
            head.extend_from_slice(&self.headers);
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The port that the URL names or stands for.
    pub(super) fn port(&self) -> Option<u16> {
        let (scheme, rest) = self.url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?;
        let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map(|(_, port)| port.parse());
        match (port, scheme) {
            (Some(port), _) => port.ok(),
            (None, "ws" | "http") => Some(80),
            (None, "wss" | "https") => Some(443),
            (None, _) => None,
        }
    }
}

impl Fields for Half {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "headers" {
            return map.next_value_seed(Array(self));
        }
        if !matches!(name, "method" | "url" | "httpVersion" | "status" | "statusText" | "_error") {
            return pass_over(map, &self.passing);
        }
        let value: Scalar = map.next_value()?;
        if name == "status" {
            self.status = value.unsigned().filter(|status| (100..1000).contains(status)).map(|status| status as u16);
            return Ok(());
        }
        let mut text = value.text().unwrap_or_default();
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        match name {
            "method" => self.method = text.split_whitespace().collect(),
            "url" => self.url = text,
            "httpVersion" => self.version = text,
            "statusText" => self.status_text = text,
            _ => self.error = Some(text).filter(|text| !text.is_empty()),
        }
        Ok(())
    }
}

impl Items for Half {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut pair = Pair { passing: self.passing.clone(), name: String::new(), value: String::new() };
        let is_there = seq.next_element_seed(Object(&mut pair))?.is_some();
        // those of HTTP/2 that begin so stand in the first line of HTTP/1
        if is_there && !pair.name.is_empty() && !pair.name.starts_with(':') && self.headers.len() <= MAX_HEADERS {
            let line = format!("{}: {}", pair.name, pair.value);
            self.headers.extend_from_slice(one_line(&line).as_bytes());
            self.headers.extend_from_slice(b"\r\n");
        }
        Ok(is_there)
    }
}

struct Pair {
    passing: Passing,
    name: String,
    value: String,
}

impl Fields for Pair {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "name" => self.name = map.next_value::<Scalar>()?.text().unwrap_or_default(),
            "value" => self.value = map.next_value::<Scalar>()?.text().unwrap_or_default(),
            _ => pass_over(map, &self.passing)?,
        }
        Ok(())
    }
}

/// What was asked for (RFC 9112 3.2.1): of a URL the path and the query.
fn target(url: &str) -> String {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]),
        None => url,
    };
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{}", path.replace(' ', "%20"))
}

/// `HTTP/1.1` where nothing like it is told.
fn version(told: &str) -> String {
    let told = told.to_ascii_uppercase();
    match told.as_str() {
        "H2" => "HTTP/2".to_owned(),
        told if told.starts_with("HTTP/") && !told.contains(char::is_whitespace) => told.to_owned(),
        _ => "HTTP/1.1".to_owned(),
    }
}

/// A line of a head ends where it ends.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_the_target_and_the_port_are_taken() {
        let half = |url: &str| Half { url: url.to_owned(), ..Half::new(Passing::default()) };
        for (url, line, port) in [
            ("ws://a/chat?x=1#y", "GET /chat?x=1 HTTP/1.1", Some(80)),
            ("wss://u:p@a:8443", "GET / HTTP/1.1", Some(8443)),
            ("https://[::1]?q", "GET /?q HTTP/1.1", Some(443)),
            ("https://[::1]:99/a b", "GET /a%20b HTTP/1.1", Some(99)),
            ("odd\r\nX: y", "GET /odd  X:%20y HTTP/1.1", None),
        ] {
            let head = String::from_utf8(half(url).request().unwrap()).unwrap();
            assert_eq!((head.trim_end(), half(url).port()), (line, port), "{url}");
        }
        assert_eq!(half("").request(), None);
    }
}
