//! Budgets: a target in parameters or multiply-accumulates, met by the channel ratio that a run needs for it.

use serde::{Deserialize, Serialize};

use crate::deps::{Counts, Kept};
use crate::exec::GraphModule;
use crate::pruner::{GroupPruner, PruneError};

/// What a network may cost at the end of a run, as the share of what it cost before the first cut that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Budget {
    /// The share, in [0, 1), of the elements of all parameters that goes at least.
    Params(f64),
    /// The share, in [0, 1), of the multiply-accumulates of a forward pass that goes at least.
    Macs(f64),
}

impl Budget {
    fn share(self) -> f64 {
        match self {
            Self::Params(share) | Self::Macs(share) => share,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Params(_) => "parameters",
            Self::Macs(_) => "multiply-accumulates",
        }
    }

    fn of(self, counts: Counts) -> u64 {
        match self {
            Self::Params(_) => counts.params,
            Self::Macs(_) => counts.macs,
        }
    }
}

/// Why no channel ratio meets a budget.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The share is none.
    #[error("the budget removes {0} of the {1}; it is a share, at least 0 and less than 1")]
    Share(f64, &'static str),
    /// Even cutting all that the limits let go leaves more.
    #[error(
        "the budget removes {:.1} % of the {what}, and cutting all that the limits let go removes {:.1} %; ask for less, or \
         loosen min_channels, max_ratio, round_to and ignore",
        100.0 * .asked, 100.0 * .possible
    )]
    Infeasible {
        /// What is counted.
        what: &'static str,
        /// The share that is to go.
        asked: f64,
        /// The share that can go.
        possible: f64,
    },
    /// The network cannot be scored, or no plan can be made.
    #[error(transparent)]
    Prune(#[from] PruneError),
}

impl GroupPruner {
    /// Sets the target ratio of channels to the smallest, to a millionth, with which a run of one step meets the budget by the
    /// scores that the network has now, and returns it. A run to that ratio in several steps meets it up to what training
    /// changes in the ranking.
    pub fn meet(&mut self, module: &GraphModule, budget: Budget) -> Result<f64, BudgetError> {
        const PRECISION: f64 = 1e-6;
        let asked = budget.share();
        if !(0.0..1.0).contains(&asked) {
            return Err(BudgetError::Share(asked, budget.what()));
        }
        let dense = budget.of(self.analysis().counts(&Kept::all()));
        let allowed = (dense as f64 * (1.0 - asked)).floor() as u64;
        let scores = self.scores(module)?;
        let left = |ratio: f64| -> Result<u64, PruneError> {
            let limits = self.settings().limits.clone().with_target_ratio(ratio);
            Ok(budget.of(self.counts_at(&scores, &limits)?))
        };
        let (mut low, mut high) = (0.0, 1.0 - PRECISION);
        if left(low)? <= allowed {
            high = low;
        }
        let most = left(high)?;
        if most > allowed {
            let possible = 1.0 - most as f64 / dense as f64;
            return Err(BudgetError::Infeasible { what: budget.what(), asked, possible });
        }
        while high - low > PRECISION {
            let middle = f64::midpoint(low, high);
            if left(middle)? <= allowed {
                high = middle;
            } else {
                low = middle;
            }
        }
        self.set_target_ratio(high);
        Ok(high)
    }
}
