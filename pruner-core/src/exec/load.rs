//! From an archive of `torch.export` to a network that runs.

use std::collections::BTreeMap;

use tch::{Device, Tensor};

use super::bytes;
use super::{ExecError, GraphModule};
use crate::aten::{AtenError, of_bytes};
use crate::deps::{Analysis, Kept};
use crate::graph::{Origin, Value};
use crate::ids::ValueId;
use crate::pt2::{Pt2, Pt2Error, StoredTensor};

/// Why a program cannot be made to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes of a stored tensor are not in the archive.
    #[error("`{name}` is not stored in the archive")]
    Missing {
        /// The name of the parameter, buffer or constant.
        name: String,
    },
    /// libtorch cannot make a tensor of what is stored.
    #[error("`{name}`: {source}")]
    Tensor {
        /// The name of the parameter, buffer or constant.
        name: String,
        /// What libtorch said.
        source: AtenError,
    },
    /// A tensor of the network does not fit the archive.
    #[error(transparent)]
    Archive(#[from] Pt2Error),
    /// The graph cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

impl GraphModule {
    /// A network of an exported program, its tensors copied to `device`. Parameters take gradients if they did when they were exported.
    /// Warnings of the program are those of the network.
    pub fn load(program: &Pt2, device: Device) -> Result<Self, LoadError> {
        let mut tensors = BTreeMap::new();
        for (id, value) in program.graph().stored() {
            let failed = |source| LoadError::Tensor { name: value.name.clone(), source };
            let (stored, bytes) = program.tensor(id).ok_or_else(|| LoadError::Missing { name: value.name.clone() })?;
            let tensor = tch::no_grad(|| tensor(stored, bytes, device)).map_err(failed)?;
            let trained = value.origin == Origin::Parameter && stored.requires_grad && stored.meta.dtype.is_float();
            tensors.insert(id, if trained { tensor.set_requires_grad(true) } else { tensor });
        }
        let mut module = Self::new(program.graph().clone(), tensors, device)?;
        module.add_warnings(program.warnings().iter().cloned());
        Ok(module)
    }
}

impl Pt2 {
    /// Takes the parameters and buffers over from a network that was loaded from the program and cut to `kept`: what training,
    /// calibration or compensation changed of them. Returns the names of those that differ.
    pub fn take_over(
        &mut self,
        module: &GraphModule,
        analysis: &Analysis,
        kept: &Kept,
    ) -> Result<Vec<String>, LoadError> {
        let stored =
            |(id, value): (ValueId, &Value)| (value.origin != Origin::Constant).then(|| (id, value.name.clone()));
        let values: Vec<(ValueId, String)> = self.graph().stored().filter_map(stored).collect();
        let mut differ = Vec::new();
        for (value, name) in values {
            let tensor = module.tensor(value).ok_or_else(|| LoadError::Missing { name: name.clone() })?;
            let rows = bytes(tensor).map_err(|source| LoadError::Tensor { name: name.clone(), source })?;
            if self.set_left(analysis, kept, value, &rows)? {
                differ.push(name);
            }
        }
        Ok(differ)
    }
}

/// A tensor of its own with the elements of a stored one.
fn tensor(stored: &StoredTensor, bytes: &[u8], device: Device) -> Result<Tensor, AtenError> {
    let size = stored.meta.dtype.bytes();
    let start = (stored.offset as usize).saturating_mul(size).min(bytes.len());
    // With all that is behind it, which an operation may look at.
    let tensor = of_bytes(&bytes[start..], stored.meta.dtype, &stored.meta.shape, &stored.strides)?;
    tensor.f_to_device(device).map_err(|error| AtenError::new(error.to_string()))
}
