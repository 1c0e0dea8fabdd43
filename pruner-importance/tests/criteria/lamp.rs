//! `lamp` by hand.

use pruner_importance::{Lamp, Reduction};

use crate::support::{Case, close, conv_bn_conv, tensor};

#[test]
fn a_coordinate_is_measured_by_those_that_are_as_large_or_larger() {
    // Squared norms 4, 1, 5 and 0.
    let case = Case::new(4).plain(tensor(&[2.0, 0.0, 0.0, 1.0, 1.0, 2.0, 0.0, 0.0], &[4, 2]), 0);
    close(&case.scores(&Lamp::default()), &[4.0 / 9.0, 0.1, 1.0, 0.0]);
}

#[test]
fn all_slices_count_unless_asked_otherwise() {
    // 3² + 4² + 12² + 84² and 1 + 2² + 2² + 4²; of the filters alone 25 and 5.
    close(&conv_bn_conv().scores(&Lamp::default()), &[1.0, 25.0 / 7250.0]);
    close(&conv_bn_conv().scores(&Lamp::default().with_reduction(Reduction::First)), &[1.0, 5.0 / 30.0]);
}
