//! What a run will take, and how far it is.

use std::fmt;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::measure::cores;
use super::models::Model;
use super::options::Scale;
use super::row::Tool;
use super::store::Results;

/// The work that a run has before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    /// Networks to be trained.
    pub dense: Vec<Model>,
    /// Cells to be measured.
    pub cells: Vec<(Tool, Model)>,
    /// Cuts of the sentence encoder.
    pub encoded: usize,
}

/// Seconds of a core: of training a network at the full scale, and of a cell.
fn typical(model: Model) -> (f64, f64) {
    match model {
        Model::Cnn => (30.0, 2.0),
        Model::Resnet => (90.0, 4.0),
        Model::Mobilenet => (120.0, 5.0),
        Model::Vit => (90.0, 5.0),
    }
}

/// Seconds of a cut by Torch-Pruning, and of all cores for one of the sentence encoder.
const PEER: f64 = 2.5;
const ENCODED: f64 = 5.0;

impl Work {
    /// The seconds of one core that it takes: by those that the rows that are there took, and by typical ones where there are none.
    pub fn seconds(&self, results: &Results, scale: &Scale) -> f64 {
        let images = scale.epochs * scale.train_images;
        let part = images as f64 / (Scale::FULL.epochs * Scale::FULL.train_images) as f64;
        let dense: f64 = self.dense.iter().map(|&model| typical(model).0 * part).sum();
        let cells = self.cells.iter().map(|&(tool, model)| {
            let alike = results.rows.iter().filter(|row| row.cell.tool == tool && row.cell.model == model);
            let peer = if tool == Tool::TorchPruning { PEER } else { 0.0 };
            median(alike.map(|row| row.seconds + row.seconds_tuning)).unwrap_or(typical(model).1 + peer)
        });
        let encoded = median(results.encoder.iter().map(|encoded| encoded.seconds)).unwrap_or(ENCODED);
        dense + cells.sum::<f64>() + encoded * (self.encoded * cores()) as f64
    }
}

/// What half of the values are at most: some are taken while the machine does something else.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |tool| self.cells.iter().filter(|cell| cell.0 == tool).count();
        let (dense, own, peer) = (self.dense.len(), by(Tool::Pruner), by(Tool::TorchPruning));
        write!(
            f,
            "{dense} networks to train, {own} cuts and {peer} of Torch-Pruning's to judge and train, {} cuts of the sentence encoder",
            self.encoded
        )
    }
}

/// A bar on standard error where that is a terminal; it is gone once it is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar of so many parts.
    pub(super) fn new(parts: usize) -> Self {
        let style = ProgressStyle::with_template("   [{bar:24}] {pos} of {len}, {eta} left, {msg}")
            .expect("the template is well-formed")
            .progress_chars("=> ");
        Self(ProgressBar::new(parts as u64).with_style(style).with_finish(ProgressFinish::AndClear))
    }

    /// Says what is being done.
    pub(super) fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    /// A part is over.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }
}
