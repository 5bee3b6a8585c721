//! `wsinspect explain` and `wsinspect rules`: read what is asked for, print what the core says of it.

use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::Context as _;

use super::{ColorChoice, Explain, FailOn, Look, Rules, Show, UsageError};
use crate::formats::explain::{
    Input, Options, explain_accept, explain_close_code, explain_frames, explain_handshake, explain_rule, parse_input,
    rules_table,
};
use crate::formats::{self, wants_color};
use crate::lint::{Level, Limits, Rule};
use crate::wire::CloseCode;

/// Exit code when a rule of `--fail-on` is broken.
pub const FINDINGS: u8 = 3;
/// The most that is read from standard input.
const MAX_INPUT: u64 = 64 << 20;

/// Explains frames, a handshake, a close code, a rule or an accept key.
pub fn run_explain(explain: &Explain) -> anyhow::Result<ExitCode> {
    let look = on_paper(&explain.look);
    if let Some(id) = &explain.rule {
        let rule = Rule::from_id(id).ok_or_else(|| UsageError(unknown_rule(id)))?;
        return print(&explain_rule(rule, &look), ExitCode::SUCCESS);
    }
    if let Some(key) = &explain.accept {
        return print(&explain_accept(key, &look), ExitCode::SUCCESS);
    }
    if let [code] = &explain.input[..]
        && let Some(code) = close_code(code)
    {
        return print(&explain_close_code(code, &look), ExitCode::SUCCESS);
    }
    let text = if explain.input.is_empty() { read_input()? } else { explain.input.join(" ") };
    let (text, findings) = match parse_input(&text).map_err(|error| UsageError(error.to_string()))? {
        Input::Frames(bytes) => {
            let limits = Limits { max_frame: u64::MAX, max_message: MAX_INPUT };
            let options = Options { from: explain.from.map(Into::into), limits, deflate: explain.deflate };
            let explanation = explain_frames(&bytes, &options);
            (explanation.to_text(&look), explanation.findings().map(|finding| finding.rule).collect::<Vec<_>>())
        }
        Input::Handshake { bytes, line_breaks_changed } => {
            if line_breaks_changed {
                let _ = writeln!(io::stderr(), "wsinspect: the text had LF line breaks; it is explained with CR LF");
            }
            let explanation = explain_handshake(&bytes);
            (explanation.to_text(&look), explanation.findings().map(|finding| finding.rule).collect())
        }
    };
    let fails = explain.fail_on.is_some_and(|level| findings.iter().any(|rule| rule.level() >= level.into()));
    print(&text, if fails { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
}

/// Prints the catalogue of rules.
pub fn run_rules(rules: &Rules) -> anyhow::Result<ExitCode> {
    print(&rules_table(&on_paper(&rules.look)), ExitCode::SUCCESS)
}

impl From<FailOn> for Level {
    fn from(level: FailOn) -> Self {
        match level {
            FailOn::Must => Self::Must,
            FailOn::Should => Self::Should,
            FailOn::Advice => Self::Advice,
        }
    }
}

impl Show {
    /// The bounds that the linter goes by.
    pub fn limits(&self) -> Limits {
        Limits { max_frame: self.max_frame, max_message: self.max_message }
    }
}

impl Look {
    /// Whether standard output is coloured.
    pub fn is_colored(&self) -> bool {
        match self.color {
            ColorChoice::Auto => wants_color(&io::stdout()),
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        }
    }
}

fn on_paper(look: &Look) -> formats::Look {
    let terminal = io::stdout().is_terminal().then(crossterm::terminal::size).and_then(Result::ok);
    // longer lines are hard to read
    let width = terminal.map_or(100, |(columns, _)| usize::from(columns)).min(120);
    formats::Look { width, color: look.is_colored(), ascii: look.ascii, ..formats::Look::default() }
}

/// Four digits that begin with 1 to 4 are a close code; `0x1006` or `10 06` are bytes.
fn close_code(text: &str) -> Option<CloseCode> {
    let is_code = text.len() == 4 && text.starts_with(['1', '2', '3', '4']) && text.bytes().all(|b| b.is_ascii_digit());
    is_code.then(|| text.parse().ok().map(CloseCode))?
}

fn unknown_rule(id: &str) -> String {
    // the rule whose name shares the most words
    let words = |id: &str| id.split('-').map(str::to_owned).collect::<Vec<_>>();
    let asked = words(id);
    let similar = Rule::ALL
        .iter()
        .map(|rule| (words(rule.id()).iter().filter(|word| asked.contains(word)).count(), rule))
        .filter(|(shared, _)| *shared > 0)
        .max_by_key(|(shared, _)| *shared);
    match similar {
        Some((_, rule)) => format!("there is no rule \"{id}\"; did you mean {rule}? wsinspect rules lists all"),
        None => format!("there is no rule \"{id}\"; wsinspect rules lists all"),
    }
}

fn read_input() -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        let _ = writeln!(io::stderr(), "wsinspect: reading hex or a handshake from the terminal; Ctrl-D ends it");
    }
    let mut bytes = Vec::new();
    io::stdin().take(MAX_INPUT + 1).read_to_end(&mut bytes).context("cannot read standard input")?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(UsageError(format!("standard input holds more than {} MiB", MAX_INPUT >> 20)).into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Prints `text` on standard output.
pub(super) fn print(text: &str, code: ExitCode) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // whoever closed our output has read enough
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(code),
    }
}
