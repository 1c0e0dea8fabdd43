//! `snip` by hand.

use pruner_core::importance::Signal;
use pruner_importance::{Reduction, Snip, Taylor, Terms};

use crate::support::{Case, close, conv_bn_conv, tensor};

#[test]
fn no_two_connections_cancel() {
    // abs(g·w) of coordinate 0: 3, 4 | 12 | 0 | 21, of coordinate 1: 2, 2 | 2 | 8 | 0.
    let gradients = [
        Some(tensor(&[1.0, -1.0, 2.0, -1.0], &[2, 1, 1, 2])),
        Some(tensor(&[1.0, -1.0], &[2])),
        Some(tensor(&[5.0, 2.0], &[2])),
        None,
        Some(tensor(&[0.25, 7.0], &[1, 2, 1, 1])),
    ];
    let gradients: Vec<_> = gradients.iter().map(Option::as_ref).collect();
    let left = conv_bn_conv().gradients(&gradients);
    let gathered = conv_bn_conv().signal(Signal::Gradients, &gradients);
    for case in [left, gathered] {
        close(&case.scores(&Snip::default()), &[40.0, 14.0]);
        close(&case.scores(&Snip::default().with_reduction(Reduction::First)), &[7.0, 4.0]);
    }
}

#[test]
fn gradients_that_were_gathered_go_before_those_that_a_loss_left() {
    let case = Case::new(1).plain(tensor(&[2.0], &[1]), 0).gradients(&[Some(&tensor(&[100.0], &[1]))]);
    close(&case.scores(&Snip::default()), &[200.0]);
    let case = case.signal(Signal::Gradients, &[Some(&tensor(&[3.0], &[1]))]);
    close(&case.scores(&Snip::default()), &[6.0]);
    close(&case.scores(&Taylor::default()), &[36.0]);
}

#[test]
fn it_is_taylor_per_weight() {
    tch::manual_seed(1);
    let case = conv_bn_conv().random_gradients();
    close(&case.scores(&Snip::default()), &case.scores(&Taylor::default().with_terms(Terms::PerWeight)));
}
