//! From the text of a lesson to the lesson. The format is described in `assets/lessons/README.md`.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::answer::{Form, Question};
use super::lesson::{Block, Deed, Lesson, Look, Press, Step, Task};
use super::script::{self, Statement};
use crate::capture::filter::Filter;
use crate::wire::Side;

/// A lesson that is none: where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LessonError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// One sentence.
    pub sentence: String,
}

/// The most bytes of a lesson, and the most of its steps.
pub(super) const MOST_BYTES: usize = 256 << 10;
const MOST_STEPS: usize = 100;
/// The key of RFC 6455 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

impl Lesson {
    /// Reads a lesson; `file` has its name, and is named where something is wrong.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(file: &Path, text: &str) -> Result<Self, LessonError> {
        let error = |(line, sentence)| LessonError { file: file.to_owned(), line, sentence };
        let name = name(file).map_err(|sentence| error((1, sentence)))?;
        parse(name, text).map_err(error)
    }
}

/// A line, and what is wrong there.
type Wrong = (usize, String);

/// A directive: where it stands, its name and its value.
struct Directive<'a> {
    line: usize,
    name: &'a str,
    value: String,
}

/// `masking`, of `05-masking.lesson`.
fn name(file: &Path) -> Result<String, String> {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = stem.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-');
    let fits = !name.is_empty()
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let why = "expected the file's name to be a number, a dash, and a word of a-z, 0-9 and dashes: 05-masking.lesson";
    fits.then(|| name.to_owned()).ok_or_else(|| why.to_owned())
}

fn parse(name: String, text: &str) -> Result<Lesson, Wrong> {
    if text.len() > MOST_BYTES {
        return Err((1, format!("expected at most {MOST_BYTES} bytes, found {}", text.len())));
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    let head = directives(&lines, &mut at)?;
    let mut lesson = Lesson {
        name,
        title: String::new(),
        about: String::new(),
        key: decode_key(KEY).unwrap_or_default(),
        deflate: false,
        echo: true,
        steps: Vec::new(),
    };
    for Directive { line, name, value } in head {
        match name {
            "lesson" => lesson.title = value,
            "about" => lesson.about = value,
            "deflate" if value == "on" => lesson.deflate = true,
            "reply" if value == "none" => lesson.echo = false,
            "deflate" => return Err((line, format!("expected deflate: on, found \"{value}\""))),
            "reply" => return Err((line, format!("expected reply: none, found \"{value}\""))),
            "key" => lesson.key = decode_key(&value).ok_or((line, "expected 16 bytes in base64".to_owned()))?,
            other => return Err((line, format!("expected lesson, about, key, deflate or reply, found \"{other}\""))),
        }
    }
    if lesson.title.is_empty() || lesson.about.is_empty() {
        return Err((
            1,
            "expected a lesson to begin with lesson: and its title, then about: and a sentence".to_owned(),
        ));
    }
    while at < lines.len() {
        let Some(title) = lines[at].strip_prefix("== ") else {
            return Err((at + 1, format!("expected a step, == and its title, found \"{}\"", lines[at])));
        };
        at += 1;
        if lesson.steps.len() == MOST_STEPS {
            return Err((at, format!("expected at most {MOST_STEPS} steps")));
        }
        lesson.steps.push(step(title.trim().to_owned(), &lines, &mut at)?);
    }
    if lesson.steps.is_empty() {
        return Err((lines.len().max(1), "expected at least one step: == and its title".to_owned()));
    }
    Ok(lesson)
}

fn decode_key(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The directives from here to the next empty line, and past that. A line that begins with a blank goes on with the one
/// before.
fn directives<'a>(lines: &[&'a str], at: &mut usize) -> Result<Vec<Directive<'a>>, Wrong> {
    let mut found: Vec<Directive<'a>> = Vec::new();
    while let Some(line) = lines.get(*at).filter(|line| !line.trim().is_empty() && !line.starts_with("== ")) {
        *at += 1;
        if line.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let Some(last) = found.last_mut() else {
                return Err((*at, "expected a directive such as show: frame before a line that goes on".to_owned()));
            };
            last.value.push(' ');
            last.value.push_str(line.trim());
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err((*at, format!("expected a directive such as show: frame, or an empty line, found \"{line}\"")));
        };
        found.push(Directive { line: *at, name: name.trim(), value: value.trim().to_owned() });
    }
    while lines.get(*at).is_some_and(|line| line.trim().is_empty()) {
        *at += 1;
    }
    Ok(found)
}

/// What is to be done, as far as it was read.
#[derive(Default)]
struct Draft {
    ask: Option<(usize, String)>,
    deed: Option<(usize, String)>,
    form: Option<(Form, Vec<String>)>,
    wrong: Vec<(usize, String)>,
    expect: Vec<Filter>,
    otherwise: Option<String>,
    keys: Vec<Press>,
    slip: Vec<Press>,
}

fn step(title: String, lines: &[&str], at: &mut usize) -> Result<Step, Wrong> {
    let begins = *at;
    let mut step = Step {
        title,
        look: Look::default(),
        script: Vec::new(),
        text: Vec::new(),
        task: Task::Read,
        hints: Vec::new(),
        praise: String::new(),
    };
    let mut draft = Draft::default();
    for Directive { line, name, value } in directives(lines, at)? {
        let wrong = |sentence: String| (line, sentence);
        match name {
            "show" => step.look = look(&value).map_err(wrong)?,
            "client" => step.script.push(script::send(Side::Client, &value).map_err(wrong)?),
            "server" => step.script.push(script::send(Side::Server, &value).map_err(wrong)?),
            "pause" => step.script.push(Statement::Pause(script::duration(&value).map_err(wrong)?)),
            "connect" => step.script.push(Statement::Connect),
            "hint" => step.hints.push(value),
            "praise" => step.praise = value,
            "ask" => draft.ask = Some((line, value)),
            "task" => draft.deed = Some((line, value)),
            "expect" => draft.expect.push(filter(&value).map_err(wrong)?),
            "wrong" => draft.wrong.push((line, value)),
            "otherwise" => draft.otherwise = Some(value),
            "keys" => draft.keys.extend(presses(&value).map_err(wrong)?),
            "slip" => draft.slip.extend(presses(&value).map_err(wrong)?),
            other => match form(other) {
                Some(form) => {
                    draft.form = Some((form, value.split(" | ").map(|one| one.trim().to_owned()).collect()));
                }
                None => {
                    return Err(wrong(format!(
                        "expected show, client, server, pause, connect, ask, task, text, exact, number, hex, bits, expect, wrong, \
                         otherwise, keys, slip, hint or praise, found \"{other}\""
                    )));
                }
            },
        }
    }
    step.task = draft.task(begins)?;
    step.text = text(lines, at)?;
    if step.text.is_empty() {
        return Err((begins, format!("expected the step \"{}\" to say something, after an empty line", step.title)));
    }
    Ok(step)
}

impl Draft {
    fn task(self, line: usize) -> Result<Task, Wrong> {
        let stray = |what: &str| Err((line, format!("expected ask: or task: in a step with {what}")));
        match (self.ask, self.deed) {
            (Some(_), Some((line, _))) => {
                Err((line, "expected one of ask: and task: in a step, found both".to_owned()))
            }
            (None, None) if self.form.is_some() => stray("an answer"),
            (None, None) if !self.expect.is_empty() => stray("expect:"),
            (None, None) if self.otherwise.is_some() || !self.wrong.is_empty() => stray("wrong: or otherwise:"),
            (None, None) => Ok(Task::Read),
            (Some((line, asks)), None) => {
                let Some((form, accepts)) = self.form else {
                    return Err((line, "expected an answer beside ask:, such as number: 126".to_owned()));
                };
                let Some(otherwise) = self.otherwise else {
                    return Err((
                        line,
                        "expected otherwise: beside ask:, which says why an answer is wrong".to_owned(),
                    ));
                };
                for one in &accepts {
                    if form.normal(one).is_none() {
                        return Err((line, format!("expected the answer to be {}, not \"{one}\"", form.expects())));
                    }
                }
                let mut wrong = Vec::new();
                for (line, value) in self.wrong {
                    let (answer, why) = pair(line, &value)?;
                    let Some(normal) = form.normal(&answer) else {
                        return Err((line, format!("expected before => {}, not \"{answer}\"", form.expects())));
                    };
                    if accepts.iter().any(|one| form.normal(one).as_ref() == Some(&normal)) {
                        return Err((line, format!("expected a wrong answer, but \"{answer}\" is accepted above")));
                    }
                    wrong.push((answer, why));
                }
                Ok(Task::Ask(Question { asks, form, accepts, wrong, otherwise }))
            }
            (None, Some((line, asks))) => {
                if self.expect.is_empty() {
                    return Err((
                        line,
                        "expected expect: beside task:, a filter for the frame that is to come".to_owned(),
                    ));
                }
                let Some(otherwise) = self.otherwise else {
                    return Err((line, "expected otherwise: beside task:, for what else is sent".to_owned()));
                };
                if self.keys.is_empty() {
                    return Err((line, "expected keys: beside task:, the keys that do it".to_owned()));
                }
                let mut wrong = Vec::new();
                for (line, value) in self.wrong {
                    let (expression, why) = pair(line, &value)?;
                    wrong.push((filter(&expression).map_err(|sentence| (line, sentence))?, why));
                }
                let Self { expect, keys, slip, .. } = self;
                Ok(Task::Do(Deed { asks, expect, wrong, otherwise, keys, slip }))
            }
        }
    }
}

fn pair(line: usize, value: &str) -> Result<(String, String), Wrong> {
    let (left, right) = value.split_once(" => ").ok_or((line, "expected wrong: WHAT => WHY".to_owned()))?;
    Ok((left.trim().to_owned(), right.trim().to_owned()))
}

fn filter(expression: &str) -> Result<Filter, String> {
    Filter::parse(expression).map_err(|error| format!("expected a filter: {error}"))
}

fn look(value: &str) -> Result<Look, String> {
    Ok(match value {
        "list" => Look::List,
        "frame" => Look::Frame,
        "bytes" => Look::Bytes,
        "handshake" => Look::Handshake,
        "ladder" => Look::Ladder,
        "nothing" => Look::Hidden,
        other => return Err(format!("expected list, frame, bytes, handshake, ladder or nothing, found \"{other}\"")),
    })
}

fn form(name: &str) -> Option<Form> {
    Some(match name {
        "text" => Form::Text,
        "exact" => Form::Exact,
        "number" => Form::Number,
        "hex" => Form::Hex,
        "bits" => Form::Bits,
        _ => return None,
    })
}

/// `t "Hello" Enter`
fn presses(value: &str) -> Result<Vec<Press>, String> {
    const NAMED: [&str; 9] = ["Enter", "Esc", "Tab", "Up", "Down", "Left", "Right", "Space", "Backspace"];
    let mut presses = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"').ok_or("expected a closing quotation mark")?;
            presses.push(Press::Type(text.to_owned()));
            rest = after.trim_start();
            continue;
        }
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        presses.push(match NAMED.iter().find(|name| **name == word) {
            Some(name) => Press::Named(name),
            None => Press::Type(word.to_owned()),
        });
        rest = after.trim_start();
    }
    Ok(presses)
}

/// Paragraphs, lines as they are (indented by four blanks), and dumps, up to the next step.
fn text(lines: &[&str], at: &mut usize) -> Result<Vec<Block>, Wrong> {
    let mut blocks = Vec::new();
    let mut paragraph = String::new();
    while let Some(line) = lines.get(*at).filter(|line| !line.starts_with("== ")) {
        *at += 1;
        let is_verbatim = line.starts_with("    ") && !line.trim().is_empty();
        let is_dump = line.starts_with("[dump ");
        if (line.trim().is_empty() || is_verbatim || is_dump) && !paragraph.is_empty() {
            blocks.push(Block::Paragraph(std::mem::take(&mut paragraph)));
        }
        if is_verbatim {
            blocks.push(Block::Verbatim(line[4..].trim_end().to_owned()));
        } else if is_dump {
            blocks.push(match line.trim_end() {
                "[dump client]" => Block::Dump(Side::Client),
                "[dump server]" => Block::Dump(Side::Server),
                other => return Err((*at, format!("expected [dump client] or [dump server], found \"{other}\""))),
            });
        } else if !line.trim().is_empty() {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        }
    }
    if !paragraph.is_empty() {
        blocks.push(Block::Paragraph(paragraph));
    }
    Ok(blocks)
}

impl fmt::Display for LessonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file.display(), self.line, self.sentence)
    }
}

impl std::error::Error for LessonError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "lesson: A title\nabout: A sentence.\n\n";

    fn parsed(steps: &str) -> Result<Lesson, LessonError> {
        Lesson::parse(Path::new("07-ping.lesson"), &format!("{HEAD}{steps}"))
    }

    #[test]
    fn a_lesson_has_a_name_a_title_and_steps_that_say_something() {
        let lesson = parsed(
            "== One\nshow: frame\nclient: text \"a\"\nhint: look\n  closer\n\nA paragraph\nof two lines.\n\n    as it is\n\
             [dump client]\nMore.\n\n== Two\nask: How long?\nnumber: 5 | 0x5\nwrong: 6 => One less.\notherwise: Count.\n\nNow you.\n",
        )
        .unwrap();
        assert_eq!((&lesson.name[..], &lesson.title[..], lesson.steps.len()), ("ping", "A title", 2));
        let one = &lesson.steps[0];
        assert_eq!((one.look, &one.hints[..], one.script.len()), (Look::Frame, &["look closer".to_owned()][..], 1));
        assert_eq!(
            one.text,
            [
                Block::Paragraph("A paragraph of two lines.".to_owned()),
                Block::Verbatim("as it is".to_owned()),
                Block::Dump(Side::Client),
                Block::Paragraph("More.".to_owned())
            ]
        );
        let Task::Ask(question) = &lesson.steps[1].task else { panic!("no question") };
        assert_eq!(question.check("5"), Ok(()));
        assert_eq!(question.check("6"), Err("One less.".to_owned()));
    }

    #[test]
    fn keys_are_typed_or_named() {
        let expected = [Press::Type("t".to_owned()), Press::Type("a b".to_owned()), Press::Named("Enter")];
        assert_eq!(presses("t \"a b\" Enter").unwrap(), expected);
    }

    #[test]
    fn a_malformed_lesson_is_refused_with_file_line_and_a_sentence() {
        let done = "expect: opcode == ping\notherwise: no\nkeys: p";
        for (steps, line, expected) in [
            ("", 3, "at least one step"),
            ("Hello\n", 4, "expected a step"),
            ("== One\n\n", 4, "to say something"),
            ("== One\nshout: a\n\nText", 5, "found \"shout\""),
            ("== One\nshow me\n\nText", 5, "expected a directive"),
            ("== One\n  more\n\nText", 5, "before a line that goes on"),
            ("== One\nshow: all\n\nText", 5, "found \"all\""),
            ("== One\nclient: whisper\n\nText", 5, "not \"whisper\""),
            ("== One\npause: long\n\nText", 5, "a time such as"),
            ("== One\nask: a\n\nText", 5, "expected an answer"),
            ("== One\nask: a\nnumber: 5\n\nText", 5, "expected otherwise:"),
            ("== One\nask: a\nnumber: five\notherwise: no\n\nText", 5, "a number, such as"),
            ("== One\nask: a\nnumber: 5\nwrong: 5 => x\notherwise: no\n\nText", 7, "is accepted above"),
            ("== One\nask: a\nnumber: 5\nwrong: 6\notherwise: no\n\nText", 7, "WHAT => WHY"),
            ("== One\nnumber: 5\n\nText", 4, "expected ask: or task:"),
            ("== One\ntask: a\nkeys: p\notherwise: no\n\nText", 5, "expected expect:"),
            ("== One\ntask: a\nexpect: opcode =\n\nText", 6, "expected a filter: column"),
            ("== One\ntask: a\nexpect: fin\notherwise: no\n\nText", 5, "expected keys:"),
            (&format!("== One\ntask: a\nask: b\n{done}\n\nText"), 5, "found both"),
            ("== One\n\n[dump nobody]", 6, "found \"[dump nobody]\""),
        ] {
            let error = parsed(steps).unwrap_err();
            assert!(error.sentence.contains(expected), "{steps:?}: {error}");
            assert_eq!(error.line, line, "{steps:?}: {error}");
            assert!(error.to_string().starts_with(&format!("07-ping.lesson, line {line}: expected ")), "{error}");
        }
        for head in ["", "lesson: a\n", "lesson: a\nabout: b\nkey: c\n", "lesson: a\nabout: b\nreply: d\n"] {
            assert!(Lesson::parse(Path::new("a.lesson"), head).is_err(), "{head}");
        }
        for file in ["A.lesson", "12.lesson", "", "a b.lesson"] {
            assert!(Lesson::parse(Path::new(file), "").unwrap_err().sentence.contains("the file's name"), "{file}");
        }
    }

    #[test]
    fn a_lesson_without_end_is_refused() {
        let steps = "== a\n\nb\n".repeat(MOST_STEPS + 1);
        assert!(parsed(&steps).unwrap_err().sentence.contains("at most 100 steps"));
        assert!(parsed(&"x".repeat(MOST_BYTES)).unwrap_err().sentence.contains("bytes"));
    }
}
