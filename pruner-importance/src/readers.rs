//! The layers that read the activations of a group, with what they multiply them by.

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Activation, ImportanceError, Signal, Weights, slices};
use tch::{Kind, TchError, Tensor};

use crate::terms::sum;

/// A statistic of an activation and the weights that it is multiplied by.
pub(crate) struct Reader<'a> {
    activation: &'a Activation,
    member: &'a Member,
    weight: &'a Tensor,
}

impl<'a> Reader<'a> {
    /// The readers of a group whose weights are trained.
    pub(crate) fn of(group: &'a dyn Group, weights: &'a Weights, signal: Signal) -> Result<Vec<Self>, ImportanceError> {
        let mut readers = Vec::new();
        for activation in weights.activations_of(group, signal)? {
            let read = |member: &&Member| member.trained && Some((member.value, member.dim)) == activation.weight;
            let member = group.members().iter().find(read);
            if let Some(member) = member {
                readers.push(Self { activation, member, weight: weights.of(member)? });
            }
        }
        Ok(readers)
    }

    /// The activation.
    pub(crate) fn activation(&self) -> &Activation {
        self.activation
    }

    /// `Σ n·w` over the positions of each coordinate of a group of `size`, with n the `numbers` of the activation and w the weights that
    /// read the position, `folded`.
    pub(crate) fn product(
        &self,
        size: usize,
        numbers: &Tensor,
        folded: impl Fn(&Tensor, &[i64]) -> Result<Tensor, TchError>,
    ) -> Result<Tensor, ImportanceError> {
        let Self { activation, member, weight } = self;
        let (read, inputs) = (activation.layout.len() as i64, member.layout.len() as i64);
        let of_weight = if member.dim == 1 && inputs > 0 && read > inputs && read % inputs == 0 {
            // The groups of a convolution, each of which has outputs of its own.
            let groups = read / inputs;
            let wide = slices::widen(member, weight)?;
            let wide = wide.f_reshape([groups, wide.size()[0] / groups, inputs, wide.size()[2..].iter().product()])?;
            folded(&wide, &[1, 3])?.f_reshape([read])?
        } else {
            slices::per_position(member, weight, &folded)?
        };
        let product = of_weight.f_to_kind(Kind::Double)?.f_mul(numbers)?;
        Ok(slices::by_coordinate(&member.name, &activation.layout, &product, size, sum)?.f_to_kind(Kind::Float)?)
    }
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
