//! Sets libtorch up for this checkout and runs the project's jobs.
#![allow(clippy::print_stdout, reason = "a command line tool talks")]

mod archive;
mod bundle;
mod cache;
mod cargo;
mod compare;
mod config;
mod data;
mod debian;
mod download;
mod idx;
mod libtorch;
mod packages;
mod python;
mod quality;
mod setup;
mod zoo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use packages::{Environment, Set};

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Provides libtorch 2.11.0 and points this checkout at it
    Setup {
        /// Also provide what a GPU needs: about 3 GB
        #[arg(long)]
        cuda: bool,
        /// Also provide the Python that tests compare with: about 3 GB on Linux
        #[arg(long)]
        python: bool,
    },
    /// Runs the demonstration, after what set-up it needs
    Demo {
        /// Arguments of the demonstration
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs all tests, after what set-up they need
    Test {
        /// Arguments of `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Judges models of torchvision, Hugging Face and timm, beside Torch-Pruning, and writes docs/zoo.md
    Zoo(zoo::Options),
    /// Prunes trained networks by every criterion, beside Torch-Pruning, and writes docs/quality.md
    ///
    /// Trains small networks on the full Fashion-MNIST, which it brings, cuts them and a sentence encoder, and goes on from the results that
    /// are there. `cargo xtask quality --quick` takes minutes, `--without-peer` needs no Python; `cargo xtask quality -- --help` lists all
    /// arguments.
    Quality {
        /// Arguments of the harness
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Prunes networks training after the steps that pruned something, and after all; writes docs/skip.md
    ///
    /// Half an hour on two cores; goes on from the results that are there. `cargo xtask skip --quick` takes seconds, and
    /// `cargo xtask skip -- --help` lists all arguments.
    Skip {
        /// Arguments of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Times pruner and Torch-Pruning by turns on 21 models of torchvision, and writes docs/compare.md
    ///
    /// From a model to its groups, one step that takes half of every group, the memory of it and what it leaves. All models take about half an
    /// hour; `cargo xtask compare --quick` takes three and writes to target/compare. `cargo xtask compare -- --help` lists all arguments.
    Compare {
        /// Arguments of the comparison
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measures on a GPU, or on the CPU with `--device cpu --quick`; `--page` writes docs/gpu.md
    Gpu {
        /// Arguments of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Brings the full Fashion-MNIST for the benchmarks
    Data {
        /// Where to put it
        #[arg(long, default_value = "data/fashion-mnist-full")]
        dir: PathBuf,
        /// Also write the balanced subset in data/fashion-mnist anew
        #[arg(long)]
        subset: bool,
    },
    /// Packs the benchmarks and the demonstration for a machine with a GPU, a Python with torch and no Rust
    Bundle {
        /// The archive to write
        #[arg(long, default_value = "target/pruner-bench.tar.gz")]
        out: PathBuf,
        /// Then unpack it elsewhere and run it on the CPU, with the arguments after `--`
        #[arg(long)]
        check: bool,
        /// Arguments of the launcher that `--check` runs
        #[arg(last = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace");
    match task {
        Task::Setup { cuda, python } => {
            let libtorch = setup::ensure(root, cuda)?;
            println!("libtorch {} is set up: {}", libtorch::VERSION, libtorch.dir().display());
            if python {
                let environment = Environment::provide(Set::Test, &libtorch)?;
                packages::record(root, &environment)?;
                println!("Python is set up: {}", environment.program.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Demo { args } => {
            let libtorch = setup::ensure(root, false)?;
            let run = ["run", "--package", "pruner-bench", "--bin", "demo", "--"];
            cargo::run(cargo::command(root, &libtorch).args(run).args(args))
        }
        Task::Test { args } => {
            let libtorch = setup::ensure(root, false)?;
            packages::record(root, &Environment::provide(Set::Test, &libtorch)?)?;
            cargo::run(cargo::command(root, &libtorch).args(["test", "--workspace"]).args(args))
        }
        Task::Zoo(options) => {
            let libtorch = setup::ensure(root, false)?;
            let python = Environment::provide(Set::Zoo, &libtorch)?;
            zoo::run(root, &libtorch, &python, &options)
        }
        Task::Quality { args } => {
            let libtorch = setup::ensure(root, false)?;
            quality::run(root, &libtorch, &args)
        }
        Task::Skip { args } => {
            let libtorch = setup::ensure(root, false)?;
            let run = ["run", "--package", "pruner-bench", "--bin", "skip", "--"];
            cargo::run(cargo::command(root, &libtorch).args(run).args(args))
        }
        Task::Compare { args } => {
            let libtorch = setup::ensure(root, false)?;
            compare::run(root, &libtorch, &args)
        }
        Task::Gpu { args } => {
            let libtorch = setup::ensure(root, false)?;
            let run = ["run", "--package", "pruner-bench", "--bin", "gpu", "--"];
            cargo::run(cargo::command(root, &libtorch).args(run).args(args))
        }
        Task::Data { dir, subset } => {
            let dir = root.join(dir);
            data::full(&dir)?;
            println!("the full Fashion-MNIST lies in {}", dir.display());
            if subset {
                let subset = root.join("data/fashion-mnist");
                data::subset(&dir, &subset)?;
                println!("the balanced subset lies in {}", subset.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Bundle { out, check, args } => {
            let libtorch = setup::ensure(root, false)?;
            let out = root.join(out);
            let bytes = bundle::pack(root, &libtorch, &out)?;
            println!("{} ({:.1} MiB)", out.display(), bytes as f64 / f64::from(1 << 20));
            if check { bundle::check(&out, &libtorch, &args) } else { Ok(ExitCode::SUCCESS) }
        }
    }
}
