//! The selected frame's fields: name, value and what the value means here; above them what rules it breaks.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::bits::{self, Grid};
use super::pane::Pane;
use crate::anatomy::{Field, compressed_message_in_words};
use crate::capture::Origin;
use crate::lint::Finding;
use crate::tui::detail::{FrameDetail, MessageDetail};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{counted, duration, fit, glued, grouped, left, ordinal, wrap};
use crate::tui::theme::Theme;

/// Draws it.
pub(super) fn draw(model: &mut Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let (height, width) = layout::inside(area);
    let title = snapshot.detail.as_ref().map_or_else(|| Line::raw("frame"), |detail| title(detail, width, theme));
    let (lines, card) = match &snapshot.detail {
        Some(detail) => lines(detail, model, width, height),
        None => (vec![Line::styled("No frame is selected.", Theme::quiet())], 0..0),
    };
    if std::mem::take(&mut model.spot.reveal_field) && !card.is_empty() {
        let lowest = (card.end as u64).saturating_sub(height as u64);
        model.frame_scroll = lowest.min(card.start as u64);
    }
    let focused = model.hears() && model.pane == layout::Pane::Frame;
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

/// All that is said of a frame. Where the fields hear the keys, the one under the cursor stands above the others, with
/// why there is such a field; its lines are returned, too.
fn lines(detail: &FrameDetail, model: &Model, width: usize, height: usize) -> (Vec<Line<'static>>, Range<usize>) {
    let theme = model.theme;
    let mut lines: Vec<_> =
        wrap(&detail.anatomy.title, width).into_iter().map(|line| Line::styled(line, Theme::strong())).collect();
    if let Some(about) = about(detail) {
        lines.extend(wrap(&about, width).into_iter().map(|line| Line::styled(line, Theme::quiet())));
    }
    for finding in &detail.findings {
        lines.extend(finding_lines(finding, width, theme, height >= 24 || detail.findings.len() == 1));
    }
    if let Some((sentence, is_due)) = &detail.reaction {
        let style = if *is_due { Theme::quiet() } else { theme.alarm() };
        let sentence = format!("{}{}", if *is_due { "" } else { "! " }, theme.clean(sentence));
        lines.extend(indented(&sentence, width).into_iter().map(|line| line.style(style)));
    }
    let header = detail.entry.header();
    let fields = &detail.anatomy.fields;
    let selected = (model.pane != layout::Pane::List).then_some(model.spot.field).filter(|at| *at < fields.len());
    let card = selected.map(|at| card(&fields[at], width, theme)).unwrap_or_default();
    let mut below = vec![Line::default()];
    let value = value_width(fields);
    for (i, field) in fields.iter().enumerate() {
        below.extend(field_lines(field, (value, width), selected == Some(i), theme));
    }
    if let Some(message) = &detail.message {
        below.push(Line::default());
        below.extend(message_lines(detail.n, message, width, theme));
    }
    below.extend(read_lines(detail, model));
    if let Some(text) = &detail.text {
        let (at_hand, length) = detail.text_bytes;
        below.push(Line::default());
        below.extend(text_lines(text, at_hand, length, width, theme));
    }
    // where the bits are unknown there is nothing to draw
    if width >= bits::WIDTH && !detail.entry.is_archived() {
        let grid = Grid { wire: &detail.wire, header: &header, fields, selected, theme };
        // it says nothing that the fields don't, so it must not push them out of sight
        let needed = if selected.is_some() { card.len() } else { 2 + value_rows(detail) };
        if lines.len() + grid.height() + needed <= height {
            if selected.is_none() {
                lines.push(Line::default());
            }
            lines.extend(grid.lines());
        } else if selected.is_some() && lines.len() + 6 + needed <= height {
            lines.extend(grid.around());
        }
    }
    let card_at = lines.len()..lines.len() + card.len();
    lines.extend(card);
    lines.extend(below);
    (lines, card_at)
}

/// The field under the cursor: its value, what that means here, why there is such a field, and where that is written.
fn card(field: &Field, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const LABEL: usize = 8;
    let head = format!("{} {}  ", theme.sign("▸", ">"), theme.clean(&field.name));
    let room = width.saturating_sub(head.width());
    let place = format!("  {}", place(field));
    let value = fit(&theme.clean(&field.value), room.saturating_sub(place.len()), theme.ellipsis());
    let mut lines = vec![Line::from(vec![
        Span::styled(head, theme.field().patch(Theme::strong())),
        Span::styled(value, Theme::strong()),
        Span::styled(place, Theme::quiet()),
    ])];
    for (label, text) in [("what", &*field.meaning), ("why", field.why), ("where", field.section)] {
        let texts = wrap(&theme.clean(text), width.saturating_sub(LABEL)).into_iter().enumerate();
        lines.extend(texts.map(|(i, text)| {
            let label = if i == 0 { label } else { "" };
            Line::from(vec![Span::styled(left(&format!("  {label}"), LABEL, ""), theme.field()), Span::raw(text)])
        }));
    }
    lines
}

/// Which bits or bytes of the frame it takes: `bit 0 of byte 1`, `bytes 2 to 5`.
fn place(field: &Field) -> String {
    let Range { start, end } = field.bytes;
    match &field.bits {
        Some(bits) if bits.len() == 1 => format!("bit {} of byte {start}", bits.start),
        Some(bits) => format!("bits {} to {} of byte {start}", bits.start, bits.end.saturating_sub(1)),
        None if start >= end => "no bytes".to_owned(),
        None if end - start == 1 => format!("byte {start}"),
        None => format!("bytes {} to {}", grouped(start), grouped(end - 1)),
    }
}

/// When each read of the socket came that brought a part of the frame.
fn read_lines(detail: &FrameDetail, model: &Model) -> Vec<Line<'static>> {
    /// More would say little.
    const MOST: usize = 50;
    let reads = &detail.reads.list;
    let Some(first) = reads.first().filter(|_| reads.len() > 1) else { return Vec::new() };
    let mut lines = vec![Line::default(), Line::styled("reads of the socket", model.theme.field())];
    for (n, read) in reads.iter().enumerate().take(MOST) {
        let since =
            if n == 0 { String::new() } else { format!("+{}", duration(read.time.0.saturating_sub(first.time.0))) };
        let bytes = match read.bytes.end - read.bytes.start {
            1 => format!("byte {}", grouped(read.bytes.start)),
            _ => format!("bytes {} to {}", grouped(read.bytes.start), grouped(read.bytes.end.saturating_sub(1))),
        };
        let time = super::row::time(read.time, &model.zone, true);
        lines.push(Line::raw(format!("  {:>4}  {time}  {since:>9}  {bytes}", n + 1)));
    }
    if reads.len() > MOST || detail.reads.more {
        let more = if detail.reads.more { " at least" } else { "" };
        lines.push(Line::styled(
            format!("  and {}{more} more", grouped((reads.len() - MOST.min(reads.len())) as u64)),
            Theme::quiet(),
        ));
    }
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
    if detail.place_in_read > 1 {
        parts.push(format!("{} frame of one read", ordinal(detail.place_in_read)));
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
    if let Some(came) = detail.came {
        let header = detail.entry.header();
        let all = header.length.saturating_add(header.len() as u64);
        parts.push(format!("still coming in: {} of {} so far", grouped(came), counted(all, "byte")));
    } else if !detail.entry.is_complete() {
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
fn field_lines(field: &Field, (value_width, width): (usize, usize), at: bool, theme: Theme) -> Vec<Line<'static>> {
    const NAME: usize = 16;
    const MEANING: usize = 34;
    let name_style = if at { Theme::cursor() } else { theme.field() };
    let name = theme.clean(&field.name);
    let value = theme.clean(&field.value);
    let meaning = format!("{}  {}", theme.clean(&field.meaning), glued(field.section));
    if width < NAME + value_width + MEANING {
        let mut lines = vec![Line::from(vec![
            Span::styled(left(&name, NAME, theme.ellipsis()), name_style),
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
                Span::styled(left(name, NAME, theme.ellipsis()), if i == 0 { name_style } else { Style::new() }),
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
