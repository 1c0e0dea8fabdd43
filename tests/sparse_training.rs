//! Training with regularisers: what it does to a network, before a cut and after it.

mod common;

use std::num::NonZeroU64;

use common::{Net, fill, with_limits};
use pruner::criteria::BnScale;
use pruner::exec::Mode;
use pruner::optim::{Optimizer as _, Sgd, SgdSettings, backward};
use pruner::plan::Limits;
use pruner::pruner::{GroupPruner, Pruner as _};
use pruner::regularizer::Regularizer;
use pruner::regularizers::{BnL1, GroupLasso, Growing};
use pruner_bench::rng::Rng;
use tch::{Kind, nn};

const CHANNELS: i64 = 16;

/// conv, batch norm, conv, with four classes.
fn conv_bn_conv() -> Net {
    let net = Net::new(vec![Rng::new(1).tensor(&[32, 3, 8, 8], -1.0, 1.0)], |vs| {
        let config = nn::ConvConfig { padding: 1, bias: false, ..Default::default() };
        let first = nn::conv2d(vs / "first", 3, CHANNELS, 3, config);
        let norm = nn::batch_norm2d(vs / "norm", CHANNELS, nn::BatchNormConfig::default());
        let second = nn::conv2d(vs / "second", CHANNELS, 4, 3, nn::ConvConfig::default());
        Box::new(move |inputs, train| {
            let xs = inputs[0].apply(&first).apply_t(&norm, train).relu().apply(&second);
            vec![xs.amax([2_i64, 3].as_slice(), false)]
        })
    });
    fill(&net.variable("norm.weight"), 0.3);
    net
}

/// Steps of training on one batch, with a regulariser if there is one.
fn train(net: &Net, pruner: &GroupPruner, sgd: &mut Sgd, mut regularizer: Option<&mut dyn Regularizer>, steps: usize) {
    let labels = Rng::new(2).indices(&[32], 4);
    for _ in 0..steps {
        let inputs = [net.inputs[0].shallow_clone()];
        let loss = net.module.forward(&inputs, Mode::Train).expect("it runs")[0].cross_entropy_for_logits(&labels);
        sgd.zero_grad();
        backward(&loss).expect("the loss has a gradient");
        if let Some(regularizer) = regularizer.as_deref_mut() {
            pruner.regularize(&net.module, regularizer).expect("it can be penalised");
        }
        sgd.step().expect("it steps");
    }
}

fn sgd(net: &Net) -> Sgd {
    Sgd::new(net.module.parameters(), SgdSettings::default().with_lr(0.05).with_momentum(0.5))
}

fn pruner(net: &Net, limits: Limits) -> GroupPruner {
    GroupPruner::new(&net.module, with_limits(limits).with_steps(2)).expect("the settings are sound")
}

#[test]
fn bn_l1_drives_scales_to_zero_that_training_alone_does_not() {
    let small = |regularizer: Option<&mut dyn Regularizer>| {
        let net = conv_bn_conv();
        let pruner = pruner(&net, Limits::new(0.5));
        train(&net, &pruner, &mut sgd(&net), regularizer, 60);
        let scales = net.variable("norm.weight").abs();
        scales.lt(0.02).sum(Kind::Int64).int64_value(&[])
    };
    let (with, without) = (small(Some(&mut BnL1 { lambda: 0.1 })), small(None));
    assert!(with >= CHANNELS / 4 && without == 0, "{with} of {CHANNELS} with it, {without} without");
}

#[test]
fn a_group_that_is_ignored_or_pinned_is_not_penalised() {
    let gradients = |limits: Limits| {
        let net = conv_bn_conv();
        let pruner = pruner(&net, limits);
        for (_, parameter) in net.module.parameters() {
            (&parameter * parameter.zeros_like()).sum(Kind::Float).backward();
        }
        pruner.regularize(&net.module, &mut GroupLasso { lambda: 1.0 }).expect("it can be penalised");
        let size = |name: &str| net.variable(name).grad().abs().sum(Kind::Double).double_value(&[]);
        ["first.weight", "norm.weight", "second.weight", "second.bias"].map(|name| size(name) > 0.0)
    };
    assert_eq!(gradients(Limits::new(0.5)), [true, true, true, false], "the classes are pinned");
    assert_eq!(gradients(Limits::new(0.5).with_ignored("norm")), [false; 4]);
}

/// The penalty that a step adds to the weights of each filter of the first layer, as a multiple of the weights.
fn factors(net: &Net, pruner: &GroupPruner, growing: &mut Growing) -> Vec<f64> {
    let weight = net.variable("first.weight");
    let before = weight.grad().copy();
    pruner.regularize(&net.module, growing).expect("it can be penalised");
    let added = (weight.grad() - before).flatten(1, -1).norm_scalaropt_dim(2, [1_i64].as_slice(), false);
    let factors = added / weight.detach().flatten(1, -1).norm_scalaropt_dim(2, [1_i64].as_slice(), false);
    Vec::try_from(factors.to_kind(Kind::Double)).expect("a number for each filter")
}

fn growing() -> Growing {
    let every = NonZeroU64::new(5).expect("5 is not 0");
    Growing::default().with_importance(Box::new(BnScale::default())).with_delta(0.02).with_every(every)
}

#[test]
fn growing_goes_on_after_a_cut_with_the_coordinates_that_are_left() {
    let mut net = conv_bn_conv();
    let mut pruner = pruner(&net, Limits::new(0.5));
    let (mut sgd, mut growing) = (sgd(&net), growing());
    train(&net, &pruner, &mut sgd, None, 5);
    train(&net, &pruner, &mut sgd, Some(&mut growing), 20);
    let group = pruner.groups()[0].id();
    let picked = growing.picked(group).to_vec();
    assert_eq!(picked.len(), 8);
    assert!(pruner.step(&mut net.module, &mut sgd).expect("it is cut").pruned());
    train(&net, &pruner, &mut sgd, Some(&mut growing), 10);
    assert_eq!(growing.picked(group), picked);
    let left =
        pruner.groups().into_iter().find(|found| found.id() == group).expect("it is there").coordinates().to_vec();
    assert_eq!(left.len(), 12);
    let lambda = growing.lambda();
    assert!((lambda - 0.02 * 7.0).abs() < 1e-12, "it has grown every five steps: {lambda}");
    let found = factors(&net, &pruner, &mut growing);
    assert_eq!(found.len(), left.len());
    for (coordinate, factor) in left.iter().zip(found) {
        let expected = if picked.contains(coordinate) { lambda } else { 0.0 };
        assert!((factor - expected).abs() < 1e-3 * lambda, "{coordinate}: {factor} is not {expected}");
    }
    assert!(left.iter().any(|at| picked.contains(at)) && picked.iter().any(|at| !left.contains(at)));
}

#[test]
fn a_run_that_is_read_back_ends_with_the_same_bits() {
    let run = |is_read_back: bool| {
        let mut net = conv_bn_conv();
        let mut pruner = pruner(&net, Limits::new(0.5));
        let (mut sgd, mut regularizer) = (sgd(&net), Box::new(growing()) as Box<dyn Regularizer>);
        let pause = |regularizer: &mut Box<dyn Regularizer>| {
            if is_read_back {
                let written = serde_json::to_string(&*regularizer).expect("it is written");
                *regularizer = serde_json::from_str(&written).expect("it is read");
            }
        };
        train(&net, &pruner, &mut sgd, Some(&mut *regularizer), 7);
        pause(&mut regularizer);
        train(&net, &pruner, &mut sgd, Some(&mut *regularizer), 7);
        assert!(pruner.step(&mut net.module, &mut sgd).expect("it is cut").pruned());
        pause(&mut regularizer);
        train(&net, &pruner, &mut sgd, Some(&mut *regularizer), 7);
        net.module.named_tensors()
    };
    for ((name, one), (_, other)) in run(false).into_iter().zip(run(true)) {
        assert!(one.equal(&other), "{name}");
    }
}
