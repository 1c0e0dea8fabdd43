//! `AdamW` and Adam.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::{Follow, FollowError, OptimError, Optimizer, batches, call_fused, check_state, named_state};

/// How weight decay works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decay {
    /// Parameters shrink beside the move, as in `AdamW` (Loshchilov & Hutter 2019).
    #[default]
    Decoupled,
    /// A part of the parameter is added to its gradient, as in Adam (Kingma & Ba 2015).
    Coupled,
}

/// Settings of [`AdamW`].
#[derive(Clone, Debug, PartialEq)]
pub struct AdamWSettings {
    /// The learning rate. Default: 0.001.
    pub lr: f64,
    /// The decay of the mean of gradients. Default: 0.9.
    pub beta1: f64,
    /// The decay of the mean of squared gradients. Default: 0.999.
    pub beta2: f64,
    /// What is added to the root of the latter. Default: 1e-8.
    pub eps: f64,
    /// The weight decay. Default: 0.01.
    pub weight_decay: f64,
    /// How weight decay works. Default: decoupled.
    pub decay: Decay,
    /// Whether the largest mean of squared gradients so far is used instead of the last. Default: no.
    pub amsgrad: bool,
}

impl Default for AdamWSettings {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            decay: Decay::Decoupled,
            amsgrad: false,
        }
    }
}

impl AdamWSettings {
    /// The settings of Adam: no weight decay, and coupled where one is set.
    pub fn adam() -> Self {
        Self { weight_decay: 0.0, decay: Decay::Coupled, ..Self::default() }
    }

    /// Sets the learning rate. Default: 0.001.
    #[must_use]
    pub fn with_lr(self, lr: f64) -> Self {
        Self { lr, ..self }
    }

    /// Sets the decays of the means of gradients and of their squares. Default: 0.9 and 0.999.
    #[must_use]
    pub fn with_betas(self, beta1: f64, beta2: f64) -> Self {
        Self { beta1, beta2, ..self }
    }

    /// Sets what is added to the root of the mean of squared gradients. Default: 1e-8.
    #[must_use]
    pub fn with_eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets the weight decay. Default: 0.01.
    #[must_use]
    pub fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// Uses the largest mean of squared gradients so far. Default: no.
    #[must_use]
    pub fn with_amsgrad(self) -> Self {
        Self { amsgrad: true, ..self }
    }
}

/// `AdamW`, equal to `torch.optim.AdamW`, or Adam by its settings.
#[derive(Debug)]
pub struct AdamW {
    settings: AdamWSettings,
    parameters: Vec<(String, Tensor)>,
    state: BTreeMap<String, Moments>,
}

/// What a state is called.
const MEAN: &str = "mean";
const SQUARE: &str = "square";
const LARGEST_SQUARE: &str = "largest-square";
const STEPS: &str = "steps";

/// What is remembered of the gradients of a parameter.
#[derive(Debug)]
struct Moments {
    mean: Tensor,
    square: Tensor,
    largest_square: Option<Tensor>,
    /// How often the parameter was moved, as the kernel wants it.
    steps: Tensor,
}

impl Moments {
    fn new(parameter: &Tensor, amsgrad: bool) -> Self {
        Self {
            mean: parameter.zeros_like(),
            square: parameter.zeros_like(),
            largest_square: amsgrad.then(|| parameter.zeros_like()),
            steps: Tensor::zeros([], (Kind::Float, parameter.device())),
        }
    }

    fn tensors(&self) -> Vec<&Tensor> {
        [&self.mean, &self.square].into_iter().chain(&self.largest_square).collect()
    }
}

impl AdamW {
    /// An optimiser of named parameters, such as [`GraphModule::parameters`](crate::exec::GraphModule::parameters) or
    /// [`trainable`](super::trainable).
    pub fn new(parameters: Vec<(String, Tensor)>, settings: AdamWSettings) -> Self {
        Self { settings, parameters, state: BTreeMap::new() }
    }

    /// The settings.
    pub fn settings(&self) -> &AdamWSettings {
        &self.settings
    }

    /// The means of the gradients of a parameter and of their squares, once it has moved.
    pub fn moments(&self, parameter: &str) -> Option<(&Tensor, &Tensor)> {
        self.state.get(parameter).map(|moments| (&moments.mean, &moments.square))
    }
}

impl Follow for AdamW {
    fn state_mut(&mut self, parameter: &str) -> Vec<&mut Tensor> {
        let moments = self.state.get_mut(parameter);
        moments
            .into_iter()
            .flat_map(|moments| [&mut moments.mean, &mut moments.square].into_iter().chain(&mut moments.largest_square))
            .collect()
    }

    fn check(&self) -> Result<(), FollowError> {
        check_state(&self.parameters, |name| self.state.get(name).map(Moments::tensors).unwrap_or_default())
            .map_err(|error| FollowError::new(error.to_string()))
    }
}

impl Optimizer for AdamW {
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
        let of = |(parameter, moments): (&String, &Moments)| {
            let named = |what, tensor| named_state(what, parameter, tensor);
            let largest = moments.largest_square.as_ref().map(|tensor| named(LARGEST_SQUARE, tensor));
            let own = [named(MEAN, &moments.mean), named(SQUARE, &moments.square), named(STEPS, &moments.steps)];
            own.into_iter().chain(largest).collect::<Vec<_>>()
        };
        self.state.iter().flat_map(of).collect()
    }

    fn set_state(&mut self, mut state: BTreeMap<String, Tensor>) -> Result<(), OptimError> {
        let mut moments = BTreeMap::new();
        for (parameter, _) in &self.parameters {
            let mut take = |what| state.remove(&format!("{what}/{parameter}"));
            let parts = [take(MEAN), take(SQUARE), take(STEPS)];
            let largest_square = if self.settings.amsgrad { take(LARGEST_SQUARE) } else { None };
            if parts.iter().all(Option::is_none) && largest_square.is_none() {
                continue;
            }
            let missing = |what| OptimError::IncompleteState { parameter: parameter.clone(), what };
            if self.settings.amsgrad && largest_square.is_none() {
                return Err(missing(LARGEST_SQUARE));
            }
            let [mean, square, steps] = parts;
            let (mean, square) = (mean.ok_or_else(|| missing(MEAN))?, square.ok_or_else(|| missing(SQUARE))?);
            let steps = steps.ok_or_else(|| missing(STEPS))?;
            moments.insert(parameter.clone(), Moments { mean, square, largest_square, steps });
        }
        if let Some((unknown, _)) = state.pop_first() {
            return Err(OptimError::UnknownState(unknown));
        }
        self.state = moments;
        Ok(())
    }

    fn step(&mut self) -> Result<(), OptimError> {
        let _no_grad = tch::no_grad_guard();
        check_state(&self.parameters, |name| self.state.get(name).map(Moments::tensors).unwrap_or_default())?;
        let operator = match self.settings.decay {
            Decay::Decoupled => "aten::_fused_adamw_",
            Decay::Coupled => "aten::_fused_adam_",
        };
        for batch in batches(&self.parameters, |_| false)? {
            let names: Vec<_> = batch.members.iter().map(|(place, _)| &self.parameters[*place]).collect();
            for (name, parameter) in &names {
                if !self.state.contains_key(name) {
                    self.state.insert(name.clone(), Moments::new(parameter, self.settings.amsgrad));
                }
            }
            let state: Vec<_> = names.iter().map(|(name, _)| &self.state[name]).collect();
            let steps: Vec<_> = state.iter().map(|moments| &moments.steps).collect();
            call_fused("aten::_foreach_add_", "Scalar", &[("self", steps.clone())], &[("scalar", 1.0.into())])?;
            call_fused(
                operator,
                "",
                &[
                    ("self", names.iter().map(|(_, parameter)| parameter).collect()),
                    ("grads", batch.members.iter().map(|(_, grad)| grad).collect()),
                    ("exp_avgs", state.iter().map(|moments| &moments.mean).collect()),
                    ("exp_avg_sqs", state.iter().map(|moments| &moments.square).collect()),
                    ("max_exp_avg_sqs", state.iter().filter_map(|moments| moments.largest_square.as_ref()).collect()),
                    ("state_steps", steps),
                ],
                &[
                    ("lr", self.settings.lr.into()),
                    ("beta1", self.settings.beta1.into()),
                    ("beta2", self.settings.beta2.into()),
                    ("weight_decay", self.settings.weight_decay.into()),
                    ("eps", self.settings.eps.into()),
                    ("amsgrad", self.settings.amsgrad.into()),
                    ("maximize", false.into()),
                ],
            )?;
        }
        Ok(())
    }
}
