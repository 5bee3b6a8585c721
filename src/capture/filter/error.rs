//! What is wrong with an expression, and where.

use std::fmt;

/// An expression that can't be understood: one line that says where and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The character at fault, counted from 1; one past the end where something is missing there.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Something else was expected.
    Expected {
        /// What.
        what: String,
        /// What stands there; nothing at the end.
        found: Option<String>,
    },
    /// No field has this name.
    UnknownField {
        /// The name.
        name: String,
        /// One that is much like it.
        nearest: Option<&'static str>,
    },
    /// The field is not compared in this way.
    WrongOperator {
        /// The field.
        field: &'static str,
        /// The operator.
        operator: &'static str,
        /// The operators that it takes.
        takes: &'static str,
    },
    /// The field is not compared with such a value.
    WrongValue {
        /// The field.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What a value looks like, or one that is much like it.
        example: String,
    },
    /// A string without its end.
    Unclosed,
    /// A regular expression that is none, or is too big.
    Regex(String),
    /// It is longer than is taken.
    TooLong(usize),
    /// Parentheses and `not` are nested deeper than is taken.
    TooDeep(usize),
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.problem)
    }
}

impl std::error::Error for FilterError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected { what, found: None } => write!(f, "expected {what}"),
            Self::Expected { what, found: Some(found) } => write!(f, "expected {what}, found {found}"),
            Self::UnknownField { name, nearest: Some(nearest) } => {
                write!(f, "there is no field \"{name}\"; did you mean {nearest}?")
            }
            Self::UnknownField { name, nearest: None } => {
                write!(f, "there is no field \"{name}\"; expected one such as opcode, payload or conn")
            }
            Self::WrongOperator { field, operator, takes } => {
                write!(f, "{field} is not compared by {operator}; expected {takes}")
            }
            Self::WrongValue { field, found, example } => {
                write!(f, "{field} is not compared with {found}; expected a value such as {example}")
            }
            Self::Unclosed => f.write_str("expected a closing quotation mark before the end"),
            Self::Regex(error) => write!(f, "expected a regular expression: {error}"),
            Self::TooLong(most) => write!(f, "expected an expression of at most {most} bytes"),
            Self::TooDeep(most) => write!(f, "expected at most {most} levels of parentheses and not"),
        }
    }
}
