//! What a step did, and why.
//!
//! A [`StepReport`] is plain data: it serialises to one line of JSON and prints as tables; a precision, as in
//! `{report:.80}`, is the width that their lines fit in.

mod alarm;
mod display;
mod numbers;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use alarm::Alarm;

pub use crate::deps::Counts;
use crate::deps::Group;
use crate::ids::{GroupId, NodeId};
use crate::plan::{GroupVerdict, Reason, ScoreSummary, Selection, Standing, StopReason, Verdict};

/// What a step did, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepReport {
    /// What happened.
    pub outcome: Outcome,
    /// Which step it was, from 1.
    pub step: usize,
    /// The steps of the run.
    pub steps: usize,
    /// The part of the run's target that the step goes to.
    pub progress: f64,
    /// The seed of what is random in the scores; `None` where nothing is.
    pub seed: Option<u64>,
    /// The share of the channels before the first cut that should be gone after this step; `None` where a budget says how much
    /// goes.
    pub target: Option<f64>,
    /// Where the measures of the budget stand after this step; empty without one.
    pub budget: Vec<Standing>,
    /// The share that is gone.
    pub achieved: f64,
    /// The channels that should be gone and are not.
    pub gap_channels: usize,
    /// The network before the step.
    pub before: Counts,
    /// The network after it.
    pub after: Counts,
    /// Every group, in the order of their ids.
    pub groups: Vec<GroupReport>,
    /// What should be looked at.
    pub alarms: Vec<Alarm>,
    /// What the parts of the step took.
    pub seconds: Seconds,
    /// What running the cut network showed; `None` if it was not run.
    pub verification: Option<Verification>,
    /// Whether a step with all of the target before it could cut more, from the limits alone.
    pub can_prune_further: bool,
    /// Why the run is over; `None` if it is not.
    pub stop: Option<StopReason>,
}

/// What happened in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Outcome {
    /// Channels were cut.
    Pruned,
    /// Nothing was cut in this step.
    NothingToPrune {
        /// Why: of the reasons of all groups the one that says most.
        reason: Reason,
    },
    /// Nothing was cut, and the target of the run is reached.
    TargetReached,
    /// Nothing was cut, and nothing can be cut any more.
    Finished {
        /// Why.
        reason: StopReason,
    },
}

/// What became of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupReport {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// The dimensions that are cut with it, such as `conv1.weight:0`.
    pub members: Vec<String>,
    /// The node at which cutting it changes a statistic, so that the network is not the masked one; `None` where there is none.
    pub inexact: Option<NodeId>,
    /// Its coordinates before the first cut.
    pub initial_size: usize,
    /// Its coordinates before this step.
    pub size_before: usize,
    /// Its coordinates after this step.
    pub size_after: usize,
    /// Why nothing of it was cut; `None` if something was.
    pub reason: Option<Reason>,
    /// The coordinates that are kept, by their numbers before the first cut, ascending.
    pub kept: Vec<u32>,
    /// The scores before this step; `None` without finite scores.
    pub scores: Option<ScoreSummary>,
    /// The highest score that was cut; `None` where nothing was, or where the plan was edited.
    pub threshold: Option<f64>,
}

impl GroupReport {
    fn new(verdict: &GroupVerdict) -> Self {
        Self {
            group: verdict.group,
            name: verdict.name.clone(),
            members: Vec::new(),
            inexact: None,
            initial_size: verdict.initial_size,
            size_before: verdict.size_before,
            size_after: verdict.size_after,
            reason: match &verdict.verdict {
                Verdict::Cut { .. } => None,
                Verdict::Kept(reason) => Some(reason.clone()),
            },
            kept: verdict.kept.clone(),
            scores: verdict.scores,
            threshold: verdict.threshold,
        }
    }

    /// How many of its coordinates were cut in this step.
    pub fn cut(&self) -> usize {
        self.size_before - self.size_after.min(self.size_before)
    }
}

/// What the parts of a step took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seconds {
    /// Scoring.
    pub score: f64,
    /// Making the plan.
    pub plan: f64,
    /// Applying it.
    pub apply: f64,
}

impl Seconds {
    /// Scoring, making the plan and applying it.
    pub fn new(score: f64, plan: f64, apply: f64) -> Self {
        Self { score, plan, apply }
    }

    /// All of them.
    pub fn total(&self) -> f64 {
        self.score + self.plan + self.apply
    }
}

/// What running the cut network showed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verification {
    /// The largest difference between the outputs of the cut and of the masked network; `None` if they were not compared, or
    /// where it is no finite number.
    pub max_abs_difference: Option<f64>,
    /// Whether all outputs are finite.
    pub finite: bool,
}

impl Verification {
    /// Of outputs that were compared with those of the masked network, or were not.
    pub fn new(max_abs_difference: Option<f64>, outputs: Outputs) -> Self {
        let max_abs_difference = max_abs_difference.filter(|difference| difference.is_finite());
        Self { max_abs_difference, finite: outputs == Outputs::Finite }
    }
}

/// Whether all outputs of a network are finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// All are.
    Finite,
    /// Some are infinite or no number.
    NonFinite,
}

impl StepReport {
    /// What `selection` decided for `groups`, in step `step` of `steps`, once its plan is applied (or, in a dry run, as if it were).
    ///
    /// The groups may be those before or after the step. Counts other than of channels are 0 until
    /// [`with_counts`](Self::with_counts).
    pub fn new(selection: &Selection, groups: &[&dyn Group], step: usize, steps: usize) -> Self {
        let mut reports: Vec<GroupReport> = selection.verdicts.iter().map(GroupReport::new).collect();
        for group in groups {
            let found = reports.binary_search_by_key(&group.id(), |report| report.group);
            if let Ok(index) = found {
                let members = group.members().iter().map(|member| format!("{}:{}", member.name, member.dim));
                reports[index].members = members.collect();
                reports[index].inexact = group.inexact();
            }
        }
        let channels = |count: usize| Counts { channels: count as u64, ..Counts::default() };
        Self {
            outcome: outcome(selection, step, steps),
            step,
            steps,
            progress: selection.progress,
            seed: None,
            target: selection.target_ratio.map(|ratio| ratio * selection.progress),
            budget: selection.budget.clone(),
            achieved: selection.channels.achieved(),
            gap_channels: selection.channels.gap(),
            before: channels(selection.channels.before),
            after: channels(selection.channels.after),
            alarms: alarm::alarms(&reports),
            groups: reports,
            seconds: Seconds::default(),
            verification: None,
            can_prune_further: selection.stop.is_none(),
            stop: selection.stop.or((step >= steps).then_some(StopReason::StepsDone)),
        }
    }

    /// Sets the counts other than of channels, which are known from the selection.
    #[must_use]
    pub fn with_counts(self, before: Counts, after: Counts) -> Self {
        let before = Counts { channels: self.before.channels, ..before };
        let after = Counts { channels: self.after.channels, ..after };
        Self { before, after, ..self }
    }

    /// Sets the [`seed`](Self::seed).
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Sets the [`seconds`](Self::seconds).
    #[must_use]
    pub fn with_seconds(self, seconds: Seconds) -> Self {
        Self { seconds, ..self }
    }

    /// Sets the [`verification`](Self::verification).
    #[must_use]
    pub fn with_verification(self, verification: Verification) -> Self {
        Self { verification: Some(verification), ..self }
    }

    /// Whether anything was cut.
    pub fn pruned(&self) -> bool {
        self.outcome == Outcome::Pruned
    }

    /// Whether training is worth its while: only when something was cut is there anything to recover from.
    pub fn should_train(&self) -> bool {
        self.pruned()
    }

    /// Whether the run is over: a later step could cut nothing, or there is none.
    pub fn is_terminal(&self) -> bool {
        self.stop.is_some()
    }

    /// The report as one line of JSON, without the end of the line.
    pub fn to_json_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn outcome(selection: &Selection, step: usize, steps: usize) -> Outcome {
    if !selection.plan().is_empty() {
        return Outcome::Pruned;
    }
    match selection.stop {
        Some(StopReason::TargetReached) => Outcome::TargetReached,
        Some(reason @ (StopReason::Limits | StopReason::NothingPrunable)) => Outcome::Finished { reason },
        _ if step > steps => Outcome::Finished { reason: StopReason::StepsDone },
        _ => selection
            .verdicts
            .iter()
            .filter_map(|verdict| verdict.verdict.reason())
            .reduce(|most, reason| if weight(reason) > weight(most) { reason } else { most })
            .map_or(Outcome::Finished { reason: StopReason::NothingPrunable }, |reason| Outcome::NothingToPrune {
                reason: reason.clone(),
            }),
    }
}

/// How much a reason of one group says of a step in which nothing was cut.
fn weight(reason: &Reason) -> u32 {
    match reason {
        Reason::Edited => 10,
        Reason::Rounding { .. } => 9,
        Reason::NonFiniteScore { .. } => 8,
        Reason::NoScore => 7,
        Reason::TargetReached => 6,
        Reason::AtMaxRatio => 5,
        Reason::AtMinimum => 4,
        Reason::NotDivisible { .. } => 3,
        Reason::RankedHigher => 2,
        Reason::Ignored { .. } => 1,
        Reason::Pinned { .. } => 0,
    }
}
