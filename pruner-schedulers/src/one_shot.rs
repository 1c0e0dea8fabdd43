//! `one-shot`: the whole target at one step.

use std::num::NonZeroUsize;

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

register_scheduler!("one-shot", "the whole target at one step", OneShot);

/// Nothing of the target is reached before step [`at`](Self::at), all of it from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneShot {
    /// The step that cuts, counted from 1; in a shorter run the last one cuts. Default: 1.
    pub at: NonZeroUsize,
}

impl OneShot {
    /// Cuts at step `at` instead.
    #[must_use]
    pub fn with_at(mut self, at: NonZeroUsize) -> Self {
        self.at = at;
        self
    }
}

impl Default for OneShot {
    fn default() -> Self {
        Self { at: NonZeroUsize::MIN }
    }
}

#[typetag::serde(name = "one-shot")]
impl Scheduler for OneShot {
    fn ratio(&self, at: Position) -> f64 {
        if at.step >= self.at.get().min(at.steps) { 1.0 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(at: usize, expected: [f64; 4]) {
        let scheduler = OneShot::default().with_at(NonZeroUsize::new(at).expect("steps are counted from 1"));
        let ratios: Vec<f64> = (0..=3).map(|step| scheduler.ratio(Position::new(step, 3, 0.5))).collect();
        assert_eq!(ratios, expected, "at {at}");
    }

    #[test]
    fn all_is_cut_at_the_step_or_else_at_the_last() {
        check(1, [0.0, 1.0, 1.0, 1.0]);
        check(2, [0.0, 0.0, 1.0, 1.0]);
        check(3, [0.0, 0.0, 0.0, 1.0]);
        check(9, [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_step_0_is_refused_with_the_reason() {
        let error = pruner_core::registry::scheduler_from("one-shot", serde_json::json!({"at": 0}))
            .expect_err("steps are counted from 1");
        assert_eq!(error.to_string(), "scheduler `one-shot`: invalid value: integer `0`, expected a nonzero usize");
    }
}
