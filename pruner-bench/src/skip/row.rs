//! A network pruned twice in one run: trained after the steps that pruned something, and after all.

use pruner_core::events::{Cost, Summary};
use serde::{Deserialize, Serialize};

use super::networks::Net;

/// How a network is pruned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    /// The name of the scheduler.
    pub scheduler: String,
    /// The multiple of channels that layers keep.
    pub round_to: usize,
}

/// What came of a network, a way to prune it, and a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The network.
    pub network: Net,
    /// How it was pruned.
    pub setting: Setting,
    /// The seed of its first weights and of the order of the images.
    pub seed: u64,
    /// The steps of the scheduler.
    pub steps: usize,
    /// The accuracy before the first step.
    pub dense_accuracy: f64,
    /// The multiply-accumulates of one image before the first step.
    pub dense_macs: u64,
    /// Trained after the steps that pruned something.
    pub skipping: Outcome,
    /// Trained after all steps.
    pub always: Outcome,
}

/// A run of pruning in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The steps that were made.
    pub steps: usize,
    /// Those that pruned something.
    pub steps_pruned: usize,
    /// The epochs of training after steps; the last one after all of them is not counted.
    pub epochs: usize,
    /// What they cost, without the last.
    pub cost: Cost,
    /// What scoring, planning and cutting took, in seconds.
    pub pruning_seconds: f64,
    /// The accuracy at the end, after the last epoch.
    pub accuracy: f64,
    /// The multiply-accumulates of one image that are left.
    pub macs: u64,
    /// The parameters that are left.
    pub params: u64,
}

impl Outcome {
    /// Of a run that has come to its end.
    pub(super) fn new(summary: &Summary, last: Cost, last_epochs: usize) -> Self {
        let less = |a: Option<f64>, b: Option<f64>| a.map(|a| a - b.unwrap_or_default());
        Self {
            steps: summary.steps,
            steps_pruned: summary.steps_pruned,
            epochs: summary.epochs - last_epochs,
            cost: Cost {
                seconds: summary.cost.seconds - last.seconds,
                samples: summary.cost.samples - last.samples,
                macs: summary.cost.macs - last.macs,
                joules: less(summary.cost.joules, last.joules),
            },
            pruning_seconds: summary.pruning_seconds,
            accuracy: summary.quality_after.unwrap_or_default(),
            macs: summary.after.macs,
            params: summary.after.params,
        }
    }
}

impl Row {
    /// Whether it is of this network, setting and seed.
    pub(super) fn is_of(&self, network: Net, setting: &Setting, seed: u64) -> bool {
        self.network == network && self.setting == *setting && self.seed == seed
    }
}
