//! `wsinspect completions` and `wsinspect man`: made from the definition of the command line, so that they can't differ.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, explain};

/// `wsinspect completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell is to complete
    pub shell: Shell,
}

/// Prints the completions of a shell.
pub fn run_completions(completions: &Completions) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "wsinspect", &mut text);
    explain::print(&String::from_utf8_lossy(&text), ExitCode::SUCCESS)
}

/// Prints the man page, with a section for each command.
pub fn run_man() -> anyhow::Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    let mut text = Vec::new();
    let cannot = "cannot write the man page";
    clap_mangen::Man::new(command.clone()).render(&mut text).context(cannot)?;
    for command in command.get_subcommands() {
        let name = command.get_name().to_uppercase();
        text.extend_from_slice(format!(".SH WSINSPECT {name}\n").as_bytes());
        let man = clap_mangen::Man::new(command.clone());
        man.render_synopsis_section(&mut text).context(cannot)?;
        man.render_description_section(&mut text).context(cannot)?;
        man.render_options_section(&mut text).context(cannot)?;
    }
    explain::print(&String::from_utf8_lossy(&text), ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_and_the_man_page_know_every_command() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "wsinspect", &mut text);
            let text = String::from_utf8(text).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
