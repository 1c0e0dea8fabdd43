//! Budgets: what a network may cost at the end of a run, as shares of what it cost before the first cut.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SelectError;
use crate::deps::Counts;

/// What is to go of a network by the end of a run, each measure as a share, in [0, 1), of the network before the first cut.
/// All that are set are met.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"required": ["params"], "properties": {"params": {"type": "number"}}},
    {"required": ["macs"], "properties": {"macs": {"type": "number"}}},
    {"required": ["bytes"], "properties": {"bytes": {"type": "number"}}},
    {"required": ["latency"], "properties": {"latency": {"type": "number"}}},
]))]
pub struct Budget {
    /// The share of the elements of all parameters that goes at least. Default: none.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub params: Option<f64>,
    /// The share of the multiply-accumulates of a forward pass that goes at least. Default: none.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub macs: Option<f64>,
    /// The share of the bytes of all parameters and buffers that goes at least. Default: none.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub bytes: Option<f64>,
    /// The share of the latency of a forward pass that goes at least, measured while planning on the device of the network. A
    /// measurement is not the same twice, and so neither is the plan. Default: none.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub latency: Option<f64>,
    /// Whether groups that are ranked together ([`Scope::Global`](super::Scope::Global)) lose first what has the least importance
    /// for what it frees of the budget, rather than the least importance, where the scores of a criterion add up: changes of the loss
    /// do, scores that are scaled by group do not, and go by themselves. Default: true.
    pub cost_aware: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { params: None, macs: None, bytes: None, latency: None, cost_aware: true }
    }
}

impl Budget {
    /// A share of one measure.
    pub fn of(measure: Measure, share: f64) -> Self {
        Self::default().with(measure, share)
    }

    /// Sets the share of a measure.
    #[must_use]
    pub fn with(mut self, measure: Measure, share: f64) -> Self {
        *self.share_mut(measure) = Some(share);
        self
    }

    /// Sets [`cost_aware`](Self::cost_aware).
    #[must_use]
    pub fn with_cost_aware(self, cost_aware: bool) -> Self {
        Self { cost_aware, ..self }
    }

    /// The share of a measure; `None` where it is free.
    pub fn share(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Params => self.params,
            Measure::Macs => self.macs,
            Measure::Bytes => self.bytes,
            Measure::Latency => self.latency,
        }
    }

    fn share_mut(&mut self, measure: Measure) -> &mut Option<f64> {
        match measure {
            Measure::Params => &mut self.params,
            Measure::Macs => &mut self.macs,
            Measure::Bytes => &mut self.bytes,
            Measure::Latency => &mut self.latency,
        }
    }

    /// The measures that are set, with their shares.
    pub fn shares(&self) -> impl Iterator<Item = (Measure, f64)> + '_ {
        Measure::ALL.into_iter().filter_map(|measure| Some((measure, self.share(measure)?)))
    }

    /// The largest share of all measures; 0 where none is set.
    pub fn largest_share(&self) -> f64 {
        self.shares().map(|(_, share)| share).fold(0.0, f64::max)
    }

    /// The budget of the part of a run that is over at `progress`.
    #[must_use]
    pub(crate) fn at(&self, progress: f64) -> Self {
        self.shares().fold(self.clone(), |budget, (measure, share)| budget.with(measure, share * progress))
    }

    /// Checks the shares.
    pub fn validate(&self) -> Result<(), BudgetError> {
        if self.shares().next().is_none() {
            return Err(BudgetError::Empty);
        }
        match self.shares().find(|(_, share)| !(0.0..1.0).contains(share)) {
            Some((measure, share)) => Err(BudgetError::Share { measure, share }),
            None => Ok(()),
        }
    }
}

/// What a budget can be a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Measure {
    /// The elements of all parameters.
    Params,
    /// The multiply-accumulates of a forward pass.
    Macs,
    /// The bytes of all parameters and buffers.
    Bytes,
    /// The time of a forward pass.
    Latency,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 4] = [Self::Params, Self::Macs, Self::Bytes, Self::Latency];

    /// The name that a budget has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Macs => "macs",
            Self::Bytes => "bytes",
            Self::Latency => "latency",
        }
    }

    /// What a network costs by it; `None` where that is measured and not counted.
    pub fn count(self, counts: Counts) -> Option<u64> {
        match self {
            Self::Params => Some(counts.params),
            Self::Macs => Some(counts.macs),
            Self::Bytes => Some(counts.bytes),
            Self::Latency => None,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Params => "parameters",
            Self::Macs => "multiply-accumulates",
            Self::Bytes => "bytes",
            Self::Latency => "latency",
        })
    }
}

/// Where one measure of a budget stands after a step. All but `dense` are shares of `dense`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Standing {
    /// What is measured.
    pub measure: Measure,
    /// What the network cost before the first cut; milliseconds of latency.
    pub dense: f64,
    /// What should be gone after this step.
    pub asked: f64,
    /// What is gone.
    pub achieved: f64,
    /// What should be gone and is not.
    pub gap: f64,
}

impl Standing {
    /// Of a measure by which the network cost `dense` and now costs `left`.
    pub fn new(measure: Measure, asked: f64, dense: f64, left: f64) -> Self {
        let achieved = if dense > 0.0 { 1.0 - left / dense } else { 0.0 };
        // Of what costs nothing, nothing can be missing.
        let gap = if dense > 0.0 { (asked - achieved).max(0.0) } else { 0.0 };
        Self { measure, dense, asked, achieved, gap }
    }
}

/// One count of a network and the most that it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) measure: Measure,
    pub(super) share: f64,
    pub(super) dense: u64,
    pub(super) allowed: u64,
}

impl Bound {
    /// Those that a budget sets for a network which cost `dense`.
    pub(super) fn all(budget: &Budget, dense: Counts) -> Vec<Self> {
        let bound = |(measure, share): (Measure, f64)| {
            let dense = measure.count(dense)?;
            Some(Self { measure, share, dense, allowed: (dense as f64 * (1.0 - share)).floor() as u64 })
        };
        budget.shares().filter_map(bound).collect()
    }

    /// What the network costs.
    pub(super) fn count(&self, counts: Counts) -> u64 {
        self.measure.count(counts).unwrap_or(0)
    }

    /// How much more the network costs than it may.
    pub(super) fn missing(&self, counts: Counts) -> u64 {
        self.count(counts).saturating_sub(self.allowed)
    }
}

/// Whether a network that costs `counts` is within all bounds.
pub(super) fn met(bounds: &[Bound], counts: Counts) -> bool {
    bounds.iter().all(|bound| bound.missing(counts) == 0)
}

/// That all bounds can be met when as little as `least` can be left.
pub(super) fn check_reach(bounds: &[Bound], least: Counts) -> Result<(), BudgetError> {
    let failing = bounds.iter().filter(|bound| bound.missing(least) > 0);
    let failing: Vec<_> = failing
        .map(|bound| Shortfall {
            measure: bound.measure,
            asked: bound.share,
            possible: 1.0 - bound.count(least) as f64 / bound.dense as f64,
        })
        .collect();
    if failing.is_empty() { Ok(()) } else { Err(BudgetError::Infeasible { failing }) }
}

/// A measure of a budget that cannot be met.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shortfall {
    /// What is measured.
    pub measure: Measure,
    /// The share that is to go.
    pub asked: f64,
    /// The share that can go.
    pub possible: f64,
}

impl Shortfall {
    /// Of a measure of which less can go than is asked.
    pub fn new(measure: Measure, asked: f64, possible: f64) -> Self {
        Self { measure, asked, possible }
    }

    /// What is asked and what is possible in per cent, with as many digits as tell them apart.
    fn told_apart(&self) -> (String, String) {
        const MOST: usize = 12;
        let with = |digits: usize| [self.asked, self.possible].map(|share| format!("{:.digits$}", 100.0 * share));
        let digits = (1..MOST).find(|&digits| with(digits)[0] != with(digits)[1]).unwrap_or(MOST);
        let [asked, possible] = with(digits);
        (asked, possible)
    }
}

/// Why a budget cannot be met.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// No measure is set.
    #[error("the budget is empty; set params, macs, bytes or latency")]
    Empty,
    /// The share is none.
    #[error("the budget removes {share} of the {measure}; it is a share, at least 0 and less than 1")]
    Share {
        /// What it is a share of.
        measure: Measure,
        /// The share.
        share: f64,
    },
    /// Even cutting all that the limits let go leaves more.
    #[error("{}", infeasible(.failing))]
    Infeasible {
        /// The measures of which more is left.
        failing: Vec<Shortfall>,
    },
    /// Groups that have no scores, or scores that are not finite, stay whole, and the others have too little.
    #[error(
        "the budget removes {}, and {} at most can go: {unscored} groups have no finite scores, since the criterion has nothing to say of them or its \
         data is not finite; choose another, or ask for less",
        asked(.failing), possible(.failing)
    )]
    Unscored {
        /// The measures of which more is left.
        failing: Vec<Shortfall>,
        /// How many groups have no scores.
        unscored: usize,
    },
    /// What a cut would leave could not be made or run.
    #[error("the latency could not be measured: {problem}")]
    Latency {
        /// What went wrong.
        problem: String,
    },
    /// No plan can be made of the scores.
    #[error(transparent)]
    Select(#[from] SelectError),
}

fn infeasible(failing: &[Shortfall]) -> String {
    format!(
        "the budget removes {}, and cutting all that the limits let go removes {}; ask for less, or loosen min_channels, max_ratio, round_to, \
         ignore and the ratios of overrides",
        asked(failing),
        possible(failing)
    )
}

fn asked(failing: &[Shortfall]) -> String {
    list(failing, |one| format!("{} % of the {}", one.told_apart().0, one.measure))
}

fn possible(failing: &[Shortfall]) -> String {
    list(failing, |one| format!("{} %", one.told_apart().1))
}

fn list(failing: &[Shortfall], part: fn(&Shortfall) -> String) -> String {
    failing.iter().map(part).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_what_is_possible_are_told_apart() {
        for (asked, possible, expected) in [
            (
                0.9,
                0.5,
                "the budget removes 90.0 % of the parameters, and cutting all that the limits let go removes 50.0 %;",
            ),
            (
                0.9999,
                0.9996,
                "the budget removes 99.99 % of the parameters, and cutting all that the limits let go removes 99.96 %;",
            ),
        ] {
            let failing = vec![Shortfall::new(Measure::Params, asked, possible)];
            let error = BudgetError::Infeasible { failing }.to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
