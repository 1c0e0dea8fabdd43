//! From scores to a plan: which coordinates go in a step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::held::{Held, Total, totals};
use super::outlook::stop_of;
use super::rank::{State, cut_pools};
use super::space::{Members, NOISE, Space};
use super::verdict::{GroupVerdict, Reason, Verdict};
use super::{Limits, LimitsError, Plan, PlanError, Standing, StopReason, by_id};
use crate::deps::Group;
use crate::ids::GroupId;

/// The plan of a step and what became of each group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Selection {
    pub(super) plan: Plan,
    /// What became of each group, in the order of their ids.
    pub verdicts: Vec<GroupVerdict>,
    /// The part of the target that this step goes to.
    pub progress: f64,
    /// The share of the coordinates of all groups that may be cut which is to be gone at the end of the run: the target ratio of the
    /// limits but for what overrides make of it. `None` where a budget says how much goes.
    pub target_ratio: Option<f64>,
    /// Where the budget stands once the plan is applied; empty without one.
    pub budget: Vec<Standing>,
    /// The coordinates of all groups that may be cut.
    pub channels: Channels,
    /// Why no later step can cut anything once the plan is applied; `None` if one could.
    pub stop: Option<StopReason>,
}

/// How many coordinates the groups have together that are neither pinned nor ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Channels {
    /// Before the first cut.
    pub initial: usize,
    /// Before this step.
    pub before: usize,
    /// After it.
    pub after: usize,
    /// After it, had nothing stood in the way.
    pub asked: usize,
}

impl Channels {
    /// The share of the initial coordinates that is gone.
    pub fn achieved(&self) -> f64 {
        if self.initial == 0 { 0.0 } else { 1.0 - self.after as f64 / self.initial as f64 }
    }

    /// How many more should be gone.
    pub fn gap(&self) -> usize {
        self.after.saturating_sub(self.asked)
    }
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The limits make no sense.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// An edited plan does not fit the groups.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An edited plan goes beyond the limits.
    #[error("the plan leaves {after} of the {size} coordinates of {group} ({name}), but {limit}")]
    Limit {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// How many coordinates it has.
        size: usize,
        /// How many the plan leaves.
        after: usize,
        /// What the limits say.
        limit: String,
    },
    /// The progress is no part of a whole.
    #[error("the progress of the step is {0}; it is a part of the target, at least 0 and at most 1")]
    Progress(f64),
    /// Scores are given for a group that is not there.
    #[error("there are scores for {group}, which the network does not have")]
    UnknownGroup {
        /// The group.
        group: GroupId,
    },
    /// The number of scores is not that of the coordinates.
    #[error("there are {found} scores for the {expected} coordinates of {group} ({name})")]
    ScoreCount {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// How many coordinates it has.
        expected: usize,
        /// How many scores there are.
        found: usize,
    },
}

/// Decides what goes in the step that brings the run to `progress`, in `0..=1`, of its target.
///
/// `scores` holds a score per coordinate that is left, in the order of [`Group::coordinates`]; lower goes first. Of equal
/// scores (0 equals −0) the coordinate with the lower number goes first, and of those with the same number the one in the group
/// of the lower id. The result does not depend on the order of `groups`.
///
/// - *Local*: each group keeps `⌈initial · (1 − target · progress)⌉` coordinates, raised to its limits and to the next size that
///   `round_to` allows.
/// - *Global*: the groups that have scores keep so many together. Coordinates are taken in the smallest cuts that the limits of
///   their group allow, by the mean of their scores; what one group may not give, others do. When the next cut is larger than what
///   this step may still take and a later step can take it, the step ends, so that small groups do not pay for large cuts.
/// - *Isomorphic*: as global, among the groups that are made alike.
///
/// Groups to which an override gives a scope or a ratio are cut as if there were no others, to the same `progress` of their target.
///
/// A step never takes more than asked. Everything refers to the sizes before the first cut, so what rounding leaves in one step
/// is made up for in a later one. A group with a score that is not finite, or with none, is left out, and the others go on without it.
pub fn select(
    groups: &[&dyn Group],
    scores: &BTreeMap<GroupId, Vec<f64>>,
    limits: &Limits,
    progress: f64,
) -> Result<Selection, SelectError> {
    let (groups, progress) = checked(groups, scores, progress)?;
    let held = Held::new(&groups, limits)?;
    let mut states = states(&groups, scores, &held);
    cut_pools(&mut states, progress, &|_| true);
    Ok(finished(states, limits, progress))
}

/// The groups in the order of their ids and the progress, which rounding may have carried above 1, if the input makes sense.
pub(super) fn checked<'a>(
    groups: &[&'a dyn Group],
    scores: &BTreeMap<GroupId, Vec<f64>>,
    progress: f64,
) -> Result<(Vec<&'a dyn Group>, f64), SelectError> {
    if !(0.0..=1.0 + NOISE).contains(&progress) {
        return Err(SelectError::Progress(progress));
    }
    check_scores(groups, scores)?;
    let mut groups = groups.to_vec();
    groups.sort_by_key(|group| group.id());
    Ok((groups, progress.min(1.0)))
}

/// The groups before anything is selected.
pub(super) fn states<'a>(
    groups: &[&'a dyn Group],
    scores: &'a BTreeMap<GroupId, Vec<f64>>,
    held: &Held<'_>,
) -> Vec<State<'a>> {
    groups.iter().map(|group| State::new(*group, scores.get(&group.id()), held)).collect()
}

/// What was selected.
pub(super) fn finished(states: Vec<State<'_>>, limits: &Limits, progress: f64) -> Selection {
    let plan = states.iter().map(|state| (state.group.id(), state.coordinates_cut())).collect();
    let spaces: Vec<Space> = states.iter().filter_map(State::space_after).collect();
    let totals = totals(&spaces);
    let initial = spaces.iter().map(|space| space.initial).sum();
    let channels = Channels {
        initial,
        before: states.iter().filter(|state| state.takes_part()).map(|state| state.space.size).sum(),
        after: spaces.iter().map(|space| space.size).sum(),
        asked: totals.values().map(|total| total.remaining(progress)).sum(),
    };
    // Where no override sets a ratio it is that of the limits to the last bit.
    let more = |total: &Total| (total.ratio - limits.target_ratio) * total.initial as f64 / initial as f64;
    let target_ratio = limits.target_ratio + totals.values().map(more).sum::<f64>();
    let stop = stop_of(&spaces);
    let verdicts = states.into_iter().map(State::into_verdict).collect();
    let target_ratio = Some(target_ratio);
    Selection { plan, verdicts, progress, target_ratio, budget: Vec::new(), channels, stop }
}

impl Selection {
    /// What goes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The selection with `plan` in place of its own: its verdicts and counts say what `plan` does. Where a budget stands is told
    /// again when the plan is applied; the latency of another plan is not known. The limits hold for it as for any other.
    pub fn with_plan(mut self, plan: Plan, groups: &[&dyn Group], limits: &Limits) -> Result<Self, SelectError> {
        plan.validate(groups)?;
        let held = Held::new(groups, limits)?;
        let groups = by_id(groups);
        let mut spaces = Vec::new();
        for verdict in &mut self.verdicts {
            let Some(&group) = groups.get(&verdict.group) else { continue };
            let cut = plan.cut(verdict.group);
            check_limits(group, cut, &held)?;
            let changed = cut != self.plan.cut(verdict.group);
            verdict.size_after = group.size() - cut.len();
            verdict.kept =
                group.coordinates().iter().filter(|kept| cut.binary_search(kept).is_err()).copied().collect();
            if changed {
                // Which score was the last to go is known only of what the scores chose.
                verdict.threshold = None;
                verdict.verdict = match cut.len() {
                    0 => Verdict::Kept(Reason::Edited),
                    count => Verdict::Cut { count },
                };
            }
            if held.lets_cut(group) {
                spaces.push(Space::new(group, &held).after(cut.len()));
            }
        }
        self.channels.after = spaces.iter().map(|space| space.size).sum();
        self.stop = stop_of(&spaces);
        if plan != self.plan {
            self.budget.clear();
        }
        self.plan = plan;
        Ok(self)
    }
}

/// Checks that the limits let a cut of a group be made.
fn check_limits(group: &dyn Group, cut: &[u32], held: &Held<'_>) -> Result<(), SelectError> {
    if cut.is_empty() {
        return Ok(());
    }
    let (size, after) = (group.size(), group.size() - cut.len());
    let limit = match held.ignored(group.id()) {
        Some(pattern) => Some(format!("`{pattern}` is ignored")),
        None => Space::new(group, held).limit_on(after).or_else(|| {
            let min_channels = held.of(group.id()).min_channels;
            let indices = cut.iter().filter_map(|coordinate| group.coordinates().binary_search(coordinate).ok());
            let admitted = Members::new(group, min_channels).admissible(indices).len();
            (admitted < cut.len()).then(|| format!("min_channels keeps {min_channels} of each of its members"))
        }),
    };
    let beyond = |limit| SelectError::Limit { group: group.id(), name: group.name().to_owned(), size, after, limit };
    limit.map_or(Ok(()), |limit| Err(beyond(limit)))
}

fn check_scores(groups: &[&dyn Group], scores: &BTreeMap<GroupId, Vec<f64>>) -> Result<(), SelectError> {
    let groups = by_id(groups);
    for (&id, scores) in scores {
        let group = groups.get(&id).ok_or(SelectError::UnknownGroup { group: id })?;
        let (expected, found) = (group.size(), scores.len());
        if expected != found {
            return Err(SelectError::ScoreCount { group: id, name: group.name().to_owned(), expected, found });
        }
    }
    Ok(())
}
