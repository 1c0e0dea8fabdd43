//! A traced network run, and the closure that it was traced from called directly.

mod common;

use common::over_all;
use criterion::{Criterion, criterion_group, criterion_main};
use pruner_core::exec::Mode;
use tch::Tensor;

fn running(c: &mut Criterion) {
    over_all(c, "running", |bench, name, _, network| {
        let eager = || tch::no_grad(|| (network.net)(&network.inputs, false));
        let traced = || tch::no_grad(|| network.module.forward(&network.inputs, Mode::Eval)).expect("it runs");
        let expected = eager();
        let check = |outputs: &[Tensor]| {
            assert_eq!(outputs.len(), expected.len());
            assert!(outputs[0].equal(&expected[0]), "both compute the same");
        };
        for (way, run) in [("eager", &eager as &dyn Fn() -> Vec<Tensor>), ("traced", &traced)] {
            bench.bench_function(format!("{name}/{way}"), |b| {
                b.iter(|| {
                    let outputs = run();
                    check(&outputs);
                    outputs
                });
            });
        }
    });
}

criterion_group!(benches, running);
criterion_main!(benches);
