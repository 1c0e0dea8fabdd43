//! Running cargo as if the user had typed it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::libtorch::Libtorch;

/// Cargo in the checkout, with libtorch at hand even where the user's own `RUSTFLAGS` hide the checkout's.
pub(crate) fn command(root: &Path, libtorch: &Libtorch) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).env("LIBTORCH", libtorch.dir());
    // What cargo told this process of its package would make build scripts that watch it run again.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_this_package) {
            command.env_remove(name);
        }
    }
    if ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"].iter().any(|name| std::env::var_os(name).is_some()) {
        let name = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
        command.env(name, first_in(libtorch.lib().into_os_string(), std::env::var_os(name)));
    }
    command
}

/// Runs it in the foreground and hands its exit code on.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// An executable of the same profile as this one, which lies beside it.
pub(crate) fn built(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program is unknown")?;
    Ok(own.with_file_name(name))
}

fn of_this_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn first_in(mut first: OsString, rest: Option<OsString>) -> OsString {
    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
        first.push(":");
        first.push(rest);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_search_path_adds_no_empty_entry() {
        assert_eq!(first_in("/lib".into(), None), "/lib");
        assert_eq!(first_in("/lib".into(), Some(OsString::new())), "/lib");
        assert_eq!(first_in("/lib".into(), Some("/a:/b".into())), "/lib:/a:/b");
    }
}
