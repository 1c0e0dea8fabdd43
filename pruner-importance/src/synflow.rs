//! `synflow`: how much of the flow through the network passes a coordinate.

use pruner_core::deps::Group;
use pruner_core::importance::{Form, Importance, ImportanceError, Signal, SignalSet, Weights};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::settings::settings;
use crate::terms::{Finish, Terms, all};
use crate::{Normalizer, Reduction};

register_importance!("synflow", "synaptic flow through a coordinate, without data", SynFlow);

/// The score of a coordinate is `Σ abs(w)·∂R/∂abs(w)` over its slices, with R the sum of the outputs for inputs of ones and all parameters made
/// positive: the share of R that flows through it, R scaled to 1. It has no unit and needs no data. Meant to be pruned by in many small steps,
/// which keep layers from being cut off, along the exponential schedule.
///
/// A frozen member adds nothing; a group of frozen ones has no score.
///
/// Source: Tanaka et al., *Pruning neural networks without any data by iteratively conserving synaptic flow* (arXiv 2006.05467).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SynFlow {
    /// How the scores of the members become one. Default: none, the sum is over all slices.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: none, since scores of all groups have one unit.
    pub normalizer: Normalizer,
}

settings! {
    SynFlow:
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

#[typetag::serde(name = "synflow")]
impl Importance for SynFlow {
    fn needs(&self) -> SignalSet {
        Signal::SynapticFlow.into()
    }

    fn is_additive(&self) -> bool {
        self.normalizer == Normalizer::None
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (reduction, normalizer) = (self.reduction, self.normalizer);
        let terms =
            Terms { form: Form::AbsBy, by: Some(Signal::SynapticFlow), finish: Finish::AsItIs, reduction, normalizer };
        terms.score(group, weights, all)
    }
}
