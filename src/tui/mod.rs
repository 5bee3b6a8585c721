//! The live panel: what the capture holds, on a terminal, and the keys that act on it.
//!
//! It has an operating-system thread of its own. It reads from [`crate::capture::Capture`] and asks for things through
//! [`crate::control::Control`]; nothing here can hold up the traffic. Input becomes an action, `update` turns the
//! model and the action into the next model and perhaps a command, and `view` draws the model and a snapshot of what
//! is in view.

mod action;
mod composer;
mod course;
mod detail;
mod dump;
mod file_form;
mod form;
mod incoming;
mod keymap;
mod layout;
mod learning;
mod list;
mod listing;
mod model;
mod navigate;
mod offscreen;
mod overlay;
mod pointer;
mod pretty;
mod prompt;
mod recorded;
mod rows;
mod run;
mod sending;
mod snapshot;
mod spot;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod update;
mod view;
mod work;

pub use course::Course;
pub use keymap::key_table;
pub use offscreen::Offscreen;
pub use run::{Outcome, Screen, StopScreen, run};
pub use terminal::restore;
