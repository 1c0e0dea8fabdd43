//! What goes of half of every group, and of half of all groups together, by scores that are given.

mod common;

use std::collections::BTreeMap;
use std::hint::black_box;

use common::over_all;
use criterion::{Criterion, criterion_group, criterion_main};
use pruner_bench::rng::Rng;
use pruner_core::deps::{Analysis, Group};
use pruner_core::ids::GroupId;
use pruner_core::plan::{Limits, Scope, select};

fn planning(c: &mut Criterion) {
    for (stage, scope) in [("planning", Scope::Local), ("planning global", Scope::Global)] {
        over_all(c, stage, |bench, name, _, network| {
            let analysis = Analysis::new(network.graph()).expect("the network is sound");
            let groups: Vec<&dyn Group> = analysis.groups().iter().map(|group| group as &dyn Group).collect();
            let mut rng = Rng::new(1);
            let free = groups.iter().filter(|group| group.pin().is_none());
            let scores: BTreeMap<GroupId, Vec<f64>> = free
                .map(|group| (group.id(), (0..group.size()).map(|_| f64::from(rng.uniform(0.0, 1.0))).collect()))
                .collect();
            let all: usize = scores.values().map(Vec::len).sum();
            let limits = Limits::new(0.5).with_scope(scope);
            bench.bench_function(name, |b| {
                b.iter(|| {
                    let selection = select(&groups, black_box(&scores), &limits, 1.0).expect("it is planned");
                    let cut = selection.plan().coordinates_cut();
                    assert!(cut > 0 && cut <= all.div_ceil(2), "at most half goes: {cut} of {all}");
                    selection
                });
            });
        });
    }
}

criterion_group!(benches, planning);
criterion_main!(benches);
