//! Models that commands open.

use std::path::Path;

use anyhow::Context as _;
use pruner::deps::Analysis;
use pruner::pt2::Pt2;

/// An exported program, with its groups.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) pt2: Pt2,
    pub(crate) analysis: Analysis,
}

impl Model {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let place = || path.display().to_string();
        let pt2 = Pt2::open(path).with_context(place)?;
        let analysis = Analysis::new(pt2.graph()).with_context(place)?;
        Ok(Self { pt2, analysis })
    }
}
