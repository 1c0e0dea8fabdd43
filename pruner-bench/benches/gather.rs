//! The gather of kept slices against a plain copy of as many bytes.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pruner_core::aten::gather_slices;
use tch::{Device, Kind, Tensor};

/// Every other slice of a convolution's weights in both dimensions, and a copy of what is left.
fn gather(c: &mut Criterion) {
    const WIDTH: i64 = 1024;
    let weight = Tensor::randn([WIDTH, WIDTH, 3, 3], (Kind::Float, Device::Cpu));
    let kept: Vec<i64> = (0..WIDTH).step_by(2).collect();
    let slices = [Some(kept.as_slice()), Some(kept.as_slice()), None, None];
    let expected = {
        let index = Tensor::from_slice(&kept);
        weight.index_select(0, &index).index_select(1, &index)
    };
    let bytes = (expected.numel() * size_of::<f32>()) as u64;
    // `Tensor::copy` fills the copy with zeros first.
    let copied = || {
        let mut copy = expected.empty_like();
        copy.copy_(black_box(&expected));
        copy
    };
    let gathered = || gather_slices(&weight, &slices).expect("the slices are gathered");
    assert!(gathered().equal(&expected));

    let mut group = c.benchmark_group("gather");
    group.sample_size(20).throughput(Throughput::Bytes(bytes));
    group.bench_function("gather_slices", |b| {
        b.iter(|| {
            let slices = gathered();
            assert_eq!(slices.numel(), expected.numel());
            slices
        });
    });
    group.bench_function("copy", |b| {
        b.iter(|| {
            let copy = copied();
            assert_eq!(copy.numel(), expected.numel());
            copy
        });
    });
    group.finish();
    report_ratio(&gathered, &copied, bytes);
}

/// Prints the best of both, measured by turns so that what else the machine does slows one as much as the other.
fn report_ratio(gather: &dyn Fn() -> Tensor, copy: &dyn Fn() -> Tensor, bytes: u64) {
    const ROUNDS: usize = 100;
    let seconds = |f: &dyn Fn() -> Tensor| {
        let start = Instant::now();
        drop(black_box(f()));
        start.elapsed().as_secs_f64()
    };
    let best = |best: (f64, f64), _| (best.0.min(seconds(gather)), best.1.min(seconds(copy)));
    let (gather, copy) = (0..ROUNDS).fold((f64::INFINITY, f64::INFINITY), best);
    let rate = |seconds: f64| bytes as f64 / seconds / 1e9;
    eprintln!(
        "of kept bytes: gather_slices {:.2} GB/s, copy {:.2} GB/s, {:.2} of the rate of a copy",
        rate(gather),
        rate(copy),
        copy / gather
    );
}

criterion_group!(benches, gather);
criterion_main!(benches);
