//! Text laid out for a terminal or a file: wrapped, coloured or not, in ASCII or not.

use std::borrow::Cow;
use std::io::IsTerminal;

use super::sanitize::{printable, printable_ascii};
use crate::lint::Level;

/// How text is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns that a line may take; fewer than 60 are taken as 60.
    pub width: usize,
    /// Whether ANSI colours may be used.
    pub color: bool,
    /// Whether to use ASCII alone.
    pub ascii: bool,
    /// Whether to say why each field exists, the first time that it is met.
    pub why: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 80, color: false, ascii: false, why: true }
    }
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Title,
    Name,
    Value,
    Dim,
    /// Dim, and never broken between words.
    Section,
    Finding(Level),
}

impl Ink {
    const fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Title => "\x1b[1m",
            Self::Name => "\x1b[36m",
            Self::Value => "\x1b[32m",
            Self::Dim | Self::Section => "\x1b[2m",
            Self::Finding(Level::Must) => "\x1b[1;31m",
            Self::Finding(Level::Should) => "\x1b[33m",
            Self::Finding(Level::Advice) => "\x1b[34m",
        }
    }
}

/// Lines as they are written. All text passes through [`printable`] here, so that none reaches a terminal raw.
#[derive(Debug)]
pub(super) struct Paper {
    look: Look,
    out: String,
    column: usize,
}

impl Paper {
    /// The tables do not fit fewer columns; a narrower terminal wraps by itself.
    const NARROWEST: usize = 60;
    /// A paragraph beside a table's cells gets at least so many columns, or begins a line of its own.
    const NARROWEST_PARAGRAPH: usize = 30;

    pub(super) fn new(look: &Look) -> Self {
        Self { look: Look { width: look.width.max(Self::NARROWEST), ..*look }, out: String::new(), column: 0 }
    }

    pub(super) const fn look(&self) -> &Look {
        &self.look
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Ends the line.
    pub(super) fn end_line(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
        self.column = 0;
    }

    /// Goes on with the line, unwrapped.
    pub(super) fn put(&mut self, ink: Ink, text: &str) {
        let text = self.fit(text).into_owned();
        self.write(ink, &text);
    }

    /// A cell of a table: cut or padded to `width` columns, and a gap.
    pub(super) fn cell(&mut self, ink: Ink, text: &str, width: usize) {
        let text = self.fit(text);
        let cell = if columns(&text) > width {
            let mark = if self.look.ascii { "~" } else { "…" };
            format!("{}{mark}", prefix(&text, width.saturating_sub(1)))
        } else {
            text.into_owned()
        };
        self.write(ink, &cell);
        let gap = width.saturating_sub(columns(&cell)) + 2;
        self.blanks(gap);
    }

    /// Blanks, in no colour.
    pub(super) fn blanks(&mut self, count: usize) {
        self.out.extend(std::iter::repeat_n(' ', count));
        self.column += count;
    }

    /// Whether a paragraph fits beside what the line holds already.
    pub(super) const fn has_room(&self) -> bool {
        self.look.width.saturating_sub(self.column) >= Self::NARROWEST_PARAGRAPH
    }

    /// A paragraph from here on, wrapped and hanging at this column; where that leaves too few, on the next lines,
    /// `indent` columns in. Ends the line.
    pub(super) fn paragraph(&mut self, indent: usize, runs: &[(Ink, &str)]) {
        if !self.has_room() {
            self.end_line();
            self.blanks(indent);
        }
        let left = self.column;
        for &(ink, text) in runs {
            let text = self.fit(text).into_owned();
            if ink == Ink::Section {
                self.word(ink, &text, left);
                continue;
            }
            for word in text.split(' ') {
                self.word(ink, word, left);
            }
        }
        self.end_line();
    }

    /// One word of a paragraph whose lines begin at `left`; a word too long for a line is broken.
    fn word(&mut self, ink: Ink, mut word: &str, left: usize) {
        let room = self.look.width - left;
        if self.column > left {
            if self.column + 1 + columns(word).min(room) <= self.look.width {
                self.blanks(1);
            } else {
                self.end_line();
                self.blanks(left);
            }
        }
        while columns(word) > self.look.width - self.column {
            let part = prefix(word, self.look.width - self.column);
            self.write(ink, part);
            word = &word[part.len()..];
            self.end_line();
            self.blanks(left);
        }
        self.write(ink, word);
    }

    fn write(&mut self, ink: Ink, text: &str) {
        self.column += columns(text);
        let escape = if self.look.color && !text.is_empty() { ink.escape() } else { "" };
        self.out.push_str(escape);
        self.out.push_str(text);
        if !escape.is_empty() {
            self.out.push_str("\x1b[0m");
        }
    }

    fn fit<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.look.ascii {
            return printable(text);
        }
        if text.contains('…') {
            return Cow::Owned(printable_ascii(&text.replace('…', "...")).into_owned());
        }
        printable_ascii(text)
    }
}

/// Columns that `text` takes, East Asian wide characters and emoji counted as two.
pub(super) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_columns).sum() }
}

const fn char_columns(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{200c}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// As much of the beginning of `text` as fits `width` columns, at least one character.
fn prefix(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += char_columns(c);
        if used > width && at > 0 {
            return &text[..at];
        }
    }
    text
}

/// Whether output to `stream` is coloured when nobody says so: on a terminal, unless NO_COLOR is set; elsewhere if
/// CLICOLOR_FORCE is set.
pub fn wants_color(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") { false } else { is_set("CLICOLOR_FORCE") || stream.is_terminal() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paragraph(look: &Look, text: &str) -> String {
        let mut paper = Paper::new(look);
        paper.blanks(2);
        paper.paragraph(2, &[(Ink::Plain, text)]);
        paper.finish()
    }

    #[test]
    fn a_paragraph_hangs_and_keeps_to_the_width() {
        let look = Look { width: 60, ..Look::default() };
        let text = paragraph(&look, &format!("some words and {} and 東京東京東京東京 to wrap", "x".repeat(90)));
        assert!(text.lines().all(|line| line.starts_with("  ") && columns(line) <= 60), "{text}");
        assert_eq!(text.matches('x').count(), 90);
    }

    #[test]
    fn nothing_is_written_raw() {
        let text = paragraph(&Look::default(), "a\x1b]0;title\x07\nb\u{202e}");
        assert_eq!(text, "  a\\x1b]0;title\\x07\\nb\\u{202e}\n");
        let ascii = paragraph(&Look { ascii: true, ..Look::default() }, "é…");
        assert_eq!(ascii, "  \\u{e9}...\n");
    }

    #[test]
    fn colour_is_asked_for_and_reset() {
        let mut paper = Paper::new(&Look { color: true, ..Look::default() });
        paper.cell(Ink::Name, "FIN", 5);
        paper.put(Ink::Plain, "x");
        assert_eq!(paper.finish(), "\x1b[36mFIN\x1b[0m    x");
    }
}
