//! Lessons: text files that explain, have something happen on a connection of their own, and set tasks.
//!
//! The connection is inside the program: our endpoint is its server, and a script or the learner its client. What they
//! send goes through the same recorder as traffic of a network, so the panel shows it as it shows any. How a lesson is
//! written stands in `assets/lessons/README.md`.

mod answer;
mod lesson;
mod library;
mod parse;
mod progress;
mod script;
mod session;
mod stage;

pub use answer::{Form, Question};
pub use lesson::{Block, Deed, Lesson, Look, Press, Step, Task};
pub use library::{Library, LibraryError};
pub use parse::LessonError;
pub use progress::Progress;
pub use session::{Feedback, Session, SessionError};
