//! A run of pruning: steps that plan, cut and report, between which the network is trained.

mod settings;
mod state;

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize as _;
use serde_json::Value;
use tch::{Device, Tensor};

use self::settings::MAX_THREADS;
pub use self::settings::Settings;
use self::state::State;
pub(crate) use self::state::difference;
use crate::apply::{ApplyError, apply, check_network};
use crate::budget::Dense;
use crate::calibration::{self, CalibrationError, Loader, Loss};
use crate::compensate::Compensation;
use crate::deps::{Analysis, AnalysisError, AxisGroup, BurntIn, Counts, Group, Kept};
use crate::exec::GraphModule;
use crate::graph::{Dtype, Graph};
use crate::ids::GroupId;
use crate::importance::{self, ImportanceError, Signal, SignalSet, Signals, Weights};
use crate::latency::{ByTurns, Latency};
use crate::optim::Follow;
use crate::plan::{
    Budget, BudgetError, LimitsError, Plan, Prunable, SelectError, Selection, Standing, StopReason, prunable, select,
    stop_reason,
};
use crate::regularizer::{self, Gradients, Regularizer, RegularizerError};
use crate::report::{Seconds, StepReport};
use crate::scheduler::{self, Position, SchedulerError};

/// A score per coordinate that is left, by group.
type Scores = BTreeMap<GroupId, Vec<f64>>;

/// Why a network cannot be pruned, or a step was not made. The network is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The run has no steps.
    #[error("steps is 0; a run has at least 1")]
    NoSteps,
    /// More threads are asked for than any CPU has use for.
    #[error("gather_threads is {0}; give at most {MAX_THREADS}, or 0 for as many as libtorch is set to")]
    Threads(usize),
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
    /// The budget cannot be met.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The cut was not made.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A state is of a run with other settings, or of another network.
    #[error("the state is of another run: {what}")]
    OtherRun {
        /// What differs.
        what: String,
    },
    /// A state cannot be written, or is none.
    #[error("the state of a run: {0}")]
    State(#[from] serde_json::Error),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// Prunes one network in steps.
///
/// # Contract
///
/// [`plan`](Pruner::plan) changes nothing: called twice it gives the same, on any machine, unless it meets a budget of latency, which it measures. [`apply`](Pruner::apply) makes
/// exactly the cuts of the plan, or returns an error and has changed nothing. A step never removes more than its part of a
/// target ratio, never leaves more than its part of a budget, and none goes below the limits. A report says `pruned()` exactly where a tensor got smaller.
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

    /// What the network costs now.
    fn counts(&self) -> Counts;

    /// The steps of the run.
    fn steps(&self) -> usize;

    /// The steps that were made, or let go by.
    fn steps_made(&self) -> usize;

    /// Lets steps go by without a cut; what they would have cut falls to the next. The last step is never let go by.
    fn pass(&mut self, steps: usize);

    /// Learns from calibration batches what the next step is planned with. A pruner that plans by the weights alone learns nothing.
    fn calibrate(
        &mut self,
        module: &GraphModule,
        loader: &dyn Loader,
        loss: Option<Loss<'_>>,
    ) -> Result<(), PruneError> {
        let _ = (module, loader, loss);
        Ok(())
    }

    /// Where the run is, to go on from with a new pruner of the same network and settings. What was learnt from data is no part of
    /// it.
    fn state(&self) -> Result<Value, PruneError>;

    /// Goes on from a state, with the graph of the network at that time. Nothing has changed where an error is returned.
    fn restore(&mut self, graph: &Graph, state: &Value) -> Result<(), PruneError>;
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
    /// What latencies are compared with; `None` where the budget says nothing of latency.
    dense: Option<Dense>,
    /// Where the budget stands after the last step.
    standings: Vec<Standing>,
}

impl GroupPruner {
    /// Analyses a network that is to be pruned.
    ///
    /// A budget that the limits do not let it meet is told here, unless it depends on the scores or on a measurement; then the
    /// first step tells it. With a budget of latency the memory of the network before the first cut is held as long as the pruner is.
    pub fn new(module: &GraphModule, settings: Settings) -> Result<Self, PruneError> {
        if settings.steps == 0 {
            return Err(PruneError::NoSteps);
        }
        if settings.gather_threads > MAX_THREADS {
            return Err(PruneError::Threads(settings.gather_threads));
        }
        settings.limits.validate()?;
        if let Some(budget) = &settings.budget {
            budget.validate()?;
        }
        scheduler::check(settings.scheduler.as_ref(), settings.steps, settings.target_ratio())?;
        let analysis = Analysis::new(module.graph())?;
        for member in analysis.groups().iter().filter(|group| group.pin().is_none()).flat_map(Group::members) {
            let dtype = module.graph().value(member.value).meta.dtype;
            if member.trained && !dtype.is_float() {
                return Err(PruneError::Dtype { name: member.name.to_string(), dtype });
            }
        }
        let groups = analysis.groups().to_vec();
        let latency = settings.budget.as_ref().and_then(|budget| budget.latency);
        let dense = latency.map(|_| Dense::new(module, &analysis, Box::new(ByTurns::default()))).transpose()?;
        let kept = Kept::all();
        let pruner = Self {
            settings,
            analysis,
            kept,
            groups,
            step: 0,
            signals: Signals::default(),
            dense,
            standings: Vec::new(),
        };
        // Names to ignore that match nothing are told now rather than after an epoch of training.
        stop_reason(&pruner.groups(), &pruner.settings.limits)?;
        if let Some(budget) = &pruner.settings.budget {
            pruner.prunable(&pruner.groups()).check(budget)?;
        }
        Ok(pruner)
    }

    /// Tells latencies by other means than [`ByTurns`], such as on another machine. Without a budget of latency nothing asks
    /// for them.
    #[must_use]
    pub fn with_latency(mut self, latency: Box<dyn Latency>) -> Self {
        self.dense = self.dense.map(|dense| dense.with_latency(latency));
        self
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

    /// What stands in the way of running the code that was traced, instead of its graph, on the cut variables: the sizes that
    /// are burnt into it. Where it is empty the code runs; it computes the same unless it reads sizes to compute with, as a
    /// hand-written `1 / √d` does, which goes on as it was in the graph alone.
    pub fn burnt_in(&self) -> Vec<BurntIn> {
        self.analysis.burnt_in(&self.kept)
    }

    /// The report of the next step as if it were made.
    pub fn preview(&self, selection: &Selection) -> StepReport {
        let selection = &self.judged(selection);
        let report = StepReport::new(selection, &self.groups(), self.step + 1, self.settings.steps);
        let after = self.analysis.counts(&selection.plan().applied_to(&self.analysis, &self.kept));
        let (before, after) = (of_selection(self.counts(), report.before), of_selection(after, report.after));
        report.with_counts(before, after).with_seed(self.settings.seed)
    }

    fn prunable<'a>(&'a self, groups: &'a [&'a dyn Group]) -> Prunable<'a> {
        Prunable { analysis: &self.analysis, kept: &self.kept, groups, limits: &self.settings.limits }
    }

    /// A selection, which may have been edited, with what it makes of the budget.
    fn judged(&self, selection: &Selection) -> Selection {
        match &self.settings.budget {
            Some(budget) => self.prunable(&self.groups()).judged(selection.clone(), budget),
            None => selection.clone(),
        }
    }

    fn select(&self, scores: &Scores) -> Result<Selection, PruneError> {
        let Settings { scheduler, steps, limits, .. } = &self.settings;
        let at = Position::new((self.step + 1).min(*steps), *steps, self.settings.target_ratio());
        let progress = scheduler::ratio(scheduler.as_ref(), at)?;
        let groups = self.groups();
        let additive = self.settings.importance.is_additive();
        let budget = self.settings.budget.clone();
        let budget = budget.map(|budget| Budget { cost_aware: budget.cost_aware && additive, ..budget });
        Ok(match (&budget, &self.dense) {
            (None, _) => select(&groups, scores, limits, progress)?,
            (Some(budget), None) => self.prunable(&groups).meet(scores, budget, progress)?,
            (Some(budget), Some(dense)) => dense.meet(self.prunable(&groups), scores, budget, progress)?,
        })
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
        let threads =
            Some(self.settings.gather_threads).filter(|&threads| threads > 0 && module.device() == Device::Cpu);
        let _threads = threads.map(Threads::new);
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
    fn scores(&self, module: &GraphModule) -> Result<Scores, PruneError> {
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
        let selection = &self.judged(selection);
        let report = StepReport::new(selection, &self.groups(), step, self.settings.steps);
        let before = self.counts();
        if !selection.plan().is_empty() {
            let after = selection.plan().applied_to(&self.analysis, &self.kept);
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
            self.analysis.cut_groups(&mut self.groups, &after);
            self.kept = after;
            self.signals = Signals::default();
        }
        self.step = step;
        self.standings.clone_from(&selection.budget);
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
        let groups = self.groups();
        match &self.settings.budget {
            Some(budget) => self.prunable(&groups).stop_after(&Plan::new(), budget, &self.standings),
            None => stop_reason(&groups, &self.settings.limits).expect("the limits were checked when the run began"),
        }
    }

    fn counts(&self) -> Counts {
        self.analysis.counts(&self.kept)
    }

    fn steps(&self) -> usize {
        self.settings.steps
    }

    fn steps_made(&self) -> usize {
        self.step
    }

    fn pass(&mut self, steps: usize) {
        let last = self.settings.steps.saturating_sub(1);
        self.step = self.step.max(last.min(self.step.saturating_add(steps)));
    }

    fn calibrate(
        &mut self,
        module: &GraphModule,
        loader: &dyn Loader,
        loss: Option<Loss<'_>>,
    ) -> Result<(), PruneError> {
        if self.settings.needs().is_empty() { Ok(()) } else { self.gather(module, loader, loss).map(drop) }
    }

    fn state(&self) -> Result<Value, PruneError> {
        let settings = serde_json::to_value(&self.settings)?;
        let left = self.kept.groups(&self.analysis);
        Ok(serde_json::to_value(State { settings, step: self.step, left, standings: self.standings.clone() })?)
    }

    fn restore(&mut self, graph: &Graph, state: &Value) -> Result<(), PruneError> {
        let state = State::deserialize(state)?;
        if let Some(what) = difference(&serde_json::to_value(&self.settings)?, &state.settings, "settings") {
            return Err(PruneError::OtherRun { what });
        }
        let kept = Kept::of_groups(&self.analysis, &state.left).map_err(|what| PruneError::OtherRun { what })?;
        if !self.analysis.is_rewritten(&kept, graph) {
            return Err(PruneError::OtherRun { what: "the network is another".to_owned() });
        }
        self.groups = self.analysis.groups_left(&kept);
        self.kept = kept;
        self.step = state.step;
        self.standings = state.standings;
        self.signals = Signals::default();
        Ok(())
    }
}

/// The counts with the channels that the selection speaks of: those of groups which are neither pinned nor ignored.
fn of_selection(counts: Counts, selection: Counts) -> Counts {
    Counts { channels: selection.channels, ..counts }
}

/// A number of threads of libtorch while it is there.
struct Threads {
    before: i32,
}

impl Threads {
    fn new(threads: usize) -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
        Self { before }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}
