//! Numbers over all frames: rates, opcodes, sizes, round trips, compression.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::chart::{bar, sparkline};
use super::handshake::beside;
use super::pane::Pane;
use super::row::time;
use crate::capture::{Histogram, Statistics, Tally, Timeline};
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::{counted, duration, fit, grouped, left, right, size, wrap};
use crate::tui::theme::Theme;
use crate::wire::{Opcode, Side};

/// Columns from which on there are two of them.
const TWO_COLUMNS: usize = 112;

/// Draws it.
pub(super) fn draw(model: &mut Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width.saturating_sub(4));
    let height = usize::from(area.height.saturating_sub(2));
    let lines = match &snapshot.statistics {
        Some(statistics) if statistics.whole.begins().is_some() => {
            Page { model, snapshot, statistics, width, height }.lines()
        }
        _ => vec![Line::styled("No frames yet, hence no numbers.", Theme::quiet())],
    };
    let title = Line::raw("statistics of all frames, whatever the filter");
    let pane = Pane { theme, focused: model.hears(), title, note: Line::default() };
    pane.draw_lines(lines, &mut model.statistics_scroll, area, buffer);
}

struct Page<'a> {
    model: &'a Model,
    snapshot: &'a Snapshot,
    statistics: &'a Statistics,
    width: usize,
    height: usize,
}

impl Page<'_> {
    fn lines(&self) -> Vec<Line<'static>> {
        let mut lines = self.rates();
        let sections = |width| {
            let left = self.opcodes(width);
            let mut right = self.round_trips(width);
            right.push(Line::default());
            right.extend(self.compression(width));
            (left, self.sizes(width), right)
        };
        lines.push(Line::default());
        if self.width >= TWO_COLUMNS {
            let column = self.width / 2 - 1;
            let (mut first, sizes, second) = sections(column);
            first.push(Line::default());
            first.extend(second);
            lines.extend(beside(first, sizes, column));
        } else {
            let (first, sizes, second) = sections(self.width);
            for section in [first, sizes] {
                lines.extend(section);
                lines.push(Line::default());
            }
            lines.extend(second);
        }
        lines
    }

    /// What came when: while it goes on, the last seconds too.
    fn rates(&self) -> Vec<Line<'static>> {
        let columns = self.width.saturating_sub(NAME + RATE + 4).clamp(1, Timeline::SPANS);
        let rows = match self.height {
            44.. => 3,
            30.. => 2,
            _ => 1,
        };
        let mut lines = Vec::new();
        if self.model.live {
            let now = self.snapshot.now;
            let spans = self.statistics.recent.until(now, columns);
            lines.push(self.heading(&format!("the last {columns} seconds, each a column")));
            lines.extend(self.sparklines(&spans, SECOND, rows, true));
            lines.push(Line::default());
        }
        let (spans, column) = self.columns(columns);
        let begins =
            self.statistics.whole.begins().map_or_else(String::new, |begins| time(begins, &self.model.zone, false));
        let column_text = if column == SECOND { "a second".to_owned() } else { duration(column) };
        lines.push(self.heading(&format!("since {begins}, {column_text} a column")));
        lines.extend(self.sparklines(&spans, column, rows, !self.model.live));
        lines
    }

    /// The whole time in at most so many columns, and the nanoseconds of each.
    fn columns(&self, columns: usize) -> (Vec<[Tally; 2]>, u64) {
        let whole = &self.statistics.whole;
        let begins = whole.begins().unwrap_or_default().0 / whole.width();
        let seen = whole.spans().len() as u64;
        // while it goes on, the time without frames after the last one counts, too
        let until_now = (self.snapshot.now.0 / whole.width()).saturating_sub(begins).saturating_add(1);
        let all = if self.model.live { seen.max(until_now) } else { seen };
        let per_column = all.div_ceil(columns as u64).max(1);
        let mut sums = vec![[Tally::default(); 2]; all.div_ceil(per_column) as usize];
        for (place, span) in (0..).zip(whole.spans()) {
            // `all` is at least as many as there are
            let sum: &mut [Tally; 2] = &mut sums[(place / per_column) as usize];
            for side in Side::BOTH {
                sum[side as usize].add(span[side as usize]);
            }
        }
        (sums, whole.width().saturating_mul(per_column))
    }

    /// The rates of both sides in columns of so many nanoseconds; of bytes too if `bytes` says so.
    fn sparklines(&self, spans: &[[Tally; 2]], column: u64, rows: usize, bytes: bool) -> Vec<Line<'static>> {
        let theme = self.model.theme;
        let per_second = |sum: u64| sum as f64 / (column as f64 / SECOND as f64);
        let mut lines = Vec::new();
        for (what, of, is_bytes) in
            [("frames", count as fn(&Tally) -> u64, false), ("bytes", |tally| tally.bytes, true)]
        {
            for side in Side::BOTH.into_iter().filter(|_| bytes || !is_bytes) {
                let values: Vec<u64> = spans.iter().map(|span| of(&span[side as usize])).collect();
                let name = format!("{} {what}", sign(side, theme));
                let rate = |value: Option<u64>| {
                    let value = per_second(value.unwrap_or(0));
                    if is_bytes { format!("{}/s", size(value as u64)) } else { frames_a_second(value) }
                };
                let texts = if self.model.live && bytes {
                    // the last second is not over yet
                    [
                        format!("now {}", rate(values.iter().rev().nth(1).copied())),
                        format!("most {}", rate(values.iter().max().copied())),
                    ]
                } else {
                    [format!("most {}", rate(values.iter().max().copied())), String::new()]
                };
                let drawn = sparkline(&values, rows, theme);
                for (row, spark) in drawn.into_iter().enumerate() {
                    let bottom = row + 1 == rows;
                    let text = match (rows, bottom) {
                        (1, _) => texts.join(" ").trim_end().to_owned(),
                        (_, true) => texts[0].clone(),
                        (_, false) if row + 2 == rows => texts[1].clone(),
                        _ => String::new(),
                    };
                    let spark = left(&spark, self.width.saturating_sub(NAME + RATE + 4), "");
                    lines.push(Line::from(vec![
                        Span::raw(left(if bottom { &name } else { "" }, NAME, "")),
                        Span::styled(spark, theme.side(side)),
                        Span::raw(format!("  {}", fit(&text, RATE + 2, theme.ellipsis()))),
                    ]));
                }
            }
        }
        lines
    }

    fn opcodes(&self, width: usize) -> Vec<Line<'static>> {
        let counts = &self.statistics.opcodes;
        let rows = (0..16).filter(|&opcode| counts.iter().any(|side| side[opcode].count > 0)).map(|opcode| {
            let opcode_name = Opcode::new(opcode as u8);
            let name =
                if opcode_name.is_reserved() { format!("reserved {opcode:#x}") } else { opcode_name.to_string() };
            (name, [counts[0][opcode].count, counts[1][opcode].count])
        });
        self.table("opcodes", &[], rows.collect(), width)
    }

    fn sizes(&self, width: usize) -> Vec<Line<'static>> {
        let [client, server] = &self.statistics.sizes;
        let mut about = Vec::new();
        for (side, sizes) in Side::BOTH.into_iter().zip([client, server]) {
            if let Some(mean) = sizes.mean() {
                about.push(format!("{side}: {} to {}, mean {}", size(sizes.least), size(sizes.most), size(mean)));
            }
        }
        self.histogram("payload bytes", &about, [client, server], width, bytes_range)
    }

    fn round_trips(&self, width: usize) -> Vec<Line<'static>> {
        let [client, server] = &self.statistics.round_trips;
        let mut about = Vec::new();
        for (side, trips) in Side::BOTH.into_iter().zip([client, server]) {
            if let Some(mean) = trips.mean() {
                let [least, most, mean] =
                    [trips.least, trips.most, mean].map(|value| duration(value.saturating_mul(1000)));
                let pings = counted(trips.count, "ping");
                let times = if trips.count == 1 { most } else { format!("{least} to {most}, mean {mean}") };
                about.push(format!("{pings} of the {side} answered after {times}"));
            }
        }
        if about.is_empty() {
            return vec![
                self.heading("round trips"),
                Line::styled("No ping has been answered so far.", Theme::quiet()),
            ];
        }
        self.histogram("round trips", &about, [client, server], width, |place| {
            format!("to {}", duration((Histogram::range(place).end() + 1).saturating_mul(1000)))
        })
    }

    fn compression(&self, width: usize) -> Vec<Line<'static>> {
        let mut lines = vec![self.heading("compression")];
        let messages = |side: Side| {
            let counts = &self.statistics.opcodes[side as usize];
            [Opcode::TEXT, Opcode::BINARY].map(|opcode| counts[usize::from(opcode.value())].count).iter().sum::<u64>()
        };
        let compressed = &self.statistics.compressed;
        if compressed.iter().all(|one| one.messages + one.failed == 0) {
            lines.push(Line::styled("No message was compressed.", Theme::quiet()));
            return lines;
        }
        for side in Side::BOTH {
            let one = compressed[side as usize];
            let (all, ratio) = (counted(messages(side), "message"), one.ratio());
            let mut text = format!("{} {} of {all}", left(side.name(), 6, ""), grouped(one.messages + one.failed));
            if let Some(ratio) = ratio {
                let (wire, inflated) = (size(one.wire), size(one.inflated));
                let _ = write!(text, ", {wire} inflated to {inflated}, {ratio:.1}:1");
            }
            if one.failed > 0 {
                let _ = write!(text, ", {} not inflated", grouped(one.failed));
            }
            lines.extend(wrap(&text, width).into_iter().map(Line::raw));
        }
        lines
    }

    fn histogram(
        &self,
        title: &str,
        about: &[String],
        sides: [&Histogram; 2],
        width: usize,
        name: fn(usize) -> String,
    ) -> Vec<Line<'static>> {
        let [client, server] = sides.map(Histogram::counts);
        let is_there = |place: &usize| client[*place] + server[*place] > 0;
        let (least, most) = ((0..65).find(is_there).unwrap_or(0), (0..65).rfind(is_there).unwrap_or(0));
        let rows = (least..=most).map(|place| (self.dashed(&name(place)), [client[place], server[place]]));
        self.table(title, about, rows.collect(), width)
    }

    /// A row a thing: how many the client has, and how many the server.
    fn table(&self, title: &str, about: &[String], rows: Vec<(String, [u64; 2])>, width: usize) -> Vec<Line<'static>> {
        const COUNT: usize = 9;
        let theme = self.model.theme;
        let half = width.saturating_sub(LABEL) / 2;
        let most = rows.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(0);
        let mut headings = self.heading(&left(title, LABEL, theme.ellipsis()));
        for side in Side::BOTH {
            let name = format!("{} {side}", sign(side, theme));
            headings.spans.push(Span::styled(left(&right(&name, COUNT, ""), half, ""), Theme::quiet()));
        }
        let mut lines = vec![headings];
        for (name, counts) in rows {
            let mut spans = vec![Span::raw(left(&name, LABEL, theme.ellipsis()))];
            for side in Side::BOTH {
                let count = counts[side as usize];
                let number = if count == 0 { theme.dot().to_owned() } else { grouped(count) };
                let style = if count == 0 { Theme::quiet() } else { Style::new() };
                spans.push(Span::styled(right(&number, COUNT, theme.ellipsis()), style));
                let bar = bar(count, most, half.saturating_sub(COUNT + 2), theme);
                spans.push(Span::styled(left(&format!(" {bar}"), half.saturating_sub(COUNT), ""), theme.side(side)));
            }
            lines.push(Line::from(spans));
        }
        for text in about {
            lines.extend(wrap(text, width).into_iter().map(|line| Line::styled(line, Theme::quiet())));
        }
        lines
    }

    fn heading(&self, text: &str) -> Line<'static> {
        Line::from(Span::styled(text.to_owned(), self.model.theme.field().patch(Theme::strong())))
    }

    fn dashed(&self, text: &str) -> String {
        if self.model.theme.ascii { text.replace('–', "-") } else { text.to_owned() }
    }
}

const SECOND: u64 = 1_000_000_000;
/// Columns of the name of a rate, and of what is said of it.
const NAME: usize = 9;
const RATE: usize = 26;
/// Columns of the name of a row.
const LABEL: usize = 16;

const fn count(tally: &Tally) -> u64 {
    tally.count
}

const fn sign(side: Side, theme: Theme) -> &'static str {
    match side {
        Side::Client => theme.sign("▶", ">"),
        Side::Server => theme.sign("◀", "<"),
    }
}

/// `0.4/s`, `1 204/s`
fn frames_a_second(rate: f64) -> String {
    if rate > 0.0 && rate < 9.95 && rate.fract() > 0.04 {
        format!("{rate:.1}/s")
    } else {
        format!("{}/s", grouped(rate.round() as u64))
    }
}

/// `128–255`, `2–4 KiB`: sizes in powers of two.
fn bytes_range(place: usize) -> String {
    const UNITS: [&str; 7] = ["", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let range = Histogram::range(place);
    if place <= 1 {
        return range.end().to_string();
    }
    if place <= 10 {
        return format!("{}–{}", range.start(), range.end());
    }
    // 2^(place-1) up to 2^place
    let (unit, from) = ((place - 1) / 10, 1_u64 << ((place - 1) % 10));
    if from == 512 && unit + 1 < UNITS.len() {
        return format!("512 {}–1 {}", UNITS[unit], UNITS[unit + 1]);
    }
    format!("{from}–{} {}", from * 2, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_for_people_and_fit_their_column() {
        assert_eq!([0, 1, 2, 8, 10].map(bytes_range), ["0", "1", "2–3", "128–255", "512–1023"]);
        assert_eq!([11, 20, 21, 64].map(bytes_range), ["1–2 KiB", "512 KiB–1 MiB", "1–2 MiB", "8–16 EiB"]);
        assert!((0..65).all(|place| bytes_range(place).chars().count() < LABEL));
    }

    #[test]
    fn rates_below_ten_have_a_digit_after_the_point() {
        assert_eq!([0.0, 0.25, 3.0, 9.97, 1204.4].map(frames_a_second), ["0/s", "0.2/s", "3/s", "10/s", "1 204/s"]);
    }
}
