//! `group-lasso`: coordinates that are zero as a whole.

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Form, Weights, slices};
use pruner_core::register_regularizer;
use pruner_core::regularizer::{Gradients, Regularizer, RegularizerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{add, check, penalized};
use crate::readers::total;
use crate::settings::settings;
use crate::terms::sum;

register_regularizer!("group-lasso", "sum of the 2-norms of the weights of each coordinate in all members", GroupLasso);

/// The penalty is `λ·Σ √n·‖w‖₂` over the coordinates of the groups, where w are the n weights of all slices of a coordinate;
/// `λ·√n·w / ‖w‖₂` is added to their gradients, 0 where all of them are 0.
///
/// A weight in the slices of coordinates of two groups, as one of a layer between both, gets the terms of both.
///
/// Sources: Wen et al., *Learning Structured Sparsity in Deep Neural Networks* (arXiv 1608.03665); the group form, Fang et
/// al., *`DepGraph`: towards any structural pruning* (arXiv 2301.12900).
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupLasso {
    /// λ, in units of the loss per unit of the weights, at least 0. Default: 0.0001.
    pub lambda: f64,
}

settings! {
    GroupLasso:
    /// With another λ.
    with_lambda lambda: f64,
}

impl Default for GroupLasso {
    fn default() -> Self {
        Self { lambda: 1e-4 }
    }
}

#[typetag::serde(name = "group-lasso")]
impl Regularizer for GroupLasso {
    fn penalize(
        &mut self,
        groups: &[&dyn Group],
        weights: &Weights,
        gradients: &mut Gradients,
    ) -> Result<(), RegularizerError> {
        // Below it a norm counts as this: the squares of such weights vanish in single precision.
        const SMALLEST_NORM: f64 = 1e-18;
        check("lambda", self.lambda)?;
        for group in groups {
            let members = penalized(*group, weights, gradients)?;
            let mut squares = Vec::new();
            for (member, _) in &members {
                let positions = weights.fold(member, Form::Square, None)?.expect("no signal is missing");
                squares.push(slices::by_coordinate(&member.name, &member.layout, &positions, group.size(), sum)?);
            }
            let Some(norm) = total(squares)? else { continue };
            let norm = norm.f_sqrt()?;
            let roots = slices::to_device(&Tensor::f_from_slice(&roots(group.size(), &members))?, norm.device())?;
            let numbers = roots.f_mul_scalar(self.lambda)?.f_div(&norm.f_clamp_min(SMALLEST_NORM)?)?;
            for (member, weight) in &members {
                add(member, weight, &numbers, gradients)?;
            }
        }
        Ok(())
    }
}

/// √n of the n weights of each coordinate.
fn roots(size: usize, members: &[(&Member, Tensor)]) -> Vec<f32> {
    let mut counts = vec![0_usize; size];
    for (member, weight) in members {
        let per_position = weight.numel() / member.layout.len().max(1);
        for (_, coordinate) in member.layout.places() {
            counts[coordinate as usize] += per_position;
        }
    }
    counts.into_iter().map(|count| (count as f32).sqrt()).collect()
}
