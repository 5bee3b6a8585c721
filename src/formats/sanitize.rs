//! The one place where what a peer sent is made fit for a terminal.
//!
//! Escape sequences, control characters, bidi overrides and characters that cannot be seen are shown, not obeyed:
//! `\n`, `\x1b`, `\u{202e}`. A backslash stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every character that a terminal might act on, or hide, written as an escape.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape_where(text, is_unsafe)
}

/// The same for bytes that ought to be UTF-8; those that are not become `\xff`.
pub fn printable_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&printable(chunk.valid()));
        for byte in chunk.invalid() {
            // writing to a String cannot fail
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// `text` in printable ASCII alone, everything else written as an escape.
pub fn printable_ascii(text: &str) -> Cow<'_, str> {
    escape_where(text, |c| is_unsafe(c) || !c.is_ascii())
}

/// The byte as a hex dump's text column shows it: itself, or a dot.
pub const fn dump_char(byte: u8) -> char {
    if matches!(byte, b' '..=b'~') { byte as char } else { '.' }
}

/// Whether a terminal would act on `c`, reorder text because of it, or show nothing at all for it. The two joiners
/// U+200C and U+200D stay: scripts and emoji need them.
pub const fn is_unsafe(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn escape_where(text: &str, escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !escaped(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // writing to a String cannot fail
            '\0'..='\x7f' => drop(write!(out, "\\x{:02x}", c as u32)),
            _ => drop(write!(out, "\\u{{{:x}}}", c as u32)),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(printable("a\x1b[2J\r\n\t\x07\x7f\0"), "a\\x1b[2J\\r\\n\\t\\x07\\x7f\\x00");
        assert_eq!(printable("\u{9b}31m\u{85}"), "\\u{9b}31m\\u{85}");
    }

    #[test]
    fn bidi_controls_and_invisible_characters_are_shown() {
        let bidi = (0x202a..=0x202e).chain(0x2066..=0x2069).chain([0x200e, 0x200f, 0x61c, 0x200b, 0xfeff, 0xe0041]);
        for code in bidi {
            let text = char::from_u32(code).unwrap().to_string();
            assert_eq!(printable(&text), format!("\\u{{{code:x}}}"));
        }
    }

    #[test]
    fn what_is_harmless_stays_as_it_is_and_is_not_copied() {
        for text in ["", "Hello, \"world\" \\n", "Zürich 東京 ไทย", "👩\u{200d}💻", "می\u{200c}خواهم"]
        {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_shown_in_hex() {
        assert_eq!(printable_bytes(b"ok \xff\xc3\x28 \xf0\x9f\x92\xa9\x1b"), "ok \\xff\\xc3( 💩\\x1b");
        assert_eq!(printable_ascii("é\n"), "\\u{e9}\\n");
        assert_eq!((dump_char(b'~'), dump_char(0x1b), dump_char(0x80)), ('~', '.', '.'));
    }

    proptest! {
        #[test]
        fn no_byte_string_gets_a_control_character_through(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let shown = printable_bytes(&bytes);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_unsafe(c)), "{:?}", shown);
            let lossy = String::from_utf8_lossy(&bytes);
            prop_assert!(printable_ascii(&lossy).bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}
