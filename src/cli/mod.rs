//! Commands, one file each.

mod diff;
pub(crate) mod exit;
mod inspect;
mod list;
mod model;
mod numbers;
mod output;
mod progress;
mod prune;
mod replay;
mod report;
mod run;
mod samples;
mod schema;
mod settings;
mod shell;
mod stats;
mod verify;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

use output::Output;

/// Structured pruning of neural networks: exported PyTorch models in, smaller ones out, with no hints and a report of what
/// was cut and why not the rest.
#[derive(Debug, Parser)]
#[command(name = "pruner", version, arg_required_else_help = true, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// Print JSON instead of tables.
    #[arg(long, global = true, display_order = 1000)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the groups of a model: what is cut together, and what pins the rest.
    Inspect(inspect::Inspect),
    /// Cut a model: channels go, and a smaller model is written.
    Prune(Box<prune::Prune>),
    /// Check that a model runs, and that what cuts leave of it is what masking leaves.
    Verify(verify::Verify),
    /// Compare two models layer by layer.
    Diff(diff::Diff),
    /// Make the cut of a manifest again.
    Replay(replay::Replay),
    /// Make a page of a run of iterative pruning from its log.
    Report(report::Report),
    /// Show what a model costs: parameters, multiply-accumulates, memory, latency.
    Stats(stats::Stats),
    /// List the criteria and schedulers that a config can name.
    List(list::List),
    /// Print the JSON schema of a config.
    Schema(schema::Schema),
    /// Print the completions for a shell.
    Completions(shell::Completions),
    /// Print the manual page.
    Man(shell::Man),
}

impl Cli {
    pub(crate) fn output(&self) -> Output {
        if self.json { Output::Json } else { Output::Table }
    }

    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        pruner::registry::check()?;
        let output = self.output();
        if let (Output::Json, Command::Completions(_) | Command::Man(_)) = (output, &self.command) {
            let what = "completions and manual pages are no JSON: leave --json out";
            return Ok(exit::usage(&Self::command().error(ErrorKind::ArgumentConflict, what)));
        }
        match self.command {
            Command::Inspect(inspect) => inspect.run(output)?,
            Command::Prune(prune) => return prune.run(output),
            Command::Verify(verify) => return verify.run(output),
            Command::Diff(diff) => diff.run(output)?,
            Command::Replay(replay) => replay.run(output)?,
            Command::Report(report) => report.run(output)?,
            Command::Stats(stats) => stats.run(output)?,
            Command::List(list) => list.run(output)?,
            Command::Schema(schema) => schema.run()?,
            Command::Completions(completions) => completions.run()?,
            Command::Man(man) => man.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
