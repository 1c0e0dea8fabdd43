//! Sums over the slices of a coordinate, which most criteria are.

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{ImportanceError, Weights, slices};
use tch::{Kind, TchError, Tensor};

use crate::{Normalizer, Reduction};

/// What is summed over the slices of a coordinate, how the sums of members become one, and how groups are scaled.
pub(crate) struct Terms {
    pub(crate) reduction: Reduction,
    pub(crate) normalizer: Normalizer,
}

impl Terms {
    /// The score of each coordinate: `finish` of the sum of what `term` makes of the weights of each trained member. A member of
    /// which it makes nothing adds nothing; a group of which it makes nothing has no score.
    pub(crate) fn sum(
        &self,
        group: &dyn Group,
        weights: &Weights,
        term: impl Fn(&Member, &Tensor) -> Result<Option<Tensor>, ImportanceError>,
        finish: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Option<Tensor>, ImportanceError> {
        let mut members = Vec::new();
        for (member, weight) in slices::trained(group, weights)? {
            if let Some(terms) = term(member, &slices::widen(member, weight)?)? {
                members.push((member, terms));
            }
        }
        let score = self.reduction.reduce(group.size(), &members, sum, finish)?;
        Ok(score.map(|score| self.normalizer.apply(&score)).transpose()?)
    }
}

/// The fold that adds.
pub(crate) fn sum(tensor: &Tensor, dims: &[i64]) -> Result<Tensor, TchError> {
    tensor.f_sum_dim_intlist(dims, false, None::<Kind>)
}

/// What is summed as it is.
#[allow(clippy::unnecessary_wraps, reason = "others that finish a sum may fail")]
pub(crate) fn as_it_is(sum: &Tensor) -> Result<Tensor, TchError> {
    Ok(sum.shallow_clone())
}
