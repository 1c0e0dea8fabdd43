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

/// A network that is being pruned in steps, each followed by half an epoch of training where the policy says so.
pub(super) struct Pruning<'a> {
    module: &'a mut GraphModule,
    data: &'a FashionMnist,
    policy: Policy,
    pruner: GroupPruner,
    optimizer: Sgd,
    evaluation: Evaluation,
    steps: Vec<Step>,
}

impl<'a> Pruning<'a> {
    /// A trained network before the first step.
    pub(super) fn new(
        module: &'a mut GraphModule,
        data: &'a FashionMnist,
        settings: Settings,
        policy: Policy,
    ) -> Result<Self, DemoError> {
        let pruner = GroupPruner::new(module, settings)?;
        let optimizer = Sgd::new(module.parameters(), sgd());
        let evaluation = evaluate(module, &data.test, EVALUATION_BATCH)?;
        Ok(Self { module, data, policy, pruner, optimizer, evaluation, steps: Vec::new() })
    }

    /// Makes a step, and trains where that is worth its while or the policy is to train always. `None` where the run is over.
    pub(super) fn step(&mut self, after_batch: &mut dyn FnMut(f64)) -> Result<Option<&Step>, DemoError> {
        if self.is_over() {
            return Ok(None);
        }
        // Parameters, buffers and the momentum of the optimiser are cut together.
        let report = self.pruner.step(self.module, &mut self.optimizer)?;
        if report.pruned() {
            self.evaluation = evaluate(self.module, &self.data.test, EVALUATION_BATCH)?;
        }
        let accuracy_after_cut = self.evaluation.accuracy;
        let train = report.should_train() || self.policy == Policy::Always;
        let training = if train { Some(self.train(self.data.train.len() / 2, after_batch)?) } else { None };
        let accuracy_after_training = training.map(|_| self.evaluation.accuracy);
        self.steps.push(Step { report, accuracy_after_cut, training, accuracy_after_training });
        Ok(self.steps.last())
    }

    /// Trains what is left for an epoch.
    pub(super) fn finish(mut self, after_batch: &mut dyn FnMut(f64)) -> Result<Pruned, DemoError> {
        let finish = self.train(self.data.train.len(), after_batch)?;
        let (counts, kept) = (self.pruner.counts(), self.pruner.kept().clone());
        Ok(Pruned { steps: self.steps, finish, evaluation: self.evaluation, counts, kept })
    }

    fn is_over(&self) -> bool {
        let settings = self.pruner.settings();
        self.steps.len() == settings.steps || self.steps.last().is_some_and(|step| step.report.is_terminal())
    }

    fn train(&mut self, images: usize, after_batch: &mut dyn FnMut(f64)) -> Result<Cost, DemoError> {
        let training = Training {
            images,
            batch_size: TRAINING_BATCH,
            schedule: Schedule::Cosine(0.05),
            seed: self.pruner.settings().seed.wrapping_add(self.steps.len() as u64),
            macs_per_image: self.pruner.counts().macs,
        };
        let cost = train(self.module, &mut self.optimizer, &self.data.train, &training, after_batch)?;
        self.evaluation = evaluate(self.module, &self.data.test, EVALUATION_BATCH)?;
        Ok(cost)
    }
}

/// Prunes two copies of a trained network under both policies: a step of the one and a step of the other in turns, so that
/// their seconds compare whatever else the machine does meanwhile.
pub(super) fn prune(
    [skipping, always]: [&mut GraphModule; 2],
    data: &FashionMnist,
    settings: &Settings,
    watch: &mut dyn Watch,
) -> Result<[Pruned; 2], DemoError> {
    let mut skipping = Pruning::new(skipping, data, settings.clone(), Policy::WhenPruned)?;
    let mut always = Pruning::new(always, data, settings.clone(), Policy::Always)?;
    // The last epoch of each counts for two steps.
    let all = 2.0 * (settings.steps + 2) as f64;
    for step in 0..settings.steps {
        let before = 2.0 * step as f64;
        if let Some(step) = skipping.step(&mut |done| watch.part((before + done) / all))? {
            watch.step(step);
        }
        always.step(&mut |done| watch.part((before + 1.0 + done) / all))?;
    }
    let before = 2.0 * settings.steps as f64;
    let skipping = skipping.finish(&mut |done| watch.part((before + 2.0 * done) / all))?;
    watch.finish(&skipping);
    let always = always.finish(&mut |done| watch.part((before + 2.0 + 2.0 * done) / all))?;
    Ok([skipping, always])
}
