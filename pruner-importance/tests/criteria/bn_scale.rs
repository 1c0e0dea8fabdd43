//! `bn-scale` by hand.

use pruner_core::deps::Layout;
use pruner_core::importance::score;
use pruner_importance::{BnScale, Normalizer, Reduction};

use crate::support::{Case, close, conv_bn_conv, table, tensor};

const NORM: (&str, &str) = ("aten::batch_norm", "weight");

#[test]
fn a_channel_is_worth_the_absolute_scale_of_its_norm() {
    close(&conv_bn_conv().scores(&BnScale::default()), &[12.0, 2.0]);
    close(&conv_bn_conv().scores(&BnScale::default().with_normalizer(Normalizer::Max)), &[1.0, 2.0 / 12.0]);
}

#[test]
fn the_scales_of_several_norms_are_averaged_unless_asked_otherwise() {
    let case = || conv_bn_conv().member(tensor(&[4.0, -6.0], &[2]), 0, Layout::Identity(2), NORM, true);
    close(&case().scores(&BnScale::default()), &[8.0, 4.0]);
    close(&case().scores(&BnScale::default().with_reduction(Reduction::None)), &[16.0, 8.0]);
    close(&case().scores(&BnScale::default().with_reduction(Reduction::Max)), &[12.0, 6.0]);
    close(&case().scores(&BnScale::default().with_reduction(Reduction::First)), &[12.0, 2.0]);
}

#[test]
fn a_norm_over_a_flattened_map_counts_every_position() {
    let layout = table(&[Some(0), Some(0), Some(1), Some(1), None]);
    let case = Case::new(2).member(tensor(&[1.0, -2.0, 3.0, 4.0, 9.0], &[5]), 0, layout, NORM, true);
    close(&case.scores(&BnScale::default()), &[3.0, 7.0]);
}

#[test]
fn a_group_without_batch_norm_has_no_score() {
    let layer_norm = ("aten::layer_norm", "weight");
    let bias_alone = ("aten::batch_norm", "bias");
    for reader in [layer_norm, bias_alone] {
        let case = Case::new(2).member(tensor(&[1.0, 2.0], &[2]), 0, Layout::Identity(2), reader, true);
        assert!(score(&BnScale::default(), &case.group, &case.weights()).expect("that is no error").is_none());
    }
}
