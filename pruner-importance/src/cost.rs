//! What a coordinate costs.

use pruner_core::deps::Group;
use pruner_core::importance::{ImportanceError, Signal, SignalSet, Weights};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// What a score is divided by: what the network costs less once one coordinate of the group is gone, as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Multiply-accumulates.
    #[default]
    Macs,
    /// Parameters.
    Params,
    /// Bytes of parameters and buffers.
    Bytes,
    /// Bytes of what the nodes of the network make, for as many samples as it was made with; views take none.
    Memory,
    /// Nothing: the score stays as it is.
    None,
}

impl Cost {
    /// What it is computed from.
    pub(crate) fn needs(self) -> SignalSet {
        match self {
            Self::Macs | Self::Params | Self::Bytes => Signal::Costs.into(),
            Self::Memory => Signal::Memory.into(),
            Self::None => SignalSet::empty(),
        }
    }

    /// `score` by the cost of a coordinate; one that costs nothing counts as costing one.
    pub(crate) fn divide(
        self,
        score: &Tensor,
        group: &dyn Group,
        weights: &Weights,
    ) -> Result<Tensor, ImportanceError> {
        let freed = match self {
            Self::Macs => weights.cost_of(group)?.macs,
            Self::Params => weights.cost_of(group)?.params,
            Self::Bytes => weights.cost_of(group)?.bytes,
            Self::Memory => weights.memory_of(group)?,
            Self::None => 1,
        };
        let divide = || -> Result<Tensor, TchError> { score.f_div_scalar(freed.max(1) as f64) };
        Ok(divide()?)
    }
}
