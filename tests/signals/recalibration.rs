//! Statistics of batch norms measured anew.

use pruner::calibration::{Batch, recalibrate};
use pruner::exec::Mode;
use pruner::pruner::{GroupPruner, Pruner as _};
use pruner_bench::rng::Rng;
use tch::{Kind, Tensor, nn};

use crate::common::{Snapshot, settings};
use crate::support::{Wide, close, one};

fn two_norms() -> Wide {
    Wide::new(vec![Rng::new(9).tensor(&[2, 3, 6, 6], -1.0, 1.0)], |vs| {
        let config = nn::ConvConfig { bias: false, ..Default::default() };
        let (conv1, conv2) = (nn::conv2d(vs / "conv1", 3, 4, 3, config), nn::conv2d(vs / "conv2", 4, 5, 3, config));
        let (bn1, bn2) = (
            nn::batch_norm2d(vs / "bn1", 4, nn::BatchNormConfig::default()),
            nn::batch_norm2d(vs / "bn2", 5, nn::BatchNormConfig::default()),
        );
        one(move |xs| xs.apply(&conv1).apply_t(&bn1, false).relu().apply(&conv2).apply_t(&bn2, false))
    })
}

/// Mean, biased and unbiased variance of a batch, by channel.
fn of_batch(tensor: &Tensor) -> [Tensor; 3] {
    let by_channel = tensor.transpose(0, 1).flatten(1, -1);
    let mean = by_channel.mean_dim([1_i64].as_slice(), true, None);
    let squares = (&by_channel - &mean).square().sum_dim_intlist([1_i64].as_slice(), false, None);
    let count = by_channel.size()[1] as f64;
    [mean.squeeze_dim(1), &squares / count, squares / (count - 1.0)]
}

#[test]
fn each_norm_has_the_mean_over_batches_of_what_it_reads_where_those_before_use_the_batch() {
    let mut net = two_norms();
    let batches: Vec<Batch> = [(2, 1), (4, 2), (3, 3)].map(|(count, seed)| Batch::new(net.samples(count, seed))).into();
    let variables = net.vs.variables();
    let get = |name: &str| variables[name].detach().copy();
    let mut sums: Vec<Tensor> = Vec::new();
    for batch in &batches {
        let ys = batch.inputs[0].conv2d(&get("conv1.weight"), None::<&Tensor>, 1, 0, 1, 1);
        let [mean, biased, unbiased] = of_batch(&ys);
        let view = |tensor: &Tensor| tensor.view([1, -1, 1, 1]);
        let ys = (ys - view(&mean)) / (view(&biased) + 1e-5).sqrt();
        let ys = (ys * view(&get("bn1.weight")) + view(&get("bn1.bias"))).relu();
        let [mean2, _, unbiased2] = of_batch(&ys.conv2d(&get("conv2.weight"), None::<&Tensor>, 1, 0, 1, 1));
        let own = [mean, unbiased, mean2, unbiased2];
        sums = if sums.is_empty() { own.into() } else { sums.iter().zip(&own).map(|(a, b)| a + b).collect() };
    }
    let before = Snapshot::of(&net.vs);
    assert_eq!(recalibrate(&mut net.module, &batches).expect("there are norms"), 2);
    let names = ["bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var"];
    for (name, sum) in names.iter().zip(&sums) {
        close(&net.vs.variables()[*name], &(sum / 3.0), name);
    }
    // Set back what is meant to change: nothing else has.
    for name in names {
        tch::no_grad(|| net.vs.variables()[name].shallow_clone().copy_(before.value(name)));
    }
    before.assert_unchanged(&net.vs, "recalibration");
}

#[test]
fn without_batches_or_with_a_bad_one_the_statistics_stay() {
    let mut net = two_norms();
    let before = Snapshot::of(&net.vs);
    let error = recalibrate(&mut net.module, &Vec::new()).expect_err("there is no data").to_string();
    assert!(error.starts_with("there are no calibration batches"), "{error}");
    let bad = vec![
        Batch::new(net.samples(2, 1)),
        Batch::new(vec![Tensor::zeros([2, 9, 6, 6], (Kind::Double, tch::Device::Cpu))]),
    ];
    let error = recalibrate(&mut net.module, &bad).expect_err("the second has other channels").to_string();
    assert!(error.starts_with("batch 1: "), "{error}");
    before.assert_unchanged(&net.vs, "no data");
    let mut none = Wide::smooth();
    assert_eq!(recalibrate(&mut none.module, &Vec::new()).expect("there is nothing to do"), 0);
}

#[test]
fn after_a_cut_it_brings_back_the_means_of_what_norms_make() {
    let mut net = two_norms();
    let batches = vec![Batch::new(net.samples(16, 1))];
    recalibrate(&mut net.module, &batches).expect("there are norms");
    let means = |net: &Wide| {
        let outputs = net.module.forward(&batches[0].inputs, Mode::Eval).expect("it runs");
        let [mean, ..] = of_batch(&outputs[0].detach());
        mean
    };
    let dense = means(&net);
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
    assert!(pruner.step(&mut net.module, &mut ()).expect("a step").pruned());
    let distance = |net: &Wide| (means(net) - &dense).abs().max().double_value(&[]);
    let before = distance(&net);
    assert!(before > 0.1, "the cut moves them by {before}");
    recalibrate(&mut net.module, &batches).expect("there are norms");
    let after = distance(&net);
    assert!(after < 0.02 * before, "{after}, before it {before}");
}

#[test]
fn what_has_no_variance_does_not_count_and_what_is_not_finite_is_refused() {
    let net = || {
        Wide::new(vec![Rng::new(9).tensor(&[2, 3], -1.0, 1.0)], |vs| {
            let fc = nn::linear(vs / "fc", 3, 4, nn::LinearConfig::default());
            let bn = nn::batch_norm1d(vs / "bn", 4, nn::BatchNormConfig::default());
            one(move |xs| xs.apply(&fc).apply_t(&bn, false))
        })
    };
    let (mut with, mut without) = (net(), net());
    let samples = |net: &Wide, count, seed| Batch::new(net.samples(count, seed));
    let batches = vec![samples(&with, 8, 1), samples(&with, 1, 2)];
    recalibrate(&mut with.module, &batches).expect("the first batch has a variance");
    recalibrate(&mut without.module, &&batches[..1]).expect("it has a variance");
    for name in ["bn.running_mean", "bn.running_var"] {
        close(&with.vs.variables()[name], &without.vs.variables()[name], name);
    }
    let before = Snapshot::of(&with.vs);
    let error = recalibrate(&mut with.module, &&batches[1..]).expect_err("it has none").to_string();
    assert!(error.contains("one value per channel in every batch; give larger batches"), "{error}");
    let nan = Batch::new(vec![Tensor::full([4, 3], f64::NAN, (Kind::Double, tch::Device::Cpu))]);
    let error = recalibrate(&mut with.module, &vec![nan]).expect_err("it is not finite").to_string();
    assert_eq!(
        error,
        "`bn.running_mean` would not be finite: the calibration data, or what the network makes of it, is not"
    );
    before.assert_unchanged(&with.vs, "refused");
}
