//! Signals of weights: gradients, squares of single samples, curvature, synaptic flow.

use pruner::importance::Signal;
use pruner_bench::rng::Rng;
use tch::{Kind, Tensor, nn};

use crate::common::Snapshot;
use crate::support::{Wide, close, near, one, singles, union};

const NETWORKS: [&str; 5] = ["plain_cnn", "resnet18", "vit", "decoder", "lstm_classifier"];

/// The decoder takes means in single precision.
fn rounding(name: &str) -> f64 {
    if name == "decoder" { 1e-5 } else { 1e-9 }
}

#[test]
fn gradients_are_those_of_the_mean_loss_over_all_samples_and_the_users_stay() {
    for name in NETWORKS {
        let net = Wide::named(name);
        // The user's own gradients, of something else.
        (net.forward)(&net.inputs, false)[0].sum(Kind::Double).backward();
        let before = Snapshot::of(&net.vs);
        let batches = net.batches();
        let signals = net.gather(Signal::Gradients, &batches);
        before.assert_unchanged(&net.vs, name);
        let expected = net.autograd(&union(&batches));
        assert!(expected.len() > 4);
        for (parameter, id) in net.parameters() {
            let found = signals.weight(Signal::Gradients, id).expect("the loss depends on it");
            near(found, &expected[&parameter], rounding(name), &format!("{name}: {parameter}"));
        }
    }
}

#[test]
fn squares_are_of_the_gradients_of_single_samples() {
    for name in NETWORKS {
        let net = Wide::named(name);
        let batches = net.batches();
        let signals = net.gather(Signal::SquaredGradients | Signal::Gradients, &batches);
        let singles: Vec<_> = singles(&batches).iter().map(|sample| net.autograd(sample)).collect();
        let whole = net.autograd(&union(&batches));
        for (parameter, id) in net.parameters() {
            let sum: Tensor = singles.iter().map(|gradients| gradients[&parameter].square()).sum();
            let found = signals.weight(Signal::SquaredGradients, id).expect("the loss depends on it");
            near(found, &(sum / singles.len() as f64), rounding(name), &format!("{name}: {parameter}"));
            let found = signals.weight(Signal::Gradients, id).expect("the loss depends on it");
            near(found, &whole[&parameter], rounding(name), &format!("{name}: {parameter} by single samples"));
        }
    }
}

/// `(∇L(w + εg) − ∇L(w − εg)) / 2ε`.
fn check_curvature(net: &Wide, name: &str) {
    let batches = net.batches();
    let signals = net.gather(Signal::HessianGradients, &batches);
    let union = union(&batches);
    let gradients = net.autograd(&union);
    let largest = gradients.values().map(|it| it.abs().max().double_value(&[])).fold(0.0, f64::max);
    let step = 1e-5 / largest;
    let shift = |by: f64| {
        for (parameter, variable) in net.vs.variables() {
            if let Some(gradient) = gradients.get(&parameter) {
                tch::no_grad(|| {
                    let _ = variable.shallow_clone().g_add_(&(gradient * by));
                });
            }
        }
    };
    shift(step);
    let above = net.autograd(&union);
    shift(-2.0 * step);
    let below = net.autograd(&union);
    shift(step);
    let scale = above
        .iter()
        .map(|(parameter, above)| ((above - &below[parameter]) / (2.0 * step)).abs().max().double_value(&[]))
        .fold(0.0, f64::max);
    for (parameter, id) in net.parameters() {
        let expected = (&above[&parameter] - &below[&parameter]) / (2.0 * step);
        let found = signals.weight(Signal::HessianGradients, id).expect("the loss depends on it");
        let difference = (found - &expected).abs().max().double_value(&[]);
        assert!(difference < 1e-5 * scale, "{name}: {parameter}: {difference} of {scale}\n{found}\n{expected}");
    }
}

#[test]
fn curvature_is_the_slope_of_the_gradient_along_itself() {
    check_curvature(&Wide::smooth(), "smooth");
    check_curvature(&Wide::named("vit"), "vit");
}

#[test]
fn synaptic_flow_is_the_slope_of_the_sum_of_outputs_of_the_absolute_network() {
    let net = Wide::new(vec![Rng::new(9).tensor(&[2, 3, 5, 5], -1.0, 1.0)], |vs| {
        let conv = nn::conv2d(vs / "conv", 3, 4, 3, nn::ConvConfig::default());
        let norm = nn::batch_norm2d(vs / "norm", 4, nn::BatchNormConfig::default());
        let fc = nn::linear(vs / "fc", 36, 2, nn::LinearConfig::default());
        one(move |xs| xs.apply(&conv).apply_t(&norm, false).relu().flatten(1, -1).apply(&fc))
    });
    let before = Snapshot::of(&net.vs);
    let signals = net.gather(Signal::SynapticFlow, &Vec::new());
    before.assert_unchanged(&net.vs, "synaptic flow");
    let variables = net.vs.variables();
    let leaf = |name: &str| {
        let absolute = variables[name].detach().abs();
        if variables[name].requires_grad() { absolute.set_requires_grad(true) } else { absolute }
    };
    let names = ["conv.weight", "conv.bias", "norm.weight", "norm.bias", "fc.weight", "fc.bias"];
    let leaves: Vec<Tensor> = names.iter().map(|name| leaf(name)).collect();
    let ones = Tensor::ones([2, 3, 5, 5], (Kind::Double, tch::Device::Cpu));
    let ys = ones.conv2d(&leaves[0], Some(&leaves[1]), 1, 0, 1, 1);
    let (mean, variance) = (leaf("norm.running_mean"), leaf("norm.running_var"));
    let ys = (ys - mean.view([1, 4, 1, 1])) / (variance + 1e-5).sqrt().view([1, 4, 1, 1]);
    let ys = ys * leaves[2].view([1, 4, 1, 1]) + leaves[3].view([1, 4, 1, 1]);
    let sum = ys.relu().flatten(1, -1).linear(&leaves[4], Some(&leaves[5])).sum(Kind::Double);
    let scale = sum.detach();
    let gradients = Tensor::run_backward(&[sum], &leaves, false, false);
    for (name, gradient) in names.iter().zip(&gradients) {
        let (_, id) = net.parameters().into_iter().find(|(parameter, _)| parameter == name).expect("it is one");
        let found = signals.weight(Signal::SynapticFlow, id).expect("the output depends on it");
        close(found, &(gradient / &scale), name);
    }
}

#[test]
fn all_of_the_flow_passes_every_layer_of_a_network_without_biases() {
    let net = Wide::new(vec![Rng::new(9).tensor(&[1, 3, 6, 6], -1.0, 1.0)], |vs| {
        let config = nn::ConvConfig { bias: false, padding: 1, ..Default::default() };
        let convs = [("conv1", 3, 4, 1), ("conv2", 4, 6, 2)]
            .map(|(name, from, to, groups)| nn::conv2d(vs / name, from, to, 3, nn::ConvConfig { groups, ..config }));
        let fc = nn::linear(vs / "fc", 6, 2, nn::LinearConfig { bias: false, ..Default::default() });
        one(move |xs| {
            let xs = convs.iter().fold(xs.shallow_clone(), |xs, conv| xs.apply(conv).relu());
            xs.mean_dim([2_i64, 3].as_slice(), false, None).apply(&fc)
        })
    });
    let signals = net.gather(Signal::SynapticFlow, &Vec::new());
    for (name, id) in net.parameters() {
        let flow = signals.weight(Signal::SynapticFlow, id).expect("the output depends on it");
        let weight = net.vs.variables()[&name].detach().abs();
        close(&(flow * weight).sum(Kind::Double), &Tensor::from(1.0_f64), &name);
    }
}

#[test]
fn a_frozen_parameter_and_one_that_the_loss_does_not_depend_on_have_no_gradient() {
    let mut net = Wide::smooth();
    for (name, variable) in net.vs.variables() {
        if name.starts_with("conv") {
            let _ = variable.set_requires_grad(false);
        }
    }
    net.module = pruner::trace::trace(&net.vs, &net.inputs, |xs| (net.forward)(xs, false)).expect("it is traced");
    let all = Signal::Gradients | Signal::SquaredGradients | Signal::HessianGradients | Signal::SynapticFlow;
    let signals = net.gather(all, &net.batches());
    for (name, id) in net.parameters() {
        for signal in all {
            assert_eq!(signals.weight(signal, id).is_some(), !name.starts_with("conv"), "{signal:?} of {name}");
        }
    }
}
