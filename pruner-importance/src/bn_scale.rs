//! `bn-scale`: how much of a channel batch norm lets through.

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Form, Importance, ImportanceError, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::settings::settings;
use crate::terms::{Finish, Terms};
use crate::{Normalizer, Reduction};

register_importance!("bn-scale", "absolute scale of the batch norm of a coordinate", BnScale);

/// The score of a coordinate is `abs(γ)` of the batch norm over it, which has no unit; the sum where several positions
/// of the norm belong to the coordinate. Groups without batch norm have no score.
///
/// Meant for networks trained with an L1 penalty on γ, which makes channels comparable across layers: hence no
/// normaliser by default.
///
/// Source: Liu et al., *Network Slimming* (arXiv 1708.06519).
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
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
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (reduction, normalizer) = (self.reduction, self.normalizer);
        let terms = Terms { form: Form::Abs, by: None, finish: Finish::AsItIs, reduction, normalizer };
        terms.score(group, weights, is_scale_of_batch_norm)
    }
}

/// Whether `aten::batch_norm` or one of the forms that it is lowered to reads it.
pub(crate) fn is_of_batch_norm(member: &Member) -> bool {
    let (_, op, _) = &member.reader;
    op.contains("batch_norm")
}

/// Whether it is the `weight` of such an operation.
pub(crate) fn is_scale_of_batch_norm(member: &Member) -> bool {
    let (.., argument) = &member.reader;
    is_of_batch_norm(member) && argument.as_ref() == "weight"
}
