//! Trains a small network on Fashion-MNIST, prunes it in steps, and shows what is saved by not training after steps that
//! pruned nothing.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pruner_bench::demo::{self, Options, parse_device};
use tch::Device;

/// Trains a small network on Fashion-MNIST, prunes it in steps, and shows what is saved by not training after steps
/// that pruned nothing
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Cli {
    /// Where to run: cpu, cuda, or cuda:N for one GPU of several
    #[arg(long, default_value = "cpu", value_parser = parse_device, value_name = "DEVICE")]
    device: Device,
    /// The folder with the images [default: data/fashion-mnist, here or near the program]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder that pruned.safetensors and report.json are written to
    #[arg(long, default_value = "target/demo", value_name = "DIR")]
    out: PathBuf,
    /// The seed of the first weights and of the order of the images
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    seed: u64,
    /// The steps of pruning
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..), value_name = "NUMBER")]
    steps: u16,
    /// Use few images, to see in seconds that all works; the accuracy then says little
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let Cli { device, data, out, seed, steps, quick } = Cli::parse();
    let options = Options { device, data, out, seed, steps: steps.into(), quick };
    match demo::run(&options, &mut io::stdout().lock()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
