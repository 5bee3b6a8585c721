//! Messages as they are: what a server says, for whoever reads our output.

use std::collections::HashSet;
use std::io::{self, Write};

use super::messages::{Assembled, Assembler};
use super::sanitize::{printable, printable_bytes};
use crate::capture::{Capture, ConnectionId, FrameEntry, Gone, Item, MessageReader};
use crate::lint::Finding;
use crate::wire::{Opcode, Side};

/// How messages are written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most bytes of a message that are written.
    pub payload_limit: u64,
    /// Binary messages are written as they came; otherwise in hex, a line each.
    pub binary: bool,
    /// Whatever a server broke, its messages are written; otherwise none from the one on for which the connection is failed.
    pub tolerant: bool,
    /// A terminal reads: what it might obey is written as an escape.
    pub terminal: bool,
}

/// Writes the messages of the servers of a capture: a text is a line.
#[derive(Debug)]
pub struct PlainMessages {
    options: Options,
    assembler: Assembler,
    messages: MessageReader,
    /// Connections that are failed.
    failed: HashSet<ConnectionId>,
}

impl PlainMessages {
    /// Writes with these options.
    pub fn new(options: Options) -> Self {
        Self { options, assembler: Assembler::default(), messages: MessageReader::keeping(1), failed: HashSet::new() }
    }

    /// Writes the message that `item` completes, if it does; what could not be written, in a sentence.
    pub fn write(&mut self, out: &mut impl Write, capture: &Capture, item: &Item) -> io::Result<Option<String>> {
        match item {
            Item::Frame(n, entry, findings) => {
                let is_enforced = |finding: &Finding| finding.rule.close_code().is_some();
                if entry.from() == Side::Server && !self.options.tolerant && findings.iter().any(is_enforced) {
                    self.failed.insert(entry.connection());
                }
                self.frame(out, capture, *n, entry, true)
            }
            Item::Gone(frames) => {
                let (first, last) = (frames.start(), frames.end());
                Ok(Some(format!("frames {first} to {last} are gone unprinted: the recording is kept within a size")))
            }
            Item::Closed(connection) => {
                self.assembler.forget(connection.id);
                self.failed.remove(&connection.id);
                Ok(None)
            }
            Item::Opened(_) | Item::Refused(_) | Item::Exchanged(..) => Ok(None),
        }
    }

    /// Leaves out a frame that a filter does not let through. The message that it ends is written if any other of its
    /// frames was let through.
    pub fn skip(
        &mut self,
        out: &mut impl Write,
        capture: &Capture,
        n: u64,
        entry: &FrameEntry,
    ) -> io::Result<Option<String>> {
        self.frame(out, capture, n, entry, false)
    }

    fn frame(
        &mut self,
        out: &mut impl Write,
        capture: &Capture,
        n: u64,
        entry: &FrameEntry,
        shown: bool,
    ) -> io::Result<Option<String>> {
        if entry.from() != Side::Server || self.failed.contains(&entry.connection()) {
            return Ok(None);
        }
        match self.assembler.frame(n, entry, shown).1 {
            Some(message) if message.shown && !message.opcode.is_reserved() => self.message(out, capture, &message),
            _ => Ok(None),
        }
    }

    fn message(&mut self, out: &mut impl Write, capture: &Capture, message: &Assembled) -> io::Result<Option<String>> {
        let Options { payload_limit, binary, terminal, .. } = self.options;
        let missing = |why: &str| {
            let (connection, first) = (message.connection, message.first);
            Ok(Some(format!("a message of connection {connection}, from frame {first} on, is not printed: {why}")))
        };
        let most = usize::try_from(payload_limit).unwrap_or(usize::MAX);
        let payload = if message.compressed {
            match self.messages.beginning(capture, message.first, most) {
                Some((inflated, bytes)) => match inflated.outcome {
                    Ok(()) => bytes,
                    Err(why) => return missing(&why.to_string()),
                },
                None => return missing("it can't be inflated"),
            }
        } else {
            let payload = match message.payload(capture, payload_limit) {
                Err(error) if Gone::is(&error) => return missing("the recording is kept within a size"),
                payload => payload?,
            };
            if (payload.len() as u64) < message.length.min(payload_limit) {
                return missing("not all of it was recorded");
            }
            payload
        };
        match message.opcode {
            Opcode::TEXT if terminal => writeln!(out, "{}", printable_lines(&payload))?,
            Opcode::TEXT => {
                out.write_all(&payload)?;
                out.write_all(b"\n")?;
            }
            _ if binary && !terminal => out.write_all(&payload)?,
            _ => writeln!(out, "{}", hex::encode(&payload))?,
        }
        Ok(None)
    }
}

/// A text of several lines keeps them on a terminal.
fn printable_lines(payload: &[u8]) -> String {
    let lines: Vec<String> = payload
        .split(|&byte| byte == b'\n')
        .map(|line| match std::str::from_utf8(line) {
            Ok(line) => line.split('\t').map(printable).collect::<Vec<_>>().join("\t"),
            Err(_) => printable_bytes(line),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_terminal_lines_and_tabs_stay_and_nothing_else_that_it_obeys() {
        assert_eq!(printable_lines(b"a\tb\n\xc3\xa9\n"), "a\tb\n\u{e9}\n");
        assert_eq!(printable_lines(b"\x1b[31mred\x07\r\xff"), "\\x1b[31mred\\x07\\r\\xff");
    }
}
