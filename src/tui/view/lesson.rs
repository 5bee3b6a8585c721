//! The lesson that is open: its text, what it asks, hints, and what is said of what was done.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::form::window;
use super::paint::{Paint, clear};
use super::pane::Pane;
use crate::lessons::{Block, Feedback, Session, Task};
use crate::tui::model::Model;
use crate::tui::overlay::Overlay;
use crate::tui::text::{fit, wrap};
use crate::tui::theme::Theme;

const ANSWER: &str = "answer: ";
/// What `rows 12-34 of 56` takes, with the blanks around it.
const POSITION: usize = 18;

/// Draws it. Where the cursor of the field for the answer belongs is returned.
pub(super) fn draw(model: &mut Model, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let theme = model.theme;
    let learning = model.learning.as_mut()?;
    let focused = learning.focused;
    let session = &learning.session;
    let width = usize::from(area.width.saturating_sub(4));
    let (at, steps) = (session.at(), session.lesson().steps.len());
    let sign = if session.is_solved() || learning.is_done(at) { theme.sign(" ✓", ", done") } else { "" };
    let name = format!("{} {}/{steps}{sign}: ", theme.clean(&session.lesson().name), at + 1);
    let lines = lines(session, width, theme);
    let asks = matches!(session.step().task, Task::Ask(_)) && !session.is_solved();
    let text = Rect { height: area.height - u16::from(asks), ..area };
    // where it scrolls, that is said at the right
    let note = if lines.len() > usize::from(text.height.saturating_sub(2)) { POSITION } else { 0 };
    let title = fit(&theme.clean(&session.step().title), width.saturating_sub(name.len() + note), theme.ellipsis());
    let title = Line::from(vec![Span::raw(name), Span::styled(title, Theme::strong())]);
    let pane = Pane { theme, focused, title, note: Line::default() };
    pane.draw_lines(lines, &mut learning.scroll, text, buffer);
    if !asks {
        return None;
    }
    // the border goes below the field
    let bottom = Rect { y: area.bottom() - 1, height: 1, ..area };
    for x in area.x..area.right() {
        let cell = buffer[(x, bottom.y - 1)].clone();
        buffer[(x, bottom.y)] = cell;
    }
    let row = Rect { x: area.x + 1, y: bottom.y - 1, width: area.width - 2, height: 1 };
    clear(row, buffer);
    let edge = theme.border_set();
    for (x, symbol) in [(area.x, edge.vertical_left), (area.right() - 1, edge.vertical_right)] {
        buffer[(x, row.y)].set_symbol(symbol);
    }
    let inner = Rect { x: row.x + 1, width: row.width - 2, ..row };
    let label = Span::styled(ANSWER, theme.field());
    let Some(Overlay::Answer(field)) = model.overlays.last() else {
        let line = Line::from(vec![label, Span::styled("Enter, then type", Theme::quiet())]);
        line.paint(inner, buffer);
        return None;
    };
    let room = usize::from(inner.width).saturating_sub(ANSWER.len() + 1);
    let (text, column) = window(&field.value, field.text(), room, theme);
    Line::from(vec![label, Span::raw(text)]).paint(inner, buffer);
    Some(Position { x: inner.x + (ANSWER.len() + column.unwrap_or(0)) as u16, y: inner.y })
}

/// Draws what stands where the panes would tell the answer.
pub(super) fn draw_hidden(theme: Theme, area: Rect, buffer: &mut Buffer) {
    let pane = Pane { theme, focused: false, title: Line::raw("hidden"), note: Line::default() };
    let text = "The frames are hidden until this step is done: what they would tell is for you to find out.";
    let lines = wrap(text, usize::from(area.width.saturating_sub(4)));
    if area.height > 2 {
        pane.draw_lines(lines.into_iter().map(Line::raw).collect(), &mut 0, area, buffer);
    }
}

fn lines(session: &Session, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let step = session.step();
    let mut lines = Vec::new();
    let mut before = None;
    for block in &step.text {
        let is_verbatim = matches!(block, Block::Verbatim(_));
        // lines that stand as they are stand together
        if before.is_some_and(|before| !(before && is_verbatim)) {
            lines.push(Line::default());
        }
        before = Some(is_verbatim);
        match block {
            Block::Paragraph(text) => lines.extend(wrap(&theme.clean(text), width).into_iter().map(Line::raw)),
            Block::Verbatim(text) => {
                let text = fit(&theme.clean(text), width.saturating_sub(2), theme.ellipsis());
                lines.push(Line::styled(format!("  {text}"), theme.field()));
            }
            Block::Dump(side) => lines.extend(dump(session.said(*side), width, theme)),
        }
    }
    if let Some(asks) = step.task.asks() {
        lines.push(Line::default());
        let name = if matches!(step.task, Task::Ask(_)) { "Question: " } else { "Task: " };
        lines.extend(labelled(name, asks, theme.field(), Theme::strong(), width, theme));
    }
    for (number, hint) in (1..).zip(session.hints()) {
        lines.push(Line::default());
        lines.extend(labelled(&format!("Hint {number}: "), hint, theme.field(), Style::new(), width, theme));
    }
    let (label, text, style) = match session.feedback() {
        None => return lines,
        Some(Feedback::Right(praise)) => {
            (theme.sign("✓ Right. ", "Right. "), format!("{praise} Enter goes on."), Theme::strong())
        }
        Some(Feedback::Wrong(why)) => (theme.sign("✗ Not yet. ", "Not yet. "), why.clone(), theme.alarm()),
    };
    lines.push(Line::default());
    lines.extend(labelled(label, text.trim(), style, Style::new(), width, theme));
    lines
}

/// A label and a text, wrapped together.
fn labelled(
    label: &str,
    text: &str,
    label_style: Style,
    style: Style,
    width: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let whole = format!("{label}{}", theme.clean(text));
    for (place, line) in wrap(&whole, width).into_iter().enumerate() {
        match line.strip_prefix(label.trim_end()).filter(|_| place == 0) {
            Some(rest) => lines.push(Line::from(vec![
                Span::styled(label.trim_end().to_owned(), label_style),
                Span::styled(rest.to_owned(), style),
            ])),
            None => lines.push(Line::styled(line, style)),
        }
    }
    lines
}

/// Bytes as a hex dump.
fn dump(bytes: &[u8], width: usize, theme: Theme) -> Vec<Line<'static>> {
    let each = if width >= 2 + 6 + 16 * 3 { 16 } else { 8 };
    let row = |(place, row): (usize, &[u8])| {
        let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        Line::styled(format!("  {:04x}  {}", place * each, hex.join(" ")), theme.field())
    };
    bytes.chunks(each).enumerate().map(row).collect()
}
