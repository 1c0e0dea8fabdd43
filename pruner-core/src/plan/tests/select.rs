//! What goes in one step.

use super::*;
use crate::deps::Layout;
use crate::ids::NodeId;

fn one(size: usize) -> [TestGroup; 1] {
    [TestGroup::new(0, "conv1", size)]
}

fn global(ratio: f64) -> Limits {
    Limits::new(ratio).with_scope(Scope::Global)
}

#[test]
fn groups_that_are_made_alike_are_ranked_together_and_no_others() {
    let hidden = |id, name| TestGroup::new(id, name, 8).with_member("fc.weight", 1, Layout::Identity(8));
    let heads = |id, name, size| TestGroup::new(id, name, size);
    let groups = [hidden(0, "a"), heads(1, "b", 8), hidden(2, "c"), heads(3, "d", 4)];
    // The lowest scores are those of `a` and `b`, each within its kind.
    let score = |group: usize, coordinate: u32| f64::from(coordinate) + [0.0, 100.0, 50.0, 200.0][group];
    let limits = Limits::new(0.25).with_scope(Scope::Isomorphic);
    let after = |limits: &Limits| -> Vec<usize> {
        run(&groups, limits, 1, score)[0].verdicts.iter().map(|verdict| verdict.size_after).collect()
    };
    assert_eq!(after(&limits), [4, 5, 8, 4]);
    assert_eq!(after(&global(0.25)), [1, 8, 8, 4]);
    let selection = &run(&groups, &limits, 1, score)[0];
    assert_eq!((selection.channels.asked, selection.channels.after), (21, 21));
    assert_eq!(selection.stop, Some(StopReason::TargetReached));
}

/// Which of the steps cut nothing.
fn empty_steps(selections: &[Selection]) -> usize {
    selections.iter().filter(|selection| selection.plan.is_empty()).count()
}

#[test]
fn sixteen_channels_over_twenty_steps_have_twelve_empty_steps_and_land_on_the_target() {
    for scope in Scope::ALL {
        let selections = run(&one(16), &Limits::new(0.5).with_scope(scope), 20, ascending);
        assert_eq!(sizes(&selections), [16, 16, 15, 15, 14, 14, 14, 13, 13, 12, 12, 12, 11, 11, 10, 10, 10, 9, 9, 8]);
        assert_eq!(empty_steps(&selections), 12);
        assert_eq!(reason(&selections[0], 0), Some(&Reason::Rounding { smallest_cut: 1 }));
        assert!(selections[..19].iter().all(|selection| selection.stop.is_none()), "an empty step is not the end");
        assert_eq!(selections[19].stop, Some(StopReason::TargetReached));
    }
}

#[test]
fn round_to_sixteen_over_ten_steps_has_eight_empty_steps_and_carries_what_it_owes() {
    for scope in Scope::ALL {
        let selections = run(&one(64), &Limits::new(0.5).with_round_to(16).with_scope(scope), 10, ascending);
        assert_eq!(sizes(&selections), [64, 64, 64, 64, 48, 48, 48, 48, 48, 32]);
        assert_eq!(empty_steps(&selections), 8);
        assert_eq!(reason(&selections[0], 0), Some(&Reason::Rounding { smallest_cut: 16 }));
        assert!(selections[..9].iter().all(|selection| selection.stop.is_none()));
        assert_eq!(selections[9].stop, Some(StopReason::TargetReached));
    }
}

#[test]
fn one_percent_of_sixteen_channels_is_nothing_and_says_rounding() {
    for scope in Scope::ALL {
        let selections = run(&one(16), &Limits::new(0.01).with_scope(scope), 1, ascending);
        assert!(selections[0].plan.is_empty());
        assert_eq!(reason(&selections[0], 0), Some(&Reason::Rounding { smallest_cut: 1 }));
        assert_eq!(selections[0].stop, Some(StopReason::Rounding));
    }
}

#[test]
fn ten_channels_at_nine_tenths_become_one() {
    for scope in Scope::ALL {
        let selections = run(&one(10), &Limits::new(0.9).with_scope(scope), 1, ascending);
        assert_eq!(sizes(&selections), [1]);
        assert_eq!(selections[0].verdicts[0].kept, [9]);
        assert_eq!(selections[0].verdicts[0].threshold, Some(8.0));
        assert_eq!(selections[0].stop, Some(StopReason::TargetReached));
    }
}

#[test]
fn half_of_sixteen_is_eight_and_three_tenths_of_ten_is_three() {
    assert_eq!(sizes(&run(&one(16), &Limits::new(0.5), 1, ascending)), [8]);
    assert_eq!(sizes(&run(&one(10), &Limits::new(0.3), 1, ascending)), [7]);
    assert_eq!(sizes(&run(&one(10), &Limits::new(0.7), 1, ascending)), [3]);
    assert_eq!(sizes(&run(&one(10), &Limits::new(0.7), 7, ascending)), [9, 8, 7, 6, 5, 4, 3]);
}

#[test]
fn what_a_floor_blocks_others_give_so_that_the_target_is_kept() {
    // By score alone the first layer would go as a whole and the second would keep all.
    let groups = [TestGroup::new(0, "conv1", 64), TestGroup::new(1, "conv2", 64), TestGroup::new(2, "conv3", 50)];
    let score = |group, coordinate: u32| group as f64 * 1000.0 + f64::from(coordinate);
    let selections = run(&groups, &global(0.5), 1, score);
    let after: Vec<usize> = selections[0].verdicts.iter().map(|verdict| verdict.size_after).collect();
    assert_eq!(after, [1, 38, 50]);
    assert_eq!(selections[0].channels.after, 89);
    assert_eq!(selections[0].channels.asked, 89);
    assert_eq!(reason(&selections[0], 2), Some(&Reason::RankedHigher));
}

#[test]
fn a_target_that_the_limits_do_not_allow_is_missed_by_what_they_hold_back() {
    let groups = [TestGroup::new(0, "conv1", 10), TestGroup::new(1, "conv2", 10)];
    let selections = run(&groups, &global(0.9).with_max_ratio(0.5), 1, ascending);
    assert_eq!((selections[0].channels.after, selections[0].channels.asked), (10, 2));
    assert_eq!(selections[0].channels.gap(), 8);
    assert_eq!(selections[0].stop, Some(StopReason::Limits));
    let again = run(&groups, &global(0.9).with_max_ratio(0.5), 2, ascending);
    assert_eq!(again[0].verdicts.iter().map(|verdict| verdict.size_after).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(reason(&again[1], 0), Some(&Reason::AtMaxRatio));
    assert_eq!(again[1].verdicts[1].verdict, Verdict::Cut { count: 1 });
}

#[test]
fn of_equal_scores_the_lower_coordinate_goes_first_and_then_the_lower_group() {
    let groups = [TestGroup::new(0, "conv1", 4), TestGroup::new(1, "conv2", 4)];
    let local = run(&groups, &Limits::new(0.5), 1, |_, _| 1.0);
    assert_eq!(local[0].plan, [(g(0), [0, 1]), (g(1), [0, 1])].into_iter().collect());
    // Three of eight: one more from the first group.
    let selection = run(&groups, &global(0.375), 1, |_, _| 1.0);
    assert_eq!(selection[0].plan, [(g(0), vec![0, 1]), (g(1), vec![0])].into_iter().collect());
    // 0 and −0 are equal.
    let zeros = run(&groups, &global(0.375), 1, |_, coordinate| if coordinate % 2 == 0 { 0.0 } else { -0.0 });
    assert_eq!(zeros[0].plan, selection[0].plan);
    // A whole chunk of equal scores costs that score whatever its size.
    let uneven = [TestGroup::new(0, "conv1", 5), TestGroup::new(1, "conv2", 6)];
    let chunks = run(&uneven, &global(0.5).with_round_to(3), 1, |_, _| 0.1);
    assert_eq!(chunks[0].plan, [(g(0), vec![0, 1]), (g(1), vec![0, 1, 2])].into_iter().collect());
}

#[test]
fn a_group_of_zeros_is_a_group_like_any_other() {
    let groups = [TestGroup::new(0, "conv1", 8), TestGroup::new(1, "conv2", 8)];
    let score = |group, coordinate| if group == 0 { 0.0 } else { 1.0 + f64::from(coordinate) };
    let local = run(&groups, &Limits::new(0.5), 1, score);
    assert_eq!(local[0].channels.after, 8);
    let selections = run(&groups, &global(0.5), 1, score);
    assert_eq!(selections[0].plan, [(g(0), vec![0, 1, 2, 3, 4, 5, 6]), (g(1), vec![0])].into_iter().collect());
}

#[test]
fn a_maximal_ratio_holds_at_every_step() {
    for scope in Scope::ALL {
        let limits = Limits::new(0.8).with_max_ratio(0.5).with_scope(scope);
        let selections = run(&one(64), &limits, 5, ascending);
        assert_eq!(sizes(&selections), [54, 44, 34, 32, 32], "{scope:?}");
        assert_eq!(reason(&selections[4], 0), Some(&Reason::AtMaxRatio));
        assert_eq!(selections[3].stop, Some(StopReason::Limits), "the limit is known before an empty step");
    }
}

#[test]
fn a_minimum_holds_at_every_step() {
    for scope in Scope::ALL {
        let limits = Limits::new(0.95).with_min_channels(4).with_scope(scope);
        let selections = run(&one(16), &limits, 3, ascending);
        assert_eq!(sizes(&selections), [11, 6, 4]);
        assert_eq!(selections[2].stop, Some(StopReason::Limits));
        let again = run(&one(16), &limits, 20, ascending);
        assert_eq!(reason(&again[19], 0), Some(&Reason::AtMinimum));
    }
}

#[test]
fn a_size_that_is_no_multiple_is_legal_until_it_is_cut_and_then_goes_to_one() {
    let selections = run(&one(22), &Limits::new(0.5).with_round_to(8), 4, ascending);
    assert_eq!(sizes(&selections), [22, 22, 16, 16]);
    assert_eq!(selections[3].stop, Some(StopReason::Rounding));
}

#[test]
fn a_layer_that_rounding_can_never_cut_says_so() {
    for scope in Scope::ALL {
        let selections = run(&one(16), &Limits::new(0.9).with_round_to(16).with_scope(scope), 1, ascending);
        assert_eq!(reason(&selections[0], 0), Some(&Reason::NotDivisible { granularity: 16 }));
        assert_eq!(selections[0].stop, Some(StopReason::Limits));
    }
    // At its last multiple it is at the minimum.
    let selections = run(&one(32), &Limits::new(0.9).with_round_to(16), 2, ascending);
    assert_eq!(sizes(&selections), [32, 16]);
    let selections = run(&one(32), &Limits::new(0.9).with_round_to(16), 10, ascending);
    assert_eq!(reason(&selections[9], 0), Some(&Reason::AtMinimum));
}

#[test]
fn positions_of_a_dimension_and_not_coordinates_are_rounded() {
    // Heads of 4 positions each in all members: two heads are a multiple of 8.
    let heads: Vec<u32> = (0..12).flat_map(|head| [head; 4]).collect();
    let group = TestGroup::new(0, "q", 12).without_members().with_member("q.weight", 0, Layout::Table(heads.into()));
    let limits = Limits::new(0.3).with_round_to(8);
    assert_eq!(sizes(&run(std::slice::from_ref(&group), &limits, 1, ascending)), [10]);
    assert_eq!(sizes(&run(std::slice::from_ref(&group), &limits.clone().with_round_to(4), 1, ascending)), [9]);
    // With a bias of one position per head, the heads are rounded themselves.
    let group = group.with_member("gate.weight", 0, Layout::Identity(12));
    assert_eq!(sizes(&run(&[group], &limits.with_target_ratio(0.4), 1, ascending)), [8]);
}

#[test]
fn a_member_with_some_of_the_coordinates_keeps_at_least_one() {
    let partial = Layout::Table([Layout::NONE, 0, 1, Layout::NONE].into());
    let groups = [TestGroup::new(0, "conv1", 8).with_member("conv2.weight", 1, partial)];
    for scope in Scope::ALL {
        let selections = run(&groups, &Limits::new(0.5).with_scope(scope), 1, ascending);
        assert_eq!(selections[0].plan.cut(g(0)), [0, 2, 3, 4], "coordinate 1 is the last of conv2");
        // The minimum is that of the group, and at most what the member has.
        let limits = Limits::new(0.5).with_min_channels(3).with_scope(scope);
        assert_eq!(run(&groups, &limits, 1, ascending)[0].plan.cut(g(0)), [2, 3, 4, 5]);
    }
}

#[test]
fn a_cut_that_a_member_blocks_stops_at_a_size_that_rounding_allows() {
    // Each of the first four coordinates is the only one of a member: four can go, and 4 of 8 is a multiple of 4 only.
    let only = |coordinate: u32| Layout::Table([coordinate].into());
    let mut group = TestGroup::new(0, "conv1", 8);
    for coordinate in 0..5 {
        group = group.with_member(&format!("head{coordinate}.weight"), 1, only(coordinate));
    }
    let groups = [group];
    let limits = Limits::new(0.9).with_round_to(4);
    let selections = run(&groups, &limits, 1, ascending);
    assert!(selections[0].plan.is_empty());
    assert_eq!(reason(&selections[0], 0), Some(&Reason::AtMinimum));
    assert_eq!(selections[0].stop, Some(StopReason::Limits));
    assert_eq!(run(&groups, &Limits::new(0.9), 1, ascending)[0].plan.cut(g(0)), [5, 6, 7]);
}

#[test]
fn a_step_waits_for_a_large_cut_that_a_later_step_can_make() {
    // The heads cost most; channels go in eights. Were the step filled up, heads would pay for every small step.
    let groups = [TestGroup::new(0, "conv", 32), {
        let heads: Vec<u32> = (0..8).flat_map(|head| [head; 8]).collect();
        TestGroup::new(1, "attn", 8).without_members().with_member("attn.weight", 0, Layout::Table(heads.into()))
    }];
    let score = |group, coordinate: u32| group as f64 * 100.0 + f64::from(coordinate);
    let selections = run(&groups, &global(0.4).with_round_to(8), 4, score);
    assert_eq!(sizes(&selections), [32, 24, 24, 16]);
    assert!(selections.iter().all(|selection| selection.plan.cut(g(1)).is_empty()));
    assert_eq!(reason(&selections[0], 0), Some(&Reason::Rounding { smallest_cut: 8 }));
    assert_eq!(reason(&selections[0], 1), Some(&Reason::RankedHigher));
    // What no step can make is passed over.
    let selections = run(&groups, &global(0.1).with_round_to(8), 1, score);
    assert_eq!(selections[0].plan.cut(g(1)), [0, 1, 2, 3]);
}

#[test]
fn a_pinned_group_says_why() {
    let pins = [
        (Pin::GraphInput, "graph-input"),
        (Pin::GraphOutput, "graph-output"),
        (Pin::Operation { node: NodeId::new(3), op: "aten::softmax".into(), factor: "s".into() }, "pinned"),
        (Pin::UnknownOp { node: NodeId::new(3), op: "my::op".into() }, "unknown-op"),
        (
            Pin::UnsupportedForm { node: NodeId::new(3), op: "aten::einsum".into(), what: "`i,i`".into() },
            "unsupported-form",
        ),
        (Pin::NoRefinement { node: NodeId::new(3), op: "aten::view".into() }, "no-refinement"),
    ];
    for (pin, code) in pins {
        let groups = [TestGroup::new(0, "fc", 4).pinned(pin.clone())];
        let selections = run(&groups, &Limits::new(0.5), 1, ascending);
        assert_eq!(reason(&selections[0], 0), Some(&Reason::Pinned { pin }));
        assert_eq!(reason(&selections[0], 0).map(Reason::code), Some(code));
        assert_eq!(selections[0].stop, Some(StopReason::NothingPrunable));
    }
    assert_eq!(run(&[], &Limits::new(0.5), 1, ascending)[0].stop, Some(StopReason::NothingPrunable));
}

#[test]
fn a_score_that_is_not_finite_or_missing_stops_its_group_alone() {
    let groups: Vec<_> = (0..4).map(|id| TestGroup::new(id, &format!("conv{id}"), 4)).collect();
    for scope in Scope::ALL {
        let mut scores = scores(&groups, ascending);
        scores.get_mut(&g(0)).expect("the group has scores")[2] = f64::NAN;
        scores.get_mut(&g(1)).expect("the group has scores")[3] = f64::INFINITY;
        scores.remove(&g(2));
        let limits = Limits::new(0.5).with_scope(scope);
        let selection = select(&refs(&groups), &scores, &limits, 1.0).expect("the rest goes on");
        assert_eq!(reason(&selection, 0), Some(&Reason::NonFiniteScore { coordinate: 2 }));
        assert_eq!(reason(&selection, 1), Some(&Reason::NonFiniteScore { coordinate: 3 }));
        assert_eq!(reason(&selection, 2), Some(&Reason::NoScore));
        assert_eq!(selection.verdicts[0].scores, None);
        assert_eq!(selection.plan, [(g(3), [0, 1])].into_iter().collect());
        assert_eq!(selection.stop, None, "they may have scores in a later step");
    }
}

#[test]
fn scores_of_the_wrong_number_or_of_no_group_are_refused() {
    let groups = one(4);
    let error = |scores: Scores| {
        select(&refs(&groups), &scores, &Limits::default(), 1.0).expect_err("the scores fit nothing").to_string()
    };
    assert_eq!(error([(g(0), vec![1.0; 3])].into()), "there are 3 scores for the 4 coordinates of g0 (conv1.weight:0)");
    assert_eq!(error([(g(7), vec![1.0; 4])].into()), "there are scores for g7, which the network does not have");
}

#[test]
fn enormous_scores_do_not_overflow_and_order_as_they_are() {
    let groups = [TestGroup::new(0, "conv1", 4), TestGroup::new(1, "conv2", 4)];
    let score = |group, _| if group == 0 { f64::MAX } else { f64::MAX / 2.0 };
    let selections = run(&groups, &global(0.25).with_round_to(2), 1, score);
    assert_eq!(selections[0].plan, [(g(1), [0, 1])].into_iter().collect());
}

#[test]
fn a_verdict_holds_sizes_scores_and_what_is_kept() {
    let selections = run(&one(4), &Limits::new(0.5), 2, |_, coordinate| [3.0, 1.0, 2.0, 4.0][coordinate as usize]);
    let verdict = &selections[1].verdicts[0];
    assert_eq!((verdict.initial_size, verdict.size_before, verdict.size_after), (4, 3, 2));
    assert_eq!(verdict.kept, [0, 3]);
    assert_eq!(verdict.verdict, Verdict::Cut { count: 1 });
    assert_eq!(verdict.scores, Some(ScoreSummary { min: 2.0, median: 3.0, max: 4.0 }));
    assert_eq!(verdict.threshold, Some(2.0));
    assert_eq!(selections[0].verdicts[0].scores, Some(ScoreSummary { min: 1.0, median: 2.5, max: 4.0 }));
}

#[test]
fn a_step_of_no_progress_reaches_its_target_and_is_not_the_end() {
    let groups = one(4);
    let selection = select(&refs(&groups), &scores(&groups, ascending), &Limits::new(0.5), 0.0).expect("it is sound");
    assert_eq!(reason(&selection, 0), Some(&Reason::TargetReached));
    assert_eq!(selection.stop, None);
    let selection = select(&refs(&groups), &scores(&groups, ascending), &Limits::new(0.0), 1.0).expect("it is sound");
    assert_eq!(selection.stop, Some(StopReason::TargetReached));
}

#[test]
fn an_edited_plan_takes_the_place_of_the_one_that_was_made() {
    let groups = [TestGroup::new(0, "conv1", 4), TestGroup::new(1, "conv2", 4), TestGroup::new(2, "conv3", 4)];
    let limits = Limits::new(0.5);
    let selection = select(&refs(&groups), &scores(&groups, ascending), &limits, 1.0).expect("it is sound");
    let mut plan = selection.plan.clone();
    plan.remove(g(0));
    plan.insert(g(1), [3]);
    let edited = selection.with_plan(plan.clone(), &refs(&groups), &limits).expect("the plan fits");
    assert_eq!(edited.plan, plan);
    assert_eq!(reason(&edited, 0), Some(&Reason::Edited));
    assert_eq!(edited.verdicts[0].kept, [0, 1, 2, 3]);
    assert_eq!((edited.verdicts[1].size_after, &edited.verdicts[1].kept[..]), (1, &[2][..]));
    assert_eq!(edited.verdicts[2].threshold, Some(1.0));
    assert_eq!((edited.channels.before, edited.channels.after), (12, 7));
    assert_eq!(edited.stop, None);
    let mut emptied = plan;
    emptied.insert(g(2), 0..4);
    assert!(matches!(edited.with_plan(emptied, &refs(&groups), &limits), Err(SelectError::Plan(_))));
}

#[test]
fn an_edited_plan_goes_no_further_than_the_limits() {
    let groups = [TestGroup::new(0, "conv1", 16), TestGroup::new(1, "conv2", 16)];
    let edited = |limits: &Limits, cut: std::ops::Range<u32>| {
        let selection = select(&refs(&groups), &scores(&groups, ascending), limits, 1.0).expect("it is sound");
        let plan = [(g(1), cut)].into_iter().collect();
        selection.with_plan(plan, &refs(&groups), limits).map(|edited| edited.verdicts[1].size_after)
    };
    let says = |limits: Limits, cut, expected: &str| {
        let error = edited(&limits, cut).expect_err(expected).to_string();
        assert!(error.starts_with("the plan leaves ") && error.ends_with(&format!("but {expected}")), "{error}");
    };
    let limits = Limits::new(0.25);
    assert_eq!(edited(&limits, 0..15), Ok(1));
    says(limits.clone().with_min_channels(8), 0..9, "min_channels keeps 8");
    assert_eq!(edited(&limits.clone().with_min_channels(8), 0..8), Ok(8));
    says(limits.clone().with_max_ratio(0.5), 0..9, "max_ratio keeps 8");
    says(limits.clone().with_round_to(4), 0..9, "round_to keeps a multiple of 4");
    assert_eq!(edited(&limits.clone().with_round_to(4), 0..12), Ok(4));
    says(limits.clone().with_ignored("conv2"), 0..1, "`conv2` is ignored");
    assert_eq!(edited(&limits.clone().with_ignored("conv2"), 0..0), Ok(16));
    says(limits.with_override(Override::new(["conv2"]).with_min_channels(12)), 0..8, "min_channels keeps 12");
}
