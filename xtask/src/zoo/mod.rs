//! `cargo xtask zoo`: what `pruner` does with the models that people have, beside Torch-Pruning.

mod child;
mod page;
mod row;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;

use self::page::Results;
use self::row::Bench;
use crate::cargo;
use crate::libtorch::Libtorch;
use crate::packages::Environment;

/// The arguments of `cargo xtask zoo`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The families to run; all by default
    #[arg(long, value_delimiter = ',')]
    family: Vec<Family>,
    /// Models of the families, by name; all by default
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// Only a representative dozen
    #[arg(long)]
    quick: bool,
    /// Also run what docs/zoo.json has results of
    #[arg(long)]
    again: bool,
    /// The seconds that each job of a model may take
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// The command `pruner` to judge; built if left out
    #[arg(long)]
    pruner: Option<PathBuf>,
}

/// Where models come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Family {
    Torchvision,
    Segmentation,
    Detection,
    Huggingface,
    Timm,
}

/// Runs what is asked for and was not run before, and writes docs/zoo.json and docs/zoo.md after every model.
pub(crate) fn run(
    root: &Path,
    libtorch: &Libtorch,
    python: &Environment,
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let pruner = match &options.pruner {
        Some(path) => path.canonicalize().with_context(|| format!("there is no {}", path.display()))?,
        None => build(root, libtorch)?,
    };
    let work = tempfile::tempdir().context("no temporary folder")?;
    let (docs, lock) = (root.join("docs"), root.join("target/zoo.lock"));
    fs::create_dir_all(root.join("target"))?;
    let limit = Duration::from_secs(options.limit);
    let bench = Bench { python, pruner, scripts: root.join("xtask/python"), work: work.path(), limit };
    let versions: BTreeMap<String, String> = ask(&bench, &["versions"])?;
    let cores = std::thread::available_parallelism()?.get();
    let all = Family::value_variants();
    let families = if options.family.is_empty() { all } else { options.family.as_slice() };
    let (mut run, mut passed) = (0, 0);
    for family in families {
        let value = family.to_possible_value().expect("no family is skipped");
        let family = value.get_name();
        let size = ask::<Vec<String>>(&bench, &["names", family])?.len();
        for model in names(&bench, family, options)? {
            let known = Results::read(&docs)?;
            if !options.again && known.families.get(family).is_some_and(|rows| rows.contains_key(&model)) {
                continue;
            }
            eprint!("{family} {model} … ");
            let row = bench.judge(family, &model)?;
            run += 1;
            passed += usize::from(row.passes());
            match &row.failed {
                _ if row.passes() => eprintln!("passes"),
                Some(failure) => eprintln!("{}: {}", failure.at, failure.why),
                None => eprintln!("fails"),
            }
            Results::update(&docs, &lock, |results| {
                results.versions.clone_from(&versions);
                results.cores = cores;
                results.sizes.insert(family.to_owned(), size);
                results.families.entry(family.to_owned()).or_default().insert(model, row);
            })?;
        }
    }
    println!("{passed} of {run} models that were run pass; see docs/zoo.md");
    Ok(ExitCode::SUCCESS)
}

fn names(bench: &Bench<'_>, family: &str, options: &Options) -> anyhow::Result<Vec<String>> {
    let mut args = vec!["names", family];
    args.extend(options.quick.then_some("--quick"));
    let mut names: Vec<String> = ask(bench, &args)?;
    if !options.models.is_empty() {
        names.retain(|name| options.models.contains(name));
    }
    Ok(names)
}

/// What a job of the Python side answers at once.
fn ask<T: DeserializeOwned>(bench: &Bench<'_>, args: &[&str]) -> anyhow::Result<T> {
    let done = child::run(bench.job(args)?, bench.work, bench.limit)?;
    let told = done.error.unwrap_or_default();
    let json = done.json.with_context(|| format!("the Python side of the zoo failed at {}: {told}", args.join(" ")))?;
    serde_json::from_value(json).context("the Python side of the zoo gave another form")
}

fn build(root: &Path, libtorch: &Libtorch) -> anyhow::Result<PathBuf> {
    let args = ["build", "--package", "pruner", "--bin", "pruner"];
    let status = cargo::command(root, libtorch).args(args).status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo {} failed", args.join(" "));
    cargo::built("pruner")
}
