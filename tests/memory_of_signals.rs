//! Activations are gathered in the memory of a forward pass and what they are said to take. In a program of its own, so that no other test takes
//! memory meanwhile.
#![cfg(target_os = "linux")]

mod common;

use common::{Net, peak};
use pruner::calibration::{Batch, gather};
use pruner::deps::{Analysis, Kept};
use pruner::exec::Mode;
use pruner::importance::Signal;
use tch::{Device, Kind, Tensor};

const MIB: u64 = 1 << 20;

#[test]
fn activations_of_a_large_batch_take_no_more_than_a_forward_pass_and_a_copy_of_the_largest() {
    let net = Net::mlp(&[64, 512, 512, 512, 512, 16]);
    let analysis = Analysis::new(net.module.graph()).expect("the graph is sound");
    let inputs = Tensor::randn([16_384, 64], (Kind::Float, Device::Cpu));
    let activation = 16_384 * 512 * 4;
    let ((), forward) = peak(|| {
        // On a copy of the inputs, as signals are gathered.
        let inputs = [inputs.copy()];
        drop(tch::no_grad(|| net.module.forward(&inputs, Mode::Eval)).expect("it runs"));
    });
    assert!(forward >= 2 * activation, "{} MiB", forward / MIB);
    for wanted in [Signal::Mean | Signal::Variance, Signal::MeanAbs | Signal::NonZero] {
        let batches = vec![Batch::new(vec![inputs.shallow_clone()])];
        let (stated, taken) = peak(|| {
            let signals = gather(&net.module, &analysis, &Kept::all(), wanted, &batches, None);
            signals.expect("they are gathered").bytes()
        });
        let allowed = forward + activation + stated + 16 * MIB;
        assert!(taken <= allowed, "{wanted:?}: {} MiB were taken of {} MiB", taken / MIB, allowed / MIB);
    }
}
