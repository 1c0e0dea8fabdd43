//! A network written as an archive of `torch.export`, and the archive read: its program, and its tensors, too.

mod common;

use common::over_all;
use criterion::{Criterion, criterion_group, criterion_main};
use pruner_core::exec::{GraphModule, Mode};
use pruner_core::pt2::Pt2;
use tch::Device;

fn archives(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is a temporary folder");
    let file = dir.path().join("network.pt2");
    over_all(c, "writing", |bench, name, _, network| {
        bench.bench_function(name, |b| {
            b.iter(|| {
                network.module.save(&network.inputs, Mode::Eval, &file).expect("it is written");
                let bytes = file.metadata().expect("it is there").len();
                assert!(bytes > network.graph().nodes().len() as u64, "{bytes} bytes");
            });
        });
    });
    over_all(c, "reading", |bench, name, _, network| {
        network.module.save(&network.inputs, Mode::Eval, &file).expect("it is written");
        bench.bench_function(name, |b| {
            b.iter(|| {
                let program = Pt2::open(&file).expect("it is read");
                assert_eq!(program.graph().nodes().len(), network.graph().nodes().len());
                program
            });
        });
    });
    over_all(c, "loading", |bench, name, _, network| {
        network.module.save(&network.inputs, Mode::Eval, &file).expect("it is written");
        let expected = network.module.named_tensors().len();
        bench.bench_function(name, |b| {
            b.iter(|| {
                let program = Pt2::open(&file).expect("it is read");
                let module = GraphModule::load(&program, Device::Cpu).expect("it is loaded");
                assert_eq!(module.named_tensors().len(), expected);
                module
            });
        });
    });
}

criterion_group!(benches, archives);
criterion_main!(benches);
