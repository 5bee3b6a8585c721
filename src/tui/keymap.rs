//! The one table of keys. The panel obeys it; the help overlay, the footer and the README are made from it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{Action, View};
use crate::wire::Side;

/// A row of the table: keys that belong together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    /// The keys and what each asks for.
    pub(super) keys: &'static [(Key, Action)],
    /// What they do, for the help overlay and the README.
    pub(super) does: &'static str,
    /// What the footer calls the first of them; empty where it does not name it.
    pub(super) short: &'static str,
    /// Where they do it.
    pub(super) scope: Scope,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// By itself.
    Plain(KeyCode),
    /// A letter together with Ctrl.
    Ctrl(char),
}

/// The views in which a key does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In all of them.
    Everywhere,
    /// Where something is listed.
    Lists,
    /// Where there is more than one pane.
    Panes,
    /// Where a frame is taken apart.
    Frames,
    /// In the ladder.
    Ladder,
    /// While a lesson is open.
    Lesson,
    /// In all of them, as long as there is someone to send to.
    Live,
}

impl Scope {
    /// Whether `view` is one of them; `live` tells whether there is someone to send to.
    pub(super) const fn holds(self, view: View, live: bool) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Live => live,
            Self::Lists => !matches!(view, View::Handshake | View::Statistics),
            Self::Panes => matches!(view, View::Frames | View::Connections | View::Rules | View::Lessons),
            Self::Frames => matches!(view, View::Frames),
            Self::Ladder => matches!(view, View::Ladder),
            // whatever it is that is seen beside the lesson
            Self::Lesson => false,
        }
    }
}

const fn plain(code: KeyCode) -> Key {
    Key::Plain(code)
}

const fn char(c: char) -> Key {
    Key::Plain(KeyCode::Char(c))
}

/// Every key, in the order in which the help overlay shows them.
pub(super) const BINDINGS: &[Binding] = &[
    Binding {
        keys: &[
            (char('j'), Action::Down),
            (char('k'), Action::Up),
            (plain(KeyCode::Up), Action::Up),
            (plain(KeyCode::Down), Action::Down),
        ],
        does: "next, previous row",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[
            (char('g'), Action::Home),
            (char('G'), Action::End),
            (plain(KeyCode::Home), Action::Home),
            (plain(KeyCode::End), Action::End),
        ],
        does: "first, last row",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(plain(KeyCode::PageUp), Action::PageUp), (plain(KeyCode::PageDown), Action::PageDown)],
        does: "a page up, down",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(plain(KeyCode::Enter), Action::Enter)],
        does: "into the frame, handshake, rule's frames, lesson",
        short: "open",
        scope: Scope::Lists,
    },
    Binding { keys: &[(plain(KeyCode::Esc), Action::Back)], does: "back", short: "", scope: Scope::Everywhere },
    Binding { keys: &[(plain(KeyCode::Tab), Action::NextPane)], does: "next pane", short: "pane", scope: Scope::Panes },
    Binding {
        keys: &[(plain(KeyCode::Left), Action::Left), (plain(KeyCode::Right), Action::Right)],
        does: "into the frame; previous, next field, or byte",
        short: "field",
        scope: Scope::Frames,
    },
    Binding {
        keys: &[(char('u'), Action::BytesAs)],
        does: "bytes as a dump, unmasked one by one, as text or JSON",
        short: "unmask",
        scope: Scope::Frames,
    },
    Binding {
        keys: &[(char('n'), Action::Binary)],
        does: "unmasking in binary, or in hex again",
        short: "",
        scope: Scope::Frames,
    },
    Binding {
        keys: &[(char('\\'), Action::Maximise)],
        does: "the pane takes all the room, or gives it back",
        short: "maximise",
        scope: Scope::Panes,
    },
    Binding {
        keys: &[
            (char('1'), Action::Show(View::Frames)),
            (char('2'), Action::Show(View::Connections)),
            (char('3'), Action::Show(View::Handshake)),
        ],
        does: "views: frames, connections, handshake",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[
            (char('4'), Action::Show(View::Ladder)),
            (char('5'), Action::Show(View::Statistics)),
            (char('6'), Action::Show(View::Rules)),
        ],
        does: "views: ladder, statistics, rules",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(char('7'), Action::Show(View::Lessons))],
        does: "view: lessons; in a lesson, its text",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(char('N'), Action::NextStep), (char('B'), Action::PreviousStep)],
        does: "lesson: next step, the one before",
        short: "next",
        scope: Scope::Lesson,
    },
    Binding { keys: &[(char('h'), Action::Hint)], does: "lesson: a hint", short: "hint", scope: Scope::Lesson },
    Binding {
        keys: &[(char('s'), Action::Again)],
        does: "lesson: what happens in the step happens again",
        short: "again",
        scope: Scope::Lesson,
    },
    Binding {
        keys: &[(char('o'), Action::Others)],
        does: "ladder: the other connections too, or one alone",
        short: "others",
        scope: Scope::Ladder,
    },
    Binding {
        keys: &[(char('['), Action::PreviousFinding), (char(']'), Action::NextFinding)],
        does: "previous, next frame that breaks a rule",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(char('F'), Action::Follow)],
        does: "follow the newest frame; moving the selection stops it",
        short: "follow",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(char(' '), Action::Freeze)],
        does: "freeze the view; the traffic goes on",
        short: "freeze",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(char('z'), Action::Clear)],
        does: "clear the list; once more shows what it hides",
        short: "",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(char('/'), Action::Filter)],
        does: "filter the list by an expression",
        short: "filter",
        scope: Scope::Everywhere,
    },
    Binding {
        keys: &[(char('v'), Action::Messages)],
        does: "list messages, which Enter opens, or frames again",
        short: "messages",
        scope: Scope::Everywhere,
    },
    Binding { keys: &[(char('p'), Action::Ping)], does: "send a ping", short: "ping", scope: Scope::Live },
    Binding {
        keys: &[(char('P'), Action::Pong)],
        does: "send a pong that nobody asked for",
        short: "",
        scope: Scope::Live,
    },
    Binding {
        keys: &[(char('c'), Action::Close)],
        does: "close, with code and reason",
        short: "close",
        scope: Scope::Live,
    },
    Binding {
        keys: &[(char('f'), Action::Fragments)],
        does: "send a text in fragments",
        short: "fragments",
        scope: Scope::Live,
    },
    Binding { keys: &[(char('t'), Action::Text)], does: "send a text", short: "text", scope: Scope::Live },
    Binding {
        keys: &[(char('b'), Action::Compose), (char('e'), Action::Edit)],
        does: "compose any frame, legal or not; edit the selected one",
        short: "compose",
        scope: Scope::Live,
    },
    Binding {
        keys: &[(char('r'), Action::Resend)],
        does: "send the selected frame again",
        short: "",
        scope: Scope::Live,
    },
    Binding {
        keys: &[(char('<'), Action::Towards(Side::Client)), (char('>'), Action::Towards(Side::Server))],
        does: "relay: the next send goes to the client, to the server",
        short: "",
        scope: Scope::Live,
    },
    Binding {
        keys: &[(char('m'), Action::Mark)],
        does: "mark the frame; once more takes the mark away",
        short: "mark",
        scope: Scope::Live,
    },
    Binding {
        keys: &[(char('w'), Action::Keep)],
        does: "keep the recording under a name",
        short: "keep",
        scope: Scope::Live,
    },
    Binding {
        keys: &[(char('x'), Action::Export)],
        does: "export all, what the list shows, or one payload",
        short: "export",
        scope: Scope::Everywhere,
    },
    Binding { keys: &[(char('?'), Action::Help)], does: "help", short: "help", scope: Scope::Everywhere },
    Binding {
        keys: &[(char('q'), Action::Quit), (Key::Ctrl('c'), Action::Quit)],
        does: "quit",
        short: "quit",
        scope: Scope::Everywhere,
    },
];

impl Key {
    fn is(self, event: &KeyEvent) -> bool {
        let held = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
        match self {
            Self::Plain(code) => held.is_empty() && event.code == code,
            Self::Ctrl(c) => held == KeyModifiers::CONTROL && event.code == KeyCode::Char(c),
        }
    }

    /// What is written on it.
    pub(super) fn name(self, ascii: bool) -> String {
        match self {
            Self::Ctrl(c) => format!("Ctrl-{c}"),
            Self::Plain(KeyCode::Char(' ')) => "Space".to_owned(),
            Self::Plain(KeyCode::Char(c)) => c.to_string(),
            Self::Plain(KeyCode::Up) if !ascii => "↑".to_owned(),
            Self::Plain(KeyCode::Down) if !ascii => "↓".to_owned(),
            Self::Plain(KeyCode::Left) if !ascii => "←".to_owned(),
            Self::Plain(KeyCode::Right) if !ascii => "→".to_owned(),
            Self::Plain(KeyCode::PageUp) => "PgUp".to_owned(),
            Self::Plain(KeyCode::PageDown) => "PgDn".to_owned(),
            Self::Plain(code) => code.to_string(),
        }
    }
}

impl Binding {
    /// Whether it does anything: some keys have a use only where we stand `between` two others.
    pub(super) const fn is_of_use(&self, between: bool) -> bool {
        between || !matches!(self.keys[0].1, Action::Towards(_))
    }

    /// The names of its keys: `j k ↑ ↓`.
    pub(super) fn names(&self, ascii: bool) -> String {
        self.keys.iter().map(|(key, _)| key.name(ascii)).collect::<Vec<_>>().join(" ")
    }
}

/// What `event` asks for in `view`.
pub(super) fn action(event: &KeyEvent, view: View, live: bool) -> Option<Action> {
    BINDINGS
        .iter()
        .filter(|binding| binding.scope.holds(view, live))
        .flat_map(|binding| binding.keys)
        .find_map(|(key, action)| key.is(event).then_some(*action))
}

/// What `event` asks for of a lesson that is open.
pub(super) fn lesson_action(event: &KeyEvent) -> Option<Action> {
    let bindings = BINDINGS.iter().filter(|binding| binding.scope == Scope::Lesson);
    bindings.flat_map(|binding| binding.keys).find_map(|(key, action)| key.is(event).then_some(*action))
}

/// What the footer names first while a lesson is open.
pub(super) fn lesson_footer(ascii: bool) -> impl Iterator<Item = (String, &'static str)> {
    let named = BINDINGS.iter().filter(|binding| binding.scope == Scope::Lesson);
    named.map(move |binding| (binding.keys[0].0.name(ascii), binding.short))
}

/// What the footer names in `view`: a key and its short name. The most useful ones come first.
pub(super) fn footer(view: View, live: bool, ascii: bool) -> impl Iterator<Item = (String, &'static str)> {
    let mut named: Vec<_> =
        BINDINGS.iter().filter(|binding| !binding.short.is_empty() && binding.scope.holds(view, live)).collect();
    named.sort_by_key(|binding| rank(binding.keys[0].1));
    named.into_iter().map(move |binding| (binding.keys[0].0.name(ascii), binding.short))
}

/// What a narrow footer shows rather than something else.
const fn rank(action: Action) -> u8 {
    match action {
        Action::Help | Action::Quit => 0,
        Action::Enter | Action::Filter => 1,
        Action::Ping | Action::Close | Action::Fragments | Action::Text => 2,
        _ => 3,
    }
}

/// The table as the README prints it, in Markdown.
pub fn key_table() -> String {
    let rows = BINDINGS.iter().map(|binding| {
        let keys: Vec<_> = binding.keys.iter().map(|(key, _)| format!("`{}`", key.name(false))).collect();
        format!("| {} | {} |", keys.join(" "), binding.does)
    });
    ["| key | does |", "|---|---|"].map(str::to_owned).into_iter().chain(rows).map(|row| row + "\n").collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_stands_in_the_table_twice() {
        let mut seen = HashSet::new();
        for (key, _) in BINDINGS.iter().flat_map(|binding| binding.keys) {
            assert!(seen.insert(key.name(false)), "{key:?}");
        }
    }

    #[test]
    fn every_key_of_the_table_is_heard_in_its_views_and_in_no_other() {
        for binding in BINDINGS {
            for (view, live) in View::ALL.into_iter().flat_map(|view| [(view, true), (view, false)]) {
                for (key, wanted) in binding.keys {
                    let event = match *key {
                        Key::Plain(code) => KeyEvent::new(code, KeyModifiers::NONE),
                        Key::Ctrl(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL),
                    };
                    let heard = action(&event, view, live);
                    assert_eq!(heard, binding.scope.holds(view, live).then_some(*wanted), "{key:?} in {view:?}");
                }
            }
        }
    }

    #[test]
    fn what_sends_is_neither_heard_nor_named_where_there_is_nobody_to_send_to() {
        for key in ['p', 'P', 'c', 'f', 't', 'b', 'e', 'r'] {
            let event = KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE);
            assert!(action(&event, View::Frames, true).is_some());
            assert_eq!(action(&event, View::Frames, false), None);
        }
        assert!(footer(View::Frames, false, false).all(|(_, short)| !["ping", "close", "text"].contains(&short)));
    }

    #[test]
    fn capital_letters_come_with_shift_and_are_heard() {
        let event = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(action(&event, View::Frames, true), Some(Action::End));
        let event = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::CONTROL);
        assert_eq!(action(&event, View::Frames, true), None);
    }

    #[test]
    fn the_footer_names_only_keys_of_the_table_that_are_heard_in_the_view() {
        for (view, live) in View::ALL.into_iter().flat_map(|view| [(view, true), (view, false)]) {
            for (name, short) in footer(view, live, false) {
                let binding = BINDINGS.iter().find(|binding| binding.short == short).unwrap();
                assert_eq!(binding.keys[0].0.name(false), name);
                assert!(binding.scope.holds(view, live));
            }
        }
    }

    #[test]
    fn the_table_of_the_readme_has_a_line_for_each_row() {
        let table = key_table();
        assert_eq!(table.lines().count(), BINDINGS.len() + 2);
        assert!(table.contains("| `j` `k` `↑` `↓` | next, previous row |"), "{table}");
        assert!(table.contains("| `q` `Ctrl-c` | quit |"));
    }
}
