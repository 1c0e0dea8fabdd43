//! `activation`: how active a coordinate is.

use pruner_core::deps::Group;
use pruner_core::importance::{Importance, ImportanceError, Signal, SignalSet, Weights, slices};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Normalizer;
use crate::readers::total;
use crate::settings::settings;
use crate::terms::sum;

register_importance!("activation", "a statistic of the activations of a coordinate over all batches", Activations);

/// The score of a coordinate is a statistic of its activations where layers read them, over all samples of all batches; the mean over its
/// positions and over the layers. It has the unit of the activations, [`ActivationStatistic::NonZero`] none.
///
/// A group that no layer sums over has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Activations {
    /// The statistic. Default: mean-abs.
    pub statistic: ActivationStatistic,
    /// How groups are scaled before they are ranked together. Default: mean.
    pub normalizer: Normalizer,
}

/// What [`Activations`] measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationStatistic {
    /// The mean of the absolute value over samples and places.
    #[default]
    MeanAbs,
    /// The root of the mean over samples of the square of the mean over places of the absolute value. Source: Muralidharan et al.,
    /// *Compact Language Models via Pruning and Knowledge Distillation* (arXiv 2407.14679).
    RootMeanSquare,
    /// The share of samples and places where it is not zero: 1 less the average percentage of zeros. Source: Hu et al., *Network
    /// Trimming* (arXiv 1607.03250).
    NonZero,
}

settings! {
    Activations:
    /// With another statistic.
    with_statistic statistic: ActivationStatistic,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

impl Default for Activations {
    fn default() -> Self {
        Self { statistic: ActivationStatistic::MeanAbs, normalizer: Normalizer::Mean }
    }
}

impl ActivationStatistic {
    fn signal(self) -> Signal {
        match self {
            Self::MeanAbs => Signal::MeanAbs,
            Self::RootMeanSquare => Signal::SquaredMeanAbs,
            Self::NonZero => Signal::NonZero,
        }
    }
}

#[typetag::serde(name = "activation")]
impl Importance for Activations {
    fn needs(&self) -> SignalSet {
        self.statistic.signal().into()
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let signal = self.statistic.signal();
        let activations = weights.activations_of(group, signal)?;
        let mut scores = Vec::new();
        for activation in activations {
            let numbers = &activation.statistics[&signal];
            let numbers = if signal == Signal::SquaredMeanAbs { numbers.f_sqrt()? } else { numbers.shallow_clone() };
            let of =
                |numbers: &Tensor| slices::by_coordinate(group.name(), &activation.layout, numbers, group.size(), sum);
            scores.push(of(&numbers)?.f_div(&of(&numbers.f_ones_like()?)?.f_clamp_min(1.0)?)?);
        }
        let Some(score) = total(scores)? else { return Ok(None) };
        let mean = score.f_div_scalar(activations.len() as f64)?.f_to_kind(Kind::Float)?;
        Ok(Some(self.normalizer.apply(&mean)?))
    }
}
