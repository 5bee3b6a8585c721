//! Pictures of numbers: a sparkline, a bar. Every number above 0 is to be seen.

use crate::tui::theme::Theme;

/// Signs of 1 to 8 eighths of a row, from the bottom up.
const RISING: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const RISING_ASCII: [&str; 8] = [".", ".", ":", ":", "=", "=", "#", "#"];
/// Signs of 1 to 8 eighths of a column, from the left.
const GROWING: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// `values` beside each other, in so many rows, the top one first; the largest value fills all of them.
pub(super) fn sparkline(values: &[u64], rows: usize, theme: Theme) -> Vec<String> {
    let most = values.iter().copied().max().unwrap_or(0);
    let signs = if theme.ascii { RISING_ASCII } else { RISING };
    let eighths: Vec<usize> = values.iter().map(|value| eighths(*value, most, rows)).collect();
    (0..rows)
        .rev()
        .map(|row| {
            let sign = |eighths: &usize| match eighths.saturating_sub(row * 8).min(8) {
                0 => " ",
                height => signs[height - 1],
            };
            eighths.iter().map(sign).collect()
        })
        .collect()
}

/// A bar that is as long as `value` is of `most`, in at most `width` columns.
pub(super) fn bar(value: u64, most: u64, width: usize, theme: Theme) -> String {
    let eighths = eighths(value, most, width);
    if theme.ascii {
        return "#".repeat(eighths.div_ceil(8));
    }
    let part = match eighths % 8 {
        0 => "",
        part => GROWING[part - 1],
    };
    GROWING[7].repeat(eighths / 8) + part
}

/// How many eighths of `cells` are `value` of `most`: at least one, if it is not 0.
fn eighths(value: u64, most: u64, cells: usize) -> usize {
    if value == 0 || cells == 0 {
        return 0;
    }
    let all = cells * 8;
    ((value as f64 / most as f64 * all as f64).round() as usize).clamp(1, all)
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    const THEME: Theme = Theme { color: true, ascii: false };

    #[test]
    fn a_sparkline_rises_with_its_values() {
        assert_eq!(sparkline(&[0, 1, 4, 8], 1, THEME), [" ▁▄█"]);
        assert_eq!(sparkline(&[0, 1, 8, 16], 2, THEME), ["   █", " ▁██"]);
        assert_eq!(sparkline(&[0, 0], 1, THEME), ["  "]);
        assert_eq!(sparkline(&[1, u64::MAX], 1, Theme { ascii: true, ..THEME }), [".#"]);
        assert_eq!(sparkline(&[], 1, THEME), [""]);
    }

    #[test]
    fn a_bar_is_never_longer_than_its_room_and_never_nothing_for_something() {
        assert_eq!(bar(8, 8, 2, THEME), "██");
        assert_eq!(bar(1, 16, 2, THEME), "▏");
        for (value, most, width) in [(0, 0, 5), (1, u64::MAX, 5), (u64::MAX, u64::MAX, 5), (3, 4, 0), (7, 9, 13)] {
            for ascii in [false, true] {
                let bar = bar(value, most, width, Theme { ascii, ..THEME });
                assert!(bar.width() <= width && bar.is_empty() == (value == 0 || width == 0), "{value} {most} {width}");
            }
        }
    }
}
