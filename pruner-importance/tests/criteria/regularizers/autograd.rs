//! The regularisers against the gradients of their penalties, on random groups.

use pruner_core::ids::GroupId;
use pruner_core::regularizer::Regularizer;
use pruner_importance::regularizers::{BnL1, GroupLasso, Growing};
use tch::{Kind, Tensor};

use super::{added, zeroed};
use crate::reference::Draw;
use crate::support::{Case, close};

/// The slices of each coordinate, as one vector that autograd follows; of the members that `counts` says.
fn slices(case: &Case, counts: impl Fn(usize) -> bool) -> Vec<Option<Tensor>> {
    let mut slices: Vec<Vec<Tensor>> = case.group.coordinates.iter().map(|_| Vec::new()).collect();
    for (index, (member, tensor)) in case.group.members.iter().zip(&case.tensors).enumerate() {
        for (position, coordinate) in member.layout.places().filter(|_| counts(index)) {
            slices[coordinate as usize].push(tensor.select(member.dim as i64, position as i64).reshape([-1]));
        }
    }
    slices.into_iter().map(|parts| if parts.is_empty() { None } else { Some(Tensor::cat(&parts, 0)) }).collect()
}

/// A case whose vectors are scales of batch norms.
fn draw_case(draw: &mut Draw) -> Case {
    let mut case = draw.case();
    for (member, tensor) in case.group.members.iter_mut().zip(&case.tensors) {
        if tensor.dim() == 1 {
            member.reader.1 = "aten::batch_norm".into();
        }
    }
    for tensor in &case.tensors {
        let _ = tensor.grad().detach().zero_();
    }
    zeroed(case)
}

/// That a step adds the gradient of a penalty, which is one of the case and the regulariser after the step.
#[track_caller]
fn check<R: Regularizer + Clone + 'static>(seed: u64, regularizer: &R, penalty: impl Fn(&Case, &R) -> Option<Tensor>) {
    let mut draw = Draw::new(seed);
    tch::manual_seed(seed as i64);
    let mut differed = 0;
    for _ in 0..150 {
        let case = draw_case(&mut draw);
        let mut regularizer = regularizer.clone();
        let found = added(&case, &mut regularizer);
        if let Some(penalty) = penalty(&case, &regularizer) {
            penalty.backward();
        }
        for (found, expected) in found.iter().zip(super::gradients(&case)) {
            close(found, &expected);
            differed += usize::from(expected.iter().any(|&number| number != 0.0));
        }
    }
    assert!(differed > 50, "the penalties had gradients");
}

fn total(terms: impl Iterator<Item = Tensor>) -> Option<Tensor> {
    terms.reduce(|sum, term| sum + term)
}

#[test]
fn bn_l1_adds_the_gradient_of_its_penalty() {
    check(1, &BnL1 { lambda: 0.7 }, |case, bn_l1| {
        let slices = slices(case, |index| case.tensors[index].dim() == 1);
        total(slices.iter().flatten().map(|slice| slice.abs().sum(Kind::Float) * bn_l1.lambda))
    });
}

#[test]
fn group_lasso_adds_the_gradient_of_its_penalty() {
    check(2, &GroupLasso { lambda: 0.7 }, |case, lasso| {
        let slices = slices(case, |_| true);
        let term = |slice: &Tensor| slice.norm() * (lasso.lambda * (slice.numel() as f64).sqrt());
        total(slices.iter().flatten().map(term))
    });
}

#[test]
fn growing_adds_the_gradient_of_its_penalty() {
    check(3, &Growing::default().with_delta(0.7), |case, growing| {
        let picked = growing.picked(GroupId::new(0));
        assert_eq!(picked.len(), case.group.coordinates.len() / 2);
        let slices = slices(case, |_| true);
        let slices = slices.iter().enumerate().filter(|(at, _)| picked.contains(&(*at as u32)));
        let term = |slice: &Tensor| slice.square().sum(Kind::Float) * (0.5 * growing.lambda());
        total(slices.filter_map(|(_, slice)| slice.as_ref()).map(term))
    });
}
