//! `cosine`: slowly at both ends.

use std::f64::consts::PI;

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

register_scheduler!("cosine", "(1 - cos πt) / 2: slowly at both ends", Cosine);

/// The part of the target reached is `(1 − cos πt) / 2` with t the part of the run that is over.
///
/// The annealing of Loshchilov & Hutter, *SGDR* (arXiv 1608.03983), as `FasterAI` applies it to sparsity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosine {}

#[typetag::serde(name = "cosine")]
impl Scheduler for Cosine {
    fn ratio(&self, at: Position) -> f64 {
        f64::midpoint(1.0, -(PI * at.progress()).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_reached_in_the_middle_and_a_quarter_after_a_third() {
        for (step, steps, expected) in [(0, 3, 0.0), (1, 3, 0.25), (1, 2, 0.5), (2, 3, 0.75), (3, 3, 1.0)] {
            let ratio = Cosine {}.ratio(Position::new(step, steps, 0.5));
            assert!((ratio - expected).abs() < 1e-15, "{ratio} at {step} of {steps}");
        }
    }
}
