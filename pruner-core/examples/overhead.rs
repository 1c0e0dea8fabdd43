//! What running a graph costs beside the closure that it was traced from, and slicing beside a plain copy.
//!
//! `cargo run -p pruner-core --example overhead`
#![allow(clippy::print_stdout, reason = "its numbers are read by people")]

use std::hint::black_box;
use std::time::Instant;

use pruner_core::aten::gather_slices;
use pruner_core::trace::trace;
use tch::nn::{self, Module, ModuleT};
use tch::{Device, Kind, Tensor};

const ROUNDS: usize = 40;

type Kept<'a> = [Option<&'a [i64]>; 4];

fn main() {
    for batch in [1, 64] {
        network(batch);
    }
    operations();
    slices();
}

fn network(batch: i64) {
    let vs = nn::VarStore::new(Device::Cpu);
    let p = vs.root();
    let config = nn::ConvConfig { padding: 1, ..Default::default() };
    let conv1 = nn::conv2d(&p / "conv1", 1, 16, 3, config);
    let bn1 = nn::batch_norm2d(&p / "bn1", 16, nn::BatchNormConfig::default());
    let conv2 = nn::conv2d(&p / "conv2", 16, 32, 3, nn::ConvConfig { stride: 2, ..config });
    let bn2 = nn::batch_norm2d(&p / "bn2", 32, nn::BatchNormConfig::default());
    let fc = nn::linear(&p / "fc", 32, 10, nn::LinearConfig::default());
    let forward = |x: &Tensor, train: bool| {
        let x = x.apply(&conv1).apply_t(&bn1, train).relu().max_pool2d_default(2);
        let x = x.apply(&conv2).apply_t(&bn2, train).relu();
        fc.forward(&x.adaptive_avg_pool2d([1, 1]).flatten(1, -1))
    };
    let x = Tensor::randn([batch, 1, 28, 28], (Kind::Float, Device::Cpu));
    let module = trace(&vs, &[x.copy()], |xs| vec![forward(&xs[0], false)]).expect("the network is traced");
    for train in [false, true] {
        let step = |run: &dyn Fn() -> Tensor| {
            if train {
                run().sum(Kind::Float).backward();
            } else {
                let _no_grad = tch::no_grad_guard();
                drop(black_box(run()));
            }
        };
        let count = if batch == 1 { 20 } else { 1 };
        let (eager, graph) = race(count, || step(&|| forward(&x, train)), || step(&|| module.forward_t(&x, train)));
        let what = if train { "forward and backward" } else { "forward" };
        report(&format!("batch {batch}, {what}: eager, graph"), eager, graph);
    }
}

/// Operations on one number, so that next to nothing but the overhead is timed.
fn operations() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[1]);
    let forward = |x: &Tensor| (0..100).fold(x * &w, |y, _| y + &w);
    let x = Tensor::ones([1], (Kind::Float, Device::Cpu));
    let module = trace(&vs, &[x.copy()], |xs| vec![forward(&xs[0])]).expect("the network is traced");
    let _no_grad = tch::no_grad_guard();
    let (eager, graph) = race(20, || drop(forward(&x)), || drop(module.forward_t(&x, false)));
    report("101 additions of one number: eager, graph", eager, graph);
}

fn slices() {
    let pairs: Vec<i64> = (0..512).filter(|index| index % 4 < 2).collect();
    let half: Vec<i64> = (0..512).step_by(2).collect();
    let cases: [(&str, [i64; 4], Kept<'_>); 5] = [
        ("conv 512×512×3×3, half of both sides", [512, 512, 3, 3], [Some(&half), Some(&half), None, None]),
        ("conv 512×512×3×3, half of the outputs", [512, 512, 3, 3], [Some(&half), None, None, None]),
        ("linear 512×4096, every other output", [512, 4096, 1, 1], [Some(&half), None, None, None]),
        ("linear 4096×512, every other input", [4096, 512, 1, 1], [None, Some(&half), None, None]),
        ("linear 4096×512, pairs of inputs", [4096, 512, 1, 1], [None, Some(&pairs), None, None]),
    ];
    for (name, shape, kept) in cases {
        let tensor = Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let kept_tensor = gather_slices(&tensor, &kept).expect("the slices are there");
        let (copy, gather) =
            race(2, || drop(kept_tensor.copy()), || drop(gather_slices(&tensor, &kept).expect("the slices are there")));
        report(&format!("{name}: copy of what is kept, slices"), copy, gather);
        let select = || {
            let mut result = tensor.shallow_clone();
            for (dim, list) in kept.iter().enumerate() {
                if let Some(list) = list {
                    result = result.index_select(dim as i64, &Tensor::from_slice(list));
                }
            }
            drop(result);
        };
        let (copy, select) = race(2, || drop(kept_tensor.copy()), select);
        report(&format!("{name}: copy of what is kept, index_select"), copy, select);
    }
}

/// The least microseconds that each of two takes per call, measured in turns.
fn race(count: usize, mut first: impl FnMut(), mut second: impl FnMut()) -> (f64, f64) {
    let mut best = (f64::INFINITY, f64::INFINITY);
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..count).for_each(|_| run());
        start.elapsed().as_secs_f64() * 1e6 / count as f64
    };
    for _ in 0..ROUNDS {
        best.0 = best.0.min(time(&mut first));
        best.1 = best.1.min(time(&mut second));
    }
    best
}

fn report(what: &str, first: f64, second: f64) {
    println!("{what}: {first:.1} µs, {second:.1} µs, ratio {:.3}", second / first);
}
