//! `flap`: how much what a layer reads of a coordinate fluctuates.

use pruner_core::deps::Group;
use pruner_core::importance::{Form, Importance, ImportanceError, Signal, SignalSet, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::Normalizer;
use crate::readers::{Reader, total};
use crate::settings::settings;

register_importance!("flap", "variance of a coordinate by the squared weights that read it, biases compensated", Flap);

/// The score of a coordinate is `Var(X_j)·Σ_i W_ij²`, summed over its positions j and over the layers that read it, with the variance over all samples
/// and places and i over outputs and the places of a kernel: the mean square that the outputs are off by once the coordinate is
/// replaced by its mean. It has the unit of the outputs squared, and none once it is standardised.
///
/// The mean is made up for by default: what goes of it through the weights is added to the bias of the layer that read it, see
/// [`Settings::compensate`](pruner_core::pruner::Settings::compensate). A group that no layer sums over with weights of its own has no score.
///
/// The paper standardises the scores of each layer. Here they are those of a group, since it is cut as one: the scores of the layers that read it are
/// added in their common unit and the sum is standardised, which is the same where one layer reads it.
///
/// Source: An et al., *Fluctuation-based Adaptive Structured Pruning for Large Language Models* (arXiv 2312.11983).
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flap {
    /// How groups are scaled before they are ranked together. Default: gaussian.
    pub normalizer: Normalizer,
    /// Whether biases make up for the means of what goes. Default: true.
    pub compensate: bool,
}

settings! {
    Flap:
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

impl Flap {
    /// Without compensation.
    #[must_use]
    pub fn uncompensated(self) -> Self {
        Self { compensate: false, ..self }
    }
}

impl Default for Flap {
    fn default() -> Self {
        Self { normalizer: Normalizer::Gaussian, compensate: true }
    }
}

#[typetag::serde(name = "flap")]
impl Importance for Flap {
    fn needs(&self) -> SignalSet {
        Signal::Variance.into()
    }

    fn compensates(&self) -> bool {
        self.compensate
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let mut scores = Vec::new();
        for reader in Reader::of(group, weights, Signal::Variance)? {
            let variance = &reader.activation().statistics[&Signal::Variance];
            scores.push(reader.product(group.size(), variance, Form::Square)?);
        }
        Ok(total(scores)?.map(|score| self.normalizer.apply(&score)).transpose()?)
    }
}
