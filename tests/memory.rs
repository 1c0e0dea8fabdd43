//! A step takes no more memory than what it keeps, beside the network itself. In a program of its own, so that no other
//! test takes memory meanwhile.
#![cfg(target_os = "linux")]

mod common;

use common::{Net, peak, settings};
use pruner::pruner::{GroupPruner, Pruner as _};
use tch::Tensor;

const MIB: u64 = 1 << 20;

fn stored(net: &Net) -> u64 {
    net.module.named_tensors().iter().map(|(_, tensor): &(String, Tensor)| 4 * tensor.numel() as u64).sum()
}

#[test]
fn a_step_needs_what_it_keeps_beside_the_network() {
    let mut net = Net::mlp(&[64, 3072, 3072, 3072, 3072, 64]);
    let whole = stored(&net);
    assert!(whole > 100 * MIB);
    let mut pruner = GroupPruner::new(&net.module, settings(0.2)).expect("the settings are sound");
    let (report, peak) = peak(|| pruner.step(&mut net.module, &mut ()).expect("it is cut"));
    assert!(report.pruned());
    let kept = stored(&net);
    assert!(kept < whole * 7 / 10, "{kept} of {whole}");
    assert!(peak >= kept / 2, "what is kept is copied, and {} MiB were taken", peak / MIB);
    assert!(peak <= kept + 16 * MIB, "{} MiB were taken to keep {}", peak / MIB, kept / MIB);
}
