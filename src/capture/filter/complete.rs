//! What may come next in an expression: for the prompt.

use super::field::{FIELDS, Field, PREFIX};
use super::lex::{Token, tokens};

/// What the word at the cursor may become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where the word begins, in bytes.
    pub start: usize,
    /// What may stand there, in the order of the language.
    pub candidates: Vec<&'static str>,
}

/// The words that can stand after operators and between tests.
const KEYWORDS: [&str; 6] = ["and", "or", "not", "contains", "matches", "in"];

/// What the word that ends at byte `cursor` of `text` may become: after an operator a value of the field before it, else
/// a field or a keyword.
pub fn complete(text: &str, cursor: usize) -> Completion {
    let before = text.get(..cursor).unwrap_or(text);
    let tokens = tokens(before);
    let (start, word) = match tokens.last() {
        Some((Token::Word(word), span)) if span.end == before.len() => (span.start, *word),
        Some((Token::Unclosed, _)) => return Completion { start: cursor, candidates: Vec::new() },
        _ => (before.len(), ""),
    };
    let earlier: Vec<Token<'_>> =
        tokens.iter().filter(|(_, span)| span.end <= start).map(|(token, _)| *token).collect();
    let candidates: Vec<&str> = match value_of(&earlier) {
        Some(field) => field.words().into_iter().map(|(word, _)| word).collect(),
        None => FIELDS.iter().map(|(name, ..)| *name).chain(KEYWORDS).collect(),
    };
    // Wireshark's whole names are understood, and completed to the short ones
    let stem = word.strip_prefix(PREFIX).unwrap_or(word);
    let start = start + word.len() - stem.len();
    let candidates = candidates.into_iter().filter(|name| name.starts_with(stem)).collect();
    Completion { start, candidates }
}

/// The field whose value comes next.
fn value_of(earlier: &[Token<'_>]) -> Option<Field> {
    let named = |token: &Token<'_>| match token {
        Token::Word(name) => Field::named(name),
        _ => None,
    };
    if let [.., field, Token::Sign("==" | "!=" | "<" | "<=" | ">" | ">=")] = earlier {
        return named(field);
    }
    // within a set
    let open = earlier.iter().rposition(|token| *token == Token::Sign("{"))?;
    let inside = !earlier[open..].contains(&Token::Sign("}"));
    match &earlier[..open] {
        [.., field, Token::Word("in")] if inside => named(field),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn completes(text: &str, start: usize, candidates: &[&str]) {
        let found = complete(text, text.len());
        assert_eq!((found.start, found.candidates.as_slice()), (start, candidates), "{text}");
    }

    #[test]
    fn fields_and_keywords_complete_where_a_test_begins() {
        completes("op", 0, &["opcode"]);
        completes("fin and (pay", 9, &["payload_length", "payload", "payload.text", "payload.close.status_code"]);
        completes("websocket.op", 10, &["opcode"]);
        completes("fin an", 4, &["and"]);
        assert!(complete("", 0).candidates.len() > 20);
    }

    #[test]
    fn values_complete_after_an_operator_and_in_a_set() {
        completes("opcode == p", 10, &["ping", "pong"]);
        completes("from==", 6, &["client", "server"]);
        completes("opcode in {text, b", 17, &["binary"]);
        completes("n == ", 5, &[]);
        assert!(complete("rule == un", 10).candidates.contains(&"unmasked-client-frame"));
    }

    #[test]
    fn nothing_completes_inside_a_string() {
        completes("payload contains \"op", 20, &[]);
    }
}
