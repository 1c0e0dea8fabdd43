//! How far a group can be cut: sizes at which it may stop, and what each of its members must keep.

use std::iter;

use super::held::{Held, Pool};
use super::products::{gcd, lcm};
use crate::deps::{Group, Layout};

/// Less than any share of a coordinate that is meant, more than the error of the arithmetic: `16 · (1 − 0.5)` is 8 and not 9.
pub(super) const NOISE: f64 = 1e-9;

/// The coordinates of `initial` that are left once `ratio` of them are gone, in full.
pub(super) fn remaining(initial: usize, ratio: f64) -> usize {
    let exact = initial as f64 * (1.0 - ratio);
    ((exact - initial as f64 * NOISE).ceil().max(0.0) as usize).min(initial)
}

/// Whether `size` is above what is left of `initial` once `ratio` of it is gone, be it by less than a coordinate.
pub(super) fn is_above(size: usize, initial: usize, ratio: f64) -> bool {
    size as f64 > initial as f64 * (1.0 - ratio) + initial as f64 * NOISE
}

/// The sizes of a group and the limits on them, in coordinates.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// With which groups it is cut.
    pub(super) pool: Pool,
    /// The share of the pool to be gone at the end of the run.
    pub(super) ratio: f64,
    /// Whether that share is one of its own, which a budget does not change.
    pub(super) own_ratio: bool,
    /// Before the first cut.
    pub(super) initial: usize,
    /// Now.
    pub(super) size: usize,
    /// Cuts stop at multiples of this.
    pub(super) granularity: usize,
    /// What `min_channels` keeps.
    pub(super) min_channels: usize,
    /// What `max_ratio` keeps.
    pub(super) max_ratio_keeps: usize,
    /// How many can go before a member of the group that has only some of them runs out.
    pub(super) movable: usize,
}

impl Space {
    pub(super) fn new(group: &dyn Group, held: &Held<'_>) -> Self {
        let limits = held.of(group.id());
        let mut space = Self {
            pool: held.pool(group),
            ratio: limits.target_ratio,
            own_ratio: held.own_ratio(group.id()),
            initial: group.initial_size(),
            size: group.size(),
            granularity: granularity(group, held),
            min_channels: limits.min_channels,
            max_ratio_keeps: remaining(group.initial_size(), limits.max_ratio),
            movable: 0,
        };
        space.movable = Members::new(group, limits.min_channels).movable(space.size);
        space
    }

    /// The same group once `cut` coordinates are gone.
    pub(super) fn after(&self, cut: usize) -> Self {
        Self { size: self.size - cut, movable: self.movable.saturating_sub(cut), ..self.clone() }
    }

    /// What keeps a cut from leaving `size` coordinates; `None` if nothing does.
    pub(super) fn limit_on(&self, size: usize) -> Option<String> {
        if size < self.min_channels {
            Some(format!("min_channels keeps {}", self.min_channels))
        } else if size < self.max_ratio_keeps {
            Some(format!("max_ratio keeps {}", self.max_ratio_keeps))
        } else if !size.is_multiple_of(self.granularity) {
            Some(format!("round_to keeps a multiple of {}", self.granularity))
        } else {
            None
        }
    }

    /// The size that no cut goes below.
    pub(super) fn floor(&self) -> usize {
        self.min_channels.max(self.max_ratio_keeps).max(1)
    }

    /// How many coordinates a cut may take, ascending.
    pub(super) fn cuts(&self) -> impl Iterator<Item = usize> + '_ {
        iter::successors(self.cut_after(0), |&cut| self.cut_after(cut))
    }

    /// The next larger cut once `taken` coordinates go.
    pub(super) fn cut_after(&self, taken: usize) -> Option<usize> {
        let multiples = self.size.checked_sub(taken + 1)? / self.granularity;
        let size = multiples * self.granularity;
        let cut = self.size - size;
        (size >= self.floor() && cut <= self.movable).then_some(cut)
    }

    /// The most that a cut may take when `asked` are to go.
    pub(super) fn largest_cut(&self, asked: usize) -> usize {
        self.cuts().take_while(|&cut| cut <= asked).last().unwrap_or(0)
    }
}

/// By how many coordinates the size of a group may change so that each dimension stays a multiple of `round_to`, whatever is left of the other
/// groups in a dimension that they make together.
fn granularity(group: &dyn Group, held: &Held<'_>) -> usize {
    let Some(products) = held.products() else { return 1 };
    let (mut granularity, round_to) = (1, held.of(group.id()).round_to);
    for member in group.members() {
        let positions = match member.layout.regular() {
            Some((_, positions)) => positions,
            None => positions_per_coordinate(&member.layout, group.size()),
        };
        let (multiple, positions) = products.of(group.id(), member, round_to, positions);
        granularity = lcm(granularity, multiple / gcd(multiple, positions.max(1)));
    }
    granularity
}

/// How many positions of a dimension each coordinate of a group of `size` has; 1 where they differ.
fn positions_per_coordinate(layout: &Layout, size: usize) -> usize {
    let mut positions = vec![0_usize; size];
    for (_, coordinate) in layout.places() {
        if let Some(count) = positions.get_mut(coordinate as usize) {
            *count += 1;
        }
    }
    // Coordinates that the member does not have put nothing into its dimension.
    let mut counts = positions.into_iter().filter(|&count| count > 0);
    let first = counts.next().unwrap_or(0);
    if counts.all(|count| count == first) { first } else { 1 }
}

/// What the members that have only some coordinates of a group must keep.
pub(super) struct Members {
    /// For each coordinate, the members with only some coordinates that have it; empty where there are no such members.
    members_of: Vec<Vec<usize>>,
    /// For each such member, how many of its coordinates may go.
    spare: Vec<usize>,
}

impl Members {
    pub(super) fn new(group: &dyn Group, min_channels: usize) -> Self {
        let size = group.size();
        let mut members = Self { members_of: Vec::new(), spare: Vec::new() };
        let complete = |layout: &Layout| layout.regular().is_some_and(|(coordinates, _)| coordinates >= size);
        for member in group.members().iter().filter(|member| !complete(&member.layout)) {
            let mut present = vec![false; size];
            for (_, coordinate) in member.layout.places() {
                if let Some(present) = present.get_mut(coordinate as usize) {
                    *present = true;
                }
            }
            let count = present.iter().filter(|&&present| present).count();
            if count == size {
                continue;
            }
            members.members_of.resize_with(size, Vec::new);
            for (members_of, _) in members.members_of.iter_mut().zip(present).filter(|(_, present)| *present) {
                members_of.push(members.spare.len());
            }
            let kept = min_channels.clamp(1, count.max(1));
            members.spare.push(count.saturating_sub(kept));
        }
        members
    }

    /// How many of the first `size` coordinates may go.
    fn movable(&self, size: usize) -> usize {
        if self.spare.is_empty() { size } else { self.admissible(0..size).len() }
    }

    /// The coordinates of `ranked`, in that order, without those that would leave too little in a member.
    pub(super) fn admissible(&self, ranked: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut spare = self.spare.clone();
        let mut admitted = Vec::new();
        for coordinate in ranked {
            let members = self.members_of.get(coordinate).map_or(&[][..], Vec::as_slice);
            if members.iter().all(|&member| spare[member] > 0) {
                for &member in members {
                    spare[member] -= 1;
                }
                admitted.push(coordinate);
            }
        }
        admitted
    }
}
