//! The lists in `Sec-WebSocket-Extensions` and `Sec-WebSocket-Protocol` (RFC 6455 9.1, 11.3).

use std::fmt;

/// One extension as offered or answered: `permessage-deflate; client_max_window_bits=10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The registered name.
    pub name: String,
    /// Its parameters in the order of the header.
    pub parameters: Vec<Parameter>,
}

/// `name` or `name=value`; a quoted value is held without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The parameter's name.
    pub name: String,
    /// The value, if one was given.
    pub value: Option<String>,
}

/// A list that is not written as the grammar of RFC 6455 9.1 asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListError {
    /// Byte offset in the header's value.
    pub offset: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.offset)
    }
}

impl std::error::Error for ListError {}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for parameter in &self.parameters {
            write!(f, "; {}", parameter.name)?;
            if let Some(value) = &parameter.value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

/// Reads the value of a `Sec-WebSocket-Extensions` header:
///
/// ```text
/// extension-list  = 1#extension
/// extension       = extension-token *( ";" extension-param )
/// extension-param = token [ "=" (token | quoted-string) ]
/// ```
pub fn parse_extensions(value: &str) -> Result<Vec<Extension>, ListError> {
    let mut scanner = Scanner { text: value, at: 0 };
    let mut extensions = Vec::new();
    scanner.skip_empty_elements();
    loop {
        let name = scanner.token("an extension's name")?.to_owned();
        let mut parameters = Vec::new();
        while scanner.eat(b';') {
            let name = scanner.token("a parameter's name")?.to_owned();
            let value = if scanner.eat(b'=') { Some(scanner.value()?) } else { None };
            parameters.push(Parameter { name, value });
        }
        extensions.push(Extension { name, parameters });
        if !scanner.more("\",\" or \";\"")? {
            return Ok(extensions);
        }
    }
}

/// Reads a comma-separated list of tokens, such as the value of `Sec-WebSocket-Protocol` or `Connection`.
pub fn parse_tokens(value: &str) -> Result<Vec<&str>, ListError> {
    let mut scanner = Scanner { text: value, at: 0 };
    let mut tokens = Vec::new();
    scanner.skip_empty_elements();
    loop {
        tokens.push(scanner.token("a token")?);
        if !scanner.more("\",\"")? {
            return Ok(tokens);
        }
    }
}

/// A character that a token may hold (RFC 7230 3.2.6).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'z' | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z')
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn error<T>(&self, expected: &'static str) -> Result<T, ListError> {
        Err(ListError { offset: self.at, expected })
    }

    fn token(&mut self, expected: &'static str) -> Result<&'a str, ListError> {
        self.skip_blanks();
        let start = self.at;
        while self.peek().is_some_and(is_token_byte) {
            self.at += 1;
        }
        if start == self.at { self.error(expected) } else { Ok(&self.text[start..self.at]) }
    }

    fn value(&mut self) -> Result<String, ListError> {
        if !self.eat(b'"') {
            return self.token("a parameter's value").map(str::to_owned);
        }
        let mut value = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(mut character) = rest.chars().next() else { return self.error("a closing quote") };
            self.at += character.len_utf8();
            match character {
                '"' => return Ok(value),
                '\\' => {
                    let Some(escaped) = self.text[self.at..].chars().next() else {
                        return self.error("a character after \"\\\"");
                    };
                    self.at += escaped.len_utf8();
                    character = escaped;
                }
                _ => {}
            }
            value.push(character);
        }
    }

    /// A list may hold empty elements, the first and the last too (RFC 7230 7).
    fn skip_empty_elements(&mut self) {
        while self.eat(b',') {}
    }

    /// After an element: whether a comma announces another.
    fn more(&mut self, expected: &'static str) -> Result<bool, ListError> {
        if self.eat(b',') {
            self.skip_empty_elements();
            return Ok(self.peek().is_some());
        }
        if self.peek().is_some() { self.error(expected) } else { Ok(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offers_of_rfc_7692_7_are_read() {
        let list =
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate;x=\"a\\\"b\"";
        let extensions = parse_extensions(list).unwrap();
        assert_eq!(extensions.len(), 2);
        assert_eq!(extensions[0].to_string(), "permessage-deflate; client_max_window_bits; server_max_window_bits=10");
        assert_eq!(extensions[1].parameters[0].value.as_deref(), Some("a\"b"));
    }

    #[test]
    fn an_error_points_at_the_byte() {
        assert_eq!(parse_extensions("a;;b"), Err(ListError { offset: 2, expected: "a parameter's name" }));
        assert_eq!(parse_extensions("a b"), Err(ListError { offset: 2, expected: "\",\" or \";\"" }));
        assert_eq!(parse_extensions("a; b=\"c"), Err(ListError { offset: 7, expected: "a closing quote" }));
        assert_eq!(parse_tokens(""), Err(ListError { offset: 0, expected: "a token" }));
    }

    #[test]
    fn blanks_and_empty_elements_are_passed_over() {
        assert_eq!(parse_tokens(", ,chat,\tsuperchat , ,x,"), Ok(vec!["chat", "superchat", "x"]));
        assert_eq!(parse_extensions(",a").unwrap()[0].name, "a");
        assert_eq!(parse_tokens(" , "), Err(ListError { offset: 3, expected: "a token" }));
    }
}
