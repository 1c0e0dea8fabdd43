//! `bn-l1`: channels that batch norm need not let through.

use pruner_core::deps::Group;
use pruner_core::importance::Weights;
use pruner_core::register_regularizer;
use pruner_core::regularizer::{Gradients, Regularizer, RegularizerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{add, check, penalized};
use crate::bn_scale::is_scale_of_batch_norm;
use crate::settings::settings;

register_regularizer!("bn-l1", "L1 norm of the scales of batch norms", BnL1);

/// The penalty is `λ·Σ abs(γ)` over the scales of the batch norms of the groups; `λ·sign(γ)` is added to the gradient of γ,
/// which at 0 is 0.
///
/// Channels are then cut by [`BnScale`](crate::BnScale).
///
/// Source: Liu et al., *Network Slimming* (arXiv 1708.06519).
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BnL1 {
    /// λ, in units of the loss per unit of γ, at least 0. Default: 0.0001.
    pub lambda: f64,
}

settings! {
    BnL1:
    /// With another λ.
    with_lambda lambda: f64,
}

impl Default for BnL1 {
    fn default() -> Self {
        Self { lambda: 1e-4 }
    }
}

#[typetag::serde(name = "bn-l1")]
impl Regularizer for BnL1 {
    fn penalize(
        &mut self,
        groups: &[&dyn Group],
        weights: &Weights,
        gradients: &mut Gradients,
    ) -> Result<(), RegularizerError> {
        check("lambda", self.lambda)?;
        for group in groups {
            for (member, weight) in penalized(*group, weights, gradients)? {
                if is_scale_of_batch_norm(member) {
                    let lambda = Tensor::f_full([group.size() as i64], self.lambda, (Kind::Float, weight.device()))?;
                    add(member, &weight.f_sign()?, &lambda, gradients)?;
                }
            }
        }
        Ok(())
    }
}
