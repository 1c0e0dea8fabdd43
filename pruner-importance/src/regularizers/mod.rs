//! Regularisers of `pruner`, each a plugin in a file of its own.
//!
//! A regulariser adds the gradient of a penalty to that of the loss, so that training makes small what is to be cut. The
//! *slices* of a coordinate are all its places in the members of the group that have a gradient.
//!
//! | name | penalty | |
//! |---|---|---|
//! | `bn-l1` | λ·Σ abs(γ) over the scales of batch norms | [`BnL1`] |
//! | `group-lasso` | λ·Σ √n·‖w‖₂ over coordinates, of the n weights of their slices | [`GroupLasso`] |
//! | `growing` | ½·λ·‖w‖₂² over the coordinates of the lowest scores, with λ that grows | [`Growing`] |

mod bn_l1;
mod group_lasso;
mod growing;

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Weights, slices};
use pruner_core::regularizer::{Gradients, RegularizerError};
use tch::Tensor;

pub use bn_l1::BnL1;
pub use group_lasso::GroupLasso;
pub use growing::Growing;

/// The trained members of a group that have a gradient, each with its weights in at least single precision.
fn penalized<'g>(
    group: &'g dyn Group,
    weights: &Weights,
    gradients: &Gradients,
) -> Result<Vec<(&'g Member, Tensor)>, RegularizerError> {
    let trained = group.members().iter().filter(|member| member.trained && gradients.has(member));
    trained.map(|member| Ok((member, slices::widen(member, weights.of(member)?)?))).collect()
}

/// Adds `numbers·tensor` to the gradient of a member: the number of each coordinate times its slices of a tensor of the member's
/// shape.
fn add(member: &Member, tensor: &Tensor, numbers: &Tensor, gradients: &mut Gradients) -> Result<(), RegularizerError> {
    let positions = slices::spread(member, &numbers.f_to_kind(tensor.kind())?)?;
    let mut shape = vec![1; tensor.dim()];
    shape[member.dim] = -1;
    gradients.add(member, &tensor.f_mul(&positions.f_view(shape.as_slice())?)?)
}

/// That a setting is a finite number that is not negative.
fn check(setting: &'static str, value: f64) -> Result<(), RegularizerError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(RegularizerError::Setting { setting, value, range: "a finite number, at least 0" })
}
