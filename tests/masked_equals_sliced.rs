//! Masked equals sliced, on every network: a random half of every exact group goes at once, and the sliced network
//! computes what the masked one does.

use pruner_bench::models::{Spec, all, random_share, randomize};
use pruner_bench::rng::Rng;
use pruner_core::deps::{Analysis, Kept};
use pruner_core::equivalence::masked_equals_sliced;
use pruner_core::exec::GraphModule;
use pruner_core::trace::trace;
use tch::{Device, nn};

/// The network of `spec` with random variables, traced.
fn traced(spec: &Spec, width: i64) -> (nn::VarStore, GraphModule) {
    // Tests run side by side; threads of libtorch's own would only wait for each other.
    tch::set_num_threads(1);
    let vs = nn::VarStore::new(Device::Cpu);
    let net = (spec.build)(&vs.root(), width);
    randomize(&vs, 3);
    let module = trace(&vs, &(spec.inputs)(), |inputs| net(inputs, false))
        .unwrap_or_else(|error| panic!("{}: {error}", spec.name));
    (vs, module)
}

fn check(spec: &Spec, width: i64, share: f64, seed: u64) {
    let (_vs, module) = traced(spec, width);
    let analysis = Analysis::new(module.graph()).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
    assert!(analysis.unknown_ops().is_empty(), "{}: no rule for {:?}", spec.name, analysis.unknown_ops());
    let kept = random_share(&analysis, share, seed);
    let (before, after) = (analysis.counts(&Kept::all()), analysis.counts(&kept));
    let difference = masked_equals_sliced(&module, &analysis, &kept, &(spec.inputs)())
        .unwrap_or_else(|error| panic!("{}: {error}", spec.name));
    assert!(difference.finite, "{}: {difference:?}", spec.name);
    assert!(difference.relative <= 1e-5, "{} with {share} gone: {difference:?}", spec.name);
    let cut = after.params < before.params;
    assert!(cut || share < 0.5, "{} with {share} gone: nothing was cut", spec.name);
    assert!(!cut || difference.effect > 1e-3, "{} with {share} gone: the outputs are as before", spec.name);
}

#[test]
fn every_network_with_half_of_every_group_gone_computes_what_it_does_masked() {
    for spec in all() {
        check(&spec, spec.width, 0.5, 7);
    }
}

#[test]
fn every_network_computes_what_it_does_masked_whatever_share_is_gone() {
    for spec in all() {
        for (share, seed) in [(0.2, 1), (0.35, 2), (0.75, 3), (0.9, 4), (1.0, 5)] {
            check(&spec, spec.width, share, seed);
        }
    }
}

#[test]
fn the_residual_networks_of_full_width_compute_what_they_do_masked() {
    for spec in all().iter().filter(|spec| spec.name.starts_with("resnet")) {
        check(spec, spec.full_width, 0.5, 11);
    }
}

#[test]
fn a_network_that_counts_its_runs_is_compared_in_the_same_state() {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let [first, second] = [("first", 4, 8), ("second", 8, 3)]
        .map(|(name, from, to)| nn::linear(&root / name, from, to, nn::LinearConfig::default()));
    let calls = root.zeros_no_train("calls", &[]);
    randomize(&vs, 3);
    let inputs = [Rng::new(1).tensor(&[2, 4], -1.0, 1.0)];
    let module = trace(&vs, &inputs, |inputs| {
        let count = tch::no_grad(|| calls.shallow_clone().g_add_scalar_(1.0));
        vec![(inputs[0].apply(&first).relu() * count).apply(&second)]
    });
    let module = module.expect("it is traced");
    let analysis = Analysis::new(module.graph()).expect("it is sound");
    let before = calls.double_value(&[]);
    let kept = random_share(&analysis, 0.5, 1);
    let difference = masked_equals_sliced(&module, &analysis, &kept, &inputs).expect("it runs");
    assert!(difference.relative <= 1e-6 && difference.effect > 1e-3, "{difference:?}");
    assert!((calls.double_value(&[]) - before).abs() < f64::EPSILON, "the network was not changed");
}
