//! `magnitude`: how large the weights of a coordinate are.

use pruner_core::deps::Group;
use pruner_core::importance::{Form, Importance, ImportanceError, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::settings::settings;
use crate::terms::{Finish, Terms, all};
use crate::{Norm, Normalizer, Reduction};

register_importance!("magnitude", "p-norm of the weights of a coordinate in all members of its group", Magnitude);

/// The score of a coordinate is the p-norm of its slices: `(Σ abs(w)^p)^(1/p)`, for p = ∞ `max abs(w)`. It has the unit
/// of the weights unless it is normalised.
///
/// With the default reduction all slices are one vector, which for p = 2 ranks the coordinates of a group as the sum of
/// squared norms over its layers in `DepGraph` does. With another each member is scored by itself: with `first` and
/// p = 1 this is the norm of the filters alone.
///
/// Sources: Li et al., *Pruning filters for efficient convnets* (arXiv 1608.08710); the group form, Fang et al.,
/// *`DepGraph`: towards any structural pruning* (arXiv 2301.12900).
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Magnitude {
    /// Which norm: 1, 2 or `"inf"`. Default: 2.
    pub p: Norm,
    /// How the norms of the members become one. Default: none, the norm is that of all slices together.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: mean.
    pub normalizer: Normalizer,
}

settings! {
    Magnitude:
    /// With another norm.
    with_p p: Norm,
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

impl Default for Magnitude {
    fn default() -> Self {
        Self { p: Norm::Two, reduction: Reduction::None, normalizer: Normalizer::Mean }
    }
}

#[typetag::serde(name = "magnitude")]
impl Importance for Magnitude {
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (form, finish) = match self.p {
            Norm::One => (Form::Abs, Finish::AsItIs),
            Norm::Two => (Form::Square, Finish::Sqrt),
            Norm::Max => (Form::Max, Finish::AsItIs),
        };
        let terms = Terms { form, by: None, finish, reduction: self.reduction, normalizer: self.normalizer };
        terms.score(group, weights, all)
    }
}
