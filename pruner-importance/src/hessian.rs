//! `hessian`: how much the loss changes, to second order, if a coordinate is removed.

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
    "hessian",
    "second-order change of the loss if a coordinate is removed, with the diagonal of the Fisher information",
    Hessian
);

/// The score of a coordinate is `½ Σ w²·E[g²]` over its slices, with g the gradient of the loss of one sample and E the mean over all
/// samples: the second-order change of the loss if its weights become 0, the Hessian taken as diagonal and as what the Fisher
/// information says of it. It has the unit of the loss squared.
///
/// Normalisation layers and biases count. A member without gradient adds nothing; a group without any has no score.
///
/// Source: `LeCun`, Denker and Solla, *Optimal Brain Damage* (1989).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hessian {
    /// How the scores of the members become one. Default: none, the sum is over all slices.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: none, since scores of all groups have one unit.
    pub normalizer: Normalizer,
}

settings! {
    Hessian:
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

#[typetag::serde(name = "hessian")]
impl Importance for Hessian {
    fn needs(&self) -> SignalSet {
        Signal::SquaredGradients.into()
    }

    fn is_additive(&self) -> bool {
        self.normalizer == Normalizer::None
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (reduction, normalizer) = (self.reduction, self.normalizer);
        let terms = Terms {
            form: Form::SquareBy,
            by: Some(Signal::SquaredGradients),
            finish: Finish::Half,
            reduction,
            normalizer,
        };
        terms.score(group, weights, all)
    }
}
