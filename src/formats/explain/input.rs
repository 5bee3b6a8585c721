//! What the user wants explained: hex in any of its usual forms, or the text of an opening handshake.

use std::fmt;

/// What the input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The bytes of frames.
    Frames(Vec<u8>),
    /// A request, a response, or one after the other.
    Handshake {
        /// Its bytes.
        bytes: Vec<u8>,
        /// It was text with bare LF line breaks, as editors make them; here they are CR LF.
        line_breaks_changed: bool,
    },
}

/// Why the input is neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputError {
    /// There is nothing.
    Empty,
    /// A character that is no hex digit.
    NotHex {
        /// The character.
        found: char,
        /// Its line, from 1.
        line: usize,
        /// Its column in characters, from 1.
        column: usize,
    },
    /// A group of hex digits that does not come out at whole bytes.
    OddDigits {
        /// How many digits there are.
        digits: usize,
        /// The line of the first, from 1.
        line: usize,
        /// Its column, from 1.
        column: usize,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("nothing to explain: expected bytes in hex, two digits each, such as 81 05 48 65 6c 6c 6f")
            }
            Self::NotHex { found, line, column } => {
                let found = found.escape_debug();
                write!(f, "found '{found}' at line {line}, column {column}; expected two hex digits for each byte")
            }
            Self::OddDigits { digits: 1, line, column } => {
                write!(f, "found a single hex digit at line {line}, column {column}; expected two for each byte")
            }
            Self::OddDigits { digits, line, column } => write!(
                f,
                "found {digits} hex digits in a row at line {line}, column {column}; expected two for each byte"
            ),
        }
    }
}

impl std::error::Error for InputError {}

/// Reads hex, with or without blanks, line breaks, commas, colons, `0x` and `\x`, also as `xxd` and `hexdump -C` print
/// it; or the text of a handshake, which begins with a method and a target or with `HTTP/1.`.
pub fn parse_input(text: &str) -> Result<Input, InputError> {
    if is_head(text.trim_start().as_bytes()) {
        return Ok(handshake_text(text.trim_start()));
    }
    let bytes = parse_hex(text)?;
    if is_head(&bytes) {
        return Ok(Input::Handshake { bytes, line_breaks_changed: false });
    }
    Ok(Input::Frames(bytes))
}

fn is_head(bytes: &[u8]) -> bool {
    let first_line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = first_line.split(|&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let is_method = method.len() >= 3 && method.iter().all(u8::is_ascii_uppercase);
    let is_target =
        matches!(target.first(), Some(b'/' | b'*')) || target.starts_with(b"http") || target.starts_with(b"ws");
    bytes.starts_with(b"HTTP/1.") || is_method && is_target
}

fn handshake_text(text: &str) -> Input {
    if text.contains("\r\n") || !text.contains('\n') {
        return Input::Handshake { bytes: text.as_bytes().to_vec(), line_breaks_changed: false };
    }
    let mut bytes = text.replace('\n', "\r\n").into_bytes();
    // what an editor or a shell cuts off
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    Input::Handshake { bytes, line_breaks_changed: true }
}

fn parse_hex(text: &str) -> Result<Vec<u8>, InputError> {
    let is_dump = is_dump(text);
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for (line, content) in text.lines().enumerate() {
        let columns = if is_dump { dump_columns(content) } else { 0..content.len() };
        let before = content[..columns.start].chars().count();
        parse_line(&content[columns], line + 1, before + 1, &mut bytes)?;
    }
    if bytes.is_empty() { Err(InputError::Empty) } else { Ok(bytes) }
}

/// Reads the hex of one line; its first character stands in column `first`.
fn parse_line(content: &str, line: usize, first: usize, bytes: &mut Vec<u8>) -> Result<(), InputError> {
    let mut characters = content.chars().zip(first..).peekable();
    while let Some((character, column)) = characters.next() {
        match (character, characters.peek()) {
            (' ' | '\t' | '\r' | ',' | ':' | ';', _) => {}
            ('0' | '\\', Some((x @ ('x' | 'X'), at))) => {
                let (x, at) = (*x, *at);
                characters.next();
                if !characters.peek().is_some_and(|(next, _)| next.is_ascii_hexdigit()) {
                    return Err(InputError::NotHex { found: x, line, column: at });
                }
            }
            _ => {
                let Some(mut digit) = character.to_digit(16) else {
                    return Err(InputError::NotHex { found: character, line, column });
                };
                let mut digits = 1;
                while let Some(next) = characters.peek().and_then(|(next, _)| next.to_digit(16)) {
                    characters.next();
                    digits += 1;
                    if digits % 2 == 0 {
                        bytes.push((digit << 4 | next) as u8);
                    }
                    digit = next;
                }
                if digits % 2 == 1 {
                    return Err(InputError::OddDigits { digits, line, column });
                }
            }
        }
    }
    Ok(())
}

/// Whether every line begins with an offset of eight digits, as `xxd` and `hexdump -C` print it, the first with zero.
fn is_dump(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
    lines.peek().is_some_and(|line| line.starts_with("00000000: ") || line.starts_with("00000000  "))
        && lines.all(|line| {
            let offset = line.as_bytes().get(..8).is_some_and(|offset| offset.iter().all(u8::is_ascii_hexdigit));
            offset && matches!(line.as_bytes().get(8), None | Some(b':' | b' '))
        })
}

/// Where the hex stands in a line of a dump: after the offset, before the text column.
fn dump_columns(line: &str) -> std::ops::Range<usize> {
    let start = line.len().min(9);
    if line.as_bytes().get(8) == Some(&b':') {
        // xxd parts the text from the hex by two blanks
        let hex_at = start + usize::from(line.len() > start);
        return start..line[hex_at..].find("  ").map_or(line.len(), |end| hex_at + end);
    }
    start..line.find('|').unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: [u8; 7] = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];

    #[test]
    fn hex_is_read_in_its_usual_forms() {
        for text in [
            "81 05 48 65 6c 6c 6f",
            "81054865 6C6C6F\n",
            "0x81, 0x05, 0x48,\n0x65, 0X6c, 0x6c, 0x6f",
            "81:05:48:65:6c:6c:6f",
            "0x810548656c6c6f",
            "\\x81\\x05Hel".replace("Hel", "\\x48\\x65\\x6c\\x6c\\x6f").as_str(),
            "00000000: 8105 4865 6c6c 6f                        ..Hello",
            "00000000  81 05 48 65 6c 6c 6f                              |..Hello|\n00000007\n",
        ] {
            assert_eq!(parse_input(text), Ok(Input::Frames(HELLO.to_vec())), "{text:?}");
        }
    }

    #[test]
    fn an_error_says_what_was_found_and_where() {
        let error = |text| parse_input(text).unwrap_err().to_string();
        assert_eq!(error("81 05\n48 6g"), "found a single hex digit at line 2, column 4; expected two for each byte");
        assert_eq!(error("81 zz"), "found 'z' at line 1, column 4; expected two hex digits for each byte");
        assert_eq!(error("é"), "found 'é' at line 1, column 1; expected two hex digits for each byte");
        assert_eq!(error("81 \x1b"), "found '\\u{1b}' at line 1, column 4; expected two hex digits for each byte");
        assert_eq!(error("8105486"), "found 7 hex digits in a row at line 1, column 1; expected two for each byte");
        assert_eq!(error("0x"), "found 'x' at line 1, column 2; expected two hex digits for each byte");
        assert!(error(" \n").starts_with("nothing to explain"));
        assert!(error("").starts_with("nothing to explain"));
        assert!(!error("81 zz").contains('\n'));
    }

    #[test]
    fn a_handshake_is_told_from_hex() {
        let request = "GET /chat HTTP/1.1\r\nHost: a\r\n\r\n";
        let whole = Input::Handshake { bytes: request.as_bytes().to_vec(), line_breaks_changed: false };
        assert_eq!(parse_input(request), Ok(whole.clone()));
        assert_eq!(parse_input(&hex::encode(request)), Ok(whole));
        let pasted = Input::Handshake { bytes: request.as_bytes().to_vec(), line_breaks_changed: true };
        assert_eq!(parse_input("GET /chat HTTP/1.1\nHost: a\n"), Ok(pasted));
        assert!(matches!(parse_input("HTTP/1.1 101 Switching Protocols"), Ok(Input::Handshake { .. })));
        assert!(matches!(parse_input("BAD FACE"), Ok(Input::Frames(_)) | Err(InputError::OddDigits { .. })));
    }
}
