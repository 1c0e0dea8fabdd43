//! The application of a cut: every tensor sliced once, and all of them changed or none.
//!
//! Everything that can fail is done first, beside the network: slicing, following, compiling. Only then are the new
//! tensors put in place of the old, in the variables themselves, so that modules and optimisers which share them see
//! the cut. Where putting one in place fails, those before it are put back.

use tch::Tensor;

use crate::aten::{self, AtenError};
use crate::deps::{Analysis, Kept};
use crate::exec::{ExecError, GraphModule};
use crate::graph::Origin;
use crate::ids::ValueId;
use crate::optim::{Follow, FollowError};

/// Why a cut was not made. The network is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The network is not the one that was analysed, or its graph was changed beside the cuts.
    #[error("the network is not the one that was analysed; make a pruner for it")]
    OtherNetwork,
    /// A stored tensor is not there.
    #[error("the network has no tensor `{name}`")]
    Missing {
        /// The name of the variable or constant.
        name: String,
    },
    /// A tensor has another shape than the analysis knows.
    #[error("`{name}` has shape {shape:?} where {expected:?} was left by the cuts so far; trace the network again")]
    Shape {
        /// The name of the variable, or of what follows it.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
        /// The shape it should have.
        expected: Vec<i64>,
    },
    /// libtorch could not slice or replace a tensor.
    #[error("`{name}` could not be cut: {source}")]
    Tensor {
        /// The name of the variable.
        name: String,
        /// What libtorch said.
        source: AtenError,
    },
    /// State beside the parameters cannot follow.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The graph of what is left does not run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Exchanges the data and gradient of a variable for those that it is to have.
pub(crate) type Exchange<'a> = dyn FnMut(&mut Swap) -> Result<(), AtenError> + 'a;

/// Data and a gradient that a variable is to have; once they are exchanged, those that it had.
pub(crate) struct Swap {
    pub(crate) name: String,
    pub(crate) variable: Tensor,
    pub(crate) data: Tensor,
    pub(crate) grad: Option<Tensor>,
}

impl Swap {
    pub(crate) fn exchange(&mut self) -> Result<(), AtenError> {
        aten::exchange(&self.variable, &mut self.data, &mut self.grad)
    }
}

/// Gives all variables their new data, or none.
pub(crate) fn swap_all<'a>(
    swaps: impl IntoIterator<Item = &'a mut Swap>,
    exchange: &mut Exchange<'_>,
) -> Result<(), ApplyError> {
    let mut done: Vec<&mut Swap> = Vec::new();
    for swap in swaps {
        if let Err(source) = exchange(swap) {
            for swap in done.into_iter().rev() {
                swap.exchange().expect("a tensor that was replaced can be put back");
            }
            return Err(ApplyError::Tensor { name: swap.name.clone(), source });
        }
        done.push(swap);
    }
    Ok(())
}

/// A tensor that a cut changes, with the state that follows it.
struct Change {
    value: ValueId,
    swap: Swap,
    state: Vec<Tensor>,
}

/// Takes the network from the coordinates left `before` to those left `after`, and the state in `follow` with it.
pub fn apply(
    module: &mut GraphModule,
    analysis: &Analysis,
    before: &Kept,
    after: &Kept,
    follow: &mut dyn Follow,
) -> Result<(), ApplyError> {
    apply_with(module, analysis, before, after, follow, &mut Swap::exchange)
}

/// As [`apply`], with a tensor put in place of another by `exchange`.
fn apply_with(
    module: &mut GraphModule,
    analysis: &Analysis,
    before: &Kept,
    after: &Kept,
    follow: &mut dyn Follow,
    exchange: &mut Exchange<'_>,
) -> Result<(), ApplyError> {
    follow.check()?;
    check_network(module, analysis, before)?;
    let mut changes = Vec::new();
    for (value, stored) in analysis.graph().stored() {
        if let Some(slices) = Slices::new(analysis, before, after, value) {
            let variable =
                module.tensor(value).ok_or_else(|| ApplyError::Missing { name: stored.name.clone() })?.shallow_clone();
            changes.push(slices.change(value, &stored.name, variable, follow)?);
        }
    }
    let prepared = module.prepare(analysis.rewrite(after))?;

    let is_constant = |change: &Change| analysis.graph().value(change.value).origin == Origin::Constant;
    swap_all(changes.iter_mut().filter(|change| !is_constant(change)).map(|change| &mut change.swap), exchange)?;
    for change in changes {
        for (slot, state) in follow.state_mut(&change.swap.name).into_iter().zip(change.state) {
            *slot = state;
        }
        if analysis.graph().value(change.value).origin == Origin::Constant {
            module.set_constant(change.value, change.swap.data).expect("the value is a constant of the graph");
        }
    }
    module.install(prepared);
    Ok(())
}

/// Checks that a network is the one that was analysed, with the cuts that were made.
pub(crate) fn check_network(module: &GraphModule, analysis: &Analysis, kept: &Kept) -> Result<(), ApplyError> {
    if analysis.is_rewritten(kept, module.graph()) { Ok(()) } else { Err(ApplyError::OtherNetwork) }
}

/// Which positions stay of each dimension of a tensor.
pub(crate) struct Slices {
    /// The shape before the cut.
    shape: Vec<i64>,
    /// The positions that stay, counted in the tensor as it is; `None` where all do.
    stay: Vec<Option<Vec<i64>>>,
}

impl Slices {
    /// `None` where the cut leaves the tensor as it is.
    pub(crate) fn new(analysis: &Analysis, before: &Kept, after: &Kept, value: ValueId) -> Option<Self> {
        let dims = analysis.dims(value);
        let stay: Vec<_> = dims
            .iter()
            .map(|dim| {
                let (was, is) = (before.positions(analysis, dim), after.positions(analysis, dim)?);
                let Some(was) = was else { return Some(is.into_iter().map(i64::from).collect()) };
                if was.len() == is.len() {
                    return None;
                }
                let place = |position| was.binary_search(position).expect("what stays was there") as i64;
                Some(is.iter().map(place).collect())
            })
            .collect();
        let shape = dims.iter().map(|dim| before.size(analysis, dim) as i64).collect();
        stay.iter().any(Option::is_some).then_some(Self { shape, stay })
    }

    fn change(
        &self,
        value: ValueId,
        name: &str,
        variable: Tensor,
        follow: &mut dyn Follow,
    ) -> Result<Change, ApplyError> {
        let data = self.slice(name, &variable)?;
        let grad = aten::grad(&variable).map_err(|source| ApplyError::Tensor { name: name.to_owned(), source })?;
        let grad = grad.map(|grad| self.slice(name, &grad)).transpose()?;
        let state =
            follow.state_mut(name).into_iter().map(|state| self.slice(name, state)).collect::<Result<_, _>>()?;
        Ok(Change { value, swap: Swap { name: name.to_owned(), variable, data, grad }, state })
    }

    /// What stays of a tensor.
    pub(crate) fn slice(&self, name: &str, tensor: &Tensor) -> Result<Tensor, ApplyError> {
        self.check(name, tensor)?;
        let stay: Vec<_> = self.stay.iter().map(Option::as_deref).collect();
        aten::gather_slices(tensor, &stay).map_err(|source| ApplyError::Tensor { name: name.to_owned(), source })
    }

    /// The tensor with zeros in place of what goes.
    pub(crate) fn mask(&self, name: &str, tensor: &Tensor) -> Result<Tensor, ApplyError> {
        self.check(name, tensor)?;
        let mut mask = tensor.ones_like();
        for (dim, stay) in self.stay.iter().enumerate() {
            let Some(stay) = stay else { continue };
            let mut shape = vec![1; self.shape.len()];
            shape[dim] = self.shape[dim];
            let line = Tensor::zeros([self.shape[dim]], (tensor.kind(), tensor.device()));
            let index = Tensor::from_slice(stay).to_device(tensor.device());
            mask *= line.index_fill(0, &index, 1.0).view(shape.as_slice());
        }
        Ok(tensor * mask)
    }

    fn check(&self, name: &str, tensor: &Tensor) -> Result<(), ApplyError> {
        let shape = tensor.size();
        if shape == self.shape {
            Ok(())
        } else {
            Err(ApplyError::Shape { name: name.to_owned(), shape, expected: self.shape.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tch::{Device, Kind, nn};

    use super::*;
    use crate::deps::Group as _;
    use crate::optim::{Optimizer as _, Sgd, SgdSettings};
    use crate::trace::trace;

    type State = BTreeMap<String, [Option<Tensor>; 3]>;

    /// The values, gradients and momenta, each with the number of the variable.
    fn state(module: &GraphModule, optimizer: &Sgd) -> State {
        let copy = |tensor: &Tensor| tensor.defined().then(|| tensor.detach().copy());
        module
            .named_tensors()
            .into_iter()
            .map(|(name, tensor)| {
                let momentum = optimizer.momentum(&name).and_then(copy);
                (name, [copy(&tensor), copy(&tensor.grad()), momentum])
            })
            .collect()
    }

    fn is_same(a: &State, b: &State) -> bool {
        let pair = |pair: (&Option<Tensor>, &Option<Tensor>)| match pair {
            (Some(a), Some(b)) => a.size() == b.size() && a.equal(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        a.keys().eq(b.keys()) && a.values().flatten().zip(b.values().flatten()).all(pair)
    }

    #[test]
    fn whichever_tensor_cannot_be_replaced_everything_is_as_it_was() {
        let vs = nn::VarStore::new(Device::Cpu);
        let conv = nn::conv2d(&vs.root() / "conv", 2, 6, 3, nn::ConvConfig { bias: false, ..Default::default() });
        let norm = nn::batch_norm2d(&vs.root() / "norm", 6, nn::BatchNormConfig::default());
        let head = nn::conv2d(&vs.root() / "head", 6, 3, 1, nn::ConvConfig::default());
        let frozen = vs.variables()["norm.bias"].set_requires_grad(false);
        let xs = Tensor::arange(2 * 2 * 5 * 5, (Kind::Float, Device::Cpu)).sin().view([2, 2, 5, 5]);
        let forward = |xs: &[Tensor]| vec![xs[0].apply(&conv).apply_t(&norm, true).relu().apply(&head)];
        let mut module = trace(&vs, std::slice::from_ref(&xs), forward).expect("it is traced");
        let mut optimizer = Sgd::new(module.parameters(), SgdSettings::default().with_momentum(0.9));
        let mut inputs = [xs];
        optimizer.backward_step(&forward(&inputs)[0].square().mean(Kind::Float)).expect("a step");

        let analysis = Analysis::new(module.graph()).expect("it is analysed");
        let group = analysis.groups().iter().find(|group| group.pin().is_none()).expect("a group").id();
        let (all, mut left) = (Kept::all(), Kept::all());
        left.remove(&analysis, group, &[0, 3, 4]);
        let (before, graph) = (state(&module, &optimizer), module.graph().clone());
        assert!(before["conv.weight"].iter().all(Option::is_some) && before["norm.bias"][1].is_none());
        let outputs = module.forward(&inputs, crate::exec::Mode::Eval).expect("it runs");

        let mut failed = 0;
        for fails_at in 0.. {
            let mut calls = 0;
            let mut exchange = |swap: &mut Swap| {
                calls += 1;
                if calls > fails_at { Err(AtenError::new("injected")) } else { swap.exchange() }
            };
            let applied = apply_with(&mut module, &analysis, &all, &left, &mut optimizer, &mut exchange);
            if applied.is_ok() {
                break;
            }
            failed += 1;
            let message = applied.expect_err("it failed").to_string();
            assert!(message.ends_with("could not be cut: injected"), "{message}");
            assert!(is_same(&before, &state(&module, &optimizer)), "failure at tensor {fails_at}");
            assert_eq!(*module.graph(), graph);
            assert!(module.forward(&inputs, crate::exec::Mode::Eval).expect("it runs")[0].equal(&outputs[0]));
            assert!(!frozen.requires_grad() && vs.variables()["conv.weight"].requires_grad());
        }
        // The convolution, the four tensors of the norm, and the weights of the head.
        assert_eq!(failed, 6);
        assert_eq!(vs.variables()["conv.weight"].size(), [3, 2, 3, 3]);
        assert_eq!(optimizer.momentum("head.weight").expect("it has moved").size(), [3, 3, 1, 1]);
        inputs[0] = &inputs[0] * 2.0;
        optimizer.backward_step(&forward(&inputs)[0].square().mean(Kind::Float)).expect("a step after the cut");
    }
}
