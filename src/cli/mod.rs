//! Commands, one file each.

mod list;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Output;

/// Structured pruning of neural networks, with a report after every step.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Prints JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the criteria and schedulers that a config can name.
    List(list::List),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        pruner::registry::check()?;
        let output = if self.json { Output::Json } else { Output::Table };
        match self.command {
            Command::List(list) => list.run(output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
