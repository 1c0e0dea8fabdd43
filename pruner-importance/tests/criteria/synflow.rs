//! `synflow` by hand.

use pruner_core::importance::Signal;
use pruner_importance::{Reduction, SynFlow};

use crate::support::{close, conv_bn_conv, tensor};

#[test]
fn the_score_is_the_flow_through_absolute_weights() {
    let case = conv_bn_conv().signal(
        Signal::SynapticFlow,
        &[
            Some(&tensor(&[1.0, 2.0, 3.0, 4.0], &[2, 1, 1, 2])),
            Some(&tensor(&[0.5, 10.0], &[2])),
            Some(&tensor(&[7.0, 1.0], &[2])),
            None,
            Some(&tensor(&[0.25, 9.0], &[1, 2, 1, 1])),
        ],
    );
    close(&case.scores(&SynFlow::default()), &[3.0 + 8.0 + 6.0 + 21.0, 3.0 + 8.0 + 20.0 + 4.0]);
    close(&case.scores(&SynFlow::default().with_reduction(Reduction::Mean)), &[38.0 / 4.0, 35.0 / 4.0]);
}
