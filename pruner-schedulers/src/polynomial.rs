//! `polynomial`: a power of what is left of the run.

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

register_scheduler!("polynomial", "1 - (1 - t)^power: `linear` for 1, `cubic` for 3", Polynomial);

/// The part of the target reached is `1 − (1 − t)^p` with t the part of the run that is over.
///
/// Source: the polynomial decay of the TensorFlow Model Optimization Toolkit and of Core ML Tools, from an initial sparsity
/// of 0; p = 3 is Zhu & Gupta (arXiv 1710.01878).
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Polynomial {
    /// The exponent, positive: above 1 fast at first, below 1 fast at the end. Default: 3.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub power: f64,
}

impl Polynomial {
    /// With another exponent.
    #[must_use]
    pub fn with_power(mut self, power: f64) -> Self {
        self.power = power;
        self
    }
}

impl Default for Polynomial {
    fn default() -> Self {
        Self { power: 3.0 }
    }
}

#[typetag::serde(name = "polynomial")]
impl Scheduler for Polynomial {
    fn ratio(&self, at: Position) -> f64 {
        1.0 - (1.0 - at.progress()).powf(self.power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cubic, Linear};

    #[test]
    fn some_powers_have_names_of_their_own() {
        for at in (0..=5).map(|step| Position::new(step, 5, 0.5)) {
            let power = |power| Polynomial::default().with_power(power).ratio(at);
            assert!((power(1.0) - Linear {}.ratio(at)).abs() < 1e-15);
            assert!((power(3.0) - Cubic {}.ratio(at)).abs() < 1e-15);
        }
        assert!((Polynomial::default().with_power(2.0).ratio(Position::new(1, 4, 0.5)) - 0.4375).abs() < 1e-15);
    }
}
