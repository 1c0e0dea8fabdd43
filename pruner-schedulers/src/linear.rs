//! `linear`: the same part of the target at every step.

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

register_scheduler!("linear", "t: the same part of the target at every step", Linear);

/// The part of the target reached is `t = step / steps`.
///
/// Source: Torch-Pruning and NNI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {}

#[typetag::serde(name = "linear")]
impl Scheduler for Linear {
    fn ratio(&self, at: Position) -> f64 {
        at.progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_takes_the_same_part() {
        let ratios: Vec<f64> = (0..=4).map(|step| Linear {}.ratio(Position::new(step, 4, 0.5))).collect();
        assert_eq!(ratios, [0.0, 0.25, 0.5, 0.75, 1.0]);
    }
}
