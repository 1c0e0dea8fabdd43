//! From a closure of `tch` to a network that runs: one run of it under the recorder, and the graph made ready.

mod common;

use common::over_all;
use criterion::{Criterion, criterion_group, criterion_main};
use pruner_core::trace::trace;

fn tracing(c: &mut Criterion) {
    over_all(c, "tracing", |bench, name, _, network| {
        let expected = network.graph().nodes().len();
        bench.bench_function(name, |b| {
            b.iter(|| {
                let traced = trace(&network.vs, &network.inputs, |inputs| (network.net)(inputs, false));
                let module = traced.expect("the network is traced");
                assert_eq!(module.graph().nodes().len(), expected);
                module
            });
        });
    });
}

criterion_group!(benches, tracing);
criterion_main!(benches);
