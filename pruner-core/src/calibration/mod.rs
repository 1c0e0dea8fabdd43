//! Calibration: what is learnt of a network by running it on data without training it.
//!
//! [`gather`] runs batches once for all the [signals](crate::importance::Signal) that criteria ask for, [`recalibrate`] gives batch norms the
//! statistics of what is left. Both leave parameters, gradients and all other buffers as they were.

mod flow;
mod gates;
mod gather;
mod losses;
mod recalibrate;
mod statistics;

use tch::{TchError, Tensor};

pub use gather::gather;
pub use losses::NamedLoss;
pub use recalibrate::recalibrate;

use crate::exec::ExecError;
use crate::graph::Dtype;
use crate::importance::{ImportanceError, Signal};

/// Samples that are run together: the first dimension of every tensor is that of the samples.
#[derive(Debug)]
pub struct Batch {
    /// The inputs of the network.
    pub inputs: Vec<Tensor>,
    /// What the loss compares the outputs with; may be empty.
    pub targets: Vec<Tensor>,
}

impl Batch {
    /// Inputs alone, for what needs no loss.
    pub fn new(inputs: Vec<Tensor>) -> Self {
        Self { inputs, targets: Vec::new() }
    }

    /// Sets the [targets](Self::targets).
    #[must_use]
    pub fn with_targets(self, targets: Vec<Tensor>) -> Self {
        Self { targets, ..self }
    }

    /// How many samples there are.
    fn samples(&self) -> Result<i64, CalibrationError> {
        let first = |tensor: &Tensor| tensor.size().first().copied();
        let samples = self.inputs.first().and_then(first).filter(|&samples| samples > 0);
        let samples = samples.ok_or_else(|| CalibrationError::Batch { shapes: self.shapes() })?;
        if self.inputs.iter().chain(&self.targets).all(|tensor| first(tensor) == Some(samples)) {
            Ok(samples)
        } else {
            Err(CalibrationError::Batch { shapes: self.shapes() })
        }
    }

    /// The sample of this number as a batch.
    fn sample(&self, number: i64) -> Result<Self, TchError> {
        let of = |tensors: &[Tensor]| -> Result<Vec<Tensor>, TchError> {
            tensors.iter().map(|tensor| tensor.f_narrow(0, number, 1)).collect()
        };
        Ok(Self { inputs: of(&self.inputs)?, targets: of(&self.targets)? })
    }

    fn shapes(&self) -> Vec<Vec<i64>> {
        self.inputs.iter().chain(&self.targets).map(Tensor::size).collect()
    }
}

/// Batches that can be gone through more than once, each time the same.
pub trait Loader {
    /// The batches from the first to the last, on the device of the network.
    fn batches(&self) -> Box<dyn Iterator<Item = Batch> + '_>;
}

impl Loader for [Batch] {
    fn batches(&self) -> Box<dyn Iterator<Item = Batch> + '_> {
        let share = |tensors: &[Tensor]| tensors.iter().map(Tensor::shallow_clone).collect();
        Box::new(self.iter().map(move |batch| Batch { inputs: share(&batch.inputs), targets: share(&batch.targets) }))
    }
}

impl Loader for &[Batch] {
    fn batches(&self) -> Box<dyn Iterator<Item = Batch> + '_> {
        (**self).batches()
    }
}

impl Loader for Vec<Batch> {
    fn batches(&self) -> Box<dyn Iterator<Item = Batch> + '_> {
        self.as_slice().batches()
    }
}

/// The loss of the outputs of a network by the targets of a batch: one number, the *mean* over the samples of the batch.
pub type Loss<'a> = &'a dyn Fn(&[Tensor], &[Tensor]) -> Result<Tensor, TchError>;

/// Why nothing could be learnt from data. The network is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// There is no data.
    #[error("there are no calibration batches, and {0} is gathered from some")]
    NoBatches(&'static str),
    /// There is no loss.
    #[error("{0:?} is computed from a loss; give one")]
    NoLoss(Signal),
    /// The tensors of a batch are not of as many samples.
    #[error(
        "a batch has tensors of shapes {shapes:?}; the first dimension of each is that of the samples, one at least"
    )]
    Batch {
        /// The shapes of the inputs and the targets.
        shapes: Vec<Vec<i64>>,
    },
    /// The loss is not one number.
    #[error("the loss has shape {shape:?}; it is one number, the mean over the samples of a batch")]
    Loss {
        /// Its shape.
        shape: Vec<i64>,
    },
    /// The loss cannot be differentiated.
    #[error("the loss of batch {batch} cannot be differentiated: {message}")]
    Backward {
        /// The number of the batch.
        batch: usize,
        /// What libtorch said.
        message: String,
    },
    /// The network cannot be run on a batch.
    #[error("batch {batch}: {source}")]
    Run {
        /// The number of the batch.
        batch: usize,
        /// Why.
        source: ExecError,
    },
    /// There are no ones of the type of an input.
    #[error("SynapticFlow: no input of type {dtype} can be made of ones")]
    NoOnes {
        /// The type of its elements.
        dtype: Dtype,
    },
    /// The network cannot be run on inputs of ones.
    #[error("SynapticFlow: {0}")]
    SynapticFlow(ExecError),
    /// A batch norm sees too little for a variance.
    #[error(
        "`{name}` cannot be measured: its batch norm sees one value per channel in every batch; give larger batches"
    )]
    OneValue {
        /// The statistic.
        name: String,
    },
    /// A number that would be stored is not finite.
    #[error("`{name}` would not be finite: the calibration data, or what the network makes of it, is not")]
    NotFinite {
        /// The parameter or buffer.
        name: String,
    },
    /// The numbers of a batch do not fit the groups.
    #[error(transparent)]
    Signals(#[from] ImportanceError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}
