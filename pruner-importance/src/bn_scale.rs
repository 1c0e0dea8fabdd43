//! `bn-scale`: how much of a channel batch norm lets through.

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Importance, ImportanceError, Signals, Weights, slices};
use pruner_core::register_importance;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::settings::settings;
use crate::{Normalizer, Reduction};

register_importance!("bn-scale", "absolute scale of the batch norm of a coordinate");

/// The score of a coordinate is `abs(γ)` of the batch norm over it, which has no unit; the sum where several positions
/// of the norm belong to the coordinate. Groups without batch norm have no score.
///
/// Meant for networks trained with an L1 penalty on γ, which makes channels comparable across layers: hence no
/// normaliser by default.
///
/// Source: Liu et al., *Network Slimming* (arXiv 1708.06519).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BnScale {
    /// How the scores of several batch norms, as those of a residual stage, become one; with none it is their sum.
    /// Default: mean.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: none.
    pub normalizer: Normalizer,
}

settings! {
    BnScale:
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

impl Default for BnScale {
    fn default() -> Self {
        Self { reduction: Reduction::Mean, normalizer: Normalizer::None }
    }
}

#[typetag::serde(name = "bn-scale")]
impl Importance for BnScale {
    fn needs(&self) -> Signals {
        Signals::WEIGHTS
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let mut members = Vec::new();
        for (member, weight) in slices::trained(group, weights)? {
            if is_scale_of_batch_norm(member) {
                members.push((member, slices::widen(member, weight)?.f_abs()?));
            }
        }
        let fold = |tensor: &Tensor, dims: &[i64]| tensor.f_sum_dim_intlist(dims, false, None::<Kind>);
        let score = self.reduction.reduce(group.size(), &members, fold, |sum| Ok(sum.shallow_clone()))?;
        Ok(score.map(|score| self.normalizer.apply(&score)).transpose()?)
    }
}

/// Whether it is the `weight` of `aten::batch_norm` or of one of the forms that it is lowered to.
fn is_scale_of_batch_norm(member: &Member) -> bool {
    let (_, op, argument) = &member.reader;
    op.contains("batch_norm") && argument == "weight"
}
