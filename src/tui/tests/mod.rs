//! The panel without a terminal: keys go in, a screen comes out.

mod anatomy;
mod compose;
mod deflate;
mod exercise;
mod filter;
mod gone;
mod keys;
mod lessons;
mod looks;
mod reading;
mod safety;
mod tls;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect, Size};
use tempfile::TempDir;

use super::course::Course;
use super::model::Model;
use super::snapshot::SnapshotReader;
use super::theme::Theme;
use super::{update, view};
use crate::capture::{
    self, Capture, ConnectionId, Event, EventKind, Recorder, RecorderThread, Recording, SocketEnd, Timestamp, Vantage,
};
use crate::control::Command;
use crate::lessons::{Library, Progress};
use crate::lint::Limits;
use crate::wire::{Header, MaskingKey, Opcode, Rsv, Side, frame};

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Traffic made by hand.
struct Traffic {
    recorder: Recorder,
    thread: RecorderThread,
    runtime: tokio::runtime::Runtime,
    capture: Arc<Capture>,
    time: u64,
    recorded: u64,
    folder: TempDir,
}

impl Traffic {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording::create(Some(&folder.path().join("capture.pcapng")), false).unwrap();
        Self::into(&recording, folder, u64::MAX)
    }

    /// Into a recording without a name that is kept within `limit` bytes.
    fn within(limit: u64) -> Self {
        let recording = Recording::create(None, false).unwrap();
        let traffic = Self::into(&recording, tempfile::tempdir().unwrap(), limit);
        // what is open is read and written on
        recording.remove_unless_kept();
        traffic
    }

    fn into(recording: &Recording, folder: TempDir, limit: u64) -> Self {
        let capture = Arc::new(Capture::new(recording.reader()));
        let writer = recording.writer("a test").unwrap().within(limit);
        let (recorder, thread) = capture::start(writer, capture.clone(), Limits::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let time = 1_700_000_000_000_000_000;
        Self { recorder, thread, runtime, capture, time, recorded: 0, folder }
    }

    fn event(&mut self, id: u32, kind: EventKind) {
        self.time += 1_000_000;
        let event = Event { connection: ConnectionId(id), time: Timestamp(self.time), kind };
        self.runtime.block_on(self.recorder.record(event));
    }

    fn open(&mut self, id: u32) {
        self.open_with(id, RESPONSE);
    }

    fn open_with(&mut self, id: u32, response: &str) {
        let client = SocketAddr::from(([127, 0, 0, 1], 50_000 + id as u16));
        self.event(
            id,
            EventKind::Opened { client, server: SocketAddr::from(([127, 0, 0, 1], 9002)), vantage: Vantage::Beside },
        );
        self.bytes(id, Side::Client, REQUEST);
        self.bytes(id, Side::Server, response.as_bytes());
    }

    fn bytes(&mut self, id: u32, from: Side, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.event(id, EventKind::Chunk { from, bytes, notes: Vec::new() });
    }

    fn frame(&mut self, id: u32, from: Side, opcode: Opcode, fin: bool, payload: &[u8]) {
        self.recorded += 1;
        let key = MaskingKey([0x37, 0xfa, (self.recorded >> 8) as u8, self.recorded as u8]);
        let key = (from == Side::Client).then_some(key);
        let header = Header::new(opcode, key, payload.len() as u64).with_fin(fin);
        self.bytes(id, from, &frame(&header, payload));
    }

    fn text(&mut self, id: u32, from: Side, text: &str) {
        self.frame(id, from, Opcode::TEXT, true, text.as_bytes());
    }

    fn close(&mut self, id: u32) {
        for from in Side::BOTH {
            self.event(id, EventKind::Ended { from, how: SocketEnd::Fin });
        }
        self.event(id, EventKind::Closed { cause: None });
    }

    /// Waits until the capture holds so many frames.
    fn wait(&self, frames: u64) {
        while self.capture.index().totals().frames < frames {
            std::thread::yield_now();
        }
    }

    /// Waits until everything is recorded.
    fn done(self) -> (Arc<Capture>, TempDir) {
        drop(self.recorder);
        self.thread.join();
        (self.capture, self.folder)
    }
}

/// A little of everything, on three connections.
fn mixed_traffic() -> Traffic {
    use Side::{Client, Server};
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.open(2);
    traffic.text(1, Client, r#"{"op":"subscribe"}"#);
    traffic.text(1, Server, r#"{"ok":true}"#);
    traffic.frame(1, Server, Opcode::TEXT, false, b"Hello, ");
    traffic.frame(1, Server, Opcode::PING, true, b"hi!!");
    traffic.frame(1, Server, Opcode::CONTINUATION, false, b"Web");
    traffic.frame(1, Server, Opcode::CONTINUATION, true, b"Socket!");
    traffic.frame(1, Client, Opcode::PONG, true, b"hi!!");
    traffic.frame(2, Client, Opcode::BINARY, true, &(0..=255).collect::<Vec<u8>>());
    traffic.bytes(2, Client, b"\x81\x05hello");
    let reserved = Header { rsv: Rsv::new(5), ..Header::new(Opcode::new(3), Some(MaskingKey([1, 2, 3, 4])), 2) };
    traffic.bytes(2, Client, &frame(&reserved, b"??"));
    traffic.frame(2, Client, Opcode::CLOSE, true, b"\x03\xe8bye");
    traffic.frame(2, Server, Opcode::CLOSE, true, b"\x03\xe8");
    traffic.close(2);
    traffic.text(1, Client, "Hello, WebSocket!");
    traffic.wait(13);
    traffic
}

/// A panel and what it looks at.
struct Tester {
    model: Model,
    reader: SnapshotReader,
    capture: Arc<Capture>,
    cursor: Option<Position>,
}

impl Tester {
    fn new(capture: Arc<Capture>, width: u16, height: u16) -> Self {
        let theme = Theme { color: true, ascii: false };
        let mut model = Model::new("serve 127.0.0.1:9002".to_owned(), None, theme, Size { width, height });
        model.zone = TimeZone::UTC;
        model.course = Course::new(Library::shipped(), (Progress::default(), None));
        let mut tester = Self { model, reader: SnapshotReader::default(), capture, cursor: None };
        tester.draw();
        tester
    }

    fn input(&mut self, input: Input) -> Option<Command> {
        let command = update::event(&mut self.model, input, &self.capture);
        self.draw();
        command
    }

    fn code(&mut self, code: KeyCode) -> Option<Command> {
        self.input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    /// Types characters, and returns the last command that came of them.
    fn keys(&mut self, keys: &str) -> Option<Command> {
        keys.chars().map(|key| self.code(KeyCode::Char(key))).fold(None, |last, command| command.or(last))
    }

    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) {
        self.input(Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    }

    fn click(&mut self, column: u16, row: u16) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row);
    }

    fn draw(&mut self) -> Buffer {
        let now = Timestamp(1_700_000_010_000_000_000);
        let snapshot = self.reader.take(&mut self.model, &self.capture, now);
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.model.size.width, self.model.size.height));
        self.cursor = view::draw(&mut self.model, &snapshot, &mut buffer);
        buffer
    }

    /// The screen as text, without the blanks at the ends of its lines.
    fn screen(&mut self) -> String {
        let buffer = self.draw();
        let rows = buffer.area.height;
        (0..rows).map(|y| line(&buffer, y).trim_end().to_owned() + "\n").collect()
    }

    /// Whether `text` is on the screen.
    fn shows(&mut self, text: &str) -> bool {
        self.screen().contains(text)
    }

    fn selected(&self) -> u64 {
        self.model.frames.selected
    }
}

/// A line of the screen; a wide character counts once.
fn line(buffer: &Buffer, y: u16) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut text = String::new();
    let mut x = 0;
    while x < buffer.area.width {
        let symbol = buffer[(x, y)].symbol();
        text.push_str(symbol);
        x += symbol.width().max(1) as u16;
    }
    text
}
