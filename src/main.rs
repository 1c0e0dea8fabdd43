//! The command line of `pruner`.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => {
            let output = cli.output();
            cli.run().unwrap_or_else(|error| cli::exit::failed(&error, output))
        }
        Err(error) => cli::exit::usage(&error),
    }
}
