//! Calibration data in safetensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pruner_core::aten;
use pruner_core::calibration::{Batch, Loader, NamedLoss};
use pruner_core::graph::Graph;
use pruner_core::importance::{Signal, SignalSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor};

/// The data that criteria are computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// A safetensors file with a tensor for each input of the model, by its name, and the targets of the loss. The first dimension of each is that
    /// of the samples.
    pub data: PathBuf,
    /// The tensor of the targets. Default: targets.
    #[serde(default = "targets")]
    pub targets: String,
    /// The loss. Default: cross-entropy.
    #[serde(default)]
    pub loss: NamedLoss,
    /// The samples that are run together, at least 1. Default: 32.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Whether the statistics of batch norms are measured anew once the model is cut. Default: false.
    #[serde(default)]
    pub recalibrate: bool,
}

fn targets() -> String {
    "targets".to_owned()
}

fn batch_size() -> usize {
    32
}

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is no such file.
    #[error("{}: there is no such file", .path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// It is no safetensors file.
    #[error("{}: it is no safetensors file: {source}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What libtorch said.
        source: TchError,
    },
    /// A tensor is not there.
    #[error("{}: no tensor `{name}` among {known}", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A tensor is no input of the model.
    #[error("{}: `{name}` has {found} where the model reads {expected}", .path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Tensors are not of as many samples.
    #[error("{}: the tensors have {samples:?} samples; the first dimension of each is that of the samples, as many in each", .path.display())]
    Samples {
        /// The file.
        path: PathBuf,
        /// How many each has.
        samples: Vec<i64>,
    },
    /// Nothing is run together.
    #[error("batch_size is 0; at least 1 sample is run at a time")]
    BatchSize,
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

impl Calibration {
    /// Data of a file, cross-entropy its loss.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let (targets, batch_size) = (targets(), batch_size());
        Self { data: data.into(), targets, loss: NamedLoss::default(), batch_size, recalibrate: false }
    }

    /// Reads what a model of this graph needs for `signals`; targets where a loss is needed.
    pub fn load(&self, graph: &Graph, signals: SignalSet, device: Device) -> Result<Data, DataError> {
        let path = &self.data;
        if self.batch_size == 0 {
            return Err(DataError::BatchSize);
        }
        if !path.is_file() {
            return Err(DataError::NoFile { path: path.clone() });
        }
        let tensors: BTreeMap<String, Tensor> = Tensor::read_safetensors(path)
            .map_err(|source| DataError::Format { path: path.clone(), source })?
            .into_iter()
            .collect();
        let of = |name: &str| {
            tensors.get(name).ok_or_else(|| DataError::Missing {
                path: path.clone(),
                name: name.to_owned(),
                known: tensors.keys().cloned().collect::<Vec<_>>().join(", "),
            })
        };
        let mut inputs = Vec::new();
        for &input in graph.inputs() {
            let value = graph.value(input);
            let tensor = of(&value.name)?;
            check_input(path, &value.name, tensor, &value.meta)?;
            inputs.push(tensor.shallow_clone());
        }
        let wants_loss = !signals.is_disjoint(Signal::of_loss());
        let targets = if wants_loss { vec![of(&self.targets)?.shallow_clone()] } else { Vec::new() };
        let samples: Vec<i64> =
            inputs.iter().chain(&targets).map(|tensor| tensor.size().first().copied().unwrap_or(0)).collect();
        if samples.windows(2).any(|pair| pair[0] != pair[1]) || samples.contains(&0) {
            return Err(DataError::Samples { path: path.clone(), samples });
        }
        let samples = samples.first().copied().unwrap_or(0);
        Ok(Data { inputs, targets, samples, batch_size: self.batch_size as i64, device })
    }
}

/// That a tensor is what an input reads, but for the number of samples.
fn check_input(
    path: &Path,
    name: &str,
    tensor: &Tensor,
    meta: &pruner_core::graph::TensorMeta,
) -> Result<(), DataError> {
    let found = aten::meta(tensor).ok();
    let fits = found.as_ref().is_some_and(|found| {
        found.dtype == meta.dtype
            && found.shape.len() == meta.shape.len()
            && found.shape.get(1..) == meta.shape.get(1..)
    });
    if fits {
        return Ok(());
    }
    let found = found.map_or_else(|| format!("{:?}", tensor.size()), |found| found.to_string());
    let (path, name, expected) = (path.to_owned(), name.to_owned(), meta.to_string());
    Err(DataError::Input { path, name, found, expected })
}

/// Samples in memory.
#[derive(Debug)]
pub struct Data {
    inputs: Vec<Tensor>,
    targets: Vec<Tensor>,
    samples: i64,
    batch_size: i64,
    device: Device,
}

impl Data {
    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.samples as usize
    }
}

impl Loader for Data {
    fn batches(&self) -> Box<dyn Iterator<Item = Batch> + '_> {
        let starts = (0..self.samples).step_by(self.batch_size as usize);
        Box::new(starts.map(|start| {
            let len = self.batch_size.min(self.samples - start);
            let part = |tensors: &[Tensor]| {
                tensors.iter().map(|tensor| tensor.narrow(0, start, len).to_device(self.device)).collect()
            };
            Batch { inputs: part(&self.inputs), targets: part(&self.targets) }
        }))
    }
}
