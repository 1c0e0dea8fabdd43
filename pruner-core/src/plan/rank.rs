//! Which coordinates of a group go first, and how many of each group.

use std::cmp::{Ordering, Reverse};
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};

use super::held::{Held, Pool, Total};
use super::space::{Members, Space};
use super::verdict::{GroupVerdict, Reason, ScoreSummary, Verdict};
use crate::deps::Group;

/// A group while a plan is made.
pub(super) struct State<'a> {
    pub(super) group: &'a dyn Group,
    pub(super) space: Space,
    scores: &'a [f64],
    summary: Option<ScoreSummary>,
    /// The indices of the coordinates that may go, in the order in which they do.
    pub(super) ranked: Vec<usize>,
    /// How many of them go.
    pub(super) taken: usize,
    /// Why nothing goes; the last word once the step is planned.
    pub(super) reason: Reason,
    /// Whether scores decide about it.
    pub(super) ranks: bool,
}

impl<'a> State<'a> {
    pub(super) fn new(group: &'a dyn Group, scores: Option<&'a Vec<f64>>, held: &Held<'_>) -> Self {
        let space = Space::new(group, held);
        let given = scores.map_or(&[][..], Vec::as_slice);
        let non_finite = given.iter().position(|score| !score.is_finite());
        let reason = if let Some(pin) = group.pin() {
            Some(Reason::Pinned { pin: pin.clone() })
        } else if let Some(pattern) = held.ignored(group.id()) {
            Some(Reason::Ignored { pattern: pattern.clone() })
        } else if scores.is_none() {
            Some(Reason::NoScore)
        } else {
            non_finite.map(|index| Reason::NonFiniteScore { coordinate: group.coordinates()[index] })
        };
        let ranks = reason.is_none();
        let mut state = Self {
            group,
            space,
            scores: given,
            summary: None,
            ranked: Vec::new(),
            taken: 0,
            reason: reason.unwrap_or(Reason::TargetReached),
            ranks,
        };
        if !given.is_empty() && non_finite.is_none() {
            state.rank();
        }
        state
    }

    fn rank(&mut self) {
        let order = ascending(self.scores);
        let ascending: Vec<f64> = order.iter().map(|&at| self.scores[at] + 0.0).collect();
        self.summary = ScoreSummary::of_sorted(&ascending);
        self.ranked = Members::new(self.group, self.space.min_channels).admissible(order);
        self.space.movable = self.ranked.len();
    }

    /// Whether it is neither pinned nor ignored.
    pub(super) fn takes_part(&self) -> bool {
        !self.reason.is_excluded()
    }

    pub(super) fn cut(&self) -> &[usize] {
        &self.ranked[..self.taken]
    }

    /// For each coordinate that is left, whether it goes.
    fn goes(&self) -> Vec<bool> {
        let mut goes = vec![false; self.group.coordinates().len()];
        self.cut().iter().for_each(|&index| goes[index] = true);
        goes
    }

    /// What goes, by their numbers before the first cut, ascending.
    pub(super) fn coordinates_cut(&self) -> Vec<u32> {
        let goes = self.goes();
        self.group.coordinates().iter().zip(goes).filter_map(|(&coordinate, goes)| goes.then_some(coordinate)).collect()
    }

    /// What goes when no longer `from` but `to` coordinates do, by their numbers before the first cut.
    pub(super) fn coordinates(&self, from: usize, to: usize) -> Vec<u32> {
        self.ranked[from..to].iter().map(|&index| self.group.coordinates()[index]).collect()
    }

    /// The sum of the scores of what goes when no longer `from` but `to` coordinates do.
    pub(super) fn sum(&self, from: usize, to: usize) -> f64 {
        self.ranked[from..to].iter().map(|&index| self.scores[index]).sum()
    }

    /// The mean score of what goes when no longer `from` but `to` coordinates do.
    pub(super) fn mean(&self, from: usize, to: usize) -> f64 {
        let cut = &self.ranked[from..to];
        let (first, last) = (self.scores[cut[0]], self.scores[cut[cut.len() - 1]]);
        // Dividing first keeps the sum finite; the mean of equal scores is that score in spite of rounding.
        let mean: f64 = cut.iter().map(|&index| self.scores[index] / cut.len() as f64).sum();
        mean.clamp(first, last)
    }

    pub(super) fn space_after(&self) -> Option<Space> {
        self.takes_part().then(|| self.space.after(self.taken))
    }

    /// Takes cuts, without regard to what they cost, as long as no more than `left` coordinates go.
    fn cut_alone(&mut self, mut left: usize) {
        while left > 0
            && let Some(taken) = self.space.cut_after(self.taken)
        {
            let count = taken - self.taken;
            if count > left {
                self.reason = Reason::Rounding { smallest_cut: count };
                break;
            }
            self.taken = taken;
            left -= count;
        }
    }

    /// Why the limits let nothing go, whatever is asked.
    fn limit(&self) -> Option<Reason> {
        let space = &self.space;
        if space.cuts().next().is_some() {
            return None;
        }
        Some(if space.size <= space.min_channels {
            Reason::AtMinimum
        } else if space.size <= space.max_ratio_keeps {
            Reason::AtMaxRatio
        } else if space.granularity > 1 && space.granularity >= space.initial {
            Reason::NotDivisible { granularity: space.granularity }
        } else if space.max_ratio_keeps > space.min_channels {
            Reason::AtMaxRatio
        } else {
            Reason::AtMinimum
        })
    }

    /// Why nothing went, when as many coordinates as `asked` might have, and `target_met` tells whether none should.
    pub(super) fn explain(&self, target_met: bool, asked: usize) -> Reason {
        match (self.limit(), self.space.cuts().next()) {
            (Some(reason @ Reason::NotDivisible { .. }), _) => reason,
            _ if target_met => Reason::TargetReached,
            (Some(reason), _) => reason,
            (None, Some(smallest_cut)) if smallest_cut > asked => Reason::Rounding { smallest_cut },
            (None, _) => Reason::RankedHigher,
        }
    }

    pub(super) fn into_verdict(self) -> GroupVerdict {
        let coordinates = self.group.coordinates().iter().zip(self.goes());
        let kept = coordinates.filter_map(|(&kept, goes)| (!goes).then_some(kept)).collect();
        GroupVerdict {
            group: self.group.id(),
            name: self.group.name().to_owned(),
            initial_size: self.space.initial,
            size_before: self.space.size,
            size_after: self.space.size - self.taken,
            kept,
            scores: self.summary,
            threshold: self.cut().last().map(|&index| self.scores[index]),
            verdict: if self.taken > 0 { Verdict::Cut { count: self.taken } } else { Verdict::Kept(self.reason) },
        }
    }
}

/// The places of finite scores, from the least on; of equal ones the first comes first.
fn ascending(scores: &[f64]) -> Vec<usize> {
    // Numbers sort faster than pairs with an order of their own, and short ones, which scores in single precision have, faster yet.
    let is_single = |score: &f64| f64::from(*score as f32).total_cmp(score).is_eq();
    if u32::try_from(scores.len()).is_ok() && scores.iter().all(is_single) {
        let key = |(&score, at): (&f64, u64)| u64::from(rank_of_single(score as f32)) << 32 | at;
        let mut keys: Vec<u64> = scores.iter().zip(0..).map(key).collect();
        keys.sort_unstable();
        return keys.into_iter().map(|key| key as u32 as usize).collect();
    }
    let key = |(&score, at): (&f64, u64)| u128::from(rank_of(score)) << 64 | u128::from(at);
    let mut keys: Vec<u128> = scores.iter().zip(0..).map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u64 as usize).collect()
}

/// A number that is less where a finite score is; 0 and −0 have the same.
fn rank_of(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// As [`rank_of`].
fn rank_of_single(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// The order of finite scores, in which 0 and −0 are equal.
pub(super) fn compare(a: f64, b: f64) -> Ordering {
    (a + 0.0).total_cmp(&(b + 0.0))
}

/// The next cut of a group; the least of all is made first.
struct Next {
    /// The mean score of the coordinates of the cut.
    cost: f64,
    /// The first of them, by its number before the first cut.
    coordinate: u32,
    /// The group's place among the states, which stand in the order of ids.
    state: usize,
    /// How many coordinates of the group are gone with it.
    taken: usize,
}

impl Next {
    fn of(states: &[State<'_>], index: usize) -> Option<Self> {
        let state = &states[index];
        let taken = state.space.cut_after(state.taken)?;
        let coordinate = state.group.coordinates()[state.ranked[state.taken]];
        Some(Self { cost: state.mean(state.taken, taken), coordinate, state: index, taken })
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.cost, other.cost).then(self.coordinate.cmp(&other.coordinate)).then(self.state.cmp(&other.state))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next {}

/// Cuts the groups of every pool together, to the part `progress` of its target, those of pools that are `wanted`.
pub(super) fn cut_pools(states: &mut [State<'_>], progress: f64, wanted: &dyn Fn(&Space) -> bool) {
    let mut pools: BTreeMap<Pool, Vec<usize>> = BTreeMap::new();
    for (index, state) in states.iter().enumerate().filter(|(_, state)| state.ranks && wanted(&state.space)) {
        pools.entry(state.space.pool.clone()).or_default().push(index);
    }
    for pool in pools.values() {
        cut_together(states, pool, progress);
    }
}

/// Cuts the groups of a pool, which all have scores.
fn cut_together(states: &mut [State<'_>], pool: &[usize], progress: f64) {
    let total = Total::of(pool.iter().map(|&index| &states[index].space));
    let (mut left, mut left_in_run) = (total.above(progress), total.above(1.0));
    let met = !total.is_above(progress);

    let asked = left;
    let mut heap: BinaryHeap<Reverse<Next>> = BinaryHeap::new();
    match *pool {
        [alone] => states[alone].cut_alone(left),
        _ => heap.extend(pool.iter().filter_map(|&index| Next::of(states, index)).map(Reverse)),
    }
    while left > 0 {
        let Some(mut top) = heap.peek_mut() else { break };
        let (index, taken) = (top.0.state, top.0.taken);
        let state = &mut states[index];
        let count = taken - state.taken;
        if count > left {
            state.reason = Reason::Rounding { smallest_cut: count };
            if count <= left_in_run {
                break;
            }
            PeekMut::pop(top);
            continue;
        }
        state.taken = taken;
        left -= count;
        left_in_run -= count;
        match Next::of(states, index) {
            Some(next) => top.0 = next,
            None => _ = PeekMut::pop(top),
        }
    }
    for &index in pool {
        let state = &mut states[index];
        // A group whose turn it was, and whose cut was too large for what was left, has its reason.
        if state.taken == 0 && !matches!(state.reason, Reason::Rounding { .. }) {
            state.reason = state.explain(met, asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score() -> impl Strategy<Value = f64> {
        // Few numbers, so that some are equal, of either precision.
        prop_oneof![
            (-3_i8..4).prop_map(f64::from),
            Just(-0.0),
            any::<f32>().prop_filter("finite", |score| score.is_finite()).prop_map(f64::from),
        ]
    }

    proptest! {
        #[test]
        fn places_ascend_by_score_and_then_by_place(
            mut scores in prop::collection::vec(score(), 0..40),
            more in prop::option::of(any::<f64>().prop_filter("finite", |score| score.is_finite())),
        ) {
            scores.extend(more);
            let mut expected: Vec<usize> = (0..scores.len()).collect();
            expected.sort_by(|&a, &b| compare(scores[a], scores[b]));
            prop_assert_eq!(ascending(&scores), expected);
        }
    }
}
