//! A plan that halves every group, applied: all slices, the graph of what is left, and the report.

mod common;

use common::{Case, Network, over_all};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_importance::Magnitude;
use pruner_schedulers::OneShot;

fn pruner(network: &Network) -> GroupPruner {
    let settings = Settings::new(Box::new(Magnitude::default()), Box::new(OneShot::default()));
    GroupPruner::new(&network.module, settings.with_limits(Limits::new(0.5))).expect("the network is analysed")
}

fn applying(c: &mut Criterion) {
    over_all(c, "applying", |bench, name, case: Case, network| {
        let selection = pruner(network).plan(&network.module).expect("the step is planned");
        bench.bench_function(name, |b| {
            b.iter_batched(
                || {
                    let fresh = case.build();
                    (pruner(&fresh), fresh)
                },
                |(mut pruner, mut fresh)| {
                    let report = pruner.apply(&mut fresh.module, &mut (), &selection).expect("the step is applied");
                    assert!(report.pruned() && report.after.params < report.before.params);
                    (pruner, fresh)
                },
                BatchSize::PerIteration,
            );
        });
    });
}

criterion_group!(benches, applying);
criterion_main!(benches);
