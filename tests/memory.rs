//! A step takes no more memory than what it keeps, beside the network itself. In a program of its own, so that no other
//! test takes memory meanwhile.
#![cfg(target_os = "linux")]

mod common;

use std::fs;

use common::{Net, settings};
use pruner::pruner::{GroupPruner, Pruner as _};
use tch::Tensor;

const MIB: u64 = 1 << 20;

/// A number of bytes that the system knows of this process.
fn bytes(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the system tells of the process");
    let line = status.lines().find(|line| line.starts_with(what)).expect("it tells this");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kilobytes * 1024
}

fn stored(net: &Net) -> u64 {
    net.module.named_tensors().iter().map(|(_, tensor): &(String, Tensor)| 4 * tensor.numel() as u64).sum()
}

#[test]
fn a_step_needs_what_it_keeps_beside_the_network() {
    let mut net = Net::mlp(&[64, 3072, 3072, 3072, 3072, 64]);
    let whole = stored(&net);
    assert!(whole > 100 * MIB);
    let mut pruner = GroupPruner::new(&net.module, settings(0.2)).expect("the settings are sound");
    // The largest amount so far begins anew.
    fs::write("/proc/self/clear_refs", "5").expect("a process may do so of itself");
    let before = bytes("VmRSS");
    let report = pruner.step(&mut net.module, &mut ()).expect("it is cut");
    assert!(report.pruned());
    let (peak, kept) = (bytes("VmHWM") - before, stored(&net));
    assert!(kept < whole * 7 / 10, "{kept} of {whole}");
    assert!(peak >= kept / 2, "what is kept is copied, and {} MiB were taken", peak / MIB);
    assert!(peak <= kept + 16 * MIB, "{} MiB were taken to keep {}", peak / MIB, kept / MIB);
}
