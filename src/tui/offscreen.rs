//! The panel without a terminal, for measuring how long it takes to draw.

use std::io::{self, Sink};
use std::sync::Arc;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Rect, Size};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::model::Model;
use super::run::draw;
use super::snapshot::SnapshotReader;
use super::theme::Theme;
use super::update;
use crate::capture::Capture;

/// A panel that is drawn as on a terminal, and nobody sees it.
#[derive(Debug)]
pub struct Offscreen {
    capture: Arc<Capture>,
    model: Model,
    reader: SnapshotReader,
    output: Terminal<CrosstermBackend<Sink>>,
}

impl Offscreen {
    /// The panel of `wsinspect open`, with so many columns and rows.
    pub fn new(capture: Arc<Capture>, width: u16, height: u16) -> io::Result<Self> {
        let theme = Theme { color: true, ascii: false };
        let mut model = Model::new("open capture.pcapng".to_owned(), None, theme, Size { width, height });
        model.live = false;
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let output = Terminal::with_options(CrosstermBackend::new(io::sink()), TerminalOptions { viewport })?;
        Ok(Self { capture, model, reader: SnapshotReader::default(), output })
    }

    /// Presses keys: `\r` is Enter, `\x1b` Esc, `<` and `>` page up and down, every other character itself.
    pub fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\r' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '<' => KeyCode::PageUp,
                '>' => KeyCode::PageDown,
                key => KeyCode::Char(key),
            };
            // whatever a key asks of the traffic, there is none
            let _ = update::event(&mut self.model, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)), &self.capture);
        }
    }

    /// Waits until a filter has looked at every frame.
    pub fn settle(&self) {
        let frames = self.capture.index().totals().frames;
        while self.model.listing.looked_at().is_some_and(|looked_at| looked_at < frames) {
            std::thread::yield_now();
        }
    }

    /// Draws what has changed since the last time.
    pub fn draw(&mut self) -> io::Result<()> {
        let now = self.capture.index().latest();
        draw(&mut self.output, &mut self.model, &mut self.reader, &self.capture, now).map(|_| ())
    }
}
