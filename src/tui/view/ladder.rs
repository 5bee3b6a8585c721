//! The ladder: lifelines of the client, of us where we stand in the middle, and of the server, with the frames as arrows
//! between them, the earliest at the top. A long pause is folded into one line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::frames;
use super::paint::Paint;
use super::pane::Pane;
use super::rails::Rails;
use super::row::{kind_style, preview, time};
use crate::capture::{Connection, Origin, Timestamp, Vantage};
use crate::tui::model::Model;
use crate::tui::rows::Row;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{duration, fit, grouped, left, right, size};
use crate::tui::theme::Theme;
use crate::wire::{Opcode, Side};

/// Columns that what a frame holds has about.
const ROOM: usize = 40;
/// Nanoseconds from which on a pause has a line of its own.
const PAUSE: u64 = 1_000_000_000;
/// Columns of the time since the frame before.
const SINCE: usize = 10;
/// Columns of a time of day.
const TIME: usize = 12;

/// Draws it.
pub(super) fn draw(model: &mut Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let note = frames::note(model, snapshot);
    let name = match model.listing.only() {
        Some(id) => format!("ladder of connection {id}"),
        None => "ladder of all connections".to_owned(),
    };
    let title = frames::title(&name, model, usize::from(area.width).saturating_sub(note.width() + 8));
    let inner = Pane { theme: model.theme, focused: model.hears(), title, note }.draw(area, buffer);
    model.ladder_lines.clear();
    let (first, last) = snapshot.listed;
    if last < first {
        frames::empty(model, snapshot, inner, buffer);
        return;
    }
    let ladder = Ladder::new(model, snapshot, inner.width.into());
    ladder.headings().paint(Rect { height: 1, ..inner }, buffer);
    let lines = ladder.lines();
    let height = usize::from(inner.height) - 1;
    let offset = offset(&lines, model, last, height);
    for (y, (row, line)) in (inner.y + 1..inner.bottom()).zip(lines.into_iter().skip(offset)) {
        let line_area = Rect { y, height: 1, ..inner };
        if line.style == Theme::cursor() {
            buffer.set_style(line_area, Theme::cursor());
        }
        line.paint(line_area, buffer);
        model.ladder_lines.push(row);
    }
}

/// How many lines stand above the window: pauses have lines of their own, so that not all rows of the window may fit.
fn offset(lines: &[(u64, Line<'_>)], model: &Model, last: u64, height: usize) -> usize {
    let over = lines.len().saturating_sub(height);
    let ends_at_last = lines.last().is_some_and(|(row, _)| *row == last);
    let selected = |(row, _): &(u64, Line<'_>)| *row == model.frames.selected;
    let (from, to) = (lines.iter().position(selected), lines.iter().rposition(selected));
    match (from, to) {
        (Some(from), Some(_)) if ends_at_last => over.min(from),
        (Some(_), Some(to)) => (to + 1).saturating_sub(height),
        _ if ends_at_last => over,
        _ => 0,
    }
}

/// What a drawing of it needs.
struct Ladder<'a> {
    model: &'a Model,
    snapshot: &'a Snapshot,
    rails: Rails,
    theme: Theme,
    width: usize,
    number: usize,
    /// Whether there is room for the time of day.
    has_time: bool,
}

impl<'a> Ladder<'a> {
    fn new(model: &'a Model, snapshot: &'a Snapshot, width: usize) -> Self {
        let theme = model.theme;
        let relayed = snapshot.connection.as_ref().is_some_and(|connection| connection.sent_on.is_some());
        let between = relayed || model.towards.is_some();
        let mut ladder = Self {
            model,
            snapshot,
            rails: Rails::new(0, between, theme),
            theme,
            width,
            number: grouped(snapshot.last).len().max(5),
            has_time: width >= 110,
        };
        ladder.rails = Rails::new(width.saturating_sub(ladder.gutter(Gutter::default()).width()), between, theme);
        ladder
    }

    /// All that stands before the lifelines.
    fn gutter(&self, gutter: Gutter) -> Line<'static> {
        let cut = self.theme.ellipsis();
        let mut spans = [gutter.mark, gutter.flag].map(|sign| sign.unwrap_or_else(|| Span::raw(" "))).to_vec();
        spans.push(Span::styled(right(&gutter.number, self.number, cut), Theme::quiet()));
        if self.has_time {
            spans.push(Span::raw(format!("  {}", left(&gutter.time, TIME, cut))));
        }
        spans.push(Span::raw(format!(" {}", right(&gutter.since, SINCE, cut))));
        if self.model.listing.only().is_none() {
            spans.push(Span::raw(format!(" {}", right(&gutter.connection, 4, cut))));
        }
        spans.push(Span::raw("  "));
        Line::from(spans)
    }

    fn headings(&self) -> Line<'static> {
        let headings = Gutter {
            number: "#".to_owned(),
            time: "time".to_owned(),
            since: "since".to_owned(),
            connection: "conn".to_owned(),
            ..Gutter::default()
        };
        let connection = self.snapshot.connection.as_ref();
        let [mut client, mut server] = Side::BOTH.map(|side| match connection.map(|connection| connection.vantage) {
            Some(Vantage::End(end)) if end == side => format!("wsinspect, the {side}"),
            _ => side.name().to_owned(),
        });
        if let Some(connection) = connection.filter(|_| self.model.listing.only().is_some() && self.width >= 100) {
            let to = connection.sent_on.as_ref().map_or(connection.server, |sent| sent.to);
            client = format!("{client} {}", connection.client);
            server = format!("{server} {to}");
        }
        let mut line = self.gutter(headings);
        line.spans.extend(self.rails.headings([&client, "wsinspect", &server]).spans);
        line.style(Theme::quiet())
    }

    /// The lines of the rows in view, each with its row; what is said between two rows belongs to the later one.
    fn lines(&self) -> Vec<(u64, Line<'static>)> {
        let mut lines = Vec::new();
        let (first, last) = self.snapshot.listed;
        let mut before = self.snapshot.above.as_ref().map(|row| row.entry.time());
        let top = self.model.frames.top.max(1);
        let whole = self.snapshot.connection.as_ref().filter(|_| self.model.listing.only().is_some());
        if let Some(connection) = whole.filter(|_| top == first && self.snapshot.unlisted == 0) {
            lines.extend(self.opening(connection).into_iter().map(|line| (first, line)));
            before = connection
                .answered
                .filter(|answered| self.snapshot.rows.first().is_some_and(|row| row.entry.time() >= *answered));
        }
        for (number, row) in (top..).zip(&self.snapshot.rows) {
            let now = row.entry.time();
            self.pause(before, now, number, &mut lines);
            lines.push((number, self.row(row, before, number == self.model.frames.selected)));
            before = Some(now);
        }
        if let Some(ended) = whole.and_then(|connection| connection.ended)
            && top + self.snapshot.rows.len() as u64 > last
        {
            self.pause(before, ended, last, &mut lines);
            lines.extend(whole.and_then(|connection| self.ending(connection, ended, before)).map(|line| (last, line)));
        }
        lines
    }

    fn pause(&self, before: Option<Timestamp>, now: Timestamp, row: u64, lines: &mut Vec<(u64, Line<'static>)>) {
        let since = before.map_or(0, |before| now.0.saturating_sub(before.0));
        if since >= PAUSE {
            let mut line = self.gutter(Gutter::default());
            line.spans.extend(self.rails.pause(&duration(since)).spans);
            lines.push((row, line.style(Theme::quiet())));
        }
    }

    /// The opening handshake.
    fn opening(&self, connection: &Connection) -> Vec<Line<'static>> {
        let arrow = |at: Timestamp, before: Option<Timestamp>, from: Side, text: String| {
            let gutter =
                Gutter { time: time(at, &self.model.zone, true), since: since(before, at), ..Gutter::default() };
            let mut line = self.gutter(gutter);
            let words = [vec![Span::raw(self.theme.clean(&text))], Vec::new()];
            line.spans.extend(self.rails.arrow(from, false, words, self.theme.side(from)));
            line.style(Theme::quiet())
        };
        let mut lines = Vec::new();
        if !connection.target.is_empty() {
            lines.push(arrow(connection.began, None, Side::Client, format!("GET {}", connection.target)));
        }
        if let (Some(answered), Some(status)) = (connection.answered, connection.status) {
            let text = if status == 101 { "101 Switching Protocols".to_owned() } else { status.to_string() };
            lines.push(arrow(answered, Some(connection.began), Side::Server, text));
        }
        lines
    }

    /// How the connection ended.
    fn ending(&self, connection: &Connection, ended: Timestamp, before: Option<Timestamp>) -> Option<Line<'static>> {
        let verdict = connection.verdict()?;
        let gutter =
            Gutter { time: time(ended, &self.model.zone, true), since: since(before, ended), ..Gutter::default() };
        let mut line = self.gutter(gutter);
        let room = self.width.saturating_sub(line.width());
        line.spans.push(Span::raw(fit(&self.theme.clean(&verdict.sentence), room, self.theme.ellipsis())));
        Some(line.style(Theme::quiet()))
    }

    /// A frame.
    fn row(&self, row: &Row, before: Option<Timestamp>, at_cursor: bool) -> Line<'static> {
        let theme = self.theme;
        let entry = &row.entry;
        let by_user = entry.origin() == Origin::User;
        let gutter = Gutter {
            mark: at_cursor.then(|| Span::raw(theme.sign("▸", ">"))),
            flag: match by_user {
                _ if !row.rules.is_empty() => Some(Span::styled("!", theme.alarm())),
                true => Some(Span::styled("+", Theme::strong())),
                false => None,
            },
            number: grouped(row.n),
            time: time(entry.time(), &self.model.zone, true),
            since: since(before, entry.time()),
            connection: entry.connection().to_string(),
        };
        let mut line = self.gutter(gutter);
        let by_us = entry.is_injected();
        line.spans.extend(self.rails.arrow(entry.from(), by_us, words(row, theme), theme.side(entry.from())));
        if at_cursor {
            let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
            return Line::from(Span::raw(text)).style(Theme::cursor());
        }
        let shown = self.snapshot.connection.as_ref().map(|connection| connection.id);
        if shown.is_some_and(|id| id != entry.connection()) {
            // of another connection than the selected frame
            return line.style(Theme::quiet());
        }
        line
    }
}

/// What stands before the lifelines.
#[derive(Default)]
struct Gutter {
    /// One column each, if they are there.
    mark: Option<Span<'static>>,
    flag: Option<Span<'static>>,
    number: String,
    time: String,
    since: String,
    connection: String,
}

/// `+131 ms`: how long after the one before.
fn since(before: Option<Timestamp>, now: Timestamp) -> String {
    before.map_or_else(String::new, |before| match now.0.checked_sub(before.0) {
        Some(since) => format!("+{}", duration(since)),
        // packets of a capture may be out of order
        None => format!("-{}", duration(before.0 - now.0)),
    })
}

/// What is said of a frame: what it is, and what it holds.
fn words(row: &Row, theme: Theme) -> [Vec<Span<'static>>; 2] {
    let header = &row.header;
    let opcode = header.opcode;
    let name = if opcode.is_reserved() { format!("reserved {:#x}", opcode.value()) } else { opcode.to_string() };
    let mut what = vec![(name, kind_style(header, theme))];
    if !header.fin || opcode == Opcode::CONTINUATION {
        what.push((format!("FIN {}", u8::from(header.fin)), if header.fin { Style::new() } else { Theme::strong() }));
    }
    for (name, set) in [("RSV1", header.rsv.rsv1()), ("RSV2", header.rsv.rsv2()), ("RSV3", header.rsv.rsv3())] {
        if set {
            what.push((name.to_owned(), Theme::strong()));
        }
    }
    what.push((size(header.length), Style::new()));
    if row.entry.origin() == Origin::User {
        what.push(("by you".to_owned(), Theme::strong()));
    }
    what.extend(row.rules.iter().map(|rule| (rule.id().to_owned(), theme.alarm())));
    if !row.entry.is_complete() {
        what.push(("cut short".to_owned(), theme.alarm()));
    }
    let mut holds = Vec::new();
    if let Some(said) = &row.mark {
        holds.push((format!("{} {}", theme.sign("◆", "#"), theme.clean(said)).trim_end().to_owned(), theme.mark()));
    }
    if header.length > 0 {
        holds.push(preview(&row.preview, ROOM, theme));
    }
    [what, holds].map(|words| {
        let mut spans = Vec::new();
        for (text, style) in words {
            if !spans.is_empty() {
                spans.push(Span::raw(" "));
            }
            spans.push(Span::styled(text, style));
        }
        spans
    })
}
