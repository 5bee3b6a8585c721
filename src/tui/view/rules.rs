//! The catalogue of rules with how often each was broken, and all there is to say of the selected one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::paint::Paint;
use super::pane::Pane;
use crate::anatomy::{self, Example};
use crate::lint::{Group, Rule};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{counted, fit, glued, grouped, left, right, wrap};
use crate::tui::theme::Theme;

/// Columns of what every rule has.
const COUNT: usize = 9;
const GROUP: usize = 11;
const LEVEL: usize = 6;
const CODE: usize = 4;

/// Draws the list.
pub(super) fn draw_list(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let focused = model.hears() && model.rule_pane == layout::Pane::List;
    let counts = snapshot.rule_counts.as_deref().unwrap_or_default();
    let broken = counts.iter().filter(|&&count| count > 0).count() as u64;
    let note = Line::raw(format!(
        "{} of {} broken, row {}",
        grouped(broken),
        grouped(Rule::ALL.len() as u64),
        grouped(model.rules.selected)
    ));
    let inner = Pane { theme, focused, title: Line::raw("rules"), note }.draw(area, buffer);
    let widest = |text: fn(Rule) -> &'static str| Rule::ALL.iter().map(|&rule| text(rule).len()).max().unwrap_or(0);
    let (id, section) = (widest(Rule::id), widest(Rule::section));
    let width = usize::from(inner.width);
    let (has_section, has_group) = (width >= 72, width >= 110);
    let row = |count: &str, [name, level, place, group, code]: [&str; 5], sentence: &str| {
        let mut cells = vec![right(count, COUNT, theme.ellipsis()), left(name, id, ""), left(level, LEVEL, "")];
        cells.extend(has_section.then(|| left(place, section, "")));
        cells.push(right(code, CODE, ""));
        cells.extend(has_group.then(|| left(group, GROUP, theme.ellipsis())));
        let used: usize = cells.iter().map(|cell| cell.width() + 2).sum::<usize>() + 2;
        // a word or two say nothing
        if width >= used + 24 {
            cells.push(fit(sentence, width - used, theme.ellipsis()));
        }
        cells.join("  ")
    };
    let headings = row("broken", ["rule", "level", "section", "about", "code"], "what it asks");
    Line::styled(format!("  {headings}"), Theme::quiet()).paint(Rect { height: 1, ..inner }, buffer);
    let top = model.rules.top.max(1);
    for ((y, rule), number) in (inner.y + 1..inner.bottom()).zip(Rule::ALL.iter().skip(top as usize - 1)).zip(top..) {
        let at_cursor = number == model.rules.selected;
        let count = counts.get(*rule as usize).copied().unwrap_or(0);
        let mark = if at_cursor { theme.sign("▸", ">") } else { " " };
        let flag = if count > 0 { "!" } else { " " };
        let shown = if count > 0 { grouped(count) } else { theme.dot().to_owned() };
        let code = rule.close_code().map_or_else(|| theme.dot().to_owned(), |code| code.0.to_string());
        let text =
            row(&shown, [rule.id(), rule.level().name(), rule.section(), rule.group().name(), &code], rule.sentence());
        let row_area = Rect { y, height: 1, ..inner };
        if at_cursor && focused {
            buffer.set_style(row_area, Theme::cursor());
            Line::styled(format!("{mark}{flag}{text}"), Theme::cursor()).paint(row_area, buffer);
        } else {
            let style = if count > 0 { Theme::strong() } else { Style::new() };
            Line::from(vec![Span::raw(mark), Span::styled(flag, theme.alarm()), Span::styled(text, style)])
                .paint(row_area, buffer);
        }
    }
}

/// Draws what there is to say of the selected rule.
pub(super) fn draw_details(model: &mut Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width.saturating_sub(4));
    let focused = model.hears() && model.rule_pane != layout::Pane::List;
    let (title, lines) = match model.selected_rule() {
        Some(rule) => {
            let count = snapshot.rule_counts.as_ref().map_or(0, |counts| counts[rule as usize]);
            (rule.id(), details(rule, count, width, theme))
        }
        None => ("rule", Vec::new()),
    };
    let pane = Pane { theme, focused, title: Line::raw(title), note: Line::default() };
    pane.draw_lines(lines, &mut model.rule_scroll, area, buffer);
}

fn details(rule: Rule, count: u64, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const NAME: usize = 14;
    let mut lines: Vec<_> =
        wrap(rule.sentence(), width).into_iter().map(|line| Line::styled(line, Theme::strong())).collect();
    let handshake = rule.group() == Group::Handshake;
    let times = match (count, handshake) {
        (0, _) => "not once so far".to_owned(),
        (_, true) => format!("{}; Enter shows the first handshake that breaks it", counted(count, "time")),
        (_, false) => format!("{}; Enter shows the frames", counted(count, "time")),
    };
    let code = match rule.close_code() {
        Some(code) => format!("{code}: what a strict endpoint closes the connection with"),
        None if handshake => "none: no WebSocket is opened".to_owned(),
        None => "none: the connection is not failed for it".to_owned(),
    };
    let nothing = |line: &'static str| if line.is_empty() { "nothing" } else { line };
    let example = match anatomy::example(rule) {
        Example::Frames { from, hex, .. } => format!("{hex} from a {from}"),
        Example::Request { instead_of, line } => {
            format!("a request with {} in place of \"{}\"", nothing(line), instead_of.trim_end())
        }
        Example::Response { instead_of, line } => {
            format!("a response with {} in place of \"{}\"", nothing(line), instead_of.trim_end())
        }
    };
    let more = format!("wsinspect explain --rule {rule}");
    let level = format!("{}, {}", rule.level().name(), glued(rule.section()));
    for (name, value) in [
        ("why", anatomy::reason(rule).to_owned()),
        ("where", level),
        ("broken", times),
        ("close code", code),
        ("broken by", example),
        ("more", more),
    ] {
        let mut name = name;
        for part in wrap(&value, width.saturating_sub(NAME)) {
            lines.push(Line::from(vec![Span::styled(left(name, NAME, ""), theme.field()), Span::raw(part)]));
            name = "";
        }
    }
    lines
}
