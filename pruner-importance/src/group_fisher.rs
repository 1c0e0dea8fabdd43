//! `group-fisher`: how much the loss changes, to second order, if a coordinate is masked, by what it costs.

use pruner_core::deps::Group;
use pruner_core::importance::{Importance, ImportanceError, Signal, SignalSet, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::settings::settings;
use crate::{Cost, Normalizer};

register_importance!(
    "group-fisher",
    "Fisher information of the mask of a coordinate, by what the coordinate costs",
    GroupFisher
);

/// The score of a coordinate is the mean over samples of `(Σ a·z)²`, by what a coordinate of its group costs: a the activations of the
/// coordinate, `z = ∂L/∂a` for the loss of the sample, summed over places, positions and all layers that read it, which share its mask. It has the
/// unit of the loss squared by that of the cost.
///
/// A group that no layer sums over has no score.
///
/// Source: Liu et al., *Group Fisher Pruning for Practical Network Compression* (arXiv 2108.00708), where scores are divided by multiply-accumulates or
/// by the memory of activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupFisher {
    /// What it is divided by. Default: macs.
    pub by: Cost,
    /// How groups are scaled before they are ranked together. Default: none, since scores of all groups have one unit.
    pub normalizer: Normalizer,
}

settings! {
    GroupFisher:
    /// Divided by another cost.
    with_by by: Cost,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

#[typetag::serde(name = "group-fisher")]
impl Importance for GroupFisher {
    fn needs(&self) -> SignalSet {
        self.by.needs() | Signal::SquaredGate
    }

    fn is_additive(&self) -> bool {
        self.by == Cost::None && self.normalizer == Normalizer::None
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let Some(information) = weights.gate_of(group, Signal::SquaredGate)? else { return Ok(None) };
        let score = self.by.divide(information, group, weights)?.f_to_kind(Kind::Float)?;
        Ok(Some(self.normalizer.apply(&score)?))
    }
}
