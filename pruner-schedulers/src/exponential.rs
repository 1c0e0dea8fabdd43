//! `exponential`: every step takes the same share of what is left.

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

register_scheduler!("exponential", "every step takes the same share of what is left", Exponential);

/// The density, the share of the channels that is left, falls geometrically: it is `(1 − r)^t` where the run ends at a target
/// ratio r and t is the part of the run that is over. The part of the target reached is `(1 − (1 − r)^t) / r`.
///
/// Sources: Frankle & Carbin, *The Lottery Ticket Hypothesis* (arXiv 1803.03635), which removes a share of what is left in
/// every round; Tanaka et al., *Pruning neural networks without any data by iteratively conserving synaptic flow*
/// (arXiv 2006.05467).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {}

#[typetag::serde(name = "exponential")]
impl Scheduler for Exponential {
    fn ratio(&self, at: Position) -> f64 {
        // 1 − (1 − r)^t, exact for the smallest targets too.
        let gone = |t: f64| -(t * (-at.target_ratio).ln_1p()).exp_m1();
        let whole = gone(1.0);
        if whole > 0.0 { gone(at.progress()) / whole } else { at.progress() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_leaves_the_same_share() {
        let left = |step| 1.0 - 0.9375 * Exponential {}.ratio(Position::new(step, 4, 0.9375));
        for (step, expected) in [1.0, 0.5, 0.25, 0.125, 0.0625].into_iter().enumerate() {
            assert!((left(step) - expected).abs() < 1e-12, "{} after step {step}", left(step));
        }
    }

    #[test]
    fn small_targets_are_reached_evenly() {
        let ratio = Exponential {}.ratio(Position::new(1, 4, 1e-15));
        assert!((ratio - 0.25).abs() < 1e-12, "{ratio}");
        assert!((Exponential {}.ratio(Position::new(1, 4, 0.0)) - 0.25).abs() < 1e-12);
    }
}
