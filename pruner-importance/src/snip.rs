//! `snip`: how sensitive the loss is to the connections of a coordinate.

use pruner_core::deps::Group;
use pruner_core::importance::{Form, Importance, ImportanceError, Signal, SignalSet, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::settings::settings;
use crate::terms::{Finish, Terms, all};
use crate::{Normalizer, Reduction};

register_importance!(
    "snip",
    "sensitivity of the loss to the connections of a coordinate, abs(g·w), before training",
    Snip
);

/// The score of a coordinate is `Σ abs(g·w)` over its slices, with `g = ∂L/∂w`, meant to be taken before training: what the loss would change by
/// if each of its connections were opened or closed by itself. It has the unit of the loss. The paper divides by the sum over the network, which
/// changes no order.
///
/// A member without gradient adds nothing; a group without any has no score.
///
/// Source: Lee, Ajanthan and Torr, *SNIP: Single-shot Network Pruning based on Connection Sensitivity* (arXiv 1810.02340).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Snip {
    /// How the scores of the members become one. Default: none, the sum is over all slices.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: none, since scores of all groups have one unit.
    pub normalizer: Normalizer,
}

settings! {
    Snip:
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

#[typetag::serde(name = "snip")]
impl Importance for Snip {
    fn needs(&self) -> SignalSet {
        Signal::Gradients.into()
    }

    fn is_additive(&self) -> bool {
        self.normalizer == Normalizer::None
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (reduction, normalizer) = (self.reduction, self.normalizer);
        let terms = Terms {
            form: Form::AbsProduct,
            by: Some(Signal::Gradients),
            finish: Finish::AsItIs,
            reduction,
            normalizer,
        };
        terms.score(group, weights, all)
    }
}
