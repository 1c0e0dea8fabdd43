//! `cubic`: most of the target early, while much is redundant.

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

register_scheduler!("cubic", "1 - (1 - t)³: fast at first, ever slower towards the end", Cubic);

/// The part of the target reached is `1 − (1 − t)³` with t the part of the run that is over.
///
/// Source: automated gradual pruning, Zhu & Gupta, *To prune, or not to prune* (arXiv 1710.01878), with an initial
/// sparsity of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cubic {}

#[typetag::serde(name = "cubic")]
impl Scheduler for Cubic {
    fn ratio(&self, at: Position) -> f64 {
        1.0 - (1.0 - at.progress()).powi(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_four_steps_takes_more_than_half() {
        let ratios: Vec<f64> = (0..=4).map(|step| Cubic {}.ratio(Position::new(step, 4, 0.5))).collect();
        assert_eq!(ratios, [0.0, 0.578_125, 0.875, 0.984_375, 1.0]);
    }
}
