//! The loop that the library is for: make a step of pruning, read its report, and train only where that is worth its while.

use pruner_core::deps::{Counts, Kept};
use pruner_core::exec::GraphModule;
use pruner_core::optim::Sgd;
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_core::report::StepReport;
use pruner_importance::Magnitude;
use pruner_schedulers::Cubic;
use serde::Serialize;

use super::watch::Watch;
use super::{DemoError, EVALUATION_BATCH, TRAINING_BATCH, sgd};
use crate::data::FashionMnist;
use crate::train::{Cost, Evaluation, Schedule, Training, evaluate, train};

/// Which steps are followed by training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Those that pruned something.
    WhenPruned,
    /// All, as is done where a step does not say whether it pruned anything.
    Always,
}

/// A step of pruning and the training after it.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What the step says.
    pub report: StepReport,
    /// The accuracy after the cut, before any training.
    pub accuracy_after_cut: f64,
    /// What the training cost; `None` where there was none.
    pub training: Option<Cost>,
    /// The accuracy after it.
    pub accuracy_after_training: Option<f64>,
}

/// A run of pruning.
#[derive(Debug)]
pub(super) struct Pruned {
    /// Every step.
    pub(super) steps: Vec<Step>,
    /// What the training after the last step cost.
    pub(super) finish: Cost,
    /// How well the pruned network does.
    pub(super) evaluation: Evaluation,
    /// What it costs.
    pub(super) counts: Counts,
    /// The channels that are left of the dense network's.
    pub(super) kept: Kept,
}

/// What is pruned: the channels with the smallest weights, most of them early, to half, to sizes that hardware likes.
pub(super) fn settings(steps: usize, seed: u64) -> Settings {
    Settings::new(Box::new(Magnitude::default()), Box::new(Cubic {}))
        .with_steps(steps)
        .with_limits(Limits::new(0.5).with_round_to(8))
        .with_seed(seed)
}

/// Prunes a trained network in steps, each followed by half an epoch of training where `policy` says so, and trains what is
/// left for an epoch.
pub(super) fn prune(
    module: &mut GraphModule,
    data: &FashionMnist,
    settings: Settings,
    policy: Policy,
    watch: &mut dyn Watch,
) -> Result<Pruned, DemoError> {
    let (steps, seed, epoch) = (settings.steps, settings.seed, data.train.len());
    let mut pruner = GroupPruner::new(module, settings)?;
    let mut optimizer = Sgd::new(module.parameters(), sgd());
    let training = |images, step: usize, macs_per_image| Training {
        images,
        batch_size: TRAINING_BATCH,
        schedule: Schedule::Cosine(0.05),
        seed: seed.wrapping_add(step as u64),
        macs_per_image,
    };
    let mut evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
    let mut made: Vec<Step> = Vec::new();
    // The last epoch counts for two steps.
    let part = |step: usize, done: f64| (step as f64 + done) / (steps + 2) as f64;

    for step in 0..steps {
        // Parameters, buffers and the momentum of the optimiser are cut together.
        let report = pruner.step(module, &mut optimizer)?;
        if report.pruned() {
            evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
        }
        let accuracy_after_cut = evaluation.accuracy;

        let mut cost = None;
        if report.should_train() || policy == Policy::Always {
            let training = training(epoch / 2, step, report.after.macs);
            let after_batch = &mut |done| watch.part(part(step, done));
            cost = Some(train(module, &mut optimizer, &data.train, &training, after_batch)?);
            evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
        }

        let over = report.is_terminal();
        let accuracy_after_training = cost.map(|_| evaluation.accuracy);
        made.push(Step { report, accuracy_after_cut, training: cost, accuracy_after_training });
        watch.step(&made[made.len() - 1]);
        if over {
            break;
        }
    }

    let training = training(epoch, steps, pruner.counts().macs);
    let after_batch = &mut |done: f64| watch.part(part(steps, 2.0 * done));
    let finish = train(module, &mut optimizer, &data.train, &training, after_batch)?;
    evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
    let (counts, kept) = (pruner.counts(), pruner.kept().clone());
    Ok(Pruned { steps: made, finish, evaluation, counts, kept })
}
