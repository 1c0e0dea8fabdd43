//! `pruner replay`: the cut that a manifest tells of, made again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use pruner::deps::Kept;
use pruner::manifest::Manifest;
use pruner::pt2::Mode;
use serde_json::json;

use super::model::Model;
use super::numbers::{gone, human, percent};
use super::output::{self, Output};

/// The arguments of `pruner replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The model before the cut, a `.pt2` of torch.export.
    model: PathBuf,

    /// What is left, as `prune --manifest` wrote it.
    manifest: PathBuf,

    /// The cut model.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Writes batch norm and dropout so that they train; an exported program cannot be switched once it is loaded.
    #[arg(long)]
    train_mode: bool,
}

impl Replay {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<()> {
        let Model { pt2, analysis, .. } = Model::open(&self.model)?;
        let kept = read(&self.manifest)?.resolve(&analysis).with_context(|| self.manifest.display().to_string())?;
        pt2.write(&analysis, &kept, mode(self.train_mode), &self.output)?;
        let (before, after) = (analysis.counts(&Kept::all()), analysis.counts(&kept));
        let path = self.output.display();
        match output {
            Output::Json => output::print_json(&json!({ "before": before, "after": after, "output": self.output })),
            Output::Table => Ok(output::print(&format!(
                "{path}: {} of {} parameters are left ({} gone)",
                human(after.params),
                human(before.params),
                percent(gone(before.params, after.params))
            ))?),
        }
    }
}

/// How batch norm and dropout are written.
pub(crate) fn mode(train: bool) -> Mode {
    if train { Mode::Train } else { Mode::AsExported }
}

/// Reads a manifest.
pub(crate) fn read(path: &Path) -> anyhow::Result<Manifest> {
    let place = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(place)?;
    serde_json::from_str(&text).with_context(place)
}
