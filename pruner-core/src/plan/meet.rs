//! From scores to a plan that meets a budget: never above it, and with nothing cut that could as well stay.

use std::collections::BTreeMap;

use super::budget::{Bound, check_reach, met};
use super::ignore::ignored;
use super::rank::{State, compare, cut_local, cut_pools};
use super::select::{Selection, checked, finished, states};
use super::space::Space;
use super::verdict::Reason;
use super::{Budget, BudgetError, Limits, Measure, Plan, Scope, SelectError, Standing, StopReason};
use crate::deps::{Analysis, Counts, Group, Kept, Member, Tally};
use crate::ids::GroupId;

/// A network that is to be cut to a budget.
#[derive(Clone, Copy, Debug)]
pub struct Prunable<'a> {
    /// What its costs depend on.
    pub analysis: &'a Analysis,
    /// What is left of it.
    pub kept: &'a Kept,
    /// The groups of what is left.
    pub groups: &'a [&'a dyn Group],
    /// What no cut goes below; the target ratio is not looked at.
    pub limits: &'a Limits,
}

impl Prunable<'_> {
    /// Decides what goes in the step that brings the run to `progress`, in `0..=1`, of a budget: of a measure with the share `s`
    /// at most `⌊dense · (1 − s · progress)⌋` is left. Latency is not looked at.
    ///
    /// `scores` and the order of equal ones are as for [`select`](super::select).
    ///
    /// - *Local* and *isomorphic*: what [`select`](super::select) takes at the smallest ratio, to a millionth, that meets the budget.
    ///   What lies between this ratio and the next smaller one is given back while the budget holds.
    /// - *Global*: cuts are made one after the other, each the smallest that the limits of its group allow, first that of the
    ///   least mean score for what it frees: the sum, over the measures that are not met yet, of the part of the missing that it frees
    ///   as the network is then. Without [`cost_aware`](Budget::cost_aware) it is that of the least mean score which frees anything.
    ///
    /// At the end whatever can stay within the budget is given back, the highest scores first. So no single cut can be left out
    /// of the plan.
    pub fn meet(
        &self,
        scores: &BTreeMap<GroupId, Vec<f64>>,
        budget: &Budget,
        progress: f64,
    ) -> Result<Selection, BudgetError> {
        budget.validate()?;
        self.check_reach(scores, budget)?;
        let selection = self.meet_now(scores, &budget.at(progress), progress)?;
        Ok(self.judged(selection, budget))
    }

    /// As [`meet`](Self::meet), for the shares that are to be gone after this step.
    pub(crate) fn meet_now(
        &self,
        scores: &BTreeMap<GroupId, Vec<f64>>,
        now: &Budget,
        progress: f64,
    ) -> Result<Selection, BudgetError> {
        let (groups, progress) = checked(self.groups, scores, self.limits, progress)?;
        let ignored = ignored(&groups, &self.limits.ignore).map_err(SelectError::from)?;
        let states = states(&groups, scores, self.limits, &ignored);
        let bounds = Bound::all(now, self.analysis.counts(&Kept::all()));
        let mut meeting = Meeting { prunable: *self, bounds, ladders: states.iter().map(ladder).collect(), states };
        meeting.run(now.cost_aware)?;
        Ok(finished(meeting.states, self.limits, progress))
    }

    /// What is left once all goes that the limits let go, in the order of the scores; an error where that is above the budget.
    pub(crate) fn check_reach(
        &self,
        scores: &BTreeMap<GroupId, Vec<f64>>,
        budget: &Budget,
    ) -> Result<Counts, BudgetError> {
        let (groups, _) = checked(self.groups, scores, self.limits, 1.0)?;
        let ignored = ignored(&groups, &self.limits.ignore).map_err(SelectError::from)?;
        let mut states = states(&groups, scores, self.limits, &ignored);
        for state in &mut states {
            state.taken = ladder(state).last().copied().unwrap_or(0);
        }
        let least = self.analysis.counts(&self.kept_after(&states));
        check_reach(&Bound::all(budget, self.analysis.counts(&Kept::all())), least)?;
        Ok(least)
    }

    /// Checks from sizes and limits alone that a budget can be met. Where it depends on which coordinates go, the scores tell.
    pub fn check(&self, budget: &Budget) -> Result<(), BudgetError> {
        budget.validate()?;
        let ignored = ignored(self.groups, &self.limits.ignore).map_err(SelectError::from)?;
        let mut kept = self.kept.clone();
        for group in self.groups.iter().filter(|group| group.pin().is_none() && !ignored.contains_key(&group.id())) {
            let even = |member: &Member| member.layout.regular().is_some_and(|(size, _)| size == group.size());
            if !group.members().iter().all(even) {
                return Ok(());
            }
            let cut = Space::new(*group, self.limits).cuts().last().unwrap_or(0);
            kept.remove(self.analysis, group.id(), &group.coordinates()[..cut]);
        }
        check_reach(&Bound::all(budget, self.analysis.counts(&Kept::all())), self.analysis.counts(&kept))
    }

    /// The selection with what its plan makes of the budget of the run, and whether that ends it. What it says of latency stays,
    /// since that was measured.
    pub(crate) fn judged(&self, mut selection: Selection, budget: &Budget) -> Selection {
        let dense = self.analysis.counts(&Kept::all());
        let after = self.analysis.counts(&selection.plan().applied_to(self.analysis, self.kept));
        let now = budget.at(selection.progress);
        let measured: Vec<_> = selection.budget.iter().filter(|of| of.measure == Measure::Latency).copied().collect();
        let counted = now.shares().filter_map(|(measure, asked)| {
            let (dense, after) = (measure.count(dense)? as f64, measure.count(after)? as f64);
            Some(Standing::new(measure, asked, dense, after))
        });
        selection.budget = counted.chain(measured).collect();
        selection.target_ratio = None;
        selection.channels.asked = selection.channels.after;
        selection.stop = self.stop_after(selection.plan(), budget, &selection.budget);
        selection
    }

    /// Why nothing can be cut any more for the budget of a run once a plan is applied; `None` if something can. What `known` says
    /// of latency is what was measured last.
    pub(crate) fn stop_after(&self, plan: &Plan, budget: &Budget, known: &[Standing]) -> Option<StopReason> {
        let bounds = Bound::all(budget, self.analysis.counts(&Kept::all()));
        let after = self.analysis.counts(&plan.applied_to(self.analysis, self.kept));
        let latency = budget.latency.is_none_or(|share| {
            known.iter().any(|of| of.measure == Measure::Latency && of.achieved >= share)
        });
        let ignored = ignored(self.groups, &self.limits.ignore).unwrap_or_default();
        let mut free =
            self.groups.iter().filter(|group| group.pin().is_none() && !ignored.contains_key(&group.id())).peekable();
        if free.peek().is_none() {
            Some(StopReason::NothingPrunable)
        } else if latency && met(&bounds, after) {
            Some(StopReason::TargetReached)
        } else {
            let cuttable = |group: &&dyn Group| {
                let space = Space::new(*group, self.limits).after(plan.cut(group.id()).len());
                space.cuts().next().is_some()
            };
            if free.any(cuttable) { None } else { Some(StopReason::Limits) }
        }
    }

    fn kept_after(&self, states: &[State<'_>]) -> Kept {
        let mut kept = self.kept.clone();
        for state in states.iter().filter(|state| state.taken > 0) {
            kept.remove(self.analysis, state.group.id(), &state.coordinates(0, state.taken));
        }
        kept
    }
}

/// How many coordinates of a group may go, ascending from none.
fn ladder(state: &State<'_>) -> Vec<usize> {
    let cuts = state.space.cuts().take_while(|&cut| cut <= state.ranked.len());
    std::iter::once(0).chain(cuts.filter(|_| state.ranks)).collect()
}

/// A budget while it is being met.
struct Meeting<'a, 'g> {
    prunable: Prunable<'a>,
    bounds: Vec<Bound>,
    states: Vec<State<'g>>,
    /// For each state, how many of its coordinates may go.
    ladders: Vec<Vec<usize>>,
}

/// The next cut of a group in a greedy selection.
struct Candidate {
    state: usize,
    /// The mean score of its coordinates.
    mean: f64,
    /// The first of them, by its number before the first cut.
    coordinate: u32,
    /// How many coordinates of the group are gone with it.
    taken: usize,
    /// What it frees, or freed before something that it depends on was cut; that was no less.
    freed: Counts,
    stale: bool,
}

impl Meeting<'_, '_> {
    fn run(&mut self, cost_aware: bool) -> Result<(), BudgetError> {
        let analysis = self.prunable.analysis;
        if met(&self.bounds, analysis.counts(self.prunable.kept)) {
            self.explain(true);
        } else if self.prunable.limits.scope == Scope::Global {
            let mut tally = Tally::new(analysis, self.prunable.kept.clone());
            self.cut_greedily(&mut tally, cost_aware)?;
            self.explain(false);
            self.give_back(&mut tally, &vec![0; self.states.len()]);
        } else {
            let least = self.cut_by_ratio()?;
            let mut tally = Tally::new(analysis, self.prunable.kept_after(&self.states));
            self.give_back(&mut tally, &least);
            self.give_back(&mut tally, &vec![0; self.states.len()]);
        }
        Ok(())
    }

    /// Says of each group of which nothing goes why.
    fn explain(&mut self, target_met: bool) {
        for state in self.states.iter_mut().filter(|state| state.ranks && state.taken == 0) {
            state.reason = state.explain(target_met, usize::MAX);
        }
    }

    /// Takes what the smallest ratio takes that meets the budget, and returns how much the largest takes of each group that does
    /// not.
    fn cut_by_ratio(&mut self) -> Result<Vec<usize>, BudgetError> {
        const PRECISION: f64 = 1e-6;
        let (mut low, mut high) = (0.0, 1.0 - PRECISION);
        let least = self.counts_at(high);
        check_reach(&self.bounds, least)?;
        while high - low > PRECISION {
            let middle = f64::midpoint(low, high);
            let counts = self.counts_at(middle);
            if met(&self.bounds, counts) {
                high = middle;
            } else {
                low = middle;
            }
        }
        self.counts_at(low);
        let least = self.states.iter().map(|state| state.taken).collect();
        self.counts_at(high);
        Ok(least)
    }

    /// Takes what a ratio takes, and counts what is left.
    fn counts_at(&mut self, ratio: f64) -> Counts {
        for state in self.states.iter_mut().filter(|state| state.ranks) {
            (state.taken, state.reason) = (0, Reason::TargetReached);
        }
        let limits = self.prunable.limits.clone().with_target_ratio(ratio);
        match limits.scope {
            Scope::Local => cut_local(&mut self.states, ratio),
            Scope::Global | Scope::Isomorphic => cut_pools(&mut self.states, &limits, ratio),
        }
        self.prunable.analysis.counts(&self.prunable.kept_after(&self.states))
    }

    fn cut_greedily(&mut self, tally: &mut Tally<'_>, cost_aware: bool) -> Result<(), BudgetError> {
        let mut candidates: Vec<Option<Candidate>> =
            (0..self.states.len()).map(|index| self.candidate(tally, index)).collect();
        let place: BTreeMap<GroupId, usize> =
            self.states.iter().enumerate().map(|(index, state)| (state.group.id(), index)).collect();
        loop {
            let counts = tally.counts();
            let missing: Vec<u64> = self.bounds.iter().map(|bound| bound.missing(counts)).collect();
            if missing.iter().all(|&missing| missing == 0) {
                return Ok(());
            }
            let part = |freed: Counts| -> f64 {
                let unmet = self.bounds.iter().zip(&missing).filter(|(_, missing)| **missing > 0);
                unmet.map(|(bound, &missing)| bound.count(freed).min(missing) as f64 / missing as f64).sum()
            };
            let key = |candidate: &Candidate| {
                let part = part(candidate.freed);
                let key = match candidate.mean {
                    mean if !cost_aware => mean,
                    mean if mean < 0.0 => mean * part,
                    mean => mean / part,
                };
                (part > 0.0).then_some(key)
            };
            let least = candidates.iter().flatten().filter_map(|candidate| Some((key(candidate)?, candidate)));
            let least = least.min_by(|(a, one), (b, other)| {
                compare(*a, *b).then(one.coordinate.cmp(&other.coordinate)).then(one.state.cmp(&other.state))
            });
            let Some((_, &Candidate { state: index, taken, stale, .. })) = least else {
                return check_reach(&self.bounds, counts);
            };
            let id = self.states[index].group.id();
            if stale {
                // What it frees now is no more than what it freed then, so that those before which it comes now it came before.
                candidates[index] = self.candidate(tally, index);
                continue;
            }
            let state = &mut self.states[index];
            tally.remove(id, &state.coordinates(state.taken, taken));
            state.taken = taken;
            for neighbour in tally.neighbours(id).iter().filter_map(|neighbour| place.get(neighbour)) {
                if let Some(candidate) = &mut candidates[*neighbour] {
                    candidate.stale = true;
                }
            }
            candidates[index] = self.candidate(tally, index);
        }
    }

    fn candidate(&self, tally: &mut Tally<'_>, index: usize) -> Option<Candidate> {
        let (state, ladder) = (&self.states[index], &self.ladders[index]);
        let taken = *ladder.get(ladder.partition_point(|&cut| cut <= state.taken))?;
        let coordinates = state.coordinates(state.taken, taken);
        Some(Candidate {
            state: index,
            mean: state.mean(state.taken, taken),
            coordinate: coordinates[0],
            taken,
            freed: tally.freed(state.group.id(), &coordinates),
            stale: false,
        })
    }

    /// Gives back what lies above `least` of each group, in the smallest cuts and the highest mean scores first, while the
    /// bounds hold.
    fn give_back(&mut self, tally: &mut Tally<'_>, least: &[usize]) {
        // What could not be given back once cannot be later: with more of the network left, it costs no less.
        let mut blocked = vec![false; self.states.len()];
        let below = |state: &State<'_>, ladder: &[usize]| ladder[ladder.partition_point(|&cut| cut < state.taken) - 1];
        loop {
            let able = self.states.iter().zip(&self.ladders).enumerate().filter(|(index, (state, ladder))| {
                !blocked[*index] && state.taken > 0 && below(state, ladder) >= least[*index]
            });
            let highest = able
                .map(|(index, (state, ladder))| (state.mean(below(state, ladder), state.taken), index))
                .max_by(|(a, one), (b, other)| compare(*a, *b).then(one.cmp(other)));
            let Some((_, index)) = highest else { return };
            let state = &mut self.states[index];
            let left = below(state, &self.ladders[index]);
            let coordinates = state.coordinates(left, state.taken);
            tally.restore(state.group.id(), &coordinates);
            if met(&self.bounds, tally.counts()) {
                state.taken = left;
                if left == 0 {
                    state.reason = Reason::TargetReached;
                }
            } else {
                tally.remove(state.group.id(), &coordinates);
                blocked[index] = true;
            }
        }
    }
}
