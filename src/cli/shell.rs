//! `pruner completions` and `pruner man`: what shells and readers of manuals want.

use std::io;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// The arguments of `pruner completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    shell: Shell,
}

/// The arguments of `pruner man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command that the page is of; that of all otherwise.
    command: Option<String>,
}

impl Completions {
    pub(crate) fn run(self) {
        clap_complete::generate(self.shell, &mut Cli::command(), "pruner", &mut io::stdout());
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
        Ok(clap_mangen::Man::new(command).render(&mut io::stdout())?)
    }
}
