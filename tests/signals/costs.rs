//! What a coordinate costs, by hand.

use pruner::importance::{Importance, Signal};
use pruner_bench::rng::Rng;
use pruner_importance::{Cost, GroupFisher};
use tch::nn;

use crate::support::{Wide, one};

/// conv (4 filters, to 2×4×6×6), ReLU, conv (3 filters, to 2×3×4×4), ReLU in place, and a linear layer over the flattened maps.
fn net() -> Wide {
    Wide::new(vec![Rng::new(9).tensor(&[2, 3, 8, 8], -1.0, 1.0)], |vs| {
        let [conv1, conv2] = [("conv1", 3, 4), ("conv2", 4, 3)]
            .map(|(name, from, to)| nn::conv2d(vs / name, from, to, 3, nn::ConvConfig::default()));
        let fc = nn::linear(vs / "fc", 3 * 16, 2, nn::LinearConfig::default());
        one(move |xs| xs.apply(&conv1).relu().apply(&conv2).relu_().flatten(1, -1).apply(&fc))
    })
}

#[test]
fn a_channel_frees_its_share_of_what_is_made_and_none_of_what_is_a_view() {
    let net = net();
    let signals = net.gather(Signal::Memory, &Vec::new());
    let freed: Vec<_> = net.groups().iter().map(|group| signals.memory(pruner::deps::Group::id(*group))).collect();
    // In double precision 2 samples of a map of the first convolution and of its ReLU, and one of the second alone: its ReLU is written
    // in place and what is flattened is a view of it.
    assert_eq!(freed, [Some(8 * 2 * 36 * 2), Some(8 * 2 * 16)]);
}

#[test]
fn group_fisher_by_memory_is_its_information_by_these_bytes() {
    let net = net();
    let wanted = GroupFisher::default().with_by(Cost::Memory);
    let signals = net.gather(wanted.needs(), &net.batches());
    let groups = net.groups();
    let mut weights = pruner::importance::Weights::new(0).with_signals(signals);
    for (_, value) in net.parameters() {
        weights.insert(value, net.module.tensor(value).expect("it is stored")).expect("it has no gradient");
    }
    for (group, bytes) in groups.into_iter().zip([8 * 2 * 36 * 2, 8 * 2 * 16]) {
        let by = |cost| wanted.with_by(cost).score(group, &weights).expect("it is scored").expect("it has a score");
        let expected = by(Cost::None) / f64::from(bytes);
        assert!(by(Cost::Memory).allclose(&expected, 1e-6, 0.0, false));
    }
}
