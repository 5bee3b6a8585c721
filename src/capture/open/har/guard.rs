//! The bounds of what is read of JSON: whatever a file holds, memory is not.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much is believed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of a string that is kept, as they stand in the file.
    pub(super) string: u64,
    /// Objects and arrays within each other.
    pub(super) depth: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { string: 96 << 20, depth: 100 }
    }
}

/// Hands on JSON as long as it keeps to the bounds. What JSON it is does not matter here: only where strings and nested
/// values begin and end.
pub(super) struct Guard<'a, R> {
    input: R,
    bounds: Bounds,
    /// Strings are passed over, and may be as long as they like.
    passing: Rc<Cell<bool>>,
    stop: &'a AtomicBool,
    /// Bytes before those that are read next.
    at: u64,
    depth: u32,
    /// Bytes of the string at hand.
    string: Option<u64>,
    escaped: bool,
    broken: Option<String>,
}

impl<'a, R: Read> Guard<'a, R> {
    /// Reads from `input`, unless `stop` is set.
    pub(super) fn new(input: R, bounds: Bounds, passing: Rc<Cell<bool>>, stop: &'a AtomicBool) -> Self {
        Self { input, bounds, passing, stop, at: 0, depth: 0, string: None, escaped: false, broken: None }
    }

    /// Looks at the next bytes; how many of them keep to the bounds.
    fn check(&mut self, bytes: &[u8]) -> usize {
        for (i, &byte) in bytes.iter().enumerate() {
            if let Some(length) = &mut self.string {
                *length += 1;
                if *length > self.bounds.string && !self.passing.get() {
                    let most = self.bounds.string;
                    return self.refuse(i, &format!("a string of more than {most} bytes begins there"), most);
                }
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.string = None,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.string = Some(0),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > self.bounds.depth {
                let most = self.bounds.depth;
                return self.refuse(i, &format!("more than {most} values stand within each other there"), 0);
            }
        }
        bytes.len()
    }

    fn refuse(&mut self, i: usize, why: &str, back: u64) -> usize {
        let at = (self.at + i as u64).saturating_sub(back);
        self.broken = Some(format!("the HAR is read up to byte {at}: {why}"));
        i
    }
}

impl<R: Read> Read for Guard<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Some(broken) = &self.broken {
            return Err(io::Error::new(ErrorKind::InvalidData, broken.clone()));
        }
        if self.stop.load(Ordering::Acquire) {
            return Ok(0);
        }
        let got = match self.input.read(bytes) {
            // a compressed file that is cut short
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            got => got?,
        };
        let good = self.check(&bytes[..got]);
        self.at += good as u64;
        if good == 0 && got > 0 { self.read(bytes) } else { Ok(good) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes through, and why no more does.
    fn read(json: &str, passing: bool) -> (String, Option<String>) {
        let stop = AtomicBool::new(false);
        let bounds = Bounds { string: 5, depth: 2 };
        let mut guard = Guard::new(json.as_bytes(), bounds, Rc::new(Cell::new(passing)), &stop);
        let mut out = Vec::new();
        let error = guard.read_to_end(&mut out).err().map(|error| error.to_string());
        (String::from_utf8(out).unwrap(), error)
    }

    #[test]
    fn what_keeps_to_the_bounds_comes_through() {
        for json in [r#"{"12345":[]}"#, r#""\"\"" [[]] {"{[{[":1}"#, "[[]][[]][[]]", ""] {
            let (through, error) = read(json, false);
            // the quotation mark that ends a string counts, too
            assert!(error.is_none() && through == json || json.contains("12345"), "{json} {error:?}");
        }
    }

    #[test]
    fn a_string_and_a_nesting_beyond_the_bounds_are_named_with_their_place() {
        let (through, error) = read(r#"[ "abcdefg" ]"#, false);
        assert_eq!(through, r#"[ "abcde"#);
        assert_eq!(error.unwrap(), "the HAR is read up to byte 3: a string of more than 5 bytes begins there");
        let (through, error) = read("[1,[2,[3", false);
        assert_eq!(through, "[1,[2,");
        assert!(error.unwrap().contains("byte 6: more than 2 values stand within each other"));
    }

    #[test]
    fn a_string_that_nobody_keeps_may_be_long() {
        assert_eq!(read(r#"["abcdefgh\"ijkl"]"#, true), (r#"["abcdefgh\"ijkl"]"#.to_owned(), None));
    }
}
