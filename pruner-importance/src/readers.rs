//! The layers that read the activations of a group, with what they multiply them by.

use pruner_core::aten::fold;
use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Activation, Form, ImportanceError, Signal, Weights, slices};
use tch::{Kind, TchError, Tensor};

use crate::terms::sum;

/// A statistic of an activation and the weights that it is multiplied by.
pub(crate) struct Reader<'a> {
    activation: &'a Activation,
    member: &'a Member,
    weights: &'a Weights,
}

impl<'a> Reader<'a> {
    /// The readers of a group whose weights are trained.
    pub(crate) fn of(group: &'a dyn Group, weights: &'a Weights, signal: Signal) -> Result<Vec<Self>, ImportanceError> {
        let mut readers = Vec::new();
        for activation in weights.activations_of(group, signal)? {
            let read = |member: &&Member| member.trained && Some((member.value, member.dim)) == activation.weight;
            let member = group.members().iter().find(read);
            if let Some(member) = member {
                readers.push(Self { activation, member, weights });
            }
        }
        Ok(readers)
    }

    /// The activation.
    pub(crate) fn activation(&self) -> &Activation {
        self.activation
    }

    /// How many weights read a position.
    pub(crate) fn elements(&self) -> Result<f64, ImportanceError> {
        let positions = self.activation.layout.len().max(1);
        Ok(self.weights.of(self.member)?.numel() as f64 / positions as f64)
    }

    /// `Σ n·w` over the positions of each coordinate of a group of `size`, with n the `numbers` of the activation and w the weights that
    /// read the position, folded.
    pub(crate) fn product(&self, size: usize, numbers: &Tensor, form: Form) -> Result<Tensor, ImportanceError> {
        let Self { activation, member, weights } = self;
        let (read, inputs) = (activation.layout.len() as i64, member.layout.len() as i64);
        let of_weight = if member.dim == 1 && inputs > 0 && read > inputs && read % inputs == 0 {
            by_group(weights.of(member)?, read / inputs, form)?
        } else {
            weights.fold(member, form, None)?.expect("no signal is missing")
        };
        let product = of_weight.f_mul(numbers)?;
        Ok(slices::by_coordinate(&member.name, &activation.layout, &product, size, sum)?.f_to_kind(Kind::Float)?)
    }
}

/// The folds of the weights of a convolution with groups, each of which has outputs of its own, by group and input.
fn by_group(weight: &Tensor, groups: i64, form: Form) -> Result<Tensor, ImportanceError> {
    let shape = weight.size();
    let weight = weight.f_reshape([groups, shape[0] / groups, shape[1], shape[2..].iter().product()])?;
    // [outputs, groups · inputs, places]
    let weight = weight.f_transpose(0, 1)?.f_reshape([shape[0] / groups, groups * shape[1], -1])?;
    Ok(fold(&weight, None, form, (None, 1))?.1)
}

/// The sum of scores of one shape; `None` of none.
pub(crate) fn total(scores: impl IntoIterator<Item = Tensor>) -> Result<Option<Tensor>, TchError> {
    scores.into_iter().try_fold(None, |total: Option<Tensor>, score| {
        Ok(Some(match total {
            Some(total) => total.f_add(&score)?,
            None => score,
        }))
    })
}
