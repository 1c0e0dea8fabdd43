//! What is measured, as it is kept: a line of JSON for every cell of the table.

use pruner_core::plan::Scope;
use serde::{Deserialize, Serialize};

use super::models::Model;

/// Who prunes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// This library.
    Pruner,
    /// Torch-Pruning.
    TorchPruning,
}

/// Which network is pruned by whom, how and how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The network.
    pub model: Model,
    /// The seed of its first weights, of the order of its images, and of criteria that draw numbers.
    pub seed: u64,
    /// Who prunes.
    pub tool: Tool,
    /// The name of the criterion.
    pub criterion: String,
    /// What is ranked together.
    pub scope: Scope,
    /// How much of the multiply-accumulates has to go, in percent.
    pub percent: u32,
}

/// What became of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which it is.
    #[serde(flatten)]
    pub cell: Cell,
    /// The accuracies; or why there are none.
    pub outcome: Outcome,
    /// What it took, without the training.
    pub seconds: f64,
    /// What the training took; 0 where the network was not cut.
    pub seconds_tuning: f64,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The network was cut.
    Pruned(Accuracies),
    /// It was not, as where the criterion has nothing to say of the network.
    Failed(String),
}

/// Accuracies on the test images, and how far the cut went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracies {
    /// The share of the multiply-accumulates that is gone.
    pub macs_gone: f64,
    /// The share of the parameters that is gone.
    pub params_gone: f64,
    /// As cut.
    pub cut: f64,
    /// Then with the statistics of batch norms measured anew; nothing where there is no batch norm.
    pub recalibrated: Option<f64>,
    /// Then trained for a while.
    pub tuned: f64,
}

impl Accuracies {
    /// The accuracy without training.
    pub fn untrained(&self) -> f64 {
        self.recalibrated.unwrap_or(self.cut)
    }
}

impl Row {
    /// The accuracies, if there are any.
    pub fn accuracies(&self) -> Option<&Accuracies> {
        match &self.outcome {
            Outcome::Pruned(accuracies) => Some(accuracies),
            Outcome::Failed(_) => None,
        }
    }
}

/// A network before pruning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// The network.
    pub model: Model,
    /// The seed of its first weights and of the order of its images.
    pub seed: u64,
    /// Its accuracy on the test images.
    pub accuracy: f64,
    /// The elements of its parameters.
    pub params: u64,
    /// Its multiply-accumulates for one image.
    pub macs: u64,
    /// What training it took.
    pub seconds: f64,
}

/// What is pruned of the sentence encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The hidden units of the feed-forward layers.
    Mlp,
    /// Heads, and the dimensions of each.
    Heads,
    /// The width of the stream that all layers read and add to.
    Width,
    /// All of them.
    All,
}

/// A cut of the sentence encoder and how near its embeddings stay to the dense encoder's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoded {
    /// The name of the criterion.
    pub criterion: String,
    /// What is pruned.
    pub part: Part,
    /// How much of the multiply-accumulates has to go, in percent.
    pub percent: u32,
    /// What became of it; nothing where no cut goes so far.
    pub cosine: Option<Cosine>,
    /// What it took.
    pub seconds: f64,
}

/// How near embeddings stay to the dense encoder's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cosine {
    /// The mean of the cosines.
    pub mean: f64,
    /// The share of the multiply-accumulates that is gone.
    pub macs_gone: f64,
    /// The share of the parameters that is gone.
    pub params_gone: f64,
}
