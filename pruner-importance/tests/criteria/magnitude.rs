//! `magnitude` by hand.

use pruner_core::deps::Layout;
use pruner_core::importance::importance_from;
use pruner_importance::{Magnitude, Norm, Normalizer, Reduction};
use serde_json::json;
use tch::{Kind, Tensor};

use crate::support::{Case, close, conv_bn_conv, numbers, table, tensor};

fn raw(p: Norm, reduction: Reduction) -> Magnitude {
    Magnitude { p, reduction, normalizer: Normalizer::None }
}

#[test]
fn all_slices_of_a_coordinate_are_one_vector() {
    // Coordinate 0: 3, −4 | −12 | 0 | 84; coordinate 1: 1, 2 | 2 | 4 | 0. The running mean does not count.
    let case = conv_bn_conv();
    close(&case.scores(&raw(Norm::One, Reduction::None)), &[103.0, 9.0]);
    close(&case.scores(&raw(Norm::Two, Reduction::None)), &[85.0, 5.0]);
    close(&case.scores(&raw(Norm::Max, Reduction::None)), &[84.0, 4.0]);
}

#[test]
fn members_are_reduced_as_asked() {
    // 2-norms of the members: 5, 12, 0, 84 and √5, 2, 4, 0.
    let case = conv_bn_conv();
    let root = 5_f32.sqrt();
    close(&case.scores(&raw(Norm::Two, Reduction::Sum)), &[101.0, 6.0 + root]);
    close(&case.scores(&raw(Norm::Two, Reduction::Mean)), &[25.25, (6.0 + root) / 4.0]);
    close(&case.scores(&raw(Norm::Two, Reduction::Max)), &[84.0, 4.0]);
    close(&case.scores(&raw(Norm::Two, Reduction::First)), &[5.0, root]);
    close(&case.scores(&raw(Norm::Two, Reduction::Prod)), &[0.0, 0.0]);
    let without_zeros = Case::new(2).plain(tensor(&[2.0, 3.0], &[2]), 0).plain(tensor(&[5.0, -7.0], &[1, 2]), 1);
    close(&without_zeros.scores(&raw(Norm::One, Reduction::Prod)), &[10.0, 21.0]);
}

#[test]
fn the_default_is_the_2_norm_relative_to_the_mean_of_the_group() {
    close(&conv_bn_conv().scores(&Magnitude::default()), &[85.0 / 45.0, 5.0 / 45.0]);
}

#[test]
fn positions_of_a_product_go_to_their_coordinates() {
    // Two heads of three: as heads the coordinate is the outer factor, as head dimensions the inner one.
    let weight = || tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, -6.0], &[6, 1]);
    let heads = table(&[0, 0, 0, 1, 1, 1].map(Some));
    let dims = table(&[0, 1, 2, 0, 1, 2].map(Some));
    close(&Case::new(2).weight(weight(), 0, heads.clone()).scores(&raw(Norm::One, Reduction::None)), &[6.0, 15.0]);
    close(&Case::new(2).weight(weight(), 0, heads).scores(&raw(Norm::Max, Reduction::None)), &[3.0, 6.0]);
    close(&Case::new(3).weight(weight(), 0, dims).scores(&raw(Norm::One, Reduction::None)), &[5.0, 7.0, 9.0]);
}

#[test]
fn positions_of_other_groups_do_not_count() {
    let layout = table(&[None, Some(1), None, Some(0), Some(1)]);
    let case = Case::new(2).weight(tensor(&[100.0, 2.0, 100.0, 7.0, 3.0], &[5]), 0, layout);
    close(&case.scores(&raw(Norm::One, Reduction::None)), &[7.0, 5.0]);
    close(&case.scores(&raw(Norm::Max, Reduction::None)), &[7.0, 3.0]);
}

#[test]
fn a_member_without_a_coordinate_does_not_count_for_it() {
    // Coordinate 2 does not occur in the first member.
    let case = || {
        Case::new(3)
            .weight(tensor(&[2.0, 4.0], &[2]), 0, table(&[Some(0), Some(1)]))
            .plain(tensor(&[10.0, 20.0, 30.0], &[3]), 0)
    };
    close(&case().scores(&raw(Norm::One, Reduction::Mean)), &[6.0, 12.0, 30.0]);
    close(&case().scores(&raw(Norm::One, Reduction::Prod)), &[20.0, 80.0, 30.0]);
    close(&case().scores(&raw(Norm::One, Reduction::First)), &[2.0, 4.0, 30.0]);
    close(&case().scores(&raw(Norm::One, Reduction::Max)), &[10.0, 20.0, 30.0]);
    close(&case().scores(&raw(Norm::One, Reduction::Sum)), &[12.0, 24.0, 30.0]);
}

#[test]
fn nan_is_passed_on_to_its_coordinate_and_to_no_other() {
    let case = Case::new(2).plain(tensor(&[1.0, 2.0, 3.0, f32::NAN], &[2, 2]), 0).weight(
        tensor(&[1.0, 2.0, 3.0, 4.0], &[4]),
        0,
        table(&[0, 1, 0, 1].map(Some)),
    );
    for p in [Norm::One, Norm::Two, Norm::Max] {
        for reduction in [Reduction::None, Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Prod] {
            let scores = case.scores(&raw(p, reduction));
            assert!(scores[0].is_finite() && scores[1].is_nan(), "{p:?} {reduction:?}: {scores:?}");
        }
    }
}

#[test]
fn every_floating_point_type_is_scored_in_single_precision() {
    for kind in [Kind::Half, Kind::BFloat16, Kind::Float, Kind::Double] {
        // 300² overflows half precision.
        let case = Case::new(2).plain(tensor(&[300.0, 400.0, 3.0, 4.0], &[2, 2]).to_kind(kind), 0);
        close(&case.scores(&raw(Norm::Two, Reduction::None)), &[500.0, 5.0]);
    }
}

#[test]
fn a_group_without_trained_members_has_no_score() {
    let case = Case::new(2).member(
        tensor(&[1.0, 2.0], &[2]),
        0,
        Layout::Identity(2),
        ("aten::batch_norm", "running_mean"),
        false,
    );
    let score = pruner_core::importance::score(&Magnitude::default(), &case.group, &case.weights());
    assert!(score.expect("that is no error").is_none());
}

#[test]
fn nothing_folds_to_zero() {
    for p in [Norm::One, Norm::Two, Norm::Max] {
        let importance = raw(p, Reduction::None).with_normalizer(Normalizer::Mean);
        close(&Case::new(0).plain(tensor(&[], &[0, 3]), 0).scores(&importance), &[]);
        close(&Case::new(0).weight(tensor(&[1.0], &[1]), 0, table(&[None])).scores(&importance), &[]);
        close(&Case::new(2).plain(tensor(&[], &[2, 0]), 0).scores(&importance), &[0.0, 0.0]);
        close(&Case::new(2).weight(tensor(&[], &[0]), 0, table(&[])).scores(&importance), &[0.0, 0.0]);
    }
}

#[test]
fn a_view_that_is_not_contiguous_is_scored_as_its_copy() {
    let weight = Tensor::randn([3, 4, 5, 2], (Kind::Float, tch::Device::Cpu));
    let strided = weight.permute([2, 0, 3, 1]);
    let importance = raw(Norm::Two, Reduction::None);
    let case = Case::new(5).plain(strided.copy(), 0);
    let expected = case.scores(&importance);
    let mut weights = pruner_core::importance::Weights::new(0);
    weights.insert(case.group.members[0].value, &strided).expect("a view is a tensor");
    let score = pruner_core::importance::score(&importance, &case.group, &weights);
    close(&numbers(&score.expect("a score").expect("a score")), &expected);
}

#[test]
fn what_cannot_be_scored_is_named() {
    let wrong = "importance `magnitude` on group `conv1.weight:0`: ";
    let integers = Case::new(2).plain(Tensor::from_slice(&[1_i64, 2]), 0);
    assert_eq!(
        integers.error(&Magnitude::default()),
        format!("{wrong}`parameter0` has elements of type Int64; a score is computed from real floating-point numbers")
    );
    let shorter = Case::new(2).weight(tensor(&[1.0, 2.0, 3.0], &[3, 1]), 0, Layout::Identity(2));
    assert_eq!(
        shorter.error(&Magnitude::default()),
        format!("{wrong}`parameter0` has shape [3, 1], but the group has 2 positions in dimension 0")
    );
    let flat = Case::new(2).weight(tensor(&[1.0, 2.0], &[2]), 1, Layout::Identity(2));
    assert_eq!(
        flat.error(&Magnitude::default()),
        format!("{wrong}`parameter0` has shape [2], but the group has 2 positions in dimension 1")
    );
    let beyond = Case::new(2).weight(tensor(&[1.0, 2.0], &[2]), 0, table(&[Some(0), Some(2)]));
    assert_eq!(beyond.error(&Magnitude::default()), format!("{wrong}`parameter0` names coordinate 2 of a group of 2"));
    let mut strange = conv_bn_conv();
    strange.tensors.pop();
    assert_eq!(
        strange.error(&Magnitude::default()),
        format!(
            "{wrong}there is no tensor for `parameter4`; the weights were collected from another network than the groups"
        )
    );
}

#[test]
fn p_is_1_or_2_or_inf() {
    let read =
        |p: serde_json::Value| importance_from("magnitude", json!({ "p": p })).map_err(|error| error.to_string());
    for (p, norm) in [(json!(1), Norm::One), (json!(2.0), Norm::Two), (json!("inf"), Norm::Max)] {
        let importance = read(p).expect("p is right");
        close(&conv_bn_conv().scores(&*importance), &conv_bn_conv().scores(&Magnitude::default().with_p(norm)));
    }
    for (p, found) in [(json!(3), "3"), (json!(0.5), "0.5"), (json!("two"), "\"two\"")] {
        let expected = format!("importance `magnitude`: p is 1, 2 or \"inf\", not {found}");
        assert_eq!(read(p).expect_err("p is wrong"), expected);
    }
    assert_eq!(read(json!([1])).expect_err("p is wrong"), "importance `magnitude`: p is 1, 2 or \"inf\"");
}
