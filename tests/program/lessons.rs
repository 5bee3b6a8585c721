//! The lessons, taken from start to end by keys alone, in a real terminal, with wrong answers first.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use wsinspect::lessons::{Lesson, Library, Press, Task};

use crate::screen::{address, quit};
use crate::support::{Client, Terminal, run, run_with};

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

#[test]
fn a_hint_is_given_a_step_is_gone_back_to_and_it_is_played_again() {
    let state = tempfile::tempdir().unwrap();
    let mut terminal = learn(WIDE, &["masking"], state.path());
    terminal.wait_for("masking 1/7: ");
    terminal.wait_for("2 frames");
    terminal.keys("s");
    terminal.wait_for("4 frames");
    terminal.keys("N");
    terminal.wait_for("masking 2/7: ");
    terminal.keys("h");
    terminal.wait_for("Hint 1: 0111 1111");
    terminal.keys("h");
    terminal.wait_for("no more hints");
    terminal.keys("B");
    terminal.wait_for("masking 1/7 \u{2713}: ");
    quit(&mut terminal);
}

#[test]
fn where_it_was_left_it_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let mut terminal = learn(NARROW, &["wire"], state.path());
    terminal.wait_for("wire 1/5: ");
    terminal.keys("N");
    terminal.wait_for("wire 2/5: ");
    answer(&mut terminal, "11");
    wait_flat(&mut terminal, "Right.");
    quit(&mut terminal);
    let mut terminal = learn(NARROW, &[], state.path());
    terminal.wait_for("2 of 5");
    terminal.wait_for("Enter goes on with step 3");
    terminal.keys("\r");
    terminal.wait_for("wire 3/5: ");
    terminal.keys("\x1b");
    terminal.wait_for("lesson wire: 2 of 5 steps done");
    quit(&mut terminal);
    let output = list(&state, &[]);
    assert!(output.stdout.contains(" 2 of  5 steps  What is on the wire"), "{}", output.stdout);
}

#[test]
fn a_lesson_beside_real_traffic_holds_nothing_up_and_gives_the_screen_back() {
    let state = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let variables = [("XDG_STATE_HOME", state.path().to_str().unwrap())];
    let mut terminal = Terminal::start_with(program, WIDE, &["serve", "127.0.0.1:0"], &variables);
    terminal.wait_for("serve 127.0.0.1:");
    let mut client = Client::open(address(&terminal));
    client.echoes("before the lesson");
    terminal.wait_for("before the lesson");
    terminal.keys("7");
    terminal.wait_for("0 of 13 lessons done");
    terminal.keys("\r");
    terminal.wait_for("wire 1/5: ");
    terminal.wait_for("lesson wire, no network");
    client.echoes("during the lesson");
    assert!(!terminal.screen().contents().contains("the lesson\""), "the lesson has frames of its own");
    terminal.keys("\x1b");
    terminal.wait_for("0 of 13 lessons done");
    terminal.keys("1");
    terminal.wait_for("during the lesson");
    quit(&mut terminal);
}

#[test]
fn a_damaged_progress_is_a_sentence_on_the_screen() {
    let state = tempfile::tempdir().unwrap();
    fs::create_dir(state.path().join("wsinspect")).unwrap();
    fs::write(state.path().join("wsinspect/lessons.toml"), "masking = yes\n").unwrap();
    let mut terminal = learn(WIDE, &[], state.path());
    terminal.wait_for("line 1: expected a lesson and its steps");
    terminal.keys("\r");
    terminal.wait_for("wire 1/5: ");
    quit(&mut terminal);
}

#[test]
fn progress_that_cannot_be_kept_is_said_and_stops_nobody() {
    let state = tempfile::tempdir().unwrap();
    // a folder stands where the file would be
    fs::create_dir_all(state.path().join("wsinspect/lessons.toml")).unwrap();
    let mut terminal = learn(WIDE, &["wire"], state.path());
    terminal.wait_for("wire 1/5: ");
    terminal.keys("N");
    terminal.wait_for("the progress is not kept: cannot write ");
    terminal.wait_for("wire 2/5: ");
    quit(&mut terminal);
}

/// `wsinspect learn` where standard output is no terminal.
fn list(state: &tempfile::TempDir, arguments: &[&str]) -> crate::support::Output {
    let arguments = [&["learn"], arguments].concat();
    run_with(&arguments, b"", &[("XDG_STATE_HOME", state.path().to_str().unwrap())])
}

#[test]
fn without_a_terminal_the_lessons_are_listed() {
    let state = tempfile::tempdir().unwrap();
    let output = list(&state, &[]);
    assert_eq!((output.code, output.stdout.lines().count()), (Some(0), 13), "{}", output.stderr);
    assert!(output.stdout.starts_with("wire "), "{}", output.stdout);
}

#[test]
fn a_lesson_that_is_not_there_is_named_with_those_that_are() {
    let output = run(&["learn", "mask"]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("there is no lesson \"mask\"; there are wire, handshake, "), "{}", output.stderr);
}

#[test]
fn a_malformed_lesson_is_refused_with_file_line_and_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("01-mine.lesson"), "lesson: Mine\nabout: B\n\n== One\nshow: all\n\nText\n").unwrap();
    let output = run(&["learn", "--lessons", folder.path().to_str().unwrap()]);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("01-mine.lesson, line 5: expected list, frame, "), "{}", output.stderr);
}

#[test]
fn lessons_of_a_folder_are_there_beside_ours() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = "lesson: My own\nabout: B\n\n== One\nclient: ping\n\nWritten by a teacher.\n";
    fs::write(folder.path().join("50-mine.lesson"), text).unwrap();
    let mut terminal = learn(NARROW, &["mine", "--lessons", folder.path().to_str().unwrap()], state.path());
    terminal.wait_for("Written by a teacher.");
    terminal.wait_for("2 frames");
    terminal.keys("N");
    terminal.wait_for("lesson mine: 1 of 1 steps done");
    quit(&mut terminal);
}
