//! Activations are gathered in the memory of a forward pass and what they are said to take. In a program of its own, so that no other test takes
//! memory meanwhile.
#![cfg(target_os = "linux")]

mod common;

use std::fs;

use common::Net;
use pruner::calibration::{Batch, gather};
use pruner::deps::{Analysis, Kept};
use pruner::exec::Mode;
use pruner::importance::Signal;
use tch::{Device, Kind, Tensor};

const MIB: u64 = 1 << 20;

/// A number of bytes that the system knows of this process.
fn bytes(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the system tells of the process");
    let line = status.lines().find(|line| line.starts_with(what)).expect("it tells this");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kilobytes * 1024
}

/// What `run` takes at most, beside what is there before.
fn peak(run: impl FnOnce()) -> u64 {
    // The largest amount so far begins anew.
    fs::write("/proc/self/clear_refs", "5").expect("a process may do so of itself");
    let before = bytes("VmRSS");
    run();
    bytes("VmHWM").saturating_sub(before)
}

#[test]
fn activations_of_a_large_batch_take_no_more_than_a_forward_pass_and_a_copy_of_the_largest() {
    let net = Net::mlp(&[64, 512, 512, 512, 512, 16]);
    let analysis = Analysis::new(net.module.graph()).expect("the graph is sound");
    let inputs = Tensor::randn([16_384, 64], (Kind::Float, Device::Cpu));
    let activation = 16_384 * 512 * 4;
    let forward = peak(|| {
        // On a copy of the inputs, as signals are gathered.
        let inputs = [inputs.copy()];
        drop(tch::no_grad(|| net.module.forward(&inputs, Mode::Eval)).expect("it runs"));
    });
    assert!(forward >= 2 * activation, "{} MiB", forward / MIB);
    for wanted in [Signal::Mean | Signal::Variance, Signal::MeanAbs | Signal::NonZero] {
        let batches = vec![Batch::new(vec![inputs.shallow_clone()])];
        let mut stated = 0;
        let taken = peak(|| {
            let signals =
                gather(&net.module, &analysis, &Kept::all(), wanted, &batches, None).expect("they are gathered");
            stated = signals.bytes();
        });
        let allowed = forward + activation + stated + 16 * MIB;
        assert!(taken <= allowed, "{wanted:?}: {} MiB were taken of {} MiB", taken / MIB, allowed / MIB);
    }
}
