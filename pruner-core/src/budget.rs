//! Cuts that meet a budget of which latency is a part: the least of several candidates that is fast enough.

use std::collections::BTreeMap;

use crate::deps::{Analysis, Kept};
use crate::equivalence::sliced;
use crate::exec::GraphModule;
use crate::ids::GroupId;
use crate::latency::{Latencies, Latency};
use crate::plan::{Budget, BudgetError, Measure, Prunable, Selection, Shortfall, Standing};

/// A network before the first cut, and how the latency of what is left of it is told.
#[derive(Debug)]
pub(crate) struct Dense {
    /// It keeps its memory when the variables that it was made of are cut.
    module: GraphModule,
    latency: Box<dyn Latency>,
}

/// A cut that could be made.
struct Candidate {
    selection: Selection,
    latencies: Latencies,
}

impl Dense {
    /// Of a network that is not cut yet.
    pub(crate) fn new(
        module: &GraphModule,
        analysis: &Analysis,
        latency: Box<dyn Latency>,
    ) -> Result<Self, BudgetError> {
        let module = sliced(module, analysis, &Kept::all()).map_err(unmeasured)?;
        Ok(Self { module, latency })
    }

    pub(crate) fn with_latency(self, latency: Box<dyn Latency>) -> Self {
        Self { latency, ..self }
    }

    /// As [`Prunable::meet`], and latency is looked at too: of cuts to several shares of multiply-accumulates, each measured, the
    /// least is taken that is fast enough.
    pub(crate) fn meet(
        &self,
        prunable: Prunable<'_>,
        scores: &BTreeMap<GroupId, Vec<f64>>,
        budget: &Budget,
        progress: f64,
    ) -> Result<Selection, BudgetError> {
        let (now, whole) = (budget.at(progress), budget.latency.unwrap_or(0.0));
        let asked = now.latency.unwrap_or(0.0);
        let all = prunable.analysis.counts(&Kept::all()).macs as f64;
        let gone = |macs: u64| if all > 0.0 { 1.0 - macs as f64 / all } else { 0.0 };
        let least = prunable.check_reach(scores, budget)?;
        // The bound of a count is whole; one multiply-accumulate less keeps it above what can be left.
        let most = (gone(least.macs) - all.max(1.0).recip()).max(0.0);
        let done = gone(prunable.analysis.counts(prunable.kept).macs);
        let try_out = |macs: f64| -> Result<(f64, Candidate), BudgetError> {
            let selection = prunable.meet_now(scores, &now.clone().with(Measure::Macs, macs), progress)?;
            let kept = selection.plan().applied_to(prunable.analysis, prunable.kept);
            let cut = sliced(&self.module, prunable.analysis, &kept).map_err(unmeasured)?;
            let latencies = self.latency.measure(&self.module, &cut).map_err(unmeasured)?;
            tracing::debug!("{macs:.4} of the multiply-accumulates gone: {latencies:?}");
            Ok((latencies.gone(), Candidate { selection, latencies }))
        };
        let range = (now.macs.unwrap_or(0.0).max(done).min(most), most);
        let Candidate { mut selection, latencies } = search(range, asked, whole, try_out)?;
        selection.budget.push(Standing::new(Measure::Latency, asked, latencies.dense_ms, latencies.cut_ms));
        Ok(prunable.judged(selection, budget))
    }
}

fn unmeasured(problem: impl std::fmt::Display) -> BudgetError {
    BudgetError::Latency { problem: problem.to_string() }
}

/// What `try_out` makes of the least share in `range` for which it says that at least `asked` is gone, as near as eight trials
/// and a hundredth tell; an error where the highest share does not even reach `whole`.
fn search<T>(
    range: (f64, f64),
    asked: f64,
    whole: f64,
    mut try_out: impl FnMut(f64) -> Result<(f64, T), BudgetError>,
) -> Result<T, BudgetError> {
    const TRIALS: usize = 6;
    const TOLERANCE: f64 = 0.01;
    let (mut low, mut high) = range;
    let (most, mut best) = try_out(high)?;
    if most < whole.max(asked) {
        let failing = vec![Shortfall::new(Measure::Latency, whole, most)];
        return Err(BudgetError::Infeasible { failing });
    }
    let (gone, least) = try_out(low)?;
    if gone >= asked {
        return Ok(least);
    }
    // Halving: a line through both ends would creep from the end that is nearer, and noise could leave it at the other.
    for _ in 0..TRIALS {
        if high - low < TOLERANCE {
            break;
        }
        let middle = f64::midpoint(low, high);
        let (gone, tried) = try_out(middle)?;
        if gone < asked {
            low = middle;
            continue;
        }
        (high, best) = (middle, tried);
        if gone - asked < TOLERANCE {
            break;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share that is found where `gone` tells what a share does, and the shares that were tried.
    fn found(asked: f64, gone: impl Fn(f64) -> f64) -> (Result<f64, BudgetError>, Vec<f64>) {
        let mut tried = Vec::new();
        let result = search((0.0, 0.95), asked, asked, |share| {
            tried.push(share);
            Ok((gone(share), share))
        });
        (result, tried)
    }

    #[test]
    fn the_least_share_that_is_fast_enough_is_found_in_few_trials() {
        for asked in [0.05, 0.3, 0.5, 0.8] {
            for (at, gone) in [(asked, &(|share| share) as &dyn Fn(f64) -> f64), (asked / 0.9, &|share| 0.9 * share)] {
                let (share, tried) = found(asked, gone);
                let share = share.expect("it can be met");
                assert!(gone(share) >= asked && share < at + 0.02, "{asked}: {share}");
                assert!(tried.len() <= 8, "{tried:?}");
            }
        }
    }

    #[test]
    fn what_is_fast_enough_already_is_not_cut_further() {
        let (share, _) = found(0.1, |share| 0.2 + 0.5 * share);
        assert!(share.expect("it is met").abs() < f64::EPSILON);
    }

    #[test]
    fn a_share_that_no_cut_reaches_is_told_with_what_can_be() {
        let (share, tried) = found(0.5, |share| 0.4 * share);
        let message = share.expect_err("it cannot be met").to_string();
        assert!(message.starts_with("the budget removes 50.0 % of the latency, and"), "{message}");
        assert!(message.contains("removes 38.0 %"), "{message}");
        assert_eq!(tried.len(), 1);
    }
}
