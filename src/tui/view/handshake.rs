//! The opening handshake of the selected connection: request and response as sent, each header explained, then how the
//! accept value comes about.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::frame::{finding_lines, indented};
use super::pane::Pane;
use super::tls;
use crate::anatomy::Field;
use crate::tui::detail::{HandshakeDetail, HeadDetail};
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{glued, left, wrap};
use crate::tui::theme::Theme;
use crate::wire::Side;

/// Draws it.
pub(super) fn draw(model: &mut Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width.saturating_sub(4));
    let (title, lines) = match &snapshot.handshake {
        Some(detail) => (format!("handshake of connection {}", detail.connection.id), lines(detail, width, theme)),
        None => ("handshake".to_owned(), vec![Line::styled("No connection is selected.", Theme::quiet())]),
    };
    Pane { theme, focused: model.hears(), title: Line::raw(title), note: Line::default() }.draw_lines(
        lines,
        &mut model.handshake_scroll,
        area,
        buffer,
    );
}

fn lines(detail: &HandshakeDetail, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const SIDE_BY_SIDE: usize = 120;
    if let (Some(why), [None, None]) = (&detail.connection.no_tls, &detail.heads) {
        return wrap(&theme.clean(why), width).into_iter().map(|line| Line::styled(line, theme.alarm())).collect();
    }
    let side = |side: Side, width| match &detail.heads[side as usize] {
        Some(head) => head_lines(head, side, width, theme),
        None if detail.connection.is_archived() => vec![Line::styled(untold(side), Theme::quiet())],
        None => vec![Line::styled(missing(side), Theme::quiet())],
    };
    let mut lines = if width >= SIDE_BY_SIDE {
        let column = width / 2 - 1;
        beside(side(Side::Client, column), side(Side::Server, column), column)
    } else {
        let mut lines = side(Side::Client, width);
        lines.push(Line::default());
        lines.extend(side(Side::Server, width));
        lines
    };
    // each but the heads has a heading, and a blank line above it
    for section in [sent_on(detail, width, theme), derivation(detail, width, theme), agreement(detail, width, theme)] {
        if !section.is_empty() {
            lines.push(Line::default());
            lines.extend(section);
        }
    }
    lines.extend(tls::lines(&detail.connection, width, theme));
    lines.splice(..0, tls::heading(&detail.connection, width, theme));
    lines
}

fn agreement(detail: &HandshakeDetail, width: usize, theme: Theme) -> Vec<Line<'static>> {
    if detail.agreement.is_empty() {
        return Vec::new();
    }
    let sentences = detail.agreement.iter().flat_map(|sentence| indented(&theme.clean(sentence), width));
    std::iter::once(Line::styled("agreed on", Theme::strong())).chain(sentences).collect()
}

/// Where a relayed request went, and what of it came and went otherwise, side by side.
fn sent_on(detail: &HandshakeDetail, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const COLUMNS: usize = 100;
    let Some(sent) = &detail.connection.sent_on else { return Vec::new() };
    let rest = if sent.lines.is_empty() && sent.removed.is_empty() { ", byte for byte" } else { ", but for" };
    let heading = format!("sent on from {} to {}{rest}", sent.from, sent.to);
    let mut lines: Vec<_> = wrap(&heading, width).into_iter().map(|line| Line::styled(line, Theme::strong())).collect();
    for (came, went) in &detail.changed {
        let (came, went) = (theme.clean(came), theme.clean(went));
        let part = |name: &str, text: &str, width: usize| {
            let texts = wrap(text, width.saturating_sub(11)).into_iter().enumerate();
            let lines = texts.map(|(i, text)| {
                let name = if i == 0 { name } else { "" };
                Line::from(vec![Span::styled(format!("  {}", left(name, 9, "")), theme.field()), Span::raw(text)])
            });
            lines.collect::<Vec<_>>()
        };
        if width >= COLUMNS {
            let column = width / 2 - 1;
            lines.extend(beside(part("came", &came, column), part("sent on", &went, column), column));
        } else {
            lines.extend(part("came", &came, width));
            lines.extend(part("sent on", &went, width));
        }
    }
    lines
}

const fn missing(side: Side) -> &'static str {
    match side {
        Side::Client => "The request has not come, or not whole.",
        Side::Server => "The server has not answered.",
    }
}

const fn untold(side: Side) -> &'static str {
    match side {
        Side::Client => "The HAR holds no headers of the request.",
        Side::Server => "The HAR holds no headers of the answer.",
    }
}

fn head_lines(head: &HeadDetail, side: Side, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let what = match side {
        Side::Client => "request",
        Side::Server => "response",
    };
    let mut lines = vec![Line::from(vec![
        Span::styled(what, theme.side(side).patch(Theme::strong())),
        Span::raw(format!("  {}", theme.clean(&head.title))),
    ])];
    for finding in &head.findings {
        lines.extend(finding_lines(finding, width, theme, true));
    }
    lines.push(Line::default());
    lines.extend(
        wrap(&theme.clean(&head.start_line), width).into_iter().map(|line| Line::styled(line, Theme::strong())),
    );
    let end = head.start_line.len() as u64;
    // what was said of one header is not said of the next one again
    let mut said = BTreeSet::new();
    for field in &head.fields {
        if field.bytes.start < end {
            lines.extend(words(field, &format!("{}: ", field.name), width, theme));
        } else if field.value.is_empty() && field.name == "empty line" {
            lines.push(Line::styled("(an empty line)", theme.field()));
            lines.extend(words(field, "", width, theme));
        } else {
            lines.extend(header_lines(field, head, width, theme));
            if said.insert(&field.meaning) {
                lines.extend(words(field, "", width, theme));
            }
        }
    }
    lines
}

/// What a field means, why there is one, and where that is written.
fn words(field: &Field, before: &str, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let text = format!("{before}{} {}  {}", theme.clean(&field.meaning), field.why, glued(field.section));
    indented(&text, width).into_iter().map(|line| line.style(Theme::quiet())).collect()
}

fn header_lines(field: &Field, head: &HeadDetail, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let flagged = head.findings.iter().any(|finding| {
        finding.at.start < field.bytes.end && field.bytes.start < finding.at.end && !finding.at.is_empty()
    });
    let name_style = if flagged { theme.alarm() } else { theme.field() };
    let name = format!("{}{}", if flagged { "! " } else { "" }, theme.clean(&field.name));
    let text = format!("{name}: {}", theme.clean(&field.value));
    let name_length = name.len() + 1;
    let mut lines = Vec::new();
    for (i, line) in wrap(&text, width).into_iter().enumerate() {
        lines.push(match line.split_at_checked(name_length) {
            Some((name, value)) if i == 0 => {
                Line::from(vec![Span::styled(name.to_owned(), name_style), Span::raw(value.to_owned())])
            }
            _ => Line::raw(line),
        });
    }
    lines
}

fn derivation(detail: &HandshakeDetail, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const NAME: usize = 12;
    let Some(steps) = &detail.steps else {
        return vec![Line::styled("Without a Sec-WebSocket-Key there is no accept value to derive.", Theme::quiet())];
    };
    let mut lines = vec![Line::from(vec![
        Span::styled("from the key to the accept value", Theme::strong()),
        Span::styled("  RFC 6455 1.3, 4.2.2", Theme::quiet()),
    ])];
    for step in steps {
        let room = width.saturating_sub(NAME + 2);
        let text = format!("{}   {}", theme.clean(&step.value), step.meaning);
        for (i, part) in wrap(&text, room).into_iter().enumerate() {
            let name = if i == 0 { step.name } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("  {}", left(name, NAME, "")), theme.field()),
                Span::raw(part),
            ]));
        }
    }
    let [.., last] = steps;
    let (text, style) = match &detail.accept {
        Some(accept) if *accept == last.value => {
            ("= the server sent the same value: it matches.".to_owned(), Theme::strong())
        }
        Some(accept) => (format!("! the server sent {}: it does not match.", theme.clean(accept)), theme.alarm()),
        None => ("The server sent no Sec-WebSocket-Accept.".to_owned(), Theme::quiet()),
    };
    lines.extend(wrap(&text, width.saturating_sub(2)).into_iter().map(|line| Line::styled(format!("  {line}"), style)));
    lines
}

/// Two columns of lines, each `width` wide.
pub(super) fn beside(one: Vec<Line<'static>>, other: Vec<Line<'static>>, width: usize) -> Vec<Line<'static>> {
    let rows = one.len().max(other.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    (0..rows)
        .map(|_| {
            let (left, right) = (one.next().unwrap_or_default(), other.next().unwrap_or_default());
            let gap = " ".repeat((width + 2).saturating_sub(left.width()));
            let mut spans = styled(left);
            spans.push(Span::raw(gap));
            spans.extend(styled(right));
            Line::from(spans)
        })
        .collect()
}

/// The spans of a line with its style in each.
fn styled(line: Line<'static>) -> Vec<Span<'static>> {
    let style = line.style;
    line.spans.into_iter().map(|span| Span::styled(span.content, style.patch(span.style))).collect()
}
