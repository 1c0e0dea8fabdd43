//! Measures on a GPU: that masked equals sliced there, scoring, slicing, steps, and networks before and after.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use pruner_bench::gpu::{self, Options};

/// Measures on a GPU: that masked equals sliced there, how fast it scores and slices, and how much faster pruned networks are
#[derive(Debug, Parser)]
#[command(name = "gpu", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    match gpu::run(&Cli::parse().options, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
