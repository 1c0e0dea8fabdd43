//! What the demonstration found, as data.

use std::collections::BTreeMap;

use pruner_core::deps::Counts;
use pruner_core::events::{Cost, TrainPolicy};
use pruner_core::pruner::Settings;
use serde::Serialize;

use super::prune::{Pruned, Step};
use crate::train::standard_error;

/// What the demonstration found.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct DemoReport {
    /// Where it ran.
    pub device: String,
    /// The threads of the CPU that it used.
    pub threads: usize,
    /// The images that were learnt from.
    pub train_images: usize,
    /// The images that were judged by.
    pub test_images: usize,
    /// How both runs pruned.
    pub settings: Settings,
    /// The network before.
    pub dense: Dense,
    /// The run that trained only after steps that pruned something.
    pub skipping: Run,
    /// The run that trained after every step.
    pub always: Run,
    /// The first against the second.
    pub savings: Savings,
    /// The largest difference between the outputs of the trained network with zeros in what the first run cut and with that
    /// sliced out, by the largest output.
    pub masked_equals_sliced: f64,
    /// The shape of every tensor in `pruned.safetensors`.
    pub tensors: BTreeMap<String, Vec<i64>>,
    /// What all of it took.
    pub seconds: f64,
}

/// A trained network before pruning.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Dense {
    /// Passes over the images.
    pub epochs: usize,
    /// The part of the test images whose class it names.
    pub accuracy: f64,
    /// What it costs.
    pub counts: Counts,
    /// What training it cost.
    pub training: Cost,
}

impl Dense {
    /// A network of these counts after so many epochs.
    pub(super) fn new(epochs: usize, accuracy: f64, counts: Counts, training: Cost) -> Self {
        Self { epochs, accuracy, counts, training }
    }
}

/// A run of pruning.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// Which steps were followed by training.
    pub policy: TrainPolicy,
    /// Passes over the images.
    pub epochs: f64,
    /// What they cost together.
    pub training: Cost,
    /// The part of the test images whose class the pruned network names.
    pub accuracy: f64,
    /// What the pruned network costs.
    pub counts: Counts,
    /// Every step.
    pub steps: Vec<Step>,
    /// What the training after the last step cost.
    pub finish: Cost,
}

impl Run {
    pub(super) fn new(policy: TrainPolicy, run: Pruned, train_images: usize) -> Self {
        let training = trained(&run);
        let epochs = passes(training, train_images);
        let Pruned { steps, finish, evaluation, counts, .. } = run;
        Self { policy, epochs, training, accuracy: evaluation.accuracy, counts, steps, finish }
    }
}

/// What the training of a run cost.
fn trained(run: &Pruned) -> Cost {
    run.steps.iter().filter_map(|step| step.training).fold(run.finish, |mut total, cost| {
        total += cost;
        total
    })
}

/// How often all images were seen.
fn passes(cost: Cost, train_images: usize) -> f64 {
    cost.samples as f64 / train_images as f64
}

/// What was saved by training only after steps that pruned something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Savings {
    /// Passes over the images.
    pub epochs: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// Multiply-accumulates of training, a backward pass counted as two forward passes.
    pub macs: u64,
    /// The accuracy of the run that skipped less that of the other.
    pub accuracy_difference: f64,
    /// The standard error of that difference.
    pub standard_error: f64,
    /// Whether the difference is no more than two standard errors.
    pub within_noise: bool,
}

impl Savings {
    pub(super) fn new(skipping: &Pruned, always: &Pruned, train_images: usize) -> Self {
        let (cheap, dear) = (trained(skipping), trained(always));
        let accuracy_difference = skipping.evaluation.accuracy - always.evaluation.accuracy;
        let standard_error = standard_error(&skipping.evaluation, &always.evaluation);
        Self {
            epochs: passes(dear, train_images) - passes(cheap, train_images),
            seconds: dear.seconds - cheap.seconds,
            macs: dear.macs.saturating_sub(cheap.macs),
            accuracy_difference,
            standard_error,
            within_noise: accuracy_difference.abs() <= 2.0 * standard_error,
        }
    }
}
