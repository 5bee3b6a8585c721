//! A form: a few fields to fill in before something is sent.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::work::Task;
use crate::capture::ConnectionId;
use crate::control::Outgoing;
use crate::wire::{CloseCode, CloseCodeClass};

/// What is asked for, and for which connection.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) kind: FormKind,
    /// Whom something is sent to, if it is.
    pub(super) target: Option<ConnectionId>,
    pub(super) fields: Vec<FormField>,
    pub(super) focus: usize,
    /// What is wrong with what was filled in.
    pub(super) error: Option<String>,
}

/// What a form is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormKind {
    /// A text in one frame.
    Text,
    /// A text in fragments.
    Fragments,
    /// A close frame.
    Close,
    /// An export; the frame whose message's payload may be exported.
    Export { selected: Option<u64> },
    /// A name for the recording.
    Keep,
    /// What to say of a frame.
    Mark(u64),
}

/// One field.
#[derive(Clone, Debug)]
pub(super) struct FormField {
    pub(super) label: &'static str,
    pub(super) value: FieldValue,
}

/// What is filled in.
#[derive(Clone, Debug)]
pub(super) enum FieldValue {
    /// A line of text. A default that has not been touched is replaced by the first character typed.
    Line { input: Input, untouched: bool },
    /// Yes or no.
    Switch(bool),
    /// One of several.
    Choice(Vec<String>, usize),
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The form goes on.
    Open,
    /// The user thought better of it.
    Cancelled,
    /// This is to be sent.
    Send(Outgoing),
    /// This is to be done.
    Do(Task),
}

impl FormKind {
    /// What the form says at its top.
    pub(super) fn title(self) -> String {
        match self {
            Self::Text => "send a text".to_owned(),
            Self::Fragments => "send a text in fragments".to_owned(),
            Self::Close => "close".to_owned(),
            Self::Export { .. } => "export".to_owned(),
            Self::Keep => "keep the recording".to_owned(),
            Self::Mark(n) => format!("mark frame {n}"),
        }
    }

    /// What Enter does.
    pub(super) const fn enter(self) -> &'static str {
        match self {
            Self::Text | Self::Fragments | Self::Close => "sends",
            Self::Export { .. } => "exports",
            Self::Keep => "keeps it",
            Self::Mark(_) => "marks it",
        }
    }
}

impl FormField {
    pub(super) fn line(label: &'static str, default: &str) -> Self {
        Self { label, value: FieldValue::Line { input: Input::new(default.to_owned()), untouched: true } }
    }

    pub(super) fn switch(label: &'static str, on: bool) -> Self {
        Self { label, value: FieldValue::Switch(on) }
    }

    pub(super) fn choice(label: &'static str, options: Vec<String>) -> Self {
        Self { label, value: FieldValue::Choice(options, 0) }
    }

    /// The place of what was chosen.
    pub(super) fn chosen(&self) -> usize {
        if let FieldValue::Choice(_, chosen) = self.value { chosen } else { 0 }
    }

    /// What stands in it.
    pub(super) fn text(&self) -> &str {
        match &self.value {
            FieldValue::Line { input, .. } => input.value(),
            FieldValue::Switch(true) => "yes",
            FieldValue::Switch(false) => "no",
            FieldValue::Choice(options, chosen) => options.get(*chosen).map_or("", String::as_str),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        matches!(self.value, FieldValue::Switch(true))
    }

    pub(super) fn key(&mut self, key: KeyEvent) {
        match &mut self.value {
            FieldValue::Switch(on) => match key.code {
                KeyCode::Char(' ') | KeyCode::Left | KeyCode::Right => *on = !*on,
                KeyCode::Char('y') => *on = true,
                KeyCode::Char('n') => *on = false,
                _ => {}
            },
            FieldValue::Choice(options, chosen) => {
                *chosen = match key.code {
                    KeyCode::Char(' ') | KeyCode::Right => (*chosen + 1) % options.len(),
                    KeyCode::Left => (*chosen + options.len() - 1) % options.len(),
                    _ => *chosen,
                }
            }
            FieldValue::Line { input, untouched } => {
                let types = matches!(key.code, KeyCode::Char(_))
                    && !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
                if types && *untouched {
                    input.reset();
                }
                if input.handle_event(&Event::Key(key)).is_some() {
                    *untouched = false;
                }
            }
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        if let FieldValue::Line { input, untouched } = &mut self.value {
            if std::mem::take(untouched) {
                input.reset();
            }
            let at = input.value().char_indices().nth(input.cursor()).map_or(input.value().len(), |(at, _)| at);
            let mut value = input.value().to_owned();
            value.insert_str(at, text);
            let cursor = input.cursor() + text.chars().count();
            *input = Input::new(value).with_cursor(cursor);
        }
    }
}

impl Form {
    const MAX_REASON: usize = 123;
    const MAX_FRAGMENTS: usize = 10_000;
    const HELLO: &str = "Hello, WebSocket!";

    /// An empty form, its defaults filled in.
    pub(super) fn new(kind: FormKind, target: ConnectionId) -> Self {
        let fields = match kind {
            FormKind::Text => vec![FormField::line("text", Self::HELLO)],
            FormKind::Fragments => vec![
                FormField::line("text", Self::HELLO),
                FormField::line("fragments", "3"),
                FormField { label: "ping between", value: FieldValue::Switch(true) },
            ],
            FormKind::Close => vec![FormField::line("code", "1000"), FormField::line("reason", "")],
            // those have beginnings of their own
            FormKind::Export { .. } | FormKind::Keep | FormKind::Mark(_) => Vec::new(),
        };
        Self { kind, target: Some(target), fields, focus: 0, error: None }
    }

    /// A form by which nothing is sent.
    pub(super) fn about_files(kind: FormKind, fields: Vec<FormField>) -> Self {
        Self { kind, target: None, fields, focus: 0, error: None }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        let fields = self.fields.len();
        match key.code {
            KeyCode::Esc => return Answer::Cancelled,
            KeyCode::Enter => match self.answer() {
                Ok(answer) => return answer,
                Err(error) => self.error = Some(error),
            },
            KeyCode::Tab | KeyCode::Down => self.focus = (self.focus + 1) % fields,
            KeyCode::BackTab | KeyCode::Up => self.focus = (self.focus + fields - 1) % fields,
            _ => {
                self.error = None;
                self.fields[self.focus].key(key);
            }
        }
        Answer::Open
    }

    /// Takes what was pasted.
    pub(super) fn paste(&mut self, text: &str) {
        self.error = None;
        self.fields[self.focus].paste(text);
    }

    /// What is worth knowing about what is filled in.
    pub(super) fn advice(&self) -> Option<String> {
        if self.kind != FormKind::Close {
            return self.file_advice().map(str::to_owned);
        }
        let Ok(code) = self.code() else { return None };
        let Some(code) = code else {
            return Some("Without a code the close frame has no body; the peer reports 1005.".to_owned());
        };
        Some(match code.class() {
            CloseCodeClass::Forbidden => {
                format!("{} must never be sent: the peer may fail the connection.", code.0)
            }
            CloseCodeClass::Unassigned => format!("{} has no meaning yet: the peer may fail the connection.", code.0),
            _ => format!("{code}. {}", code.meaning()),
        })
    }

    fn answer(&self) -> Result<Answer, String> {
        match self.task() {
            Some(task) => task.map(Answer::Do),
            None => self.outgoing().map(Answer::Send),
        }
    }

    fn outgoing(&self) -> Result<Outgoing, String> {
        let text = self.fields[0].text().to_owned();
        Ok(match self.kind {
            FormKind::Fragments => {
                let count = self.fields[1].text().trim();
                let number = count.parse().ok().filter(|count| (1..=Self::MAX_FRAGMENTS).contains(count));
                let count = number.ok_or_else(|| {
                    format!("The number of fragments is a number from 1 to {}, not \"{count}\".", Self::MAX_FRAGMENTS)
                })?;
                Outgoing::Fragments { text, count, ping_between: self.fields[2].is_on() }
            }
            FormKind::Close => {
                let code = self.code()?;
                let reason = self.fields[1].text().to_owned();
                if reason.len() > Self::MAX_REASON {
                    let length = reason.len();
                    return Err(format!("The reason takes {length} bytes; a close frame has room for 123."));
                }
                if code.is_none() && !reason.is_empty() {
                    return Err("A reason needs a code before it.".to_owned());
                }
                Outgoing::Close { code, reason }
            }
            _ => Outgoing::Text(text),
        })
    }

    fn code(&self) -> Result<Option<CloseCode>, String> {
        match self.fields[0].text().trim() {
            "" => Ok(None),
            code => code
                .parse()
                .map(|code| Some(CloseCode(code)))
                .map_err(|_| format!("A code is a number from 0 to 65535, or nothing at all, not \"{code}\".")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(form: &mut Form, codes: &[KeyCode]) -> Answer {
        let mut answer = Answer::Open;
        for &code in codes {
            answer = form.key(KeyEvent::new(code, KeyModifiers::NONE));
        }
        answer
    }

    fn type_in(form: &mut Form, text: &str) {
        for c in text.chars() {
            press(form, &[KeyCode::Char(c)]);
        }
    }

    fn form(kind: FormKind) -> Form {
        Form::new(kind, ConnectionId(1))
    }

    #[test]
    fn one_enter_sends_the_defaults() {
        let sent = |kind| press(&mut form(kind), &[KeyCode::Enter]);
        let hello = "Hello, WebSocket!".to_owned();
        assert_eq!(sent(FormKind::Text), Answer::Send(Outgoing::Text(hello.clone())));
        let fragments = Outgoing::Fragments { text: hello, count: 3, ping_between: true };
        assert_eq!(sent(FormKind::Fragments), Answer::Send(fragments));
        let close = Outgoing::Close { code: Some(CloseCode::NORMAL), reason: String::new() };
        assert_eq!(sent(FormKind::Close), Answer::Send(close));
    }

    #[test]
    fn typing_replaces_a_default_and_editing_keeps_it() {
        let mut typed = form(FormKind::Text);
        type_in(&mut typed, "hi");
        assert_eq!(typed.fields[0].text(), "hi");
        let mut edited = form(FormKind::Text);
        press(&mut edited, &[KeyCode::Backspace]);
        type_in(&mut edited, "?");
        assert_eq!(edited.fields[0].text(), "Hello, WebSocket?");
    }

    #[test]
    fn a_close_with_code_and_reason_is_filled_in_with_tab() {
        let mut close = form(FormKind::Close);
        type_in(&mut close, "1006");
        assert!(close.advice().unwrap().starts_with("1006 must never be sent"));
        press(&mut close, &[KeyCode::Tab]);
        close.paste("bye");
        let sent = Outgoing::Close { code: Some(CloseCode(1006)), reason: "bye".to_owned() };
        assert_eq!(press(&mut close, &[KeyCode::Enter]), Answer::Send(sent));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_what_was_expected() {
        let mut close = form(FormKind::Close);
        type_in(&mut close, "70000");
        assert_eq!(press(&mut close, &[KeyCode::Enter]), Answer::Open);
        assert!(close.error.as_ref().unwrap().contains("0 to 65535"));
        press(&mut close, &[KeyCode::BackTab]);
        close.paste(&"é".repeat(62));
        press(&mut close, &[KeyCode::Tab]);
        for _ in 0..5 {
            press(&mut close, &[KeyCode::Backspace]);
        }
        press(&mut close, &[KeyCode::Enter]);
        assert!(close.error.as_ref().unwrap().contains("124 bytes"), "{:?}", close.error);
        let mut fragments = form(FormKind::Fragments);
        press(&mut fragments, &[KeyCode::Tab]);
        type_in(&mut fragments, "0");
        press(&mut fragments, &[KeyCode::Enter]);
        assert!(fragments.error.is_some());
    }

    #[test]
    fn an_empty_code_is_a_close_frame_without_a_body() {
        let mut close = form(FormKind::Close);
        for _ in 0..4 {
            press(&mut close, &[KeyCode::Backspace]);
        }
        let sent = Outgoing::Close { code: None, reason: String::new() };
        assert_eq!(press(&mut close, &[KeyCode::Enter]), Answer::Send(sent));
    }

    #[test]
    fn a_paste_goes_in_at_the_cursor() {
        let mut text = form(FormKind::Text);
        press(&mut text, &[KeyCode::Home, KeyCode::Right]);
        text.paste("→\n");
        assert_eq!(text.fields[0].text(), "H→\nello, WebSocket!");
    }

    #[test]
    fn the_switch_turns_with_space_and_escape_cancels() {
        let mut fragments = form(FormKind::Fragments);
        press(&mut fragments, &[KeyCode::Tab, KeyCode::Tab, KeyCode::Char(' ')]);
        assert_eq!(fragments.fields[2].text(), "no");
        assert_eq!(press(&mut fragments, &[KeyCode::Esc]), Answer::Cancelled);
    }
}
