//! Runs of pruning end to end: what every step reports, what it never goes below, and when a run is over.

mod common;

use common::{Net, Snapshot, fill, global, settings, with_limits};
use pruner::plan::{Limits, Reason, StopReason};
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::report::{Outcome, StepReport};
use pruner_bench::rng::Rng;

/// The network with a run of `steps` to `limits`, made to its end; what each step reports is held against the variables.
#[track_caller]
fn run(net: &mut Net, limits: Limits, steps: usize) -> (GroupPruner, Vec<StepReport>) {
    let mut pruner = GroupPruner::new(&net.module, with_limits(limits).with_steps(steps)).expect("it can be pruned");
    let reports = (1..=steps)
        .map(|step| {
            let elements = |net: &Net| net.vs.variables().values().map(tch::Tensor::numel).sum::<usize>();
            let before = elements(net);
            let report = pruner.step(&mut net.module, &mut ()).expect("a step");
            assert_eq!(report.pruned(), elements(net) < before, "step {step} says {:?}", report.outcome);
            assert_eq!(report.should_train(), report.pruned());
            assert_eq!((report.step, report.steps, pruner.steps_made()), (step, steps, step));
            assert_eq!(report.after.params, elements(net) as u64, "step {step}");
            assert_eq!(report.groups.iter().any(|group| group.cut() > 0), report.pruned());
            report
        })
        .collect();
    (pruner, reports)
}

/// The size of the group of this name after the last of the steps.
fn size(reports: &[StepReport], name: &str) -> usize {
    let report = reports.last().expect("there are steps");
    report.groups.iter().find(|group| group.name == name).unwrap_or_else(|| panic!("no group {name}")).size_after
}

/// The code of the reason for which the group of this name was left alone.
fn code(report: &StepReport, name: &str) -> Option<&'static str> {
    report.groups.iter().find(|group| group.name == name)?.reason.as_ref().map(Reason::code)
}

#[track_caller]
fn assert_over(net: &mut Net, pruner: &mut GroupPruner, expected: &Outcome) {
    let before = Snapshot::of(&net.vs);
    let graph = net.module.graph().to_string();
    for _ in 0..3 {
        let report = pruner.step(&mut net.module, &mut ()).expect("a step after the last");
        assert_eq!(&report.outcome, expected);
        assert!(!report.should_train() && report.is_terminal());
        before.assert_unchanged(&net.vs, "a step after the run");
        assert_eq!(net.module.graph().to_string(), graph);
    }
}

#[test]
fn of_20_steps_over_16_channels_12_are_empty_and_each_says_that_it_is_rounding() {
    let mut net = Net::mlp(&[8, 16, 4]);
    let (mut pruner, reports) = run(&mut net, Limits::new(0.5), 20);
    for report in reports.iter().filter(|report| !report.pruned()) {
        assert_eq!(report.outcome, Outcome::NothingToPrune { reason: Reason::Rounding { smallest_cut: 1 } });
        assert!(report.can_prune_further && !report.is_terminal(), "step {}: empty is not finished", report.step);
    }
    assert_eq!(reports.iter().filter(|report| !report.pruned()).count(), 12);
    assert_eq!(size(&reports, "fc1.weight:0"), 8);
    assert!((reports[19].achieved - 0.5).abs() < 1e-9);
    assert_eq!(pruner.stop(), Some(StopReason::TargetReached));
    assert_over(&mut net, &mut pruner, &Outcome::TargetReached);
}

#[test]
fn of_10_steps_in_cuts_of_16_8_are_empty_and_the_debt_is_carried() {
    let mut net = Net::mlp(&[8, 64, 4]);
    let (_, reports) = run(&mut net, Limits::new(0.5).with_round_to(16), 10);
    let pruned: Vec<_> = reports.iter().filter(|report| report.pruned()).map(|report| report.step).collect();
    assert_eq!(pruned, [5, 10]);
    for report in reports.iter().filter(|report| !report.pruned()) {
        assert_eq!(report.outcome, Outcome::NothingToPrune { reason: Reason::Rounding { smallest_cut: 16 } });
    }
    assert_eq!(size(&reports, "fc1.weight:0"), 32);
}

#[test]
fn under_global_ranking_an_empty_step_is_followed_by_one_that_prunes() {
    let mut net = Net::mlp(&[8, 16, 16, 4]);
    let (mut pruner, reports) = run(&mut net, global(0.5).with_round_to(8), 8);
    let pruned: Vec<_> = reports.iter().map(StepReport::pruned).collect();
    assert_eq!(pruned, [false, false, false, true, false, false, false, true]);
    assert!(reports[..7].iter().all(|report| report.can_prune_further), "empty is not finished");
    assert_over(&mut net, &mut pruner, &Outcome::TargetReached);
}

#[test]
fn a_run_stopped_by_its_limits_says_so_and_not_that_it_is_empty() {
    let mut net = Net::mlp(&[8, 16, 4]);
    let (mut pruner, reports) = run(&mut net, Limits::new(0.9).with_min_channels(6), 3);
    assert_eq!(size(&reports, "fc1.weight:0"), 6);
    assert_eq!(pruner.stop(), Some(StopReason::Limits));
    assert!(!reports[2].can_prune_further);
    assert_over(&mut net, &mut pruner, &Outcome::Finished { reason: StopReason::Limits });
}

#[test]
fn a_run_whose_rest_is_less_than_a_cut_is_over_with_its_last_step() {
    let mut net = Net::mlp(&[8, 64, 4]);
    let (mut pruner, reports) = run(&mut net, Limits::new(0.4).with_round_to(16), 2);
    assert_eq!(size(&reports, "fc1.weight:0"), 48);
    assert_eq!((reports[1].gap_channels, reports[1].stop), (9, Some(StopReason::Rounding)));
    assert_over(&mut net, &mut pruner, &Outcome::Finished { reason: StopReason::StepsDone });
}

#[test]
fn a_network_without_a_free_group_is_finished_at_once() {
    let mut net = Net::mlp(&[8, 4]);
    let (mut pruner, reports) = run(&mut net, Limits::new(0.5), 1);
    let finished = Outcome::Finished { reason: StopReason::NothingPrunable };
    assert_eq!(reports[0].outcome, finished);
    assert_over(&mut net, &mut pruner, &finished);
}

#[test]
fn what_is_ignored_is_left_alone_and_does_not_count() {
    let mut net = Net::mlp(&[8, 16, 32, 4]);
    let (_, reports) = run(&mut net, global(0.5).with_ignored("fc1.weight:0"), 1);
    assert_eq!((size(&reports, "fc1.weight:0"), size(&reports, "fc2.weight:0")), (16, 16));
    assert_eq!(code(&reports[0], "fc1.weight:0"), Some("ignored"));
    assert_eq!((reports[0].before.channels, reports[0].after.channels), (32, 16));
}

#[test]
fn a_goal_of_1_percent_of_16_channels_prunes_nothing() {
    let mut net = Net::mlp(&[8, 16, 4]);
    let before = Snapshot::of(&net.vs);
    let (_, reports) = run(&mut net, Limits::new(0.01), 1);
    assert_eq!(reports[0].outcome, Outcome::NothingToPrune { reason: Reason::Rounding { smallest_cut: 1 } });
    assert_eq!(code(&reports[0], "fc1.weight:0"), Some("rounding"));
    assert!(reports[0].to_string().contains("rounding"), "{}", reports[0]);
    before.assert_unchanged(&net.vs, "a step that prunes nothing");
}

#[test]
fn no_step_removes_more_than_is_asked_of_it() {
    let mut rng = Rng::new(4);
    for round in 0..40 {
        let width = |rng: &mut Rng| 1 + rng.below(40) as i64;
        let mut net = Net::mlp(&[5, width(&mut rng), width(&mut rng), width(&mut rng), 3]);
        let ratio = f64::from(rng.uniform(0.0, 0.99));
        let steps = 1 + rng.below(6) as usize;
        let limits = if round % 2 == 0 { Limits::new(ratio) } else { global(ratio) };
        let limits = limits.with_round_to(1 + rng.below(5) as usize);
        let is_global = round % 2 == 1;
        let (_, reports) = run(&mut net, limits, steps);
        for report in &reports {
            let free = || report.groups.iter().filter(|group| !group.reason.as_ref().is_some_and(Reason::is_excluded));
            let gone = |initial: usize, after: usize| (initial - after) as f64;
            let asked = |initial: usize| initial as f64 * ratio * report.step as f64 / steps as f64 + 1e-6;
            let (initial, after) = free().fold((0, 0), |(i, a), group| (i + group.initial_size, a + group.size_after));
            assert!(gone(initial, after) <= asked(initial), "{report}");
            assert!(
                is_global
                    || free().all(|group| gone(group.initial_size, group.size_after) <= asked(group.initial_size))
            );
        }
    }
}

#[test]
fn floors_hold_in_every_step_under_global_ranking() {
    let mut net = Net::mlp(&[8, 64, 16, 40, 4]);
    // Two layers that every ranking would empty first.
    for name in ["fc1.weight", "fc1.bias", "fc3.weight", "fc3.bias"] {
        let variable = net.variable(name);
        let _ = tch::no_grad(|| variable.shallow_clone().g_mul_scalar_(1e-6));
    }
    let (_, reports) = run(&mut net, global(0.9).with_max_ratio(0.5).with_min_channels(10), 7);
    for report in &reports {
        for group in report.groups.iter().filter(|group| !group.reason.as_ref().is_some_and(Reason::is_excluded)) {
            assert!(group.size_after >= 10.max(group.initial_size / 2), "{report}");
        }
    }
    let sizes = ["fc1.weight:0", "fc2.weight:0", "fc3.weight:0"].map(|name| size(&reports, name));
    assert_eq!(sizes, [32, 10, 20]);
}

#[test]
fn the_highest_ratio_is_never_passed_within_a_step() {
    for (width, expected) in [(64, 32), (16, 8)] {
        let mut net = Net::mlp(&[8, width, 4]);
        let (_, reports) = run(&mut net, Limits::new(0.9).with_max_ratio(0.5), 1);
        assert_eq!(size(&reports, "fc1.weight:0"), expected);
    }
}

#[test]
fn of_10_channels_at_90_percent_1_is_left() {
    let mut net = Net::mlp(&[8, 10, 4]);
    let (_, reports) = run(&mut net, Limits::new(0.9), 1);
    assert_eq!(size(&reports, "fc1.weight:0"), 1);
}

#[test]
fn a_rounding_larger_than_a_layer_is_told_by_name() {
    let mut net = Net::mlp(&[8, 16, 64, 4]);
    let (_, reports) = run(&mut net, Limits::new(0.5).with_round_to(32), 1);
    assert_eq!(code(&reports[0], "fc1.weight:0"), Some("not-divisible"));
    assert_eq!((size(&reports, "fc1.weight:0"), size(&reports, "fc2.weight:0")), (16, 32));
    assert!(reports[0].to_string().contains("no smaller multiple of 32"), "{}", reports[0]);
}

#[test]
fn ties_are_broken_by_index_and_no_more_go_than_are_asked() {
    for limits in [Limits::new(0.4), global(0.4)] {
        let mut net = Net::mlp(&[8, 10, 4]);
        net.vs.variables().values().for_each(|variable| fill(variable, 0.5));
        let (pruner, reports) = run(&mut net, limits, 1);
        assert_eq!(reports[0].groups[0].kept, [4, 5, 6, 7, 8, 9]);
        let left = pruner.groups().into_iter().find(|group| group.name() == "fc1.weight:0").expect("it is there");
        assert_eq!(left.coordinates(), [4, 5, 6, 7, 8, 9]);
    }
}

#[test]
fn a_group_of_zeros_has_scores_and_does_not_stop_the_others() {
    let mut net = Net::mlp(&[8, 16, 16, 4]);
    for name in ["fc1.weight", "fc1.bias"] {
        fill(&net.variable(name), 0.0);
    }
    // The other side of the group, too.
    fill(&net.variable("fc2.weight"), 0.0);
    let (_, reports) = run(&mut net, global(0.75), 1);
    let report = &reports[0];
    assert!(report.groups.iter().all(|group| !matches!(group.reason, Some(Reason::NonFiniteScore { .. }))));
    assert_eq!(report.after.channels, 8);
    assert_eq!(size(&reports, "fc1.weight:0"), 1, "zeros go first, and one of them stays");
    assert_eq!(size(&reports, "fc2.weight:0"), 7);
}

#[test]
fn what_the_floor_of_a_layer_keeps_is_taken_from_the_others() {
    let mut net = Net::mlp(&[8, 8, 32, 4]);
    for name in ["fc1.weight", "fc1.bias"] {
        fill(&net.variable(name), 0.0);
    }
    let fc2 = net.variable("fc2.weight");
    let _ = tch::no_grad(|| fc2.shallow_clone().g_mul_scalar_(1e-3));
    let magnitude = pruner::criteria::Magnitude::default().with_normalizer(pruner::criteria::Normalizer::None);
    let settings = Settings { importance: Box::new(magnitude), ..settings(0.5) }.with_limits(global(0.5));
    let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
    let report = pruner.step(&mut net.module, &mut ()).expect("a step");
    assert_eq!(size(std::slice::from_ref(&report), "fc1.weight:0"), 1);
    assert_eq!((report.after.channels, report.gap_channels), (20, 0));
}

#[test]
fn a_plan_is_the_same_when_it_is_made_twice_and_leaves_the_settings_alone() {
    let mut net = Net::named("multihead_attention");
    let settings = with_limits(global(0.5).with_min_channels(2)).with_steps(3);
    let before = serde_json::to_string(&settings).expect("settings serialise");
    let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
    let selection = pruner.plan(&net.module).expect("a plan");
    assert_eq!(selection, pruner.plan(&net.module).expect("a plan"));
    let given = selection.clone();
    pruner.apply(&mut net.module, &mut (), &given).expect("it is applied");
    assert_eq!(given, selection);
    for _ in 0..3 {
        pruner.step(&mut net.module, &mut ()).expect("a step");
    }
    assert_eq!(serde_json::to_string(pruner.settings()).expect("settings serialise"), before);
}
