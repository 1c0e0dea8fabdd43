//! What a run of iterative pruning does beside pruning: how much it trains, how far quality may fall, how often it cuts.

use serde::{Deserialize, Serialize};

use crate::events::TrainPolicy;

/// How a run of iterative pruning trains, judges and steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IterativeSettings {
    /// The epochs of training after a step. Default: 1.
    pub epochs_per_step: usize,
    /// The epochs of training after the last step. Default: 0.
    pub final_epochs: usize,
    /// After which steps it is trained. Default: those that pruned something.
    pub train: TrainPolicy,
    /// What evaluations measure, for reports; more is better. Default: `quality`.
    pub measure: String,
    /// How far the quality after training may fall below that of the network before the first step. A step that leaves less is
    /// taken back, with the state of the optimiser and of the training; where the stride can be halved the run goes on with smaller steps, else it is over. Default: as far as it does.
    pub max_drop: Option<f64>,
    /// How the steps between two cuts adapt to what they bring. Default: a cut at every step.
    pub stride: Option<Stride>,
}

/// How many steps of the scheduler are taken at once.
///
/// A step that prunes nothing, as with `round_to` or few channels, doubles the stride up to `max`: less is planned in vain. A cut after
/// whose training the quality is more than `allowed_drop` below what it was before the cut halves it, down to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stride {
    /// The stride at the beginning, at least 1. Default: 1.
    #[serde(default = "one")]
    pub first: usize,
    /// The largest stride. Default: 8.
    #[serde(default = "eight")]
    pub max: usize,
    /// How far one cut with its training may let the quality fall.
    pub allowed_drop: f64,
}

fn one() -> usize {
    1
}

fn eight() -> usize {
    8
}

impl Stride {
    /// From 1 to 8 steps, halved where a cut costs more than this.
    pub fn new(allowed_drop: f64) -> Self {
        Self { first: one(), max: eight(), allowed_drop }
    }

    /// Sets [`first`](Self::first).
    #[must_use]
    pub fn with_first(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// Sets [`max`](Self::max).
    #[must_use]
    pub fn with_max(self, max: usize) -> Self {
        Self { max, ..self }
    }
}

impl Default for IterativeSettings {
    fn default() -> Self {
        Self {
            epochs_per_step: 1,
            final_epochs: 0,
            train: TrainPolicy::default(),
            measure: "quality".to_owned(),
            max_drop: None,
            stride: None,
        }
    }
}

impl IterativeSettings {
    /// Sets [`epochs_per_step`](Self::epochs_per_step).
    #[must_use]
    pub fn with_epochs_per_step(self, epochs_per_step: usize) -> Self {
        Self { epochs_per_step, ..self }
    }

    /// Sets [`final_epochs`](Self::final_epochs).
    #[must_use]
    pub fn with_final_epochs(self, final_epochs: usize) -> Self {
        Self { final_epochs, ..self }
    }

    /// Sets [`train`](Self::train).
    #[must_use]
    pub fn with_train(self, train: TrainPolicy) -> Self {
        Self { train, ..self }
    }

    /// Sets [`measure`](Self::measure).
    #[must_use]
    pub fn with_measure(self, measure: impl Into<String>) -> Self {
        Self { measure: measure.into(), ..self }
    }

    /// Sets [`max_drop`](Self::max_drop).
    #[must_use]
    pub fn with_max_drop(self, max_drop: f64) -> Self {
        Self { max_drop: Some(max_drop), ..self }
    }

    /// Sets [`stride`](Self::stride).
    #[must_use]
    pub fn with_stride(self, stride: Stride) -> Self {
        Self { stride: Some(stride), ..self }
    }

    /// The stride at the beginning.
    pub(super) fn first_stride(&self) -> usize {
        self.stride.map_or(1, |stride| stride.first)
    }

    /// Whether the settings make sense.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let drop = |name, value: Option<f64>| match value {
            Some(drop) if !drop.is_finite() || drop < 0.0 => Err(SettingsError::Drop { name, drop }),
            _ => Ok(()),
        };
        drop("max_drop", self.max_drop)?;
        let Some(Stride { first, max, allowed_drop }) = self.stride else { return Ok(()) };
        drop("stride.allowed_drop", Some(allowed_drop))?;
        if first == 0 || max < first { Err(SettingsError::Stride { first, max }) } else { Ok(()) }
    }
}

/// Which settings make no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A drop of quality is negative or no finite number.
    #[error("{name} is {drop}; how far quality may fall is a finite number that is not negative")]
    Drop {
        /// The setting.
        name: &'static str,
        /// Its value.
        drop: f64,
    },
    /// There is no stride between the first and the largest.
    #[error("stride.first is {first} and stride.max {max}; a stride is at least 1, and the largest at least the first")]
    Stride {
        /// The first.
        first: usize,
        /// The largest.
        max: usize,
    },
}
