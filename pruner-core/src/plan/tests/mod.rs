//! Tests of plans, limits and selection.

mod limits;
mod meet;
mod names;
mod overrides;
mod plan;
mod properties;
mod select;

use std::collections::BTreeMap;

use super::testing::TestGroup;
use super::*;

pub(super) fn g(index: usize) -> GroupId {
    GroupId::new(index)
}

/// Groups as the functions under test take them.
pub(super) fn refs(groups: &[TestGroup]) -> Vec<&dyn Group> {
    groups.iter().map(|group| group as &dyn Group).collect()
}

pub(super) type Scores = BTreeMap<GroupId, Vec<f64>>;

/// A score per coordinate, by its number before the first cut, for the coordinates that are left.
pub(super) fn scores(groups: &[TestGroup], score: impl Fn(usize, u32) -> f64) -> Scores {
    groups
        .iter()
        .map(|group| {
            let id = group.id();
            (id, group.coordinates().iter().map(|&coordinate| score(id.index(), coordinate)).collect())
        })
        .collect()
}

/// Lower for lower coordinates, the same in every group.
pub(super) fn ascending(_: usize, coordinate: u32) -> f64 {
    f64::from(coordinate)
}

/// Selects and applies `steps` steps of equal progress.
#[track_caller]
pub(super) fn run(
    groups: &[TestGroup],
    limits: &Limits,
    steps: usize,
    score: impl Fn(usize, u32) -> f64,
) -> Vec<Selection> {
    let mut groups = groups.to_vec();
    (1..=steps)
        .map(|step| {
            let progress = step as f64 / steps as f64;
            let selection =
                select(&refs(&groups), &scores(&groups, &score), limits, progress).expect("the input is sound");
            selection.plan.validate(&refs(&groups)).expect("a plan that was made fits its groups");
            groups = groups.iter().map(|group| group.cut(&selection.plan)).collect();
            selection
        })
        .collect()
}

/// The sizes of the first group after each step.
pub(super) fn sizes(selections: &[Selection]) -> Vec<usize> {
    selections.iter().map(|selection| selection.verdicts[0].size_after).collect()
}

pub(super) fn reason(selection: &Selection, index: usize) -> Option<&Reason> {
    selection.verdicts[index].verdict.reason()
}
