//! Schedulers: how the target of a run is divided among its steps.

use std::fmt;

use dyn_clone::DynClone;

/// Divides a pruning ratio among the steps of a run.
///
/// Implemented and registered by plugins, see [`registry`](crate::registry).
///
/// # Contract
///
/// In every run, the ratio lies in `[0, 1]`, does not fall from one step to the next, and is 1 once all steps are done, so
/// that the last step lands on the target whatever the shape in between. Steps after the last leave it at 1, and a run of no
/// steps is done before it begins: there the ratio is 1. The same position gives the same result. [`check`] tests all of this
/// but the last.
#[typetag::serde(tag = "scheduler")]
pub trait Scheduler: fmt::Debug + Send + Sync + DynClone {
    /// The part of the target that is reached at a position of the run.
    fn ratio(&self, at: Position) -> f64;
}

dyn_clone::clone_trait_object!(Scheduler);

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// The steps that are done.
    pub step: usize,
    /// The steps of the run.
    pub steps: usize,
    /// The share of the channels that is gone at the end of the run, in `[0, 1)`; with a budget the largest of its shares.
    pub target_ratio: f64,
}

impl Position {
    /// After `step` of the `steps` of a run to a target ratio.
    pub fn new(step: usize, steps: usize, target_ratio: f64) -> Self {
        Self { step, steps, target_ratio }
    }

    /// The part of the run that is over: 0 at the start, 1 at the end and after it, and 1 throughout a run of no steps.
    pub fn progress(self) -> f64 {
        if self.step >= self.steps { 1.0 } else { self.step as f64 / self.steps as f64 }
    }
}

/// `scheduler.ratio(at)`, if it lies in `[0, 1]`.
///
/// Rounding may have carried it out of the interval by 10⁻⁹; it is then put back.
pub fn ratio(scheduler: &dyn Scheduler, at: Position) -> Result<f64, SchedulerError> {
    const ROUNDING: f64 = 1e-9;
    let Position { step, steps, .. } = at;
    let ratio = scheduler.ratio(at);
    if (-ROUNDING..=1.0 + ROUNDING).contains(&ratio) {
        Ok(ratio.clamp(0.0, 1.0))
    } else {
        Err(SchedulerError::OutOfRange { scheduler: scheduler.typetag_name().to_owned(), step, steps, ratio })
    }
}

/// Whether `scheduler` keeps the contract over a run of `steps` steps to a target ratio; for the tests of plugins. Of a run of
/// more than 10,000 steps, so many are looked at.
pub fn check(scheduler: &dyn Scheduler, steps: usize, target_ratio: f64) -> Result<(), SchedulerError> {
    const LOOKED_AT: usize = 10_000;
    let mut before = 0.0;
    for step in (0..steps).step_by(steps.div_ceil(LOOKED_AT).max(1)).chain([steps]) {
        let ratio = ratio(scheduler, Position { step, steps, target_ratio })?;
        if ratio < before {
            let scheduler = scheduler.typetag_name().to_owned();
            return Err(SchedulerError::Falls { scheduler, step, steps, before, ratio });
        }
        before = ratio;
    }
    for step in [steps, steps.saturating_add(1)] {
        let ratio = ratio(scheduler, Position { step, steps, target_ratio })?;
        if ratio < 1.0 {
            return Err(SchedulerError::Unfinished {
                scheduler: scheduler.typetag_name().to_owned(),
                step,
                steps,
                ratio,
            });
        }
    }
    Ok(())
}

/// How a scheduler breaks its contract.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// A ratio is not in `[0, 1]`.
    #[error("scheduler `{scheduler}` gives {ratio} at step {step} of {steps}; a ratio lies in [0, 1]")]
    OutOfRange {
        /// The name of the scheduler.
        scheduler: String,
        /// The step.
        step: usize,
        /// The steps of the run.
        steps: usize,
        /// What it gives.
        ratio: f64,
    },
    /// A ratio is less than that of the step before.
    #[error(
        "scheduler `{scheduler}` falls from {before} to {ratio} at step {step} of {steps}; what is cut stays cut, so \
         a ratio may not fall"
    )]
    Falls {
        /// The name of the scheduler.
        scheduler: String,
        /// The step.
        step: usize,
        /// The steps of the run.
        steps: usize,
        /// The ratio of the step before.
        before: f64,
        /// What it gives.
        ratio: f64,
    },
    /// The last step is not at 1.
    #[error("scheduler `{scheduler}` gives {ratio} at step {step} of {steps}; the last step must be at 1")]
    Unfinished {
        /// The name of the scheduler.
        scheduler: String,
        /// The step.
        step: usize,
        /// The steps of the run.
        steps: usize,
        /// What it gives.
        ratio: f64,
    },
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Given(Vec<f64>);

    #[typetag::serde(name = "given")]
    impl Scheduler for Given {
        fn ratio(&self, at: Position) -> f64 {
            self.0.get(at.step).copied().unwrap_or(f64::NAN)
        }
    }

    #[track_caller]
    fn breaks(ratios: &[f64], expected: &str) {
        let error = check(&Given(ratios.to_vec()), 2, 0.5).expect_err("the contract is broken");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_scheduler_that_keeps_the_contract_passes_the_check() {
        assert_eq!(check(&Given(vec![0.0, 0.3, 1.0, 1.0]), 2, 0.5), Ok(()));
        assert_eq!(check(&Given(vec![0.0, -1e-12, 1.0 + 1e-12, 1.0]), 2, 0.5), Ok(()));
    }

    #[test]
    fn each_breach_of_the_contract_is_told_from_the_others() {
        breaks(
            &[0.0, 0.5, 0.4, 1.0],
            "scheduler `given` falls from 0.5 to 0.4 at step 2 of 2; what is cut stays cut, so a ratio may not fall",
        );
        breaks(&[0.0, 0.5, 0.9, 1.0], "scheduler `given` gives 0.9 at step 2 of 2; the last step must be at 1");
        breaks(&[0.0, 0.5, 1.0, 0.5], "scheduler `given` gives 0.5 at step 3 of 2; the last step must be at 1");
        breaks(&[0.0, 1.5], "scheduler `given` gives 1.5 at step 1 of 2; a ratio lies in [0, 1]");
        breaks(&[0.0, f64::NAN], "scheduler `given` gives NaN at step 1 of 2; a ratio lies in [0, 1]");
        breaks(&[-0.1], "scheduler `given` gives -0.1 at step 0 of 2; a ratio lies in [0, 1]");
    }

    #[test]
    fn progress_is_1_at_the_end_after_it_and_in_a_run_of_no_steps() {
        let cases = [((0, 4), 0.0), ((1, 4), 0.25), ((4, 4), 1.0), ((5, 4), 1.0), ((0, 0), 1.0), ((3, 0), 1.0)];
        for ((step, steps), expected) in cases {
            assert!(
                (Position::new(step, steps, 0.5).progress() - expected).abs() < f64::EPSILON,
                "step {step} of {steps}"
            );
        }
    }

    #[test]
    fn a_boxed_scheduler_is_cloned_with_its_settings() {
        let scheduler: Box<dyn Scheduler> = Box::new(Given(vec![0.25]));
        assert!((scheduler.clone().ratio(Position::new(0, 1, 0.5)) - 0.25).abs() < f64::EPSILON);
    }
}
