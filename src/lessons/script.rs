//! What happens on a lesson's connection: who says what, in which frames, and how the bytes arrive.

use std::time::Duration;

use crate::compose::{Composed, ComposedFrame};
use crate::wire::{CloseBody, CloseCode, Header, MaskingKey, Opcode, Rsv, Side, encode_frame};

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A side sends something.
    Send(Send),
    /// A side ends its half of the TCP connection.
    End(Side),
    /// The client connects anew.
    Connect,
    /// Nothing, for a while.
    Pause(Duration),
}

/// What a side sends in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Who.
    pub(super) from: Side,
    /// What, one after the other.
    pub(super) parts: Vec<Part>,
    /// How many bytes each read takes; the rest comes in one more.
    pub(super) reads: Vec<usize>,
    /// The time between two reads.
    pub(super) every: Duration,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A frame; a client's frame that names no key is masked with the next one of the lesson.
    Frame { frame: ComposedFrame, key: Key },
    /// A text message that is compressed as agreed on.
    Deflated { text: Vec<u8>, key: Key },
    /// Bytes as they are.
    Bytes(Vec<u8>),
}

/// How a frame is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// As its sender has to: the client with a fresh key, the server not at all.
    Usual,
    /// With this one.
    Given(MaskingKey),
    /// Not at all.
    None,
}

/// The longest pause.
const MOST_PAUSE: Duration = Duration::from_secs(10);

impl Part {
    /// Its bytes, where nothing has to be compressed.
    pub(super) fn encode(frame: &ComposedFrame, key: Option<MaskingKey>, out: &mut Vec<u8>) {
        encode_frame(&Header { masking_key: key, ..frame.header }, &frame.payload, out);
    }
}

/// Understands `text "Hello" key 37fa213d + ping "a" in 1 2 every 300ms`, which `from` sends.
pub(super) fn send(from: Side, line: &str) -> Result<Statement, String> {
    let words = words(line)?;
    if let [Word::Plain(word)] = &words[..]
        && word == "end"
    {
        return Ok(Statement::End(from));
    }
    let mut words = Words { words, at: 0 };
    let mut send = Send { from, parts: Vec::new(), reads: Vec::new(), every: Duration::ZERO };
    loop {
        send.parts.push(part(&mut words)?);
        match words.next_plain().as_deref() {
            Some("+") => {}
            Some(word @ ("in" | "every")) => {
                let mut word = word.to_owned();
                loop {
                    if word == "in" {
                        while let Some(size) = words.number()? {
                            send.reads.push(size.max(1));
                        }
                        if send.reads.is_empty() {
                            return Err("expected the bytes of each read after in, such as in 2 3".to_owned());
                        }
                    } else {
                        let text = words.next_plain().unwrap_or_default();
                        send.every = duration(&text)?;
                    }
                    match words.next_plain() {
                        None => break,
                        Some(next) if next == "in" || next == "every" => word = next,
                        Some(other) => return Err(unexpected(&other)),
                    }
                }
                break;
            }
            Some(other) => return Err(unexpected(other)),
            None if words.at < words.words.len() => return Err("a payload stands where none is expected".to_owned()),
            None => break,
        }
    }
    let payload: usize = send.parts.iter().map(Part::payload).sum();
    if payload > Composed::MAX_PAYLOAD {
        return Err(format!("{payload} bytes of payload are too many; {} is the most", Composed::MAX_PAYLOAD));
    }
    Ok(Statement::Send(send))
}

/// `500ms` or `2s`, up to ten seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.parse().map(Duration::from_millis).ok(),
        (None, Some(number)) => number.parse().map(Duration::from_secs).ok(),
        (None, None) => None,
    };
    parsed
        .filter(|time| *time <= MOST_PAUSE)
        .ok_or_else(|| format!("expected a time such as 300ms or 2s, at most 10s, not \"{text}\""))
}

impl Part {
    fn payload(&self) -> usize {
        match self {
            Self::Frame { frame, .. } => frame.payload.len(),
            Self::Deflated { text, .. } => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

fn part(words: &mut Words) -> Result<Part, String> {
    let what = words.next_plain().ok_or("expected what is sent, such as text \"Hello\"")?;
    if what == "bytes" {
        return Ok(Part::Bytes(words.hex()?.ok_or("expected bytes in hex after bytes, such as 81 05")?));
    }
    let opcode = match what.as_str() {
        "text" => Opcode::TEXT,
        "binary" => Opcode::BINARY,
        "continuation" => Opcode::CONTINUATION,
        "close" => Opcode::CLOSE,
        "ping" => Opcode::PING,
        "pong" => Opcode::PONG,
        other => {
            return Err(format!(
                "expected text, binary, continuation, close, ping, pong, bytes or end, not \"{other}\""
            ));
        }
    };
    let mut payload = if opcode == Opcode::CLOSE {
        match words.number()? {
            Some(code) => {
                let code = u16::try_from(code).map_err(|_| format!("{code} is no close code; 65535 is the last"))?;
                CloseBody::encode(CloseCode(code), &String::from_utf8_lossy(&words.string().unwrap_or_default()))
            }
            None => Vec::new(),
        }
    } else {
        words.payload()?
    };
    let (mut fin, mut rsv, mut key, mut deflated) = (true, Rsv::NONE, Key::Usual, false);
    while let Some(option) = words.peek_plain() {
        match option.as_str() {
            "more" => fin = false,
            "unmasked" => key = Key::None,
            "deflated" => deflated = true,
            "rsv1" => rsv = Rsv::RSV1,
            "key" => {
                words.at += 1;
                let text = words.peek_plain().unwrap_or_default();
                let bytes = hex::decode(&text).ok().and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
                key = Key::Given(MaskingKey(bytes.ok_or("expected eight hex digits after key, such as 37fa213d")?));
            }
            "times" => {
                words.at += 1;
                let times =
                    words.number()?.filter(|times| times.saturating_mul(payload.len()) <= Composed::MAX_PAYLOAD);
                payload = payload.repeat(times.ok_or("expected how many times after times, up to a MiB in all")?);
                continue;
            }
            _ => break,
        }
        words.at += 1;
    }
    if deflated {
        if opcode != Opcode::TEXT || !fin {
            return Err("only a text in one frame can be deflated".to_owned());
        }
        return Ok(Part::Deflated { text: payload, key });
    }
    let header = Header { rsv, ..Header::new(opcode, None, payload.len() as u64).with_fin(fin) };
    Ok(Part::Frame { frame: ComposedFrame { header, payload }, key })
}

fn unexpected(word: &str) -> String {
    format!("expected + and more, in, every, or the end of the line, not \"{word}\"")
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Plain(String),
    Quoted(String),
}

struct Words {
    words: Vec<Word>,
    at: usize,
}

impl Words {
    fn peek_plain(&self) -> Option<String> {
        match self.words.get(self.at)? {
            Word::Plain(word) => Some(word.clone()),
            Word::Quoted(_) => None,
        }
    }

    fn next_plain(&mut self) -> Option<String> {
        let word = self.peek_plain();
        self.at += usize::from(word.is_some());
        word
    }

    fn number(&mut self) -> Result<Option<usize>, String> {
        let Some(word) = self.peek_plain().filter(|word| word.starts_with(|c: char| c.is_ascii_digit())) else {
            return Ok(None);
        };
        self.at += 1;
        word.parse().map(Some).map_err(|_| format!("expected a number, not \"{word}\""))
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let Some(Word::Quoted(text)) = self.words.get(self.at) else { return None };
        let bytes = text.as_bytes().to_vec();
        self.at += 1;
        Some(bytes)
    }

    /// Words of hex digits, as far as they go.
    fn hex(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = Vec::new();
        while let Some(word) = self.peek_plain().filter(|word| word.chars().all(|c| c.is_ascii_hexdigit())) {
            bytes.extend(hex::decode(&word).map_err(|_| format!("expected pairs of hex digits, not \"{word}\""))?);
            self.at += 1;
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// A text in quotation marks, or hex after the word hex; nothing is an empty payload.
    fn payload(&mut self) -> Result<Vec<u8>, String> {
        if self.peek_plain().as_deref() == Some("hex") {
            self.at += 1;
            return self.hex()?.ok_or_else(|| "expected hex digits after hex, such as c3 28".to_owned());
        }
        Ok(self.string().unwrap_or_default())
    }
}

fn words(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"').ok_or("expected a closing quotation mark")?;
            words.push(Word::Quoted(text.to_owned()));
            rest = after.trim_start();
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
            words.push(Word::Plain(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> Send {
        match send(Side::Client, line) {
            Ok(Statement::Send(send)) => send,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_line_says_frames_their_keys_and_how_they_arrive() {
        let send = parts("text \"Hel lo\" more key 37fa213d + ping + close 1000 \"bye\" unmasked in 2 3 every 300ms");
        let [
            Part::Frame { frame: text, key: Key::Given(MaskingKey([0x37, 0xfa, 0x21, 0x3d])) },
            Part::Frame { frame: ping, key: Key::Usual },
            Part::Frame { frame: close, key: Key::None },
        ] = &send.parts[..]
        else {
            panic!("{send:?}")
        };
        assert_eq!((text.header.fin, &text.payload[..]), (false, &b"Hel lo"[..]));
        assert_eq!((ping.header.opcode, ping.payload.len()), (Opcode::PING, 0));
        assert_eq!(close.payload, b"\x03\xe8bye");
        assert_eq!((send.reads, send.every), (vec![2, 3], Duration::from_millis(300)));
        assert_eq!(parts("bytes 81 05").parts, [Part::Bytes(vec![0x81, 5])]);
        assert_eq!(parts("text \"x\" times 126").parts[0].payload(), 126);
        assert_eq!(parts("text hex c328").parts[0].payload(), 2);
        assert!(matches!(parts("text \"a\" deflated").parts[..], [Part::Deflated { .. }]));
        assert_eq!(send_end(), Statement::End(Side::Client));
    }

    fn send_end() -> Statement {
        send(Side::Client, "end").unwrap()
    }

    #[test]
    fn what_is_wrong_is_said_and_what_was_expected() {
        for (line, expected) in [
            ("", "expected what is sent"),
            ("shout \"a\"", "not \"shout\""),
            ("text \"a", "closing quotation mark"),
            ("text \"a\" key 12", "eight hex digits"),
            ("text \"a\" in", "the bytes of each read"),
            ("text \"a\" every 3", "a time such as"),
            ("text \"a\" every 11s", "at most 10s"),
            ("text \"a\" often", "not \"often\""),
            ("text \"a\" \"b\"", "a payload stands"),
            ("bytes xx", "bytes in hex"),
            ("bytes 8", "pairs of hex digits"),
            ("close 70000", "no close code"),
            ("ping \"a\" deflated", "only a text"),
            ("text \"x\" times 2000000", "up to a MiB"),
            ("text \"x\" times 1000000 + text \"x\" times 1000000", "too many"),
        ] {
            let why = send(Side::Client, line).unwrap_err();
            assert!(why.contains(expected), "{line}: {why}");
        }
    }
}
