//! The selected frame's fields: name, value and what the value means here; above them what rules it breaks.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::bits;
use super::pane::Pane;
use crate::anatomy::{Field, compressed_message_in_words};
use crate::capture::Origin;
use crate::lint::Finding;
use crate::tui::detail::{FrameDetail, MessageDetail};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{counted, fit, glued, grouped, left, wrap};
use crate::tui::theme::Theme;
use crate::wire::encode_header;

/// Draws it.
pub(super) fn draw(model: &mut Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let (height, width) = layout::inside(area);
    let title = snapshot.detail.as_ref().map_or_else(|| Line::raw("frame"), |detail| title(detail, width, theme));
    let lines = match &snapshot.detail {
        Some(detail) => lines(detail, width, height, theme),
        None => vec![Line::styled("No frame is selected.", Theme::quiet())],
    };
    let focused = model.pane == layout::Pane::Frame;
    Pane { theme, focused, title, note: Line::default() }.draw_lines(lines, &mut model.frame_scroll, area, buffer);
}

fn title(detail: &FrameDetail, width: usize, theme: Theme) -> Line<'static> {
    let from = detail.entry.from();
    let sides =
        if theme.ascii { format!("{from} --> {}", from.other()) } else { format!("{from} ──▶ {}", from.other()) };
    Line::from(vec![
        Span::raw(format!("frame {}  ", grouped(detail.n))),
        Span::styled(sides, theme.side(from)),
        Span::raw(match width {
            60.. => format!("  connection {}", detail.entry.connection()),
            _ => String::new(),
        }),
    ])
}

fn lines(detail: &FrameDetail, width: usize, height: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines: Vec<_> =
        wrap(&detail.anatomy.title, width).into_iter().map(|line| Line::styled(line, Theme::strong())).collect();
    if let Some(about) = about(detail) {
        lines.extend(wrap(&about, width).into_iter().map(|line| Line::styled(line, Theme::quiet())));
    }
    for finding in &detail.findings {
        lines.extend(finding_lines(finding, width, theme, height >= 24 || detail.findings.len() == 1));
    }
    let header = detail.entry.header();
    let mut below = vec![Line::default()];
    let value = value_width(&detail.anatomy.fields);
    for field in &detail.anatomy.fields {
        below.extend(field_lines(field, value, width, theme));
    }
    if let Some(message) = &detail.message {
        below.push(Line::default());
        below.extend(message_lines(detail.n, message, width, theme));
    }
    if let Some(text) = &detail.text {
        let (at_hand, length) = detail.text_bytes;
        below.push(Line::default());
        below.extend(text_lines(text, at_hand, length, width, theme));
    }
    // where the bits are unknown there is nothing to draw
    if width >= bits::WIDTH && !detail.entry.is_archived() {
        let mut bytes = Vec::new();
        encode_header(&header, &mut bytes);
        let grid = bits::grid(&bytes, &detail.anatomy.fields, theme);
        // it says nothing that the fields don't, so it must not push them out of sight
        if lines.len() + 1 + grid.len() + 1 + value_rows(detail) <= height {
            lines.push(Line::default());
            lines.extend(grid);
        }
    }
    lines.extend(below);
    lines
}

/// The least rows that the fields take.
const fn value_rows(detail: &FrameDetail) -> usize {
    detail.anatomy.fields.len()
}

/// What a compressed message was on the wire, and what it is inflated.
fn message_lines(n: u64, message: &MessageDetail, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let inflated = &message.inflated;
    let frames = match (inflated.first, inflated.last) {
        (first, last) if first == last => "the message".to_owned(),
        (first, last) if n == first => format!("the message, up to frame {}", grouped(last)),
        (first, last) => format!("the message, frames {} to {}", grouped(first), grouped(last)),
    };
    let mut lines = vec![Line::styled(frames, theme.field())];
    if let Err(why) = inflated.outcome {
        let sentence = format!("Not inflated: {why}.");
        lines.extend(indented(&sentence, width).into_iter().map(|line| line.style(theme.alarm())));
    }
    let length = inflated.outcome.is_ok().then_some(inflated.length);
    for sentence in compressed_message_in_words(inflated.wire_length, length, Some(inflated.takes_over)) {
        lines.extend(indented(&sentence, width));
    }
    lines
}

fn text_lines(text: &[String], at_hand: u64, length: u64, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let heading = if at_hand < length {
        format!("text, the first {} of {} bytes", grouped(at_hand), grouped(length))
    } else {
        "text".to_owned()
    };
    let mut lines = vec![Line::styled(heading, theme.field())];
    for line in text {
        lines.extend(wrap(&theme.clean(line), width).into_iter().map(Line::raw));
    }
    lines
}

/// What the bytes alone don't tell.
fn about(detail: &FrameDetail) -> Option<String> {
    let mut parts = Vec::new();
    match detail.entry.origin() {
        Origin::Peer => {}
        Origin::Endpoint => parts.push("made by wsinspect".to_owned()),
        Origin::User => parts.push("sent by you".to_owned()),
    }
    parts.extend(detail.heartbeat.clone());
    match detail.entry.chunks() {
        0 | 1 => {}
        u16::MAX => parts.push("arrived in 65 535 reads or more".to_owned()),
        reads => parts.push(format!("arrived in {reads} reads")),
    }
    if detail.entry.is_archived() {
        parts.push("a message out of a HAR".to_owned());
    }
    if let Some(MessageDetail { inflated, .. }) = &detail.message {
        let wire = counted(inflated.wire_length, "byte");
        parts.push(match inflated.outcome {
            Ok(()) => format!("compressed: {wire} of the message, {} inflated", grouped(inflated.length)),
            Err(_) => format!("compressed: {wire} of the message, not inflated"),
        });
    }
    if !detail.entry.is_complete() {
        parts.push("cut short: the rest of it never came".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A broken rule: its id and section, what was seen and, if `whole`, the rule in a sentence.
pub(super) fn finding_lines(finding: &Finding, width: usize, theme: Theme, whole: bool) -> Vec<Line<'static>> {
    let rule = finding.rule;
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("! {}", rule.id()), theme.alarm()),
        Span::raw(format!("  {}, {}", rule.section(), rule.level().name())),
    ])];
    lines.extend(indented(&theme.clean(&finding.sees()), width));
    if whole && rule.sentence() != finding.sees() {
        lines.extend(indented(rule.sentence(), width).into_iter().map(|line| line.style(Theme::quiet())));
    }
    lines
}

/// The columns that the values take: as many as the longest one that is a key or a length, and a gap.
fn value_width(fields: &[Field]) -> usize {
    let longest = fields.iter().map(|field| field.value.len()).filter(|&length| length <= 18).max();
    longest.unwrap_or(0).max(6) + 2
}

/// A field. Where there is room the meaning stands beside the value, else below it.
fn field_lines(field: &Field, value_width: usize, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const NAME: usize = 16;
    const MEANING: usize = 34;
    let name = theme.clean(&field.name);
    let value = theme.clean(&field.value);
    let meaning = format!("{}  {}", theme.clean(&field.meaning), glued(field.section));
    if width < NAME + value_width + MEANING {
        let mut lines = vec![Line::from(vec![
            Span::styled(left(&name, NAME, theme.ellipsis()), theme.field()),
            Span::styled(fit(&value, width.saturating_sub(NAME), theme.ellipsis()), Theme::strong()),
        ])];
        lines.extend(indented(&meaning, width));
        return lines;
    }
    wrap(&meaning, width - NAME - value_width)
        .into_iter()
        .enumerate()
        .map(|(i, meaning)| {
            let (name, value) = if i == 0 { (name.as_str(), value.as_str()) } else { ("", "") };
            let value = fit(value, value_width - 2, theme.ellipsis());
            Line::from(vec![
                Span::styled(left(name, NAME, theme.ellipsis()), theme.field()),
                Span::styled(left(&value, value_width, ""), Theme::strong()),
                Span::raw(meaning),
            ])
        })
        .collect()
}

/// `text` in lines that begin two columns in.
pub(super) fn indented(text: &str, width: usize) -> Vec<Line<'static>> {
    wrap(text, width.saturating_sub(2)).into_iter().map(|line| Line::raw(format!("  {line}"))).collect()
}
