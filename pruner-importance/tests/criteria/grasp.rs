//! `grasp` by hand.

use pruner_core::importance::Signal;
use pruner_importance::{Grasp, Normalizer};

use crate::support::{close, conv_bn_conv, tensor};

#[test]
fn the_score_keeps_its_sign() {
    let case = conv_bn_conv().signal(
        Signal::HessianGradients,
        &[
            Some(&tensor(&[1.0, 2.0, 3.0, 4.0], &[2, 1, 1, 2])),
            Some(&tensor(&[0.5, -10.0], &[2])),
            None,
            None,
            Some(&tensor(&[-0.25, 9.0], &[1, 2, 1, 1])),
        ],
    );
    // 3 − 8 | −6 | | −21 and 3 + 8 | −20 | | 0.
    close(&case.scores(&Grasp::default()), &[-32.0, -9.0]);
    close(&case.scores(&Grasp::default().with_normalizer(Normalizer::Standardization)), &[0.0, 1.0]);
}
