//! Budgets are met by what a scope says goes first, never above and with nothing cut that could stay.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deps::Counts;

const BRANCHES: &str = include_str!("../../../tests/groups/residual.graph");
const DEPTHWISE: &str = include_str!("../../../tests/groups/depthwise.graph");
const CONCAT: &str = include_str!("../../../tests/groups/dense_concat.graph");
const QKV: &str = include_str!("../../../tests/groups/fused_qkv.graph");

fn analysis(text: &str) -> Analysis {
    let graph = text.split("\n---\n").next().expect("a text has a part");
    Analysis::new(&graph.parse().expect("it is a graph")).expect("it is sound")
}

/// Linear layers of these widths, `a`, `b` and so on.
fn perceptron(widths: &[usize]) -> Analysis {
    let mut text = format!("input v0: f32[1, {}] \"x\"\n", widths[0]);
    let layers = widths.len() - 1;
    for (layer, (pair, name)) in (1..).zip(widths.windows(2).zip('a'..)) {
        writeln!(text, "param v{layer}: f32[{}, {}] \"{name}.weight\"", pair[1], pair[0]).expect("a string");
    }
    for (layer, width) in (1..).zip(&widths[1..]) {
        let (result, input) = (layers + layer, if layer == 1 { 0 } else { layers + layer - 1 });
        writeln!(text, "v{result}: f32[1, {width}] = aten::linear(input=v{input}, weight=v{layer}, bias=none)")
            .expect("a string");
    }
    writeln!(text, "return v{}", 2 * layers).expect("a string");
    analysis(&text)
}

fn group_named(analysis: &Analysis, name: &str) -> GroupId {
    analysis.groups().iter().find(|group| group.name() == name).expect("there is such a group").id()
}

/// Scores of all groups that may be cut, `score` of the group's place and the coordinate.
fn all_scores(groups: &[AxisGroup], score: impl Fn(usize, u32) -> f64) -> Scores {
    let free = groups.iter().filter(|group| group.pin().is_none());
    free.map(|group| (group.id(), group.coordinates().iter().map(|&c| score(group.id().index(), c)).collect()))
        .collect()
}

struct Run<'a> {
    analysis: &'a Analysis,
    kept: Kept,
    limits: Limits,
}

impl<'a> Run<'a> {
    fn new(analysis: &'a Analysis, limits: Limits) -> Self {
        Self { analysis, kept: Kept::all(), limits }
    }

    fn meet(
        &self,
        score: impl Fn(usize, u32) -> f64,
        budget: &Budget,
        progress: f64,
    ) -> Result<Selection, BudgetError> {
        let groups = self.analysis.groups_left(&self.kept);
        let refs: Vec<&dyn Group> = groups.iter().map(|group| group as &dyn Group).collect();
        let turned: Vec<&dyn Group> = refs.iter().rev().copied().collect();
        let prunable = Prunable { analysis: self.analysis, kept: &self.kept, groups: &refs, limits: &self.limits };
        let scores = all_scores(&groups, score);
        let selection = prunable.meet(&scores, budget, progress);
        // The order of the groups is of no matter.
        assert_eq!(Prunable { groups: &turned, ..prunable }.meet(&scores, budget, progress), selection);
        if let Ok(selection) = &selection {
            selection.plan.validate(&refs).expect("a plan that was made fits its groups");
        }
        selection
    }

    fn counts_without(&self, plan: &Plan) -> Counts {
        self.analysis.counts(&plan.applied_to(self.analysis, &self.kept))
    }
}

fn global() -> Limits {
    Limits::default().with_scope(Scope::Global)
}

fn allowed(dense: u64, share: f64) -> u64 {
    (dense as f64 * (1.0 - share)).floor() as u64
}

#[test]
fn what_frees_most_for_its_importance_goes_first() {
    let analysis = perceptron(&[2, 4, 6, 20]);
    let run = Run::new(&analysis, global());
    let (a, b) = (group_named(&analysis, "a.weight:0"), group_named(&analysis, "b.weight:0"));
    // 8 + 24 + 120 multiply-accumulates. A channel of `a` frees 2 + 6 and one of `b` 4 + 20 of them.
    let dense = analysis.counts(&Kept::all());
    assert_eq!(dense.macs, 152);
    let score = |group: usize, coordinate: u32| {
        let base = if group == a.index() { 1.0 } else { 2.0 };
        base + 0.01 * f64::from(coordinate)
    };
    // 76 may stay. For what it frees `b` is always less important: 2/24 against 1/8. Three of its channels free 72, and then one
    // of `a` frees the 5 that are missing, and no more than a hundredth of all beside.
    let budget = Budget::of(Measure::Macs, 0.5);
    let selection = run.meet(score, &budget, 1.0).expect("it can be met");
    assert_eq!(selection.plan.cuts(), &[(a, vec![0]), (b, vec![0, 1, 2])].into());
    assert_eq!(run.counts_without(&selection.plan).macs, 152 - 72 - 5);
    // By importance alone all of `a` but one goes first.
    let selection = run.meet(score, &budget.clone().with_cost_aware(false), 1.0).expect("it can be met");
    assert_eq!(selection.plan.cut(b), [0, 1, 2]);
    assert_eq!(selection.plan.cut(a), [0]);
    let standing = selection.budget[0];
    assert_eq!((standing.measure, standing.gap), (Measure::Macs, 0.0));
    assert!((standing.achieved - 77.0 / 152.0).abs() < 1e-12 && (standing.dense - 152.0).abs() < 1e-12);
    assert_eq!((selection.target_ratio, selection.channels.gap()), (None, 0));
}

#[test]
fn reasons_tell_why_a_group_gives_nothing() {
    let analysis = perceptron(&[2, 4, 6, 20]);
    let (a, b) = (group_named(&analysis, "a.weight:0"), group_named(&analysis, "b.weight:0"));
    let budget = Budget::of(Measure::Macs, 0.4);
    let reason = |limits: Limits, score: &dyn Fn(usize, u32) -> f64, budget: &Budget| {
        let selection = Run::new(&analysis, limits).meet(score, budget, 1.0).expect("it can be met");
        let verdict = selection.verdicts.iter().find(|verdict| verdict.group == a).expect("it has a verdict");
        verdict.verdict.reason().cloned()
    };
    let dear = |group: usize, _: u32| if group == a.index() { 100.0 } else { 1.0 };
    assert_eq!(reason(global(), &dear, &budget), Some(Reason::RankedHigher));
    assert_eq!(reason(global().with_min_channels(4), &dear, &Budget::of(Measure::Macs, 0.3)), Some(Reason::AtMinimum));
    assert_eq!(reason(global(), &dear, &Budget::of(Measure::Macs, 0.0)), Some(Reason::TargetReached));
    let only_b = all_scores(&analysis.groups()[b.index()..=b.index()], dear);
    let groups: Vec<&dyn Group> = analysis.groups().iter().map(|group| group as &dyn Group).collect();
    let limits = global();
    let prunable = Prunable { analysis: &analysis, kept: &Kept::all(), groups: &groups, limits: &limits };
    let selection = prunable.meet(&only_b, &budget, 1.0).expect("one group is enough");
    assert_eq!(reason_of(&selection, a), Some(&Reason::NoScore));
    assert!(!selection.plan.cut(b).is_empty());
}

fn reason_of(selection: &Selection, group: GroupId) -> Option<&Reason> {
    selection.verdicts.iter().find(|verdict| verdict.group == group).and_then(|verdict| verdict.verdict.reason())
}

#[test]
fn what_cannot_be_met_is_told_for_every_measure_that_fails() {
    let analysis = perceptron(&[2, 4, 6, 20]);
    let run = Run::new(&analysis, Limits::default().with_max_ratio(0.5));
    let budget = Budget::of(Measure::Macs, 0.9).with(Measure::Params, 0.1).with(Measure::Bytes, 0.8);
    let BudgetError::Infeasible { failing } = run.meet(|_, _| 1.0, &budget, 0.1).expect_err("half of each stays")
    else {
        panic!("it is another error");
    };
    // 2·2 + 3·2 + 20·3 of 152 stay.
    let possible = 1.0 - 70.0 / 152.0;
    let failing: Vec<_> = failing.iter().map(|one| (one.measure, one.asked, one.possible)).collect();
    assert_eq!(failing, [(Measure::Macs, 0.9, possible), (Measure::Bytes, 0.8, possible)]);
}

/// How many coordinates of a group are cut at once, where all of its sizes are legal multiples.
fn granule(groups: &[&dyn Group], group: &AxisGroup, limits: &Limits) -> usize {
    let held = super::super::held::Held::new(groups, limits).expect("the limits make sense");
    super::super::space::Space::new(group, &held).granularity
}

#[derive(Clone, Debug)]
struct Case {
    text: &'static str,
    scores: Vec<f64>,
    scope: Scope,
    budget: Budget,
    round_to: usize,
    steps: usize,
}

impl Case {
    fn score(&self, group: usize, coordinate: u32) -> f64 {
        self.scores[(group * 31 + coordinate as usize * 7) % self.scores.len()]
    }
}

fn case() -> impl Strategy<Value = Case> {
    let share = prop::option::of(0.0..0.6_f64);
    let budget = (share.clone(), share.clone(), share, any::<bool>()).prop_map(|(params, macs, bytes, cost_aware)| {
        Budget { params: params.or(Some(0.1)), macs, bytes, latency: None, cost_aware }
    });
    (
        prop::sample::select(vec![BRANCHES, DEPTHWISE, CONCAT, QKV]),
        vec(-0.2..1.0_f64, 40..80),
        prop::sample::select(Scope::ALL.to_vec()),
        budget,
        prop::sample::select(vec![1_usize, 2]),
        1..4_usize,
    )
        .prop_map(|(text, scores, scope, budget, round_to, steps)| Case {
            text,
            scores,
            scope,
            budget,
            round_to,
            steps,
        })
}

proptest! {
    #[test]
    fn every_step_is_within_its_part_and_nothing_that_is_cut_could_stay(case in case()) {
        let analysis = analysis(case.text);
        let dense = analysis.counts(&Kept::all());
        let limits = Limits::default().with_scope(case.scope).with_round_to(case.round_to);
        let mut run = Run::new(&analysis, limits);
        for step in 1..=case.steps {
            let progress = step as f64 / case.steps as f64;
            let selection = match run.meet(|group, coordinate| case.score(group, coordinate), &case.budget, progress) {
                Err(BudgetError::Infeasible { failing }) => {
                    prop_assert!(failing.iter().all(|one| one.possible < one.asked));
                    return Ok(());
                }
                selection => selection.expect("the input is sound"),
            };
            let within = |counts: Counts| case.budget.shares().all(|(measure, share)| {
                measure.count(counts).unwrap_or(0) <= allowed(measure.count(dense).unwrap_or(0), share * progress)
            });
            prop_assert!(within(run.counts_without(&selection.plan)));
            prop_assert!(selection.budget.iter().all(|of| of.gap == 0.0));
            let groups = analysis.groups_left(&run.kept);
            for (&id, cut) in selection.plan.cuts() {
                let group = &groups[id.index()];
                let even = |member: &crate::deps::Member| member.layout.regular().is_some_and(|(size, _)| size == group.size());
                let granule = {
                    let all: Vec<&dyn Group> = groups.iter().map(|group| group as &dyn Group).collect();
                    granule(&all, group, &run.limits)
                };
                let whole = group.size().is_multiple_of(granule);
                if group.members().iter().all(even) && whole {
                    let mut plan = selection.plan.clone();
                    plan.keep(id, cut[..granule].iter().copied());
                    prop_assert!(!within(run.counts_without(&plan)), "{} could keep more", group.name());
                }
            }
            prop_assert_eq!(selection.stop == Some(StopReason::TargetReached), {
                let counts = run.counts_without(&selection.plan);
                case.budget.shares().all(|(measure, share)| {
                    measure.count(counts).unwrap_or(0) <= allowed(measure.count(dense).unwrap_or(0), share)
                })
            });
            run.kept = selection.plan.applied_to(&analysis, &run.kept);
        }
    }
}

#[test]
fn choosing_by_cost_removes_less_importance_than_a_ratio_of_every_group() {
    let draw = |seed: u32, group: usize, coordinate: u32| {
        let mixed =
            (u64::from(seed) << 32 | (group as u64) << 16 | u64::from(coordinate)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40) as f64 / (1_u64 << 24) as f64
    };
    let analysis = perceptron(&[30, 60, 20, 80, 10]);
    for seed in 0..20 {
        let score = |group: usize, coordinate: u32| draw(seed, group, coordinate);
        for share in [0.3, 0.5, 0.7] {
            let budget = Budget::of(Measure::Macs, share);
            let importance = |limits: Limits| {
                let selection = Run::new(&analysis, limits).meet(score, &budget, 1.0).expect("it can be met");
                let cuts = selection.plan.cuts().iter();
                cuts.flat_map(|(group, cut)| cut.iter().map(|&c| score(group.index(), c))).sum::<f64>()
            };
            let (by_cost, by_ratio) = (importance(global()), importance(Limits::default()));
            assert!(by_cost < by_ratio, "{seed}, {share}: {by_cost} against {by_ratio}");
        }
    }
}

#[test]
fn two_groups_come_within_a_hundredth_wherever_some_of_their_sizes_do() {
    let analysis = perceptron(&[5, 8, 12, 4]);
    let macs = |a: u64, b: u64| 5 * a + a * b + 4 * b;
    let dense = macs(8, 12);
    assert_eq!(analysis.counts(&Kept::all()).macs, dense);
    let scores: [fn(usize, u32) -> f64; 2] = [
        |group, coordinate| f64::from(coordinate + 1) * (1.0 + group as f64),
        |group, coordinate| f64::from((coordinate * 7 + group as u32 * 3) % 11) - 1.0,
    ];
    let mut near = 0;
    for (score, scope, percent) in scores
        .iter()
        .flat_map(|s| Scope::ALL.iter().flat_map(move |scope| (1..85).map(move |percent| (s, scope, percent))))
    {
        let share = f64::from(percent) / 100.0;
        let may_stay = allowed(dense, share);
        let sizes = (1..=8).flat_map(|a| (1..=12).map(move |b| macs(a, b)));
        let most = sizes.filter(|&left| left <= may_stay).max().expect("the least is within every budget");
        let run = Run::new(&analysis, Limits::default().with_scope(*scope));
        let selection = run.meet(score, &Budget::of(Measure::Macs, share), 1.0).expect("it can be met");
        let left = run.counts_without(&selection.plan).macs;
        let is_near = |left: u64| left as f64 >= may_stay as f64 - 0.01 * dense as f64;
        assert!(
            left <= may_stay && (is_near(left) || !is_near(most)),
            "{scope:?} {share}: {left}, and {most} could stay"
        );
        near += usize::from(is_near(left));
    }
    assert!(near > 0);
}

#[test]
fn groups_with_a_scope_of_their_own_rank_by_themselves_in_a_global_run_with_a_budget() {
    let analysis = perceptron(&[4, 40, 40, 40, 4]);
    let a = group_named(&analysis, "a.weight:0");
    // By importance `a` would go first.
    let score = |group: usize, coordinate: u32| f64::from(coordinate + 1) * if group == a.index() { 0.01 } else { 1.0 };
    let gone = |limits: Limits| {
        let selection = Run::new(&analysis, limits).meet(score, &Budget::of(Measure::Macs, 0.4), 1.0);
        let plan = selection.expect("it can be met").plan;
        let of_a = plan.cut(a).len() as f64 / 40.0;
        let of_others =
            plan.cuts().iter().filter(|(id, _)| **id != a).map(|(_, cut)| cut.len()).sum::<usize>() as f64 / 80.0;
        (of_a, of_others)
    };
    let (of_a, of_others) = gone(global());
    assert!(of_a > 2.0 * of_others, "{of_a}, {of_others}");
    for scope in Scope::ALL {
        let (of_a, of_others) = gone(global().with_override(Override::new(["a"]).with_scope(scope)));
        assert!((of_a - of_others).abs() < 0.05, "{scope:?}: {of_a}, {of_others}");
    }
}

#[test]
fn an_exchange_leaves_groups_with_ratios_of_their_own_alone() {
    let analysis = perceptron(&[5, 8, 12, 9, 4]);
    let c = group_named(&analysis, "c.weight:0");
    let score = |_: usize, coordinate: u32| f64::from(coordinate);
    for percent in 15..65 {
        let limits = global().with_override(Override::new(["c"]).with_target_ratio(0.34));
        let selection =
            Run::new(&analysis, limits).meet(score, &Budget::of(Measure::Macs, f64::from(percent) / 100.0), 1.0);
        assert_eq!(selection.expect("it can be met").plan.cut(c), [0, 1, 2]);
    }
}
