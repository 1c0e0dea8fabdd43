//! Commands, one file each.

mod diff;
mod exit;
mod inspect;
mod list;
mod model;
mod numbers;
mod output;
mod progress;
mod prune;
mod replay;
mod run;
mod settings;
mod shell;
mod stats;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Output;

/// Structured pruning of neural networks: exported PyTorch models in, smaller ones out, with no hints and a report of what
/// was cut and why not the rest.
#[derive(Debug, Parser)]
#[command(name = "pruner", version, arg_required_else_help = true, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// Prints JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the groups of a model: what is cut together, and what pins the rest.
    Inspect(inspect::Inspect),
    /// Cuts a model.
    Prune(Box<prune::Prune>),
    /// Checks that a model runs, and that what cuts leave of it is what masking leaves.
    Verify(verify::Verify),
    /// Compares two models layer by layer.
    Diff(diff::Diff),
    /// Makes the cut of a manifest again.
    Replay(replay::Replay),
    /// Shows what a model costs: parameters, multiply-accumulates, memory, latency.
    Stats(stats::Stats),
    /// Lists the criteria and schedulers that a config can name.
    List(list::List),
    /// Prints the completions of a shell.
    Completions(shell::Completions),
    /// Prints the manual page.
    Man(shell::Man),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        pruner::registry::check()?;
        let output = if self.json { Output::Json } else { Output::Table };
        match self.command {
            Command::Inspect(inspect) => inspect.run(output)?,
            Command::Prune(prune) => return prune.run(output),
            Command::Verify(verify) => return verify.run(output),
            Command::Diff(diff) => diff.run(output)?,
            Command::Replay(replay) => replay.run(output)?,
            Command::Stats(stats) => stats.run(output)?,
            Command::List(list) => list.run(output)?,
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
