//! Models that commands open.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use pruner::deps::Analysis;
use pruner::exec::GraphModule;
use pruner::pt2::Pt2;
use serde::Serialize;
use tch::Device;

use super::output;

/// An exported program, with its groups.
#[derive(Debug)]
pub(crate) struct Model {
    path: PathBuf,
    pub(crate) pt2: Pt2,
    pub(crate) analysis: Analysis,
    pub(crate) times: Times,
    /// The size of its file.
    pub(crate) file_bytes: u64,
}

/// How long it took to open a model.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Times {
    /// From the file to its graph.
    pub(crate) read_ms: f64,
    /// From the graph to its groups.
    pub(crate) analysis_ms: f64,
}

impl Model {
    /// Opens a model with other weights, from safetensors.
    pub(crate) fn with_weights(path: &Path, weights: Option<&Path>) -> anyhow::Result<Self> {
        let mut model = Self::open(path)?;
        if let Some(weights) = weights {
            model.pt2.read_weights(weights)?;
        }
        Ok(model)
    }

    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let place = || path.display().to_string();
        let start = Instant::now();
        let pt2 = Pt2::open(path).with_context(place)?;
        let file_bytes = fs::metadata(path).with_context(place)?.len();
        let read_ms = ms(start);
        let start = Instant::now();
        let analysis = Analysis::new(pt2.graph()).with_context(place)?;
        Ok(Self { path: path.to_owned(), pt2, analysis, times: Times { read_ms, analysis_ms: ms(start) }, file_bytes })
    }

    /// The model as a network to run; says what of it is not run as it was exported.
    pub(crate) fn load(&self, device: Device) -> anyhow::Result<GraphModule> {
        let module = GraphModule::load(&self.pt2, device).with_context(|| self.path.display().to_string())?;
        module.warnings().iter().for_each(|warning| output::warn(warning));
        Ok(module)
    }
}

fn ms(start: Instant) -> f64 {
    1000.0 * start.elapsed().as_secs_f64()
}
