//! Budgets are met: never above, as near as the channels allow, by what the scopes say goes first, and told where they cannot be.

mod common;

use common::{Net, settings, with_limits};
use pruner::criteria::{Cost, CostAware, Magnitude, SynFlow};
use pruner::deps::{Counts, Group, Kept};
use pruner::equivalence::masked_equals_sliced;
use pruner::exec::{ExecError, GraphModule};
use pruner::importance::Importance;
use pruner::latency::{ByTurns, Latencies, Latency};
use pruner::plan::{Budget, BudgetError, Limits, Measure, Override, Reason, Scope, Selection, StopReason};
use pruner::pruner::{GroupPruner, PruneError, Pruner as _, Settings};
use pruner::report::{Outcome, StepReport};
use pruner::schedulers::Linear;

const NETWORKS: [&str; 6] = ["resnet18", "resnet50", "mobilenet_v2", "densenet", "shufflenet_v2", "vit"];

fn budgeted(limits: Limits, budget: Budget) -> Settings {
    with_limits(limits).with_budget(budget)
}

fn pruner(net: &Net, limits: Limits, budget: Budget) -> GroupPruner {
    GroupPruner::new(&net.module, budgeted(limits, budget)).expect("it can be pruned")
}

fn allowed(dense: u64, share: f64) -> u64 {
    (dense as f64 * (1.0 - share)).floor() as u64
}

/// The counts that a selection leaves of a network that is not cut.
fn left(pruner: &GroupPruner, selection: &Selection) -> Counts {
    pruner.analysis().counts(&selection.plan().applied_to(pruner.analysis(), &Kept::all()))
}

fn within(budget: &Budget, dense: Counts, counts: Counts) -> bool {
    budget.shares().all(|(measure, share)| match (measure.count(counts), measure.count(dense)) {
        (Some(count), Some(dense)) => count <= allowed(dense, share),
        _ => true,
    })
}

/// Fails where what a selection leaves is above the budget, or where a coordinate that it cuts could as well stay.
#[track_caller]
fn check_met(pruner: &GroupPruner, selection: &Selection, budget: &Budget, what: &str) -> Counts {
    let dense = pruner.analysis().counts(&Kept::all());
    let counts = left(pruner, selection);
    assert!(within(budget, dense, counts), "{what}: {counts:?} of {dense:?}");
    if pruner.settings().limits.round_to == 1 {
        for (&group, cut) in selection.plan().cuts() {
            let mut plan = selection.plan().clone();
            // The last that went; those before it are no more important.
            let last = selection.verdicts.iter().find(|verdict| verdict.group == group).expect("it has a verdict");
            assert!(last.threshold.is_some(), "{what}");
            let spared = cut.iter().copied().find(|&coordinate| {
                plan = selection.plan().clone();
                plan.keep(group, [coordinate]);
                let kept = plan.applied_to(pruner.analysis(), &Kept::all());
                within(budget, dense, pruner.analysis().counts(&kept))
            });
            // Where coordinates have unequal parts, one that ranks lower may be cheaper.
            let even = pruner.analysis().groups()[group.index()].members().iter().all(|m| m.layout.regular().is_some());
            assert!(spared.is_none() || !even, "{what}: {group} could keep {spared:?}");
        }
    }
    counts
}

#[test]
fn a_budget_is_met_and_hardly_more_is_cut_and_the_cut_network_is_the_masked_one() {
    for name in NETWORKS {
        let net = Net::named(name);
        for scope in Scope::ALL {
            for share in [0.3, 0.5, 0.7] {
                let what = format!("{name}, {scope:?}, {share}");
                let budget = Budget::of(Measure::Macs, share);
                let pruner = pruner(&net, Limits::default().with_scope(scope), budget.clone());
                let selection = pruner.plan(&net.module).expect("it can be met");
                let counts = check_met(&pruner, &selection, &budget, &what);
                let dense = pruner.counts().macs;
                let gap = (allowed(dense, share) - counts.macs) as f64 / dense as f64;
                assert!(gap < 0.01, "{what}: {gap}");
                assert_eq!(selection.stop, Some(StopReason::TargetReached), "{what}");
                if (share - 0.5).abs() < f64::EPSILON {
                    let kept = selection.plan().applied_to(pruner.analysis(), &Kept::all());
                    let exact = pruner
                        .analysis()
                        .groups()
                        .iter()
                        .all(|group| group.inexact().is_none() || selection.plan().cut(group.id()).is_empty());
                    let difference = masked_equals_sliced(&net.module, pruner.analysis(), &kept, &net.inputs);
                    let difference = difference.expect("both run");
                    assert!(!exact || difference.relative < 1e-4, "{what}: {difference:?}");
                }
            }
        }
    }
}

#[test]
fn several_measures_are_met_at_once_and_the_report_says_where_they_stand() {
    for scope in Scope::ALL {
        for name in ["resnet18", "vit"] {
            let mut net = Net::named(name);
            let budget = Budget::of(Measure::Params, 0.5).with(Measure::Macs, 0.6).with(Measure::Bytes, 0.3);
            let mut pruner = pruner(&net, Limits::default().with_scope(scope), budget.clone());
            let selection = pruner.plan(&net.module).expect("it can be met");
            check_met(&pruner, &selection, &budget, name);
            let report = pruner.step(&mut net.module, &mut ()).expect("a step");
            let measures: Vec<_> = report.budget.iter().map(|of| (of.measure, of.asked)).collect();
            assert_eq!(measures, [(Measure::Params, 0.5), (Measure::Macs, 0.6), (Measure::Bytes, 0.3)]);
            for of in &report.budget {
                assert!(of.achieved >= of.asked && of.gap == 0.0, "{name}: {of:?}");
            }
            assert!((report.budget[1].dense - report.before.macs as f64).abs() < f64::EPSILON);
            assert_eq!((report.target, report.gap_channels), (None, 0));
            assert_eq!(
                (report.stop, pruner.stop()),
                (Some(StopReason::TargetReached), Some(StopReason::TargetReached))
            );
        }
    }
}

#[test]
fn multiples_are_kept_and_nothing_could_be_given_back() {
    for scope in Scope::ALL {
        for name in ["resnet18", "vit"] {
            let net = Net::named(name);
            let budget = Budget::of(Measure::Macs, 0.5);
            let limits = Limits::default().with_scope(scope).with_round_to(4).with_min_channels(2);
            let pruner = pruner(&net, limits, budget.clone());
            let selection = pruner.plan(&net.module).expect("it can be met");
            let counts = left(&pruner, &selection);
            let dense = pruner.counts();
            assert!(within(&budget, dense, counts));
            for verdict in selection.verdicts.iter().filter(|verdict| verdict.size_after < verdict.size_before) {
                let group = &pruner.analysis().groups()[verdict.group.index()];
                for member in group.members() {
                    let kept = selection.plan().applied_to(pruner.analysis(), &Kept::all());
                    let dim = &pruner.analysis().dims(member.value)[member.dim];
                    let size = kept.size(pruner.analysis(), dim);
                    // Heads and their dimensions too, which make up one together.
                    assert!(size.is_multiple_of(4), "{name}, {scope:?}: {} has {size}", member.name);
                }
                let cut = selection.plan().cut(verdict.group);
                let granule = 4.min(cut.len());
                let mut plan = selection.plan().clone();
                plan.keep(verdict.group, cut[..granule].iter().copied());
                let kept = plan.applied_to(pruner.analysis(), &Kept::all());
                let counts = pruner.analysis().counts(&kept);
                assert!(!within(&budget, dense, counts), "{name}, {scope:?}: {} could keep more", verdict.name);
            }
        }
    }
}

#[test]
fn each_step_meets_its_part_and_the_last_the_whole() {
    for scope in Scope::ALL {
        let mut net = Net::named("resnet18");
        let budget = Budget::of(Measure::Macs, 0.6).with(Measure::Params, 0.4);
        let limits = Limits::default().with_scope(scope).with_round_to(2);
        let mut pruner =
            GroupPruner::new(&net.module, budgeted(limits, budget.clone()).with_steps(3)).expect("it can be pruned");
        let dense = pruner.counts();
        for step in 1..=3 {
            assert_eq!(pruner.stop(), None);
            let part = f64::from(step) / 3.0;
            let report = pruner.step(&mut net.module, &mut ()).expect("a step");
            assert!(report.pruned() && report.after.macs <= allowed(dense.macs, 0.6 * part));
            assert!(report.after.params <= allowed(dense.params, 0.4 * part));
            assert!((report.budget[1].asked - 0.6 * part).abs() < 1e-12);
            let nearest = report.budget.iter().map(|of| of.achieved - of.asked).fold(1.0, f64::min);
            assert!(nearest < 0.02, "{scope:?}, step {step}: {:?}", report.budget);
        }
        assert_eq!(pruner.stop(), Some(StopReason::TargetReached));
        let report = pruner.step(&mut net.module, &mut ()).expect("a step");
        assert_eq!(report.outcome, Outcome::TargetReached);
    }
}

#[test]
fn a_budget_that_the_network_meets_already_cuts_nothing() {
    let net = Net::mlp(&[6, 12, 10, 4]);
    for scope in Scope::ALL {
        let pruner = pruner(&net, Limits::default().with_scope(scope), Budget::of(Measure::Params, 0.0));
        let selection = pruner.plan(&net.module).expect("a plan");
        assert!(selection.plan().is_empty());
        let free = selection.verdicts.iter().filter_map(|verdict| verdict.verdict.reason());
        let free: Vec<_> = free.filter(|reason| !reason.is_excluded()).collect();
        assert_eq!(free, [&Reason::TargetReached; 2]);
        assert_eq!((selection.stop, pruner.stop()), (Some(StopReason::TargetReached), Some(StopReason::TargetReached)));
    }
}

fn refused(net: &Net, settings: Settings) -> BudgetError {
    match GroupPruner::new(&net.module, settings).expect_err("it cannot be met") {
        PruneError::Budget(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_budget_that_cannot_be_met_is_told_at_once_with_what_can() {
    let net = Net::mlp(&[6, 12, 10, 4]);
    let limits = Limits::default().with_min_channels(6);
    let budget = Budget::of(Measure::Params, 0.9).with(Measure::Macs, 0.1).with(Measure::Bytes, 0.8);
    let error = refused(&net, budgeted(limits, budget));
    let dense = 12 * 6 + 12 + 10 * 12 + 10 + 4 * 10 + 4;
    let left = 6 * 6 + 6 + 6 * 6 + 6 + 6 * 4 + 4;
    let possible = 100.0 - 100.0 * f64::from(left) / f64::from(dense);
    assert_eq!(
        error.to_string(),
        format!(
            "the budget removes 90.0 % of the parameters and 80.0 % of the bytes, and cutting all that the limits let go \
             removes {possible:.1} % and {possible:.1} %; ask for less, or loosen min_channels, max_ratio, round_to, ignore \
             and the ratios of overrides"
        )
    );
    for share in [1.0, -0.1, f64::NAN] {
        let error = refused(&net, settings(0.5).with_budget(Budget::of(Measure::Macs, share)));
        assert!(error.to_string().contains("at least 0 and less than 1"), "{error}");
    }
    assert_eq!(refused(&net, settings(0.5).with_budget(Budget::default())), BudgetError::Empty);
}

#[test]
fn an_edited_plan_is_reported_for_what_it_does() {
    let mut net = Net::mlp(&[6, 12, 10, 4]);
    let mut pruner = pruner(&net, Limits::default(), Budget::of(Measure::Macs, 0.5));
    let selection = pruner.plan(&net.module).expect("a plan");
    let mut plan = selection.plan().clone();
    let first = *plan.cuts().keys().next().expect("something goes");
    plan.remove(first);
    let edited = selection.with_plan(plan, &pruner.groups(), &pruner.settings().limits).expect("it fits");
    let preview = pruner.preview(&edited);
    let report = pruner.apply(&mut net.module, &mut (), &edited).expect("it is made");
    for report in [&preview, &report] {
        let of = report.budget[0];
        assert!((of.achieved - (1.0 - report.after.macs as f64 / of.dense)).abs() < 1e-12 && of.gap > 0.0, "{of:?}");
        assert_eq!(report.stop, Some(StopReason::StepsDone));
    }
    assert_eq!(pruner.stop(), None);
}

/// Takes multiply-accumulates for milliseconds, and a part that no cut removes.
#[derive(Debug)]
struct Macs {
    fixed: f64,
}

impl Latency for Macs {
    fn measure(&self, dense: &GraphModule, cut: &GraphModule) -> Result<Latencies, ExecError> {
        let macs = |module: &GraphModule| {
            let analysis = pruner::deps::Analysis::new(module.graph()).expect("it is sound");
            analysis.counts(&Kept::all()).macs as f64
        };
        let fixed = self.fixed * macs(dense);
        Ok(Latencies { dense_ms: macs(dense) + fixed, cut_ms: macs(cut) + fixed })
    }
}

fn step_of(net: &mut Net, pruner: &mut GroupPruner) -> StepReport {
    pruner.step(&mut net.module, &mut ()).expect("a step")
}

#[test]
fn a_latency_is_met_in_steps_by_the_least_cut_that_is_fast_enough() {
    for scope in Scope::ALL {
        let mut net = Net::named("resnet18");
        let budget = Budget::of(Measure::Latency, 0.4).with(Measure::Params, 0.05);
        let settings = budgeted(Limits::default().with_scope(scope), budget).with_steps(2);
        let pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
        let mut pruner = pruner.with_latency(Box::new(Macs { fixed: 0.25 }));
        for asked in [0.2, 0.4] {
            let report = step_of(&mut net, &mut pruner);
            let of = *report.budget.last().expect("it is reported");
            assert_eq!((of.measure, of.gap), (Measure::Latency, 0.0));
            assert!((of.asked - asked).abs() < 1e-12 && of.achieved >= asked && of.achieved < asked + 0.03, "{of:?}");
        }
        assert_eq!(pruner.stop(), Some(StopReason::TargetReached));
    }
}

#[test]
fn a_latency_that_no_cut_reaches_is_told_and_nothing_is_cut() {
    let mut net = Net::named("resnet18");
    let settings = budgeted(Limits::default(), Budget::of(Measure::Latency, 0.6)).with_steps(2);
    let pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
    let mut pruner = pruner.with_latency(Box::new(Macs { fixed: 1.0 }));
    let graph = net.module.graph().clone();
    let error = pruner.step(&mut net.module, &mut ()).expect_err("half of it stays").to_string();
    assert!(error.starts_with("the budget removes 60.0 % of the latency, and cutting all that"), "{error}");
    assert_eq!(*net.module.graph(), graph);
}

#[test]
fn a_measurement_leaves_the_network_and_the_random_numbers_as_they_are() {
    let net = Net::named("mobilenet_v2");
    let before = common::Snapshot::of(&net.vs);
    let latencies = ByTurns::default().measure(&net.module, &net.module).expect("it runs");
    assert!(latencies.dense_ms > 0.0 && latencies.cut_ms > 0.0);
    before.assert_unchanged(&net.vs, "measured");
}

#[test]
fn costs_are_weighed_where_scores_add_up_and_once() {
    let net = Net::named("resnet18");
    let plan = |importance: Box<dyn Importance>, cost_aware| {
        let budget = Budget::of(Measure::Macs, 0.5).with_cost_aware(cost_aware);
        let limits = Limits::default().with_scope(Scope::Global);
        let settings = Settings::new(importance, Box::new(Linear {})).with_limits(limits).with_budget(budget);
        let pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
        pruner.plan(&net.module).expect("it can be met").plan().clone()
    };
    let by_cost = || Box::new(CostAware::new(Magnitude::default(), Cost::Macs));
    assert_eq!(plan(by_cost(), true), plan(by_cost(), false), "the criterion weighs them");
    assert_eq!(
        plan(Box::<Magnitude>::default(), true),
        plan(Box::<Magnitude>::default(), false),
        "it is scaled by group"
    );
    assert_ne!(plan(Box::<SynFlow>::default(), true), plan(Box::<SynFlow>::default(), false));
}

#[test]
fn what_a_step_cannot_do_since_a_ratio_is_not_that_far_a_later_one_does() {
    let mut net = Net::mlp(&[8, 64, 64, 8]);
    let groups: Vec<String> = {
        let pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
        pruner.groups().iter().filter(|group| group.pin().is_none()).map(|group| group.name().to_owned()).collect()
    };
    // Both layers have a ratio of their own and go in halves only: nothing can be cut before it asks for one.
    let own = Override::new(groups).with_target_ratio(0.5);
    let limits = Limits::default().with_round_to(32).with_override(own);
    let settings = budgeted(limits, Budget::of(Measure::Macs, 0.5)).with_steps(4);
    let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be met");
    let reports: Vec<StepReport> =
        (0..4).map(|_| pruner.step(&mut net.module, &mut ()).expect("no step is asked for too much")).collect();
    assert!(!reports[0].pruned() && reports[0].budget[0].gap > 0.0);
    assert!(reports[3].budget[0].gap == 0.0 && pruner.stop() == Some(StopReason::TargetReached));
}
