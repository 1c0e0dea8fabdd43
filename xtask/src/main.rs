//! Sets libtorch up for this checkout and runs the project's jobs.
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    match std::env::args().nth(1).as_deref() {
        Some("setup") => setup(root),
        other => bail!("unknown subcommand {other:?}"),
    }
}

fn setup(root: &Path) -> anyhow::Result<()> {
    let libtorch =
        PathBuf::from(std::env::var_os("LIBTORCH").context("set LIBTORCH to the directory of libtorch 2.11.0")?);
    let path = libtorch.to_str().context("LIBTORCH is not UTF-8")?;
    let text = format!(
        "# Written by `cargo xtask setup`.\n\
         [env]\nLIBTORCH = \"{path}\"\n\n\
         [target.'cfg(unix)']\nrustflags = [\"-Clink-arg=-Wl,-rpath,{path}/lib\"]\n\
         rustdocflags = [\"-Clink-arg=-Wl,-rpath,{path}/lib\"]\n"
    );
    std::fs::write(root.join(".cargo/libtorch.toml"), text).context("cannot write .cargo/libtorch.toml")
}
