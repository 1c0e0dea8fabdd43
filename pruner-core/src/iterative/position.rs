//! Where a run is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::Stop;
use crate::snapshot::Snapshot;

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum Phase {
    /// The network is judged before the first step.
    Begin,
    /// A step is planned and made.
    Step,
    /// The network is judged after a step that pruned something.
    AfterCut,
    /// The training after a step that pruned nothing is skipped, unless it is trained always.
    Idle,
    /// Of the epochs after a step so many are over.
    Train { done: usize },
    /// The network is judged after its training.
    Judge,
    /// Of the epochs after the last step so many are over.
    Finish { done: usize, stop: Stop },
    /// The run is over.
    End { stop: Stop },
}

/// Where a run is, beside its pruner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) phase: Phase,
    /// How many steps of the scheduler the next cut takes.
    pub(super) stride: usize,
    /// The epochs that were trained.
    pub(super) epochs: usize,
    /// The quality before the first step, and after the last that stands.
    pub(super) dense_quality: f64,
    pub(super) quality: f64,
    /// The quality after the last cut, before its training.
    pub(super) cut_quality: f64,
    /// Why the run is over once the training after this step is.
    pub(super) stop: Option<Stop>,
    /// Whether the last step pruned something.
    pub(super) pruned: bool,
}

/// The network before a step that may be taken back.
pub(super) struct Before {
    pub(super) network: Snapshot,
    pub(super) pruner: Value,
    pub(super) training: Value,
    pub(super) step: usize,
}

impl Position {
    /// Before the first step.
    pub(super) fn new(stride: usize) -> Self {
        Self {
            phase: Phase::Begin,
            stride,
            epochs: 0,
            dense_quality: 0.0,
            quality: 0.0,
            cut_quality: 0.0,
            stop: None,
            pruned: false,
        }
    }
}
