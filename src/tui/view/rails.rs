//! The lifelines of the ladder and the arrows between them, as lines of a fixed width.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::tui::text::fit;
use crate::tui::theme::Theme;
use crate::wire::Side;

/// Two lifelines, or three where we stand in the middle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rails {
    theme: Theme,
    width: usize,
    /// Columns between the first lifeline and the next one, and between that and the last; the second is 0 without a
    /// lifeline in the middle.
    legs: [usize; 2],
}

/// The columns of an arrow that are no label: `── `, a blank, at least one dash and the head.
const SHAFT: usize = 6;

impl Rails {
    /// For so many columns. `between` if there are three.
    pub(super) const fn new(width: usize, between: bool, theme: Theme) -> Self {
        let legs = if between {
            let inside = width.saturating_sub(3);
            [inside / 2, inside - inside / 2]
        } else {
            [width.saturating_sub(2), 0]
        };
        Self { theme, width, legs }
    }

    const fn are_three(&self) -> bool {
        self.legs[1] > 0
    }

    /// What stands over them: at the first, in the middle, at the last.
    pub(super) fn headings(&self, names: [&str; 3]) -> Line<'static> {
        let cut = self.theme.ellipsis();
        let middle = if self.are_three() { fit(names[1], self.legs[0], cut) } else { String::new() };
        let start = (self.legs[0] + 1).saturating_sub(middle.width() / 2);
        let room = if middle.is_empty() { self.width / 2 } else { start };
        let first = fit(names[0], room.saturating_sub(1), cut);
        let last = fit(names[2], (self.width - start.min(self.width)).saturating_sub(middle.width() + 1), cut);
        let last = if middle.is_empty() { fit(names[2], (self.width / 2).saturating_sub(1), cut) } else { last };
        let mut text = first;
        if !middle.is_empty() {
            text.push_str(&" ".repeat(start.saturating_sub(text.width())));
            text.push_str(&middle);
        }
        text.push_str(&" ".repeat(self.width.saturating_sub(text.width() + last.width())));
        Line::styled(text + &last, Theme::quiet())
    }

    /// A frame: an arrow from the side that sent it, or from us, if we put it in. It is written on the arrow what the frame
    /// is and what it holds; where the arrow goes on behind us, the latter is written there.
    pub(super) fn arrow(&self, from: Side, by_us: bool, words: [Words; 2], style: Style) -> Vec<Span<'static>> {
        let theme = self.theme;
        let rail = || Span::styled(theme.sign("│", "|"), Theme::quiet());
        let nothing = |width: usize| Span::raw(" ".repeat(width));
        let shaft = |width, words| self.shaft(from, width, words, style);
        let mut spans = vec![rail()];
        let [first, second] = self.legs;
        match (self.are_three(), by_us, from) {
            (true, false, _) => {
                let [what, holds] = words;
                let (left, right) = if from == Side::Client { (what, holds) } else { (holds, what) };
                spans.extend(shaft(first, left));
                spans.push(rail());
                spans.extend(shaft(second, right));
            }
            (true, true, Side::Client) => {
                spans.extend([nothing(first), rail()]);
                spans.extend(shaft(second, joined(words)));
            }
            (true, true, Side::Server) => {
                spans.extend(shaft(first, joined(words)));
                spans.extend([rail(), nothing(second)]);
            }
            (false, false, _) => spans.extend(shaft(first, joined(words))),
            // nobody stands in the middle, where the arrow begins
            (false, true, _) => {
                let half = first / 2;
                let rest = [nothing(first - half - 1), Span::styled("+", Theme::strong())];
                let arrow = shaft(half, joined(words));
                if from == Side::Client {
                    spans.extend(rest.into_iter().chain(arrow));
                } else {
                    spans.extend(arrow.into_iter().chain(rest.into_iter().rev()));
                }
            }
        }
        spans.push(rail());
        spans
    }

    /// An arrow between two lifelines.
    fn shaft(&self, from: Side, width: usize, words: Words, style: Style) -> Vec<Span<'static>> {
        let theme = self.theme;
        let dash = theme.sign("─", "-");
        let (start, end) = match from {
            Side::Client => (dash, theme.sign("▶", ">")),
            Side::Server => (theme.sign("◀", "<"), dash),
        };
        let words = clipped(words, width.saturating_sub(SHAFT), theme);
        let used: usize = words.iter().map(Span::width).sum();
        if used == 0 {
            let text = format!("{start}{}{end}", dash.repeat(width.saturating_sub(2)));
            return vec![Span::styled(text, style)];
        }
        let mut spans = vec![Span::styled(format!("{start}{dash} "), style)];
        spans.extend(words);
        let rest = width.saturating_sub(used + SHAFT - 1);
        spans.push(Span::styled(format!(" {}{end}", dash.repeat(rest)), style));
        spans
    }

    /// A pause: how long it was, beside lifelines that are broken.
    pub(super) fn pause(&self, text: &str) -> Line<'static> {
        let rail = self.theme.sign("┊", ":");
        let centred = |text: &str, width: usize| {
            let text = fit(text, width, self.theme.ellipsis());
            let before = width.saturating_sub(text.width()) / 2;
            format!("{}{text}{}", " ".repeat(before), " ".repeat(width.saturating_sub(before + text.width())))
        };
        let mut line = format!("{rail}{}{rail}", centred(text, self.legs[0]));
        if self.are_three() {
            line.push_str(&" ".repeat(self.legs[1]));
            line.push_str(rail);
        }
        Line::styled(line, Theme::quiet())
    }
}

/// What is written on an arrow.
type Words = Vec<Span<'static>>;

fn joined([mut what, holds]: [Words; 2]) -> Words {
    if !what.is_empty() && !holds.is_empty() {
        what.push(Span::raw("  "));
    }
    what.extend(holds);
    what
}

/// As much of `spans` as takes at most `room` columns.
fn clipped(spans: Words, room: usize, theme: Theme) -> Words {
    let mut room = room;
    let mut clipped = Vec::with_capacity(spans.len());
    for span in spans {
        let text = fit(&span.content, room, theme.ellipsis());
        room -= text.width();
        clipped.push(Span::styled(text, span.style));
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(what: &str, holds: &str) -> [Words; 2] {
        [what, holds].map(|text| vec![Span::raw(text.to_owned())])
    }

    #[test]
    fn whatever_is_written_the_lifelines_stand_in_their_columns() {
        let theme = Theme { color: true, ascii: false };
        for (width, between) in (24..180).flat_map(|width| [(width, false), (width, true)]) {
            let rails = Rails::new(width, between, theme);
            let mut lines =
                vec![rails.pause("2.4 s"), rails.headings(["client 127.0.0.1:50001", "wsinspect", "server"])];
            for (from, by_us) in Side::BOTH.into_iter().flat_map(|from| [(from, false), (from, true)]) {
                for holds in ["", "\"日本語テキスト\" 👩 and so on and on and on and on and on and on"] {
                    let arrow = rails.arrow(from, by_us, words("continuation FIN 0 12 B", holds), Style::new());
                    lines.push(Line::from(arrow));
                }
            }
            for line in lines {
                assert_eq!(line.width(), width, "{between} {line}");
            }
        }
    }

    #[test]
    fn an_arrow_begins_with_whoever_made_the_frame() {
        let theme = Theme { color: false, ascii: true };
        let drawn = |between, from, by_us| {
            let arrow = Rails::new(31, between, theme).arrow(from, by_us, words("ping", "hi"), Style::new());
            Line::from(arrow).to_string()
        };
        assert_eq!(drawn(false, Side::Client, false), "|-- ping  hi ---------------->|");
        assert_eq!(drawn(false, Side::Server, false), "|<- ping  hi -----------------|");
        assert_eq!(drawn(true, Side::Client, false), "|-- ping ----->|-- hi ------->|");
        assert_eq!(drawn(true, Side::Server, false), "|<- hi --------|<- ping ------|");
        assert_eq!(drawn(true, Side::Client, true), "|              |-- ping  hi ->|");
        assert_eq!(drawn(true, Side::Server, true), "|<- ping  hi --|              |");
        assert_eq!(drawn(false, Side::Client, true), "|              +-- ping  hi ->|");
        assert_eq!(drawn(false, Side::Server, true), "|<- ping  hi --+              |");
    }
}
