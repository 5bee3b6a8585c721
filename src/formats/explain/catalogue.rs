//! Close codes, rules and the accept key as text.

use super::handshake::put_steps;
use crate::anatomy::{self, CloseCodeAnatomy, Example};
use crate::formats::Look;
use crate::formats::paper::{Ink, Paper};
use crate::lint::Rule;
use crate::wire::CloseCode;

/// What `wsinspect explain 1006` prints.
pub fn explain_close_code(code: CloseCode, look: &Look) -> String {
    let CloseCodeAnatomy { name, class, meaning, may_be_sent, section, .. } = anatomy::close_code(code);
    let mut paper = Paper::new(look);
    paper.paragraph(0, &[(Ink::Title, &format!("close code {}: {name}", code.0))]);
    paper.end_line();
    let [high, low] = code.0.to_be_bytes();
    let sent = if may_be_sent {
        format!("may be sent, as the first two bytes of a close frame: {high:02x} {low:02x}")
    } else {
        "must not be sent; a close frame that holds it breaks the protocol".to_owned()
    };
    for (name, value) in [("meaning", meaning), ("class", class), ("on the wire", &sent), ("section", section)] {
        row(&mut paper, name, value, 11);
    }
    paper.finish()
}

/// What `wsinspect explain --rule ID` prints.
pub fn explain_rule(rule: Rule, look: &Look) -> String {
    let mut paper = Paper::new(look);
    paper.paragraph(0, &[(Ink::Title, rule.id())]);
    paper.end_line();
    paper.blanks(2);
    paper.paragraph(2, &[(Ink::Plain, rule.sentence())]);
    paper.end_line();
    let code =
        rule.close_code().map_or("none; the connection is not failed for it".to_owned(), |code| code.to_string());
    let code =
        if rule.group() == crate::lint::Group::Handshake { "none; no WebSocket is opened".to_owned() } else { code };
    row(&mut paper, "why", anatomy::reason(rule), 10);
    row(&mut paper, "group", rule.group().name(), 10);
    row(&mut paper, "level", rule.level().name(), 10);
    row(&mut paper, "section", rule.section(), 10);
    row(&mut paper, "close code", &code, 10);
    let nothing = |line: &'static str| if line.is_empty() { "nothing" } else { line };
    let example = match anatomy::example(rule) {
        Example::Frames { from, deflate: false, hex } => format!("{hex} from a {from}"),
        Example::Frames { from, deflate: true, hex } => format!("{hex} from a {from}, with permessage-deflate"),
        Example::Request { instead_of, line } => {
            format!("a request with {} in place of \"{}\"", nothing(line), instead_of.trim_end())
        }
        Example::Response { instead_of, line } => {
            format!("a response with {} in place of \"{}\"", nothing(line), instead_of.trim_end())
        }
    };
    row(&mut paper, "broken by", &example, 10);
    paper.finish()
}

/// What `wsinspect explain --accept KEY` prints.
pub fn explain_accept(key: &str, look: &Look) -> String {
    let mut paper = Paper::new(look);
    let title = "from Sec-WebSocket-Key to Sec-WebSocket-Accept";
    paper.paragraph(0, &[(Ink::Title, title), (Ink::Dim, "[RFC 6455 1.3, 4.2.2]")]);
    paper.end_line();
    put_steps(&mut paper, &anatomy::accept_steps(key));
    paper.finish()
}

/// What `wsinspect rules` prints: the catalogue by groups.
pub fn rules_table(look: &Look) -> String {
    let mut paper = Paper::new(look);
    let width = |text: fn(Rule) -> &'static str| Rule::ALL.iter().map(|&rule| text(rule).len()).max().unwrap_or(0);
    let (id_width, section_width) = (width(Rule::id), width(Rule::section));
    let mut group = None;
    for &rule in Rule::ALL {
        if group != Some(rule.group()) {
            if group.replace(rule.group()).is_some() {
                paper.end_line();
            }
            paper.paragraph(0, &[(Ink::Title, rule.group().name())]);
        }
        paper.blanks(2);
        paper.cell(Ink::Name, rule.id(), id_width);
        paper.cell(Ink::Finding(rule.level()), rule.level().name(), 6);
        paper.cell(Ink::Dim, rule.section(), section_width);
        let code = rule.close_code().map_or("-".to_owned(), |code| code.0.to_string());
        paper.cell(Ink::Value, &code, 4);
        paper.paragraph(4, &[(Ink::Plain, rule.sentence())]);
    }
    paper.finish()
}

fn row(paper: &mut Paper, name: &str, value: &str, width: usize) {
    paper.blanks(2);
    paper.cell(Ink::Name, name, width);
    paper.paragraph(4, &[(Ink::Plain, value)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_says_whether_it_may_be_sent() {
        let text = explain_close_code(CloseCode(1006), &Look::default());
        assert!(text.starts_with("close code 1006: abnormal closure\n"), "{text}");
        assert!(text.contains("must not be sent"));
        assert!(explain_close_code(CloseCode::NORMAL, &Look::default()).contains("03 e8"));
    }

    #[test]
    fn the_table_holds_every_rule_with_its_section_and_code() {
        for width in [60, 80, 160] {
            let look = Look { width, ..Look::default() };
            let table = rules_table(&look);
            assert!(table.lines().all(|line| line.chars().count() <= width), "{table}");
            for &rule in Rule::ALL {
                let line = table.lines().find(|line| line.split_whitespace().next() == Some(rule.id())).unwrap();
                assert!(line.contains(rule.section()) && line.contains(rule.level().name()), "{line}");
                assert!(rule.close_code().is_none_or(|code| line.contains(&code.0.to_string())), "{line}");
            }
        }
    }

    #[test]
    fn a_rule_has_its_sentence_and_an_example() {
        let text = explain_rule(Rule::CloseCodeForbidden, &Look::default());
        assert!(text.contains("88 02 03 ee from a server"), "{text}");
        assert!(explain_rule(Rule::HostMissing, &Look::default()).contains("none; no WebSocket is opened"));
    }

    #[test]
    fn the_accept_value_of_rfc_6455_1_3_is_derived() {
        let text = explain_accept("dGhlIHNhbXBsZSBub25jZQ==", &Look::default());
        assert!(text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
    }
}
