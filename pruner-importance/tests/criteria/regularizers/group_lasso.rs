//! `group-lasso` by hand.

use pruner_core::deps::{Group, Layout};
use pruner_core::ids::{GroupId, ValueId};
use pruner_core::regularizer::{Gradients, penalize};
use pruner_importance::regularizers::GroupLasso;
use tch::Kind;

use super::{added, error, gradients, zeroed};
use crate::support::{Case, close, conv_bn_conv, table, tensor};

#[test]
fn a_coordinate_is_drawn_to_zero_along_its_weights() {
    // The norms of the coordinates are 85 and 5, of 5 weights each.
    let found = added(&zeroed(conv_bn_conv()), &mut GroupLasso { lambda: 2.0 });
    let root = 2.0 * 5.0_f32.sqrt();
    let (a, b) = (root / 85.0, root / 5.0);
    close(&found[0], &[3.0 * a, -4.0 * a, b, 2.0 * b]);
    close(&found[1], &[-12.0 * a, 2.0 * b]);
    close(&found[2], &[0.0, 4.0 * b]);
    assert!(found[3].is_empty(), "statistics are not trained");
    close(&found[4], &[84.0 * a, 0.0]);
}

#[test]
fn a_coordinate_of_zeros_stays_and_one_that_is_nearly_zero_is_finite() {
    for small in [0.0, 1e-40, 1e-25] {
        let case = zeroed(Case::new(2).plain(tensor(&[small, 3.0], &[2]), 0));
        let found = added(&case, &mut GroupLasso { lambda: 1.0 });
        assert!((0.0..=1.0).contains(&found[0][0]), "{small}: {found:?}");
        close(&found[0][1..], &[1.0]);
    }
}

#[test]
fn coordinates_count_the_weights_that_they_have() {
    // Coordinate 0 has four weights of norm 2 and coordinate 1 two of norm 5; the last row is of another group.
    let weights = tensor(&[1.0, 1.0, 3.0, 4.0, 1.0, 1.0, 9.0, 9.0], &[4, 2]);
    let case = zeroed(Case::new(2).weight(weights, 0, table(&[Some(0), Some(1), Some(0), None])));
    let found = added(&case, &mut GroupLasso { lambda: 1.0 });
    let root = 2.0_f32.sqrt();
    close(&found[0], &[1.0, 1.0, 3.0 * root / 5.0, 4.0 * root / 5.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn what_has_no_gradient_does_not_count() {
    let case = || Case::new(1).plain(tensor(&[3.0, 4.0], &[1, 2]), 0).plain(tensor(&[12.0], &[1]), 0);
    let close_to = |case: &Case, expected: f32| {
        let found = added(case, &mut GroupLasso { lambda: 1.0 });
        close(&found[0], &[3.0 * expected, 4.0 * expected]);
    };
    close_to(&zeroed(case()), 3.0_f32.sqrt() / 13.0);
    let mut frozen = case();
    frozen.tensors[1] = frozen.tensors[1].set_requires_grad(false);
    close_to(&zeroed(frozen), 2.0_f32.sqrt() / 5.0);
}

#[test]
fn a_weight_between_two_groups_gets_the_terms_of_both() {
    let mut case = zeroed(Case::new(2).plain(tensor(&[3.0, 4.0, 0.0, 1.0], &[2, 2]), 0));
    let mut other = Case::new(2).plain(tensor(&[0.0; 4], &[2, 2]), 1);
    other.group.id = GroupId::new(1);
    let groups: [&dyn Group; 2] = [&case.group, &other.group];
    let mut slopes = Gradients::new();
    slopes.insert(ValueId::new(0), &case.tensors[0]).expect("it has a gradient");
    penalize(&mut GroupLasso { lambda: 1.0 }, &groups, &case.weights(), &mut slopes).expect("it can be penalised");
    let root = 2.0_f32.sqrt();
    let (row, column) = (root / 5.0, root / 17.0_f32.sqrt());
    let expected = [3.0 * row + root, 4.0 * row + 4.0 * column, 0.0, root + column];
    close(&gradients(&case)[0], &expected);
    case.group.members[0].layout = Layout::Identity(3);
    assert!(error(&case, &mut GroupLasso::default()).contains("`parameter0` has shape [2, 2]"));
}

#[test]
fn half_precision_gets_what_single_does() {
    let single = zeroed(conv_bn_conv());
    let mut half = conv_bn_conv();
    for tensor in &mut half.tensors {
        let trained = tensor.requires_grad();
        // The mean is larger than half precision can hold.
        *tensor = tensor.detach().clamp_max(1e3).to_kind(Kind::Half).set_requires_grad(trained);
    }
    let half = zeroed(half);
    let mut lasso = GroupLasso { lambda: 1.0 };
    let (expected, found) = (added(&single, &mut lasso), added(&half, &mut lasso));
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{found} is not {expected}");
    }
}
