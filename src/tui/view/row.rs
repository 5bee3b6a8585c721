//! The columns of the frame list, and a frame in them.

use jiff::tz::TimeZone;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::capture::{Origin, Timestamp};
use crate::tui::rows::{Branch, MessageRow, Preview, Row};
use crate::tui::text::{counted, fit, grouped, left, ordinal, right};
use crate::tui::theme::Theme;
use crate::wire::{Header, Opcode};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Number,
    Time,
    ShortTime,
    Connection,
    Direction,
    Type,
    ShortType,
    Fin,
    Rsv,
    Length,
    Mask,
    Key,
    Reads,
    Payload,
}

/// The columns that fit, with their widths and the gap before each.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    columns: Vec<(Column, usize)>,
    gap: usize,
}

impl Columns {
    /// For a list that is `width` columns wide and whose highest frame number is `last`; of `messages` each frame has
    /// reads of its own.
    pub(super) fn new(width: usize, last: u64, messages: bool) -> Self {
        use Column::{
            Connection, Direction, Fin, Key, Length, Mask, Number, Payload, Reads, Rsv, ShortTime, ShortType, Time,
            Type,
        };
        let number = (Number, grouped(last).len().max(5));
        let mut columns = match width {
            110.. => {
                let length = (Length, if width >= 140 { 9 } else { 7 });
                let type_ = (Type, 14);
                vec![number, (Time, 12), (Connection, 4), (Direction, 3), type_, (Fin, 3), (Rsv, 3), length, (Mask, 4)]
            }
            74.. => {
                let type_ = (ShortType, 8);
                vec![
                    number,
                    (Time, 12),
                    (Connection, 4),
                    (Direction, 3),
                    type_,
                    (Fin, 3),
                    (Rsv, 3),
                    (Length, 6),
                    (Mask, 4),
                ]
            }
            _ => vec![number, (ShortTime, 8), (Connection, 4), (Direction, 3), (ShortType, 8), (Length, 6)],
        };
        if width >= 94 {
            columns.push((Key, 8));
            columns.extend((!messages).then_some((Reads, 5)));
        }
        let gap = if width >= 140 { 2 } else { 1 };
        let used: usize = columns.iter().map(|(_, width)| width + gap).sum::<usize>() + 2;
        columns.push((Payload, width.saturating_sub(used + gap)));
        Self { columns, gap }
    }

    /// The headings.
    pub(super) fn headings(&self) -> Line<'static> {
        let mut text = "  ".to_owned();
        for (i, (column, width)) in self.columns.iter().enumerate() {
            text.push_str(&" ".repeat(if i == 0 { 0 } else { self.gap }));
            let aligned = match column {
                Column::Number | Column::Connection | Column::Length => right,
                _ => left,
            };
            text.push_str(&aligned(column.heading(), *width, ""));
        }
        Line::styled(text, Theme::quiet())
    }

    /// A frame. `cursor` if it is selected, `focused` if its pane hears the keys.
    pub(super) fn row(&self, row: &Row, cursor: bool, focused: bool, zone: &TimeZone, theme: Theme) -> Line<'static> {
        let mark = if cursor { theme.sign("▸", ">") } else { " " };
        let flag = match row.entry.origin() {
            _ if !row.rules.is_empty() => Span::styled("!", theme.alarm()),
            Origin::User => Span::styled("+", Theme::strong()),
            Origin::Endpoint | Origin::Peer => Span::raw(" "),
        };
        let mut spans = vec![Span::styled(mark, Theme::strong()), flag];
        for (i, &(column, width)) in self.columns.iter().enumerate() {
            spans.push(Span::raw(" ".repeat(if i == 0 { 0 } else { self.gap })));
            match column {
                Column::Payload => {
                    let mut room = width;
                    // where there is no column for it
                    let reads = Some(reads(row, theme)).filter(|reads| !reads.is_empty() && *reads != theme.dot());
                    if let Some(reads) =
                        reads.filter(|_| !self.columns.iter().any(|(column, _)| *column == Column::Reads))
                    {
                        let text = fit(&format!("{reads} "), room, "");
                        room = room.saturating_sub(Span::raw(text.as_str()).width());
                        spans.push(Span::styled(text, Theme::quiet()));
                    }
                    spans.extend(payload(row, room, theme));
                }
                _ => spans.push(cell(row, column, width, zone, theme)),
            }
        }
        if cursor && focused {
            let text: String = spans.iter().map(|span| span.content.as_ref()).collect();
            return Line::from(Span::raw(text)).style(Theme::cursor());
        }
        let line = Line::from(spans);
        if cursor { line.style(Theme::strong()) } else { line }
    }
}

impl Column {
    const fn heading(self) -> &'static str {
        match self {
            Self::Number => "#",
            Self::Time | Self::ShortTime => "time",
            Self::Connection => "conn",
            Self::Direction => "",
            Self::Type | Self::ShortType => "type",
            Self::Fin => "fin",
            Self::Rsv => "rsv",
            Self::Length => "len",
            Self::Mask => "mask",
            Self::Key => "key",
            Self::Reads => "reads",
            Self::Payload => "payload",
        }
    }
}

fn cell(row: &Row, column: Column, width: usize, zone: &TimeZone, theme: Theme) -> Span<'static> {
    let header = &row.header;
    let cut = theme.ellipsis();
    let bit = |set| if set { "1" } else { "0" };
    let (text, style) = match column {
        Column::Number if row.came.is_some() => (right(cut, width, cut), Theme::quiet()),
        Column::Reads => (left(&reads(row, theme), width, cut), Style::new()),
        Column::Number => (right(&grouped(row.n), width, cut), Theme::quiet()),
        Column::Time => (left(&time(row.entry.time(), zone, true), width, cut), Style::new()),
        Column::ShortTime => (left(&time(row.entry.time(), zone, false), width, cut), Style::new()),
        Column::Connection => (right(&row.entry.connection().to_string(), width, cut), Style::new()),
        Column::Direction => (theme.arrow(row.entry.from()).to_owned(), theme.side(row.entry.from())),
        Column::Type => (left(&kind(row, false, theme), width, cut), kind_style(header, theme)),
        Column::ShortType => (left(&kind(row, true, theme), width, cut), kind_style(header, theme)),
        Column::Fin | Column::Mask if row.entry.is_archived() => (left(" ?", width, cut), Theme::quiet()),
        Column::Rsv if row.entry.is_archived() => ("???".to_owned(), Theme::quiet()),
        Column::Key if row.entry.is_archived() => (left("?", width, cut), Theme::quiet()),
        Column::Fin => (
            left(&format!(" {}", bit(header.fin)), width, cut),
            if header.fin { Style::new() } else { Theme::strong() },
        ),
        Column::Rsv => (rsv(header, theme), if header.rsv.value() == 0 { Theme::quiet() } else { Theme::strong() }),
        Column::Length => (right(&length(header.length, width), width, cut), Style::new()),
        Column::Mask => (left(&format!(" {}", bit(header.masking_key.is_some())), width, cut), Style::new()),
        Column::Key => match header.masking_key {
            // each frame of a message has its own
            Some(_) if row.message.is_some() => (left(theme.ellipsis(), width, cut), Theme::quiet()),
            Some(key) => (key.to_string(), Theme::quiet()),
            None => (left(theme.dot(), width, cut), Theme::quiet()),
        },
        Column::Payload => (String::new(), Style::new()),
    };
    Span::styled(text, style)
}

/// In how many reads of the socket a frame arrived, if in more than one, and which frame of its first one it is, if not
/// the first: `×3`, `4th`.
fn reads(row: &Row, theme: Theme) -> String {
    let place = if row.place_in_read > 1 { ordinal(row.place_in_read) } else { String::new() };
    match row.entry.chunks() {
        // each frame of a message has its own
        _ if row.message.is_some() || row.entry.is_archived() => String::new(),
        0 | 1 if place.is_empty() => theme.dot().to_owned(),
        0 | 1 => place,
        chunks => format!("{place}{}{chunks}", theme.sign("×", "x")),
    }
}

/// `12:00:01.203`
pub(super) fn time(time: Timestamp, zone: &TimeZone, precise: bool) -> String {
    let Ok(timestamp) = jiff::Timestamp::from_nanosecond(time.0.into()) else { return String::new() };
    let local = timestamp.to_zoned(zone.clone());
    let text = format!("{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second());
    if precise { format!("{text}.{:03}", local.millisecond()) } else { text }
}

fn kind(row: &Row, short: bool, theme: Theme) -> String {
    let branch = match row.branch {
        Branch::None => "",
        Branch::Middle => theme.sign("├ ", "|-"),
        Branch::Last => theme.sign("└ ", "`-"),
        Branch::Folded => match row.message {
            None => "  ",
            Some(MessageRow { open: false, .. }) => theme.sign("▸ ", "+ "),
            Some(MessageRow { open: true, .. }) => theme.sign("▾ ", "- "),
        },
    };
    let opcode = row.header.opcode;
    match opcode {
        Opcode::CONTINUATION if short => format!("{branch}cont."),
        _ if opcode.is_reserved() && short => format!("{branch}res. {:x}", opcode.value()),
        _ if opcode.is_reserved() => format!("{branch}reserved {:#x}", opcode.value()),
        _ => format!("{branch}{opcode}"),
    }
}

pub(super) fn kind_style(header: &Header, theme: Theme) -> Style {
    match header.opcode {
        opcode if opcode.is_reserved() => theme.alarm(),
        Opcode::CLOSE => Theme::strong(),
        Opcode::PING | Opcode::PONG => Style::new().add_modifier(Modifier::ITALIC),
        _ => Style::new(),
    }
}

/// `···`, or a 1 for each bit that is set.
fn rsv(header: &Header, theme: Theme) -> String {
    let rsv = header.rsv;
    [rsv.rsv1(), rsv.rsv2(), rsv.rsv3()].map(|set| if set { "1" } else { theme.dot() }).concat()
}

fn length(length: u64, width: usize) -> String {
    let text = grouped(length);
    match length {
        _ if text.len() <= width => text,
        0..1_000_000 => length.to_string(),
        1_000_000..1_000_000_000 => format!("{:.1}M", length as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.1}G", length as f64 / 1e9),
        _ => "huge".to_owned(),
    }
}

fn payload(row: &Row, width: usize, theme: Theme) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut room = width;
    if let Some(said) = &row.mark {
        let sign = theme.sign("◆", "#");
        let said = if said.is_empty() { sign.to_owned() } else { format!("{sign} {}", theme.clean(said)) };
        let text = fit(&said, room, theme.ellipsis());
        room = room.saturating_sub(Span::raw(text.as_str()).width() + 2);
        spans.push(Span::styled(text, theme.mark()));
        spans.push(Span::raw("  "));
    }
    if !row.rules.is_empty() {
        let ids: Vec<_> = row.rules.iter().map(|rule| rule.id()).collect();
        let text = fit(&ids.join(" "), room, theme.ellipsis());
        room = room.saturating_sub(text.len() + 2);
        spans.push(Span::styled(text, theme.alarm()));
        spans.push(Span::raw("  "));
    }
    if let Some(came) = row.came {
        let all = row.header.length.saturating_add(row.header.len() as u64);
        let text = fit(&format!("{} of {} so far  ", grouped(came), counted(all, "byte")), room, "");
        room = room.saturating_sub(text.len());
        spans.push(Span::styled(text, Theme::strong()));
    } else if !row.entry.is_complete() {
        let text = fit("cut short  ", room, "");
        room = room.saturating_sub(text.len());
        spans.push(Span::styled(text, theme.alarm()));
    }
    if let Some(MessageRow { thread, done, .. }) = row.message {
        let so_far = if done { "" } else { " so far" };
        let between = match thread.inside {
            0 => String::new(),
            inside => format!(", {inside} between"),
        };
        let text = fit(&format!("{}{so_far}{between}  ", counted(thread.fragments.into(), "frame")), room, "");
        room = room.saturating_sub(text.len());
        spans.push(Span::styled(text, Theme::quiet()));
    }
    let (text, style) = preview(&row.preview, room, theme);
    spans.push(Span::styled(fit(&text, room, theme.ellipsis()), style));
    spans
}

/// The beginning of a payload, about as much of it as there is room for.
pub(super) fn preview(preview: &Preview, room: usize, theme: Theme) -> (String, Style) {
    const WORDS: usize = 50;
    const WORD: usize = 24;
    let more = |more| if more { theme.ellipsis() } else { "" };
    match preview {
        Preview::Empty => (theme.dot().to_owned(), Theme::quiet()),
        Preview::Text(text, cut) => (format!("\"{}\"{}", theme.clean(text), more(*cut)), Style::new()),
        Preview::Binary(bytes, cut) => (format!("{}{}", hex_words(bytes), more(*cut)), Style::new()),
        Preview::Deflated(bytes, cut) => (format!("deflated  {}{}", hex_words(bytes), more(*cut)), Theme::quiet()),
        Preview::Inflated(beginning, length, whole) => {
            let (text, style) = self::preview(beginning, room, theme);
            let so_far = if *whole { "" } else { " so far" };
            match room {
                WORDS.. => (format!("deflated, {} inflated{so_far}  {text}", counted(*length, "byte")), style),
                WORD.. => (format!("deflated  {text}"), style),
                // RSV1 and the frame's pane say it, too
                _ => (text, style),
            }
        }
        Preview::NotInflated(why) => (format!("deflated, not inflated: {why}"), theme.alarm()),
        Preview::Waiting => (format!("deflated {}", theme.ellipsis()), Theme::quiet()),
        Preview::Close(code, reason) if reason.is_empty() => (code.to_string(), Style::new()),
        Preview::Close(code, reason) => (format!("{code} \"{}\"", theme.clean(reason)), Style::new()),
        Preview::Missing => ("not recorded".to_owned(), Theme::quiet()),
    }
}

/// `37 fa 21 3d`
fn hex_words(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
