//! The editor of a frame, its bytes, and what they break.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::form::window;
use super::paint::{Paint, clear};
use super::pane::Pane;
use crate::compose::ComposedFrame;
use crate::tui::composer::{Composer, Preview, at};
use crate::tui::form::{FieldValue, FormField};
use crate::tui::text::{counted, fit, left, wrap};
use crate::tui::theme::Theme;
use crate::wire::{Header, encode_frame};

/// The fields of each row, and the columns of each field's label and value; the last one takes the rest.
const ROWS: &[&[(usize, usize, usize)]] = &[
    &[(at::PRESET, 12, 0)],
    &[(at::FIN, 12, 3), (at::RSV[0], 5, 3), (at::RSV[1], 5, 3), (at::RSV[2], 5, 3), (at::MASK, 5, 3)],
    &[(at::OPCODE, 12, 16)],
    &[(at::KEY, 12, 12), (at::FIXED, 12, 0)],
    &[(at::LENGTH, 12, 22), (at::FORM, 12, 0)],
    &[(at::KIND, 12, 12)],
    &[(at::PAYLOAD, 12, 0)],
    &[(at::WRITES, 12, 12), (at::DELAY, 12, 0)],
];

/// Rows of bytes of each frame that are shown at most.
const MOST_ROWS: usize = 4;

/// Draws it and returns where the terminal's cursor belongs.
pub(super) fn draw(composer: &Composer, theme: Theme, body: Rect, buffer: &mut Buffer) -> Option<Position> {
    let width = body.width.min(100);
    let room = usize::from(width) - 4;
    let below = match &composer.preview {
        Ok(preview) => previewed(preview, theme, room),
        Err(error) => wrapped(error, theme, room, theme.alarm()),
    };
    let height = body.height.min((ROWS.len() + below.len() + 5).max(22) as u16);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let title = Line::raw(format!("compose, to the {} of connection {}", composer.to, composer.connection));
    clear(area, buffer);
    let inner = Pane { theme, focused: true, title, note: Line::default() }.draw(area, buffer);
    let row = |y: u16| Rect { y: inner.y + y, height: 1, ..inner };
    let last = inner.height.saturating_sub(1);
    let mut cursor = None;
    for (y, fields) in (0..last).zip(ROWS) {
        let mut line = Line::default();
        for &(place, label, value) in *fields {
            let focused = place == composer.focus;
            let field = &composer.fields[place];
            let value = if value == 0 { room.saturating_sub(line.width() + label + 2) } else { value };
            let mark = if focused { theme.sign("▸ ", "> ") } else { "  " };
            line.push_span(Span::styled(format!("{mark}{}", left(field.label, label, "")), theme.field()));
            let (text, style, column) = shown(field, focused, value, theme);
            if let Some(column) = column.filter(|_| focused) {
                cursor = Some(Position { x: inner.x + (line.width() + column) as u16, y: inner.y + y });
            }
            line.push_span(Span::styled(text, style));
        }
        line.paint(row(y), buffer);
    }
    let fields = ROWS.len() as u16;
    for (y, line) in (fields + 1..last).zip(below) {
        line.paint(row(y), buffer);
    }
    let keys = "Enter sends   Tab next field   Space turns, picks   Esc cancels";
    Line::styled(fit(keys, room, theme.ellipsis()), Theme::quiet()).paint(row(last), buffer);
    cursor
}

/// A field's value in exactly `room` columns, and the cursor's column in it.
fn shown(field: &FormField, focused: bool, room: usize, theme: Theme) -> (String, Style, Option<usize>) {
    let (text, column) = window(&field.value, field.text(), room.saturating_sub(1).max(1), theme);
    let (text, untouched) = match &field.value {
        FieldValue::Switch(on) => (if *on { "1" } else { "0" }.to_owned(), false),
        FieldValue::Line { untouched, .. } => (text, *untouched),
        FieldValue::Choice(options, _) if focused && room > 20 => {
            let count = options.len();
            (format!("{text}   (Space: the next of {count}; or its first letter)"), false)
        }
        FieldValue::Choice(..) => (text, false),
    };
    let style = if untouched { Theme::quiet() } else { Style::new() };
    let style = if focused { style.add_modifier(Modifier::UNDERLINED) } else { style };
    // the blank keeps two fields apart
    (left(&fit(&text, room.saturating_sub(1), theme.ellipsis()), room, ""), style, column)
}

/// The bytes of each frame, and what all of them break.
fn previewed(preview: &Preview, theme: Theme, room: usize) -> Vec<Line<'static>> {
    let frames = preview.composed.frames();
    let mut lines = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        if n + 1 == frames.len() {
            lines.push(Line::styled(fit(&preview.title, room, theme.ellipsis()), Theme::strong()));
        }
        lines.extend(bytes(frame, theme, room));
    }
    let judgement = &preview.judgement;
    if judgement.findings.is_empty() {
        lines.extend(wrapped("By itself it breaks no rule.", theme, room, Style::new()));
    }
    for judged in &judgement.findings {
        let rule = judged.finding.rule;
        let whose = if judgement.frames > 1 { format!("frame {}, ", judged.frame + 1) } else { String::new() };
        let follows = match rule.close_code() {
            Some(code) => format!("fails with {}", code.0),
            None => "fails nothing".to_owned(),
        };
        let line = format!("! {rule}  {whose}by itself  {}  {follows}", rule.section());
        lines.push(Line::styled(fit(&line, room, theme.ellipsis()), theme.alarm()));
        lines.extend(wrapped(&judged.finding.sees(), theme, room, Style::new()));
    }
    if judgement.missing > 0 {
        let text =
            format!("{} missing: the receiver takes for them what comes next.", counted(judgement.missing, "byte"));
        lines.extend(wrapped(&text, theme, room, theme.alarm()));
    } else if judgement.frames > frames.len() {
        let text = "The payload is longer than declared: the receiver takes the rest for the next frame.";
        lines.extend(wrapped(text, theme, room, theme.alarm()));
    }
    lines
}

/// A frame's bytes in rows; the masking key and the payload stand apart.
fn bytes(ComposedFrame { header, payload }: &ComposedFrame, theme: Theme, room: usize) -> Vec<Line<'static>> {
    let per_row = (room.saturating_sub(6) / 3).max(1);
    let mut all = Vec::new();
    // more is not shown
    let shown = payload.len().min(per_row * MOST_ROWS);
    encode_frame(header, &payload[..shown], &mut all);
    let key = header.len() - if header.masking_key.is_some() { 4 } else { 0 };
    let total = header.len() + payload.len();
    let mut lines: Vec<_> = all
        .chunks(per_row)
        .take(MOST_ROWS)
        .enumerate()
        .map(|(row, chunk)| {
            let spans = (row * per_row..).zip(chunk).map(|(place, byte)| {
                let style = part(place, key, header, theme);
                let apart = place > 0 && place % per_row > 0 && (place == key || place == header.len());
                Span::styled(format!("{}{byte:02x} ", if apart { " " } else { "" }), style)
            });
            Line::from(spans.collect::<Vec<_>>())
        })
        .collect();
    if let (true, Some(last)) = (total > per_row * MOST_ROWS, lines.last_mut()) {
        last.push_span(Span::raw(theme.ellipsis()));
    }
    lines
}

fn part(place: usize, key: usize, header: &Header, theme: Theme) -> Style {
    match place {
        place if place < key => theme.field(),
        place if place < header.len() => theme.key(),
        _ => Style::new(),
    }
}

fn wrapped(text: &str, theme: Theme, room: usize, style: Style) -> Vec<Line<'static>> {
    wrap(&theme.clean(text), room).into_iter().map(|line| Line::styled(line, style)).collect()
}
