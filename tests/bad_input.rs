//! What cannot be pruned is refused with a message that says why, and no input makes anything panic.

mod common;

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use common::{Net, Snapshot, fill, settings, with_limits};
use pruner::criteria::{Magnitude, Taylor};
use pruner::deps::{Analysis, Group};
use pruner::exec::{ExecError, GraphModule, Mode};
use pruner::graph::{Dtype, Graph};
use pruner::importance::{Importance, ImportanceError, Weights};
use pruner::plan::{Budget, Limits, Measure, Override, Reason, Scope};
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::report::{Outcome, StepReport};
use pruner::scheduler::{Position, Scheduler};
use pruner::schedulers::Linear;
use pruner::trace::trace;
use pruner_bench::rng::Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn};

/// Gives what it was made with: a number in the place of every score, for groups of this name alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Constant {
    group: String,
    score: f32,
    shape: Option<Vec<i64>>,
}

#[typetag::serde(name = "constant-for-tests")]
impl Importance for Constant {
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        if group.name() != self.group {
            return Magnitude::default().score(group, weights);
        }
        let shape = self.shape.clone().unwrap_or_else(|| vec![group.size() as i64]);
        Ok(Some(Tensor::full(shape, f64::from(self.score), (Kind::Float, Device::Cpu))))
    }
}

/// Listed twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Twice {}

#[typetag::serde(name = "twice")]
impl Scheduler for Twice {
    fn ratio(&self, _: Position) -> f64 {
        1.0
    }
}

mod one {
    pruner::register_scheduler!("twice", "one of two");
}

mod other {
    pruner::register_scheduler!("twice", "the other");
}

/// A scheduler that ends before its target.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Half {}

#[typetag::serde(name = "half-for-tests")]
impl Scheduler for Half {
    fn ratio(&self, at: Position) -> f64 {
        at.progress() / 2.0
    }
}

fn reason<'a>(report: &'a StepReport, name: &str) -> Option<&'a Reason> {
    report.groups.iter().find(|group| group.name == name).expect("the group is there").reason.as_ref()
}

/// Why a run cannot begin on this network.
#[track_caller]
fn refused(module: &GraphModule, settings: Settings, says: &str) {
    let error = GroupPruner::new(module, settings).expect_err("the run cannot begin").to_string();
    assert!(error.contains(says), "{error}");
}

/// The network of a graph in text form, its tensors zero.
fn module(text: &str) -> Result<GraphModule, ExecError> {
    let graph: Graph = text.parse().expect("the text is a graph");
    let zeros = |kind| move |shape: &[i64]| Tensor::zeros(shape, (kind, Device::Cpu));
    let tensors: BTreeMap<_, _> = graph
        .stored()
        .map(|(id, stored)| {
            let kind = if stored.meta.dtype == Dtype::I64 { Kind::Int64 } else { Kind::Float };
            (id, zeros(kind)(&stored.meta.shape))
        })
        .collect();
    GraphModule::new(graph, tensors, Device::Cpu)
}

#[test]
fn a_parameter_of_whole_numbers_is_refused_by_name() {
    let module = module(
        "input v0: i64[2, 4]\nparam v1: i64[8, 4] \"fc1.weight\"\nparam v2: i64[3, 8] \"fc2.weight\"\n\
         v3: i64[2, 8] = aten::linear(input=v0, weight=v1, bias=none)\n\
         v4: i64[2, 3] = aten::linear(input=v3, weight=v2, bias=none)\nreturn v4\n",
    );
    let says = "`fc1.weight` has elements of type i64; only floating-point parameters are pruned";
    refused(&module.expect("it is prepared"), settings(0.5), says);
}

#[test]
fn a_score_that_is_no_number_leaves_its_group_alone_and_the_others_go_on() {
    for (score, scope) in [(f32::NAN, Scope::Local), (f32::NAN, Scope::Global), (f32::INFINITY, Scope::Global)] {
        let mut net = Net::mlp(&[8, 16, 12, 4]);
        let importance = Constant { group: "fc1.weight:0".to_owned(), score, shape: None };
        let limits = Limits::new(0.5).with_scope(scope);
        let settings = Settings::new(Box::new(importance), Box::new(Linear {})).with_limits(limits);
        let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
        let report = pruner.step(&mut net.module, &mut ()).expect("a step");
        assert_eq!(reason(&report, "fc1.weight:0"), Some(&Reason::NonFiniteScore { coordinate: 0 }));
        assert!(report.pruned() && reason(&report, "fc2.weight:0").is_none(), "{report}");
        assert!(report.to_string().contains("a score is not finite"), "{report}");
        report.to_json_line().expect("it serialises");
    }
}

#[test]
fn a_weight_that_is_no_number_is_told_with_its_coordinate() {
    let mut net = Net::mlp(&[8, 16, 4]);
    let weight = net.variable("fc1.weight");
    fill(&weight.get(5).get(2), f64::NAN);
    let before = Snapshot::of(&net.vs);
    let magnitude = Magnitude::default().with_normalizer(pruner::criteria::Normalizer::None);
    let mut pruner =
        GroupPruner::new(&net.module, Settings { importance: Box::new(magnitude), ..settings(0.5) }).expect("a run");
    let report = pruner.step(&mut net.module, &mut ()).expect("a step");
    assert_eq!(report.outcome, Outcome::NothingToPrune { reason: Reason::NonFiniteScore { coordinate: 5 } });
    before.assert_unchanged(&net.vs, "a step without scores");
    fill(&weight.get(5).get(2), 0.5);
    assert!(pruner.step(&mut net.module, &mut ()).expect("a step").pruned(), "it is pruned once the number is one");
}

#[test]
fn a_score_of_another_shape_is_an_error_that_names_the_criterion_and_the_group() {
    let mut net = Net::mlp(&[8, 16, 4]);
    let importance = Constant { group: "fc1.weight:0".to_owned(), score: 1.0, shape: Some(vec![3]) };
    let settings = Settings::new(Box::new(importance), Box::new(Linear {}));
    let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
    let before = Snapshot::of(&net.vs);
    let error = pruner.step(&mut net.module, &mut ()).expect_err("the score has another shape").to_string();
    assert!(
        error.contains("importance `constant-for-tests` on group `fc1.weight:0`") && error.contains("[16]"),
        "{error}"
    );
    before.assert_unchanged(&net.vs, "a step that failed");
    assert_eq!(pruner.steps_made(), 0);
}

#[test]
fn an_operation_without_a_rule_pins_what_it_touches_and_is_named() {
    let graph: Graph = "input v0: f32[2, 4]\nparam v1: f32[8, 4] \"fc1.weight\"\nparam v2: f32[6, 8] \"fc2.weight\"\n\
         param v3: f32[3, 6] \"fc3.weight\"\n\
         v4: f32[2, 8] = aten::linear(input=v0, weight=v1, bias=none)\n\
         v5: f32[2, 8] = mylib::twist(x=v4)\nv6: f32[2, 8] = mylib::twist(x=v5)\n\
         v7: f32[2, 6] = aten::linear(input=v6, weight=v2, bias=none)\n\
         v8: f32[2, 3] = aten::linear(input=v7, weight=v3, bias=none)\nreturn v8\n"
        .parse()
        .expect("the text is a graph");
    let analysis = Analysis::new(&graph).expect("it is analysed");
    let unknown: Vec<_> = analysis.unknown_ops().iter().map(|(op, node)| format!("{op} {node}")).collect();
    assert_eq!(unknown, ["mylib::twist n1"]);
    let pins: Vec<_> =
        analysis.groups().iter().map(|group| (group.name(), group.pin().map(ToString::to_string))).collect();
    let twisted = Some("n1 (mylib::twist) has no rule".to_owned());
    assert!(pins.contains(&("fc1.weight:0", twisted)), "{pins:?}");
    assert!(pins.contains(&("fc2.weight:0", None)), "{pins:?}");
    // libtorch does not have it, so that it is not run either.
    let error = module(&graph.to_string()).expect_err("it cannot be run").to_string();
    assert!(error.contains("n1 (mylib::twist)"), "{error}");
}

#[test]
fn an_operation_of_libtorch_without_a_rule_is_run_and_the_rest_is_pruned() {
    let mut net = Net::new(vec![Rng::new(1).tensor(&[4, 6], -1.0, 1.0)], |vs| {
        let fc1 = nn::linear(vs / "fc1", 6, 8, nn::LinearConfig::default());
        let fc2 = nn::linear(vs / "fc2", 8, 8, nn::LinearConfig::default());
        let fc3 = nn::linear(vs / "fc3", 8, 3, nn::LinearConfig::default());
        Box::new(move |inputs, _train| {
            let xs = inputs[0].apply(&fc1).renorm(2.0, 0, 1.0);
            vec![xs.apply(&fc2).relu().apply(&fc3)]
        })
    });
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
    assert_eq!(pruner.analysis().unknown_ops().keys().collect::<Vec<_>>(), ["aten::renorm"]);
    let report = pruner.step(&mut net.module, &mut ()).expect("a step");
    assert_eq!(reason(&report, "fc1.weight:0").map(Reason::code), Some("unknown-op"));
    assert!(reason(&report, "fc2.weight:0").is_none(), "{report}");
    assert!(report.to_string().contains("aten::renorm"), "{report}");
    net.module.forward(&net.inputs, Mode::Eval).expect("it runs");
}

#[test]
fn a_network_without_nodes_or_without_parameters_is_refused() {
    let empty = module("input v0: f32[2, 4]\nreturn v0\n").expect("it is prepared");
    refused(&empty, settings(0.5), "the graph has no nodes");
    let nothing = module(
        "input v0: f32[2, 4]\nparam v1: f32[4] \"unused\"\nv2: f32[2, 4] = aten::relu(self=v0)\n\
         v3: f32[4] = aten::relu(self=v1)\nreturn v2\n",
    );
    refused(&nothing.expect("it is prepared"), settings(0.5), "no output depends on a parameter");

    let net = Net::mlp(&[8, 16, 4]);
    let trace_error = |f: &dyn Fn(&[Tensor]) -> Vec<Tensor>| {
        trace(&net.vs, &net.inputs, f).expect_err("the closure has no graph").to_string()
    };
    assert!(trace_error(&|inputs| vec![inputs[0].relu()]).contains("no output depends on a trainable variable"));
    assert!(trace_error(&|_| Vec::new()).contains("the closure returned no tensor"));
    assert!(trace_error(&|_| panic!("out of {}", "paper")).contains("the closure panicked: out of paper"));
    let mismatch = trace_error(&|inputs| vec![inputs[0].matmul(&inputs[0])]);
    assert!(mismatch.contains("the closure panicked") && !mismatch.contains("frame #"), "{mismatch}");
    // The thread can trace again.
    trace(&net.vs, &net.inputs, |inputs| (net.forward)(inputs, false)).expect("it is traced");
}

#[test]
fn a_graph_that_contradicts_its_shapes_is_refused_with_the_node() {
    for (text, says) in [
        (
            "input v0: f32[2, 4]\nparam v1: f32[8, 5] \"w\"\nv2: f32[2, 8] = aten::linear(input=v0, weight=v1, bias=none)\n\
             return v2\n",
            "n0 (aten::linear): ",
        ),
        (
            "input v0: f32[2, 4]\nparam v1: f32[8, 4] \"w\"\nv2: f32[2, 9] = aten::linear(input=v0, weight=v1, bias=none)\n\
             return v2\n",
            "n0 (aten::linear)",
        ),
        (
            "v2: f32[2, 9] = aten::relu(self=v3)\nparam v1: f32[2, 9] \"w\"\nv3: f32[2, 9] = aten::relu(self=v1)\nreturn v2\n",
            "n0 (aten::relu) reads v2, which n1 (aten::relu) makes later",
        ),
        (
            "param v1: f32[2, -9] \"w\"\nparam v2: f32[2] \"w\"\nv3: f32[2, 9] = aten::relu(self=v1)\nreturn v3\n",
            "has the impossible shape [2, -9]",
        ),
    ] {
        let graph: Graph = text.parse().expect("the text is a graph");
        let error = Analysis::new(&graph).expect_err("the graph is refused").to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_done() {
    let net = Net::mlp(&[8, 16, 4]);
    for (ratio, says) in [(1.0, "target_ratio is 1;"), (-0.1, "-0.1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        refused(&net.module, settings(ratio), says);
        refused(&net.module, settings(ratio), "it is a share of the channels to remove, at least 0 and less than 1");
    }
    for max_ratio in [1.5, -0.5, f64::NAN] {
        refused(&net.module, with_limits(Limits::new(0.5).with_max_ratio(max_ratio)), "max_ratio is");
    }
    refused(&net.module, with_limits(Limits::new(0.5).with_min_channels(0)), "min_channels is 0");
    refused(&net.module, with_limits(Limits::new(0.5).with_round_to(0)), "round_to is 0; use 1");
    refused(&net.module, settings(0.5).with_steps(0), "steps is 0; a run has at least 1");
    refused(&net.module, with_limits(Limits::new(0.5).with_ignored("fc9")), "`fc9` matches no parameter");
    refused(&net.module, with_limits(Limits::new(0.5).with_ignored("fc[")), "`fc[` is no name or glob");
    refused(&net.module, with_limits(Limits::new(0.5).with_ignored("fc1:up")), "`fc1:up` matches no side or dimension");
    refused(
        &net.module,
        with_limits(Limits::new(0.5).with_ignored("@heads")),
        "`@heads` matches no group by its role; there are `@channels`",
    );
    let with = |of: Override| with_limits(Limits::new(0.5).with_override(of));
    refused(&net.module, with(Override::default()), "overrides[0]: groups is empty");
    refused(&net.module, with(Override::new(["fc1"]).with_target_ratio(1.0)), "overrides[0]: target_ratio is 1;");
    refused(&net.module, with(Override::new(["fc1", "fc9"])), "overrides[0]: groups: `fc9` matches no parameter");
    let half = Settings { scheduler: Box::new(Half {}), ..settings(0.5) }.with_steps(2);
    refused(&net.module, half, "scheduler `half-for-tests` gives 0.5 at step 2 of 2; the last step must be at 1");
}

#[test]
fn a_criterion_that_needs_gradients_says_that_there_are_none() {
    let mut net = Net::mlp(&[8, 16, 4]);
    let taylor = || Settings { importance: Box::new(Taylor::default()), ..settings(0.5) };
    let mut pruner = GroupPruner::new(&net.module, taylor()).expect("it can be pruned");
    let before = Snapshot::of(&net.vs);
    let error = pruner.step(&mut net.module, &mut ()).expect_err("there are no gradients").to_string();
    assert!(
        error.contains("importance `taylor`") && error.contains("call `backward` on a loss before the step"),
        "{error}"
    );
    before.assert_unchanged(&net.vs, "a step that failed");
    let outputs = net.module.forward(&net.inputs, Mode::Train).expect("it runs");
    Net::loss(&outputs).backward();
    assert!(pruner.step(&mut net.module, &mut ()).expect("a step").pruned());
}

#[test]
fn settings_in_json_are_read_or_refused_with_what_is_wrong() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    let full = read(
        r#"{"importance": {"importance": "magnitude", "p": 1}, "scheduler": "cubic", "steps": 5,
            "limits": {"target_ratio": 0.75, "scope": "global", "round_to": 8}, "seed": 3,
            "budget": {"macs": 0.5, "bytes": 0.25, "cost_aware": false}}"#,
    )
    .expect("they are read");
    assert_eq!((full.steps, full.seed, full.limits.round_to, full.limits.scope), (5, 3, 8, Scope::Global));
    let budget = Budget::of(Measure::Macs, 0.5).with(Measure::Bytes, 0.25).with_cost_aware(false);
    assert_eq!(full.budget, Some(budget));
    let small = read(r#"{"importance": "taylor", "scheduler": "linear"}"#).expect("they are read");
    assert_eq!(small.budget, None);
    assert_eq!((small.steps, small.limits.target_ratio), (1, 0.5));
    for (text, says) in [
        (r#"{"scheduler": "linear"}"#, "missing field `importance`"),
        (
            r#"{"importance": "magnitud", "scheduler": "linear"}"#,
            "unknown importance `magnitud` (did you mean `magnitude`?)",
        ),
        (r#"{"importance": "magnitude", "scheduler": "sometimes"}"#, "unknown scheduler `sometimes`; known: "),
        (r#"{"importance": "magnitude", "scheduler": "twice"}"#, "two plugins of kind scheduler are called `twice`"),
        (r#"{"importance": "magnitude", "scheduler": "linear", "step": 4}"#, "unknown field `step`"),
        (r#"{"importance": "magnitude", "scheduler": "linear", "limits": {"ratio": 4}}"#, "unknown field `ratio`"),
        (r#"{"importance": "magnitude", "scheduler": "linear", "budget": {"flops": 0.5}}"#, "unknown field `flops`"),
        (r#"{"importance": {"importance": "magnitude", "q": 2}, "scheduler": "linear"}"#, "unknown field `q`"),
        (r#"{"importance": {"importance": "magnitude", "p": 7}, "scheduler": "linear"}"#, "p is 1, 2 or \"inf\""),
        (
            r#"{"importance": {"p": 1}, "scheduler": "linear"}"#,
            "the importance is given by a name or by an object such as",
        ),
        (r#"{"importance": 4, "scheduler": "linear"}"#, "the importance is given by a name or by an object such as"),
        (r#"{"importance": "magnitude", "scheduler": "linear", "steps": -1}"#, "invalid value: integer `-1`"),
        (
            r#"{"importance": "magnitude", "scheduler": "linear", "limits": {"scope": "both"}}"#,
            "unknown variant `both`",
        ),
        ("", "EOF"),
    ] {
        let error = read(text).expect_err("they are refused").to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn no_settings_make_anything_panic() {
    let values = [
        "null",
        "0",
        "1",
        "-1",
        "2",
        "0.5",
        "1e400",
        "-0.0",
        "1e-320",
        "18446744073709551615",
        "true",
        "\"\"",
        "\"magnitude\"",
        "\"linear\"",
        "\"global\"",
        "\"fc1\"",
        "[]",
        "[\"fc1.weight\", \"*\"]",
        "[\"[\"]",
        "{}",
        "{\"importance\": \"taylor\"}",
        "{\"scheduler\": \"one-shot\", \"at\": 3}",
        "{\"importance\": \"random\", \"seed\": 5}",
        "{",
        "\u{1F600}",
        "nul",
    ];
    let limits = ["target_ratio", "scope", "min_channels", "max_ratio", "round_to", "ignore"];
    let keys = ["importance", "scheduler", "steps", "limits", "seed", "else"];
    let net = Net::mlp(&[4, 6, 3]);
    let graph = net.module.graph().to_string();
    let (mut rng, mut read, mut run) = (Rng::new(6), 0, 0);
    for _ in 0..3000 {
        let any = |rng: &mut Rng| values[rng.below(values.len() as u64) as usize].to_owned();
        let mut fields = vec![r#""importance": "magnitude""#.to_owned(), r#""scheduler": "linear""#.to_owned()];
        if rng.below(3) == 0 {
            fields.clear();
        }
        let parts: Vec<_> =
            (0..rng.below(4)).map(|_| format!("\"{}\": {}", limits[rng.below(6) as usize], any(&mut rng))).collect();
        fields.push(format!("\"limits\": {{{}}}", parts.join(", ")));
        for _ in 0..rng.below(3) {
            fields.push(format!("\"{}\": {}", keys[rng.below(6) as usize], any(&mut rng)));
        }
        let text = format!("{{{}}}", fields.join(", "));
        let tried = catch_unwind(|| {
            let Ok(settings) = serde_json::from_str::<Settings>(&text) else { return (0, 0) };
            let module = module(&graph).expect("it is prepared");
            let Ok(mut pruner) = GroupPruner::new(&module, settings) else { return (1, 0) };
            let mut module = module;
            let _ = pruner.step(&mut module, &mut ());
            let _ = pruner.stop();
            (1, 1)
        });
        let (is_read, is_run) = tried.unwrap_or_else(|_| panic!("{text} makes it panic"));
        (read, run) = (read + is_read, run + is_run);
    }
    assert!(read > 150 && run > 100 && run < read, "{read} are read and {run} run");
}
