//! Measures how good pruned networks are, by every criterion and beside Torch-Pruning, and writes the page.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use pruner_bench::quality::{self, Options};

/// Trains small networks on Fashion-MNIST, prunes them by every criterion, and writes what they are still worth
///
/// A run goes on from the results that are there.
#[derive(Debug, Parser)]
#[command(name = "quality", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    match quality::run(&Cli::parse().options, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
