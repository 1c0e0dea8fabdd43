//! The scores of all groups by magnitude, read back at once.

mod common;

use std::hint::black_box;

use common::over_all;
use criterion::{Criterion, criterion_group, criterion_main};
use pruner_core::deps::{Analysis, AxisGroup, Group as _};
use pruner_core::importance::{Weights, score};
use pruner_importance::Magnitude;
use tch::{Device, Tensor};

fn scoring(c: &mut Criterion) {
    over_all(c, "scoring", |bench, name, _, network| {
        let analysis = Analysis::new(network.graph()).expect("the network is sound");
        let groups: Vec<&AxisGroup> = analysis.groups().iter().filter(|group| group.pin().is_none()).collect();
        let expected: usize = groups.iter().map(|group| group.size()).sum();
        bench.bench_function(name, |b| {
            b.iter(|| {
                // What was folded once is remembered, so that each round begins without.
                let mut weights = Weights::new(0);
                for (value, _) in network.graph().stored() {
                    let tensor = network.module.tensor(value).expect("it is stored");
                    weights.insert(value, black_box(tensor)).expect("it is a tensor");
                }
                let of = |group: &&AxisGroup| score(&Magnitude::default(), *group, &weights);
                let scores: Vec<Tensor> = groups.iter().filter_map(|group| of(group).expect("it is scored")).collect();
                let all = Tensor::cat(&scores, 0).to_device(Device::Cpu);
                assert_eq!(all.numel(), expected);
                all
            });
        });
    });
}

criterion_group!(benches, scoring);
criterion_main!(benches);
