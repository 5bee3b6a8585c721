//! Text made to fit columns.

use std::iter::{RepeatN, repeat_n};

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Whether each character of `text` takes a column and none joins another one: so it is with most text by far.
pub(super) fn is_plain(text: &str) -> bool {
    is_printable_ascii(text) || text.chars().all(|c| matches!(c, ' '..='~') || is_sign(c))
}

/// Signs that are drawn here: lines, arrows, bars, `·`, `×`, `–`, `…`.
const fn is_sign(c: char) -> bool {
    matches!(c, '\u{2500}'..='\u{25fc}' | '\u{2190}'..='\u{21ff}' | '\u{b7}' | '\u{d7}' | '\u{2013}' | '\u{2026}')
}

/// Whether every character of `text` is one of ASCII that a terminal just shows.
pub(super) fn is_printable_ascii(text: &str) -> bool {
    // without a branch for each
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// The columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    if is_printable_ascii(text) { text.len() } else { text.width() }
}

/// As much of `text` as takes at most `width` columns; if something is cut off, `ellipsis` stands for it.
pub(super) fn fit(text: &str, width: usize, ellipsis: &str) -> String {
    if self::width(text) <= width {
        return text.to_owned();
    }
    let cut = self::width(ellipsis);
    let mut fitted = beginning(text, width.saturating_sub(cut)).to_owned();
    if cut <= width {
        fitted.push_str(ellipsis);
    }
    fitted
}

/// `text` in exactly `width` columns, at the left.
pub(super) fn left(text: &str, width: usize, ellipsis: &str) -> String {
    let mut fitted = fit(text, width, ellipsis);
    fitted.extend(blanks(&fitted, width));
    fitted
}

/// `text` in exactly `width` columns, at the right.
pub(super) fn right(text: &str, width: usize, ellipsis: &str) -> String {
    let fitted = fit(text, width, ellipsis);
    let mut out = String::with_capacity(width);
    out.extend(blanks(&fitted, width));
    out + &fitted
}

/// As many as `text` leaves of `width` columns.
fn blanks(text: &str, width: usize) -> RepeatN<char> {
    repeat_n(' ', width.saturating_sub(self::width(text)))
}

/// Keeps what is around it on one line; [`wrap`] turns it into a blank.
pub(super) const GLUE: char = '\u{a0}';

/// The words of `text` in lines of at most `width` columns; a word that is longer is broken.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(4);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let mut word = word;
        if used + self::width(word.trim_end()) > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            used = 0;
        }
        if used == 0 && word.trim().is_empty() && !lines.is_empty() {
            continue;
        }
        while self::width(word.trim_end()) > width {
            let head = beginning(word, width);
            if head.is_empty() {
                break;
            }
            lines.push(head.to_owned());
            word = &word[head.len()..];
        }
        line.push_str(word);
        used += self::width(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    for line in &mut lines {
        *line = line.replace(GLUE, " ");
    }
    lines
}

/// Where to read on, kept on one line: `RFC 6455 5.2`.
pub(super) fn glued(section: &str) -> String {
    section.replace(' ', "\u{a0}")
}

/// `128 412`: digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `1 frame`, `2 frames`, `1 204 frames`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1st`, `2nd`, `13th`.
pub(super) fn ordinal(n: u64) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{}{ending}", grouped(n))
}

/// `12.4 MB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `0.80 ms`, `12 ms`, `3.2 s`, `4 m 10 s`, `2 h 3 m`: a time of so many nanoseconds.
pub(super) fn duration(nanoseconds: u64) -> String {
    let milliseconds = nanoseconds as f64 / 1e6;
    let seconds = nanoseconds / 1_000_000_000;
    match seconds {
        0 if milliseconds < 1.0 => format!("{milliseconds:.2} ms"),
        0 if milliseconds < 10.0 => format!("{milliseconds:.1} ms"),
        0 => format!("{milliseconds:.0} ms"),
        1..60 => format!("{:.1} s", milliseconds / 1e3),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
    }
}

fn beginning(text: &str, width: usize) -> &str {
    if is_printable_ascii(text) {
        return &text[..width.min(text.len())];
    }
    let mut end = 0;
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        if used > width {
            break;
        }
        end += grapheme.len();
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_graphemes_and_never_wider_than_asked() {
        for text in ["日本語テキスト", "e\u{301}e\u{301}e\u{301}e\u{301}", "👩👩👩👩", "plain text"] {
            for width in 0..12 {
                assert!(fit(text, width, "…").width() <= width, "{text} {width}");
                assert_eq!(left(text, width, "…").width(), width, "{text} {width}");
                assert_eq!(right(text, width, "~").width(), width, "{text} {width}");
            }
        }
        assert_eq!(fit("日本語", 5, "…"), "日本…");
    }

    #[test]
    fn what_counts_as_plain_takes_a_column_a_character_and_joins_nothing() {
        let signs: String = ('\0'..='\u{ffff}').filter(|c| is_plain(&c.to_string())).collect();
        assert!(signs.contains("abc") && signs.contains('█') && !signs.contains(['\n', '\u{301}', '日', '◽']));
        assert_eq!((width(&signs), signs.width()), (signs.chars().count(), signs.chars().count()));
        assert!(signs.graphemes(true).all(|one| one.chars().count() == 1 && one.width() == 1));
        assert_eq!([width("plain"), width("日本語"), width("e\u{301}"), width("a\tb")], [5, 6, 1, "a\tb".width()]);
    }

    #[test]
    fn words_are_wrapped_and_long_ones_broken() {
        assert_eq!(wrap("a client masks every frame", 10), ["a client", "masks", "every", "frame"]);
        assert_eq!(wrap("abcdefghijkl", 5), ["abcde", "fghij", "kl"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([grouped(5), grouped(1204), grouped(1_234_567)], ["5", "1 204", "1 234 567"]);
        assert_eq!(counted(1, "frame"), "1 frame");
        assert_eq!([size(17), size(12_400_000)], ["17 B", "12.4 MB"]);
        assert_eq!([duration(800_000), duration(250_000_000_000)], ["0.80 ms", "4 m 10 s"]);
    }
}
