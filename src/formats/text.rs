//! A line for each thing that happened, for people to read.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::tz::TimeZone;

use super::sanitize::{printable, printable_ascii, printable_bytes};
use crate::capture::filter::head_of;
use crate::capture::{Capture, Connection, Did, Exchange, FrameEntry, Item, MessageReader, Origin, Timestamp};
use crate::lint::Finding;
use crate::wire::{CloseBody, Opcode, Rsv, Side};

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most payload bytes of a frame that are shown.
    pub payload_limit: u64,
    /// Whether parts are told apart by colour too.
    pub color: bool,
    /// Whether only ASCII is written.
    pub ascii: bool,
}

/// Writes what happened in a capture.
#[derive(Debug)]
pub struct TextLines {
    options: Options,
    zone: TimeZone,
    messages: MessageReader,
}

impl TextLines {
    /// Writes with these options, times in the system's time zone.
    pub fn new(options: Options) -> Self {
        Self { options, zone: TimeZone::system(), messages: MessageReader::default() }
    }

    /// Writes `item`, which happened in `capture`.
    pub fn write(&mut self, out: &mut impl Write, capture: &Capture, item: &Item) -> io::Result<()> {
        let line = match item {
            Item::Opened(connection) => self.opened(connection),
            Item::Refused(connection) => self.refused(connection),
            Item::Frame(n, entry, findings) => self.frame(capture, *n, entry, findings)?,
            Item::Closed(connection) => self.closed(connection),
            Item::Gone(frames) => {
                let (first, last) = (frames.start(), frames.end());
                let sentence = format!("frames {first} to {last} are gone: the recording is kept within a size");
                self.paint(Style::Bad, &sentence).into_owned()
            }
            Item::Exchanged(connection, exchange) => self.exchanged(connection, exchange),
        };
        writeln!(out, "{line}")
    }

    fn opened(&self, connection: &Connection) -> String {
        let mut line = self.start(connection.answered.unwrap_or(connection.began), None, connection);
        let client = client(connection);
        let _ = write!(line, "{} {client} asks for {}", self.paint(Style::Good, "open"), self.text(&connection.target));
        if let Some(subprotocol) = &connection.subprotocol {
            let _ = write!(line, ", subprotocol {}", self.text(subprotocol));
        }
        if let Some(extensions) = &connection.extensions {
            let _ = write!(line, ", {}", self.text(extensions));
        }
        self.add_findings(&mut line, connection.handshake_findings.iter().flatten());
        line
    }

    fn refused(&self, connection: &Connection) -> String {
        let mut line = self.start(connection.answered.unwrap_or(connection.began), None, connection);
        let status = connection.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let refused = self.paint(Style::Bad, "refused");
        let (client, refusal) = (client(connection), connection.refusal());
        let _ = write!(line, "{refused} {client}: {status}. {}", self.text(&refusal));
        self.add_findings(&mut line, connection.handshake_findings.iter().flatten());
        line
    }

    fn closed(&self, connection: &Connection) -> String {
        let mut line = self.start(connection.ended.unwrap_or(connection.began), None, connection);
        let sentence = connection.ending().unwrap_or_default();
        let _ = write!(line, "{} {}", self.paint(Style::Faint, "closed"), self.text(&sentence));
        for reaction in connection.reactions().filter(|reaction| reaction.did != Did::Failed) {
            let _ = write!(line, " {}", self.paint(Style::Bad, &reaction.sentence));
        }
        line
    }

    fn exchanged(&self, connection: &Connection, exchange: &Exchange) -> String {
        let mut line = self.start(exchange.ended, None, connection);
        let request = format!("{} {}", exchange.method, exchange.target);
        let _ = write!(line, "{} {}: {}", self.paint(Style::Faint, "http"), self.text(&request), outcome(exchange));
        if let Some(unclear) = exchange.unclear {
            let sentence = format!("What follows is not looked into: {}.", unclear.says());
            let _ = write!(line, "  {}", self.paint(Style::Bad, &sentence));
        }
        line
    }

    fn frame(&mut self, capture: &Capture, n: u64, entry: &FrameEntry, findings: &[Finding]) -> io::Result<String> {
        let header = entry.header();
        let mut line = self.start_frame(n, entry);
        let kind = match header.opcode {
            opcode if opcode.is_reserved() => format!("opcode {}", opcode.value()),
            opcode => opcode.name().to_owned(),
        };
        let _ = write!(line, "{} ", self.paint(style_of(header.opcode), &format!("{kind:<12}")));
        let fin = match header.fin {
            // what an archive does not say
            _ if entry.is_archived() => "?  ",
            true => "fin",
            false => "   ",
        };
        let rsv = if entry.is_archived() { "???".to_owned() } else { self.rsv(header.rsv) };
        let none = if entry.is_archived() { '?' } else { self.none() };
        let key = header.masking_key.map_or_else(|| format!("{none:8}"), |key| key.to_string());
        let _ = write!(line, "{fin} {rsv} {:>6}  {key}  ", header.length);
        let shown = header.length.min(self.options.payload_limit);
        let payload = capture.payload(entry, 0..shown)?;
        let content = if entry.is_compressed() {
            self.compressed(capture, n, entry)
        } else {
            self.payload(header.opcode, &payload)
        };
        line.push_str(&content);
        if entry.position().is_none() {
            line.push_str(&self.paint(Style::Bad, "[not recorded]"));
        } else if !entry.is_complete() {
            let came = payload.len() as u64;
            let _ =
                write!(line, " {}", self.paint(Style::Bad, &format!("incomplete: {came} of {} bytes", header.length)));
        } else if shown < header.length && !entry.is_compressed() {
            line.push_str(if self.options.ascii { " ..." } else { " …" });
        }
        match entry.origin() {
            Origin::User => line.push_str("  [sent by the user]"),
            Origin::Endpoint | Origin::Peer => {}
        }
        self.add_findings(&mut line, findings.iter());
        Ok(line)
    }

    /// A frame of a compressed message; with the last one, the message.
    fn compressed(&mut self, capture: &Capture, n: u64, entry: &FrameEntry) -> String {
        let header = entry.header();
        if !header.fin || !entry.is_complete() {
            return "deflated".to_owned();
        }
        let first = if header.opcode == Opcode::CONTINUATION { head_of(capture, n) } else { n };
        let opcode = capture.index().frame(first).map_or(header.opcode, |first| first.header().opcode);
        let most = usize::try_from(self.options.payload_limit).unwrap_or(usize::MAX);
        let Some((message, bytes)) = self.messages.beginning(capture, first, most) else {
            return "deflated".to_owned();
        };
        if let Err(why) = message.outcome {
            return format!("deflated, {}", self.paint(Style::Bad, &format!("not inflated: {why}")));
        }
        let cut = (bytes.len() as u64) < message.length;
        let more = match (cut, self.options.ascii) {
            (false, _) => "",
            (true, true) => " ...",
            (true, false) => " …",
        };
        let length = message.length;
        let unit = if length == 1 { "byte" } else { "bytes" };
        format!("deflated, {length} {unit} inflated  {}{more}", self.payload(opcode, &bytes))
    }

    fn start(&self, time: Timestamp, n: Option<u64>, connection: &Connection) -> String {
        let n = n.map_or_else(String::new, |n| n.to_string());
        format!("{} {n:>6} {:>4}  ", self.paint(Style::Faint, &clock(time, &self.zone)), connection.id)
    }

    fn start_frame(&self, n: u64, entry: &FrameEntry) -> String {
        let time = self.paint(Style::Faint, &clock(entry.time(), &self.zone)).into_owned();
        let arrow = match (entry.from(), self.options.ascii) {
            (Side::Client, false) => "──▶",
            (Side::Server, false) => "◀──",
            (Side::Client, true) => "-->",
            (Side::Server, true) => "<--",
        };
        let style = if entry.from() == Side::Client { Style::Client } else { Style::Server };
        format!("{time} {n:>6} {:>4}  {}  ", entry.connection(), self.paint(style, arrow))
    }

    fn rsv(&self, rsv: Rsv) -> String {
        [(rsv.rsv1(), '1'), (rsv.rsv2(), '2'), (rsv.rsv3(), '3')]
            .into_iter()
            .map(|(set, digit)| if set { digit } else { self.none() })
            .collect()
    }

    fn payload(&self, opcode: Opcode, payload: &[u8]) -> String {
        match opcode {
            Opcode::CLOSE => match CloseBody::parse(payload) {
                CloseBody::Empty => String::new(),
                CloseBody::OneByte(byte) => format!("{byte:02x}"),
                CloseBody::Code(code, []) => code.to_string(),
                CloseBody::Code(code, reason) => format!("{code} \"{}\"", self.bytes(reason)),
            },
            Opcode::BINARY => hex::encode(payload),
            _ if payload.is_empty() => String::new(),
            Opcode::TEXT => format!("\"{}\"", self.bytes(payload)),
            // what a continuation goes on with, and what a ping holds, is mostly text
            _ => match std::str::from_utf8(payload) {
                Ok(text) => format!("\"{}\"", self.text(text)),
                Err(_) => hex::encode(payload),
            },
        }
    }

    fn add_findings<'a>(&self, line: &mut String, findings: impl Iterator<Item = &'a Finding>) {
        for finding in findings {
            let rule = finding.rule;
            let _ = write!(line, "  {}", self.paint(Style::Bad, &format!("! {} ({})", rule.id(), rule.section())));
        }
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.options.ascii { printable_ascii(text) } else { printable(text) }
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let text = printable_bytes(bytes);
        if self.options.ascii { printable_ascii(&text).into_owned() } else { text }
    }

    fn none(&self) -> char {
        if self.options.ascii { '.' } else { '·' }
    }

    fn paint<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        if self.options.color { format!("\x1b[{}m{text}\x1b[0m", style.code()).into() } else { text.into() }
    }
}

/// Who asks.
fn client(connection: &Connection) -> String {
    connection.known_client().map_or_else(|| "somebody".to_owned(), |client| client.to_string())
}

/// What came of a request: `200, 1234 bytes`.
pub fn outcome(exchange: &Exchange) -> String {
    let Some(status) = exchange.status else { return "no answer".to_owned() };
    let length = exchange.body[Side::Server as usize];
    let bytes = if length == 1 { "byte" } else { "bytes" };
    let cut = if exchange.complete { "" } else { ", cut short" };
    format!("{status}, {length} {bytes}{cut}")
}

#[derive(Clone, Copy)]
enum Style {
    Faint,
    Good,
    Bad,
    Client,
    Server,
    Data,
    Control,
    Close,
}

impl Style {
    /// Colours of the terminal's own palette, which fit its background.
    const fn code(self) -> &'static str {
        match self {
            Self::Faint => "2",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Client => "36",
            Self::Server => "35",
            Self::Data => "1",
            Self::Control => "34",
            Self::Close => "31",
        }
    }
}

const fn style_of(opcode: Opcode) -> Style {
    match opcode {
        Opcode::CLOSE => Style::Close,
        opcode if opcode.is_control() => Style::Control,
        _ => Style::Data,
    }
}

/// `12:00:01.203` in the time zone.
pub fn clock(time: Timestamp, zone: &TimeZone) -> String {
    let Ok(timestamp) = jiff::Timestamp::from_nanosecond(time.0.into()) else { return "-".to_owned() };
    let local = zone.to_datetime(timestamp);
    let millisecond = local.subsec_nanosecond() / 1_000_000;
    format!("{:02}:{:02}:{:02}.{millisecond:03}", local.hour(), local.minute(), local.second())
}
