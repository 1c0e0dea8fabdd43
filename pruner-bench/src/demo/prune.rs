//! The runs of the demonstration: iterative pruning that trains only where there is something to recover from, and beside it one that trains
//! after every step.

use std::cell::RefCell;
use std::io;

use pruner_core::deps::{Counts, Kept};
use pruner_core::events::{Cost, Event, TrainPolicy};
use pruner_core::exec::GraphModule;
use pruner_core::iterative::{Doing, IterativePruning, IterativeSettings, JsonLines, Network, Observer, Progress};
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
use crate::fine_tuning::{FineTuning, FineTuningSettings};
use crate::train::Evaluation;

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
struct Pruning<'a> {
    module: &'a mut GraphModule,
    optimizer: Sgd,
    training: FineTuning<'a>,
    iterative: IterativePruning<'a, GroupPruner>,
}

impl<'a> Pruning<'a> {
    fn new(
        module: &'a mut GraphModule,
        data: &'a FashionMnist,
        settings: Settings,
        train: TrainPolicy,
    ) -> Result<Self, DemoError> {
        let training = FineTuningSettings {
            images: data.train.len() / 2,
            final_images: data.train.len(),
            batch_size: TRAINING_BATCH,
            evaluation_batch: EVALUATION_BATCH,
            lr: 0.05,
            seed: settings.seed,
        };
        let optimizer = Sgd::new(module.parameters(), sgd());
        let pruner = GroupPruner::new(module, settings)?;
        let iterative = IterativeSettings::default().with_final_epochs(1).with_train(train).with_measure("accuracy");
        let iterative = IterativePruning::new(pruner, iterative)?;
        Ok(Self { module, optimizer, training: FineTuning::new(data, training), iterative })
    }

    fn with_observer(mut self, observer: impl Observer + 'a) -> Self {
        self.iterative = self.iterative.with_observer(observer);
        self
    }

    /// Makes a step with what follows it; whether there is another.
    fn step(&mut self) -> Result<bool, DemoError> {
        let network = &mut Network { module: self.module, optimizer: &mut self.optimizer };
        Ok(self.iterative.next_step(network, &mut self.training)?.is_none())
    }

    /// The steps that were made, with what followed each.
    fn steps(&self) -> Vec<Step> {
        let history = self.iterative.history();
        let mut accuracy = history.summary().quality_before.unwrap_or_default();
        let step = |(report, row): (&StepReport, pruner_core::events::Row)| {
            let accuracy_after_cut = row.quality_after_cut.unwrap_or(accuracy);
            accuracy = row.quality_after_training.unwrap_or(accuracy_after_cut);
            Step {
                report: report.clone(),
                accuracy_after_cut,
                training: (row.epochs > 0).then_some(row.cost),
                accuracy_after_training: row.quality_after_training,
            }
        };
        history.reports().zip(history.rows()).map(step).collect()
    }

    fn finish(self) -> Result<Pruned, DemoError> {
        let (steps, pruner) = (self.steps(), self.iterative.pruner());
        let (counts, kept) = (pruner.counts(), pruner.kept().clone());
        let finish = self.iterative.history().final_cost();
        let evaluation = self.training.into_evaluation().ok_or(DemoError::NotJudged)?;
        Ok(Pruned { steps, finish, evaluation, counts, kept })
    }
}

/// Tells how far both runs are together, the last epoch of each counting for two steps.
struct Turn<'a, 'b> {
    watch: &'a RefCell<&'b mut dyn Watch>,
    /// 0 for the run whose turn is first, 1 for the other.
    turn: f64,
}

impl Observer for Turn<'_, '_> {
    fn event(&mut self, _event: &Event) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, Progress { step, steps, doing, .. }: Progress) {
        let Doing::Training { is_final, done, .. } = doing else { return };
        let before = if is_final { 2 * steps } else { 2 * step.saturating_sub(1) } as f64;
        let weight = if is_final { 2.0 } else { 1.0 };
        let all = 2.0 * (steps + 2) as f64;
        self.watch.borrow_mut().part((before + weight * (self.turn + done)) / all);
    }
}

/// Prunes two copies of a trained network under both policies: a step of the one and a step of the other in turns, so that
/// their seconds compare whatever else the machine does meanwhile. The first writes what happens to `log`.
pub(super) fn prune(
    [skipping, always]: [&mut GraphModule; 2],
    data: &FashionMnist,
    settings: &Settings,
    watch: &mut dyn Watch,
    log: JsonLines,
) -> Result<[Pruned; 2], DemoError> {
    let watch = RefCell::new(watch);
    let mut skipping = Pruning::new(skipping, data, settings.clone(), TrainPolicy::WhenPruned)?
        .with_observer(log)
        .with_observer(Turn { watch: &watch, turn: 0.0 });
    let mut always = Pruning::new(always, data, settings.clone(), TrainPolicy::Always)?
        .with_observer(Turn { watch: &watch, turn: 1.0 });
    let mut goes_on = [true, true];
    let mut told = 0;
    while goes_on.contains(&true) {
        if goes_on[0] {
            goes_on[0] = skipping.step()?;
            let steps = skipping.steps();
            steps[told..].iter().for_each(|step| watch.borrow_mut().step(step));
            told = steps.len();
        }
        if goes_on[1] {
            goes_on[1] = always.step()?;
        }
    }
    let skipping = skipping.finish()?;
    watch.borrow_mut().finish(&skipping);
    Ok([skipping, always.finish()?])
}
