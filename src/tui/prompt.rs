//! The prompt for a filter: a line with completion and history, and what is wrong with it.

use crossterm::event::{Event, KeyCode, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use crate::capture::filter::{Filter, FilterError, complete};

/// The prompt.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    pub(super) input: Input,
    /// What is wrong with what stands in it.
    pub(super) error: Option<FilterError>,
    filter: Option<Filter>,
    /// How far back in the history it is, and what was typed before.
    back: usize,
    typed: String,
    /// The completions that Tab goes through.
    cycle: Option<Cycle>,
}

#[derive(Clone, Debug)]
struct Cycle {
    /// What stands before and after the word.
    before: String,
    after: String,
    words: Vec<&'static str>,
    at: usize,
}

/// What became of a key.
#[derive(Debug)]
pub(super) enum Prompted {
    /// The prompt goes on.
    Open,
    /// The user thought better of it.
    Cancelled,
    /// This is to be the filter: the expression, and what it means. An empty one is none.
    Applied(String, Option<Filter>),
}

impl Prompt {
    /// With the present filter.
    pub(super) fn new(expression: &str) -> Self {
        let input = Input::new(expression.to_owned());
        let mut prompt = Self { input, error: None, filter: None, back: 0, typed: expression.to_owned(), cycle: None };
        prompt.check();
        prompt
    }

    /// Takes a key. `earlier` are the filters before, the newest last.
    pub(super) fn key(&mut self, key: KeyEvent, earlier: &[String]) -> Prompted {
        match key.code {
            KeyCode::Esc => return Prompted::Cancelled,
            KeyCode::Enter if self.error.is_none() => {
                return Prompted::Applied(self.input.value().trim().to_owned(), self.filter.take());
            }
            KeyCode::Enter => {}
            KeyCode::Up => self.recall((self.back + 1).min(earlier.len()), earlier),
            KeyCode::Down => self.recall(self.back.saturating_sub(1), earlier),
            KeyCode::Tab => self.complete(false),
            KeyCode::BackTab => self.complete(true),
            _ => {
                if self.input.handle_event(&Event::Key(key)).is_some() {
                    self.edited();
                }
            }
        }
        Prompted::Open
    }

    /// Takes what was pasted; it is one line.
    pub(super) fn paste(&mut self, text: &str) {
        let text = text.replace(['\r', '\n', '\t'], " ");
        let (before, after) = self.input.value().split_at(self.cursor());
        let cursor = self.input.cursor() + text.chars().count();
        self.input = Input::new(format!("{before}{text}{after}")).with_cursor(cursor);
        self.edited();
    }

    /// What the word at the cursor may become.
    pub(super) fn candidates(&self) -> Vec<&'static str> {
        match &self.cycle {
            Some(cycle) => cycle.words.clone(),
            None => complete(self.input.value(), self.cursor()).candidates,
        }
    }

    /// The cursor, in bytes.
    pub(super) fn cursor(&self) -> usize {
        let value = self.input.value();
        value.char_indices().nth(self.input.cursor()).map_or(value.len(), |(at, _)| at)
    }

    fn edited(&mut self) {
        self.back = 0;
        self.typed = self.input.value().to_owned();
        self.cycle = None;
        self.check();
    }

    fn check(&mut self) {
        let text = self.input.value();
        (self.filter, self.error) = match Filter::parse(text) {
            _ if text.trim().is_empty() => (None, None),
            Ok(filter) => (Some(filter), None),
            Err(error) => (None, Some(error)),
        };
    }

    fn recall(&mut self, back: usize, earlier: &[String]) {
        self.back = back;
        let text = earlier.len().checked_sub(back).and_then(|at| earlier.get(at)).filter(|_| back > 0);
        self.input = Input::new(text.unwrap_or(&self.typed).clone());
        self.cycle = None;
        self.check();
    }

    fn complete(&mut self, backward: bool) {
        if let Some(cycle) = &mut self.cycle {
            let words = cycle.words.len();
            cycle.at = (cycle.at + if backward { words - 1 } else { 1 }) % words;
        } else {
            let (value, cursor) = (self.input.value(), self.cursor());
            let completion = complete(value, cursor);
            if completion.candidates.is_empty() {
                return;
            }
            let (before, after) = (value[..completion.start].to_owned(), value[cursor..].to_owned());
            let at = if backward { completion.candidates.len() - 1 } else { 0 };
            self.cycle = Some(Cycle { before, after, words: completion.candidates, at });
        }
        if let Some(Cycle { before, after, words, at }) = &self.cycle {
            let text = format!("{before}{}", words[*at]);
            let cursor = text.chars().count();
            self.input = Input::new(text + after).with_cursor(cursor);
        }
        self.check();
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;

    fn press(prompt: &mut Prompt, earlier: &[&str], codes: &[KeyCode]) -> Prompted {
        let earlier: Vec<String> = earlier.iter().map(|text| (*text).to_owned()).collect();
        let mut last = Prompted::Open;
        for code in codes {
            last = prompt.key(KeyEvent::new(*code, KeyModifiers::NONE), &earlier);
        }
        last
    }

    fn type_in(prompt: &mut Prompt, text: &str) {
        text.chars().for_each(|c| drop(press(prompt, &[], &[KeyCode::Char(c)])));
    }

    #[test]
    fn an_error_shows_while_it_is_typed_and_enter_waits_for_it_to_go() {
        let mut prompt = Prompt::new("");
        type_in(&mut prompt, "opcode =");
        assert_eq!(prompt.error.as_ref().unwrap().column, 8);
        assert!(matches!(press(&mut prompt, &[], &[KeyCode::Enter]), Prompted::Open));
        type_in(&mut prompt, "= text");
        assert_eq!(prompt.error, None);
        let Prompted::Applied(text, Some(_)) = press(&mut prompt, &[], &[KeyCode::Enter]) else { panic!("no filter") };
        assert_eq!(text, "opcode == text");
    }

    #[test]
    fn nothing_is_no_filter_and_escape_leaves_all_as_it_was() {
        let mut prompt = Prompt::new("fin");
        assert!(matches!(press(&mut prompt, &[], &[KeyCode::Esc]), Prompted::Cancelled));
        let last =
            press(&mut prompt, &[], &[KeyCode::Backspace, KeyCode::Backspace, KeyCode::Backspace, KeyCode::Enter]);
        let Prompted::Applied(text, None) = last else { panic!("{last:?}") };
        assert_eq!(text, "");
    }

    #[test]
    fn tab_goes_through_the_completions_and_back() {
        let mut prompt = Prompt::new("");
        type_in(&mut prompt, "op");
        press(&mut prompt, &[], &[KeyCode::Tab]);
        assert_eq!(prompt.input.value(), "opcode");
        type_in(&mut prompt, " == p");
        assert_eq!(prompt.candidates(), ["ping", "pong"]);
        for expected in ["opcode == ping", "opcode == pong", "opcode == ping"] {
            press(&mut prompt, &[], &[KeyCode::Tab]);
            assert_eq!(prompt.input.value(), expected);
        }
        press(&mut prompt, &[], &[KeyCode::BackTab]);
        assert_eq!(prompt.input.value(), "opcode == pong");
    }

    #[test]
    fn a_word_completes_in_the_middle_of_a_line() {
        let mut prompt = Prompt::new(" == text");
        press(&mut prompt, &[], &[KeyCode::Home]);
        type_in(&mut prompt, "opc");
        press(&mut prompt, &[], &[KeyCode::Tab]);
        assert_eq!((prompt.input.value(), prompt.cursor()), ("opcode == text", 6));
    }

    #[test]
    fn the_arrows_go_through_the_filters_of_the_session_and_back_to_what_was_typed() {
        let mut prompt = Prompt::new("");
        type_in(&mut prompt, "mas");
        for (code, expected) in [
            (KeyCode::Up, "conn == 2"),
            (KeyCode::Up, "fin"),
            (KeyCode::Up, "fin"),
            (KeyCode::Down, "conn == 2"),
            (KeyCode::Down, "mas"),
            (KeyCode::Down, "mas"),
        ] {
            press(&mut prompt, &["fin", "conn == 2"], &[code]);
            assert_eq!(prompt.input.value(), expected);
        }
    }

    #[test]
    fn a_paste_goes_in_at_the_cursor_as_one_line() {
        let mut prompt = Prompt::new("fin ");
        prompt.paste("and\nmask");
        assert_eq!((prompt.input.value(), &prompt.error), ("fin and mask", &None));
    }
}
