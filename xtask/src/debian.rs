//! Packages of Debian, for the data that they hold.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Downloads a package and unpacks it into `dir`; root is not needed for either.
pub(crate) fn unpack(package: &str, dir: &Path) -> anyhow::Result<()> {
    if quietly(Command::new("apt-get").args(["download", package]).current_dir(dir)).is_err() {
        // The machine's lists may be missing or old, and only root may renew them: make lists of our own.
        let state = dir.join("apt");
        fs::create_dir_all(state.join("lists/partial"))?;
        fs::create_dir_all(state.join("cache/archives/partial"))?;
        let own = [
            format!("-oDir::State::lists={}", state.join("lists").display()),
            format!("-oDir::Cache={}", state.join("cache").display()),
        ];
        quietly(Command::new("apt-get").args(&own).args(["-oDebug::NoLocking=1", "update"]).current_dir(dir))?;
        quietly(Command::new("apt-get").args(&own).args(["download", package]).current_dir(dir))?;
    }
    let mut files = fs::read_dir(dir)?.filter_map(Result::ok).map(|entry| entry.path());
    let file = files.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let file = file.context("apt-get download left no package")?;
    quietly(Command::new("dpkg-deb").arg("-x").arg(file).arg(dir))
}

fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("no {program} here"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", told.lines().last().unwrap_or("no reason given"));
    Ok(())
}
