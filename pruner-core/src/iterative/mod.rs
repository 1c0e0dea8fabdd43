//! Iterative pruning: steps of a pruner, each followed by training only where there is something to recover from.
//!
//! [`IterativePruning`] makes the steps of a [`Pruner`], trains and judges by what the user brings as [`Training`], and tells every
//! [`Observer`] what happens as typed [`events`](crate::events). With a checkpoint it can be killed at any moment and goes on to the same end.

mod error;
mod observe;
mod position;
mod progress;
mod resume;
mod settings;
mod training;

use std::path::PathBuf;
use std::time::Instant;

pub use error::IterativeError;
pub use observe::{Doing, JsonLines, Observer, Progress};
pub use progress::Bars;
pub use settings::{IterativeSettings, SettingsError, Stride};
pub use training::{AnyError, Closures, Epoch, Network, Training};

use self::position::{Before, Phase, Position};
use crate::calibration::{Loader, Loss};
use crate::events::{Event, History, Stage, Stop, TrainPolicy};
use crate::pruner::Pruner;
use crate::report::StepReport;
use crate::snapshot::Snapshot;

/// Makes the steps of a pruner, and trains where that is worth its while.
///
/// It stops when the target is reached, when nothing more can be pruned or when the quality may fall no further, and says which. [`run`](Self::run)
/// does all of it, [`next_step`](Self::next_step) a step and [`advance`](Self::advance) the least part.
pub struct IterativePruning<'a, P> {
    pruner: P,
    settings: IterativeSettings,
    at: Position,
    before: Option<Before>,
    history: History,
    observers: Vec<Box<dyn Observer + 'a>>,
    calibration: Option<(&'a dyn Loader, Option<Loss<'a>>)>,
    checkpoint: Option<PathBuf>,
    /// Whether the network may differ from the one that signals were last gathered of.
    gather: bool,
}

impl<'a, P: Pruner> IterativePruning<'a, P> {
    /// A run of a pruner that has made no step yet.
    pub fn new(pruner: P, settings: IterativeSettings) -> Result<Self, IterativeError> {
        settings.validate()?;
        if pruner.steps_made() > 0 {
            return Err(IterativeError::Begun(pruner.steps_made()));
        }
        let at = Position::new(settings.first_stride());
        Ok(Self {
            pruner,
            settings,
            at,
            before: None,
            history: History::default(),
            observers: Vec::new(),
            calibration: None,
            checkpoint: None,
            gather: true,
        })
    }

    /// Tells an observer what happens: [`JsonLines`], [`Bars`], a closure.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Gathers the signals that the criterion needs from these batches before each step.
    #[must_use]
    pub fn with_calibration(self, loader: &'a dyn Loader, loss: Option<Loss<'a>>) -> Self {
        Self { calibration: Some((loader, loss)), ..self }
    }

    /// Keeps a checkpoint in a file: after every cut, epoch and judgement. See [`resume`](Self::resume).
    #[must_use]
    pub fn with_checkpoint(self, file: impl Into<PathBuf>) -> Self {
        Self { checkpoint: Some(file.into()), ..self }
    }

    /// The pruner.
    pub fn pruner(&self) -> &P {
        &self.pruner
    }

    /// What happened so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Why the run is over; `None` if it is not.
    pub fn stopped(&self) -> Option<Stop> {
        match self.at.phase {
            Phase::End { stop } => Some(stop),
            _ => None,
        }
    }

    /// Goes on until the run is over, and says why it is.
    pub fn run(&mut self, network: &mut Network<'_>, training: &mut dyn Training) -> Result<Stop, IterativeError> {
        loop {
            if let Some(stop) = self.advance(network, training)? {
                return Ok(stop);
            }
        }
    }

    /// Goes on to the end of the next step with its training; the network is judged before the first. Says why the run is over once it is.
    pub fn next_step(
        &mut self,
        network: &mut Network<'_>,
        training: &mut dyn Training,
    ) -> Result<Option<Stop>, IterativeError> {
        loop {
            let was = self.at.phase;
            let stop = self.advance(network, training)?;
            if stop.is_some() || (self.at.phase == Phase::Step && was != Phase::Begin) {
                return Ok(stop);
            }
        }
    }

    /// Does the next part of the work: judges the network before the first step, makes a step, trains for an epoch, or judges what came of
    /// it. Says why the run is over once it is; then it does nothing.
    pub fn advance(
        &mut self,
        network: &mut Network<'_>,
        training: &mut dyn Training,
    ) -> Result<Option<Stop>, IterativeError> {
        match self.at.phase {
            Phase::Begin => self.begin(network, training)?,
            Phase::Step => self.step(network, training)?,
            Phase::AfterCut => self.after_cut(network, training)?,
            Phase::Idle => self.idle()?,
            Phase::Train { done } => self.train(network, training, done)?,
            Phase::Judge => self.judge(network, training)?,
            Phase::Finish { done, stop } => self.finish(network, training, done, stop)?,
            Phase::End { stop } => return Ok(Some(stop)),
        }
        self.save(network, training)?;
        Ok(self.stopped())
    }

    fn begin(&mut self, network: &mut Network<'_>, training: &mut dyn Training) -> Result<(), IterativeError> {
        self.check_checkpoint()?;
        // Where judging failed, the run has begun already.
        if self.history.events().is_empty() {
            self.emit(Event::Started {
                measure: self.settings.measure.clone(),
                steps: self.pruner.steps(),
                train: self.settings.train,
                epochs_per_step: self.settings.epochs_per_step,
                final_epochs: self.settings.final_epochs,
                counts: self.pruner.counts(),
            })?;
        }
        self.at.dense_quality = self.evaluate(network, training, Stage::Dense)?;
        self.at.quality = self.at.dense_quality;
        self.at.stop = self.pruner.stop().map(|reason| Stop::Pruner { reason });
        self.at.phase = self.next();
        Ok(())
    }

    fn step(&mut self, network: &mut Network<'_>, training: &dyn Training) -> Result<(), IterativeError> {
        let step = self.pruner.steps_made().saturating_add(self.at.stride).min(self.pruner.steps());
        let _span = tracing::info_span!("step", step).entered();
        self.progress(step, Doing::Pruning);
        if self.settings.max_drop.is_some() {
            let network = Snapshot::take(network.module, network.optimizer);
            let (pruner, training) = (self.pruner.state()?, training.state());
            self.before = Some(Before { network, pruner, training, step: self.pruner.steps_made() });
        }
        let was = self.pruner.state()?;
        let report = match self.cut(network) {
            Ok(report) => report,
            Err(error) => {
                // The steps that were passed over are still to be made, and what was gathered is forgotten with them.
                self.pruner.restore(network.module.graph(), &was)?;
                self.gather = true;
                return Err(error);
            }
        };
        self.at.stop = report.stop.map(|reason| Stop::Pruner { reason });
        self.at.pruned = report.pruned();
        self.gather = self.gather || report.pruned();
        self.at.phase = if report.should_train() { Phase::AfterCut } else { Phase::Idle };
        self.emit(Event::Applied { report: Box::new(report) })
    }

    /// Goes on after a step that pruned something.
    fn after_cut(&mut self, network: &mut Network<'_>, training: &mut dyn Training) -> Result<(), IterativeError> {
        self.at.cut_quality = self.evaluate(network, training, Stage::AfterCut)?;
        self.at.phase = self.training();
        Ok(())
    }

    /// Goes on after a step that pruned nothing.
    fn idle(&mut self) -> Result<(), IterativeError> {
        let epochs = self.settings.epochs_per_step;
        if self.settings.train == TrainPolicy::Always {
            self.at.phase = self.training();
        } else {
            self.before = None;
            self.at.phase = self.next();
            let last = self.history.reports().next_back();
            if let Some((step, reason)) = last.map(|report| (report.step, report.outcome.clone())) {
                self.emit(Event::Skipped { step, reason, epochs })?;
            }
        }
        match self.settings.stride {
            Some(stride) => self.set_stride(self.at.stride.saturating_mul(2).min(stride.max)),
            None => Ok(()),
        }
    }

    /// What follows a step that is trained.
    fn training(&self) -> Phase {
        if self.settings.epochs_per_step == 0 { Phase::Judge } else { Phase::Train { done: 0 } }
    }

    /// Plans a step and makes it.
    fn cut(&mut self, network: &mut Network<'_>) -> Result<StepReport, IterativeError> {
        let start = Instant::now();
        self.pruner.pass(self.at.stride - 1);
        if let (Some((loader, loss)), true) = (self.calibration, self.gather) {
            self.pruner.calibrate(network.module, loader, loss)?;
            self.gather = false;
        }
        let selection = self.pruner.plan(network.module)?;
        let (step, seconds) = (self.pruner.steps_made() + 1, start.elapsed().as_secs_f64());
        self.emit(Event::Planned { step, coordinates: selection.plan().coordinates_cut(), seconds })?;
        Ok(self.pruner.apply(network.module, &mut network.optimizer, &selection)?)
    }

    fn train(
        &mut self,
        network: &mut Network<'_>,
        training: &mut dyn Training,
        done: usize,
    ) -> Result<(), IterativeError> {
        let epochs = self.settings.epochs_per_step;
        self.epoch(network, training, (done + 1, epochs), false)?;
        self.at.phase = if done + 1 < epochs { Phase::Train { done: done + 1 } } else { Phase::Judge };
        Ok(())
    }

    fn judge(&mut self, network: &mut Network<'_>, training: &mut dyn Training) -> Result<(), IterativeError> {
        // Without an epoch the network is the one that was judged after the cut.
        let quality = if self.at.pruned && self.settings.epochs_per_step == 0 {
            self.at.cut_quality
        } else {
            self.evaluate(network, training, Stage::AfterTraining)?
        };
        let before = self.before.take();
        let floor = self.settings.max_drop.map(|drop| self.at.dense_quality - drop);
        if let (Some(floor), Some(before), true) = (floor, before, self.at.pruned)
            && quality < floor
        {
            return self.revert(network, training, &before, (quality, floor));
        }
        if let Some(stride) = self.settings.stride
            && quality < self.at.quality - stride.allowed_drop
        {
            self.set_stride(self.at.stride.div_euclid(2).max(1))?;
        }
        self.at.quality = quality;
        self.at.phase = self.next();
        Ok(())
    }

    /// Takes the last step back, and goes on with a smaller one if there is one.
    fn revert(
        &mut self,
        network: &mut Network<'_>,
        training: &mut dyn Training,
        before: &Before,
        (quality, floor): (f64, f64),
    ) -> Result<(), IterativeError> {
        let step = self.pruner.steps_made();
        self.pruner.restore(before.network.graph(), &before.pruner)?;
        before.network.restore(network.module, network.optimizer)?;
        training.restore(&before.training).map_err(|source| IterativeError::Training { source })?;
        self.gather = true;
        self.emit(Event::Reverted { step, quality, floor, back_to: before.step, counts: self.pruner.counts() })?;
        let taken = step - before.step;
        if self.settings.stride.is_some() && taken > 1 {
            self.set_stride(taken / 2)?;
            self.at.stop = None;
            self.at.phase = Phase::Step;
        } else {
            self.at.phase = Phase::Finish { done: 0, stop: Stop::QualityFloor { quality, floor } };
        }
        Ok(())
    }

    fn finish(
        &mut self,
        network: &mut Network<'_>,
        training: &mut dyn Training,
        done: usize,
        stop: Stop,
    ) -> Result<(), IterativeError> {
        let epochs = self.settings.final_epochs;
        if done < epochs {
            self.epoch(network, training, (done + 1, epochs), true)?;
            self.at.phase = Phase::Finish { done: done + 1, stop };
            return Ok(());
        }
        if epochs > 0 {
            self.at.quality = self.evaluate(network, training, Stage::End)?;
        }
        let step = self.pruner.steps_made();
        self.emit(Event::Stopped { step, reason: stop, counts: self.pruner.counts() })?;
        self.at.phase = Phase::End { stop };
        Ok(())
    }

    /// What follows a step that is over with its training.
    fn next(&self) -> Phase {
        self.at.stop.map_or(Phase::Step, |stop| Phase::Finish { done: 0, stop })
    }

    fn epoch(
        &mut self,
        network: &mut Network<'_>,
        training: &mut dyn Training,
        (epoch, epochs): (usize, usize),
        is_final: bool,
    ) -> Result<(), IterativeError> {
        let (step, steps) = (self.pruner.steps_made(), self.pruner.steps());
        let _span = tracing::info_span!("train", step, epoch).entered();
        let at = Epoch { step, epoch, epochs, number: self.at.epochs, is_final };
        let observers = &mut self.observers;
        let mut told = |done: f64| {
            let progress = Progress::new(step, steps, Doing::Training { epoch, epochs, is_final, done });
            for observer in observers.iter_mut() {
                observer.progress(progress);
            }
        };
        told(0.0);
        let start = Instant::now();
        let cost = training.epoch(network, at, &mut told);
        let mut cost = cost.map_err(|source| IterativeError::Train { step, epoch, source })?;
        if !cost.seconds.is_finite() || cost.joules.is_some_and(|joules| !joules.is_finite()) {
            return Err(IterativeError::Cost { step, epoch, cost });
        }
        if cost.seconds == 0.0 {
            cost.seconds = start.elapsed().as_secs_f64();
        }
        self.at.epochs += 1;
        self.gather = true;
        self.emit(Event::Trained { step, epoch, epochs, is_final, cost })
    }

    fn evaluate(
        &mut self,
        network: &mut Network<'_>,
        training: &mut dyn Training,
        stage: Stage,
    ) -> Result<f64, IterativeError> {
        let step = self.pruner.steps_made();
        let _span = tracing::info_span!("evaluate", step).entered();
        self.progress(step, Doing::Evaluating);
        let start = Instant::now();
        let quality = training.evaluate(network).map_err(|source| IterativeError::Evaluate { step, source })?;
        if !quality.is_finite() {
            return Err(IterativeError::Quality { step, stage, quality });
        }
        self.emit(Event::Evaluated { step, stage, quality, seconds: start.elapsed().as_secs_f64() })?;
        Ok(quality)
    }

    fn set_stride(&mut self, stride: usize) -> Result<(), IterativeError> {
        let from = std::mem::replace(&mut self.at.stride, stride);
        if from == stride {
            return Ok(());
        }
        self.emit(Event::StrideChanged { step: self.pruner.steps_made(), from, to: stride })
    }

    fn emit(&mut self, event: Event) -> Result<(), IterativeError> {
        tracing::debug!(?event);
        let told = self.observers.iter_mut().try_for_each(|observer| observer.event(&event));
        self.history.push(event);
        Ok(told?)
    }

    fn progress(&mut self, step: usize, doing: Doing) {
        let progress = Progress::new(step, self.pruner.steps(), doing);
        for observer in &mut self.observers {
            observer.progress(progress);
        }
    }
}
