//! Weights in safetensors: read over those of an archive, and written of what a cut leaves.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype as Type, SafeTensors, View, serialize_to_file};

use super::Pt2;
use super::archive::Replacement;
use super::error::Pt2Error;
use super::map::Map;
use super::payload::StoredTensor;
use crate::deps::{Analysis, Kept};
use crate::files::{persist, temporary};
use crate::graph::{Dtype, Origin};
use crate::ids::ValueId;

/// What is wrong with a tensor of which one place of memory is given several values.
const EXPANDED: &str =
    "has elements that share memory in the archive and are given different values: export the model with a copy of it";

impl Pt2 {
    /// Puts the tensors of a safetensors file in the place of the archive's parameters and buffers of these names, and returns
    /// how many they are. Each must have the shape and element type of the archive's; those that the file does not have stay.
    /// Nothing has changed where an error is returned.
    pub fn read_weights(&mut self, path: &Path) -> Result<usize, Pt2Error> {
        let map = Arc::new(Map::open(path).map_err(|source| Pt2Error::Io { path: path.to_owned(), source })?);
        let wrong = |what: String| Pt2Error::Weights { path: path.to_owned(), what };
        let file = SafeTensors::deserialize(map.bytes())
            .map_err(|error| wrong(format!("it is no safetensors file: {error}")))?;
        let mut replacements = Vec::new();
        let mut named: BTreeMap<ValueId, &str> = BTreeMap::new();
        let mut tensors = file.tensors();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, tensor) in &tensors {
            let value = self.program.variables.get(name.as_str()).copied();
            let value = value.ok_or_else(|| wrong(format!("`{name}` is no parameter or buffer of the archive")))?;
            let stored = &self.program.stored[&value];
            let dtype = dtype(tensor.dtype());
            let shape: Vec<i64> = tensor.shape().iter().map(|&size| size as i64).collect();
            if dtype != Some(stored.meta.dtype) || shape != stored.meta.shape {
                let found = format!("{:?} {shape:?}", tensor.dtype());
                return Err(wrong(format!("`{name}` is {found}, and the archive has {}", stored.meta)));
            }
            if let Some(other) = named.insert(value, name) {
                let same = file.tensor(other).is_ok_and(|other| other.data() == tensor.data());
                if !same {
                    return Err(wrong(format!("`{name}` and `{other}` are one tensor in the archive, and differ")));
                }
                continue;
            }
            let bytes = self.archive.bytes(&stored.entry)?;
            let replacement = if stored.is_plain(bytes.len()) {
                let start = tensor.data().as_ptr() as usize - map.bytes().as_ptr() as usize;
                Replacement::Mapped(map.clone(), start..start + tensor.data().len())
            } else {
                let scattered = stored.scatter(bytes, tensor.data());
                Replacement::Owned(scattered.ok_or_else(|| wrong(format!("`{name}` {EXPANDED}")))?)
            };
            replacements.push((stored.entry.clone(), replacement));
        }
        let entries: BTreeSet<_> = replacements.iter().map(|(entry, _)| entry).collect();
        if entries.len() < replacements.len() {
            return Err(wrong(
                "it has tensors that share memory in the archive: export the model without it".to_owned(),
            ));
        }
        for (entry, replacement) in replacements {
            self.archive.replace(entry, replacement);
        }
        Ok(named.len())
    }

    /// Sets the elements of what is left of a parameter, buffer or constant, from the bytes of `rows`, which has them row by row;
    /// `false` where they are what they were. What is cut of it stays as it was.
    pub fn set_left(
        &mut self,
        analysis: &Analysis,
        kept: &Kept,
        value: ValueId,
        rows: &[u8],
    ) -> Result<bool, Pt2Error> {
        self.check(analysis)?;
        let name = || self.program.graph.value(value).name.clone();
        let stored = self.program.stored.get(&value);
        let stored = stored.ok_or_else(|| Pt2Error::tensor(&name(), "it is not stored in the archive".to_owned()))?;
        let positions: Vec<_> = analysis.dims(value).iter().map(|dim| kept.positions(analysis, dim)).collect();
        let bytes = self.archive.bytes(&stored.entry)?;
        let mut before = Vec::with_capacity(rows.len());
        stored.rows(bytes, &positions, &mut before).map_err(|error| Pt2Error::tensor(&name(), error.to_string()))?;
        if before.len() != rows.len() {
            let what = format!("{} bytes are given where {} are left of it", rows.len(), before.len());
            return Err(Pt2Error::tensor(&name(), what));
        }
        if before == rows {
            return Ok(false);
        }
        let scattered = stored.scatter_left(bytes, &positions, rows);
        let scattered = scattered.ok_or_else(|| Pt2Error::tensor(&name(), EXPANDED.to_owned()))?;
        let entry = stored.entry.clone();
        self.archive.replace(entry, Replacement::Owned(scattered));
        Ok(true)
    }

    /// Writes what is left of the parameters and buffers as safetensors, by all of their names.
    pub fn write_weights(&self, analysis: &Analysis, kept: &Kept, path: &Path) -> Result<(), Pt2Error> {
        self.check(analysis)?;
        let mut tensors = BTreeMap::new();
        for (name, &value) in &self.program.variables {
            if self.program.graph.value(value).origin == Origin::Constant {
                continue;
            }
            let stored = &self.program.stored[&value];
            let positions: Vec<_> = analysis.dims(value).iter().map(|dim| kept.positions(analysis, dim)).collect();
            let dtype = type_of(stored.meta.dtype).ok_or_else(|| {
                Pt2Error::tensor(name, format!("safetensors has no element type {}", stored.meta.dtype))
            })?;
            let shape = stored.cut(&positions).meta.shape.iter().map(|&size| size as usize).collect();
            let bytes = self.archive.bytes(&stored.entry)?;
            tensors.insert(name.as_str(), Left { stored, bytes, positions, dtype, shape });
        }
        let failed = |source| Pt2Error::Io { path: path.to_owned(), source };
        let file = temporary(path).map_err(failed)?;
        serialize_to_file(tensors, None, file.path())
            .map_err(|error| Pt2Error::Weights { path: path.to_owned(), what: error.to_string() })?;
        persist(file, path).map_err(failed)
    }
}

/// What is left of a tensor; its bytes are gathered when they are written.
struct Left<'a> {
    stored: &'a StoredTensor,
    bytes: &'a [u8],
    positions: Vec<Option<Vec<u32>>>,
    dtype: Type,
    shape: Vec<usize>,
}

impl View for Left<'_> {
    fn dtype(&self) -> Type {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut data = Vec::with_capacity(self.data_len());
        self.stored.rows(self.bytes, &self.positions, &mut data).expect("what is stored is inside of its bytes");
        data.into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.stored.meta.dtype.bytes()
    }
}

const TYPES: [(Type, Dtype); 16] = [
    (Type::BOOL, Dtype::Bool),
    (Type::U8, Dtype::U8),
    (Type::I8, Dtype::I8),
    (Type::U16, Dtype::U16),
    (Type::I16, Dtype::I16),
    (Type::I32, Dtype::I32),
    (Type::I64, Dtype::I64),
    (Type::F16, Dtype::F16),
    (Type::BF16, Dtype::BF16),
    (Type::F32, Dtype::F32),
    (Type::F64, Dtype::F64),
    (Type::C64, Dtype::C64),
    (Type::F8_E5M2, Dtype::F8E5M2),
    (Type::F8_E4M3, Dtype::F8E4M3),
    (Type::F8_E5M2FNUZ, Dtype::F8E5M2Fnuz),
    (Type::F8_E4M3FNUZ, Dtype::F8E4M3Fnuz),
];

fn dtype(of: Type) -> Option<Dtype> {
    TYPES.iter().find(|(known, _)| *known == of).map(|(_, dtype)| *dtype)
}

fn type_of(dtype: Dtype) -> Option<Type> {
    TYPES.iter().find(|(_, known)| *known == dtype).map(|(of, _)| *of)
}
