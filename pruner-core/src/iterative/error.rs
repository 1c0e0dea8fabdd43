//! Why a run of iterative pruning stopped before its end.

use std::io;

use super::settings::SettingsError;
use super::training::AnyError;
use crate::aten::AtenError;
use crate::checkpoint::CheckpointError;
use crate::events::{Cost, Stage};
use crate::pruner::PruneError;
use crate::snapshot::RestoreError;

/// Why a run stopped before its end.
///
/// What failed can be tried again by going on: nothing is made twice. An epoch that failed in the middle leaves the network half trained, though;
/// [`resume`](super::IterativePruning::resume) goes back to the last checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IterativeError {
    /// The settings make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A step cannot be planned or made.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// Training failed.
    #[error("training failed in epoch {epoch} after step {step}: {source}")]
    Train {
        /// The step.
        step: usize,
        /// The epoch after it, from 1.
        epoch: usize,
        /// Why.
        source: AnyError,
    },
    /// Judging failed.
    #[error("the network could not be judged after step {step}: {source}")]
    Evaluate {
        /// The step.
        step: usize,
        /// Why.
        source: AnyError,
    },
    /// The quality is no finite number.
    #[error("the quality after step {step} is {quality}, and must be a finite number ({stage:?})")]
    Quality {
        /// The step.
        step: usize,
        /// When it was judged.
        stage: Stage,
        /// What came of it.
        quality: f64,
    },
    /// Training says that it cost what is no finite number.
    #[error("the training of epoch {epoch} after step {step} says that it cost {cost:?}, which must be finite numbers")]
    Cost {
        /// The step.
        step: usize,
        /// The epoch after it, from 1.
        epoch: usize,
        /// What it says.
        cost: Cost,
    },
    /// The pruner has made steps before the run.
    #[error("the pruner has made {0} steps already: make a new one for the run, or resume it from its checkpoint")]
    Begun(usize),
    /// A step cannot be taken back, or the network of a checkpoint not be put in place.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint is of a run with other settings.
    #[error("the checkpoint is of another run: {what}")]
    OtherRun {
        /// What differs.
        what: String,
    },
    /// The training cannot go on from its state.
    #[error("the training cannot go on from a checkpoint: {source}")]
    Training {
        /// Why.
        source: AnyError,
    },
    /// The state of the random numbers cannot be taken or set.
    #[error("random numbers: {0}")]
    Random(#[from] AtenError),
    /// Who looks on failed, such as a log that cannot be written.
    #[error("an observer failed: {0}")]
    Observer(#[from] io::Error),
}
