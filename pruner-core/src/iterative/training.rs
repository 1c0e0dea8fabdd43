//! What the user of a run brings: how the network is trained and judged.

use std::error::Error;
use std::fmt;

use serde_json::Value;

use crate::events::Cost;
use crate::exec::GraphModule;
use crate::optim::Optimizer;

/// What training or judging failed with.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// A network that is being pruned, with the optimiser that trains it and follows the cuts.
pub struct Network<'a> {
    /// The network.
    pub module: &'a mut GraphModule,
    /// Its optimiser.
    pub optimizer: &'a mut dyn Optimizer,
}

impl fmt::Debug for Network<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("module", &self.module)
            .field("lr", &self.optimizer.lr())
            .finish_non_exhaustive()
    }
}

/// Which epoch is to be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Epoch {
    /// The step that it follows.
    pub step: usize,
    /// Which epoch after the step it is, from 1.
    pub epoch: usize,
    /// How many there are after the step.
    pub epochs: usize,
    /// How many epochs the run has trained before, those of steps that were taken back too: a seed for the order of the data.
    pub number: usize,
    /// Whether it is one of those after the last step.
    pub is_final: bool,
}

/// Trains and judges a network.
///
/// # Contract
///
/// [`epoch`](Self::epoch) depends on nothing but its arguments, libtorch's random numbers and what [`state`](Self::state) says, and takes
/// the gradients away before it computes some: then a run that goes on from a checkpoint comes to the same end.
/// [`evaluate`](Self::evaluate) changes nothing.
pub trait Training {
    /// Trains for an epoch, or whatever one unit of training is; `told` is given the part of it that is over.
    fn epoch(&mut self, network: &mut Network<'_>, epoch: Epoch, told: &mut dyn FnMut(f64)) -> Result<Cost, AnyError>;

    /// How good the network is: a finite number, more is better.
    fn evaluate(&mut self, network: &mut Network<'_>) -> Result<f64, AnyError>;

    /// What it must remember for the next epoch, such as the place in a schedule of learning rates.
    fn state(&self) -> Value {
        Value::Null
    }

    /// Goes on from a state.
    fn restore(&mut self, state: &Value) -> Result<(), AnyError> {
        let _ = state;
        Ok(())
    }
}

/// Two closures that train for an epoch and judge.
#[derive(Clone, Copy, Debug)]
pub struct Closures<T, E> {
    train: T,
    evaluate: E,
}

impl<T, E> Closures<T, E>
where
    T: FnMut(&mut Network<'_>, Epoch) -> Result<Cost, AnyError>,
    E: FnMut(&mut Network<'_>) -> Result<f64, AnyError>,
{
    /// Trains by the one and judges by the other.
    pub fn new(train: T, evaluate: E) -> Self {
        Self { train, evaluate }
    }
}

impl<T, E> Training for Closures<T, E>
where
    T: FnMut(&mut Network<'_>, Epoch) -> Result<Cost, AnyError>,
    E: FnMut(&mut Network<'_>) -> Result<f64, AnyError>,
{
    fn epoch(&mut self, network: &mut Network<'_>, epoch: Epoch, _told: &mut dyn FnMut(f64)) -> Result<Cost, AnyError> {
        (self.train)(network, epoch)
    }

    fn evaluate(&mut self, network: &mut Network<'_>) -> Result<f64, AnyError> {
        (self.evaluate)(network)
    }
}
