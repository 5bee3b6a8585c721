//! The head of an HTTP/1.1 request or response: a start line, header lines, an empty line (RFC 7230 3).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::wire::extension::is_token_byte;

/// The longest head that is read, in bytes.
pub const MAX_HEAD: usize = 32 * 1024;

/// A head as it was sent, and where its lines are. Nothing in it is too malformed to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    raw: Vec<u8>,
    start_line: Range<usize>,
    start_fault: Option<LineFault>,
    headers: Vec<HeaderLine>,
}

/// One header line and where it stands in the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// The line without its line break.
    pub line: Range<usize>,
    /// What stands before the colon; empty where there is none.
    pub name: Range<usize>,
    /// What stands after it, without the blanks around it.
    pub value: Range<usize>,
    /// How the line breaks the grammar, if it does.
    pub fault: Option<LineFault>,
}

/// How a line of a head breaks the grammar of RFC 7230 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// The line ends in LF alone, not in CR LF.
    BareLf,
    /// A header line without a colon.
    NoColon,
    /// A header's name is empty or holds something other than token characters, such as a blank before the colon.
    NameNotToken,
    /// The line begins with a blank: the obsolete way to continue the line before.
    Folded,
    /// A control character in the line.
    ControlCharacter,
    /// The header may stand once only, and an earlier line had it.
    Repeated,
    /// The request or status line is not of the form that HTTP/1.1 gives it.
    StartLine,
}

impl LineFault {
    /// What is wrong, as the end of "this line …".
    pub const fn says(self) -> &'static str {
        match self {
            Self::BareLf => "ends in LF alone instead of CR LF",
            Self::NoColon => "has no colon",
            Self::NameNotToken => "has a name that is empty or holds a character that no header name may hold",
            Self::Folded => "begins with a blank, the obsolete way to continue the line before",
            Self::ControlCharacter => "holds a control character",
            Self::Repeated => "repeats a header that may stand only once",
            Self::StartLine => "is no request or status line of HTTP/1.1",
        }
    }
}

impl Head {
    /// Takes a head apart. `raw` reaches to the end of its empty line, or to wherever the peer stopped.
    pub fn parse(raw: Vec<u8>) -> Self {
        let mut head = Self { raw, ..Self::default() };
        let mut at = 0;
        let mut first = true;
        while at < head.raw.len() {
            let end = memchr::memchr(b'\n', &head.raw[at..]).map_or(head.raw.len(), |n| at + n);
            let crlf = end > at && head.raw[end - 1] == b'\r';
            let line = at..if crlf { end - 1 } else { end };
            let bare_lf = !crlf && end < head.raw.len();
            at = end + 1;
            if first {
                first = false;
                head.start_fault = line_break_fault(&head.raw[line.clone()], bare_lf);
                head.start_line = line;
            } else if !line.is_empty() {
                let header = header_line(&head.raw, line, bare_lf);
                head.headers.push(header);
            } else if bare_lf {
                // the empty line itself is part of the grammar too
                head.headers.push(HeaderLine { name: at..at, value: at..at, line, fault: Some(LineFault::BareLf) });
            }
        }
        head
    }

    /// The bytes as they were sent, line breaks included.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The request or status line.
    pub fn start_line(&self) -> Cow<'_, str> {
        self.text(&self.start_line)
    }

    /// Where the start line stands.
    pub fn start_line_at(&self) -> Range<usize> {
        self.start_line.clone()
    }

    /// How the start line breaks the grammar, if it does.
    pub const fn start_line_fault(&self) -> Option<LineFault> {
        self.start_fault
    }

    /// The header lines in the order in which they were sent, malformed ones included.
    pub fn headers(&self) -> &[HeaderLine] {
        &self.headers
    }

    /// The first malformed header lines: as many as help to see what is wrong, however many a peer sends.
    pub(super) fn faulty_lines(&self) -> impl Iterator<Item = &HeaderLine> {
        self.headers.iter().filter(|line| line.fault.is_some()).take(8)
    }

    /// The bytes of a range of this head as text; what is not UTF-8 is replaced by U+FFFD.
    pub fn text(&self, range: &Range<usize>) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw[range.clone()])
    }

    /// The well-formed lines of the header `name`, whatever its case.
    pub fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a HeaderLine> {
        self.headers.iter().filter(move |line| {
            line.fault.is_none_or(|fault| matches!(fault, LineFault::BareLf | LineFault::Repeated))
                && self.raw[line.name.clone()].eq_ignore_ascii_case(name.as_bytes())
        })
    }

    /// The value of the first such line.
    pub fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.lines(name).next().map(|line| self.text(&line.value))
    }

    /// The values of all such lines as one list (RFC 7230 3.2.2).
    pub fn joined(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.lines(name).map(|line| self.text(&line.value)).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Whether a comma-separated header holds `token`, whatever its case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.lines(name).any(|line| self.text(&line.value).split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
    }

    /// Names and values in the order in which they were sent; a line without a colon is all name.
    pub fn pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.headers.iter().filter(|line| !line.line.is_empty()).map(|line| {
            let name = if line.fault == Some(LineFault::NoColon) { &line.line } else { &line.name };
            (self.text(name), self.text(&line.value))
        })
    }

    /// Marks every line after the first of a header that may stand only once.
    pub(super) fn forbid_repeating(&mut self, names: &[&str]) {
        for name in names {
            let mut seen = false;
            for line in &mut self.headers {
                if self.raw[line.name.clone()].eq_ignore_ascii_case(name.as_bytes()) {
                    if seen && line.fault.is_none() {
                        line.fault = Some(LineFault::Repeated);
                    }
                    seen = true;
                }
            }
        }
    }
}

fn header_line(raw: &[u8], line: Range<usize>, bare_lf: bool) -> HeaderLine {
    let bytes = &raw[line.clone()];
    let blanks = |bytes: &[u8]| bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let Some(colon) = memchr::memchr(b':', bytes) else {
        let fault = if blanks(bytes) > 0 { LineFault::Folded } else { LineFault::NoColon };
        return HeaderLine { name: line.start..line.start, value: line.end..line.end, line, fault: Some(fault) };
    };
    let name = line.start..line.start + colon;
    let mut value = name.end + 1..line.end;
    value.start += blanks(&raw[value.clone()]);
    value.end -= raw[value.clone()].iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let fault = if blanks(bytes) > 0 {
        Some(LineFault::Folded)
    } else if name.is_empty() || !raw[name.clone()].iter().all(|&byte| is_token_byte(byte)) {
        Some(LineFault::NameNotToken)
    } else {
        line_break_fault(bytes, bare_lf)
    };
    HeaderLine { line, name, value, fault }
}

fn line_break_fault(line: &[u8], bare_lf: bool) -> Option<LineFault> {
    if line.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
        Some(LineFault::ControlCharacter)
    } else {
        bare_lf.then_some(LineFault::BareLf)
    }
}

/// Collects a head from chunks of any size, up to a limit.
#[derive(Debug)]
pub struct HeadReader {
    raw: Vec<u8>,
    /// Bytes already searched for the empty line.
    searched: usize,
    max: usize,
}

/// The head has not ended within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadTooLong {
    /// The limit in bytes.
    pub max: usize,
}

impl Default for HeadReader {
    fn default() -> Self {
        Self::new(MAX_HEAD)
    }
}

impl HeadReader {
    /// Reads heads of up to `max` bytes.
    pub const fn new(max: usize) -> Self {
        Self { raw: Vec::new(), searched: 0, max }
    }

    /// Takes bytes from the front of `input` until the head is whole; what follows it stays in `input`.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<Head>, HeadTooLong> {
        let before = self.raw.len();
        let room = self.max - before;
        self.raw.extend_from_slice(&input[..input.len().min(room)]);
        if let Some(end) = self.find_end() {
            *input = &input[end - before..];
            self.raw.truncate(end);
            self.searched = 0;
            return Ok(Some(Head::parse(std::mem::take(&mut self.raw))));
        }
        if input.len() > room {
            return Err(HeadTooLong { max: self.max });
        }
        *input = &[];
        Ok(None)
    }

    /// The bytes of a head that has not come whole.
    pub fn partial(&self) -> &[u8] {
        &self.raw
    }

    /// Where the head ends: after the first empty line, whether it ends in CR LF or in LF.
    fn find_end(&mut self) -> Option<usize> {
        while let Some(found) = memchr::memchr(b'\n', &self.raw[self.searched..]) {
            let next = self.searched + found + 1;
            match self.raw[next..] {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                // the line break may be the first half of an empty line: look at it again
                [] | [b'\r'] => {
                    self.searched = next - 1;
                    return None;
                }
                _ => self.searched = next,
            }
        }
        self.searched = self.raw.len();
        None
    }
}

impl fmt::Display for HeadTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the head has not ended after {} bytes", self.max)
    }
}

impl std::error::Error for HeadTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX:  b \r\n\r\n";

    #[test]
    fn any_split_of_a_head_reads_as_the_same_head_and_leaves_what_follows() {
        let whole = Head::parse(REQUEST.to_vec());
        let stream = [REQUEST, b"\x81\x00"].concat();
        for split in 0..stream.len() {
            let mut reader = HeadReader::default();
            let (mut first, mut second) = stream.split_at(split);
            let (head, rest) = match reader.push(&mut first).unwrap() {
                Some(head) => (head, [first, second].concat()),
                None => (reader.push(&mut second).unwrap().unwrap(), second.to_vec()),
            };
            assert_eq!((head, &rest[..]), (whole.clone(), &b"\x81\x00"[..]), "split at {split}");
        }
    }

    #[test]
    fn lines_are_kept_as_sent() {
        let head = Head::parse(REQUEST.to_vec());
        assert_eq!(head.raw(), REQUEST);
        assert_eq!(head.start_line(), "GET / HTTP/1.1");
        assert_eq!(head.value("hOsT").unwrap(), "a");
        assert_eq!(head.value("x").unwrap(), "b");
        assert!(head.headers().iter().all(|line| line.fault.is_none()));
    }

    #[test]
    fn each_fault_of_a_line_is_named() {
        let faults = |raw: &[u8]| Head::parse(raw.to_vec()).headers().iter().map(|line| line.fault).collect::<Vec<_>>();
        assert_eq!(faults(b"S\r\na: b\n\r\n"), [Some(LineFault::BareLf)]);
        assert_eq!(faults(b"S\r\nab\r\n\r\n"), [Some(LineFault::NoColon)]);
        assert_eq!(faults(b"S\r\na : b\r\n\r\n"), [Some(LineFault::NameNotToken)]);
        assert_eq!(faults(b"S\r\n: b\r\n\r\n"), [Some(LineFault::NameNotToken)]);
        assert_eq!(faults(b"S\r\na: b\r\n c\r\n\r\n"), [None, Some(LineFault::Folded)]);
        assert_eq!(faults(b"S\r\na: b\x01\r\n\r\n"), [Some(LineFault::ControlCharacter)]);
    }

    #[test]
    fn a_head_past_the_limit_is_refused_and_one_at_the_limit_is_not() {
        let mut input = REQUEST;
        assert!(HeadReader::new(REQUEST.len()).push(&mut input).unwrap().is_some());
        let mut input = REQUEST;
        assert_eq!(HeadReader::new(REQUEST.len() - 1).push(&mut input), Err(HeadTooLong { max: REQUEST.len() - 1 }));
    }
}
