//! Ratios, scopes and limits that some groups have to themselves.

use super::*;
use crate::deps::{Layout, Role};

fn convs(sizes: &[usize]) -> Vec<TestGroup> {
    sizes.iter().enumerate().map(|(id, &size)| TestGroup::new(id, &format!("conv{id}"), size)).collect()
}

/// Lower for lower groups, and in them for lower coordinates.
fn by_group(group: usize, coordinate: u32) -> f64 {
    group as f64 * 100.0 + f64::from(coordinate)
}

fn after(selection: &Selection) -> Vec<usize> {
    selection.verdicts.iter().map(|verdict| verdict.size_after).collect()
}

/// The sizes of all groups after one step to the target.
#[track_caller]
fn check(groups: &[TestGroup], limits: &Limits, expected: &[usize]) -> Selection {
    let selection = run(groups, limits, 1, by_group).remove(0);
    assert_eq!(after(&selection), expected);
    selection
}

#[test]
fn each_layer_has_the_ratio_that_is_its_own_at_every_step() {
    let groups = convs(&[16, 16, 10]);
    let of = |name: &str, ratio| Override::new([name]).with_target_ratio(ratio);
    let limits = Limits::new(0.5).with_override(of("conv1", 0.25)).with_override(of("conv2", 0.0));
    let selections = run(&groups, &limits, 2, ascending);
    assert_eq!(after(&selections[0]), [12, 14, 10]);
    assert_eq!(after(&selections[1]), [8, 12, 10]);
    assert_eq!(selections.iter().map(|selection| selection.channels.asked).collect::<Vec<_>>(), [36, 30]);
    assert_eq!(selections[1].channels.gap(), 0);
    // 8 and 4 and 0 of 42.
    assert!((selections[1].target_ratio.expect("there is no budget") - 12.0 / 42.0).abs() < 1e-12);
    assert_eq!(reason(&selections[1], 2), Some(&Reason::TargetReached));
    assert_eq!(selections[0].stop, None);
    assert_eq!(selections[1].stop, Some(StopReason::TargetReached));
    // Ratios of their own are local in every scope; the one group that is left has the ratio of the run.
    for scope in Scope::ALL {
        check(&groups, &limits.clone().with_scope(scope), &[8, 12, 10]);
    }
}

#[test]
fn a_ratio_of_its_own_takes_a_group_out_of_the_ranking() {
    // By scores all that goes of three would be of the first.
    let groups = convs(&[8, 8, 8]);
    let limits = Limits::new(0.25).with_scope(Scope::Global);
    check(&groups, &limits, &[2, 8, 8]);
    let selection = check(&groups, &limits.with_override(Override::new(["conv0"]).with_target_ratio(0.25)), &[6, 4, 8]);
    assert_eq!(reason(&selection, 2), Some(&Reason::RankedHigher));
    assert_eq!((selection.channels.asked, selection.channels.after), (18, 18));
}

#[test]
fn groups_of_an_override_rank_among_themselves_and_with_no_others() {
    let groups = convs(&[8, 8, 8, 8]);
    let pair = |first: &str, second: &str| Override::new([first, second]).with_scope(Scope::Global);
    let limits = Limits::new(0.5).with_override(pair("conv0", "conv2"));
    // Eight of the sixteen of the first and third, four of each of the others.
    let selection = check(&groups, &limits, &[1, 4, 7, 4]);
    assert_eq!(selection.channels.asked, 16);
    // Two scopes by hand, with a ratio each, beside that of the run.
    let limits = Limits::new(0.5)
        .with_scope(Scope::Global)
        .with_override(pair("conv0", "conv1").with_target_ratio(0.25))
        .with_override(pair("conv2", "conv3").with_target_ratio(0.75));
    let selection = check(&groups, &limits, &[4, 8, 1, 3]);
    assert_eq!(reason(&selection, 1), Some(&Reason::RankedHigher));
    assert_eq!(selection.channels.asked, 16);
    assert!((selection.target_ratio.expect("there is no budget") - 0.5).abs() < 1e-12);
}

#[test]
fn groups_of_an_override_that_are_alike_rank_together() {
    let read = |id| TestGroup::new(id, &format!("conv{id}"), 8).with_member("fc.weight", 1, Layout::Identity(8));
    let groups = [read(0), TestGroup::new(1, "conv1", 8), read(2), read(3)];
    let of = Override::new(["conv0", "conv1", "conv2"]).with_scope(Scope::Isomorphic).with_target_ratio(0.25);
    // The fourth is alike, and not named.
    check(&groups, &Limits::new(0.5).with_scope(Scope::Isomorphic).with_override(of), &[4, 6, 8, 4]);
}

#[test]
fn an_override_without_ratio_and_scope_leaves_its_groups_in_that_of_the_run() {
    let groups = convs(&[8, 8]);
    let limits = Limits::new(0.5).with_scope(Scope::Global);
    let of = Override::new(["conv0"]);
    // What the first may not give the second does.
    let selection = check(&groups, &limits.clone().with_override(of.clone().with_max_ratio(0.25)), &[6, 2]);
    assert_eq!(selection.stop, Some(StopReason::TargetReached));
    check(&groups, &limits.clone().with_override(of.clone().with_min_channels(5)), &[5, 3]);
    check(&groups, &limits.with_override(of.with_round_to(4)), &[4, 4]);
}

#[test]
fn limits_of_an_override_hold_in_every_scope_and_say_so() {
    let groups = convs(&[10, 10, 12]);
    for scope in Scope::ALL {
        let limits = Limits::new(0.9)
            .with_override(Override::new(["conv0"]).with_scope(scope).with_target_ratio(0.9).with_min_channels(4))
            .with_override(Override::new(["conv1"]).with_scope(scope).with_target_ratio(0.9).with_max_ratio(0.3))
            .with_override(Override::new(["conv2"]).with_scope(scope).with_target_ratio(0.5).with_round_to(8));
        let selections = run(&groups, &limits, 2, by_group);
        assert_eq!(after(&selections[0]), [6, 7, 12], "{scope:?}");
        assert_eq!(after(&selections[1]), [4, 7, 8], "{scope:?}");
        assert_eq!(reason(&selections[0], 2), Some(&Reason::Rounding { smallest_cut: 4 }));
        assert_eq!(reason(&selections[1], 1), Some(&Reason::AtMaxRatio));
        assert_eq!(selections[1].stop, Some(StopReason::Limits));
        assert_eq!((selections[1].channels.asked, selections[1].channels.gap()), (8, 11));
    }
}

#[test]
fn the_first_override_that_names_a_group_holds_for_it_whole_and_ignored_groups_have_none() {
    let groups = convs(&[16, 16, 16, 16]);
    let limits = Limits::new(0.5)
        .with_min_channels(2)
        .with_ignored("conv3")
        .with_override(Override::new(["conv0"]).with_target_ratio(0.25))
        .with_override(Override::new(["conv1"]))
        .with_override(Override::new(["*"]).with_target_ratio(0.75).with_min_channels(8));
    let selection = check(&groups, &limits, &[12, 8, 8, 16]);
    assert!(matches!(reason(&selection, 3), Some(Reason::Ignored { .. })));
    assert_eq!(selection.channels.initial, 48);
    // The first two have the minimum of the run.
    let limits = Limits { target_ratio: 0.9, ..limits };
    check(&groups, &limits, &[12, 2, 8, 16]);
}

#[test]
fn heads_and_their_dimensions_have_ratios_of_their_own() {
    let groups = [
        TestGroup::new(0, "q", 8).with_role(Role::Heads),
        TestGroup::new(1, "k", 16).with_role(Role::HeadDims),
        TestGroup::new(2, "fc", 32),
    ];
    let of = |name: &str, ratio| Override::new([name]).with_target_ratio(ratio);
    let limits = Limits::new(0.5).with_override(of("@heads", 0.25)).with_override(of("@head-dims", 0.125));
    check(&groups, &limits, &[6, 14, 16]);
}

#[test]
fn dimensions_of_heads_stay_multiples_whatever_goes_of_the_heads() {
    let (heads, dims) = (Layout::Identity(6).repeated(1, 16), Layout::Identity(16).repeated(6, 1));
    let qkv = |id, name: &str, layout: &Layout, role| {
        let size = layout.regular().expect("it is regular").0;
        TestGroup::new(id, name, size).without_members().with_member("qkv.weight", 0, layout.clone()).with_role(role)
    };
    let groups = [qkv(0, "h", &heads, Role::Heads), qkv(1, "d", &dims, Role::HeadDims)];
    // 6 · 10 is 60: of the dimensions 8 are left, or all 16 where the heads may not be cut and 6 · 12 is a multiple of 8.
    let limits = Limits::new(0.34).with_round_to(8);
    check(&groups, &limits, &[4, 16]);
    check(&groups, &Limits::new(0.5).with_round_to(8), &[3, 8]);
    check(&groups, &Limits::new(0.34).with_round_to(8).with_ignored("@heads"), &[6, 12]);
}

#[test]
fn a_grouped_convolution_stays_a_multiple_whatever_goes_of_its_groups_and_of_the_channels_of_each() {
    let grouped = |groups: usize, channels: usize| {
        let of = |id, name: &str, layout: &Layout| {
            let size = layout.regular().expect("it is regular").0;
            let group = TestGroup::new(id, name, size).without_members();
            group.with_member("conv2.weight", 0, layout.clone()).with_member("conv3.weight", 1, layout.clone())
        };
        let (outer, inner) = (Layout::Identity(groups), Layout::Identity(channels));
        [of(0, "groups", &outer.repeated(1, channels)), of(1, "channels", &inner.repeated(groups, 1))]
    };
    let limits = Limits::new(0.3).with_round_to(8);
    // Of 4 channels none can go, and groups go by twos; of 16 a half does, so that any of the groups may.
    check(&grouped(32, 4), &limits, &[24, 4]);
    check(&grouped(9, 16), &Limits { target_ratio: 0.5, ..limits.clone() }, &[5, 8]);
    // Where the groups may not be cut, 8 · 3 is a multiple.
    check(&grouped(8, 4), &limits.clone().with_ignored("g0"), &[8, 3]);
    // What is asked for one of them holds of both.
    let of_channels = Override::new(["g1"]).with_round_to(2).with_target_ratio(0.25);
    check(&grouped(4, 8), &limits.with_override(of_channels), &[3, 8]);
}

#[test]
fn groups_that_lie_side_by_side_are_no_product() {
    let part = |id, name: &str, start, size| {
        TestGroup::new(id, name, size).without_members().with_member(
            "after.weight",
            1,
            Layout::Identity(size).placed(start, 24),
        )
    };
    check(&[part(0, "a", 0, 16), part(1, "b", 16, 8)], &Limits::new(0.5).with_round_to(4), &[8, 4]);
}

#[test]
fn a_run_is_over_when_no_target_is_left_to_reach() {
    let of = |ratio| Override::new(["conv1"]).with_target_ratio(ratio);
    let stop = |sizes: &[usize], limits: &Limits| {
        let groups = convs(sizes);
        let before = stop_reason(&refs(&groups), limits).expect("the limits make sense");
        (before, run(&groups, limits, 1, by_group)[0].stop)
    };
    let reached = Some(StopReason::TargetReached);
    // Half of the first goes; of the second less than one is asked.
    assert_eq!(stop(&[16, 16], &Limits::new(0.5).with_override(of(0.01))), (None, reached));
    assert_eq!(stop(&[16, 16], &Limits::new(0.0).with_override(of(0.25))), (None, reached));
    assert_eq!(stop(&[16, 16], &Limits::new(0.0).with_override(of(0.0))), (reached, reached));
    let rounding = Some(StopReason::Rounding);
    assert_eq!(stop(&[16, 16], &Limits::new(0.0).with_override(of(0.01))), (rounding, rounding));
    let limits = Some(StopReason::Limits);
    // That the first could be cut does not help the second, which alone is asked for something.
    assert_eq!(stop(&[16, 16], &Limits::new(0.0).with_override(of(0.5).with_max_ratio(0.0))), (limits, limits));
    assert_eq!(stop(&[16, 1], &Limits::new(0.0).with_override(of(0.01))), (limits, limits));
}

#[test]
fn an_edited_plan_is_measured_by_the_limits_of_each_group() {
    let groups = convs(&[8, 8]);
    let limits = Limits::new(0.5).with_override(Override::new(["conv1"]).with_target_ratio(0.25));
    let selection = select(&refs(&groups), &scores(&groups, ascending), &limits, 1.0).expect("it is sound");
    assert_eq!(selection.stop, Some(StopReason::TargetReached));
    let mut plan = selection.plan.clone();
    plan.keep(g(1), [1]);
    let edited = selection.with_plan(plan, &refs(&groups), &limits).expect("the plan fits");
    assert_eq!((edited.channels.after, edited.channels.asked, edited.stop), (11, 10, None));
}
