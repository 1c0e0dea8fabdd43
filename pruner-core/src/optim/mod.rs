//! Optimisers whose state follows a cut, one fused call per step for all parameters.

mod adam;
mod sgd;

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor, nn};

pub use adam::{AdamW, AdamWSettings, Decay};
pub use sgd::{Sgd, SgdSettings};

use crate::aten::{self, AtenError, Operator};
use crate::graph::Argument;
use crate::ids::ValueId;

/// State beside the parameters that must follow a cut, such as an optimiser's.
///
/// # Contract
///
/// After [`check`](Self::check) has returned `Ok`, every tensor of `state_mut(parameter)` has the shape of the
/// parameter of that name, and the list is the same until state is made or used otherwise than by the cut. A name that
/// it does not know has no state.
pub trait Follow {
    /// The tensors of the state of a parameter, to be replaced by slices of them.
    fn state_mut(&mut self, parameter: &str) -> Vec<&mut Tensor>;

    /// Called before anything is changed; an error stops the cut.
    fn check(&self) -> Result<(), FollowError> {
        Ok(())
    }
}

/// Why state cannot follow a cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FollowError(String);

impl FollowError {
    /// An error with a message that names the parameter and says what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Follow for () {
    fn state_mut(&mut self, _parameter: &str) -> Vec<&mut Tensor> {
        Vec::new()
    }
}

impl<F: Follow + ?Sized> Follow for &mut F {
    fn state_mut(&mut self, parameter: &str) -> Vec<&mut Tensor> {
        (**self).state_mut(parameter)
    }

    fn check(&self) -> Result<(), FollowError> {
        (**self).check()
    }
}

impl<F: Follow + ?Sized> Follow for Box<F> {
    fn state_mut(&mut self, parameter: &str) -> Vec<&mut Tensor> {
        (**self).state_mut(parameter)
    }

    fn check(&self) -> Result<(), FollowError> {
        (**self).check()
    }
}

impl<F: Follow> Follow for [F] {
    fn state_mut(&mut self, parameter: &str) -> Vec<&mut Tensor> {
        self.iter_mut().flat_map(|follower| follower.state_mut(parameter)).collect()
    }

    fn check(&self) -> Result<(), FollowError> {
        self.iter().try_for_each(Follow::check)
    }
}

/// Why an optimiser could not step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// The backward pass failed.
    #[error("backward: {message}")]
    Backward {
        /// What libtorch said.
        message: String,
    },
    /// A parameter, its gradient and its state are not of one shape.
    #[error("`{parameter}` has shape {shape:?} and its {what} {other:?}: cut both or neither")]
    Shape {
        /// The parameter.
        parameter: String,
        /// Its shape.
        shape: Vec<i64>,
        /// `gradient` or `state`.
        what: &'static str,
        /// The shape of that.
        other: Vec<i64>,
    },
    /// The elements of a parameter do not fill its memory one by one, as those of an expanded tensor.
    #[error("`{parameter}` is no dense tensor: make it with `copy()`")]
    NotDense {
        /// The parameter.
        parameter: String,
    },
    /// A state is not one of this kind of optimiser, or of other parameters.
    #[error("the optimiser has no state `{0}`: it is of another optimiser, or of another network")]
    UnknownState(String),
    /// A state lacks a part.
    #[error("the state of `{parameter}` has no `{what}`: it is of an optimiser with other settings")]
    IncompleteState {
        /// The parameter.
        parameter: String,
        /// What is missing.
        what: &'static str,
    },
    /// The fused kernel failed.
    #[error("{operator}: {source}")]
    Kernel {
        /// The operator.
        operator: &'static str,
        /// What libtorch said.
        source: AtenError,
    },
}

/// What every optimiser does.
pub trait Optimizer: Follow {
    /// The parameters by name, frozen ones too.
    fn parameters(&self) -> &[(String, Tensor)];

    /// The learning rate.
    fn lr(&self) -> f64;

    /// Sets the learning rate.
    fn set_lr(&mut self, lr: f64);

    /// All that it remembers beside its settings, by names of its own; the tensors are shared.
    fn state(&self) -> BTreeMap<String, Tensor>;

    /// Remembers what [`state`](Self::state) gave, and forgets all else. Nothing has changed where an error is returned.
    fn set_state(&mut self, state: BTreeMap<String, Tensor>) -> Result<(), OptimError>;

    /// Moves every parameter that has a gradient and is not frozen.
    fn step(&mut self) -> Result<(), OptimError>;

    /// Takes the gradients away.
    fn zero_grad(&mut self) {
        for (_, parameter) in self.parameters() {
            // It fails for no tensor that is defined, and a parameter is.
            let _ = aten::set_grad(parameter, None);
        }
    }

    /// Takes the gradients away, computes those of `loss` and steps.
    fn backward_step(&mut self, loss: &Tensor) -> Result<(), OptimError> {
        self.zero_grad();
        backward(loss)?;
        self.step()
    }

    /// Scales the gradients so that the L2 norm of all of them together is at most `max`; returns the norm before.
    fn clip_grad_norm(&self, max: f64) -> Result<f64, OptimError> {
        let _no_grad = tch::no_grad_guard();
        let grads: Vec<_> = self.parameters().iter().filter_map(|(_, parameter)| gradient(parameter)).collect();
        let Some(first) = grads.first() else { return Ok(0.0) };
        let device = first.device();
        let norms: Vec<_> = grads.iter().map(|grad| grad.norm().to_kind(Kind::Float).to_device(device)).collect();
        let total = Tensor::stack(&norms, 0).norm().double_value(&[]);
        if total > max {
            for mut grad in grads {
                let _ = grad.g_mul_scalar_(max / (total + 1e-6));
            }
        }
        Ok(total)
    }
}

/// Computes the gradients of a loss.
pub fn backward(loss: &Tensor) -> Result<(), OptimError> {
    loss.f_backward().map_err(|error| {
        let message = error.to_string();
        OptimError::Backward { message: message.lines().next().unwrap_or_default().to_owned() }
    })
}

/// The trainable variables of a store by name, in its order, for an optimiser that needs no graph.
pub fn trainable(vs: &nn::VarStore) -> Vec<(String, Tensor)> {
    let trainable: Vec<_> = vs.trainable_variables().iter().map(aten::variable_id).collect();
    let mut named: Vec<_> =
        vs.variables().into_iter().filter(|(_, tensor)| trainable.contains(&aten::variable_id(tensor))).collect();
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    named
}

/// The gradient of a parameter that is to be moved.
fn gradient(parameter: &Tensor) -> Option<Tensor> {
    if !parameter.requires_grad() {
        return None;
    }
    Some(parameter.grad()).filter(Tensor::defined)
}

/// Parameters that one fused call can move: of one device, one element type, and all new to their state or none.
struct Batch {
    key: (Device, Kind, bool),
    /// Places among the parameters, and the gradients there.
    members: Vec<(usize, Tensor)>,
}

/// Divides what is to be moved; `is_new` says of a place whether it has no state yet.
fn batches(parameters: &[(String, Tensor)], is_new: impl Fn(&str) -> bool) -> Result<Vec<Batch>, OptimError> {
    let mut batches: Vec<Batch> = Vec::new();
    for (place, (name, parameter)) in parameters.iter().enumerate() {
        let Some(grad) = gradient(parameter) else { continue };
        let grad = laid_out_as(name, parameter, grad)?;
        let key = (parameter.device(), parameter.kind(), is_new(name));
        match batches.iter_mut().find(|batch| batch.key == key) {
            Some(batch) => batch.members.push((place, grad)),
            None => batches.push(Batch { key, members: vec![(place, grad)] }),
        }
    }
    Ok(batches)
}

/// The fused kernels take element `i` in memory of each tensor together, whatever its strides say.
fn laid_out_as(name: &str, parameter: &Tensor, grad: Tensor) -> Result<Tensor, OptimError> {
    let (shape, strides) = (parameter.size(), parameter.stride());
    if grad.size() != shape {
        return Err(OptimError::Shape { parameter: name.to_owned(), shape, what: "gradient", other: grad.size() });
    }
    if !is_dense(&shape, &strides) {
        return Err(OptimError::NotDense { parameter: name.to_owned() });
    }
    if grad.stride() == strides && grad.kind() == parameter.kind() && !grad.is_sparse() {
        return Ok(grad);
    }
    let mut copy = parameter.empty_like();
    copy.copy_(&if grad.is_sparse() { grad.to_dense(None, false) } else { grad });
    Ok(copy)
}

/// Whether the elements of a tensor fill its memory one by one, in whatever order of its dimensions.
pub(crate) fn is_dense(shape: &[i64], strides: &[i64]) -> bool {
    let mut dims: Vec<_> = shape.iter().zip(strides).filter(|(size, _)| **size != 1).collect();
    dims.sort_by_key(|(_, stride)| **stride);
    let mut expected = 1;
    dims.iter().all(|(size, stride)| {
        let fits = **stride == expected;
        expected *= **size;
        fits
    }) || shape.contains(&0)
}

/// A state by the name of what it is and of its parameter.
fn named_state(what: &str, parameter: &str, tensor: &Tensor) -> (String, Tensor) {
    (format!("{what}/{parameter}"), tensor.shallow_clone())
}

/// The parts of a name that [`named_state`] gave, if the parameter is one of these.
fn state_name<'a>(parameters: &[(String, Tensor)], name: &'a str) -> Result<(&'a str, &'a str), OptimError> {
    name.split_once('/')
        .filter(|(_, parameter)| parameters.iter().any(|(own, _)| own == parameter))
        .ok_or_else(|| OptimError::UnknownState(name.to_owned()))
}

/// State of a parameter that is of its shape.
fn check_state<'a>(parameters: &[(String, Tensor)], state: impl Fn(&str) -> Vec<&'a Tensor>) -> Result<(), OptimError> {
    for (name, parameter) in parameters {
        let shape = parameter.size();
        for tensor in state(name) {
            if tensor.size() != shape {
                return Err(OptimError::Shape { parameter: name.clone(), shape, what: "state", other: tensor.size() });
            }
        }
    }
    Ok(())
}

/// An operator that changes lists of tensors in place, with its other arguments by name.
fn call_fused(
    name: &'static str,
    overload: &str,
    lists: &[(&str, Vec<&Tensor>)],
    arguments: &[(&str, Argument)],
) -> Result<(), OptimError> {
    let failed = |source| OptimError::Kernel { operator: name, source };
    let operator = Operator::find(name, overload).map_err(failed)?;
    let listed = lists.iter().map(|(name, tensors)| {
        let values = (0..tensors.len()).map(|index| Some(ValueId::new(index))).collect();
        ((*name).to_owned(), Argument::Values(values))
    });
    let others = arguments.iter().map(|(name, argument)| ((*name).to_owned(), argument.clone()));
    let arguments: Vec<_> = listed.chain(others).collect();
    let tensors: Vec<_> = lists.iter().flat_map(|(_, tensors)| tensors.iter().copied()).collect();
    operator.call(&arguments, &tensors).map(drop).map_err(failed)
}
