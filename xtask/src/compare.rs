//! `cargo xtask compare`: brings a Python with Torch-Pruning, and runs the comparison of `pruner-bench`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::cargo;
use crate::libtorch::Libtorch;
use crate::packages::{Environment, Set};

/// Arguments with which the comparison needs no Python.
const ALONE: [&str; 3] = ["--page", "--help", "-h"];

/// Runs the comparison with the arguments that are given.
pub(crate) fn run(root: &Path, libtorch: &Libtorch, args: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = cargo::command(root, libtorch);
    command.args(["run", "--release", "--package", "pruner-bench", "--bin", "compare", "--"]).args(args);
    if !args.iter().any(|arg| ALONE.contains(&arg.as_str())) {
        let python = Environment::provide(Set::Zoo, libtorch)?;
        let own = root.join("xtask/python");
        let path = std::env::join_paths(std::iter::once(&own).chain(&python.path))
            .context("a folder of packages has a colon in its path")?;
        command.arg("--python").arg(&python.program).env("PYTHONPATH", path);
    }
    cargo::run(&mut command)
}
