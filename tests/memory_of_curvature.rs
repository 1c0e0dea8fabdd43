//! `H·g` is gathered in four times the memory of the parameters. In a program of its own, so that no other test takes memory meanwhile.
#![cfg(target_os = "linux")]

mod common;

use common::{Net, peak};
use pruner::calibration::{Batch, gather};
use pruner::deps::{Analysis, Kept};
use pruner::importance::Signal;
use tch::{Device, Kind, Tensor};

const MIB: u64 = 1 << 20;

#[test]
fn the_curvature_takes_four_times_the_parameters() {
    // Weights so large that libtorch gives their memory back to the system at once.
    let net = Net::mlp(&[64, 3072, 3072, 3072, 3072, 16]);
    let analysis = Analysis::new(net.module.graph()).expect("the graph is sound");
    let params: u64 = net.module.parameters().iter().map(|(_, tensor)| 4 * tensor.numel() as u64).sum();
    let batches: Vec<Batch> =
        (0..2).map(|_| Batch::new(vec![Tensor::randn([4, 64], (Kind::Float, Device::Cpu))])).collect();
    let loss = |outputs: &[Tensor], _: &[Tensor]| outputs[0].f_square()?.f_mean(None);
    let wanted = Signal::HessianGradients.into();
    let (stated, taken) = peak(|| {
        let signals = gather(&net.module, &analysis, &Kept::all(), wanted, &batches, Some(&loss));
        signals.expect("they are gathered").bytes()
    });
    assert_eq!(stated, params);
    let allowed = 4 * params + 16 * MIB;
    assert!(taken <= allowed, "{} MiB were taken of {} MiB", taken / MIB, allowed / MIB);
}
