//! `taylor-gate`: how much the loss changes, to first order, if a coordinate is masked.

use pruner_core::deps::Group;
use pruner_core::importance::{Form, Importance, ImportanceError, Signal, SignalSet, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::bn_scale::is_of_batch_norm;
use crate::settings::settings;
use crate::terms::{Finish, Terms};
use crate::{Normalizer, Reduction};

register_importance!("taylor-gate", "first-order change of the loss if a coordinate is masked", TaylorGate);

/// The score of a coordinate is what the loss changes by, to first order, if the coordinate is masked, at [`Gate::Activations`] or at
/// [`Gate::BatchNorm`].
///
/// Source: Molchanov et al., *Pruning Convolutional Neural Networks for Resource Efficient Inference* (arXiv 1611.06440) and *Importance Estimation
/// for Neural Network Pruning* (arXiv 1906.10771).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaylorGate {
    /// Where it is masked. Default: activations.
    pub at: Gate,
    /// How groups are scaled before they are ranked together. Default: none, since scores of all groups have one unit.
    pub normalizer: Normalizer,
}

/// Where [`TaylorGate`] masks a coordinate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Where layers read it: the mean over samples of `abs(Σ a·z)` over places, positions and layers, with a the activation and `z = ∂L/∂a`. It
    /// has the unit of the loss. A group that no layer sums over has no score.
    #[default]
    Activations,
    /// At its batch norms: `(Σ g_γ·γ + g_β·β)²`, with the gradients of the mean loss. It has the unit of the loss squared. A group
    /// without batch norm has no score.
    BatchNorm,
}

settings! {
    TaylorGate:
    /// With another place.
    with_at at: Gate,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

#[typetag::serde(name = "taylor-gate")]
impl Importance for TaylorGate {
    fn needs(&self) -> SignalSet {
        match self.at {
            Gate::Activations => Signal::Gate.into(),
            Gate::BatchNorm => Signal::Gradients.into(),
        }
    }

    fn is_additive(&self) -> bool {
        self.normalizer == Normalizer::None
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        match self.at {
            Gate::Activations => {
                let Some(change) = weights.gate_of(group, Signal::Gate)? else { return Ok(None) };
                Ok(Some(self.normalizer.apply(&change.f_to_kind(Kind::Float)?)?))
            }
            Gate::BatchNorm => {
                let (by, reduction) = (Some(Signal::Gradients), Reduction::None);
                let terms =
                    Terms { form: Form::Product, by, finish: Finish::Square, reduction, normalizer: self.normalizer };
                terms.score(group, weights, is_of_batch_norm)
            }
        }
    }
}
