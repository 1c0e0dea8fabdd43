//! `cost-aware`: another criterion, by what a coordinate costs.

use pruner_core::deps::Group;
use pruner_core::importance::{Importance, ImportanceError, SignalSet, Weights, deserialize_importance};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{Cost, Magnitude};

register_importance!("cost-aware", "another criterion, by what a coordinate costs", CostAware);

/// The score of a coordinate is that of another criterion by what a coordinate of its group costs, so that of coordinates that matter as much those that
/// cost more go first. It changes the order among groups and none within one. It has the unit of the other by that of the cost: a multiply-accumulate, a parameter or a
/// byte.
///
/// In TOML: `importance = { importance = "cost-aware", of = "taylor", by = "macs" }`. Budgets weigh costs themselves where scores add up, see
/// [`Budget`](pruner_core::plan::Budget).
///
/// Source: the normalisation by reduced cost of Liu et al., *Group Fisher Pruning* (arXiv 2108.00708).
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CostAware {
    /// The criterion. Default: magnitude.
    #[serde(deserialize_with = "deserialize_importance")]
    pub of: Box<dyn Importance>,
    /// What it is divided by. Default: macs.
    pub by: Cost,
}

impl CostAware {
    /// Another criterion by a cost.
    pub fn new(of: impl Importance + 'static, by: Cost) -> Self {
        Self { of: Box::new(of), by }
    }
}

impl Default for CostAware {
    fn default() -> Self {
        Self::new(Magnitude::default(), Cost::Macs)
    }
}

#[typetag::serde(name = "cost-aware")]
impl Importance for CostAware {
    fn needs(&self) -> SignalSet {
        self.by.needs() | self.of.needs()
    }

    fn compensates(&self) -> bool {
        self.of.compensates()
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        match self.of.score(group, weights)? {
            Some(score) => Ok(Some(self.by.divide(&score, group, weights)?)),
            None => Ok(None),
        }
    }
}
