//! `one-cycle`: little at first, nearly all in the middle, little at the end.

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

register_scheduler!("one-cycle", "a logistic curve: nearly all in the middle of the run", OneCycle);

/// The part of the target reached is `(1 + e^(β − α)) / (1 + e^(β − αt))` with t the part of the run that is over.
///
/// It begins at `(1 + e^(β − α)) / (1 + e^β)`, by default 0.25 %, which the first step adds to its own part.
///
/// Source: Hubens et al., *One-Cycle Pruning* (arXiv 2107.02086), whose α and β are the defaults.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// How steep the curve is; at least 0, where the first step takes all. Default: 14.
    #[schemars(range(min = 0.0))]
    pub alpha: f64,
    /// Where it is steepest: at t = β / α. Default: 6.
    pub beta: f64,
}

impl Default for OneCycle {
    fn default() -> Self {
        Self { alpha: 14.0, beta: 6.0 }
    }
}

#[typetag::serde(name = "one-cycle")]
impl Scheduler for OneCycle {
    fn ratio(&self, at: Position) -> f64 {
        let Self { alpha, beta } = *self;
        let curve = |t: f64| 1.0 / (1.0 + (beta - alpha * t).exp());
        curve(at.progress()) / curve(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_steepest_at_six_fourteenths() {
        let ratio = |step| OneCycle::default().ratio(Position::new(step, 14, 0.5));
        // (1 + e^−8) / 2 at t = 6/14.
        assert!((ratio(6) - 0.500_167_731_314).abs() < 1e-12, "{}", ratio(6));
        assert!((ratio(0) - 0.002_473_4).abs() < 1e-7, "{}", ratio(0));
        let rises: Vec<f64> = (0..14).map(|step| ratio(step + 1) - ratio(step)).collect();
        let steepest = (0..14).max_by(|&a, &b| rises[a].total_cmp(&rises[b])).expect("there are steps");
        assert!((5..=6).contains(&steepest), "{steepest}");
    }
}
