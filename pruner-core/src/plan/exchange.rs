//! Cuts that two groups exchange where single cuts leave too much of a budget unused.

use super::budget::met;
use super::meet::{Meeting, TOLERANCE};
use super::rank::compare;
use super::verdict::Reason;
use crate::deps::{Counts, Tally};

/// How many exchanges are tried at most: in networks of more groups and coordinates single cuts come near enough.
const TRIES: usize = 5_000;

/// A group that gives cuts back, and another that makes some in their place.
struct Exchange {
    /// The group, and how many of its coordinates go then.
    back: (usize, usize),
    on: (usize, usize),
    /// What it costs, the less the better.
    cost: f64,
}

impl Meeting<'_, '_> {
    /// Where more than the tolerance is unused of every measure, makes the cheapest exchange of cuts with which it is not, if there is
    /// one. An exchange costs the importance that is lost by it; where groups lose shares and their scores are not compared, the shares of
    /// the two groups that it moves.
    pub(super) fn exchange(&mut self, tally: &mut Tally<'_>, by_share: bool) {
        if self.unused(tally.counts()) <= TOLERANCE {
            return;
        }
        let Some(Exchange { back, on, .. }) = self.best_exchange(tally, by_share) else { return };
        for (index, taken) in [back, on] {
            self.take(tally, index, taken);
            let state = &mut self.states[index];
            state.taken = taken;
            if taken == 0 {
                state.reason = Reason::RankedHigher;
            }
        }
        self.give_back(tally);
    }

    fn best_exchange(&self, tally: &mut Tally<'_>, by_share: bool) -> Option<Exchange> {
        let (mut best, mut tries): (Option<Exchange>, usize) = (None, 0);
        for (index, (ladder, state)) in self.ladders.iter().zip(&self.states).enumerate() {
            for &less in ladder.iter().take_while(|&&cut| cut < state.taken && !state.space.own_ratio) {
                if tries > TRIES {
                    return best;
                }
                self.take(tally, index, less);
                for (other, others) in self.ladders.iter().enumerate().filter(|(other, _)| *other != index) {
                    let taken = self.states[other].taken;
                    for &more in others.iter().filter(|&&cut| cut > taken) {
                        tries += 1;
                        self.take(tally, other, more);
                        let counts = tally.counts();
                        self.put_back(tally, other, more);
                        if !met(&self.bounds, counts) {
                            continue;
                        }
                        let cost = self.cost((index, less), (other, more), by_share);
                        let is_better = best.as_ref().is_none_or(|best| compare(cost, best.cost).is_lt());
                        if is_better && self.unused(counts) <= TOLERANCE {
                            best = Some(Exchange { back: (index, less), on: (other, more), cost });
                        }
                        // A larger cut leaves more unused.
                        break;
                    }
                }
                self.put_back(tally, index, less);
            }
        }
        best
    }

    fn cost(&self, (one, less): (usize, usize), (other, more): (usize, usize), by_share: bool) -> f64 {
        let (one, other) = (&self.states[one], &self.states[other]);
        if by_share {
            let share = |cut: usize, initial: usize| cut as f64 / initial as f64;
            share(one.taken - less, one.space.initial) + share(more - other.taken, other.space.initial)
        } else {
            other.sum(other.taken, more) - one.sum(less, one.taken)
        }
    }

    /// Lets so many coordinates of a group go, or stay.
    fn take(&self, tally: &mut Tally<'_>, index: usize, taken: usize) {
        let state = &self.states[index];
        if taken < state.taken {
            tally.restore(state.group.id(), &state.coordinates(taken, state.taken));
        } else {
            tally.remove(state.group.id(), &state.coordinates(state.taken, taken));
        }
    }

    /// Undoes [`take`](Self::take).
    fn put_back(&self, tally: &mut Tally<'_>, index: usize, taken: usize) {
        let state = &self.states[index];
        if taken < state.taken {
            tally.remove(state.group.id(), &state.coordinates(taken, state.taken));
        } else {
            tally.restore(state.group.id(), &state.coordinates(state.taken, taken));
        }
    }

    /// The least share of a dense measure that is gone beyond its bound.
    fn unused(&self, counts: Counts) -> f64 {
        let unused = self
            .bounds
            .iter()
            .map(|bound| (bound.allowed as f64 - bound.count(counts) as f64) / (bound.dense as f64).max(1.0));
        unused.fold(f64::INFINITY, f64::min)
    }
}
