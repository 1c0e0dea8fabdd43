//! Biases that make up for the means of what is cut.

use pruner::calibration::Batch;
use pruner::criteria::{Flap, Magnitude};
use pruner::exec::Mode;
use pruner::ids::ValueId;
use pruner::importance::Importance;
use pruner::optim::{Follow, FollowError};
use pruner::plan::{Limits, Scope};
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::schedulers::Linear;
use pruner_bench::rng::Rng;
use tch::{Kind, Tensor, nn};

use crate::common::Snapshot;
use crate::support::{Wide, close, one};

fn settings(importance: impl Importance + 'static) -> Settings {
    let limits = Limits::new(0.4).with_scope(Scope::Local);
    Settings::new(Box::new(importance), Box::new(Linear {})).with_limits(limits)
}

/// The mean over samples and places of what the nodes that read `weight` make.
fn mean_output(net: &Wide, weight: &str, batches: &[Batch]) -> Tensor {
    let graph = net.module.graph();
    let (_, id) = net.parameters().into_iter().find(|(name, _)| name == weight).expect("there is one");
    let (_, node) = graph.nodes().find(|(_, node)| node.inputs().any(|value| value == id)).expect("it is read");
    let (made, rank) = (node.results[0], graph.shape(id).len());
    let mut outputs = Vec::new();
    for batch in batches {
        let mut observe = |value: ValueId, tensor: &Tensor| {
            if value == made {
                let dim = if rank > 2 { 1 } else { -1 };
                let last = tensor.detach().movedim_int(dim, -1);
                outputs.push(last.reshape([-1, *last.size().last().expect("it has dimensions")]));
            }
        };
        net.module.forward_observed(&batch.inputs, Mode::Eval, &mut observe).expect("it runs");
    }
    Tensor::cat(&outputs, 0).mean_dim([0_i64].as_slice(), false, None)
}

/// Cuts what `weight` reads and compares the mean of what it makes before and after.
fn check(mut net: Wide, weight: &str, importance: impl Importance + 'static, what: &str) {
    let batches = net.batches();
    let before = mean_output(&net, weight, &batches);
    let mut pruner = GroupPruner::new(&net.module, settings(importance).with_compensation()).expect("it can be pruned");
    pruner.gather(&net.module, &batches, Some(&crate::support::loss)).expect("the means are gathered");
    let report = pruner.step(&mut net.module, &mut ()).expect("a step");
    assert!(report.pruned(), "{what}");
    let after = mean_output(&net, weight, &batches);
    let left = after.size()[0];
    // What the layer itself makes is not cut, or the first to be compared are told by the group that has its output.
    assert_eq!(left, before.size()[0], "{what}");
    close(&after, &before, what);
}

#[test]
fn the_mean_output_of_a_linear_layer_stays() {
    let net = || {
        Wide::new(vec![Rng::new(9).tensor(&[2, 5, 6], -1.0, 1.0)], |vs| {
            let [fc1, fc2] = [("fc1", 6, 8), ("fc2", 8, 3)]
                .map(|(name, from, to)| nn::linear(vs / name, from, to, nn::LinearConfig::default()));
            one(move |xs| xs.apply(&fc1).gelu("none").apply(&fc2))
        })
    };
    check(net(), "fc2.weight", Magnitude::default(), "magnitude");
    check(net(), "fc2.weight", Flap::default(), "flap");
}

#[test]
fn the_mean_output_of_convolutions_stays() {
    for (kernel, groups) in [(1, 1), (1, 2)] {
        let net = Wide::new(vec![Rng::new(9).tensor(&[2, 3, 5, 5], -1.0, 1.0)], |vs| {
            let conv1 = nn::conv2d(vs / "conv1", 3, 8, 3, nn::ConvConfig::default());
            let config = nn::ConvConfig { groups, ..Default::default() };
            let conv2 = nn::conv2d(vs / "conv2", 8, 4, kernel, config);
            one(move |xs| xs.apply(&conv1).relu().apply(&conv2))
        });
        // With groups, only what each reads may be cut: the output has the groups.
        check(net, "conv2.weight", Flap::default(), &format!("kernel {kernel}, {groups} groups"));
    }
    for (kernel, stride, groups) in [(3, 1, 1), (2, 2, 1), (3, 2, 1), (2, 2, 2)] {
        let net = Wide::new(vec![Rng::new(9).tensor(&[2, 3, 5, 5], -1.0, 1.0)], |vs| {
            let conv1 = nn::conv2d(vs / "conv1", 3, 8, 3, nn::ConvConfig::default());
            let config = nn::ConvTransposeConfig { groups, stride, ..Default::default() };
            let conv2 = nn::conv_transpose2d(vs / "conv2", 8, 4, kernel, config);
            one(move |xs| xs.apply(&conv1).relu().apply(&conv2))
        });
        let what = format!("transposed, kernel {kernel}, stride {stride}, {groups} groups");
        check(net, "conv2.weight", Flap::default(), &what);
    }
}

#[test]
fn the_mean_output_stays_where_all_places_have_the_mean_of_all() {
    // Constant images: each place that a kernel covers has the mean of the whole.
    let mut net = Wide::new(vec![Rng::new(9).tensor(&[2, 3, 1, 1], -1.0, 1.0)], |vs| {
        let conv1 = nn::conv2d(vs / "conv1", 3, 8, 1, nn::ConvConfig::default());
        let conv2 = nn::conv2d(vs / "conv2", 8, 4, 3, nn::ConvConfig::default());
        one(move |xs| xs.expand([-1, -1, 5, 5], false).apply(&conv1).relu().apply(&conv2))
    });
    net.inputs = vec![Rng::new(9).tensor(&[2, 3, 1, 1], -1.0, 1.0).to_kind(Kind::Double)];
    check(net, "conv2.weight", Flap::default(), "kernel of 3×3");
}

#[test]
fn where_heads_and_their_dimensions_go_a_position_is_made_up_for_once() {
    let mut net = Wide::named("cross_attention");
    let batches = net.batches();
    let mut pruner = GroupPruner::new(&net.module, settings(Flap::default())).expect("it can be pruned");
    pruner.gather(&net.module, &batches, None).expect("flap needs no loss");
    // The values and the scores of what is left do not change: only dimensions of values and heads go.
    let mut selection = pruner.plan(&net.module).expect("a plan");
    let mut plan = pruner::plan::Plan::new();
    let out = pruner.groups().into_iter().filter(|group| group.pin().is_none()).map(|group| {
        (group.id(), group.members().iter().any(|member| &*member.name == "out_proj.weight" && member.dim == 1))
    });
    let groups: Vec<_> = out.filter(|(_, reads)| *reads).map(|(id, _)| id).collect();
    assert_eq!(groups.len(), 2, "heads and their dimensions");
    for group in groups {
        plan.insert(group, [1]);
    }
    selection = selection.with_plan(plan, &pruner.groups(), &pruner.settings().limits).expect("the plan fits");
    let before = mean_output(&net, "out_proj.weight", &batches);
    assert!(pruner.apply(&mut net.module, &mut (), &selection).expect("a cut").pruned());
    close(&mean_output(&net, "out_proj.weight", &batches), &before, "heads");
}

/// State that cannot follow.
struct Refuses;

impl Follow for Refuses {
    fn state_mut(&mut self, _parameter: &str) -> Vec<&mut Tensor> {
        Vec::new()
    }

    fn check(&self) -> Result<(), FollowError> {
        Err(FollowError::new("it is being written elsewhere"))
    }
}

#[test]
fn a_cut_that_fails_leaves_biases_as_they_were_and_one_without_means_is_refused() {
    let mut net = Wide::smooth();
    let batches = net.batches();
    let mut pruner = GroupPruner::new(&net.module, settings(Flap::default())).expect("it can be pruned");
    pruner.gather(&net.module, &batches, None).expect("flap needs no loss");
    let before = Snapshot::of(&net.vs);
    let error = pruner.step(&mut net.module, &mut Refuses).expect_err("the state does not follow");
    assert!(error.to_string().contains("written elsewhere"), "{error}");
    before.assert_unchanged(&net.vs, "a cut that failed");
    let selection = pruner.plan(&net.module).expect("a plan");
    let mut other = GroupPruner::new(&net.module, settings(Flap::default())).expect("it can be pruned");
    let error = other.apply(&mut net.module, &mut (), &selection).expect_err("no means were gathered").to_string();
    assert!(error.starts_with("Mean was not gathered; give calibration batches to"), "{error}");
    before.assert_unchanged(&net.vs, "a cut without means");
}

#[test]
fn a_bias_that_two_layers_add_is_left_alone() {
    let mut net = Wide::new(vec![Rng::new(9).tensor(&[2, 6], -1.0, 1.0)], |vs| {
        let fc1 = nn::linear(vs / "fc1", 6, 8, nn::LinearConfig::default());
        let [a, b] = ["a", "b"].map(|name| vs.kaiming_uniform(name, &[3, if name == "a" { 8 } else { 6 }]));
        let bias = vs.zeros("bias", &[3]);
        // One of them reads what is cut, the other the input.
        one(move |xs| xs.apply(&fc1).relu().linear(&a, Some(&bias)) * xs.linear(&b, Some(&bias)))
    });
    let before = net.vs.variables()["bias"].detach().copy();
    let mut pruner = GroupPruner::new(&net.module, settings(Flap::default())).expect("it can be pruned");
    pruner.gather(&net.module, &net.batches(), None).expect("flap needs no loss");
    assert!(pruner.step(&mut net.module, &mut ()).expect("a step").pruned());
    assert!(net.vs.variables()["bias"].detach().equal(&before));
}

#[test]
fn means_that_are_not_finite_change_nothing() {
    let mut net = Wide::smooth();
    let mut batches = net.batches();
    batches[1].inputs[0] = batches[1].inputs[0].full_like(f64::NAN);
    let mut pruner =
        GroupPruner::new(&net.module, settings(Magnitude::default()).with_compensation()).expect("it can be pruned");
    pruner.gather(&net.module, &batches, Some(&crate::support::loss)).expect("they are gathered");
    let before = Snapshot::of(&net.vs);
    let error = pruner.step(&mut net.module, &mut ()).expect_err("biases would be spoiled").to_string();
    assert!(error.contains("would not be finite"), "{error}");
    before.assert_unchanged(&net.vs, "refused");
}
