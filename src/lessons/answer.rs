//! Questions, and what counts as an answer.

/// A question with the answers that are right, and what is to be said of some that are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub asks: String,
    /// How answers are compared.
    pub form: Form,
    /// The right ones, the first of which is the example; at least one.
    pub accepts: Vec<String>,
    /// Wrong ones, and why each is.
    pub wrong: Vec<(String, String)>,
    /// Why any other one is.
    pub otherwise: String,
}

/// How answers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As words: case, blanks and quotation marks don't count.
    Text,
    /// As text whose case counts.
    Exact,
    /// As a number: `126`, `0x7e`, `0b1111110`.
    Number,
    /// As bytes: `7f 9f`, `7f9f`, `0x7f9f`, `7f:9f`.
    Hex,
    /// As bits: `1000 0001`.
    Bits,
}

/// The longest answer that is looked at.
pub(super) const MOST: usize = 4096;

impl Question {
    /// Holds an answer against those that are expected.
    ///
    /// # Errors
    /// Why it is wrong.
    pub fn check(&self, answer: &str) -> Result<(), String> {
        let Some(given) = self.form.normal(answer) else {
            return Err(format!("\"{}\" is not {}.", shortened(answer), self.form.expects()));
        };
        let same = |expected: &String| self.form.normal(expected).as_deref() == Some(&given);
        if self.accepts.iter().any(same) {
            return Ok(());
        }
        let known = self.wrong.iter().find(|(wrong, _)| same(wrong));
        Err(known.map_or(&self.otherwise, |(_, why)| why).clone())
    }
}

impl Form {
    /// In words.
    pub const fn expects(self) -> &'static str {
        match self {
            Self::Text | Self::Exact => "an answer: a word or a few",
            Self::Number => "a number, such as 126 or 0x7e",
            Self::Hex => "bytes in hex, such as 7f 9f",
            Self::Bits => "bits, such as 1000 0001",
        }
    }

    /// An answer as it is compared; `None` if it is none of this form.
    pub(super) fn normal(self, answer: &str) -> Option<String> {
        let answer = answer.trim();
        if answer.is_empty() || answer.len() > MOST {
            return None;
        }
        match self {
            Self::Text => {
                let words = answer.trim_matches(['"', '\'', '.']).to_lowercase();
                Some(words.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|words| !words.is_empty())
            }
            Self::Exact => Some(answer.to_owned()),
            Self::Number => {
                let digits: String = answer.chars().filter(|c| !matches!(c, ' ' | '_' | ',')).collect();
                let lower = digits.to_lowercase();
                let number = match (lower.strip_prefix("0x"), lower.strip_prefix("0b")) {
                    (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
                    (None, Some(bits)) => u64::from_str_radix(bits, 2).ok(),
                    (None, None) => lower.parse().ok(),
                };
                number.map(|number| number.to_string())
            }
            Self::Hex => {
                let lower = answer.to_lowercase();
                let bytes = lower.split([' ', ':', ',', '-']).map(|part| part.strip_prefix("0x").unwrap_or(part));
                let digits: String = bytes.collect();
                hex::decode(&digits).ok().filter(|bytes| !bytes.is_empty()).map(|_| digits)
            }
            Self::Bits => {
                let lower = answer.to_lowercase();
                let digits: String = lower.strip_prefix("0b").unwrap_or(&lower).split([' ', '_']).collect();
                let are_bits = !digits.is_empty() && digits.chars().all(|c| matches!(c, '0' | '1'));
                are_bits.then_some(digits)
            }
        }
    }
}

fn shortened(answer: &str) -> String {
    answer.trim().chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(form: Form, accepts: &[&str], wrong: &[(&str, &str)]) -> Question {
        let owned = |text: &&str| (*text).to_owned();
        Question {
            asks: "?".to_owned(),
            form,
            accepts: accepts.iter().map(owned).collect(),
            wrong: wrong.iter().map(|(value, why)| (owned(value), owned(why))).collect(),
            otherwise: "no".to_owned(),
        }
    }

    #[test]
    fn an_answer_counts_however_it_is_written() {
        for (form, expected, given) in [
            (Form::Text, "ping", &["Ping", " \"ping\" ", "PING."][..]),
            (Form::Number, "126", &["126", "0x7E", "0b111_1110", " 126 "]),
            (Form::Number, "65536", &["65 536", "65,536", "0x10000"]),
            (Form::Hex, "7f 9f", &["7f9f", "7F 9F", "0x7f 0x9f", "0x7f9f", "7f:9f"]),
            (Form::Bits, "1000 0001", &["10000001", "0b10000001", "1000_0001"]),
            (Form::Exact, "s3pP", &["s3pP", " s3pP "]),
        ] {
            for answer in given {
                assert_eq!(question(form, &[expected], &[]).check(answer), Ok(()), "{answer}");
            }
        }
    }

    #[test]
    fn a_wrong_answer_is_told_why() {
        let asks = question(Form::Number, &["126"], &[("127", "127 announces eight bytes")]);
        assert_eq!(asks.check("0x7f"), Err("127 announces eight bytes".to_owned()));
        assert_eq!(asks.check("5"), Err("no".to_owned()));
        for none in ["", "  ", "many", "0x", "-1", "99999999999999999999999"] {
            assert!(asks.check(none).unwrap_err().contains("is not a number"), "{none}");
        }
        assert!(question(Form::Hex, &["7f"], &[]).check("7").unwrap_err().contains("is not bytes in hex"));
        assert!(question(Form::Bits, &["1"], &[]).check("12").unwrap_err().contains("is not bits"));
        assert!(question(Form::Exact, &["s3pP"], &[]).check("S3PP").is_err());
    }

    #[test]
    fn an_endless_answer_is_refused_and_not_repeated() {
        let why = question(Form::Text, &["a"], &[]).check(&"x".repeat(MOST + 1)).unwrap_err();
        assert!(why.len() < 200, "{why}");
    }
}
