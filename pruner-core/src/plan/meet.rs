//! From scores to a plan that meets a budget: never above it, and with nothing cut that could as well stay.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::budget::{Bound, check_reach, met};
use super::held::Held;
use super::outlook::stop_of;
use super::rank::{State, compare, cut_pools};
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
    /// - *Local* and *isomorphic*: what [`select`](super::select) takes at the largest ratio, to a millionth, that does not meet the
    ///   budget yet. From there cuts are made one after the other, each the smallest that the limits of its group allow, first
    ///   where the least share is gone with it, and of equal shares that of the least mean score.
    /// - *Global*: cuts are made so from the beginning, first that of the least mean score for what it frees: the sum, over the
    ///   measures that are not met yet, of the part of the missing that it frees as the network is then. Without
    ///   [`cost_aware`](Budget::cost_aware) it is that of the least mean score which frees anything. Where an override gives groups a
    ///   scope of their own, each scope ranks by itself and all lose the same share, as with the others.
    ///
    /// Groups with a ratio of their own ([`Override`](super::Override)) are cut to it, whatever the budget is, and the others by the scope of the
    /// run to what is then missing of it.
    ///
    /// A cut that would free a hundredth of the network more than is missing of every measure waits until there is no other. At
    /// the end whatever can stay within the budget is given back, the highest mean scores first. So no single cut can be left out of
    /// the plan. Where more than a hundredth of the network is still gone beyond the budget, as in networks of few coordinates, cuts of two groups
    /// are exchanged if no more than that is with it: those that lose the least importance, or in scopes other than the global that move the least share.
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
        let (groups, progress) = checked(self.groups, scores, progress)?;
        let held = Held::new(&groups, self.limits).map_err(SelectError::from)?;
        let mut states = states(&groups, scores, &held);
        cut_pools(&mut states, progress, &|space| space.own_ratio);
        let bounds = Bound::all(now, self.analysis.counts(&Kept::all()));
        let ladders = states.iter().map(ladder).collect();
        let mut meeting = Meeting { prunable: *self, bounds, whole: progress >= 1.0, ladders, states };
        meeting.run(now.cost_aware)?;
        Ok(finished(meeting.states, self.limits, progress))
    }

    /// What is left once all goes that the limits let go, in the order of the scores; an error where that is above the budget.
    pub(crate) fn check_reach(
        &self,
        scores: &BTreeMap<GroupId, Vec<f64>>,
        budget: &Budget,
    ) -> Result<Counts, BudgetError> {
        let (groups, _) = checked(self.groups, scores, 1.0)?;
        let held = Held::new(&groups, self.limits).map_err(SelectError::from)?;
        let mut states = states(&groups, scores, &held);
        cut_pools(&mut states, 1.0, &|space| space.own_ratio);
        for state in states.iter_mut().filter(|state| !state.space.own_ratio) {
            state.taken = ladder(state).last().copied().unwrap_or(0);
        }
        let least = self.analysis.counts(&self.kept_after(&states));
        let unscored = states.iter().filter(|state| state.takes_part() && !state.ranks).count();
        match check_reach(&Bound::all(budget, self.analysis.counts(&Kept::all())), least) {
            Err(BudgetError::Infeasible { failing }) if unscored > 0 => {
                Err(BudgetError::Unscored { failing, unscored })
            }
            reached => reached.map(|()| least),
        }
    }

    /// Checks from sizes and limits alone that a budget can be met. Where it depends on which coordinates go, the scores tell.
    pub fn check(&self, budget: &Budget) -> Result<(), BudgetError> {
        budget.validate()?;
        let held = Held::new(self.groups, self.limits).map_err(SelectError::from)?;
        let mut kept = self.kept.clone();
        for group in self.groups.iter().filter(|group| held.lets_cut(**group)) {
            let even = |member: &Member| member.layout.regular().is_some_and(|(size, _)| size == group.size());
            let space = Space::new(*group, &held);
            if space.own_ratio || !group.members().iter().all(even) {
                return Ok(());
            }
            let cut = space.cuts().last().unwrap_or(0);
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
        let latency = budget
            .latency
            .is_none_or(|share| known.iter().any(|of| of.measure == Measure::Latency && of.achieved >= share));
        let held = Held::new(self.groups, self.limits).expect("the limits were checked when the plan was made");
        let free = self.groups.iter().filter(|group| held.lets_cut(**group));
        let spaces: Vec<Space> =
            free.map(|group| Space::new(*group, &held).after(plan.cut(group.id()).len())).collect();
        let of_own: Vec<Space> = spaces.iter().filter(|space| space.own_ratio).cloned().collect();
        let own_goes_on = !of_own.is_empty() && stop_of(&of_own).is_none();
        if spaces.is_empty() {
            Some(StopReason::NothingPrunable)
        } else if own_goes_on {
            None
        } else if latency && met(&bounds, after) {
            Some(StopReason::TargetReached)
        } else {
            let cuttable = |space: &Space| !space.own_ratio && space.cuts().next().is_some();
            if spaces.iter().any(cuttable) { None } else { Some(StopReason::Limits) }
        }
    }

    fn kept_after(&self, states: &[State<'_>]) -> Kept {
        let mut kept = self.kept.clone();
        for state in states.iter().filter(|state| state.taken > 0) {
            kept.remove(self.analysis, state.group.id(), &state.coordinates_cut());
        }
        kept
    }
}

/// How many coordinates of a group may go for a budget, ascending from none.
fn ladder(state: &State<'_>) -> Vec<usize> {
    let cuts = state.space.cuts().take_while(|&cut| cut <= state.ranked.len());
    std::iter::once(0).chain(cuts.filter(|_| state.ranks && !state.space.own_ratio)).collect()
}

/// Which cut is made next.
#[derive(Clone, Copy)]
enum Order {
    /// That of the least mean score for what it frees.
    ScorePerCost,
    /// That of the least mean score.
    Score,
    /// That with which the least share of its pool is gone.
    Share,
}

/// How far below a budget a network may end, as a share of the dense one, where the limits let it come nearer.
pub(super) const TOLERANCE: f64 = 0.01;

/// A budget while it is being met.
pub(super) struct Meeting<'a, 'g> {
    prunable: Prunable<'a>,
    pub(super) bounds: Vec<Bound>,
    /// Whether it is that of the whole run.
    whole: bool,
    pub(super) states: Vec<State<'g>>,
    /// For each state, how many of its coordinates may go.
    pub(super) ladders: Vec<Vec<usize>>,
}

/// The next cut of a group.
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
    /// Whether it frees too much to be made before any other.
    waits: bool,
}

impl Candidate {
    /// The order among those that are equal in what decides first.
    fn then(&self, other: &Self) -> Ordering {
        let later = compare(self.mean, other.mean).then(self.coordinate.cmp(&other.coordinate));
        later.then(self.state.cmp(&other.state))
    }
}

impl Meeting<'_, '_> {
    fn run(&mut self, cost_aware: bool) -> Result<(), BudgetError> {
        let analysis = self.prunable.analysis;
        if met(&self.bounds, analysis.counts(&self.prunable.kept_after(&self.states))) {
            self.explain(true);
            return Ok(());
        }
        // Scores of groups in scopes of their own are not compared.
        let apart = self.states.iter().any(|state| !state.space.own_ratio && state.space.pool.is_of_override());
        let order = match self.prunable.limits.scope {
            Scope::Global if apart => Order::Share,
            Scope::Global if cost_aware => Order::ScorePerCost,
            Scope::Global => Order::Score,
            Scope::Local | Scope::Isomorphic => Order::Share,
        };
        if matches!(order, Order::Share) {
            self.cut_by_ratio();
        }
        let mut tally = Tally::new(analysis, self.prunable.kept_after(&self.states));
        self.cut_on(&mut tally, order)?;
        if !matches!(order, Order::Share) {
            self.explain(false);
        }
        self.give_back(&mut tally);
        self.exchange(&mut tally, matches!(order, Order::Share));
        Ok(())
    }

    /// Says of each group of which nothing goes why.
    fn explain(&mut self, target_met: bool) {
        for state in self.states.iter_mut().filter(|state| state.ranks && state.taken == 0 && !state.space.own_ratio) {
            state.reason = state.explain(target_met, usize::MAX);
        }
    }

    /// Takes what the largest ratio takes that does not meet the budget.
    fn cut_by_ratio(&mut self) {
        const PRECISION: f64 = 1e-6;
        let (mut low, mut high) = (0.0, 1.0);
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
    }

    /// Takes what a ratio takes, and counts what is left.
    fn counts_at(&mut self, ratio: f64) -> Counts {
        for state in self.states.iter_mut().filter(|state| state.ranks && !state.space.own_ratio) {
            (state.taken, state.reason, state.space.ratio) = (0, Reason::TargetReached, ratio);
        }
        cut_pools(&mut self.states, 1.0, &|space| !space.own_ratio);
        self.prunable.analysis.counts(&self.prunable.kept_after(&self.states))
    }

    /// Makes one cut after the other until the bounds hold.
    fn cut_on(&mut self, tally: &mut Tally<'_>, order: Order) -> Result<(), BudgetError> {
        let mut candidates: Vec<Option<Candidate>> =
            (0..self.states.len()).map(|index| self.candidate(tally, index)).collect();
        let place: BTreeMap<GroupId, usize> =
            self.states.iter().enumerate().map(|(index, state)| (state.group.id(), index)).collect();
        let pools = self.pools();
        // The coordinates of each pool, before the first cut and now.
        let mut sizes = vec![(0, 0); self.states.len()];
        for (state, &pool) in self.states.iter().zip(&pools) {
            let (initial, size): &mut (usize, usize) = &mut sizes[pool];
            *initial += state.space.initial;
            *size += state.space.size - state.taken;
        }
        while !met(&self.bounds, tally.counts()) {
            let counts = tally.counts();
            let key = |candidate: &Candidate| {
                let part = self.part(counts, candidate.freed);
                let key = match order {
                    Order::ScorePerCost if candidate.mean < 0.0 => candidate.mean * part,
                    Order::ScorePerCost => candidate.mean / part,
                    Order::Score => candidate.mean,
                    Order::Share => {
                        let (initial, size) = sizes[pools[candidate.state]];
                        let cut = candidate.taken - self.states[candidate.state].taken;
                        1.0 - (size - cut) as f64 / initial as f64
                    }
                };
                (part > 0.0).then_some(key)
            };
            let next = candidates.iter().flatten().filter_map(|candidate| Some((key(candidate)?, candidate)));
            let next = next.min_by(|(a, one), (b, other)| {
                one.waits.cmp(&other.waits).then(compare(*a, *b)).then_with(|| one.then(other))
            });
            let Some((_, next)) = next else {
                // What groups with ratios of their own are still to give may be needed: then it is made up for in a later step.
                return if self.whole { check_reach(&self.bounds, counts) } else { Ok(()) };
            };
            let (index, id, taken) = (next.state, self.states[next.state].group.id(), next.taken);
            if next.stale {
                // It frees no more than it did: where it still comes first, it is the one.
                let waits = next.waits;
                candidates[index] = self.candidate(tally, index).map(|fresh| Candidate { waits, ..fresh });
                continue;
            }
            if !next.waits && self.is_too_large(counts, next.freed) {
                candidates[index].iter_mut().for_each(|candidate| candidate.waits = true);
                continue;
            }
            let state = &mut self.states[index];
            tally.remove(id, &state.coordinates(state.taken, taken));
            sizes[pools[index]].1 -= taken - state.taken;
            state.taken = taken;
            for neighbour in tally.neighbours(id).iter().filter_map(|neighbour| place.get(neighbour)) {
                candidates[*neighbour].iter_mut().for_each(|candidate| candidate.stale = true);
            }
            candidates[index] = self.candidate(tally, index);
        }
        Ok(())
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
            waits: false,
        })
    }

    /// For each state, the first that is of its pool.
    fn pools(&self) -> Vec<usize> {
        let mut first = BTreeMap::new();
        let pools =
            self.states.iter().enumerate().map(|(index, state)| *first.entry(&state.space.pool).or_insert(index));
        pools.collect()
    }

    /// The parts that a cut frees of what is missing of each measure, together; 0 where it frees nothing that is missing.
    fn part(&self, counts: Counts, freed: Counts) -> f64 {
        let missing =
            self.bounds.iter().map(|bound| (bound, bound.missing(counts))).filter(|(_, missing)| *missing > 0);
        missing.map(|(bound, missing)| bound.count(freed).min(missing) as f64 / missing as f64).sum()
    }

    /// Whether a cut leaves each measure more than a hundredth below its bound.
    fn is_too_large(&self, counts: Counts, freed: Counts) -> bool {
        self.bounds.iter().all(|bound| {
            let left = bound.count(counts) - bound.count(freed);
            bound.allowed as f64 - left as f64 > TOLERANCE * bound.dense as f64
        })
    }

    /// Gives back in the smallest cuts, the highest mean scores first, what can stay within the bounds.
    pub(super) fn give_back(&mut self, tally: &mut Tally<'_>) {
        // What could not be given back once cannot be later: with more of the network left, it costs no less.
        let mut blocked = vec![false; self.states.len()];
        let below = |state: &State<'_>, ladder: &[usize]| ladder[ladder.partition_point(|&cut| cut < state.taken) - 1];
        loop {
            let able = self.states.iter().zip(&self.ladders).enumerate();
            let able = able.filter(|(index, (state, _))| !blocked[*index] && state.taken > 0 && !state.space.own_ratio);
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
                    state.reason = Reason::RankedHigher;
                }
            } else {
                tally.remove(state.group.id(), &coordinates);
                blocked[index] = true;
            }
        }
    }
}
