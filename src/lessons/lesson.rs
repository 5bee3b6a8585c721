//! What a lesson consists of.

use super::answer::Question;
use super::script::Statement;
use crate::capture::filter::Filter;
use crate::wire::Side;

/// A lesson.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// What it is opened by: `masking`.
    pub name: String,
    /// `Masking, done by hand`
    pub title: String,
    /// What one can do after it, in a sentence.
    pub about: String,
    /// The Sec-WebSocket-Key of its first connection, of 16 bytes.
    pub key: [u8; 16],
    /// Whether the client offers permessage-deflate.
    pub deflate: bool,
    /// Whether the server sends messages back.
    pub echo: bool,
    /// At least one.
    pub steps: Vec<Step>,
}

/// A page of a lesson.
#[derive(Clone, Debug)]
pub struct Step {
    /// A few words.
    pub title: String,
    /// What is seen beside the text.
    pub look: Look,
    /// What happens on the connection when the step is opened.
    pub script: Vec<Statement>,
    /// What it says.
    pub text: Vec<Block>,
    /// What is to be done.
    pub task: Task,
    /// From a nudge to nearly all of it.
    pub hints: Vec<String>,
    /// What is said when it is done.
    pub praise: String,
}

/// A part of a step's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// To be wrapped.
    Paragraph(String),
    /// As it is: tables, bytes.
    Verbatim(String),
    /// All bytes that this side has sent in the step.
    Dump(Side),
}

/// What is seen beside the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Look {
    /// The list of frames.
    #[default]
    List,
    /// The fields of the first frame of the step.
    Frame,
    /// The bytes of the first frame of the step.
    Bytes,
    /// The opening handshake.
    Handshake,
    /// The frames as arrows.
    Ladder,
    /// Nothing, until the task is done.
    Hidden,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Task {
    /// To read.
    Read,
    /// To answer.
    Ask(Question),
    /// To make something happen.
    Do(Deed),
}

/// Something that is to happen on the connection.
#[derive(Clone, Debug)]
pub struct Deed {
    /// What, in a sentence.
    pub asks: String,
    /// Frames that have to come, each another one.
    pub expect: Vec<Filter>,
    /// Frames that should not, and what is to be said of them.
    pub wrong: Vec<(Filter, String)>,
    /// What is said where something was sent that is not what is expected.
    pub otherwise: String,
    /// Keys that do it, each time.
    pub keys: Vec<Press>,
    /// Keys that do something else first.
    pub slip: Vec<Press>,
}

/// Keys of an example, as they are typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Press {
    /// Characters.
    Type(String),
    /// `Enter`, `Esc`, `Tab`, `Up`, `Down`, `Left`, `Right`, `Space`, `Backspace`.
    Named(&'static str),
}

impl Lesson {
    /// The step at that place, from 0; the last one where there are fewer.
    pub fn step(&self, at: usize) -> &Step {
        &self.steps[at.min(self.steps.len() - 1)]
    }
}

impl Task {
    /// What it asks for; nothing where there is only something to read.
    pub fn asks(&self) -> Option<&str> {
        match self {
            Self::Read => None,
            Self::Ask(question) => Some(&question.asks),
            Self::Do(deed) => Some(&deed.asks),
        }
    }
}
