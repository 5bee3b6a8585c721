//! All lessons there are: those of the program, and those of a folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
];

impl Library {
    /// The lessons that the program brings along.
    pub fn shipped() -> Self {
        // a test reads all of them
        let lessons = SHIPPED.iter().filter_map(|(file, text)| Lesson::parse(Path::new(file), text).ok());
        Self { lessons: lessons.map(Arc::new).collect() }
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
