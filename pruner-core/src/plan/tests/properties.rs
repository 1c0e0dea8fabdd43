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
        &format!("fc{id}.weight"),
        1,
        Layout::Identity(size).repeated(1, unit as usize),
    );
    let half: Vec<u32> = (0..size as u32).step_by(2).flat_map(|coordinate| [coordinate, Layout::NONE]).collect();
    if partial { group.with_member(&format!("skip{id}.weight"), 1, Layout::Table(half.into())) } else { group }
}

/// An override of some of `groups` groups, which may set anything.
fn override_of(groups: usize) -> impl Strategy<Value = Override> {
    let named = prop::sample::subsequence((0..groups).collect::<Vec<_>>(), 1..=groups);
    let target_ratio = prop::option::of(0.0..0.99_f64);
    let scope = prop::option::of(prop::sample::select(Scope::ALL.to_vec()));
    let min_channels = prop::option::of(1..6_usize);
    let max_ratio = prop::option::of(0.0..=1.0_f64);
    let round_to = prop::option::of(prop::sample::select(vec![1_usize, 2, 4, 6, 8]));
    (named, target_ratio, scope, min_channels, max_ratio, round_to).prop_map(
        |(named, target_ratio, scope, min_channels, max_ratio, round_to)| Override {
            groups: named.iter().map(|id| format!("fc{id}")).collect(),
            target_ratio,
            scope,
            min_channels,
            max_ratio,
            round_to,
        },
    )
}

impl Case {
    /// The override that holds for a group, by its number.
    fn override_of(&self, group: GroupId) -> Option<(usize, &Override)> {
        let name = format!("fc{}", group.index());
        self.limits.overrides.iter().enumerate().find(|(_, of)| of.groups.contains(&name))
    }

    /// What holds for a group of the number that a field of the limits is.
    fn of<T: Copy>(&self, group: GroupId, own: impl Fn(&Override) -> Option<T>, run: T) -> T {
        self.override_of(group).and_then(|(_, of)| own(of)).unwrap_or(run)
    }

    /// In which scope a group is: its own, or that of an override or the run.
    fn scope(&self, group: GroupId) -> (Option<usize>, Scope) {
        match self.override_of(group) {
            Some((index, Override { scope: Some(scope), .. })) => (Some(index), *scope),
            Some((index, Override { target_ratio: Some(_), .. })) => (Some(index), Scope::Local),
            _ => (None, self.limits.scope),
        }
    }
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
    let groups = vec(one, 1..5).prop_flat_map(|groups| (vec(override_of(groups.len()), 0..4), Just(groups)));
    (groups, limits, 1..8_usize, any::<bool>()).prop_flat_map(
        move |((overrides, groups), (target_ratio, scope, min_channels, max_ratio, round_to), steps, few_scores)| {
            let drawn = if few_scores { (0..3_i32).prop_map(f64::from).boxed() } else { (0.0..1.0).boxed() };
            let scores: Vec<_> = groups.iter().map(|(size, ..)| vec(drawn.clone(), *size)).collect();
            let groups: Vec<TestGroup> = groups
                .iter()
                .enumerate()
                .map(|(id, &(size, unit, some))| group(id, size, unit, some && partial))
                .collect();
            let ignore = Vec::new();
            let limits = Limits { target_ratio, scope, min_channels, max_ratio, round_to, ignore, overrides };
            scores.prop_map(move |scores| Case { groups: groups.clone(), limits: limits.clone(), steps, scores })
        },
    )
}

proptest! {
    #[test]
    fn no_step_goes_below_what_is_asked_or_what_the_limits_keep(case in case(true)) {
        let limits = &case.limits;
        for (step, selection) in (1..).zip(case.run()) {
            let progress = f64::from(step) / case.steps as f64;
            prop_assert!(selection.channels.after >= selection.channels.asked);
            // The coordinates of each scope that is shared: before the first cut, now, and what is asked for.
            let mut scopes: BTreeMap<Option<usize>, (usize, usize, f64)> = BTreeMap::new();
            for verdict in &selection.verdicts {
                let ratio = progress * case.of(verdict.group, |of| of.target_ratio, limits.target_ratio);
                let (scope, kind) = case.scope(verdict.group);
                if kind == Scope::Local {
                    prop_assert!(verdict.size_after >= remaining(verdict.initial_size, ratio));
                }
                let (initial, size, shared) = scopes.entry(scope).or_default();
                (*initial, *size, *shared) = (*initial + verdict.initial_size, *size + verdict.size_after, ratio);
                let Verdict::Cut { count } = verdict.verdict else { continue };
                prop_assert_eq!(verdict.size_after, verdict.size_before - count);
                prop_assert_eq!(verdict.size_after, verdict.kept.len());
                prop_assert!(verdict.size_after >= case.of(verdict.group, |of| of.min_channels, limits.min_channels));
                let max_ratio = case.of(verdict.group, |of| of.max_ratio, limits.max_ratio);
                prop_assert!(verdict.size_after >= remaining(verdict.initial_size, max_ratio));
            }
            for (initial, size, ratio) in scopes.into_values() {
                prop_assert!(size >= remaining(initial, ratio));
            }
        }
    }

    #[test]
    fn dimensions_that_were_cut_are_multiples_of_round_to(case in case(false)) {
        let mut groups = case.groups.clone();
        for selection in case.run() {
            groups = groups.iter().map(|group| group.cut(&selection.plan)).collect();
            for group in groups.iter().filter(|group| group.size() < group.initial_size()) {
                let round_to = case.of(group.id(), |of| of.round_to, case.limits.round_to);
                prop_assert_eq!(group.members()[0].layout.len() % round_to, 0);
            }
        }
    }

    #[test]
    fn what_overrides_rank_does_not_depend_on_other_groups(case in case(true)) {
        let scores = |case: &Case| {
            let scores = scores(&case.groups, |group, coordinate| case.scores[group][coordinate as usize]);
            select(&refs(&case.groups), &scores, &case.limits, 1.0).expect("the input is sound")
        };
        let all = scores(&case);
        for scope in case.groups.iter().map(|group| case.scope(group.id()).0) {
            let of_scope = |group: GroupId| case.scope(group).0 == scope;
            let mut others = case.clone();
            for (index, scores) in others.scores.iter_mut().enumerate().filter(|(index, _)| !of_scope(g(*index))) {
                for score in scores {
                    *score = index as f64 - *score;
                }
            }
            let changed = scores(&others);
            for (a, b) in all.verdicts.iter().zip(&changed.verdicts).filter(|(a, _)| of_scope(a.group)) {
                prop_assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn a_local_run_ends_where_one_step_to_the_target_would(case in case(false)) {
        let mut limits = Limits { scope: Scope::Local, ..case.limits.clone() };
        limits.overrides.iter_mut().for_each(|of| of.scope = None);
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
