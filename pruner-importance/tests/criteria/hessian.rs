//! `hessian` by hand.

use pruner_core::importance::Signal;
use pruner_importance::{Hessian, Normalizer, Reduction};

use crate::support::{Case, close, conv_bn_conv, tensor};

fn with_squares() -> Case {
    // w² times it, of coordinate 0: 9·1 + 16·2 | 144·0.5 | 0 | 7056·0.25, of coordinate 1: 1·3 + 4·0 | 4·10 | 16·1 | 0.
    conv_bn_conv().signal(
        Signal::SquaredGradients,
        &[
            Some(&tensor(&[1.0, 2.0, 3.0, 0.0], &[2, 1, 1, 2])),
            Some(&tensor(&[0.5, 10.0], &[2])),
            Some(&tensor(&[7.0, 1.0], &[2])),
            None,
            Some(&tensor(&[0.25, 9.0], &[1, 2, 1, 1])),
        ],
    )
}

#[test]
fn the_score_is_half_of_the_sum_over_all_slices_norms_included() {
    close(&with_squares().scores(&Hessian::default()), &[0.5 * (41.0 + 72.0 + 1764.0), 0.5 * (3.0 + 40.0 + 16.0)]);
}

#[test]
fn a_reduction_is_of_the_halves() {
    let hessian = Hessian::default().with_reduction(Reduction::Max);
    close(&with_squares().scores(&hessian), &[882.0, 20.0]);
    close(&with_squares().scores(&hessian.with_normalizer(Normalizer::Max)), &[1.0, 20.0 / 882.0]);
}

#[test]
fn what_the_loss_does_not_depend_on_adds_nothing_and_alone_has_no_score() {
    let squares = tensor(&[0.5, 10.0], &[2]);
    let one = conv_bn_conv().signal(Signal::SquaredGradients, &[None, Some(&squares)]);
    close(&one.scores(&Hessian::default()), &[36.0, 20.0]);
    assert!(!conv_bn_conv().signal(Signal::SquaredGradients, &[]).is_scored(&Hessian::default()));
}
