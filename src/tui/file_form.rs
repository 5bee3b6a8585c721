//! The forms about files and marks: where an export goes and what it holds, a recording's name, what a mark says.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::form::{Form, FormField, FormKind};
use super::text::counted;
use super::work::{Task, What};
use crate::formats::export::Kind;

impl Form {
    /// Asks where to export to, and what: everything, the frames that are listed, the payload of the selected one's
    /// message. `listed` says how many those are by now, and whether a filter has come to the end.
    pub(super) fn export(frames: u64, listed: (u64, bool), selected: Option<u64>, zone: &TimeZone) -> Self {
        let (listed, decided) = listed;
        let so_far = if decided { "" } else { " so far" };
        let mut what = vec![
            format!("everything: {}", counted(frames, "frame")),
            format!("what the list shows: {}{so_far}", counted(listed, "frame")),
        ];
        what.extend(selected.map(|n| format!("the payload of the message of frame {n}")));
        let fields = vec![FormField::line("file", &dated("har", zone)), FormField::choice("what", what)];
        Self::about_files(FormKind::Export { selected }, fields)
    }

    /// Asks for the recording's name.
    pub(super) fn keep(zone: &TimeZone) -> Self {
        Self::about_files(FormKind::Keep, vec![FormField::line("file", &dated("pcapng", zone))])
    }

    /// Asks what to say of frame `n`.
    pub(super) fn mark(n: u64) -> Self {
        Self::about_files(FormKind::Mark(n), vec![FormField::line("text", "")])
    }

    /// What was filled in, if this is such a form; or what is wrong with it.
    pub(super) fn task(&self) -> Option<Result<Task, String>> {
        let text = self.fields[0].text();
        match self.kind {
            FormKind::Export { selected } => Some(export(text, self.fields[1].chosen(), selected)),
            FormKind::Keep => Some(path(text).map(Task::Keep)),
            FormKind::Mark(n) => Some(Ok(Task::Mark(n, Some(text.trim().to_owned())))),
            FormKind::Text | FormKind::Fragments | FormKind::Close => None,
        }
    }

    /// What is worth knowing while such a form is filled in.
    pub(super) fn file_advice(&self) -> Option<&'static str> {
        match self.kind {
            FormKind::Export { .. } if self.fields[1].chosen() == 2 => Some("The payload alone, unmasked, as it is."),
            FormKind::Export { .. } => Some(SUFFIXES),
            FormKind::Keep => Some("A pcapng file, which Wireshark opens; the recording goes on in it."),
            FormKind::Mark(_) => Some("What to say of it, or nothing. The recording keeps it."),
            FormKind::Text | FormKind::Fragments | FormKind::Close => None,
        }
    }
}

const SUFFIXES: &str = "The suffix says what is written: .pcapng, .har, .jsonl or .txt.";

fn export(text: &str, chosen: usize, selected: Option<u64>) -> Result<Task, String> {
    let path = path(text)?;
    let what = match (chosen, selected) {
        (2, Some(n)) => What::Payload(n),
        (1, _) => What::Listed,
        _ => What::All,
    };
    let kind = match what {
        What::Payload(_) => Kind::Payload,
        _ => Kind::of_path(&path).filter(|kind| *kind != Kind::Payload).ok_or(SUFFIXES)?,
    };
    Ok(Task::Export { path, kind, what })
}

/// A path as it would be written in a shell.
fn path(text: &str) -> Result<PathBuf, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("A file needs a name.".to_owned());
    }
    Ok(match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    })
}

/// `wsinspect-20260131-120000.SUFFIX`
fn dated(suffix: &str, zone: &TimeZone) -> String {
    let now = zone.to_datetime(jiff::Timestamp::now());
    let (date, time) = (now.date(), now.time());
    format!(
        "wsinspect-{:04}{:02}{:02}-{:02}{:02}{:02}.{suffix}",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;
    use crate::tui::form::Answer;

    fn press(form: &mut Form, code: KeyCode) -> Answer {
        form.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn an_export_goes_where_its_suffix_says_and_holds_what_was_chosen() {
        let mut form = Form::export(12, (10, true), Some(7), &TimeZone::UTC);
        form.paste("chat.jsonl");
        let task = |kind, what| Answer::Do(Task::Export { path: "chat.jsonl".into(), kind, what });
        assert_eq!(press(&mut form, KeyCode::Enter), task(Kind::JsonLines, What::All));
        press(&mut form, KeyCode::Tab);
        press(&mut form, KeyCode::Char(' '));
        assert_eq!(form.fields[1].text(), "what the list shows: 10 frames");
        assert_eq!(press(&mut form, KeyCode::Enter), task(Kind::JsonLines, What::Listed));
        press(&mut form, KeyCode::Right);
        assert_eq!(press(&mut form, KeyCode::Enter), task(Kind::Payload, What::Payload(7)));
        press(&mut form, KeyCode::Right);
        assert_eq!(form.fields[1].text(), "everything: 12 frames");
        let mut form = Form::export(12, (10, false), Some(7), &TimeZone::UTC);
        press(&mut form, KeyCode::Tab);
        press(&mut form, KeyCode::Right);
        assert_eq!(form.fields[1].text(), "what the list shows: 10 frames so far");
    }

    #[test]
    fn a_suffix_that_says_nothing_and_an_empty_name_are_refused() {
        let mut form = Form::export(1, (1, true), None, &TimeZone::UTC);
        form.paste("chat.xml");
        assert_eq!(press(&mut form, KeyCode::Enter), Answer::Open);
        assert_eq!(form.error.as_deref(), Some(SUFFIXES));
        let mut form = Form::keep(&TimeZone::UTC);
        assert!(form.fields[0].text().starts_with("wsinspect-20"));
        form.paste(" ");
        assert_eq!(press(&mut form, KeyCode::Enter), Answer::Open);
        assert_eq!(form.error.as_deref(), Some("A file needs a name."));
    }
}
