//! An expression in words and signs.

use std::ops::Range;

use winnow::Parser;
use winnow::ascii::multispace0;
use winnow::combinator::{alt, delimited, dispatch, empty, fail, not, preceded, repeat, terminated};
use winnow::error::ContextError;
use winnow::stream::LocatingSlice;
use winnow::token::{any, none_of, rest, take_while};

/// A word or a sign. Whatever is none of the language is one, too: the parser knows what was expected in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, a number, a keyword.
    Word(&'a str),
    /// What stands between quotation marks, as it is written.
    Quoted(&'a str),
    /// An operator or a bracket.
    Sign(&'static str),
    /// A string that never ends.
    Unclosed,
    /// A character that means nothing here.
    Stray(char),
}

type Input<'a> = LocatingSlice<&'a str>;
type Result<T> = winnow::Result<T, ContextError>;

/// The tokens of `text` and where each of them stands, in bytes.
pub(super) fn tokens(text: &str) -> Vec<(Token<'_>, Range<usize>)> {
    let mut input = LocatingSlice::new(text);
    let tokens: Result<Vec<_>> =
        preceded(multispace0, repeat(0.., terminated(token.with_span(), multispace0))).parse_next(&mut input);
    // nothing is no token but white space: there is no way to fail
    tokens.unwrap_or_default()
}

fn token<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    alt((sign, quoted, word.map(Token::Word), any.map(Token::Stray))).parse_next(input)
}

fn sign<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    alt((
        "==".value("=="),
        "!=".value("!="),
        "<=".value("<="),
        ">=".value(">="),
        "&&".value("and"),
        "||".value("or"),
        "..".value(".."),
        dispatch! {any;
            '<' => empty.value("<"),
            '>' => empty.value(">"),
            '!' => empty.value("not"),
            '(' => empty.value("("),
            ')' => empty.value(")"),
            '{' => empty.value("{"),
            '}' => empty.value("}"),
            ',' => empty.value(","),
            _ => fail,
        },
    ))
    .map(Token::Sign)
    .parse_next(input)
}

fn quoted<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    let inside = |quote: char| {
        let one = alt((('\\', any).void(), none_of([quote, '\\']).void()));
        delimited(quote, repeat::<_, _, (), _, _>(0.., one).take(), quote)
    };
    alt((
        inside('"').map(Token::Quoted),
        inside('\'').map(Token::Quoted),
        (alt(('"', '\'')), rest).value(Token::Unclosed),
    ))
    .parse_next(input)
}

/// Anything between white space and signs.
fn word<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    (part, repeat::<_, _, (), _, _>(0.., alt((part, "'")))).take().parse_next(input)
}

/// Letters, or a dot: two dots are a sign.
fn part<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    let is_letter = |c: char| !c.is_whitespace() && !c.is_control() && !"()!<>={},&|\"'.".contains(c);
    alt((take_while(1.., is_letter), ('.', not('.')).take())).parse_next(input)
}

/// What a string stands for: `\n \r \t \0 \\ \" \' \xff \u{1f600}`; before anything else a backslash stands for itself.
pub(super) fn unescaped(raw: &str) -> Vec<u8> {
    let mut input = raw;
    let escape = preceded(
        '\\',
        dispatch! {any::<&str, ContextError>;
            'n' => empty.value(vec![b'\n']),
            'r' => empty.value(vec![b'\r']),
            't' => empty.value(vec![b'\t']),
            '0' => empty.value(vec![0]),
            '\\' => empty.value(vec![b'\\']),
            '"' => empty.value(vec![b'"']),
            '\'' => empty.value(vec![b'\'']),
            'x' => take_while(2..=2, |c: char| c.is_ascii_hexdigit())
                .verify_map(|digits| u8::from_str_radix(digits, 16).ok())
                .map(|byte| vec![byte]),
            'u' => delimited('{', take_while(1..=6, |c: char| c.is_ascii_hexdigit()), '}')
                .verify_map(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?))
                .map(|c| c.to_string().into_bytes()),
            _ => fail,
        },
    );
    let plain = any.map(|c: char| c.to_string().into_bytes());
    let parts: Result<Vec<Vec<u8>>> = repeat(0.., alt((escape, plain))).parse_next(&mut input);
    // every character is a part of its own if it is nothing else: there is no way to fail
    parts.unwrap_or_default().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_signs_and_strings_stand_where_they_stand() {
        use Token::{Quoted, Sign, Word};
        let seen = tokens("opcode==1 && !(\"a \\\" b\") || n in {1..5, 7} payload.text");
        let only: Vec<_> = seen.iter().map(|(token, _)| *token).collect();
        assert_eq!(
            only,
            [
                Word("opcode"),
                Sign("=="),
                Word("1"),
                Sign("and"),
                Sign("not"),
                Sign("("),
                Quoted("a \\\" b"),
                Sign(")"),
                Sign("or"),
                Word("n"),
                Word("in"),
                Sign("{"),
                Word("1"),
                Sign(".."),
                Word("5"),
                Sign(","),
                Word("7"),
                Sign("}"),
                Word("payload.text"),
            ]
        );
        assert_eq!(seen[1].1, 6..8);
    }

    #[test]
    fn what_is_no_token_is_one_too() {
        assert_eq!(
            tokens("a = \"b").iter().map(|(token, _)| *token).collect::<Vec<_>>(),
            [Token::Word("a"), Token::Stray('='), Token::Unclosed]
        );
        assert_eq!(tokens("don't")[0].0, Token::Word("don't"));
    }

    #[test]
    fn escapes_are_bytes_and_what_is_no_escape_is_itself() {
        assert_eq!(unescaped(r#"a\n\x00\xff\"\\\u{e9}\d\"#), b"a\n\x00\xff\"\\\xc3\xa9\\d\\");
    }
}
