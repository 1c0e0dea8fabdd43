//! The loop that the library is for: make a step of pruning, read its report, and train only where that is worth its while.

use pruner_core::deps::{Counts, Kept};
use pruner_core::exec::GraphModule;
use pruner_core::optim::{Sgd, SgdSettings};
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_core::report::StepReport;
use pruner_importance::Magnitude;
use pruner_schedulers::Cubic;
use serde::Serialize;

use super::{DemoError, EVALUATION_BATCH, MOMENTUM, TRAINING_BATCH, WEIGHT_DECAY};
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
pub struct Pruned {
    /// Every step.
    pub steps: Vec<Step>,
    /// How well the pruned network does.
    pub evaluation: Evaluation,
    /// What it costs.
    pub counts: Counts,
    /// The channels that are left of the dense network's.
    pub kept: Kept,
}

/// Who looks on.
pub trait Watch {
    /// The part of the run that is over.
    fn part(&mut self, done: f64);

    /// A step that is over with its training.
    fn step(&mut self, step: &Step);
}

/// What is pruned: the channels with the smallest weights, most of them early, to half, to sizes that hardware likes.
pub fn settings(steps: usize, seed: u64) -> Settings {
    Settings::new(Box::new(Magnitude::default()), Box::new(Cubic {}))
        .with_steps(steps)
        .with_limits(Limits::new(0.5).with_round_to(8))
        .with_seed(seed)
}

/// Prunes a trained network in steps, each followed by a pass over the images where `policy` says so.
pub fn prune(
    module: &mut GraphModule,
    data: &FashionMnist,
    settings: Settings,
    policy: Policy,
    watch: &mut dyn Watch,
) -> Result<Pruned, DemoError> {
    let (steps, seed) = (settings.steps, settings.seed);
    let mut pruner = GroupPruner::new(module, settings)?;
    let mut optimizer = Sgd::new(
        module.parameters(),
        SgdSettings::default().with_momentum(MOMENTUM).with_weight_decay(WEIGHT_DECAY).with_nesterov(),
    );
    let mut evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
    let mut made: Vec<Step> = Vec::new();

    for step in 0..steps {
        // Parameters, buffers and the momentum of the optimiser are cut together.
        let report = pruner.step(module, &mut optimizer)?;
        if report.pruned() {
            evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
        }
        let accuracy_after_cut = evaluation.accuracy;

        let mut training = None;
        if report.should_train() || policy == Policy::Always {
            let pass = Training {
                epochs: 1,
                batch_size: TRAINING_BATCH,
                schedule: Schedule::Cosine(0.02),
                seed: seed.wrapping_add(step as u64),
                macs_per_image: report.after.macs,
            };
            let mut part = |done: f64| watch.part((step as f64 + done) / steps as f64);
            training = Some(train(module, &mut optimizer, &data.train, &pass, &mut part)?);
            evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
        }

        let over = report.is_terminal();
        let accuracy_after_training = training.map(|_| evaluation.accuracy);
        made.push(Step { report, accuracy_after_cut, training, accuracy_after_training });
        watch.step(&made[made.len() - 1]);
        watch.part((step + 1) as f64 / steps as f64);
        if over {
            break;
        }
    }
    Ok(Pruned { steps: made, evaluation, counts: pruner.counts(), kept: pruner.kept().clone() })
}
