//! Compares `pruner` with Torch-Pruning on the same models, and writes the page.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pruner_bench::compare::{self, CompareError, Options};

/// Times pruner and Torch-Pruning by turns on the same models of torchvision: from the model to its groups, and one step at 50 %
///
/// Each side runs in a process of its own on one thread. Models are exported once to the folder of archives. Results go to
/// pruner-bench/results/compare.json, and docs/compare.md tells them.
#[derive(Debug, Parser)]
#[command(name = "compare", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// Answer requests on an archive: what this program starts itself with
    #[arg(long, hide = true, value_name = "ARCHIVE")]
    serve: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), CompareError> {
    match &cli.serve {
        Some(archive) => compare::serve(archive, io::stdin().lock(), &mut io::stdout().lock()),
        None => compare::run(&cli.options, &mut io::stdout().lock()),
    }
}
