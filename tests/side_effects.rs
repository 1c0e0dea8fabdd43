//! What a trace and a step leave alone, and what follows a cut: modes, statistics, frozen parameters, memory format,
//! element types, gradients and the state of optimisers.

mod common;

use common::{Net, Snapshot, max_of, relative, same, select, settings};
use pruner::aten::{self, Operator};
use pruner::exec::Mode;
use pruner::graph::{Argument, Dtype};
use pruner::ids::ValueId;
use pruner::optim::{AdamW, AdamWSettings, Follow, Optimizer, Sgd, SgdSettings, trainable};
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::trace::trace;
use tch::{Kind, Tensor};

fn step(net: &mut Net, follow: &mut dyn Follow, settings: Settings) -> GroupPruner {
    let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
    let report = pruner.step(&mut net.module, follow).expect("a step");
    assert!(report.pruned(), "{report}");
    pruner
}

/// What is left of a tensor that had the shape of the variable `name`, by the groups of the run.
fn left(pruner: &GroupPruner, name: &str, tensor: &Tensor) -> Tensor {
    let graph = pruner.analysis().graph();
    let (value, _) = graph.stored().find(|(_, stored)| stored.name == name).expect("it is stored");
    let mut left = tensor.shallow_clone();
    for (dim, e) in pruner.analysis().dims(value).iter().enumerate() {
        if let Some(positions) = pruner.kept().positions(pruner.analysis(), e) {
            left = select(&left, dim as i64, &positions);
        }
    }
    left
}

#[test]
fn a_trace_changes_no_variable_in_either_mode_and_the_graph_has_both_modes() {
    for name in ["plain_cnn", "mobilenet_v2", "instance_norm"] {
        let mut net = Net::named(name);
        let before = Snapshot::of(&net.vs);
        for train in [true, false] {
            let module = trace(&net.vs, &net.inputs, |inputs| (net.forward)(inputs, train)).expect("it is traced");
            before.assert_unchanged(&net.vs, "a trace");
            // However it was traced, evaluation is evaluation: it changes nothing, and computes what the closure does.
            let eval = &module.forward(&net.inputs, Mode::Eval).expect("it runs")[0];
            before.assert_unchanged(&net.vs, "an evaluation");
            assert!(relative(eval, &(net.forward)(&net.inputs, false)[0]) < 1e-6, "{name}");
        }
        step(&mut net, &mut (), settings(0.5));
        for (variable, tensor) in net.module.buffers() {
            let stem = variable.rsplit_once('.').map_or("", |(stem, _)| stem);
            let kept = net.variable(&format!("{stem}.running_mean"));
            assert_eq!(tensor.size(), kept.size());
        }
        let (mean, before) = (net.module.buffers(), Snapshot::of(&net.vs));
        net.module.forward(&net.inputs, Mode::Eval).expect("it runs");
        before.assert_unchanged(&net.vs, "an evaluation of the cut network");
        net.module.forward(&net.inputs, Mode::Train).expect("it runs");
        let moved = mean.iter().all(|(name, buffer)| !same(before.value(name), buffer));
        assert!(moved && !mean.is_empty(), "{name}: training moves the statistics of the user's variables");
    }
}

#[test]
fn a_step_slices_statistics_and_changes_none_of_them() {
    let mut net = Net::named("mobilenet_v2");
    let before = Snapshot::of(&net.vs);
    let pruner = step(&mut net, &mut (), settings(0.5));
    assert!(net.module.buffers().len() > 10);
    for (name, tensor) in net.module.named_tensors() {
        assert!(same(&tensor.detach(), &left(&pruner, &name, before.value(&name))), "{name}");
    }
}

#[test]
fn frozen_parameters_are_cut_and_stay_frozen() {
    let mut net = Net::named("plain_cnn");
    let frozen: Vec<String> =
        net.vs.variables().keys().filter(|name| name.contains("weight")).step_by(2).cloned().collect();
    for name in &frozen {
        let _ = net.variable(name).set_requires_grad(false);
    }
    let before = Snapshot::of(&net.vs);
    let mut optimizer = Sgd::new(net.module.parameters(), SgdSettings::default().with_momentum(0.9));
    let pruner = step(&mut net, &mut optimizer, settings(0.5));
    let outputs = net.module.forward(&net.inputs, Mode::Train).expect("it runs");
    optimizer.backward_step(&Net::loss(&outputs)).expect("a step");
    let mut cut = 0;
    for name in &frozen {
        let variable = net.variable(name);
        assert!(!variable.requires_grad() && !variable.grad().defined(), "{name}");
        assert!(same(&variable, &left(&pruner, name, before.value(name))), "{name}");
        cut += usize::from(variable.numel() < before.value(name).numel());
    }
    assert!(cut > 1);
    let trained =
        net.vs.variables().into_iter().filter(|(name, _)| !frozen.contains(name) && !name.contains("running"));
    for (name, variable) in trained {
        assert!(variable.requires_grad() && variable.grad().defined(), "{name}");
    }
}

fn channels_last(tensor: &Tensor) -> Tensor {
    let arguments = [
        ("self".to_owned(), Argument::Value(ValueId::new(0))),
        ("memory_format".to_owned(), Argument::MemoryFormat(2)),
    ];
    let contiguous = Operator::find("aten::contiguous", "").expect("it is there");
    contiguous.call(&arguments, &[tensor]).expect("it runs").remove(0)
}

#[test]
fn channels_last_is_kept_by_weights_gradients_and_momentum() {
    let mut net = Net::named("resnet18");
    let is_channels_last = |tensor: &Tensor| {
        let (shape, strides) = (tensor.size(), tensor.stride());
        strides == [shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1], shape[1]]
    };
    for variable in net.vs.variables().values().filter(|variable| variable.dim() == 4) {
        aten::replace(variable, &channels_last(&variable.detach()), None).expect("it is replaced");
    }
    let inputs = [channels_last(&net.inputs[0])];
    let mut optimizer = Sgd::new(net.module.parameters(), SgdSettings::default().with_momentum(0.9));
    let outputs = net.module.forward(&inputs, Mode::Train).expect("it runs");
    optimizer.backward_step(&Net::loss(&outputs)).expect("a step");
    step(&mut net, &mut optimizer, settings(0.5));
    let mut checked = 0;
    for (name, variable) in net.module.parameters().iter().filter(|(_, variable)| variable.dim() == 4) {
        // A format is told from the other only where it has more than one channel and more than one pixel.
        if variable.size()[1] > 1 && variable.size()[2] > 1 {
            assert!(is_channels_last(variable), "{name}: {:?} {:?}", variable.size(), variable.stride());
            assert!(is_channels_last(&variable.grad()), "the gradient of {name}");
            assert!(is_channels_last(optimizer.momentum(name).expect("it has moved")), "the momentum of {name}");
            checked += 1;
        }
    }
    assert!(checked > 1);
}

#[test]
fn gradients_follow_the_cut() {
    let mut net = Net::named("resnet18");
    Net::loss(&(net.forward)(&net.inputs, true)).backward();
    let before = Snapshot::of(&net.vs);
    let pruner = step(&mut net, &mut (), settings(0.5));
    for (name, variable) in net.module.parameters() {
        let expected = left(&pruner, &name, before.grad(&name).expect("it had a gradient"));
        assert!(same(&variable.grad(), &expected), "{name}");
    }
}

/// Trains, prunes, and trains on: what is remembered of the coordinates that stay is to the bit what it was.
#[track_caller]
fn follows<O: Optimizer>(mut optimizer: O, mut net: Net, state: impl Fn(&O, &str) -> Vec<Tensor>) {
    for _ in 0..3 {
        let outputs = net.module.forward(&net.inputs, Mode::Train).expect("it runs");
        optimizer.backward_step(&Net::loss(&outputs)).expect("a step");
    }
    let names: Vec<_> = net.module.parameters().into_iter().map(|(name, _)| name).collect();
    let before: Vec<Vec<_>> =
        names.iter().map(|name| state(&optimizer, name).iter().map(Tensor::copy).collect()).collect();
    let pruner = step(&mut net, &mut optimizer, settings(0.5));
    let mut cut = 0;
    for (name, before) in names.iter().zip(&before) {
        let after = state(&optimizer, name);
        assert!(!after.is_empty() && after.len() == before.len(), "{name}");
        for (after, before) in after.iter().zip(before) {
            assert!(max_of(before) > 0.0, "{name}");
            assert!(same(after, &left(&pruner, name, before)), "{name}");
            cut += usize::from(after.size() != before.size());
        }
    }
    assert!(cut > 0);
    let cut = Snapshot::of(&net.vs);
    let loss = |net: &Net| Net::loss(&net.module.forward(&net.inputs, Mode::Train).expect("it runs"));
    let first = loss(&net).double_value(&[]);
    for _ in 0..20 {
        optimizer.backward_step(&loss(&net)).expect("a step");
    }
    for name in &names {
        assert!(!same(cut.value(name), &net.variable(name)), "{name} stopped learning");
    }
    let last = loss(&net).double_value(&[]);
    assert!(last < first, "the loss goes from {first} to {last}");
}

#[test]
fn the_momentum_of_sgd_follows_and_layers_go_on_learning() {
    for name in ["concatenated_input", "multihead_attention", "gru_classifier"] {
        let net = Net::named(name);
        let settings = SgdSettings::default().with_lr(1e-3).with_momentum(0.9);
        let optimizer = Sgd::new(trainable(&net.vs), settings);
        follows(optimizer, net, |optimizer, name| {
            optimizer.momentum(name).into_iter().map(Tensor::shallow_clone).collect()
        });
    }
}

#[test]
fn the_moments_of_adamw_follow_and_layers_go_on_learning() {
    for name in ["plain_cnn", "concatenated_input", "lstm_classifier"] {
        let net = Net::named(name);
        let optimizer = AdamW::new(net.module.parameters(), AdamWSettings::default().with_amsgrad());
        follows(optimizer, net, |optimizer, name| {
            optimizer
                .moments(name)
                .into_iter()
                .flat_map(|(mean, square)| [mean.shallow_clone(), square.shallow_clone()])
                .collect()
        });
    }
}

#[test]
fn networks_of_double_and_of_half_precision_are_pruned_and_trained_in_theirs() {
    for (kind, dtype, tolerance) in [(Kind::Double, Dtype::F64, 1e-12), (Kind::BFloat16, Dtype::BF16, 0.05)] {
        let mut net = Net::named("resnet18");
        if kind == Kind::Double {
            net.vs.double();
        } else {
            net.vs.bfloat16();
        }
        net.inputs = net.inputs.iter().map(|input| input.to_kind(kind)).collect();
        net.module = trace(&net.vs, &net.inputs, |inputs| (net.forward)(inputs, false)).expect("it is traced");
        assert!(net.module.graph().stored().all(|(_, stored)| stored.meta.dtype == dtype));
        let mut optimizer = AdamW::new(net.module.parameters(), AdamWSettings::default());
        let train = |net: &Net, optimizer: &mut AdamW| {
            let outputs = net.module.forward(&net.inputs, Mode::Train).expect("it runs");
            let loss = Net::loss(&outputs);
            optimizer.backward_step(&loss).expect("a step");
            assert!(loss.double_value(&[]).is_finite());
        };
        train(&net, &mut optimizer);
        step(&mut net, &mut optimizer, settings(0.5));
        train(&net, &mut optimizer);
        assert!(net.vs.variables().values().all(|variable| variable.kind() == kind));
        let traced = &net.module.forward(&net.inputs, Mode::Eval).expect("it runs")[0];
        let own = &(net.forward)(&net.inputs, false)[0];
        assert!(relative(&traced.to_kind(Kind::Double), &own.to_kind(Kind::Double)) <= tolerance);
    }
}

#[test]
fn a_loss_that_was_computed_before_the_cut_does_not_reach_the_cut_variables() {
    let mut net = Net::mlp(&[8, 16, 4]);
    let stale = Net::loss(&net.module.forward(&net.inputs, Mode::Train).expect("it runs"));
    let pruner = step(&mut net, &mut (), settings(0.5));
    // Whether libtorch refuses it or computes it for the tensors as they were: no gradient of another shape is left.
    let _ = stale.f_backward();
    for (name, variable) in net.module.parameters() {
        let grad = variable.grad();
        assert!(!grad.defined() || grad.size() == variable.size(), "{name}");
    }
    assert_eq!(pruner.groups()[0].size(), 8);
    let outputs = net.module.forward(&net.inputs, Mode::Train).expect("it runs");
    Net::loss(&outputs).f_backward().expect("the cut network is differentiated");
}
