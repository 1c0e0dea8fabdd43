//! A run of pruning: steps that plan, cut and report, between which the network is trained.

use std::collections::BTreeMap;
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::apply::{ApplyError, apply, check_network};
use crate::calibration::{self, CalibrationError, Loader, Loss};
use crate::compensate::Compensation;
use crate::deps::{Analysis, AnalysisError, AxisGroup, BurntIn, Counts, Group, Kept};
use crate::exec::GraphModule;
use crate::graph::Dtype;
use crate::ids::GroupId;
use crate::importance::{self, Importance, ImportanceError, Signal, SignalSet, Signals, Weights};
use crate::optim::Follow;
use crate::plan::{Limits, LimitsError, SelectError, Selection, StopReason, prunable, select, stop_reason};
use crate::registry;
use crate::regularizer::{self, Gradients, Regularizer, RegularizerError};
use crate::report::{Seconds, StepReport};
use crate::scheduler::{self, Position, Scheduler, SchedulerError};

/// A score per coordinate that is left, by group.
type Scores = BTreeMap<GroupId, Vec<f64>>;

/// What a run prunes by, how far, and in how many steps.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The criterion that scores coordinates; the lowest go first.
    #[serde(deserialize_with = "importance::deserialize_importance")]
    pub importance: Box<dyn Importance>,
    /// The part of the target that each step goes to.
    #[serde(deserialize_with = "registry::deserialize_scheduler")]
    pub scheduler: Box<dyn Scheduler>,
    /// The steps of the run, at least 1. Default: 1.
    #[serde(default = "one")]
    pub steps: usize,
    /// How much goes by the end, and what no step goes below. Default: half of every group.
    #[serde(default)]
    pub limits: Limits,
    /// The seed of criteria that draw numbers. Default: 0.
    #[serde(default)]
    pub seed: u64,
    /// Whether biases make up for the means of what is cut: `W·E[X]` of it is added to the bias of each layer that read it, so that the layer's
    /// mean output stays. It needs [`GroupPruner::gather`]; layers without a bias of their own go without. Criteria may ask for it too. Default:
    /// false. Source: An et al., *FLAP* (arXiv 2312.11983).
    #[serde(default)]
    pub compensate: bool,
}

fn one() -> usize {
    1
}

impl Settings {
    /// One step by a criterion and a scheduler, to the default target.
    pub fn new(importance: Box<dyn Importance>, scheduler: Box<dyn Scheduler>) -> Self {
        Self { importance, scheduler, steps: one(), limits: Limits::default(), seed: 0, compensate: false }
    }

    /// Sets [`steps`](Self::steps).
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets [`compensate`](Self::compensate).
    #[must_use]
    pub fn with_compensation(self) -> Self {
        Self { compensate: true, ..self }
    }

    fn compensates(&self) -> bool {
        self.compensate || self.importance.compensates()
    }

    /// The signals that a step is planned and made with.
    pub fn needs(&self) -> SignalSet {
        let means = if self.compensates() { Signal::Mean.into() } else { SignalSet::empty() };
        self.importance.needs() | means
    }
}

/// Why a network cannot be pruned, or a step was not made. The network is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The run has no steps.
    #[error("steps is 0; a run has at least 1")]
    NoSteps,
    /// The graph cannot be analysed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// A variable that would be cut has elements that cannot be scored.
    #[error("`{name}` has elements of type {dtype}; only floating-point parameters are pruned")]
    Dtype {
        /// The parameter.
        name: String,
        /// Its element type.
        dtype: Dtype,
    },
    /// The limits make no sense.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The scheduler breaks its contract.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// The signals of a criterion cannot be gathered.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A group cannot be scored.
    #[error(transparent)]
    Importance(#[from] ImportanceError),
    /// The gradients of a group cannot be penalised.
    #[error(transparent)]
    Regularizer(#[from] RegularizerError),
    /// No plan can be made of the scores.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The cut was not made.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// Prunes one network in steps.
///
/// # Contract
///
/// [`plan`](Pruner::plan) changes nothing: called twice it gives the same, on any machine. [`apply`](Pruner::apply) makes
/// exactly the cuts of the plan, or returns an error and has changed nothing. A step never removes more than its part of the
/// target, and none goes below the limits. A report says `pruned()` exactly where a tensor got smaller.
pub trait Pruner {
    /// The groups as they are now, pinned ones included.
    fn groups(&self) -> Vec<&dyn Group>;

    /// What the next step would cut, and why it leaves the rest. To prune by hand, edit the plan and set it with
    /// [`Selection::with_plan`].
    fn plan(&self, module: &GraphModule) -> Result<Selection, PruneError>;

    /// Makes the cuts of a plan and counts the step. State that belongs to parameters, such as an optimiser's, follows.
    fn apply(
        &mut self,
        module: &mut GraphModule,
        follow: &mut dyn Follow,
        selection: &Selection,
    ) -> Result<StepReport, PruneError>;

    /// Plans the next step and makes it.
    fn step(&mut self, module: &mut GraphModule, follow: &mut dyn Follow) -> Result<StepReport, PruneError> {
        let selection = self.plan(module)?;
        self.apply(module, follow, &selection)
    }

    /// Why no later step can cut anything; `None` if one could.
    fn stop(&self) -> Option<StopReason>;
}

/// Prunes the groups that axis unification found, by a criterion and a scheduler.
#[derive(Debug)]
pub struct GroupPruner {
    settings: Settings,
    analysis: Analysis,
    kept: Kept,
    groups: Vec<AxisGroup>,
    step: usize,
    /// What was gathered since the last cut.
    signals: Signals,
}

impl GroupPruner {
    /// Analyses a network that is to be pruned.
    pub fn new(module: &GraphModule, settings: Settings) -> Result<Self, PruneError> {
        if settings.steps == 0 {
            return Err(PruneError::NoSteps);
        }
        settings.limits.validate()?;
        scheduler::check(settings.scheduler.as_ref(), settings.steps, settings.limits.target_ratio)?;
        let analysis = Analysis::new(module.graph())?;
        for member in analysis.groups().iter().filter(|group| group.pin().is_none()).flat_map(Group::members) {
            let dtype = module.graph().value(member.value).meta.dtype;
            if member.trained && !dtype.is_float() {
                return Err(PruneError::Dtype { name: member.name.clone(), dtype });
            }
        }
        let groups = analysis.groups().to_vec();
        let pruner = Self { settings, analysis, kept: Kept::all(), groups, step: 0, signals: Signals::default() };
        // Names to ignore that match nothing are told now rather than after an epoch of training.
        stop_reason(&pruner.groups(), &pruner.settings.limits)?;
        Ok(pruner)
    }

    /// The axes and groups of the network.
    pub fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// The coordinates that are left.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The settings of the run.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The steps that were made.
    pub fn steps_made(&self) -> usize {
        self.step
    }

    /// What the network costs now.
    pub fn counts(&self) -> Counts {
        self.analysis.counts(&self.kept)
    }

    /// What stands in the way of running the code that was traced, instead of its graph, on the cut variables: the sizes that
    /// are burnt into it. Where it is empty the code runs; it computes the same unless it reads sizes to compute with, as a
    /// hand-written `1 / √d` does, which goes on as it was in the graph alone.
    pub fn burnt_in(&self) -> Vec<BurntIn> {
        self.analysis.burnt_in(&self.kept)
    }

    /// The report of the next step as if it were made.
    pub fn preview(&self, selection: &Selection) -> StepReport {
        let report = StepReport::new(selection, &self.groups(), self.step + 1, self.settings.steps);
        let after = self.analysis.counts(&self.kept_after(selection));
        let (before, after) = (of_selection(self.counts(), report.before), of_selection(after, report.after));
        report.with_counts(before, after).with_seed(self.settings.seed)
    }

    /// What the network would cost after one step to all of the target of `limits`.
    pub(crate) fn counts_at(&self, scores: &Scores, limits: &Limits) -> Result<Counts, PruneError> {
        let selection = select(&self.groups(), scores, limits, 1.0)?;
        Ok(self.analysis.counts(&self.kept_after(&selection)))
    }

    pub(crate) fn set_target_ratio(&mut self, ratio: f64) {
        self.settings.limits.target_ratio = ratio;
    }

    /// The coordinates that are left once a selection is applied.
    fn kept_after(&self, selection: &Selection) -> Kept {
        let mut after = self.kept.clone();
        for (&group, coordinates) in selection.plan().cuts() {
            after.remove(&self.analysis, group, coordinates);
        }
        after
    }

    fn select(&self, scores: &Scores) -> Result<Selection, PruneError> {
        let Settings { scheduler, steps, limits, .. } = &self.settings;
        let at = Position::new((self.step + 1).min(*steps), *steps, limits.target_ratio);
        let progress = scheduler::ratio(scheduler.as_ref(), at)?;
        Ok(select(&self.groups(), scores, limits, progress)?)
    }

    /// Gathers the signals that the criterion needs from calibration batches, for the steps up to the next that cuts something.
    ///
    /// It needs no call for criteria of weights alone, nor for those of gradients where `backward` was called. See
    /// [`calibration::gather`] for what it costs.
    pub fn gather(
        &mut self,
        module: &GraphModule,
        loader: &dyn Loader,
        loss: Option<Loss<'_>>,
    ) -> Result<&Signals, PruneError> {
        check_network(module, &self.analysis, &self.kept)?;
        self.signals = self.gathered(module, self.settings.needs(), loader, loss)?;
        Ok(&self.signals)
    }

    fn gathered(
        &self,
        module: &GraphModule,
        wanted: SignalSet,
        loader: &dyn Loader,
        loss: Option<Loss<'_>>,
    ) -> Result<Signals, PruneError> {
        Ok(calibration::gather(module, &self.analysis, &self.kept, wanted, loader, loss)?)
    }

    /// What was gathered, and what needs no data.
    fn signals(&self, module: &GraphModule) -> Result<Signals, PruneError> {
        let missing = self.settings.needs() - self.signals.gathered();
        if missing.contains(Signal::Mean) {
            return Err(ImportanceError::NotGathered { signal: Signal::Mean }.into());
        }
        let mut signals = self.gathered(module, missing - Signal::of_data(), &Vec::new(), None)?;
        signals.extend(&self.signals);
        Ok(signals)
    }

    /// Adds the gradient of a penalty on the groups that are neither pinned nor ignored to the gradients of the network. To be
    /// called between the backward pass and the step of the optimiser.
    pub fn regularize(&self, module: &GraphModule, regularizer: &mut dyn Regularizer) -> Result<(), PruneError> {
        let groups = prunable(&self.groups(), &self.settings.limits)?;
        let (mut weights, mut gradients) = (Weights::new(self.settings.seed), Gradients::new());
        for member in groups.iter().flat_map(|group| group.members()) {
            if weights.get(member.value).is_none()
                && let Some(tensor) = module.tensor(member.value)
            {
                gradients.insert(member.value, tensor)?;
                weights.insert(member.value, tensor)?;
            }
        }
        Ok(regularizer::penalize(regularizer, &groups, &weights, &mut gradients)?)
    }

    /// The scores of all groups that may be cut, read back from the device at once.
    pub(crate) fn scores(&self, module: &GraphModule) -> Result<Scores, PruneError> {
        let mut weights = Weights::new(self.settings.seed).with_signals(self.signals(module)?);
        for (value, _) in module.graph().stored() {
            if let Some(tensor) = module.tensor(value) {
                weights.insert(value, tensor)?;
            }
        }
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        for group in self.groups.iter().filter(|group| group.pin().is_none()) {
            if let Some(score) = importance::score(self.settings.importance.as_ref(), group, &weights)? {
                ids.push((group.id(), group.size()));
                scores.push(score);
            }
        }
        if scores.is_empty() {
            return Ok(BTreeMap::new());
        }
        let all: Vec<f32> = Vec::try_from(Tensor::f_cat(&scores, 0)?.f_to_device(Device::Cpu)?)?;
        let mut rest = all.as_slice();
        let take = |(id, size): (GroupId, usize)| {
            let (own, others) = rest.split_at(size);
            rest = others;
            (id, own.iter().copied().map(f64::from).collect())
        };
        Ok(ids.into_iter().map(take).collect())
    }
}

impl Pruner for GroupPruner {
    fn groups(&self) -> Vec<&dyn Group> {
        self.groups.iter().map(|group| group as &dyn Group).collect()
    }

    fn plan(&self, module: &GraphModule) -> Result<Selection, PruneError> {
        check_network(module, &self.analysis, &self.kept)?;
        self.select(&self.scores(module)?)
    }

    fn apply(
        &mut self,
        module: &mut GraphModule,
        follow: &mut dyn Follow,
        selection: &Selection,
    ) -> Result<StepReport, PruneError> {
        let start = Instant::now();
        selection.plan().validate(&self.groups()).map_err(SelectError::from)?;
        let step = self.step + 1;
        let report = StepReport::new(selection, &self.groups(), step, self.settings.steps);
        let before = self.counts();
        if !selection.plan().is_empty() {
            let after = self.kept_after(selection);
            let compensation = if self.settings.compensates() {
                if !self.signals.gathered().contains(Signal::Mean) {
                    return Err(ImportanceError::NotGathered { signal: Signal::Mean }.into());
                }
                Some(Compensation::add(module, &self.groups, selection.plan(), &self.signals)?)
            } else {
                None
            };
            apply(module, &self.analysis, &self.kept, &after, follow)?;
            if let Some(compensation) = compensation {
                tracing::debug!("{} biases make up for what is cut", compensation.biases());
                compensation.keep();
            }
            self.groups = self.analysis.groups_left(&after);
            self.kept = after;
            self.signals = Signals::default();
        }
        self.step = step;
        let seconds = Seconds::new(0.0, 0.0, start.elapsed().as_secs_f64());
        let (before, after) = (of_selection(before, report.before), of_selection(self.counts(), report.after));
        Ok(report.with_counts(before, after).with_seed(self.settings.seed).with_seconds(seconds))
    }

    fn step(&mut self, module: &mut GraphModule, follow: &mut dyn Follow) -> Result<StepReport, PruneError> {
        let start = Instant::now();
        let scores = self.scores(module)?;
        let score = start.elapsed().as_secs_f64();
        let selection = self.select(&scores)?;
        let plan = start.elapsed().as_secs_f64() - score;
        let report = self.apply(module, follow, &selection)?;
        let seconds = Seconds::new(score, plan, report.seconds.apply);
        Ok(report.with_seconds(seconds))
    }

    fn stop(&self) -> Option<StopReason> {
        stop_reason(&self.groups(), &self.settings.limits).expect("the limits were checked when the run began")
    }
}

/// The counts with the channels that the selection speaks of: those of groups which are neither pinned nor ignored.
fn of_selection(counts: Counts, selection: Counts) -> Counts {
    Counts { channels: selection.channels, ..counts }
}
