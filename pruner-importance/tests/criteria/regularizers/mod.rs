//! The regularisers by hand, against autograd, and against their contract.

mod autograd;
mod bn_l1;
mod contract;
mod gradients;
mod group_lasso;
mod growing;
mod spread;

use pruner_core::deps::Group;
use pruner_core::ids::ValueId;
use pruner_core::regularizer::{Gradients, Regularizer, RegularizerError, penalize};
use tch::{Kind, Tensor};

use crate::support::Case;

/// The case with gradients of zeros, to which what is added is seen to the last bit.
fn zeroed(case: Case) -> Case {
    for tensor in case.tensors.iter().filter(|tensor| tensor.requires_grad()) {
        (tensor * tensor.detach().zeros_like()).sum(Kind::Float).backward();
    }
    case
}

/// One step on the group of the case.
fn step(case: &Case, regularizer: &mut dyn Regularizer) -> Result<(), RegularizerError> {
    let mut gradients = Gradients::new();
    for (index, tensor) in case.tensors.iter().enumerate() {
        gradients.insert(ValueId::new(index), tensor)?;
    }
    penalize(regularizer, &[&case.group as &dyn Group], &case.weights(), &mut gradients)
}

/// The gradient of each tensor, row by row; empty where it has none.
fn gradients(case: &Case) -> Vec<Vec<f32>> {
    let flat = |gradient: Tensor| Vec::try_from(gradient.to_kind(Kind::Float).reshape([-1])).expect("numbers");
    case.tensors.iter().map(|it| Some(it.grad()).filter(Tensor::defined).map(flat).unwrap_or_default()).collect()
}

/// The gradients after a step, which is what it adds where they were zeros; afterwards they are.
#[track_caller]
fn added(case: &Case, regularizer: &mut dyn Regularizer) -> Vec<Vec<f32>> {
    step(case, regularizer).expect("the group can be penalised");
    let added = gradients(case);
    for tensor in &case.tensors {
        let gradient = tensor.grad();
        if gradient.defined() {
            let _ = gradient.detach().zero_();
        }
    }
    added
}

/// The message of a step that fails.
#[track_caller]
fn error(case: &Case, regularizer: &mut dyn Regularizer) -> String {
    step(case, regularizer).expect_err("the group cannot be penalised").to_string()
}
