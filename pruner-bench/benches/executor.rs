//! A traced network run, and the closure that it was traced from called directly.

#![allow(clippy::print_stdout, reason = "a benchmark talks")]

mod common;

use std::time::Instant;

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
        println!("running/{name}: traced takes {:.2} of eager, by turns", ratio(&traced, &eager));
    });
}

/// The median over rounds of how long the one takes by the other, of which each round runs both.
fn ratio(one: &dyn Fn() -> Vec<Tensor>, other: &dyn Fn() -> Vec<Tensor>) -> f64 {
    let seconds = |run: &dyn Fn() -> Vec<Tensor>| {
        let start = Instant::now();
        assert!(!run().is_empty());
        start.elapsed().as_secs_f64()
    };
    let rounds = (1.0 / seconds(one)).clamp(5.0, 101.0) as usize;
    let mut ratios: Vec<f64> = (0..rounds).map(|_| seconds(one) / seconds(other)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[rounds / 2]
}

criterion_group!(benches, running);
criterion_main!(benches);
