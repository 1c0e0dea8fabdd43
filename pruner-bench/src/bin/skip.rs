//! Prunes networks twice, trained after the steps that pruned something and after all, and shows what the first saves.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use pruner_bench::skip::{self, Options};

/// Prunes networks twice, trained only after the steps that pruned something and after every step, and shows what the first saves
#[derive(Debug, Parser)]
#[command(name = "skip", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    // Schedulers are found by their names in what is linked.
    use pruner_schedulers as _;
    match skip::run(&Cli::parse().options, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
