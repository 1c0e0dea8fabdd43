//! Statistics of activations against loops over single samples.

use std::collections::BTreeMap;

use pruner::calibration::Batch;
use pruner::deps::{Group as _, Kept};
use pruner::exec::Mode;
use pruner::ids::ValueId;
use pruner::importance::{Signal, SignalSet};
use pruner_bench::rng::Rng;
use tch::{Kind, Tensor, nn};

use crate::support::{Wide, close, one, singles};

/// All statistics from samples of `[places, positions]`.
fn expected(samples: &[Tensor]) -> BTreeMap<Signal, Tensor> {
    let all = Tensor::cat(samples, 0);
    let mean = |tensor: &Tensor| tensor.mean_dim([0_i64].as_slice(), false, Kind::Double);
    let squares: Vec<Tensor> = samples.iter().map(|sample| mean(&sample.abs()).square()).collect();
    BTreeMap::from([
        (Signal::Mean, mean(&all)),
        (Signal::Variance, mean(&(&all - mean(&all)).square())),
        (Signal::MeanSquare, mean(&all.square())),
        (Signal::MeanAbs, mean(&all.abs())),
        (Signal::SquaredMeanAbs, mean(&Tensor::stack(&squares, 0))),
        (Signal::NonZero, mean(&all.not_equal(0.0).to_kind(Kind::Double))),
    ])
}

fn statistics() -> SignalSet {
    Signal::Mean | Signal::Variance | Signal::MeanSquare | Signal::MeanAbs | Signal::SquaredMeanAbs | Signal::NonZero
}

/// Compares what was gathered with the values that a run of each sample alone makes; returns how many sites there were.
fn check(net: &Wide, name: &str, wanted: SignalSet, batches: &[Batch]) -> usize {
    let signals = net.gather(wanted, &batches);
    let sites = net.analysis.sites(&Kept::all());
    let mut values: BTreeMap<ValueId, Vec<Tensor>> = BTreeMap::new();
    for sample in singles(batches) {
        let mut made = |value: ValueId, tensor: &Tensor| values.entry(value).or_default().push(tensor.detach().copy());
        net.module.forward_observed(&sample.inputs, Mode::Eval, &mut made).expect("it runs");
    }
    let mut count = 0;
    for group in net.groups() {
        let own = sites.get(&group.id()).map_or(&[][..], Vec::as_slice);
        let activations = signals.activations(group.id());
        assert_eq!(activations.len(), own.len(), "{name}: {}", group.name());
        for (site, activation) in own.iter().zip(activations) {
            let what = format!("{name}: {} at {}", group.name(), site.node);
            let sample = |tensor: &Tensor| {
                let last = tensor.movedim_int(site.dim as i64, -1);
                let positions = *last.size().last().expect("it has dimensions");
                last.reshape([-1, positions])
            };
            let samples: Vec<Tensor> = values[&site.value].iter().map(sample).collect();
            assert_eq!(activation.places as i64, samples[0].size()[0], "{what}: places");
            assert_eq!(activation.layout, site.layout, "{what}");
            let expected = expected(&samples);
            assert!(activation.statistics.keys().copied().eq(wanted), "{what}");
            for (signal, numbers) in &activation.statistics {
                assert_eq!(numbers.kind(), Kind::Double);
                // The share that is not zero is counted in single precision.
                let share = if *signal == Signal::NonZero { 1e-6 } else { 1e-9 };
                crate::support::near(numbers, &expected[signal], share, &format!("{what}: {signal:?}"));
            }
            count += 1;
        }
    }
    count
}

#[test]
fn statistics_of_real_networks_are_those_of_all_samples_alone() {
    for name in
        ["plain_cnn", "resnet18", "resnext50", "densenet", "vit", "swin", "decoder", "nhwc_flatten", "cross_attention"]
    {
        let net = Wide::named(name);
        let count = check(&net, name, statistics(), &net.batches());
        assert!(count >= 1, "{name}: {count} sites");
    }
}

/// Attention whose activations have the tokens first, or the samples inside of the tokens.
fn tokens_first(merged: bool) -> Wide {
    Wide::new(vec![Rng::new(9).tensor(&[2, 5, 6], -1.0, 1.0)], move |vs| {
        let layers = [("fc1", 6, 8), ("fc2", 8, 7), ("fc3", 7, 3)]
            .map(|(name, from, to)| nn::linear(vs / name, from, to, nn::LinearConfig::default()));
        one(move |xs| {
            let (samples, tokens) = (xs.size()[0], xs.size()[1]);
            let mut ys = xs.transpose(0, 1).contiguous();
            if merged {
                ys = ys.view([tokens * samples, 6]);
            }
            let ys = ys.apply(&layers[0]).relu().apply(&layers[1]).relu().apply(&layers[2]);
            ys.view([tokens, samples, 3]).transpose(0, 1)
        })
    })
}

#[test]
fn samples_that_are_not_the_outermost_dimension_have_the_same_statistics() {
    for merged in [false, true] {
        let net = tokens_first(merged);
        let name = format!("merged: {merged}");
        assert_eq!(check(&net, &name, statistics(), &net.batches()), 2);
        // Without what is of single samples, batches are run whole.
        let few = Signal::Mean | Signal::Variance | Signal::MeanSquare;
        assert_eq!(check(&net, &name, few, &net.batches()), 2);
    }
}

#[test]
fn a_network_that_was_traced_with_one_sample_has_the_same_statistics() {
    let build = |samples: i64| {
        Wide::new(vec![Rng::new(9).tensor(&[samples, 3, 6, 6], -1.0, 1.0)], |vs| {
            let conv = nn::conv2d(vs / "conv", 3, 4, 3, nn::ConvConfig::default());
            let [fc1, fc2] = [("fc1", 4, 5), ("fc2", 5, 2)]
                .map(|(name, from, to)| nn::linear(vs / name, from, to, nn::LinearConfig::default()));
            one(move |xs| {
                let tokens = xs.apply(&conv).relu().flatten(2, -1).transpose(1, 2);
                tokens.apply(&fc1).relu().apply(&fc2).mean_dim([1_i64].as_slice(), false, None)
            })
        })
    };
    for samples in [1, 3] {
        let net = build(samples);
        assert_eq!(check(&net, "traced", statistics(), &net.batches()), 2);
        let gate = Signal::Gate | Signal::SquaredGate;
        let (together, alone) = (net.gather(gate, &net.batches()), net.gather(gate, &singles(&net.batches())));
        for (group, signal) in net.groups().iter().flat_map(|group| gate.iter().map(|it| (group.id(), it))) {
            let (a, b) = (together.gate(signal, group), alone.gate(signal, group));
            close(a.expect("it is read"), b.expect("it is read"), &format!("{signal:?}"));
        }
    }
}

#[test]
fn a_variance_far_from_zero_keeps_its_digits() {
    let net = Wide::new(vec![Rng::new(9).tensor(&[2, 3], -1.0, 1.0)], |vs| {
        let [fc1, fc2] = [("fc1", 3, 4), ("fc2", 4, 2)]
            .map(|(name, from, to)| nn::linear(vs / name, from, to, nn::LinearConfig::default()));
        one(move |xs| (xs.apply(&fc1) + 1e6).apply(&fc2))
    });
    assert_eq!(check(&net, "shifted", Signal::Variance.into(), &net.batches()), 1);
}
