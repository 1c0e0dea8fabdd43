//! `taylor-gate` by hand.

use pruner_core::importance::{Importance, Signal};
use pruner_importance::{Gate, Normalizer, TaylorGate};

use crate::support::{Case, close, conv_bn_conv, tensor};

#[test]
fn at_activations_it_is_the_effect_of_the_gate() {
    let case = Case::new(2).gate(Signal::Gate, &[3.0, 0.5]);
    close(&case.scores(&TaylorGate::default()), &[3.0, 0.5]);
    close(&case.scores(&TaylorGate::default().with_normalizer(Normalizer::Sum)), &[6.0 / 7.0, 1.0 / 7.0]);
    assert!(!Case::new(2).signal(Signal::Gate, &[]).is_scored(&TaylorGate::default()));
}

#[test]
fn at_batch_norms_it_is_the_square_of_what_scale_and_shift_do_together() {
    let at = TaylorGate::default().with_at(Gate::BatchNorm);
    assert_eq!(at.needs(), Signal::Gradients);
    // g·γ: −12, −2; g·β: 0, 8; the gradients of the convolutions do not count.
    let gradients = [
        Some(tensor(&[1.0, -1.0, 2.0, -1.0], &[2, 1, 1, 2])),
        Some(tensor(&[1.0, -1.0], &[2])),
        Some(tensor(&[5.0, 2.0], &[2])),
    ];
    let case = conv_bn_conv().gradients(&gradients.iter().map(Option::as_ref).collect::<Vec<_>>());
    close(&case.scores(&at), &[144.0, 36.0]);
    let without = Case::new(1).plain(tensor(&[1.0], &[1]), 0).gradients(&[Some(&tensor(&[1.0], &[1]))]);
    assert!(!without.is_scored(&at));
}
