//! A network as it was, with the state of its optimiser, to go back to.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::apply::{ApplyError, Swap, swap_all};
use crate::aten;
use crate::exec::GraphModule;
use crate::graph::{Graph, Origin, Value};
use crate::ids::ValueId;
use crate::optim::{OptimError, Optimizer};

/// A network and the state of its optimiser, apart from both. Gradients are not part of it.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) graph: Graph,
    /// The parameters, buffers and constants.
    pub(crate) tensors: BTreeMap<ValueId, Tensor>,
    pub(crate) optimizer: BTreeMap<String, Tensor>,
    pub(crate) lr: f64,
}

/// Why a network cannot go back. It is as it was, and its optimiser too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The network has other parameters, buffers or constants.
    #[error("the snapshot is of another network: {0}")]
    OtherNetwork(String),
    /// The tensors cannot be put in place.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The optimiser does not take the state.
    #[error(transparent)]
    Optim(#[from] OptimError),
}

impl Snapshot {
    /// A copy of what the network and its optimiser are now; it takes as much memory as both.
    pub fn take(module: &GraphModule, optimizer: &dyn Optimizer) -> Self {
        let copy = |tensor: &Tensor| tch::no_grad(|| tensor.detach().copy());
        let stored = module.graph().stored().filter_map(|(id, _)| Some((id, copy(module.tensor(id)?)))).collect();
        let optimizer_state = optimizer.state().iter().map(|(name, tensor)| (name.clone(), copy(tensor))).collect();
        Self { graph: module.graph().clone(), tensors: stored, optimizer: optimizer_state, lr: optimizer.lr() }
    }

    /// As [`take`](Self::take), sharing memory with the network and its optimiser: it follows what they do until the next cut.
    pub(crate) fn view(module: &GraphModule, optimizer: &dyn Optimizer) -> Self {
        let stored = module.graph().stored();
        let tensors = stored.filter_map(|(id, _)| Some((id, module.tensor(id)?.detach()))).collect();
        Self { graph: module.graph().clone(), tensors, optimizer: optimizer.state(), lr: optimizer.lr() }
    }

    /// The graph of the network.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Takes the network and its optimiser back, sizes too. The variables stay the same, so that modules which share them go
    /// back with it; gradients are taken away.
    pub fn restore(&self, module: &mut GraphModule, optimizer: &mut dyn Optimizer) -> Result<(), RestoreError> {
        self.check(module)?;
        let copy = |tensor: &Tensor| tch::no_grad(|| tensor.copy());
        let before = optimizer.state();
        let (mut swaps, mut constants) = (Vec::new(), Vec::new());
        for (id, value) in self.graph.stored() {
            let (Some(data), Some(variable)) = (self.tensors.get(&id), module.tensor(id)) else {
                return Err(RestoreError::OtherNetwork(format!("`{}` is missing", value.name)));
            };
            if value.origin == Origin::Constant {
                constants.push((id, copy(data)));
            } else {
                let variable = variable.shallow_clone();
                swaps.push(Swap { name: value.name.clone(), variable, data: copy(data), grad: None });
            }
        }
        let prepared = module.prepare(self.graph.clone()).map_err(ApplyError::from)?;
        optimizer.set_state(self.optimizer.iter().map(|(name, tensor)| (name.clone(), copy(tensor))).collect())?;
        if let Err(error) = swap_all(&mut swaps, &mut Swap::exchange) {
            // An optimiser takes the state that it gave.
            optimizer.set_state(before)?;
            return Err(error.into());
        }
        optimizer.set_lr(self.lr);
        module.install(prepared);
        for (id, tensor) in constants {
            module.set_constant(id, tensor).map_err(ApplyError::from)?;
        }
        Ok(())
    }

    /// Whether the network has the same parameters, buffers and constants, of whatever sizes.
    fn check(&self, module: &GraphModule) -> Result<(), RestoreError> {
        let other = |what: String| Err(RestoreError::OtherNetwork(what));
        let known = |(id, value): (ValueId, &Value)| (id, value.name.clone(), value.origin, value.meta.dtype);
        let (own, its): (Vec<_>, Vec<_>) =
            (self.graph.stored().map(known).collect(), module.graph().stored().map(known).collect());
        if let Some((own, its)) = own.iter().zip(&its).find(|(own, its)| own != its) {
            return other(format!("it has `{}` ({}) where the network has `{}` ({})", own.1, own.3, its.1, its.3));
        }
        if own.len() != its.len() {
            return other(format!("it has {} tensors and the network {}", own.len(), its.len()));
        }
        for (id, value) in self.graph.stored() {
            let Some(tensor) = self.tensors.get(&id) else { continue };
            let (shape, expected) = (tensor.size(), &value.meta.shape);
            if shape != *expected || aten::kind(value.meta.dtype).is_some_and(|kind| kind != tensor.kind()) {
                let found = format!("{:?} {shape:?}", tensor.kind());
                return other(format!("`{}` is {found} where its graph has {}", value.name, value.meta));
            }
        }
        Ok(())
    }
}
