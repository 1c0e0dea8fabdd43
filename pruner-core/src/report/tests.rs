//! What reports say, and how they read.

use std::collections::BTreeMap;

use super::*;
use crate::deps::Pin;
use crate::plan::testing::TestGroup;
use crate::plan::{Limits, Measure, Scope, select};

fn refs(groups: &[TestGroup]) -> Vec<&dyn Group> {
    groups.iter().map(|group| group as &dyn Group).collect()
}

fn report(groups: &[TestGroup], limits: &Limits, step: usize, steps: usize) -> StepReport {
    let scores = groups
        .iter()
        .map(|group| (group.id(), group.coordinates().iter().map(|&c| 0.125 * f64::from(c)).collect()))
        .collect();
    report_of(groups, &scores, limits, step, steps)
}

#[track_caller]
fn report_of(
    groups: &[TestGroup],
    scores: &BTreeMap<GroupId, Vec<f64>>,
    limits: &Limits,
    step: usize,
    steps: usize,
) -> StepReport {
    let progress = step.min(steps) as f64 / steps as f64;
    let selection = select(&refs(groups), scores, limits, progress).expect("the input is sound");
    StepReport::new(&selection, &refs(groups), step, steps)
}

fn network() -> Vec<TestGroup> {
    let softmax = Pin::Operation { node: NodeId::new(7), op: "aten::softmax".into(), factor: "s".into() };
    vec![
        TestGroup::new(0, "stem", 3).pinned(Pin::GraphInput),
        TestGroup::new(1, "layer1.0.conv1", 64).with_member(
            "layer1.0.bn1.weight",
            0,
            crate::deps::Layout::Identity(64),
        ),
        TestGroup::new(2, "layer1.0.conv2", 128),
        TestGroup::new(3, "gate", 8),
        TestGroup::new(4, "attn.q", 16).pinned(softmax.clone()),
        TestGroup::new(5, "attn.k", 16).pinned(softmax),
        TestGroup::new(6, "fc", 10).pinned(Pin::GraphOutput),
    ]
}

fn counts(params: u64) -> Counts {
    Counts { channels: 0, params, macs: params * 100, bytes: params * 4 }
}

#[test]
fn a_step_that_pruned_prints_what_it_cut_and_why_the_rest_was_not() {
    let report = report(&network(), &Limits::new(0.5).with_round_to(8), 2, 4)
        .with_counts(counts(1_234_567), counts(987_654))
        .with_seed(42)
        .with_seconds(Seconds::new(0.25, 0.001, 0.0125))
        .with_verification(Verification::new(Some(1.25e-7), Outputs::Finite));
    assert!(report.pruned() && report.should_train() && !report.is_terminal());
    insta::assert_snapshot!("pruned", report);
    insta::assert_snapshot!("pruned-narrow", format!("{report:.60}"));
    assert!(format!("{report:.60}").lines().all(|line| line.chars().count() <= 60));
}

#[test]
fn a_step_to_a_budget_prints_where_its_measures_stand() {
    let mut report = report(&network(), &Limits::new(0.5), 1, 2).with_counts(counts(1_000_000), counts(700_000));
    report.target = None;
    report.budget = vec![
        Standing::new(Measure::Params, 0.25, 1e6, 7e5),
        Standing::new(Measure::Macs, 0.301, 1e8, 7e7),
        Standing::new(Measure::Latency, 0.2, 12.5, 9.875),
    ];
    insta::assert_snapshot!("budget", report);
    let line = report.to_json_line().expect("a report serialises");
    assert!(
        line.contains(r#""target":null,"budget":[{"measure":"params","dense":1000000.0,"asked":0.25,"achieved":0."#)
    );
    assert_eq!(serde_json::from_str::<StepReport>(&line).expect("it was just written"), report);
}

#[test]
fn a_step_that_pruned_nothing_says_why_and_that_training_is_needless() {
    let report = report(&network(), &Limits::new(0.5).with_round_to(32), 1, 20);
    assert!(!report.pruned() && !report.should_train() && !report.is_terminal());
    assert!(report.can_prune_further);
    insta::assert_snapshot!("nothing-pruned", report);
}

#[test]
fn alarms_tell_of_what_is_nearly_empty_or_not_told_apart() {
    let groups = [TestGroup::new(0, "conv1", 20), TestGroup::new(1, "conv2", 4)];
    let scores = [
        (GroupId::new(0), (0..20).map(|c| 1e-9 * f64::from(c)).collect()),
        (GroupId::new(1), vec![0.0, -0.0, 0.0, 0.0]),
    ];
    let report = report_of(&groups, &scores.into(), &Limits::new(0.9).with_scope(Scope::Global), 1, 1)
        .with_verification(Verification::new(Some(f64::NAN), Outputs::NonFinite));
    assert_eq!(
        report.alarms,
        [
            Alarm::NearlyEmpty {
                group: GroupId::new(0),
                name: "conv1.weight:0".into(),
                size_after: 2,
                initial_size: 20
            },
            Alarm::EqualScores { group: GroupId::new(1), name: "conv2.weight:0".into() },
        ]
    );
    insta::assert_snapshot!("alarms", report);
}

#[track_caller]
fn check_outcome(report: &StepReport, outcome: &Outcome, stop: Option<StopReason>) {
    assert_eq!(&report.outcome, outcome);
    assert_eq!(report.stop, stop);
    assert_eq!(report.is_terminal(), stop.is_some());
    assert!(!report.should_train());
}

#[test]
fn an_outcome_tells_an_empty_step_from_a_run_that_is_over() {
    let group = |size| [TestGroup::new(0, "conv1", size)];
    let rounding = |smallest_cut| Outcome::NothingToPrune { reason: Reason::Rounding { smallest_cut } };
    check_outcome(&report(&group(16), &Limits::new(0.5), 1, 20), &rounding(1), None);
    // One percent of 16 channels.
    check_outcome(&report(&group(16), &Limits::new(0.01), 1, 1), &rounding(1), Some(StopReason::Rounding));
    check_outcome(
        &report(&group(16), &Limits::new(0.0), 1, 2),
        &Outcome::TargetReached,
        Some(StopReason::TargetReached),
    );
    let limits = Outcome::Finished { reason: StopReason::Limits };
    check_outcome(&report(&group(1), &Limits::new(0.5), 1, 2), &limits, Some(StopReason::Limits));
    let pinned = [TestGroup::new(0, "conv1", 16).pinned(Pin::GraphOutput)];
    let nothing = Outcome::Finished { reason: StopReason::NothingPrunable };
    check_outcome(&report(&pinned, &Limits::new(0.5), 1, 2), &nothing, Some(StopReason::NothingPrunable));
    check_outcome(&report(&[], &Limits::new(0.5), 1, 2), &nothing, Some(StopReason::NothingPrunable));
    let no_score = Outcome::NothingToPrune { reason: Reason::NoScore };
    let none = BTreeMap::new();
    check_outcome(&report_of(&group(16), &none, &Limits::new(0.5), 1, 2), &no_score, None);
    check_outcome(&report_of(&group(16), &none, &Limits::new(0.5), 2, 2), &no_score, Some(StopReason::StepsDone));
    let done = Outcome::Finished { reason: StopReason::StepsDone };
    check_outcome(&report_of(&group(16), &none, &Limits::new(0.5), 3, 2), &done, Some(StopReason::StepsDone));
}

#[test]
fn a_step_that_cuts_the_last_there_is_to_cut_is_trained_after_and_ends_the_run() {
    let report = report(&[TestGroup::new(0, "conv1", 16)], &Limits::new(0.5), 4, 4);
    assert!(report.pruned() && report.should_train() && report.is_terminal());
    assert_eq!(report.stop, Some(StopReason::TargetReached));
    assert!(!report.can_prune_further);
}

#[test]
fn of_many_reasons_the_outcome_names_the_one_that_says_most() {
    let groups = [TestGroup::new(0, "conv1", 1), TestGroup::new(1, "conv2", 16), TestGroup::new(2, "conv3", 16)];
    let scores = [(GroupId::new(1), vec![1.0; 16]), (GroupId::new(2), vec![f64::NAN; 16])];
    let report = report_of(&groups, &scores.into(), &Limits::new(0.5), 1, 20);
    assert_eq!(report.outcome, Outcome::NothingToPrune { reason: Reason::Rounding { smallest_cut: 1 } });
    let reasons: Vec<_> = report.groups.iter().filter_map(|group| group.reason.as_ref()).map(Reason::code).collect();
    assert_eq!(reasons, ["no-score", "rounding", "non-finite-score"]);
}

#[test]
fn a_report_is_one_line_of_json_and_is_read_back() {
    let report = report(&network(), &Limits::new(0.5).with_ignored("gate"), 1, 2)
        .with_verification(Verification::new(None, Outputs::Finite));
    let line = report.to_json_line().expect("a report serialises");
    assert!(!line.contains('\n'));
    assert_eq!(serde_json::from_str::<StepReport>(&line).expect("it was just written"), report);
    let small = report_of(&[TestGroup::new(0, "conv1", 4)], &BTreeMap::new(), &Limits::new(0.5), 1, 2);
    insta::assert_snapshot!("json", small.to_json_line().expect("a report serialises"));
}
