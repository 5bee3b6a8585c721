//! Whole sessions as scripts.
