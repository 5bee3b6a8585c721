//! The lessons: their list, one that is open, and its keys.

use std::time::{Duration, Instant};

use super::*;
use crate::capture::Clock;
use crate::lessons::{Lesson, Session};
use crate::tui::action::{Action, View};
use crate::tui::keymap::{BINDINGS, Scope};
use crate::tui::learning;
use crate::tui::overlay::Overlay;
use crate::tui::work::Task;

/// A lesson that is open on the screen.
struct Class {
    tester: Tester,
}

impl Class {
    fn open(name: &str, step: usize, width: u16, height: u16) -> Self {
        let library = Library::shipped();
        let lesson = library.lessons[library.place(name).unwrap()].clone();
        Self::take(lesson, step, width, height)
    }

    fn take(lesson: Arc<Lesson>, step: usize, width: u16, height: u16) -> Self {
        let done = vec![false; lesson.steps.len()];
        let session = Session::open(lesson, step, Clock::start()).unwrap();
        let capture = session.capture().clone();
        let theme = Theme { color: true, ascii: false };
        let model = learning::open(session, done, theme, Size { width, height });
        let mut tester = Tester { model, reader: SnapshotReader::default(), capture, cursor: None };
        tester.draw();
        Self { tester }
    }

    /// Lets time pass until the screen is as it has to be.
    fn until(&mut self, what: &str, mut is: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            learning::tick(&mut self.tester.model);
            let screen = self.tester.screen();
            if is(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {what}:\n{screen}");
            std::thread::yield_now();
        }
    }

    fn shows(&mut self, text: &str) -> String {
        self.until(&format!("{text:?}"), |screen| screen.contains(text))
    }

    fn code(&mut self, code: KeyCode) {
        if let Some(command) = self.tester.code(code) {
            self.tester.model.learning.as_mut().unwrap().session.send(&command);
        }
    }

    fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.code(if key == '\r' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
    }
}

/// The screen without what differs from run to run.
fn timeless(screen: &str) -> String {
    let is_time = |text: &str| {
        matches!(text.len(), 8 | 12)
            && text.char_indices().all(|(at, c)| match at {
                2 | 5 => c == ':',
                8 => c == '.',
                _ => c.is_ascii_digit(),
            })
    };
    let word = |word: &str| if is_time(word) { "12:00:00.000"[..word.len()].to_owned() } else { word.to_owned() };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    screen.lines().map(line).collect()
}

#[test]
fn the_list_of_lessons_at_usual_sizes() {
    for (width, height) in [(60, 15), (80, 24), (120, 36)] {
        let traffic = mixed_traffic();
        let mut tester = Tester::new(traffic.capture.clone(), width, height);
        tester.keys("7j");
        insta::assert_snapshot!(format!("lessons {width}x{height}"), tester.screen());
    }
}

#[test]
fn a_lesson_at_usual_sizes() {
    for (width, height) in [(60, 15), (80, 24), (120, 36), (200, 50)] {
        let mut class = Class::open("masking", 1, width, height);
        let is_played = |screen: &str| screen.contains("1 open  2 frames") && screen.contains("conn 2");
        let screen = class.until("both frames", is_played);
        assert!(screen.contains("hidden until this step is done"), "{screen}");
        class.code(KeyCode::Enter);
        class.keys("b6\r");
        let wrong = class.shows("Not yet.");
        insta::assert_snapshot!(format!("lesson, wrong {width}x{height}"), timeless(&wrong));
        class.keys("\r48\r");
        class.shows("Right.");
        let right = class.shows("2 frames");
        if width < 110 {
            insta::assert_snapshot!(format!("lesson, right {width}x{height}"), timeless(&right));
        } else {
            assert!(right.contains("┌ frame 1  client"), "the frame is beside it:\n{right}");
        }
    }
}

#[test]
fn with_ascii_and_without_colour_it_says_the_same() {
    let mut class = Class::open("masking", 1, 80, 24);
    class.tester.model.theme = Theme { color: false, ascii: true };
    class.keys("\rb6\r");
    let wrong = class.shows("Not yet. ");
    class.keys("\r48\r");
    let right = class.shows("Right. ");
    assert!(wrong.is_ascii() && right.is_ascii(), "{wrong}{right}");
    assert!(right.contains("masking 2/7, done: "), "{right}");
}

#[test]
fn no_key_of_a_lesson_is_dead() {
    for binding in BINDINGS.iter().filter(|binding| binding.scope == Scope::Lesson) {
        for (key, action) in binding.keys {
            for step in [0, 1, 5, 6] {
                let mut class = Class::open("masking", step, 120, 36);
                class.shows("frame");
                let before = class.tester.screen();
                let session = |class: &Class| {
                    let session = &class.tester.model.learning.as_ref().unwrap().session;
                    (session.at(), session.hints().len())
                };
                let at = session(&class);
                update::update(&mut class.tester.model, *action, &class.tester.capture);
                if session(&class) == at && class.tester.model.task != Some(Task::Leave) {
                    // what happens again is recorded first
                    class.until(&format!("change by {key:?} in step {step}"), |screen| screen != before);
                }
            }
        }
    }
}

#[test]
fn tab_goes_through_all_panes_and_back_to_the_text_whatever_is_seen() {
    for (view, panes) in [('1', 3), ('2', 2), ('3', 1), ('4', 1), ('5', 1), ('6', 2)] {
        let mut class = Class::open("wire", 0, 80, 24);
        class.shows("2 frames");
        let focused = |class: &Class| class.tester.model.learning.as_ref().unwrap().focused;
        class.keys(&view.to_string());
        assert!(!focused(&class), "{view}");
        for pane in 1..=panes {
            class.code(KeyCode::Tab);
            assert_eq!(focused(&class), pane == panes, "{view}, pane {pane}");
        }
        class.code(KeyCode::Tab);
        assert!(!focused(&class));
        class.keys("7");
        assert!(focused(&class));
    }
}

#[test]
fn escape_goes_to_the_text_first_and_then_out_of_the_lesson() {
    let mut class = Class::open("wire", 0, 80, 24);
    class.shows("2 frames");
    class.code(KeyCode::Tab);
    class.code(KeyCode::Enter);
    for _ in 0..2 {
        class.code(KeyCode::Esc);
        assert_eq!(class.tester.model.task, None);
    }
    assert!(class.tester.model.learning.as_ref().unwrap().focused);
    class.code(KeyCode::Esc);
    assert_eq!(class.tester.model.task, Some(Task::Leave));
}

#[test]
fn the_text_or_the_pane_takes_all_the_room_and_gives_it_back() {
    let mut class = Class::open("wire", 0, 80, 24);
    class.shows("2 frames");
    class.keys("\\");
    assert!(!class.tester.screen().contains("┌ frames"));
    class.keys("\\");
    class.code(KeyCode::Tab);
    class.keys("\\");
    let screen = class.tester.screen();
    assert!(screen.contains("┌ frames") && !screen.contains("┌ wire 1/"), "{screen}");
}

#[test]
fn a_click_chooses_between_the_text_and_what_is_seen_beside_it() {
    let mut class = Class::open("wire", 0, 80, 24);
    class.shows("2 frames");
    class.tester.click(10, 16);
    assert!(!class.tester.model.learning.as_ref().unwrap().focused);
    assert_eq!(class.tester.selected(), 2);
    class.tester.click(10, 3);
    assert!(class.tester.model.learning.as_ref().unwrap().focused);
    assert_eq!(class.tester.selected(), 2, "the text has no rows");
}

#[test]
fn what_a_teacher_wrote_is_shown_and_not_obeyed() {
    let text = "lesson: \u{1b}[31mred\nabout: b\n\n== \u{1b}]0;title\u{7}\nask: \u{202e}?\ntext: a\notherwise: \u{1b}[2J\n\n\
                Text \u{1b}[2J\n\n    \u{9b}31m\n";
    let lesson = Arc::new(Lesson::parse(std::path::Path::new("mine.lesson"), text).unwrap());
    let mut class = Class::take(lesson, 0, 80, 24);
    class.keys("\rx\u{1b}\r");
    let screen = class.shows("Not yet.");
    assert!(screen.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{screen:?}");
}

#[test]
fn a_paste_goes_into_the_answer_as_one_line() {
    let mut class = Class::open("handshake", 0, 80, 24);
    class.keys("\r");
    class.tester.input(Input::Paste("10\n1".to_owned()));
    let Some(Overlay::Answer(field)) = class.tester.model.overlays.last() else { panic!("no field") };
    assert_eq!(field.text(), "10 1");
    class.code(KeyCode::Esc);
    assert!(class.tester.model.overlays.is_empty());
    assert_eq!(class.tester.model.view, View::Handshake);
    assert_eq!(update::update(&mut class.tester.model, Action::Help, &class.tester.capture), None);
    assert!(class.tester.shows("lesson: a hint"), "help has the keys of the lesson");
}
