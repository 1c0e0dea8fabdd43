//! The layers that read the activations of a group, with what they multiply them by.

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
            let read = |member: &&Member| member.trained && Some(member.value) == activation.weight;
            // Where a weight is shared, the member that the node reads in this dimension; else the first.
            let member = group.members().iter().filter(read).min_by_key(|member| member.reader.0 != activation.node);
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

    /// How many elements of the weight a position has.
    pub(crate) fn elements(&self) -> Result<f64, ImportanceError> {
        let shape = self.weights.of(self.member)?.size();
        let others = shape.iter().enumerate().filter(|(dim, _)| *dim != self.member.dim);
        Ok(others.map(|(_, &size)| size as f64).product())
    }

    /// `Σ n·w` over the positions of each coordinate of a group of `size`, with n the `numbers` of the activation and w the weights of
    /// the position, folded. Where the weights have other positions than the activation, as those of grouped convolutions,
    /// the sums of both over the coordinate are multiplied.
    pub(crate) fn product(&self, size: usize, numbers: &Tensor, form: Form) -> Result<Tensor, ImportanceError> {
        let Self { activation, member, weights } = self;
        let of_weight = weights.fold(member, form, None)?.expect("no signal is missing");
        let name = &member.name;
        let product = if activation.layout == member.layout {
            slices::by_coordinate(name, &member.layout, &of_weight.f_mul(numbers)?, size, sum)?
        } else {
            let of_weight = slices::by_coordinate(name, &member.layout, &of_weight, size, sum)?;
            slices::by_coordinate(name, &activation.layout, numbers, size, sum)?.f_mul(&of_weight)?
        };
        Ok(product.f_to_kind(Kind::Float)?)
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
