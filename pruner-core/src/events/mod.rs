//! What happens in a run of iterative pruning, as data: typed events, a line of JSON each, and what they add up to.

mod history;
mod log;

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

pub use history::{History, Row, Summary, Width};
pub use log::{LogError, read_log};

use crate::plan::StopReason;
use crate::report::{Counts, Outcome, StepReport};

/// What happened in a run.
///
/// It serialises to one object of JSON whose key `event` says which it is; a log has one in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// The run began.
    Started {
        /// What evaluations measure, such as `accuracy`; more is better.
        measure: String,
        /// The steps of the scheduler.
        steps: usize,
        /// After which steps it is trained.
        train: TrainPolicy,
        /// The epochs of training after a step.
        epochs_per_step: usize,
        /// The epochs after the last step.
        final_epochs: usize,
        /// The network before the first step.
        counts: Counts,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// The steps that were made.
        step: usize,
    },
    /// It was decided what a step cuts.
    Planned {
        /// The step.
        step: usize,
        /// The coordinates that go.
        coordinates: usize,
        /// What scoring and planning took, with the signals that were gathered for it.
        seconds: f64,
    },
    /// A step was made.
    Applied {
        /// What became of it.
        report: Box<StepReport>,
    },
    /// A step is not followed by training, because it pruned nothing.
    Skipped {
        /// The step.
        step: usize,
        /// Why nothing was pruned.
        reason: Outcome,
        /// The epochs of training that are saved.
        epochs: usize,
    },
    /// An epoch of training is over.
    Trained {
        /// The step that it follows.
        step: usize,
        /// Which epoch after the step it is, from 1.
        epoch: usize,
        /// How many there are after the step.
        epochs: usize,
        /// Whether it is one of those after the last step.
        is_final: bool,
        /// What it cost.
        cost: Cost,
    },
    /// The network was judged.
    Evaluated {
        /// The steps that were made.
        step: usize,
        /// When.
        stage: Stage,
        /// How good it is: more is better.
        quality: f64,
        /// What judging took.
        seconds: f64,
    },
    /// The cuts and the training since the step before were taken back.
    Reverted {
        /// The step that was taken back.
        step: usize,
        /// The quality after it.
        quality: f64,
        /// The least quality that is allowed.
        floor: f64,
        /// The step that the run is at again.
        back_to: usize,
        /// The network as it is again.
        counts: Counts,
    },
    /// From here on a cut is made every so many steps of the scheduler.
    StrideChanged {
        /// The steps that were made.
        step: usize,
        /// The stride before.
        from: usize,
        /// The stride from here on.
        to: usize,
    },
    /// The run is over.
    Stopped {
        /// The steps that were made.
        step: usize,
        /// Why.
        reason: Stop,
        /// What is left of the network.
        counts: Counts,
    },
}

/// After which steps the network is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainPolicy {
    /// Those that pruned something.
    #[default]
    WhenPruned,
    /// All, as is done where a step does not say whether it pruned anything.
    Always,
}

/// When a network is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before the first step.
    Dense,
    /// After a cut, before any training.
    AfterCut,
    /// After the training that follows a step.
    AfterTraining,
    /// After the last epochs.
    End,
}

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Stop {
    /// No later step can prune anything, for a reason of the pruner's: the target is reached, or it cannot be.
    Pruner {
        /// The pruner's reason.
        reason: StopReason,
    },
    /// The smallest step that the run may make costs more quality than is allowed; it was taken back.
    QualityFloor {
        /// The quality after the step.
        quality: f64,
        /// The least quality that is allowed.
        floor: f64,
    },
}

impl Stop {
    /// Whether the target of the run is reached.
    pub fn is_target_reached(&self) -> bool {
        matches!(self, Self::Pruner { reason: StopReason::TargetReached })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pruner { reason } => reason.fmt(f),
            Self::QualityFloor { quality, floor } => {
                write!(f, "the next step leaves a quality of {quality:.4}, and {floor:.4} is the least that is allowed")
            }
        }
    }
}

/// What training cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The time, in seconds; what training says is 0 is measured for it.
    pub seconds: f64,
    /// The samples that were learnt from.
    pub samples: u64,
    /// The multiply-accumulates, forward and backward.
    pub macs: u64,
    /// The energy, in joules; `None` where the device does not report it.
    pub joules: Option<f64>,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.samples = self.samples.saturating_add(other.samples);
        self.macs = self.macs.saturating_add(other.macs);
        self.joules = match (self.joules, other.joules) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
    }
}

impl Cost {
    /// As much so many times.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        let whole = |count: u64| count.saturating_mul(times as u64);
        Self {
            seconds: self.seconds * times as f64,
            samples: whole(self.samples),
            macs: whole(self.macs),
            joules: self.joules.map(|joules| joules * times as f64),
        }
    }
}

impl Event {
    /// The event as one line of JSON, without the end of the line.
    pub fn to_json_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The number of steps that were made when it happened.
    pub fn step(&self) -> usize {
        match self {
            Self::Started { .. } => 0,
            Self::Applied { report } => report.step,
            Self::Resumed { step }
            | Self::Planned { step, .. }
            | Self::Skipped { step, .. }
            | Self::Trained { step, .. }
            | Self::Evaluated { step, .. }
            | Self::Reverted { step, .. }
            | Self::StrideChanged { step, .. }
            | Self::Stopped { step, .. } => *step,
        }
    }
}
