//! `pruner completions` and `pruner man`: what shells and readers of manuals want.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, output};

/// The arguments of `pruner completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pruner completions bash > ~/.local/share/bash-completion/completions/pruner")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// The arguments of `pruner man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pruner man prune | man -l -")]
pub(crate) struct Man {
    /// The command that the page is of; without it, `pruner` itself.
    command: Option<String>,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "pruner", &mut text);
        Ok(output::write(String::from_utf8(text)?.trim_end())?)
    }
}

impl Man {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut all = Cli::command();
        all.build();
        let command = match &self.command {
            None => all,
            Some(name) => {
                let found = all.find_subcommand(name).cloned();
                found.ok_or_else(|| anyhow::anyhow!("there is no command `{name}`; see `pruner --help`"))?
            }
        };
        let mut text = Vec::new();
        clap_mangen::Man::new(command).render(&mut text)?;
        Ok(output::write(String::from_utf8(text)?.trim_end())?)
    }
}
