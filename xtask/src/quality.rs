//! `cargo xtask quality`: brings what the harness of `pruner-bench` needs, and runs it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::cache::Cache;
use crate::libtorch::Libtorch;
use crate::packages::{Environment, Set};
use crate::{cargo, data, debian};

/// Debian's package of `WordNet`, and where it puts the files.
const WORDNET: &str = "wordnet-base";
const PACKAGED: &str = "usr/share/wordnet";

/// The variable that tells OpenMP how its threads wait.
const WAITING: &str = "OMP_WAIT_POLICY";

/// Arguments of the harness with which it needs no Python.
const ALONE: [&str; 4] = ["--without-peer", "--page", "--help", "-h"];

/// Runs the harness with the arguments that are given and with what it was brought.
pub(crate) fn run(root: &Path, libtorch: &Libtorch, args: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = cargo::command(root, libtorch);
    command.args(["run", "--package", "pruner-bench", "--bin", "quality", "--"]).args(args);
    // Where the machine does other work too, threads that wait in a loop for one without a core take most of its time.
    if std::env::var_os(WAITING).is_none() {
        command.env(WAITING, "PASSIVE");
    }
    if !given(args, &["--data", "--page", "--help", "-h"]) {
        let dir = root.join("data/fashion-mnist-full");
        data::full(&dir)?;
        command.arg("--data").arg(dir);
    }
    if !given(args, &ALONE) {
        let python = Environment::provide(Set::Quality, libtorch)?;
        let own = root.join("xtask/python");
        let path = std::env::join_paths(std::iter::once(&own).chain(&python.path))
            .context("a folder of packages has a colon in its path")?;
        command.arg("--python").arg(&python.program).env("PYTHONPATH", path);
        match wordnet() {
            Ok(dir) => drop(command.arg("--wordnet").arg(dir)),
            Err(error) => eprintln!("going without the sentence encoder, which needs WordNet: {error:#}"),
        }
    }
    cargo::run(&mut command)
}

/// Whether one of these options is among the arguments, alone or with its value.
fn given(args: &[String], options: &[&str]) -> bool {
    let is = |arg: &String| options.contains(&arg.split('=').next().unwrap_or_default());
    args.iter().any(is)
}

/// The folder of `WordNet`'s files, from the cache that checkouts share.
fn wordnet() -> anyhow::Result<PathBuf> {
    let dir = Cache::find()?.provide(WORDNET, |dir| {
        let work = tempfile::tempdir_in(dir)?;
        debian::unpack(WORDNET, work.path()).with_context(|| format!("Debian's package {WORDNET} is not to be had"))?;
        let files = work.path().join(PACKAGED);
        ensure!(files.join("data.noun").is_file(), "Debian's package {WORDNET} has no {PACKAGED}/data.noun");
        std::fs::rename(files, dir.join("wordnet")).context("cannot move WordNet's files")
    })?;
    Ok(dir.join("wordnet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_with_and_without_its_value() {
        let args = ["--quick", "--data=folder"].map(str::to_owned);
        assert!(given(&args, &["--data"]) && given(&args, &["--quick"]));
        assert!(!given(&args, &ALONE));
    }
}
