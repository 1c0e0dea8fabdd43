//! `grasp`: how much of the flow of gradients is lost with a coordinate.

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
    "grasp",
    "first-order change of the flow of gradients if a coordinate is kept, before training",
    Grasp
);

/// The score of a coordinate is `Σ w·(H·g)` over its slices, with g the gradient and H the Hessian of the loss: half of what `‖g‖²`, the rate at which
/// training lowers the loss, falls by to first order if its weights become 0. Coordinates without which gradients flow better have negative
/// scores, and go first. It has the unit of the loss squared by that of the weights squared; meant to be taken before training.
///
/// A member without gradient adds nothing; a group without any has no score.
///
/// Source: Wang, Zhang and Grosse, *Picking Winning Tickets Before Training by Preserving Gradient Flow* (arXiv 2002.07376).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grasp {
    /// How the scores of the members become one. Default: none, the sum is over all slices.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: none, since scores of all groups have one unit.
    pub normalizer: Normalizer,
}

settings! {
    Grasp:
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

#[typetag::serde(name = "grasp")]
impl Importance for Grasp {
    fn needs(&self) -> SignalSet {
        Signal::HessianGradients.into()
    }

    fn is_additive(&self) -> bool {
        self.normalizer == Normalizer::None
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (reduction, normalizer) = (self.reduction, self.normalizer);
        let terms = Terms {
            form: Form::Product,
            by: Some(Signal::HessianGradients),
            finish: Finish::AsItIs,
            reduction,
            normalizer,
        };
        terms.score(group, weights, all)
    }
}
