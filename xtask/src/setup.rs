//! Where libtorch comes from, in the order in which the places are asked.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cache::Cache;
use crate::libtorch::{Libtorch, VERSION};
use crate::python::Python;
use crate::{archive, config};

/// Provides libtorch and points the checkout at `root` to it.
///
/// The places, in order: `LIBTORCH`, what the checkout already uses, the torch of the Python at hand, the cache that
/// checkouts share, filled through pip or, without one, from the official archive.
pub(crate) fn ensure(root: &Path, cuda: bool) -> anyhow::Result<Libtorch> {
    let recorded = config::read(root);
    let libtorch = match wanted_by_user(recorded.as_deref()) {
        Some(dir) => Libtorch::open(&dir, cuda)
            .with_context(|| format!("LIBTORCH is set to {}, which does not do", dir.display()))?,
        None => match recorded.and_then(|dir| still_good(&dir, cuda)) {
            Some(libtorch) => libtorch,
            None => find_or_install(cuda)?,
        },
    };
    config::write(root, &libtorch)?;
    Ok(libtorch)
}

/// `LIBTORCH`, unless it is only cargo that hands on what the checkout's own configuration says.
fn wanted_by_user(recorded: Option<&Path>) -> Option<PathBuf> {
    std::env::var_os("LIBTORCH").filter(|dir| !dir.is_empty()).map(PathBuf::from).filter(|dir| recorded != Some(dir))
}

fn still_good(dir: &Path, cuda: bool) -> Option<Libtorch> {
    let checked = Libtorch::open(dir, cuda).and_then(|libtorch| {
        Cache::verify_if_cached(libtorch.dir())?;
        Ok(libtorch)
    });
    checked.inspect_err(|error| eprintln!("looking for another libtorch: {error:#}")).ok()
}

fn find_or_install(cuda: bool) -> anyhow::Result<Libtorch> {
    let python = Python::find();
    if let Some(python) = &python
        && let Some(dir) = python.installed_torch()
    {
        match Libtorch::open(&dir, cuda).and_then(|libtorch| python.load(&libtorch, cuda).map(|()| libtorch)) {
            Ok(libtorch) => return Ok(libtorch),
            Err(error) => eprintln!("not using the PyTorch in {}: {error:#}", dir.display()),
        }
    }
    let cache = Cache::find()?;
    let name = |cuda| format!("libtorch-{VERSION}-{}", if cuda { "cuda" } else { "cpu" });
    // What a GPU needs holds what the CPU needs.
    if let Some(dir) = cache.get(&name(true)) {
        return Libtorch::open(&unpacked(&dir), cuda);
    }
    let dir = cache.provide(&name(cuda), |dir| {
        install(python.as_ref(), dir, cuda)?;
        let libtorch = Libtorch::open(&unpacked(dir), cuda)?;
        python.as_ref().map_or(Ok(()), |python| python.load(&libtorch, cuda))
    })?;
    Libtorch::open(&unpacked(&dir), cuda)
}

fn install(python: Option<&Python>, dir: &Path, cuda: bool) -> anyhow::Result<()> {
    match python {
        Some(python) => match python.install_torch(dir, cuda) {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!("pip did not bring libtorch: {error:#}"),
        },
        None => eprintln!("there is no python3"),
    }
    let url = archive::url(cuda)?;
    eprintln!("taking the official archive: {url}");
    archive::install(&url, dir).context(
        "install python3 with pip, or unpack libtorch 2.11.0 yourself and set LIBTORCH to its directory, then run this \
         again",
    )
}

/// Where in an installation libtorch is: a wheel unpacks to `torch`, the archive to `libtorch`.
fn unpacked(dir: &Path) -> PathBuf {
    let wheel = dir.join("torch");
    if wheel.is_dir() { wheel } else { dir.join("libtorch") }
}
