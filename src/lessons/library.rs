//! All lessons there are: those of the program, and those of a folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::lesson::Lesson;
use super::parse::{LessonError, MOST_BYTES};

/// Lessons, in their order.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// The lessons.
    pub lessons: Vec<Arc<Lesson>>,
}

/// Why lessons of a folder can't be read.
#[derive(Debug)]
pub enum LibraryError {
    /// The folder, or a file of it.
    Unreadable(PathBuf, io::Error),
    /// It has no lesson.
    Empty(PathBuf),
    /// It has too many.
    TooMany(PathBuf),
    /// A lesson is none.
    Malformed(LessonError),
}

/// The most lessons of a folder.
const MOST: usize = 1000;
const SUFFIX: &str = "lesson";

macro_rules! shipped {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../assets/lessons/", $file)))),*]
    };
}

const SHIPPED: &[(&str, &str)] = shipped![
    "01-wire.lesson",
    "02-handshake.lesson",
    "03-first-bytes.lesson",
    "04-lengths.lesson",
    "05-masking.lesson",
    "06-fragments.lesson",
    "07-ping.lesson",
    "08-closing.lesson",
    "09-stream.lesson",
    "10-utf8.lesson",
    "11-compression.lesson",
    "12-breaking.lesson",
    "13-hexdump.lesson",
];

impl Library {
    /// The lessons that the program brings along.
    pub fn shipped() -> Self {
        static READ: OnceLock<Library> = OnceLock::new();
        let read = || {
            // a test reads all of them
            let lessons = SHIPPED.iter().filter_map(|(file, text)| Lesson::parse(Path::new(file), text).ok());
            Self { lessons: lessons.map(Arc::new).collect() }
        };
        READ.get_or_init(read).clone()
    }

    /// Adds the lessons of a folder, by the order of its files' names. One of the same name is replaced.
    pub fn add(&mut self, folder: &Path) -> Result<(), LibraryError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error| LibraryError::Unreadable(path, error)
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
                files.push(path);
            }
            if files.len() > MOST {
                return Err(LibraryError::TooMany(folder.to_owned()));
            }
        }
        if files.is_empty() {
            return Err(LibraryError::Empty(folder.to_owned()));
        }
        files.sort_unstable();
        for file in files {
            let length = fs::metadata(&file).map_err(unreadable(&file))?.len();
            if length > MOST_BYTES as u64 {
                let sentence = format!("expected at most {MOST_BYTES} bytes, found {length}");
                return Err(LibraryError::Malformed(LessonError { file, line: 1, sentence }));
            }
            let text = fs::read_to_string(&file).map_err(unreadable(&file))?;
            let lesson = Arc::new(Lesson::parse(&file, &text).map_err(LibraryError::Malformed)?);
            match self.lessons.iter_mut().find(|one| one.name == lesson.name) {
                Some(there) => *there = lesson,
                None => self.lessons.push(lesson),
            }
        }
        Ok(())
    }

    /// The place of the lesson of that name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.lessons.iter().position(|lesson| lesson.name == name)
    }
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read lessons from {}: {error}", path.display()),
            Self::Empty(folder) => {
                write!(f, "there is no lesson in {}: expected files such as 01-name.lesson", folder.display())
            }
            Self::TooMany(folder) => write!(f, "{} has more than {MOST} lessons", folder.display()),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LibraryError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lessons::{Block, Task};

    #[test]
    fn every_lesson_of_the_program_is_one() {
        for (file, text) in SHIPPED {
            let lesson = Lesson::parse(Path::new(file), text).unwrap_or_else(|error| panic!("{error}"));
            assert!(text.is_ascii(), "{file} is shown with --ascii, too");
            for step in &lesson.steps {
                let widest = step.text.iter().filter_map(|block| match block {
                    Block::Verbatim(line) => Some(line.len()),
                    _ => None,
                });
                assert!(widest.max().unwrap_or(0) <= 72, "{file}: \"{}\" is wider than a narrow pane", step.title);
            }
        }
        let names: Vec<_> = Library::shipped().lessons.iter().map(|lesson| lesson.name.clone()).collect();
        assert_eq!(names.len(), SHIPPED.len());
        let files =
            fs::read_dir("assets/lessons").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        assert_eq!(
            files.filter(|name| name.ends_with(".lesson")).count(),
            SHIPPED.len(),
            "all of the folder are shipped"
        );
    }

    #[test]
    fn each_question_takes_its_answer_and_says_what_is_wrong_with_another() {
        for lesson in Library::shipped().lessons {
            for step in &lesson.steps {
                let whole = format!("{}: {}", lesson.name, step.title);
                match &step.task {
                    Task::Read => assert!(step.hints.is_empty(), "{whole}"),
                    Task::Ask(question) => {
                        for answer in &question.accepts {
                            assert_eq!(question.check(answer), Ok(()), "{whole}");
                        }
                        for (wrong, why) in &question.wrong {
                            assert_eq!(question.check(wrong), Err(why.clone()), "{whole}");
                        }
                        assert!(question.check("no such answer").is_err(), "{whole}");
                        assert!(!question.wrong.is_empty() && !step.hints.is_empty(), "{whole}");
                        assert!(!step.praise.is_empty(), "{whole}");
                    }
                    Task::Do(deed) => {
                        assert!(!deed.slip.is_empty() && !step.hints.is_empty(), "{whole}");
                        assert!(!step.praise.is_empty(), "{whole}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_example_for_teachers_is_a_lesson() {
        let guide = include_str!("../../assets/lessons/README.md");
        let lines = guide.lines().skip_while(|line| !line.starts_with("    "));
        let example: Vec<_> = lines
            .take_while(|line| line.is_empty() || line.starts_with("    "))
            .map(|line| line.get(4..).unwrap_or(""))
            .collect();
        let lesson = Lesson::parse(Path::new("07-ping.lesson"), &example.join("\n")).unwrap();
        assert!(matches!(lesson.steps[0].task, Task::Ask(_)));
    }

    #[test]
    fn a_folder_adds_lessons_and_replaces_those_of_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, title: &str| {
            fs::write(folder.path().join(name), format!("lesson: {title}\nabout: B\n\n== One\n\nText\n")).unwrap();
        };
        write("99-mine.lesson", "Mine");
        write("01-masking.lesson", "Another one");
        fs::write(folder.path().join("notes.txt"), "not a lesson").unwrap();
        let mut library = Library::shipped();
        let before = library.lessons.len();
        let masking = library.place("masking").unwrap();
        library.add(folder.path()).unwrap();
        assert_eq!((library.lessons.len(), library.place("mine")), (before + 1, Some(before)));
        assert_eq!(library.lessons[masking].title, "Another one");
    }

    #[test]
    fn a_folder_without_lessons_or_with_a_malformed_one_is_refused_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| Library::default().add(path).unwrap_err().to_string();
        assert!(said(folder.path()).contains("expected files such as 01-name.lesson"));
        assert!(said(&folder.path().join("none")).starts_with("cannot read lessons from "));
        let file = folder.path().join("01-bad.lesson");
        fs::write(&file, "lesson: A\nabout: B\n\nText\n").unwrap();
        assert_eq!(
            said(folder.path()),
            format!("{}, line 4: expected a step, == and its title, found \"Text\"", file.display())
        );
        fs::write(&file, "x".repeat(MOST_BYTES + 1)).unwrap();
        assert!(said(folder.path()).contains("line 1: expected at most 262144 bytes"));
    }
}
