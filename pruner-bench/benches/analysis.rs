//! From a graph to its groups: it is to be linear in depth, and 10,000 convolutions are to take less than a second.

mod common;

use std::hint::black_box;

use common::over_all;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pruner_bench::synthetic::{chain, dense};
use pruner_core::deps::{Analysis, Group as _};

/// The groups that may be cut.
fn free_groups(analysis: &Analysis) -> usize {
    analysis.groups().iter().filter(|group| group.pin().is_none()).count()
}

fn traced(c: &mut Criterion) {
    over_all(c, "analysis", |group, name, _, network| {
        let expected = free_groups(&Analysis::new(network.graph()).expect("the network is sound"));
        assert!(expected > 0);
        group.bench_function(name, |b| {
            b.iter(|| {
                let analysis = Analysis::new(black_box(network.graph())).expect("the network is sound");
                assert_eq!(free_groups(&analysis), expected);
                analysis
            });
        });
    });
}

fn depth(c: &mut Criterion) {
    let mut group = c.benchmark_group("analysis/chain");
    group.sample_size(10);
    for depth in [1_250, 2_500, 5_000, 10_000] {
        let graph = chain(depth, 64);
        group.throughput(Throughput::Elements(depth as u64));
        group.bench_with_input(BenchmarkId::from_parameter(depth), &graph, |b, graph| {
            b.iter(|| {
                let analysis = Analysis::new(black_box(graph)).expect("the chain is sound");
                assert_eq!(free_groups(&analysis), depth / 2, "every inner width of a pair is a group");
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
                assert_eq!(free_groups(&analysis), depth - 1, "what every layer but the last adds is a group");
                analysis
            });
        });
    }
    group.finish();
}

criterion_group!(benches, traced, depth, concatenation);
criterion_main!(benches);
