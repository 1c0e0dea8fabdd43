//! Analysis against depth: it is to be linear, and 10,000 convolutions are to take less than a second.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pruner_bench::synthetic::{chain, dense};
use pruner_core::deps::{Analysis, Group};

fn depth(c: &mut Criterion) {
    let mut group = c.benchmark_group("analysis/chain");
    group.sample_size(10);
    for depth in [1_250, 2_500, 5_000, 10_000] {
        let graph = chain(depth, 64);
        group.throughput(Throughput::Elements(depth as u64));
        group.bench_with_input(BenchmarkId::from_parameter(depth), &graph, |b, graph| {
            b.iter(|| {
                let analysis = Analysis::new(black_box(graph)).expect("the chain is sound");
                let free = analysis.groups().iter().filter(|group| group.pin().is_none()).count();
                assert_eq!(free, depth / 2, "every inner width of a pair is a group");
                analysis
            });
        });
    }
    group.finish();
}

fn concatenation(c: &mut Criterion) {
    let mut group = c.benchmark_group("analysis/dense");
    group.sample_size(10);
    for depth in [32, 64, 128] {
        let graph = dense(depth, 16);
        group.throughput(Throughput::Elements(depth as u64));
        group.bench_with_input(BenchmarkId::from_parameter(depth), &graph, |b, graph| {
            b.iter(|| {
                let analysis = Analysis::new(black_box(graph)).expect("the block is sound");
                let free = analysis.groups().iter().filter(|group| group.pin().is_none()).count();
                assert_eq!(free, depth - 1, "what every layer but the last adds is a group");
                analysis
            });
        });
    }
    group.finish();
}

criterion_group!(benches, depth, concatenation);
criterion_main!(benches);
