//! The line at the top: what runs, what is recorded, how much there is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::paint::Paint;
use crate::tui::action::View;
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{counted, fit, grouped, size};
use crate::tui::theme::Theme;

/// As much of a server's name as is shown.
const LONGEST_SERVER: usize = 40;

/// Draws it. Where there is not room for all, the names of the views go first, then the recording, then ours;
/// how far a file is read stays.
pub(super) fn draw(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let right = numbers(model, snapshot);
    let room = usize::from(area.width).saturating_sub(right.width() + 1);
    let mut title = model.theme.clean(&model.title);
    if let Some(server) = &snapshot.asked_of {
        let server = fit(&model.theme.clean(server), LONGEST_SERVER, model.theme.ellipsis());
        title = format!("{title} {} {server}", model.theme.sign("⇄", "<->"));
    }
    let mut left = Line::from(vec![Span::styled(" wsinspect ", Theme::strong()), Span::raw(format!(" {title}"))]);
    let reading = reading(snapshot, room.saturating_sub(title.chars().count() + 1));
    if left.width() + reading.width() > room {
        left.spans.remove(0);
    }
    let recording = recording(model, snapshot);
    let damage = snapshot.damage.as_ref().map_or_else(Line::default, |damage| {
        Line::styled(format!("   {}", model.theme.clean(damage)), model.theme.alarm())
    });
    let parts = [reading, damage, recording, views(model, true), views(model, false)];
    let taken: usize = left.width() + parts[..3].iter().map(Line::width).sum::<usize>();
    let [reading, damage, recording, names, numbers] = parts;
    let views = if taken + names.width() <= room { names } else { numbers };
    for part in [reading, damage, recording, views] {
        if left.width() + part.width() <= room {
            left.spans.extend(part.spans);
        }
    }
    left.paint(Rect { width: room as u16, ..area }, buffer);
    right.right_aligned().paint(area, buffer);
}

/// `reading: 37%, 71.2 MB of 190.1 MB, Esc stops`, or less where there is less room.
fn reading(snapshot: &Snapshot, room: usize) -> Line<'static> {
    let Some((read, all)) = snapshot.reading else { return Line::default() };
    let (short, long) = match all {
        Some(all) => {
            let percent = format!("{}%", percent(read, all));
            let long = format!("{percent}, {} of {}", size(read), size(all));
            (percent, long)
        }
        None => (size(read), size(read)),
    };
    let forms =
        [format!("   reading: {long}, Esc stops"), format!("   read: {short}, Esc stops"), format!("   {short}")];
    let fitting = forms.into_iter().find(|form| form.len() <= room).unwrap_or_default();
    Line::styled(fitting, Theme::strong())
}

/// Rounded down: 100 is said when all is there. A file may have grown since it was looked at.
fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part.min(whole)) * 100 / u128::from(whole.max(1))) as u64
}

fn recording(model: &Model, snapshot: &Snapshot) -> Line<'static> {
    let Some(file) = &model.recording else { return Line::default() };
    let sign = model.theme.sign("●", "*");
    let length = size(snapshot.totals.file_length);
    Line::from(vec![
        Span::styled(format!("   {sign}"), model.theme.alarm()),
        Span::raw(format!(" rec {} {length}", model.theme.clean(file))),
    ])
}

/// The views with their keys; without their names, only the one that is shown has its own.
fn views(model: &Model, named: bool) -> Line<'static> {
    let mut spans = vec![Span::raw("  ")];
    let in_text = model.learning.as_ref().is_some_and(|learning| learning.focused);
    let shown = if in_text { View::Lessons } else { model.view };
    for (number, view) in (1..).zip(View::ALL) {
        let style = if view == shown { Theme::cursor() } else { Theme::quiet() };
        if named {
            spans.push(Span::raw(" "));
        }
        let text = if named || view == shown { format!(" {number} {} ", view.name()) } else { format!(" {number} ") };
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

fn numbers(model: &Model, snapshot: &Snapshot) -> Line<'static> {
    let totals = &snapshot.totals;
    let mut parts = Vec::new();
    if let Some(frozen) = &model.frozen {
        let new = totals.frames.saturating_sub(frozen.frames);
        parts.push(Span::styled(format!(" FROZEN +{} ", grouped(new)), Theme::cursor()));
    }
    parts.push(Span::raw(format!("{} open", grouped(totals.open))));
    parts.push(Span::raw(counted(totals.frames, "frame")));
    if totals.gone > 0 {
        parts.push(Span::raw(format!("{} older gone", grouped(totals.gone))));
    }
    let style = if totals.findings > 0 { model.theme.alarm() } else { Style::new() };
    parts.push(Span::styled(counted(totals.findings, "finding"), style));
    if totals.missing > 0 {
        parts.push(Span::styled(format!("{} missing", size(totals.missing)), model.theme.alarm()));
    }
    let mut spans = Vec::new();
    for part in parts {
        spans.push(part);
        spans.push(Span::raw("  "));
    }
    spans.pop();
    spans.push(Span::raw(" "));
    Line::from(spans)
}
