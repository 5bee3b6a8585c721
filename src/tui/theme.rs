//! Colours and signs. Colours are the terminal's own, on its own background, so that dark and light ones both work;
//! whatever a colour says, a sign or a word says, too.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use unicode_width::UnicodeWidthChar;

use super::text::is_printable_ascii;
use crate::formats::sanitize;
use crate::wire::Side;

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theme {
    /// Whether colours may be used; attributes always are.
    pub(super) color: bool,
    /// Whether only ASCII may be used.
    pub(super) ascii: bool,
}

impl Theme {
    fn fg(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    /// What is of less interest.
    pub(super) const fn quiet() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What is of more interest.
    pub(super) const fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The row under the cursor of the pane that hears the keys.
    pub(super) const fn cursor() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A broken rule, a loss.
    pub(super) fn alarm(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What the user has marked.
    pub(super) fn mark(self) -> Style {
        self.fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// What one side sent.
    pub(super) fn side(self, from: Side) -> Style {
        self.fg(match from {
            Side::Client => Color::LightBlue,
            Side::Server => Color::Magenta,
        })
    }

    /// The header's bytes and the names of fields.
    pub(super) fn field(self) -> Style {
        self.fg(Color::LightBlue)
    }

    /// The masking key's bytes.
    pub(super) fn key(self) -> Style {
        self.fg(Color::Magenta).add_modifier(Modifier::BOLD)
    }

    /// A string in JSON.
    pub(super) fn string(self) -> Style {
        self.fg(Color::Green)
    }

    /// The border of a pane.
    pub(super) fn border(self, focused: bool) -> Style {
        if focused { self.fg(Color::LightBlue).add_modifier(Modifier::BOLD) } else { Self::quiet() }
    }

    /// What a border is made of.
    pub(super) const fn border_set(self) -> border::Set<'static> {
        if self.ascii {
            border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            }
        } else {
            border::PLAIN
        }
    }

    /// Client to server points right.
    pub(super) const fn arrow(self, from: Side) -> &'static str {
        match (from, self.ascii) {
            (Side::Client, false) => "──▶",
            (Side::Server, false) => "◀──",
            (Side::Client, true) => "-->",
            (Side::Server, true) => "<--",
        }
    }

    /// One of two signs, as the terminal can show it.
    pub(super) const fn sign(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    /// Stands for nothing.
    pub(super) const fn dot(self) -> &'static str {
        self.sign("·", ".")
    }

    /// Stands for what was cut off.
    pub(super) const fn ellipsis(self) -> &'static str {
        self.sign("…", "~")
    }
}

impl Theme {
    /// What a peer sent, made fit for this terminal: nothing in it is obeyed, and every character takes the columns
    /// that it is counted with.
    pub(super) fn clean(self, text: &str) -> String {
        if is_printable_ascii(text) {
            return text.to_owned();
        }
        if self.ascii {
            return sanitize::printable_ascii(text).into_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut after_wide = false;
        for c in sanitize::printable(text).chars() {
            // terminals disagree on how wide a sequence of joined emoji is, so each stands by itself
            let joins = matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}') && after_wide
                || matches!(c, '\u{fe0e}' | '\u{fe0f}');
            if !joins {
                out.push(c);
                after_wide = c.width() == Some(2);
            }
        }
        out
    }
}
