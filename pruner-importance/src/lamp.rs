//! `lamp`: how large a coordinate is beside those that would stay if it went.

use pruner_core::deps::Group;
use pruner_core::importance::{Importance, ImportanceError, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::settings::settings;
use crate::{Magnitude, Norm, Normalizer, Reduction};

register_importance!("lamp", "squared norm of a coordinate by that of all that are as large or larger", Lamp);

/// The score of a coordinate u is `‖w(u)‖² / Σ ‖w(v)‖²` over the coordinates v of its group whose 2-norm is that of u or larger,
/// with w(u) its slices; of equals, the first counts as the lower. It has no unit, and the largest coordinate of every group
/// has 1: ranked together, groups keep their largest coordinates whatever their scale.
///
/// The layer-adaptive magnitude of single weights applied to coordinates. Source: Lee et al., *Layer-adaptive sparsity for the
/// Magnitude-based Pruning* (arXiv 2010.07611).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lamp {
    /// How the norms of the members become one. Default: none, the norm is that of all slices together.
    pub reduction: Reduction,
}

settings! {
    Lamp:
    /// With another reduction.
    with_reduction reduction: Reduction,
}

#[typetag::serde(name = "lamp")]
impl Importance for Lamp {
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        Magnitude { p: Norm::Two, reduction: self.reduction, normalizer: Normalizer::Lamp }.score(group, weights)
    }
}
