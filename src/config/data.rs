//! Calibration data in safetensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pruner_core::aten;
use pruner_core::calibration::{Batch, Loader, NamedLoss};
use pruner_core::graph::{Dtype, Graph, TensorMeta};
use pruner_core::importance::{Signal, SignalSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

/// The data that criteria are computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// A safetensors file with a tensor for each input of the model, by its name, and the targets of the loss. The first dimension of each is that
    /// of the samples. A config has it wherever it has `[calibration]`, unless `--data` of the command takes its place.
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
    #[error("{}: no tensor `{name}`; the file has {}", .path.display(), list(.known))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Those that there are.
        known: Vec<String>,
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
    /// A number of an input, or of the targets, is not finite.
    #[error("{}: `{name}` has numbers that are not finite; leave their samples out", .path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// Tensors are of no samples.
    #[error("{}: there are no samples; the first dimension of each tensor is that of the samples, 1 at least", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Targets are numbers of another type than classes are.
    #[error("{}: `{name}` has elements of type {found}, and the loss reads the numbers of classes; write them as i64", .path.display())]
    Targets {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: Dtype,
    },
    /// A target is a class that the model does not tell from others.
    #[error("{}: `{name}` has the class {class}, and the model has {classes}, counted from 0", .path.display())]
    Class {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The class.
        class: i64,
        /// How many the model has.
        classes: i64,
    },
    /// Nothing is run together.
    #[error("batch_size is 0; at least 1 sample is run at a time")]
    BatchSize,
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

impl DataError {
    /// That a file has no tensor of a name among those that are `known`.
    pub fn missing<'a>(path: &Path, name: &str, known: impl IntoIterator<Item = &'a String>) -> Self {
        Self::Missing { path: path.to_owned(), name: name.to_owned(), known: known.into_iter().cloned().collect() }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
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
        let of = |name: &str| tensors.get(name).ok_or_else(|| DataError::missing(path, name, tensors.keys()));
        let mut inputs = Vec::new();
        for &input in graph.inputs() {
            let value = graph.value(input);
            let tensor = of(&value.name)?;
            check_input(path, &value.name, tensor, &value.meta)?;
            check_finite(path, &value.name, tensor)?;
            inputs.push(tensor.shallow_clone());
        }
        let wants_loss = !signals.is_disjoint(Signal::of_loss());
        let targets = if wants_loss { vec![of(&self.targets)?.shallow_clone()] } else { Vec::new() };
        if let (Some(target), Some(&output)) = (targets.first(), graph.outputs().first()) {
            self.check_targets(target, &graph.value(output).meta.shape)?;
        }
        let samples: Vec<i64> =
            inputs.iter().chain(&targets).map(|tensor| tensor.size().first().copied().unwrap_or(0)).collect();
        if samples.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(DataError::Samples { path: path.clone(), samples });
        }
        if samples.contains(&0) {
            return Err(DataError::Empty { path: path.clone() });
        }
        let samples = samples.first().copied().unwrap_or(0);
        Ok(Data { inputs, targets, samples, batch_size: self.batch_size as i64, device })
    }

    /// That targets are finite, and those which are numbers of classes whole and below the number of classes that an output of this shape has.
    fn check_targets(&self, targets: &Tensor, output: &[i64]) -> Result<(), DataError> {
        check_finite(&self.data, &self.targets, targets)?;
        let place = || (self.data.clone(), self.targets.clone());
        let classes = match self.loss {
            NamedLoss::Mse => return Ok(()),
            NamedLoss::CrossEntropy if output.get(2..) == targets.size().get(1..) => output.get(1),
            NamedLoss::CrossEntropy | NamedLoss::NextToken => output.last(),
        };
        let dtype = aten::meta(targets).ok().map(|meta| meta.dtype);
        if let Some(found) = dtype.filter(|dtype| dtype.is_float()) {
            let (path, name) = place();
            return Err(DataError::Targets { path, name, found });
        }
        let Some(&classes) = classes else { return Ok(()) };
        let found = targets.f_to_kind(Kind::Int64)?;
        let is_class = found.f_ge(0)?.f_logical_and(&found.f_lt(classes)?)?;
        let is_left_out = found.f_eq(NamedLoss::IGNORED)?;
        let others = found.f_masked_select(&is_class.f_logical_or(&is_left_out)?.f_logical_not()?)?;
        if others.numel() == 0 {
            return Ok(());
        }
        let ((path, name), class) = (place(), others.int64_value(&[0]));
        Err(DataError::Class { path, name, class, classes })
    }
}

/// That a tensor is what an input reads, but for the number of samples.
fn check_input(path: &Path, name: &str, tensor: &Tensor, meta: &TensorMeta) -> Result<(), DataError> {
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

/// That all numbers of a tensor are finite.
fn check_finite(path: &Path, name: &str, tensor: &Tensor) -> Result<(), DataError> {
    if tensor.is_floating_point() && !tensor.f_isfinite()?.f_all()?.f_is_nonzero()? {
        return Err(DataError::NotFinite { path: path.to_owned(), name: name.to_owned() });
    }
    Ok(())
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
