//! What a cut does to the stored tensors of a program.

use std::collections::BTreeMap;

use super::payload::StoredTensor;
use super::read::Program;
use crate::deps::{Analysis, Kept};
use crate::ids::ValueId;

/// The positions that stay of each dimension; `None` where all do.
pub(super) type Positions = Vec<Option<Vec<u32>>>;

/// The stored tensors that a cut changes.
#[derive(Debug, Default)]
pub(super) struct Cut {
    tensors: BTreeMap<ValueId, (StoredTensor, Positions)>,
    entries: BTreeMap<String, ValueId>,
}

impl Cut {
    /// What is cut where `kept` is left.
    pub(super) fn new(program: &Program, analysis: &Analysis, kept: &Kept) -> Self {
        let mut cut = Self::default();
        for (&value, tensor) in &program.stored {
            let dims = analysis.dims(value).iter().zip(&tensor.meta.shape);
            let positions: Positions = dims
                .map(|(dim, &size)| kept.positions(analysis, dim).filter(|stay| (stay.len() as i64) < size))
                .collect();
            if positions.iter().any(Option::is_some) {
                cut.entries.insert(tensor.entry.clone(), value);
                cut.tensors.insert(value, (tensor.cut(&positions), positions));
            }
        }
        cut
    }

    /// The tensor that is left, if it is cut.
    pub(super) fn tensor(&self, value: ValueId) -> Option<&StoredTensor> {
        self.tensors.get(&value).map(|(tensor, _)| tensor)
    }

    /// The tensor that the bytes of an entry are of and the positions that stay, if it is cut.
    pub(super) fn entry(&self, name: &str) -> Option<(ValueId, &Positions)> {
        let value = *self.entries.get(name)?;
        self.tensors.get(&value).map(|(_, positions)| (value, positions))
    }
}
