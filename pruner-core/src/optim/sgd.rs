//! Stochastic gradient descent with momentum.

use std::collections::BTreeMap;

use tch::Tensor;

use super::{Follow, FollowError, OptimError, Optimizer, batches, call_fused, check_state, named_state, state_name};

/// Settings of [`Sgd`].
#[derive(Clone, Debug, PartialEq)]
pub struct SgdSettings {
    /// The learning rate. Default: 0.01.
    pub lr: f64,
    /// The part of the last move that is kept in the next. Default: 0.
    pub momentum: f64,
    /// The part of the gradient that does not go into the momentum. Default: 0.
    pub dampening: f64,
    /// The part of a parameter that is added to its gradient. Default: 0.
    pub weight_decay: f64,
    /// Whether the move looks ahead by the momentum. Default: no.
    pub nesterov: bool,
}

impl Default for SgdSettings {
    fn default() -> Self {
        Self { lr: 0.01, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

impl SgdSettings {
    /// Sets the learning rate. Default: 0.01.
    #[must_use]
    pub fn with_lr(self, lr: f64) -> Self {
        Self { lr, ..self }
    }

    /// Sets the momentum. Default: 0.
    #[must_use]
    pub fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets the dampening. Default: 0.
    #[must_use]
    pub fn with_dampening(self, dampening: f64) -> Self {
        Self { dampening, ..self }
    }

    /// Sets the weight decay. Default: 0.
    #[must_use]
    pub fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// Makes the move look ahead by the momentum. Default: no.
    #[must_use]
    pub fn with_nesterov(self) -> Self {
        Self { nesterov: true, ..self }
    }
}

/// Stochastic gradient descent, equal to `torch.optim.SGD`.
#[derive(Debug)]
pub struct Sgd {
    settings: SgdSettings,
    parameters: Vec<(String, Tensor)>,
    momentum: BTreeMap<String, Tensor>,
}

impl Sgd {
    /// An optimiser of named parameters, such as [`GraphModule::parameters`](crate::exec::GraphModule::parameters) or
    /// [`trainable`](super::trainable).
    pub fn new(parameters: Vec<(String, Tensor)>, settings: SgdSettings) -> Self {
        Self { settings, parameters, momentum: BTreeMap::new() }
    }

    /// The settings.
    pub fn settings(&self) -> &SgdSettings {
        &self.settings
    }

    /// The momentum of a parameter, once it has moved.
    pub fn momentum(&self, parameter: &str) -> Option<&Tensor> {
        self.momentum.get(parameter)
    }
}

impl Follow for Sgd {
    fn state_mut(&mut self, parameter: &str) -> Vec<&mut Tensor> {
        self.momentum.get_mut(parameter).into_iter().collect()
    }

    fn check(&self) -> Result<(), FollowError> {
        check_state(&self.parameters, |name| self.momentum.get(name).into_iter().collect())
            .map_err(|error| FollowError::new(error.to_string()))
    }
}

impl Optimizer for Sgd {
    fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }

    fn lr(&self) -> f64 {
        self.settings.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.settings.lr = lr;
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        self.momentum.iter().map(|(parameter, momentum)| named_state("momentum", parameter, momentum)).collect()
    }

    fn set_state(&mut self, state: BTreeMap<String, Tensor>) -> Result<(), OptimError> {
        let mut momentum = BTreeMap::new();
        for (name, tensor) in state {
            match state_name(&self.parameters, &name)? {
                ("momentum", parameter) if self.settings.momentum != 0.0 => {
                    drop(momentum.insert(parameter.to_owned(), tensor));
                }
                _ => return Err(OptimError::UnknownState(name)),
            }
        }
        self.momentum = momentum;
        Ok(())
    }

    fn step(&mut self) -> Result<(), OptimError> {
        let _no_grad = tch::no_grad_guard();
        let has_momentum = self.settings.momentum != 0.0;
        check_state(&self.parameters, |name| self.momentum.get(name).into_iter().collect())?;
        for batch in batches(&self.parameters, |name| has_momentum && !self.momentum.contains_key(name))? {
            let (_, _, is_first_step) = batch.key;
            let members = || batch.members.iter().map(|(place, _)| &self.parameters[*place]);
            if is_first_step {
                // The kernel sets the momentum to the gradient.
                for (name, parameter) in members() {
                    self.momentum.insert(name.clone(), parameter.zeros_like());
                }
            }
            let momentum = members().filter_map(|(name, _)| self.momentum.get(name));
            call_fused(
                "aten::_fused_sgd_",
                "",
                &[
                    ("self", members().map(|(_, parameter)| parameter).collect()),
                    ("grads", batch.members.iter().map(|(_, grad)| grad).collect()),
                    ("momentum_buffer_list", if has_momentum { momentum.collect() } else { Vec::new() }),
                ],
                &[
                    ("weight_decay", self.settings.weight_decay.into()),
                    ("momentum", self.settings.momentum.into()),
                    ("lr", self.settings.lr.into()),
                    ("dampening", self.settings.dampening.into()),
                    ("nesterov", self.settings.nesterov.into()),
                    ("maximize", false.into()),
                    ("is_first_step", is_first_step.into()),
                ],
            )?;
        }
        Ok(())
    }
}
