//! One cell: a trained network is cut to a share of its multiply-accumulates, judged, and trained for a while.

use std::path::Path;
use std::time::Instant;

use pruner_core::calibration::{Batch, Loader, Loss, recalibrate};
use pruner_core::exec::GraphModule;
use pruner_core::plan::{Budget, Limits, Measure};
use pruner_core::pruner::{GroupPruner, PruneError, Pruner as _, Settings};
use pruner_core::report::StepReport;
use pruner_schedulers::OneShot;
use tch::{Reduction, TchError, Tensor};

use super::QualityError;
use super::criteria::Criterion;
use super::dense::{self, EVALUATION_BATCH};
use super::options::Scale;
use super::row::{Accuracies, Cell, Dense, Outcome, Row};
use crate::data::{FashionMnist, Split};
use crate::fine_tuning::counts;
use crate::train::{Schedule, Training, evaluate, train};

/// Images that calibration runs at once, and those to a step of the optimiser after pruning.
const BATCH: usize = 64;

/// What every cell is measured with.
pub(super) struct Bench {
    pub(super) data: FashionMnist,
    pub(super) scale: Scale,
    calibration: Vec<Batch>,
}

impl Bench {
    /// On the first of `all` images that the scale asks for, whose storage it shares.
    pub(super) fn new(all: &FashionMnist, scale: Scale) -> Self {
        let data = FashionMnist { train: all.train.first(scale.train_images), test: all.test.first(scale.test_images) };
        let calibration = calibration_images(&data.train, &scale)
            .in_order(BATCH)
            .map(|(images, labels)| Batch::new(vec![images]).with_targets(vec![labels]))
            .collect();
        Self { data, scale, calibration }
    }

    /// Prunes a trained network as a cell says, and judges what is left.
    pub(super) fn own(
        &self,
        cell: &Cell,
        criterion: Criterion,
        (dense, archive): (&Dense, &Path),
    ) -> Result<Row, QualityError> {
        let start = Instant::now();
        let mut module = dense::load(archive)?;
        let limits = Limits::default().with_scope(cell.scope);
        let share = f64::from(cell.percent) / 100.0;
        let settings = Settings::new(criterion.importance(), Box::new(OneShot::default()))
            .with_limits(limits)
            .with_seed(cell.seed);
        let calibration = Calibration { loader: &self.calibration, loss: &cross_entropy };
        match cut(&mut module, settings, share, &calibration) {
            Ok(_) => self.judge(cell, dense, &mut module, start),
            Err(error) => Ok(failed(cell, &error.to_string(), start)),
        }
    }

    /// Judges a network that was cut, as it is and after training.
    pub(super) fn judge(
        &self,
        cell: &Cell,
        dense: &Dense,
        module: &mut GraphModule,
        start: Instant,
    ) -> Result<Row, QualityError> {
        let counts = counts(module)?;
        let accuracy = |module: &GraphModule| evaluate(module, &self.data.test, EVALUATION_BATCH);
        let cut = accuracy(module)?.accuracy;
        let recalibrated =
            if recalibrate(module, &self.calibration)? > 0 { Some(accuracy(module)?.accuracy) } else { None };
        let (seconds, start) = (start.elapsed().as_secs_f64(), Instant::now());
        let (mut optimizer, rate) = dense::optimizer(cell.model, module);
        let training = Training {
            images: self.scale.tuning_images,
            batch_size: BATCH,
            schedule: Schedule::Cosine(rate / 4.0),
            seed: cell.seed,
            macs_per_image: counts.macs,
        };
        train(module, optimizer.as_mut(), &self.data.train, &training, &mut |_| ())?;
        let accuracies = Accuracies {
            macs_gone: gone(dense.macs, counts.macs),
            params_gone: gone(dense.params, counts.params),
            cut,
            recalibrated,
            tuned: accuracy(module)?.accuracy,
        };
        let seconds_tuning = start.elapsed().as_secs_f64();
        Ok(Row { cell: cell.clone(), outcome: Outcome::Pruned(accuracies), seconds, seconds_tuning })
    }
}

/// The images of calibration.
pub(super) fn calibration_images(train: &Split, scale: &Scale) -> Split {
    train.first(scale.calibration_images)
}

/// The row of a cell whose network was not cut.
pub(super) fn failed(cell: &Cell, why: &str, start: Instant) -> Row {
    let outcome = Outcome::Failed(why.to_owned());
    Row { cell: cell.clone(), outcome, seconds: start.elapsed().as_secs_f64(), seconds_tuning: 0.0 }
}

/// What criteria learn of a network from.
pub(super) struct Calibration<'a> {
    pub(super) loader: &'a dyn Loader,
    pub(super) loss: Loss<'a>,
}

/// Cuts a network in one step until a share of its multiply-accumulates is gone.
pub(super) fn cut(
    module: &mut GraphModule,
    settings: Settings,
    share: f64,
    calibration: &Calibration<'_>,
) -> Result<StepReport, PruneError> {
    let settings = settings.with_budget(Budget::of(Measure::Macs, share));
    let needs = settings.needs();
    let mut pruner = GroupPruner::new(module, settings)?;
    if !needs.is_empty() {
        pruner.gather(module, calibration.loader, Some(calibration.loss))?;
    }
    pruner.step(module, &mut ())
}

fn cross_entropy(outputs: &[Tensor], targets: &[Tensor]) -> Result<Tensor, TchError> {
    outputs[0].f_cross_entropy_loss(&targets[0], None::<&Tensor>, Reduction::Mean, -100, 0.0)
}

/// The share of what was there that is gone.
pub(super) fn gone(before: u64, after: u64) -> f64 {
    1.0 - after as f64 / before.max(1) as f64
}
