//! From tokens to a tree. `not` binds more tightly than `and`, and that more tightly than `or`, as in Wireshark.

use std::ops::Range;

use memchr::memmem::Finder;
use regex::bytes::RegexBuilder;

use super::error::{FilterError, Problem};
use super::expr::{Compare, Expr, Search};
use super::field::{Field, Kind, PREFIX, distance};
use super::lex::{Token, tokens, unescaped};
use super::value;

/// The longest expression that is taken, in bytes.
const MAX_LENGTH: usize = 4096;
/// The most levels of parentheses and `not`.
const MAX_DEPTH: usize = 50;
/// The most memory that a regular expression may take.
const MAX_REGEX: usize = 1 << 20;

type Result<T> = std::result::Result<T, FilterError>;

/// The tree of `text`.
pub(super) fn parse(text: &str) -> Result<Expr> {
    if text.len() > MAX_LENGTH {
        return Err(FilterError { column: 1, problem: Problem::TooLong(MAX_LENGTH) });
    }
    let mut parser = Parser { text, tokens: tokens(text), at: 0, depth: 0 };
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.expected("and, or, or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token<'a>, Range<usize>)>,
    at: usize,
    depth: usize,
}

/// How a field is compared with a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Compare(Compare),
    Contains,
    Matches,
    In,
}

/// Every operator as it is written.
const OPERATORS: &[(&str, Operator)] = &[
    ("==", Operator::Compare(Compare::Equal)),
    ("!=", Operator::Compare(Compare::Unequal)),
    ("<", Operator::Compare(Compare::Less)),
    ("<=", Operator::Compare(Compare::LessOrEqual)),
    (">", Operator::Compare(Compare::Greater)),
    (">=", Operator::Compare(Compare::GreaterOrEqual)),
    ("contains", Operator::Contains),
    ("matches", Operator::Matches),
    ("in", Operator::In),
];

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Expr> {
        let mut parts = vec![self.all()?];
        while self.take("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr> {
        let mut parts = vec![self.negation()?];
        while self.take("and") {
            parts.push(self.negation()?);
        }
        Ok(one_or(parts, Expr::All))
    }

    fn negation(&mut self) -> Result<Expr> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(Problem::TooDeep(MAX_DEPTH)));
        }
        self.depth += 1;
        let expr = if self.take("not") {
            Expr::Not(Box::new(self.negation()?))
        } else if self.take("(") {
            let inner = self.any()?;
            if !self.take(")") {
                return Err(self.expected("and, or, or a closing parenthesis"));
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn test(&mut self) -> Result<Expr> {
        const EXPECTED: &str = "a field such as opcode, or a text to look for";
        let at = self.at;
        match self.peek() {
            Some(Token::Quoted(raw)) => {
                self.at += 1;
                Ok(search(Search::Contains(finder(&unescaped(raw)))))
            }
            Some(Token::Word(name)) if !is_keyword(name) => {
                self.at += 1;
                let field = Field::named(name);
                let Some((sign, operator)) = self.operator() else {
                    return match field {
                        Some(field) if field.kind() == Kind::Flag => Ok(Expr::Number(field, Compare::Equal, 1)),
                        Some(field) => Ok(Expr::Holds(field)),
                        None if name.starts_with(PREFIX) => Err(self.unknown(at, name)),
                        None => Ok(search(Search::Contains(finder(name.as_bytes())))),
                    };
                };
                let field = field.ok_or_else(|| self.unknown(at, name))?;
                self.check(field, sign, operator)?;
                self.at += 1;
                match operator {
                    Operator::In => self.set(field),
                    _ => self.compared(field, sign, operator),
                }
            }
            _ => Err(self.expected(EXPECTED)),
        }
    }

    /// The operator that comes next; it is not taken.
    fn operator(&self) -> Option<(&'static str, Operator)> {
        let (Token::Sign(next) | Token::Word(next)) = self.peek()? else { return None };
        OPERATORS.iter().find(|(sign, _)| *sign == next).copied()
    }

    fn check(&self, field: Field, sign: &'static str, operator: Operator) -> Result<()> {
        let equality = matches!(operator, Operator::Compare(Compare::Equal | Compare::Unequal));
        let (fits, takes) = match field.kind() {
            Kind::Bytes => {
                (equality || matches!(operator, Operator::Contains | Operator::Matches), "contains, matches, == or !=")
            }
            Kind::Flag | Kind::Word | Kind::Key => (equality || operator == Operator::In, "==, != or in"),
            Kind::Number | Kind::Rank | Kind::Time | Kind::Duration => {
                (matches!(operator, Operator::Compare(_) | Operator::In), "==, !=, <, <=, >, >= or in")
            }
        };
        let wrong = Problem::WrongOperator { field: field.name(), operator: sign, takes };
        if fits { Ok(()) } else { Err(self.error(wrong)) }
    }

    /// `{a, b c..d}`
    fn set(&mut self, field: Field) -> Result<Expr> {
        if !self.take("{") {
            return Err(self.expected(&format!("a set in braces such as {{{}}}", field.example())));
        }
        let mut parts = Vec::new();
        while !self.take("}") {
            let equal = self.value(field, "{", Operator::Compare(Compare::Equal))?;
            if self.take("..") {
                let Some(low) = bounded(&equal, Compare::GreaterOrEqual) else {
                    self.at -= 1;
                    return Err(self.expected("a comma or a closing brace"));
                };
                let high = self.value(field, "..", Operator::Compare(Compare::LessOrEqual))?;
                parts.push(Expr::All(vec![low, high]));
            } else {
                parts.push(equal);
            }
            self.take(",");
        }
        if parts.is_empty() {
            self.at -= 1;
            return Err(self.expected(&format!("a value such as {}", field.example())));
        }
        Ok(one_or(parts, Expr::Any))
    }

    fn compared(&mut self, field: Field, sign: &'static str, operator: Operator) -> Result<Expr> {
        if operator == Operator::Matches {
            let pattern = match self.peek() {
                Some(Token::Quoted(raw)) => raw.replace("\\\"", "\""),
                Some(Token::Word(word)) if !is_keyword(word) => word.to_owned(),
                _ => return Err(self.missing(sign, "\"pri(c|z)e\"")),
            };
            let regex = RegexBuilder::new(&pattern).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build();
            let regex = regex.map_err(|error| self.error(Problem::Regex(regex_problem(&error))))?;
            self.at += 1;
            return Ok(Expr::Payload(field, Search::Matches(Box::new(regex))));
        }
        self.value(field, sign, operator)
    }

    /// A value of the field, compared by the operator.
    fn value(&mut self, field: Field, sign: &str, operator: Operator) -> Result<Expr> {
        let text = match self.peek() {
            Some(Token::Quoted(raw)) if field.kind() == Kind::Bytes => {
                let bytes = unescaped(raw);
                self.at += 1;
                return Ok(Expr::Payload(field, bytes_search(operator, bytes)));
            }
            Some(Token::Word(word)) if !is_keyword(word) => word,
            Some(Token::Quoted(_)) => return Err(self.wrong_value(field)),
            _ => return Err(self.missing(sign, field.example())),
        };
        let Operator::Compare(compare) = operator else {
            self.at += 1;
            let bytes = value::bytes(text).unwrap_or_else(|| text.into());
            return Ok(Expr::Payload(field, bytes_search(operator, bytes)));
        };
        let expr = match field.kind() {
            Kind::Bytes => {
                let bytes = value::bytes(text).unwrap_or_else(|| text.into());
                Some(Expr::Payload(field, bytes_search(operator, bytes)))
            }
            Kind::Time => value::time(text).map(|time| Expr::Time(compare, time)),
            Kind::Key => value::key(text).map(|key| Expr::Number(field, compare, key)),
            Kind::Duration => value::duration(text).map(|time| Expr::Number(field, compare, time)),
            Kind::Flag | Kind::Number | Kind::Word | Kind::Rank => {
                let named = field.words().into_iter().find(|(word, _)| *word == text).map(|(_, number)| number);
                let number = match field.kind() {
                    Kind::Word | Kind::Rank => None,
                    Kind::Flag => value::number(text).filter(|number| *number < 2),
                    _ => value::number(text),
                };
                named.or(number).map(|number| Expr::Number(field, compare, number))
            }
        };
        let expr = expr.ok_or_else(|| self.wrong_value(field))?;
        self.at += 1;
        Ok(expr)
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).map(|(token, _)| *token)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let taken = matches!(self.peek(), Some(Token::Word(next) | Token::Sign(next)) if next == wanted);
        self.at += usize::from(taken);
        taken
    }

    fn error(&self, problem: Problem) -> FilterError {
        self.error_at(self.at, problem)
    }

    fn error_at(&self, at: usize, problem: Problem) -> FilterError {
        let byte = self.tokens.get(at).map_or(self.text.trim_end().len(), |(_, span)| span.start);
        FilterError { column: self.text[..byte].chars().count() + 1, problem }
    }

    /// What stands here, or that nothing does.
    fn expected(&self, what: &str) -> FilterError {
        let found = match self.tokens.get(self.at) {
            Some((Token::Unclosed, _)) => return self.error(Problem::Unclosed),
            Some((Token::Stray('='), _)) => return self.error(expected("==", Some("\"=\"".to_owned()))),
            Some((_, span)) => Some(shown(&self.text[span.clone()])),
            None => None,
        };
        self.error(expected(what, found))
    }

    fn missing(&self, sign: &str, example: &str) -> FilterError {
        self.expected(&format!("a value after \"{sign}\" such as {example}"))
    }

    fn unknown(&self, at: usize, name: &str) -> FilterError {
        self.error_at(at, Problem::UnknownField { name: name.to_owned(), nearest: Field::nearest(name) })
    }

    fn wrong_value(&self, field: Field) -> FilterError {
        let found = self.tokens.get(self.at).map_or("", |(_, span)| &self.text[span.clone()]);
        let near = field.words().into_iter().map(|(word, _)| (distance(found, word), word)).min();
        let example = match near {
            Some((letters, word)) if letters <= (word.len() / 3).max(1) => word.to_owned(),
            _ => field.example().to_owned(),
        };
        self.error(Problem::WrongValue { field: field.name(), found: shown(found), example })
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "and" | "or" | "not") || OPERATORS.iter().any(|(sign, _)| *sign == word)
}

fn expected(what: &str, found: Option<String>) -> Problem {
    Problem::Expected { what: what.to_owned(), found }
}

/// In quotation marks if it has none of its own, and not too much of it.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(30).collect();
    if short.starts_with(['"', '\'']) { short } else { format!("\"{short}\"") }
}

fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

fn search(search: Search) -> Expr {
    Expr::Payload(Field::Payload, search)
}

fn finder(bytes: &[u8]) -> Box<Finder<'static>> {
    Box::new(Finder::new(bytes).into_owned())
}

fn bytes_search(operator: Operator, bytes: Vec<u8>) -> Search {
    match operator {
        Operator::Compare(Compare::Equal) => Search::Equals(bytes),
        Operator::Compare(_) => Search::Differs(bytes),
        _ => Search::Contains(finder(&bytes)),
    }
}

/// The lower bound of a range, from its comparison with the first value; only numbers and times have an order.
fn bounded(equal: &Expr, compare: Compare) -> Option<Expr> {
    match equal {
        Expr::Number(field, _, value) if !matches!(field.kind(), Kind::Flag | Kind::Word | Kind::Key) => {
            Some(Expr::Number(*field, compare, *value))
        }
        Expr::Time(_, value) => Some(Expr::Time(compare, *value)),
        _ => None,
    }
}

/// The last line of what the crate says, which shows the pattern above it.
fn regex_problem(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").trim().to_owned()
}
