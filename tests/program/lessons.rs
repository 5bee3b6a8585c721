//! The lessons, taken from start to end by keys alone, in a real terminal, with wrong answers first.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use wsinspect::lessons::{Lesson, Library, Press, Task};

use crate::screen::quit;
use crate::support::Terminal;

const NARROW: (u16, u16) = (80, 24);
const WIDE: (u16, u16) = (120, 36);

fn learn(size: (u16, u16), arguments: &[&str], state: &Path) -> Terminal {
    let arguments = [&["learn"], arguments].concat();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    Terminal::start_with(program, size, &arguments, &[("XDG_STATE_HOME", state.to_str().unwrap())])
}

/// What stands on the screen, without borders and line ends. In a wide terminal, only the lesson's columns count.
fn flat(screen: &vt100::Screen) -> String {
    let columns = screen.size().1.get();
    let width = if columns >= 110 { (columns * 2 / 5).min(76) } else { columns };
    let rows = screen.rows(0, width);
    let words = rows.map(|row| row.replace(['│', '|'], " ")).collect::<Vec<_>>().join(" ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wait_flat(terminal: &mut Terminal, text: &str) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let beginning: String = text.chars().take(48).collect();
    terminal.wait_until(&format!("{beginning:?} in the lesson"), |screen| flat(screen).contains(beginning.trim()));
}

fn typed(presses: &[Press]) -> String {
    let key = |press: &Press| match press {
        Press::Type(text) => text.clone(),
        Press::Named(name) => match *name {
            "Enter" => "\r",
            "Tab" => "\t",
            "Up" => "\x1b[A",
            "Down" => "\x1b[B",
            "Right" => "\x1b[C",
            "Left" => "\x1b[D",
            "Space" => " ",
            "Backspace" => "\x7f",
            other => panic!("{other} can't be typed after other keys"),
        }
        .to_owned(),
    };
    presses.iter().map(key).collect()
}

fn answer(terminal: &mut Terminal, text: &str) {
    terminal.keys("\r");
    terminal.wait_until("the field for the answer", |screen| {
        !screen.contents().contains("Enter, then type") && screen.contents().contains("answer: ")
    });
    terminal.keys(&format!("{text}\r"));
}

/// Takes a lesson, with wrong answers first.
fn take(name: &str, size: (u16, u16)) {
    let library = Library::shipped();
    let lesson: &Lesson = &library.lessons[library.place(name).unwrap()];
    let state = tempfile::tempdir().unwrap();
    let mut terminal = learn(size, &[name], state.path());
    let steps = lesson.steps.len();
    for (place, step) in lesson.steps.iter().enumerate() {
        terminal.wait_for(&format!("{name} {}/{steps}: ", place + 1));
        match &step.task {
            Task::Read => {}
            Task::Ask(question) => {
                for (wrong, why) in question.wrong.iter().take(2) {
                    answer(&mut terminal, wrong);
                    wait_flat(&mut terminal, &format!("Not yet. {why}"));
                }
                answer(&mut terminal, &question.accepts[0]);
            }
            Task::Do(deed) => {
                terminal.wait_for("1 open");
                terminal.keys(&typed(&deed.slip));
                let known: Vec<_> = deed.wrong.iter().map(|(_, why)| why).chain([&deed.otherwise]).collect();
                let beginnings = known.into_iter().map(|why| why.chars().take(30).collect::<String>());
                let beginnings: Vec<_> = beginnings.collect();
                terminal.wait_until("what was wrong with that", |screen| {
                    let text = flat(screen);
                    beginnings.iter().any(|why| text.contains(why.trim()))
                });
                // where it was closed, there is another one
                terminal.wait_for("1 open");
                terminal.keys(&typed(&deed.keys));
            }
        }
        if !matches!(step.task, Task::Read) {
            wait_flat(&mut terminal, &format!("Right. {}", step.praise));
        }
        terminal.keys("\r");
    }
    terminal.wait_for(&format!("lesson {name}: {steps} of {steps} steps done"));
    terminal.wait_for(&format!("{steps} of {steps}, done"));
    quit(&mut terminal);
    let kept = fs::read_to_string(state.path().join("wsinspect/lessons.toml")).unwrap();
    let all: Vec<_> = (1..=steps).map(|step| step.to_string()).collect();
    assert!(kept.contains(&format!("{name} = [{}]", all.join(", "))), "{kept}");
    let left = fs::read_dir(state.path().join("wsinspect")).unwrap().count();
    assert_eq!(left, 1, "the recording of the lesson goes with it");
}

macro_rules! lessons {
    ($($test:ident: $name:literal,)*) => {
        const TAKEN: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                take($name, NARROW);
            }
        )*
    };
}

lessons! {
    wire_can_be_done_by_keys_alone: "wire",
    handshake_can_be_done_by_keys_alone: "handshake",
    first_bytes_can_be_done_by_keys_alone: "first-bytes",
    lengths_can_be_done_by_keys_alone: "lengths",
    masking_can_be_done_by_keys_alone: "masking",
    fragments_can_be_done_by_keys_alone: "fragments",
    ping_can_be_done_by_keys_alone: "ping",
    closing_can_be_done_by_keys_alone: "closing",
    stream_can_be_done_by_keys_alone: "stream",
    utf8_can_be_done_by_keys_alone: "utf8",
    compression_can_be_done_by_keys_alone: "compression",
    breaking_can_be_done_by_keys_alone: "breaking",
    hexdump_can_be_done_by_keys_alone: "hexdump",
}

#[test]
fn no_lesson_is_left_out() {
    let there: BTreeSet<_> = Library::shipped().lessons.iter().map(|lesson| lesson.name.clone()).collect();
    assert_eq!(there, TAKEN.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn a_lesson_can_be_done_in_a_wide_terminal_as_well() {
    take("ping", WIDE);
}
