//! `pruner replay`: the cut that a manifest tells of, made again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use pruner::deps::{Counts, Kept};
use pruner::manifest::Manifest;
use pruner::pt2::Mode;
use serde_json::json;

use super::model::Model;
use super::numbers::{bytes, change, human};
use super::output::{self, Output};

/// The arguments of `pruner replay`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// The model before the cut, a `.pt2` of torch.export.
    model: PathBuf,

    /// What is left, as `prune --manifest` wrote it.
    manifest: PathBuf,

    /// The cut model.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Weights in safetensors in the place of the model's own, if the cut was made with them.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// Write batch norm and dropout so that they train; an exported program cannot be switched once it is loaded.
    #[arg(long)]
    train_mode: bool,
}

const EXAMPLES: &str = "Examples:
  pruner prune model.pt2 --ratio 0.5 -o small.pt2 --manifest cut.json
  pruner replay model.pt2 cut.json -o again.pt2
      again.pt2 is small.pt2, byte for byte";

impl Replay {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<()> {
        let read_files = [&self.model, &self.manifest].into_iter().chain(&self.weights).map(PathBuf::as_path);
        output::check_files(read_files, [&*self.output])?;
        let Model { pt2, analysis, file_bytes, .. } = Model::with_weights(&self.model, self.weights.as_deref())?;
        let manifest = read(&self.manifest)?;
        ensure!(
            manifest.changed.is_empty(),
            "{}: the cut came with other numbers in {} ({} in all), which a manifest does not hold; use the file that `prune` wrote",
            self.manifest.display(),
            manifest.changed[0],
            manifest.changed.len()
        );
        let kept = manifest.resolve(&analysis).with_context(|| self.manifest.display().to_string())?;
        pt2.write(&analysis, &kept, mode(self.train_mode), &self.output)?;
        let (before, after) = (analysis.counts(&Kept::all()), analysis.counts(&kept));
        match output {
            Output::Json => output::print_json(&json!({ "before": before, "after": after, "output": self.output })),
            Output::Table => Ok(output::print(&written(&self.output, file_bytes, before, after)?)?),
        }
    }
}

/// A line about a model that was written: what is left of the one that was read.
pub(crate) fn written(path: &Path, file_bytes: u64, before: Counts, after: Counts) -> anyhow::Result<String> {
    let place = path.display();
    let left = fs::metadata(path).with_context(|| place.to_string())?.len();
    Ok(format!(
        "{place} is written: {} ({}), {} parameters ({}), {} MACs ({})",
        bytes(left),
        change(file_bytes, left),
        human(after.params),
        change(before.params, after.params),
        human(after.macs),
        change(before.macs, after.macs)
    ))
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
