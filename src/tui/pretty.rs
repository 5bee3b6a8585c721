//! A payload as lines of text; JSON laid out, its order and its numbers as they came.

use serde::de::IgnoredAny;

use super::text::wrap;
use super::theme::Theme;
use crate::formats::sanitize::printable_bytes;

/// What a piece of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Text, or what joins the pieces of JSON.
    Plain,
    /// The name of a member.
    Name,
    /// A string.
    String,
    /// A number, `true`, `false` or `null`.
    Other,
}

/// A line in pieces.
pub(super) type TextLine = Vec<(Tone, String)>;

/// Bytes as text in lines of at most `width` columns, and whether they are JSON. What is not UTF-8 becomes `\xff`.
pub(super) fn lines(bytes: &[u8], width: usize, theme: Theme) -> (Vec<TextLine>, bool) {
    let json = std::str::from_utf8(bytes).ok().filter(|text| is_json(text));
    let lines = match json {
        Some(text) => laid_out(text),
        None => bytes.split(|&byte| byte == b'\n').map(|line| vec![(Tone::Plain, printable_bytes(line))]).collect(),
    };
    (lines.into_iter().flat_map(|line| wrapped(line, width, theme)).collect(), json.is_some())
}

/// Whether it is an object or an array: a bare number or string is text that happens to be JSON.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// JSON, known to be some, a member or an element a line.
fn laid_out(text: &str) -> Vec<TextLine> {
    let mut lines = vec![TextLine::new()];
    let mut depth: usize = 0;
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            c if is_mark(c) || c.is_ascii_whitespace() => 1,
            _ => rest.find(|c: char| is_mark(c) || c.is_ascii_whitespace()).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        let mut put = |tone, text: &str| {
            if let Some(line) = lines.last_mut() {
                line.push((tone, text.to_owned()));
            }
        };
        let next = |depth: usize| vec![(Tone::Plain, "  ".repeat(depth))];
        match first {
            '{' | '[' if rest.starts_with(['}', ']']) => {
                put(Tone::Plain, if first == '{' { "{}" } else { "[]" });
                rest = rest[1..].trim_start();
            }
            '{' | '[' => {
                put(Tone::Plain, token);
                depth += 1;
                lines.push(next(depth));
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                lines.push(next(depth));
                if let Some(line) = lines.last_mut() {
                    line.push((Tone::Plain, token.to_owned()));
                }
            }
            ',' => {
                put(Tone::Plain, ",");
                lines.push(next(depth));
            }
            ':' => put(Tone::Plain, ": "),
            '"' => put(if rest.starts_with(':') { Tone::Name } else { Tone::String }, token),
            c if c.is_ascii_whitespace() => {}
            _ => put(Tone::Other, token),
        }
    }
    lines
}

const fn is_mark(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '"')
}

/// Bytes of the string that `text` begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A line in as many lines as it takes.
fn wrapped(line: TextLine, width: usize, theme: Theme) -> Vec<TextLine> {
    use unicode_width::UnicodeWidthStr as _;
    let mut lines = vec![TextLine::new()];
    let mut used = 0;
    for (tone, text) in line {
        let text = theme.clean(&text);
        if used + text.width() <= width {
            used += text.width();
            lines.last_mut().into_iter().for_each(|line| line.push((tone, text.clone())));
            continue;
        }
        // what is blank at the beginning is where a line of JSON begins
        let indent: String = lines[0].first().map_or("", |(_, text)| text).chars().take_while(|c| *c == ' ').collect();
        let indent = if indent.len() + 2 < width / 2 && tone != Tone::Plain { indent + "  " } else { String::new() };
        let pieces = wrap(&text, width.saturating_sub(indent.len()));
        for piece in pieces {
            let is_first = lines.len() == 1 && lines[0].is_empty();
            if used + piece.width() > width || (used > indent.len() && !is_first) {
                lines.push(vec![(Tone::Plain, indent.clone())]);
                used = indent.len();
            }
            used += piece.width();
            lines.last_mut().into_iter().for_each(|line| line.push((tone, piece.clone())));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    const THEME: Theme = Theme { color: true, ascii: false };

    fn text(bytes: &[u8], width: usize) -> (Vec<String>, bool) {
        let (lines, is_json) = lines(bytes, width, THEME);
        let join = |line: &TextLine| line.iter().map(|(_, text)| text.as_str()).collect::<String>();
        (lines.iter().map(join).collect(), is_json)
    }

    #[test]
    fn json_is_laid_out_and_keeps_its_order_and_its_numbers() {
        let (lines, is_json) = text(br#" {"z":[1.50,{"a" : null}],"b":{},"t":"x\"{,}","n":1e400} "#, 60);
        assert!(is_json);
        assert_eq!(
            lines,
            [
                "{",
                "  \"z\": [",
                "    1.50,",
                "    {",
                "      \"a\": null",
                "    }",
                "  ],",
                "  \"b\": {},",
                "  \"t\": \"x\\\"{,}\",",
                "  \"n\": 1e400",
                "}",
            ]
        );
    }

    #[test]
    fn what_is_no_json_is_text_and_what_is_no_utf_8_is_shown_as_bytes() {
        assert_eq!(text(b"one\ntwo", 60), (vec!["one".to_owned(), "two".to_owned()], false));
        assert_eq!(text(b"{\"a\":", 60), (vec!["{\"a\":".to_owned()], false));
        assert_eq!(text(b"[1] \xff", 60).0, ["[1] \\xff"]);
        assert_eq!(text(b"\"just a string\"", 60), (vec!["\"just a string\"".to_owned()], false));
        assert!(!text(&b"[".repeat(100_000), 40).1, "deeper than anyone would nest");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let long = format!(r#"{{"日本語のとても長い名前":"{}","b":"{}"}}"#, "wörter ".repeat(30), "漢字".repeat(60));
        for width in [12, 20, 41, 80] {
            for line in
                text(long.as_bytes(), width).0.iter().chain(&text("漢字 e\u{301} ".repeat(50).as_bytes(), width).0)
            {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }
}
