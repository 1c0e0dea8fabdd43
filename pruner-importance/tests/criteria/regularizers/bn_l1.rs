//! `bn-l1` by hand.

use pruner_core::deps::Layout;
use pruner_importance::regularizers::BnL1;

use super::{added, error, zeroed};
use crate::support::{Case, conv_bn_conv, table, tensor};

const NORM: (&str, &str) = ("aten::batch_norm", "weight");

#[test]
fn the_scales_of_batch_norms_are_drawn_to_zero_and_nothing_else() {
    let found = added(&zeroed(conv_bn_conv()), &mut BnL1::default().with_lambda(0.5));
    assert_eq!(found, [vec![0.0; 4], vec![-0.5, 0.5], vec![0.0; 2], vec![], vec![0.0; 2]]);
}

#[test]
fn a_scale_of_zero_stays_and_one_of_another_group_is_left_alone() {
    let layout = table(&[Some(1), None, Some(0), Some(0)]);
    let case = Case::new(2).member(tensor(&[-2.0, 7.0, 0.0, 3.0], &[4]), 0, layout, NORM, true);
    assert_eq!(added(&zeroed(case), &mut BnL1 { lambda: 0.25 }), [[-0.25, 0.0, 0.0, 0.25]]);
}

#[test]
fn the_scale_of_a_layer_norm_is_none_of_a_batch_norm() {
    let layer_norm = ("aten::layer_norm", "weight");
    let case = Case::new(2).member(tensor(&[1.0, 2.0], &[2]), 0, Layout::Identity(2), layer_norm, true);
    assert_eq!(added(&zeroed(case), &mut BnL1::default()), [[0.0, 0.0]]);
}

#[test]
fn a_factor_that_is_no_number_from_zero_up_is_refused() {
    for lambda in [-1.0, f64::NAN, f64::INFINITY] {
        let message = error(&zeroed(conv_bn_conv()), &mut BnL1 { lambda });
        assert_eq!(message, format!("regularizer `bn-l1`: lambda is {lambda}; it is a finite number, at least 0"));
    }
}
