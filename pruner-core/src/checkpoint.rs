//! Checkpoints: tensors by name and a state as JSON in one safetensors file, which is there whole or not at all, and whose checksum is
//! looked at before anything of it is used.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype as Type, SafeTensors, TensorView, View, serialize_to_file};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::aten::{self, AtenError, view_as};
use crate::exec::bytes;
use crate::files::{persist_path, temporary};
use crate::graph::Dtype;
use crate::optim::is_dense;

/// What the file says that it is.
const FORMAT: &str = "pruner-checkpoint";
/// The version of the layout that this reads and writes.
const VERSION: &str = "1";
/// The tensor that holds the state; JSON, which has no place in the header, whose length is limited.
const STATE: &str = "state";
/// What stands before the names of the tensors.
const TENSORS: &str = "tensor/";

/// Why a checkpoint cannot be written or read. What was there is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be written.
    #[error("cannot write the checkpoint {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read the checkpoint {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no checkpoint, or is damaged.
    #[error("{} is no checkpoint that can be used: {what}; name another, or begin anew without it", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A tensor has no place in a file.
    #[error("`{name}` cannot be written to a checkpoint: {source}")]
    Tensor {
        /// The name of the tensor.
        name: String,
        /// Why.
        source: AtenError,
    },
    /// The state cannot be written.
    #[error("the state cannot be written to a checkpoint: {0}")]
    State(serde_json::Error),
}

/// A state and tensors that are stored together.
#[derive(Debug)]
pub struct Checkpoint<S> {
    /// What is no tensor.
    pub state: S,
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl<S: Serialize> Checkpoint<S> {
    /// Writes the file; what stood there before is replaced once all of the new one is stored.
    pub fn write(&self, file: &Path) -> Result<(), CheckpointError> {
        let failed = |source| CheckpointError::Write { file: file.to_owned(), source };
        let state = serde_json::to_vec(&self.state).map_err(CheckpointError::State)?;
        let mut entries = BTreeMap::from([(STATE.to_owned(), Entry::bytes(state))]);
        let mut strides = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            let entry = Entry::new(tensor);
            let entry = entry.map_err(|source| CheckpointError::Tensor { name: name.clone(), source })?;
            // Elements that share memory, as those of an expanded tensor, get a place each.
            if !tensor.is_contiguous() && is_dense(&tensor.size(), &tensor.stride()) {
                strides.insert(format!("{TENSORS}{name}"), tensor.stride());
            }
            entries.insert(format!("{TENSORS}{name}"), entry);
        }
        let strides = serde_json::to_string(&strides).map_err(CheckpointError::State)?;
        let sum = checksum(entries.iter().map(|(name, entry)| (name.as_str(), entry)), &strides);
        let header = [("format", FORMAT), ("version", VERSION), ("strides", &strides), ("sha256", &sum)];
        let header: HashMap<_, _> = header.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let temporary = temporary(file).map_err(failed)?.into_temp_path();
        serialize_to_file(entries, Some(header), &temporary).map_err(|error| failed(io::Error::other(error)))?;
        persist_path(temporary, file).map_err(failed)
    }
}

impl<S: DeserializeOwned> Checkpoint<S> {
    /// Reads the file, its tensors to a device.
    pub fn read(file: &Path, device: Device) -> Result<Self, CheckpointError> {
        let raw = std::fs::read(file).map_err(|source| CheckpointError::Read { file: file.to_owned(), source })?;
        let damaged = |what: String| CheckpointError::Damaged { file: file.to_owned(), what };
        let broken = |error: safetensors::SafeTensorError| damaged(error.to_string());
        let (_, header) = SafeTensors::read_metadata(&raw).map_err(broken)?;
        let found = SafeTensors::deserialize(&raw).map_err(broken)?;
        let header = header.metadata().clone().unwrap_or_default();
        let value = |key: &str| header.get(key).map(String::as_str).unwrap_or_default();
        if value("format") != FORMAT {
            return Err(damaged("it was not written by a run of iterative pruning".to_owned()));
        }
        if value("version") != VERSION {
            return Err(damaged(format!("its version is {}, and {VERSION} is read", value("version"))));
        }
        let entries: BTreeMap<String, TensorView<'_>> = found.tensors().into_iter().collect();
        let sum = checksum(entries.iter().map(|(name, entry)| (name.as_str(), entry)), value("strides"));
        if sum != value("sha256") {
            return Err(damaged("its checksum is wrong, so that something in it was changed or lost".to_owned()));
        }
        let strides: BTreeMap<String, Vec<i64>> =
            serde_json::from_str(value("strides")).map_err(|error| damaged(format!("strides: {error}")))?;
        let state = entries.get(STATE).ok_or_else(|| damaged("it has no state".to_owned()))?;
        let state = serde_json::from_slice(state.data()).map_err(|error| damaged(format!("state: {error}")))?;
        let mut tensors = BTreeMap::new();
        for (name, entry) in &entries {
            let Some(own) = name.strip_prefix(TENSORS) else { continue };
            let tensor = tensor(entry, strides.get(name), device);
            tensors.insert(own.to_owned(), tensor.map_err(|error| damaged(format!("`{own}`: {error}")))?);
        }
        Ok(Self { state, tensors })
    }
}

/// A tensor as the file holds it.
struct Entry {
    dtype: Type,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Entry {
    fn bytes(data: Vec<u8>) -> Self {
        Self { dtype: Type::U8, shape: vec![data.len()], data }
    }

    fn new(tensor: &Tensor) -> Result<Self, AtenError> {
        let meta = aten::meta(tensor)?;
        let dtype = TYPES.iter().find(|(own, _)| *own == meta.dtype).map(|(_, other)| *other);
        let dtype =
            dtype.ok_or_else(|| AtenError::new(format!("safetensors has no elements of type {}", meta.dtype)))?;
        Ok(Self { dtype, shape: meta.shape.iter().map(|&size| size as usize).collect(), data: bytes(tensor)? })
    }
}

impl View for Entry {
    fn dtype(&self) -> Type {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// The types of elements that tensors of libtorch and files both have.
const TYPES: [(Dtype, Type); 15] = [
    (Dtype::Bool, Type::BOOL),
    (Dtype::U8, Type::U8),
    (Dtype::I8, Type::I8),
    (Dtype::I16, Type::I16),
    (Dtype::I32, Type::I32),
    (Dtype::I64, Type::I64),
    (Dtype::F16, Type::F16),
    (Dtype::BF16, Type::BF16),
    (Dtype::F32, Type::F32),
    (Dtype::F64, Type::F64),
    (Dtype::C64, Type::C64),
    (Dtype::F8E5M2, Type::F8_E5M2),
    (Dtype::F8E4M3, Type::F8_E4M3),
    (Dtype::F8E5M2Fnuz, Type::F8_E5M2FNUZ),
    (Dtype::F8E4M3Fnuz, Type::F8_E4M3FNUZ),
];

/// SHA-256 of all that a file says, in the order of the names.
fn checksum<'a, V: View + 'a>(entries: impl Iterator<Item = (&'a str, &'a V)>, strides: &str) -> String {
    let mut sum = Sha256::new();
    sum.update(strides);
    for (name, entry) in entries {
        let data = entry.data();
        sum.update(format!("\n{name} {:?} {:?} {}\n", entry.dtype(), entry.shape(), data.len()));
        sum.update(&data);
    }
    format!("{:x}", sum.finalize())
}

/// A tensor on a device, laid out as it was.
fn tensor(entry: &TensorView<'_>, strides: Option<&Vec<i64>>, device: Device) -> Result<Tensor, AtenError> {
    let failed = |error: tch::TchError| AtenError::new(error.to_string().lines().next().unwrap_or_default());
    let dtype = TYPES.iter().find(|(_, other)| *other == entry.dtype()).map(|(own, _)| *own);
    let dtype = dtype.ok_or_else(|| AtenError::new(format!("elements of type {:?}", entry.dtype())))?;
    let shape: Vec<i64> = entry.shape().iter().map(|&size| size as i64).collect();
    let data = entry.data();
    let raw = Tensor::f_from_data_size(data, &[data.len() as i64], Kind::Uint8).map_err(failed)?;
    let plain = view_as(&raw, dtype)?.f_reshape(&shape).map_err(failed)?;
    let laid_out = match strides {
        Some(strides) => {
            let mut laid_out = Tensor::f_empty_strided(&shape, strides, (plain.kind(), Device::Cpu)).map_err(failed)?;
            laid_out.f_copy_(&plain).map_err(failed)?;
            laid_out
        }
        None => plain,
    };
    laid_out.f_to_device(device).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint<Vec<f64>> {
        let weight = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([2, 3, 2, 2]);
        let last = weight.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let tensors = [
            ("weight", weight.shallow_clone()),
            ("channels last", last),
            ("half", weight.to_kind(Kind::BFloat16)),
            ("expanded", Tensor::ones([1, 1, 1], (Kind::Float, Device::Cpu)).expand([2, 1, 3], false)),
            ("count", Tensor::from(7_i64)),
            ("none", Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))),
        ];
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into();
        Checkpoint { state: vec![0.1, 1.0 / 3.0, 1e-300], tensors }
    }

    #[test]
    fn a_checkpoint_comes_back_bit_for_bit_and_laid_out_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, written) = (dir.path().join("run.checkpoint"), checkpoint());
        written.write(&file).expect("it is written");
        let read: Checkpoint<Vec<f64>> = Checkpoint::read(&file, Device::Cpu).expect("it is read");
        assert_eq!(read.state, written.state);
        assert!(read.tensors.keys().eq(written.tensors.keys()));
        for (name, tensor) in &read.tensors {
            let expected = &written.tensors[name];
            assert_eq!((tensor.kind(), tensor.size()), (expected.kind(), expected.size()));
            assert!(name == "expanded" || tensor.stride() == expected.stride(), "{name}");
            assert!(tensor.equal(expected), "{name}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("the folder is read").count(), 1, "nothing else is left");
    }

    #[test]
    fn wherever_a_byte_is_changed_or_the_end_is_lost_the_file_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("run.checkpoint");
        checkpoint().write(&file).expect("it is written");
        let whole = std::fs::read(&file).expect("it is there");
        let refused = |bytes: &[u8]| {
            std::fs::write(&file, bytes).expect("it is written");
            Checkpoint::<Vec<f64>>::read(&file, Device::Cpu).is_err()
        };
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(refused(&changed), "byte {at}");
        }
        for len in (0..whole.len()).step_by(37) {
            assert!(refused(&whole[..len]), "{len} bytes");
        }
        assert!(!refused(&whole));
    }

    #[test]
    fn a_file_of_something_else_is_told_from_a_checkpoint() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("weights.safetensors");
        let read = || Checkpoint::<Vec<f64>>::read(&file, Device::Cpu).expect_err("it is none").to_string();
        assert!(read().starts_with("cannot read the checkpoint"), "{}", read());
        Tensor::write_safetensors(&[("w", Tensor::from(1.0))], &file).expect("it is written");
        assert!(read().contains("not written by a run of iterative pruning"), "{}", read());
    }
}
