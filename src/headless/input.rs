//! Standard input as messages: each line is one, or all of it together.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::os::fd::AsFd as _;
use std::thread;

use tokio::sync::mpsc;

use crate::control::Messages;
use crate::wire::{Message, Opcode};

/// What becomes of standard input.
#[derive(Clone, Copy, Debug)]
pub struct InputOptions {
    /// Messages are binary, not text.
    pub binary: bool,
    /// All of it is one message, not each line one without its line break.
    pub one_message: bool,
    /// The longest message, in bytes.
    pub max_message: u64,
}

/// Bytes that are read at once.
const READ: usize = 64 * 1024;

/// Reads standard input on a thread of its own, no faster than the messages are taken.
pub fn read_standard_input(options: InputOptions) -> io::Result<Messages> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (sender, messages) = mpsc::channel(1);
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        let mut cutter = Cutter::new(options);
        if let Err(sentence) = cutter.read(stdin, |cut| sender.blocking_send(Ok(cut)).is_ok()) {
            // without a receiver the program is on its way out
            let _ = sender.blocking_send(Err(sentence));
        }
    })?;
    Ok(messages)
}

/// Cuts bytes into messages.
struct Cutter {
    options: InputOptions,
    /// The message that is not whole yet.
    rest: Vec<u8>,
    /// How many came before it.
    cut: u64,
}

impl Cutter {
    const fn new(options: InputOptions) -> Self {
        Self { options, rest: Vec::new(), cut: 0 }
    }

    /// Reads to the end, and hands over what is whole as long as `send` takes it.
    fn read(&mut self, mut from: impl Read, mut send: impl FnMut(Vec<Message>) -> bool) -> Result<(), String> {
        let mut buffer = vec![0; READ];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("standard input can't be read: {error}")),
            };
            let mut messages = Vec::new();
            let outcome = if read == 0 { self.end(&mut messages) } else { self.push(&buffer[..read], &mut messages) };
            // what came before a fault is sent all the same
            let taken = messages.is_empty() || send(messages);
            if outcome.is_err() || read == 0 || !taken {
                return outcome;
            }
        }
    }

    fn push(&mut self, mut bytes: &[u8], messages: &mut Vec<Message>) -> Result<(), String> {
        while let Some(end) = memchr::memchr(b'\n', bytes).filter(|_| !self.options.one_message) {
            self.extend(&bytes[..end])?;
            messages.push(self.whole()?);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes)
    }

    fn end(&mut self, messages: &mut Vec<Message>) -> Result<(), String> {
        if self.options.one_message || !self.rest.is_empty() {
            messages.push(self.whole()?);
        }
        Ok(())
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), String> {
        let most = self.options.max_message;
        if (self.rest.len() + bytes.len()) as u64 > most {
            return Err(format!("{} is longer than {most} bytes, the most that --max-message allows", self.what()));
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn whole(&mut self) -> Result<Message, String> {
        if !self.options.binary && simdutf8::basic::from_utf8(&self.rest).is_err() {
            let what = self.what();
            return Err(format!("{what} is not UTF-8, as a text message has to be; --binary sends any bytes"));
        }
        self.cut += 1;
        let opcode = if self.options.binary { Opcode::BINARY } else { Opcode::TEXT };
        Ok(Message { opcode, payload: mem::take(&mut self.rest), fragments: 1 })
    }

    /// What the message at hand is called.
    fn what(&self) -> String {
        if self.options.one_message {
            "standard input".to_owned()
        } else {
            format!("line {} of standard input", self.cut + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: InputOptions = InputOptions { binary: false, one_message: false, max_message: 10 };

    /// What comes of `input`, read in pieces of `size`.
    fn cut(options: InputOptions, input: &[u8], size: usize) -> (Vec<Message>, Result<(), String>) {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let size = self.1.min(buffer.len());
                self.0.read(&mut buffer[..size])
            }
        }
        let mut messages = Vec::new();
        let outcome = Cutter::new(options).read(Pieces(input, size), |cut| {
            messages.extend(cut);
            true
        });
        (messages, outcome)
    }

    fn payloads(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| std::str::from_utf8(&message.payload).unwrap()).collect()
    }

    #[test]
    fn each_line_is_a_message_however_it_is_read() {
        let input = "a\n\nb c\r\n\u{e9}\nlast";
        for size in 1..=input.len() {
            let (messages, outcome) = cut(LINES, input.as_bytes(), size);
            assert_eq!(payloads(&messages), ["a", "", "b c\r", "\u{e9}", "last"]);
            assert!(messages.iter().all(|message| message.opcode == Opcode::TEXT));
            assert_eq!(outcome, Ok(()));
        }
        assert_eq!(cut(LINES, b"", 1), (vec![], Ok(())), "no line is no message");
        assert_eq!(payloads(&cut(LINES, b"\n", 1).0), [""]);
    }

    #[test]
    fn all_of_it_can_be_one_message() {
        let whole = InputOptions { one_message: true, ..LINES };
        for input in ["", "a\nb\n", "\n\n"] {
            assert_eq!(payloads(&cut(whole, input.as_bytes(), 2).0), [input]);
        }
        let (messages, outcome) = cut(whole, b"0123456789\n", 4);
        assert_eq!(messages, []);
        assert!(outcome.unwrap_err().starts_with("standard input is longer than 10 bytes"));
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_ends_it_after_those_before() {
        for (input, says) in [
            (
                &b"a\nb\n0123456789a"[..],
                "line 3 of standard input is longer than 10 bytes, the most that --max-message",
            ),
            (b"a\nb\n0123456789a\nc\n", "line 3 of standard input is longer than 10 bytes"),
            (b"a\nb\n\xff\nc\n", "line 3 of standard input is not UTF-8"),
            (b"a\nb\n\xc3", "line 3 of standard input is not UTF-8"),
        ] {
            for size in [1, 3, 100] {
                let (messages, outcome) = cut(LINES, input, size);
                assert_eq!(payloads(&messages), ["a", "b"]);
                assert!(outcome.unwrap_err().starts_with(says));
            }
        }
        let binary = InputOptions { binary: true, ..LINES };
        let (messages, outcome) = cut(binary, b"\xff\n0123456789\n", 5);
        assert_eq!(outcome, Ok(()), "what just fits");
        assert_eq!((messages[0].opcode, messages[0].payload.as_slice()), (Opcode::BINARY, &b"\xff"[..]));
    }

    #[test]
    fn nothing_more_is_read_once_nobody_takes_it() {
        let mut reads = 0;
        let mut endless = io::repeat(b'\n');
        let outcome = Cutter::new(LINES).read(&mut endless, |_| {
            reads += 1;
            reads < 3
        });
        assert_eq!((outcome, reads), (Ok(()), 3));
    }
}
