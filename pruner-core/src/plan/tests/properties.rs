//! What holds of every selection.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deps::Layout;
use crate::plan::space::remaining;

#[derive(Clone, Debug)]
struct Case {
    groups: Vec<TestGroup>,
    limits: Limits,
    steps: usize,
    scores: Vec<Vec<f64>>,
}

impl Case {
    fn run(&self) -> Vec<Selection> {
        run(&self.groups, &self.limits, self.steps, |group, coordinate| self.scores[group][coordinate as usize])
    }
}

/// A group of `size` coordinates with `unit` positions each in its second member, and a third with every other of them.
fn group(id: usize, size: usize, unit: u32, partial: bool) -> TestGroup {
    let group = TestGroup::new(id, &format!("conv{id}"), size).without_members().with_member(
        "fc.weight",
        1,
        Layout::Identity(size).repeated(1, unit as usize),
    );
    let half: Vec<u32> = (0..size as u32).step_by(2).flat_map(|coordinate| [coordinate, Layout::NONE]).collect();
    if partial { group.with_member("skip.weight", 1, Layout::Table(half.into())) } else { group }
}

fn case(partial: bool) -> impl Strategy<Value = Case> {
    let one = (1..40_usize, prop::sample::select(vec![1_u32, 2, 4]), any::<bool>());
    let limits = (
        0.0..0.99_f64,
        prop::sample::select(Scope::ALL.to_vec()),
        1..6_usize,
        0.0..=1.0_f64,
        prop::sample::select(vec![1_usize, 2, 4, 6, 8]),
    );
    (vec(one, 1..5), limits, 1..8_usize, any::<bool>()).prop_flat_map(
        move |(groups, (target, scope, min_channels, max_ratio, round_to), steps, few_scores)| {
            let drawn = if few_scores { (0..3_i32).prop_map(f64::from).boxed() } else { (0.0..1.0).boxed() };
            let scores: Vec<_> = groups.iter().map(|(size, ..)| vec(drawn.clone(), *size)).collect();
            let groups: Vec<TestGroup> = groups
                .iter()
                .enumerate()
                .map(|(id, &(size, unit, some))| group(id, size, unit, some && partial))
                .collect();
            let limits = Limits {
                target_ratio: target,
                scope,
                min_channels,
                max_ratio,
                round_to,
                ignore: Vec::new(),
                overrides: Vec::new(),
            };
            scores.prop_map(move |scores| Case { groups: groups.clone(), limits: limits.clone(), steps, scores })
        },
    )
}

proptest! {
    #[test]
    fn no_step_goes_below_what_is_asked_or_what_the_limits_keep(case in case(true)) {
        let limits = &case.limits;
        for (step, selection) in (1..).zip(case.run()) {
            let ratio = limits.target_ratio * f64::from(step) / case.steps as f64;
            prop_assert!(selection.channels.after >= selection.channels.asked);
            for verdict in &selection.verdicts {
                let Verdict::Cut { count } = verdict.verdict else { continue };
                prop_assert_eq!(verdict.size_after, verdict.size_before - count);
                prop_assert_eq!(verdict.size_after, verdict.kept.len());
                prop_assert!(verdict.size_after >= limits.min_channels);
                prop_assert!(verdict.size_after >= remaining(verdict.initial_size, limits.max_ratio));
                if limits.scope == Scope::Local {
                    prop_assert!(verdict.size_after >= remaining(verdict.initial_size, ratio));
                }
            }
        }
    }

    #[test]
    fn dimensions_that_were_cut_are_multiples_of_round_to(case in case(false)) {
        let mut groups = case.groups.clone();
        for selection in case.run() {
            groups = groups.iter().map(|group| group.cut(&selection.plan)).collect();
            for group in groups.iter().filter(|group| group.size() < group.initial_size()) {
                prop_assert_eq!(group.members()[0].layout.len() % case.limits.round_to, 0);
            }
        }
    }

    #[test]
    fn a_local_run_ends_where_one_step_to_the_target_would(case in case(false)) {
        let limits = Limits { scope: Scope::Local, ..case.limits.clone() };
        let case = Case { limits, ..case };
        let once = Case { steps: 1, ..case.clone() }.run();
        let steps = case.run();
        let last = &steps[steps.len() - 1];
        for (a, b) in last.verdicts.iter().zip(&once[0].verdicts) {
            prop_assert_eq!(&a.kept, &b.kept);
        }
    }

    #[test]
    fn the_order_of_the_groups_does_not_matter(case in case(true)) {
        let mut groups = refs(&case.groups);
        let scores = scores(&case.groups, |group, coordinate| case.scores[group][coordinate as usize]);
        let forward = select(&groups, &scores, &case.limits, 1.0);
        groups.reverse();
        prop_assert_eq!(select(&groups, &scores, &case.limits, 1.0), forward);
    }

    #[test]
    fn a_global_step_that_nothing_stands_in_the_way_of_takes_what_is_asked(case in case(false), progress in 0.0..=1.0_f64) {
        let target_ratio = case.limits.target_ratio;
        let scores = scores(&case.groups, |group, coordinate| case.scores[group][coordinate as usize]);
        let selection = select(
            &refs(&case.groups),
            &scores,
            &Limits::new(target_ratio).with_scope(Scope::Global),
            progress,
        ).expect("the input is sound");
        // Each group keeps one.
        prop_assert_eq!(selection.channels.after, selection.channels.asked.max(case.groups.len()));
    }

    #[test]
    fn a_global_step_without_limits_cuts_no_score_above_one_that_it_keeps(case in case(false)) {
        let limits = Limits::new(case.limits.target_ratio).with_scope(Scope::Global);
        let scores = scores(&case.groups, |group, coordinate| case.scores[group][coordinate as usize]);
        let selection = select(&refs(&case.groups), &scores, &limits, 1.0).expect("the input is sound");
        let highest_cut = selection.verdicts.iter().filter_map(|verdict| verdict.threshold).fold(0.0, f64::max);
        for verdict in selection.verdicts.iter().filter(|verdict| verdict.size_after > 1) {
            for &kept in &verdict.kept {
                prop_assert!(case.scores[verdict.group.index()][kept as usize] >= highest_cut);
            }
        }
    }

    #[test]
    fn a_run_that_is_said_to_be_over_cuts_nothing_more_and_one_that_is_not_does(case in case(false)) {
        let mut groups = case.groups.clone();
        for selection in case.run() {
            groups = groups.iter().map(|group| group.cut(&selection.plan)).collect();
            let scores = scores(&groups, |group, coordinate| case.scores[group][coordinate as usize]);
            let rest = select(&refs(&groups), &scores, &case.limits, 1.0).expect("the input is sound");
            prop_assert_eq!(selection.stop.is_none(), !rest.plan.is_empty());
            prop_assert_eq!(can_prune_further(&refs(&groups), &case.limits), Ok(selection.stop.is_none()));
        }
    }

    #[test]
    fn with_members_that_have_some_coordinates_a_run_that_is_over_cuts_nothing_more(case in case(true)) {
        let mut groups = case.groups.clone();
        for selection in case.run() {
            groups = groups.iter().map(|group| group.cut(&selection.plan)).collect();
            let scores = scores(&groups, |group, coordinate| case.scores[group][coordinate as usize]);
            let rest = select(&refs(&groups), &scores, &case.limits, 1.0).expect("the input is sound");
            prop_assert!(selection.stop.is_none() || rest.plan.is_empty());
        }
    }
}
