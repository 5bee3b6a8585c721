//! Where the body of a request or a response ends (RFC 9112 6, 7).

use crate::wire::handshake::{Head, LineFault, Request, Response};

/// How far a body reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes.
    Exactly(u64),
    /// In chunks, each with its size before it (RFC 9112 7.1).
    Chunked,
    /// Up to the end of the connection.
    UntilEnd,
}

/// Why it can't be told where a message ends, so that nothing after it can be found for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unclear {
    /// A start line that is none of HTTP/1.
    NotHttp,
    /// A head longer than is read.
    HeadTooLong,
    /// Both Content-Length and Transfer-Encoding: two readers may see two different ends (RFC 9112 6.1).
    LengthAndEncoding,
    /// Content-Length is no number, or several that differ.
    Length,
    /// Transfer-Encoding that does not end in `chunked`.
    Encoding,
    /// A malformed line about the length: two readers may read it in two ways.
    MalformedLine,
    /// The size of a chunk can't be read, or a chunk does not end where it should.
    Chunk,
    /// More requests wait for their responses than are kept in mind.
    TooManyWaiting,
    /// Bytes came after a request to upgrade and before its answer, which was no 101.
    BeforeAnswer,
    /// A response that nobody asked for.
    Unasked,
    /// Another protocol than WebSocket was switched to: a tunnel, or something that was not asked for.
    OtherProtocol,
}

impl Unclear {
    /// Why nothing after it is looked into, as the end of "… because …".
    pub const fn says(self) -> &'static str {
        match self {
            Self::NotHttp => "it is no HTTP/1.1",
            Self::HeadTooLong => "a head is longer than 32 KiB",
            Self::LengthAndEncoding => {
                "a head has both Content-Length and Transfer-Encoding, which may be read in two ways"
            }
            Self::Length => "a Content-Length is no number, or there are several that differ",
            Self::Encoding => "a Transfer-Encoding does not end in chunked",
            Self::MalformedLine => "the line that says how long a body is is malformed and may be read in two ways",
            Self::Chunk => "a chunk of a body is malformed",
            Self::TooManyWaiting => "too many requests wait for their responses",
            Self::BeforeAnswer => {
                "bytes came before the server had answered the request for a WebSocket, with something else"
            }
            Self::Unasked => "the server answered something that was not asked",
            Self::OtherProtocol => "another protocol was switched to",
        }
    }
}

impl BodyLength {
    /// The body of a request (RFC 9112 6.3).
    pub fn of_request(request: &Request) -> Result<Self, Unclear> {
        declared(&request.head).map(|length| length.unwrap_or(Self::Exactly(0)))
    }

    /// The body of a response that is no 101, to a HEAD request or another one (RFC 9112 6.3).
    pub fn of_response(response: &Response, answers_head: bool) -> Result<Self, Unclear> {
        let status = response.status.ok_or(Unclear::NotHttp)?;
        if answers_head || matches!(status, 100..=199 | 204 | 304) {
            return Ok(Self::Exactly(0));
        }
        match declared(&response.head) {
            // whatever the encoding, a response may end with its connection
            Err(Unclear::Encoding) => Ok(Self::UntilEnd),
            length => length.map(|length| length.unwrap_or(Self::UntilEnd)),
        }
    }
}

/// What a head says of its body's length; `None` if nothing.
fn declared(head: &Head) -> Result<Option<BodyLength>, Unclear> {
    const LENGTH: &str = "Content-Length";
    const ENCODING: &str = "Transfer-Encoding";
    let mut about_length = false;
    for line in head.headers() {
        let text = head.text(&line.line).to_ascii_lowercase();
        let names_it = [LENGTH, ENCODING].iter().any(|name| text.contains(&name.to_ascii_lowercase()));
        let is_faulty = line.fault.is_some_and(|fault| fault != LineFault::Repeated);
        // a folded line goes on with the one before it
        if is_faulty && (names_it || (about_length && line.fault == Some(LineFault::Folded))) {
            return Err(Unclear::MalformedLine);
        }
        about_length = names_it;
    }
    match (head.joined(LENGTH), head.joined(ENCODING)) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Unclear::LengthAndEncoding),
        (None, Some(encoding)) => {
            let last = encoding.rsplit(',').next().unwrap_or_default().trim();
            let before_last = encoding.to_ascii_lowercase().matches("chunked").count();
            // HTTP/1.0 knows no encodings, and a body is in chunks only once (RFC 9112 6.1)
            let is_chunked = last.eq_ignore_ascii_case("chunked") && before_last == 1;
            let is_1_0 = head.start_line().contains("HTTP/1.0");
            if is_chunked && !is_1_0 { Ok(Some(BodyLength::Chunked)) } else { Err(Unclear::Encoding) }
        }
        (Some(length), None) => {
            let mut numbers = length.split(',').map(|number| {
                let number = number.trim();
                let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| number.parse().ok()).flatten()
            });
            // there is always a first
            let first = numbers.next().flatten().ok_or(Unclear::Length)?;
            // the same number twice is the same number (RFC 9110 8.6)
            if numbers.all(|number| number == Some(first)) {
                Ok(Some(BodyLength::Exactly(first)))
            } else {
                Err(Unclear::Length)
            }
        }
    }
}

/// Follows a body to its end, in any pieces. Nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are left.
    Exactly(u64),
    UntilEnd,
    /// In the line with a chunk's size: its digits so far.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the digits; so many bytes of the line so far.
    Extension {
        size: u64,
        length: u16,
    },
    /// After the line's CR.
    SizeLf {
        size: u64,
    },
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    /// In the fields after the last chunk: bytes of all of them, and of the line at hand.
    Trailer {
        all: u16,
        line: u16,
    },
    TrailerLf {
        all: u16,
        line: u16,
    },
    Ended,
}

/// The longest line with a chunk's size, and the longest fields after the last chunk, in bytes.
const MAX_LINE: u16 = 4096;
const MAX_TRAILER: u16 = 32 * 1024;

impl Body {
    /// A body that begins.
    pub const fn new(length: BodyLength) -> Self {
        let state = match length {
            BodyLength::Exactly(0) => State::Ended,
            BodyLength::Exactly(length) => State::Exactly(length),
            BodyLength::Chunked => State::Size { size: 0, digits: 0 },
            BodyLength::UntilEnd => State::UntilEnd,
        };
        Self { state }
    }

    /// Whether all of it has come.
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether it reaches to the end of the connection.
    pub const fn is_until_end(&self) -> bool {
        matches!(self.state, State::UntilEnd)
    }

    /// Takes what belongs to it from the front of `input`.
    pub fn advance(&mut self, input: &mut &[u8]) -> Result<(), Unclear> {
        while let (false, Some(&byte)) = (self.is_ended(), input.first()) {
            let mut taken = 1;
            self.state = match self.state {
                State::Exactly(left) => {
                    taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    match left - taken as u64 {
                        0 => State::Ended,
                        left => State::Exactly(left),
                    }
                }
                State::UntilEnd => {
                    taken = input.len();
                    State::UntilEnd
                }
                State::Size { size, digits } => match (byte as char).to_digit(16) {
                    Some(digit) if digits < 16 => {
                        State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
                    }
                    Some(_) => return Err(Unclear::Chunk),
                    None if digits == 0 => return Err(Unclear::Chunk),
                    None => match byte {
                        b'\r' => State::SizeLf { size },
                        b';' | b' ' | b'\t' => State::Extension { size, length: 0 },
                        _ => return Err(Unclear::Chunk),
                    },
                },
                State::Extension { size, length } => match byte {
                    b'\r' => State::SizeLf { size },
                    b'\n' => return Err(Unclear::Chunk),
                    _ if length == MAX_LINE => return Err(Unclear::Chunk),
                    _ => State::Extension { size, length: length + 1 },
                },
                State::SizeLf { size } => match (byte, size) {
                    (b'\n', 0) => State::Trailer { all: 0, line: 0 },
                    (b'\n', size) => State::Chunk(size),
                    _ => return Err(Unclear::Chunk),
                },
                State::Chunk(left) => {
                    taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    match left - taken as u64 {
                        0 => State::ChunkCr,
                        left => State::Chunk(left),
                    }
                }
                State::ChunkCr if byte == b'\r' => State::ChunkLf,
                State::ChunkLf if byte == b'\n' => State::Size { size: 0, digits: 0 },
                State::ChunkCr | State::ChunkLf | State::Trailer { all: MAX_TRAILER, .. } => {
                    return Err(Unclear::Chunk);
                }
                State::Trailer { all, line } => match byte {
                    b'\r' => State::TrailerLf { all: all + 1, line },
                    b'\n' => return Err(Unclear::Chunk),
                    _ => State::Trailer { all: all + 1, line: line + 1 },
                },
                State::TrailerLf { all, line } => match (byte, line) {
                    (b'\n', 0) => State::Ended,
                    (b'\n', _) => State::Trailer { all, line: 0 },
                    _ => return Err(Unclear::Chunk),
                },
                State::Ended => return Ok(()),
            };
            *input = &input[taken..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> Result<BodyLength, Unclear> {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        BodyLength::of_request(&Request::read(Head::parse(head.into_bytes())))
    }

    fn response(status: &str, lines: &str, answers_head: bool) -> Result<BodyLength, Unclear> {
        let head = format!("HTTP/1.1 {status}\r\n{lines}\r\n");
        BodyLength::of_response(&Response::read(Head::parse(head.into_bytes())), answers_head)
    }

    #[test]
    fn a_request_says_how_long_its_body_is_or_has_none() {
        for (lines, length) in [
            ("", Ok(BodyLength::Exactly(0))),
            ("Content-Length: 5\r\n", Ok(BodyLength::Exactly(5))),
            ("content-length: 5, 5\r\nContent-Length: 5\r\n", Ok(BodyLength::Exactly(5))),
            ("Transfer-Encoding: gzip, Chunked\r\n", Ok(BodyLength::Chunked)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(Unclear::LengthAndEncoding)),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(Unclear::Length)),
            ("Content-Length: +5\r\n", Err(Unclear::Length)),
            ("Content-Length:\r\n", Err(Unclear::Length)),
            ("Content-Length: 99999999999999999999\r\n", Err(Unclear::Length)),
            ("Transfer-Encoding: chunked, gzip\r\n", Err(Unclear::Encoding)),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(Unclear::Encoding)),
            ("Transfer-Encoding: xchunked\r\n", Err(Unclear::Encoding)),
            ("Content-Length : 5\r\n", Err(Unclear::MalformedLine)),
            ("Content-Length: 5\n", Err(Unclear::MalformedLine)),
            ("Transfer-Encoding:\r\n chunked\r\n", Err(Unclear::MalformedLine)),
            ("X: a\rContent-Length: 5\r\n", Err(Unclear::MalformedLine)),
            ("X: a\r\n folded\r\n", Ok(BodyLength::Exactly(0))),
        ] {
            assert_eq!(request(lines), length, "{lines:?}");
        }
    }

    #[test]
    fn a_response_has_a_body_but_for_those_that_have_none() {
        for (status, lines, answers_head, length) in [
            ("200 OK", "Content-Length: 5\r\n", false, Ok(BodyLength::Exactly(5))),
            ("200 OK", "Content-Length: 5\r\n", true, Ok(BodyLength::Exactly(0))),
            ("204 No Content", "Content-Length: 5\r\n", false, Ok(BodyLength::Exactly(0))),
            ("304 Not Modified", "Content-Length: 5\r\n", false, Ok(BodyLength::Exactly(0))),
            ("100 Continue", "", false, Ok(BodyLength::Exactly(0))),
            ("200 OK", "", false, Ok(BodyLength::UntilEnd)),
            ("200 OK", "Transfer-Encoding: chunked\r\n", false, Ok(BodyLength::Chunked)),
            ("200 OK", "Transfer-Encoding: gzip\r\n", false, Ok(BodyLength::UntilEnd)),
            ("200 OK", "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", false, Err(Unclear::LengthAndEncoding)),
            ("OK", "", false, Err(Unclear::NotHttp)),
        ] {
            assert_eq!(response(status, lines, answers_head), length, "{status} {lines:?}");
        }
    }

    /// How much of `bytes` belongs to a body, in pieces of `size`.
    fn taken(length: BodyLength, bytes: &[u8], size: usize) -> Result<(usize, bool), Unclear> {
        let (mut body, mut taken) = (Body::new(length), 0);
        for mut piece in bytes.chunks(size) {
            let whole = piece.len();
            body.advance(&mut piece)?;
            taken += whole - piece.len();
            if !piece.is_empty() {
                break;
            }
        }
        Ok((taken, body.is_ended()))
    }

    #[test]
    fn any_split_of_a_body_ends_at_the_same_place() {
        const CHUNKED: &[u8] = b"4\r\nWiki\r\nA ;x=\"y\"\r\n0123456789\r\n00\r\nX: y\r\nZ: a\r\n\r\nGET";
        for size in 1..=CHUNKED.len() {
            assert_eq!(taken(BodyLength::Chunked, CHUNKED, size), Ok((CHUNKED.len() - 3, true)));
            assert_eq!(taken(BodyLength::Exactly(5), CHUNKED, size), Ok((5, true)));
            assert_eq!(taken(BodyLength::Exactly(999), CHUNKED, size), Ok((CHUNKED.len(), false)));
            assert_eq!(taken(BodyLength::UntilEnd, CHUNKED, size), Ok((CHUNKED.len(), false)));
        }
    }

    #[test]
    fn chunks_that_two_readers_may_read_in_two_ways_are_not_followed() {
        let long = format!("1;{}", "x".repeat(5000));
        let trailer = format!("0\r\nX: {}", "x".repeat(40_000));
        for bytes in [
            "x",
            "\r\n",
            "-1\r\n",
            "4\nWiki",
            "1\r\nab",
            "1\r\na\n",
            "0x4\r\n",
            "11111111111111111\r\n",
            "4;a\nb\r\n",
            "0\r\nX: y\n",
            "0\r\nX: y\rz",
            &long,
            &trailer,
        ] {
            for size in [1, 7, 100_000] {
                assert_eq!(taken(BodyLength::Chunked, bytes.as_bytes(), size), Err(Unclear::Chunk), "{bytes:.40}");
            }
        }
    }
}
