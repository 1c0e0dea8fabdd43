//! `wanda`: how large the weights that read a coordinate are, by what they read.

use pruner_core::deps::Group;
use pruner_core::importance::{Form, Importance, ImportanceError, Signal, SignalSet, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::Normalizer;
use crate::readers::{Reader, total};
use crate::settings::settings;

register_importance!("wanda", "mean of abs(w) that read a coordinate, by the norm of what they read", Wanda);

/// The score of a coordinate is `mean_i abs(W_ij)·‖X_j‖₂`, summed over its positions j and over the layers that read it: W the weights, i over
/// their outputs and the places of a kernel, `‖X_j‖₂` the root of the mean over samples of the sum of squares over places. It has the
/// unit of the activations times that of the weights unless it is normalised.
///
/// A group that no layer sums over with weights of its own, as the dimensions in which queries meet keys, has no score.
///
/// Source: Sun et al., *A Simple and Effective Pruning Approach for Large Language Models* (arXiv 2306.11695), by structures as in An et al.,
/// *FLAP* (arXiv 2312.11983).
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanda {
    /// How groups are scaled before they are ranked together. Default: mean.
    pub normalizer: Normalizer,
}

settings! {
    Wanda:
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

impl Default for Wanda {
    fn default() -> Self {
        Self { normalizer: Normalizer::Mean }
    }
}

#[typetag::serde(name = "wanda")]
impl Importance for Wanda {
    fn needs(&self) -> SignalSet {
        Signal::MeanSquare.into()
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let mut scores = Vec::new();
        for reader in Reader::of(group, weights, Signal::MeanSquare)? {
            let activation = reader.activation();
            let norm = activation.statistics[&Signal::MeanSquare].f_mul_scalar(activation.places as f64)?.f_sqrt()?;
            let norm = norm.f_div_scalar(reader.elements()?)?;
            scores.push(reader.product(group.size(), &norm, Form::Abs)?);
        }
        Ok(total(scores)?.map(|score| self.normalizer.apply(&score)).transpose()?)
    }
}
