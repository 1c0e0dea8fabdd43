//! What the processes of both sides are asked, and what they answer: a line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a process is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    /// Nothing: the answer says that the model is there.
    Ready,
    /// From the model to its groups.
    Groups,
    /// One step to a ratio of a half by magnitude, on a fresh copy of the model.
    Step,
    /// Write what the last step left as an archive. Only Torch-Pruning is asked.
    Export {
        /// The file that is written.
        archive: PathBuf,
    },
    /// Count the network of another archive. Only `pruner` is asked.
    Count {
        /// The file.
        archive: PathBuf,
    },
}

/// The answer to what has no result.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {}

/// The groups of a model.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grouped {
    /// How many may be cut.
    pub(super) groups: usize,
    /// From the model, as it is in memory, to the list of groups.
    pub(super) groups_ms: f64,
    /// From the file to the graph that `pruner` analyses.
    #[serde(default)]
    pub(super) read_ms: f64,
    /// A forward pass, which Torch-Pruning makes to find its graph.
    #[serde(default)]
    pub(super) forward_ms: f64,
}

/// One step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stepped {
    /// Scores, plan and slices.
    pub(super) step_ms: f64,
    /// The memory that the process took in the step beside what it had, at most.
    pub(super) grown_bytes: u64,
    /// The parameters that are left.
    pub(super) params: u64,
    /// What only `pruner` tells.
    #[serde(flatten)]
    pub(super) own: Option<OwnStep>,
}

/// What `pruner` tells of a step beside.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OwnStep {
    /// Of the step, the scores.
    pub(super) score_ms: f64,
    /// Of the step, the plan.
    pub(super) plan_ms: f64,
    /// Of the step, the slices.
    pub(super) apply_ms: f64,
    /// All weights read once, and as many bytes written as are kept.
    pub(super) copy_ms: f64,
    /// The same by operators of libtorch.
    pub(super) tensor_copy_ms: f64,
    /// The bytes of all weights.
    pub(super) bytes: u64,
    /// Those that are kept.
    pub(super) bytes_kept: u64,
    /// The multiply-accumulates that are left.
    pub(super) macs: u64,
}

/// What a network costs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Costs {
    /// Its parameters.
    pub(super) params: u64,
    /// Its multiply-accumulates for one image.
    pub(super) macs: u64,
}
