//! `taylor`: how much the loss changes, to first order, if a coordinate is removed.

use pruner_core::deps::Group;
use pruner_core::importance::{Form, Importance, ImportanceError, Signal, SignalSet, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::settings::settings;
use crate::terms::{self, Finish};
use crate::{Normalizer, Reduction};

register_importance!("taylor", "first-order change of the loss if a coordinate is removed", Taylor);

/// The score of a coordinate is `(Σ g·w)²` over its slices, with `g = ∂L/∂w`: the square of the first-order change of
/// the loss if all its weights become 0. It has the unit of the loss squared, for [`Terms::PerWeight`] of the loss.
///
/// All trained members count, normalisation layers and biases among them. A member without gradient, because it is
/// frozen or the loss does not depend on it, adds nothing; a group without any has no score.
///
/// Where training has converged, the gradient of the mean loss is small and its terms cancel: then [`Terms::PerWeight`], and criteria of single
/// samples such as [`TaylorGate`](crate::TaylorGate) and [`Hessian`](crate::Hessian), tell coordinates better apart.
///
/// Source: Molchanov et al., *Importance Estimation for Neural Network Pruning* (CVPR 2019, arXiv 1906.10771).
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Taylor {
    /// What is summed. Default: signed.
    pub terms: Terms,
    /// How the scores of the members become one. Default: none, the sum is over all slices.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: none, since scores of all groups have one unit.
    pub normalizer: Normalizer,
}

/// What [`Taylor`] sums over the weights of a coordinate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terms {
    /// `g·w`, and the sum is squared: weights whose effects on the loss cancel count little.
    #[default]
    Signed,
    /// `abs(g·w)`: each weight counts by itself.
    PerWeight,
}

settings! {
    Taylor:
    /// With other terms.
    with_terms terms: Terms,
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

impl Default for Taylor {
    fn default() -> Self {
        Self { terms: Terms::Signed, reduction: Reduction::None, normalizer: Normalizer::None }
    }
}

#[typetag::serde(name = "taylor")]
impl Importance for Taylor {
    fn needs(&self) -> SignalSet {
        Signal::Gradients.into()
    }

    fn is_additive(&self) -> bool {
        self.normalizer == Normalizer::None
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (form, finish) = match self.terms {
            Terms::Signed => (Form::Product, Finish::Square),
            Terms::PerWeight => (Form::AbsProduct, Finish::AsItIs),
        };
        let by = Some(Signal::Gradients);
        let terms = terms::Terms { form, by, finish, reduction: self.reduction, normalizer: self.normalizer };
        terms.score(group, weights, terms::all)
    }
}
