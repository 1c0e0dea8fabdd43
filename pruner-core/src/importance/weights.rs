//! The tensors that criteria see.

use std::collections::BTreeMap;

use tch::Tensor;

use super::ImportanceError;
use crate::deps::Member;
use crate::ids::ValueId;

/// The stored tensors of a network, with their gradients, as criteria see them: outside of the autograd graph.
///
/// It shares storage with the network and copies nothing.
#[derive(Debug, Default)]
pub struct Weights {
    seed: u64,
    tensors: BTreeMap<ValueId, Stored>,
    any_gradient: bool,
}

#[derive(Debug)]
struct Stored {
    data: Tensor,
    gradient: Option<Tensor>,
}

impl Weights {
    /// No tensors, and the seed of criteria that draw random numbers.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds the tensor of `value`, with the gradient that it has.
    pub fn insert(&mut self, value: ValueId, tensor: &Tensor) -> Result<(), ImportanceError> {
        let gradient = if tensor.requires_grad() && tensor.f_is_leaf()? { Some(tensor.f_grad()?) } else { None };
        let gradient = match gradient.filter(Tensor::defined) {
            Some(gradient) if gradient.is_sparse() => Some(gradient.f_detach()?.f_to_dense(None, false)?),
            Some(gradient) => Some(gradient.f_detach()?),
            None => None,
        };
        if let Some(gradient) = gradient.as_ref().filter(|gradient| gradient.size() != tensor.size()) {
            let (gradient, shape) = (gradient.size(), tensor.size());
            return Err(ImportanceError::GradientShape { value, gradient, shape });
        }
        self.any_gradient |= gradient.is_some();
        self.tensors.insert(value, Stored { data: tensor.f_detach()?, gradient });
        Ok(())
    }

    /// The seed of criteria that draw random numbers.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The tensor of `value`.
    pub fn get(&self, value: ValueId) -> Option<&Tensor> {
        self.tensors.get(&value).map(|stored| &stored.data)
    }

    /// The gradient of `value`, if it has one.
    pub fn gradient(&self, value: ValueId) -> Option<&Tensor> {
        self.tensors.get(&value)?.gradient.as_ref()
    }

    /// The tensor of a member.
    pub fn of(&self, member: &Member) -> Result<&Tensor, ImportanceError> {
        self.get(member.value).ok_or_else(|| ImportanceError::NoTensor { name: member.name.clone() })
    }

    /// The gradient of a member; `None` if the loss does not depend on it or it is frozen.
    ///
    /// # Errors
    ///
    /// [`ImportanceError::NoGradients`] if no tensor has a gradient: then `backward` was not called.
    pub fn gradient_of(&self, member: &Member) -> Result<Option<&Tensor>, ImportanceError> {
        self.of(member)?;
        if self.any_gradient { Ok(self.gradient(member.value)) } else { Err(ImportanceError::NoGradients) }
    }
}
