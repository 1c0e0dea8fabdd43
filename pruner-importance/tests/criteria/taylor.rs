//! `taylor` by hand.

use pruner_core::deps::Layout;
use pruner_core::importance::score;
use pruner_importance::{Reduction, Taylor, Terms};
use tch::Kind;

use crate::support::{Case, close, conv_bn_conv, table, tensor};

fn with_gradients() -> Case {
    // g·w of coordinate 0: 3, 4 | −12 | 0 | 84·¼ = 21, of coordinate 1: 2, −2 | −2 | 8 | 0.
    conv_bn_conv().gradients(&[
        Some(&tensor(&[1.0, -1.0, 2.0, -1.0], &[2, 1, 1, 2])),
        Some(&tensor(&[1.0, -1.0], &[2])),
        Some(&tensor(&[5.0, 2.0], &[2])),
        None,
        Some(&tensor(&[0.25, 7.0], &[1, 2, 1, 1])),
    ])
}

#[test]
fn the_sum_is_over_all_slices_norms_included_and_squared() {
    close(&with_gradients().scores(&Taylor::default()), &[16.0 * 16.0, 6.0 * 6.0]);
}

#[test]
fn per_weight_nothing_cancels() {
    close(&with_gradients().scores(&Taylor::default().with_terms(Terms::PerWeight)), &[40.0, 14.0]);
}

#[test]
fn each_member_is_squared_by_itself_if_they_are_summed() {
    let importance = Taylor::default().with_reduction(Reduction::Sum);
    close(&with_gradients().scores(&importance), &[49.0 + 144.0 + 441.0, 4.0 + 64.0]);
}

#[test]
fn positions_of_one_coordinate_are_summed_before_the_square() {
    let layout = table(&[Some(1), Some(0), None, Some(1)]);
    let case = Case::new(2)
        .weight(tensor(&[1.0, 2.0, 3.0, 4.0], &[1, 4]), 1, layout)
        .gradients(&[Some(&tensor(&[1.0, -1.0, 9.0, -1.0], &[1, 4]))]);
    close(&case.scores(&Taylor::default()), &[4.0, 9.0]);
}

#[test]
fn without_any_gradient_it_says_what_to_do() {
    assert_eq!(
        conv_bn_conv().error(&Taylor::default()),
        "importance `taylor` on group `conv1.weight:0`: no parameter has a gradient; call `backward` on a loss before \
         the step, and clear gradients after it"
    );
}

#[test]
fn a_member_that_the_loss_does_not_depend_on_adds_nothing() {
    let case = conv_bn_conv().gradients(&[Some(&tensor(&[1.0, -1.0, 2.0, -1.0], &[2, 1, 1, 2]))]);
    close(&case.scores(&Taylor::default()), &[49.0, 0.0]);
}

#[test]
fn a_group_that_the_loss_does_not_depend_on_has_no_score() {
    let mut case = Case::new(1).plain(tensor(&[1.0], &[1]), 0).plain(tensor(&[1.0], &[1]), 0);
    case = case.gradients(&[None, Some(&tensor(&[1.0], &[1]))]);
    case.group.members.pop();
    assert!(score(&Taylor::default(), &case.group, &case.weights()).expect("that is no error").is_none());
}

#[test]
fn small_half_precision_products_do_not_vanish() {
    let small = tensor(&[1e-5, 2e-5], &[2]).to_kind(Kind::Half);
    let case = Case::new(2).plain(small.copy(), 0).gradients(&[Some(&small)]);
    let scores = case.scores(&Taylor::default().with_terms(Terms::PerWeight));
    assert!(scores[0] > 5e-11 && scores[1] > 3e-10, "{scores:?}");
}

#[test]
fn a_gradient_of_another_shape_is_refused() {
    let weight = tensor(&[1.0, 2.0, 3.0], &[3]).set_requires_grad(true);
    weight.sum(Kind::Float).backward();
    let mut cut = weight.shallow_clone();
    cut.set_data(&tensor(&[1.0, 2.0], &[2]));
    let mut weights = pruner_core::importance::Weights::new(0);
    let error = weights.insert(pruner_core::ids::ValueId::new(7), &cut).expect_err("the gradient is too long");
    assert_eq!(error.to_string(), "the gradient of v7 has shape [3] and its parameter [2]; compute it anew");
}

#[test]
fn a_frozen_member_adds_nothing() {
    let case = with_gradients().member(tensor(&[5.0, 5.0], &[2]), 0, Layout::Identity(2), ("aten::add", "other"), true);
    let _frozen = case.tensors[5].set_requires_grad(false);
    close(&case.scores(&Taylor::default()), &[256.0, 36.0]);
}
