//! What criteria are computed from besides the weights, and the numbers once they are gathered.

use std::collections::BTreeMap;

use enumset::{EnumSet, EnumSetType};
use tch::Tensor;

use crate::deps::{Counts, Layout};
use crate::ids::{GroupId, NodeId, ValueId};

/// A kind of numbers that a criterion is computed from besides the weights.
///
/// Those of weights have the shape of their parameter and take its memory once more, in at least single precision. Those of
/// activations take 8 bytes per position and reader, those of gates 8 bytes per coordinate, costs and memory nothing.
#[derive(Debug, PartialOrd, Ord, Hash, EnumSetType)]
#[non_exhaustive]
pub enum Signal {
    /// `∂L/∂w` of the mean loss over all samples. Where none is gathered, the gradients that `backward` left.
    Gradients,
    /// `E[(∂L/∂w)²]` over single samples: the diagonal of the empirical Fisher information. Takes a backward pass for each
    /// sample.
    SquaredGradients,
    /// `H·g`, with H the Hessian and g the gradient of the mean loss over all samples. Takes another pass over them, in
    /// which it takes four times the memory of the parameters.
    HessianGradients,
    /// `∂R/∂|w| / R` of the sum R of all outputs for inputs of ones, every parameter and buffer replaced by its absolute value.
    /// Needs no data.
    SynapticFlow,
    /// The mean of an activation over all samples and places.
    Mean,
    /// Its variance over all samples and places, of the population.
    Variance,
    /// The mean of its square over all samples and places.
    MeanSquare,
    /// The mean of its absolute value over all samples and places.
    MeanAbs,
    /// The mean over samples of the square of the mean over places of its absolute value.
    SquaredMeanAbs,
    /// The share of samples and places where it is not zero.
    NonZero,
    /// The mean over samples of `|Σ a·z|`, with a the activations of a coordinate and `z = ∂L/∂a`, summed over places and readers:
    /// what the loss of a sample changes by to first order if the coordinate is masked.
    Gate,
    /// The mean over samples of `(Σ a·z)²`.
    SquaredGate,
    /// What a coordinate of each group costs. Needs no data.
    Costs,
    /// The bytes of activations that a coordinate of each group takes. Needs no data.
    Memory,
}

/// A set of [signals](Signal).
pub type SignalSet = EnumSet<Signal>;

impl Signal {
    /// The signals of weights that a backward pass gives.
    pub(crate) fn of_weights() -> SignalSet {
        Self::Gradients | Self::SquaredGradients | Self::HessianGradients
    }

    /// The signals of activations.
    pub(crate) fn of_activations() -> SignalSet {
        Self::Mean | Self::Variance | Self::MeanSquare | Self::MeanAbs | Self::SquaredMeanAbs | Self::NonZero
    }

    /// The signals of gates.
    pub(crate) fn of_gates() -> SignalSet {
        Self::Gate | Self::SquaredGate
    }

    /// The signals for which batches must be run.
    pub fn of_data() -> SignalSet {
        Self::of_weights() | Self::of_activations() | Self::of_gates()
    }

    /// The signals for which a loss must be computed.
    pub fn of_loss() -> SignalSet {
        Self::of_weights() | Self::of_gates()
    }
}

/// An activation that a layer reads and sums over: an input of a linear layer or of a convolution, or one of two activations that are
/// multiplied.
#[derive(Debug)]
pub struct Activation {
    /// The node that reads it.
    pub node: NodeId,
    /// The parameter that it is multiplied by and the dimension of it that is summed over; `None` where that is no stored tensor.
    pub weight: Option<(ValueId, usize)>,
    /// Which coordinate each position of its dimension belongs to.
    pub layout: Layout,
    /// How many places of a sample each position has: pixels, tokens.
    pub places: u64,
    /// For each signal of activations a number per position, in double precision.
    pub statistics: BTreeMap<Signal, Tensor>,
}

/// The signals that were gathered, each with its numbers.
#[derive(Debug, Default)]
pub struct Signals {
    gathered: SignalSet,
    weights: BTreeMap<(Signal, ValueId), Tensor>,
    activations: BTreeMap<GroupId, Vec<Activation>>,
    gates: BTreeMap<(Signal, GroupId), Tensor>,
    costs: BTreeMap<GroupId, Counts>,
    memory: BTreeMap<GroupId, u64>,
}

impl Signals {
    /// The numbers of `gathered`, of which there are none yet: what is not inserted afterwards is not there.
    pub fn new(gathered: SignalSet) -> Self {
        Self { gathered, ..Self::default() }
    }

    /// Which signals were gathered.
    pub fn gathered(&self) -> SignalSet {
        self.gathered
    }

    /// Sets a signal of a parameter, of its shape.
    pub fn insert_weight(&mut self, signal: Signal, value: ValueId, numbers: Tensor) {
        self.weights.insert((signal, value), numbers);
    }

    /// Adds an activation of a group.
    pub fn insert_activation(&mut self, group: GroupId, activation: Activation) {
        self.activations.entry(group).or_default().push(activation);
    }

    /// Sets a signal of the gates of a group, of shape `[size]`.
    pub fn insert_gate(&mut self, signal: Signal, group: GroupId, numbers: Tensor) {
        self.gates.insert((signal, group), numbers);
    }

    /// Sets what a coordinate of a group costs.
    pub fn insert_cost(&mut self, group: GroupId, freed: Counts) {
        self.costs.insert(group, freed);
    }

    /// Sets the bytes of activations that a coordinate of a group takes.
    pub fn insert_memory(&mut self, group: GroupId, freed_bytes: u64) {
        self.memory.insert(group, freed_bytes);
    }

    /// A signal of a parameter; `None` where nothing depends on it or it is frozen.
    pub fn weight(&self, signal: Signal, value: ValueId) -> Option<&Tensor> {
        self.weights.get(&(signal, value))
    }

    /// The activations of a group.
    pub fn activations(&self, group: GroupId) -> &[Activation] {
        self.activations.get(&group).map_or(&[], Vec::as_slice)
    }

    /// A signal of the gates of a group; `None` where no layer sums over it.
    pub fn gate(&self, signal: Signal, group: GroupId) -> Option<&Tensor> {
        self.gates.get(&(signal, group))
    }

    /// What the network costs less once a coordinate of a group is gone.
    pub fn cost(&self, group: GroupId) -> Option<Counts> {
        self.costs.get(&group).copied()
    }

    /// The bytes that the activations take less once a coordinate of a group is gone.
    pub fn memory(&self, group: GroupId) -> Option<u64> {
        self.memory.get(&group).copied()
    }

    /// The bytes that the numbers take.
    pub fn bytes(&self) -> u64 {
        let statistics = self.activations.values().flatten().flat_map(|activation| activation.statistics.values());
        let tensors = self.weights.values().chain(statistics).chain(self.gates.values());
        tensors.map(|tensor| (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64).sum()
    }

    /// Adds all that another has, in the same memory.
    pub fn extend(&mut self, other: &Self) {
        self.gathered |= other.gathered;
        self.weights.extend(other.weights.iter().map(|(&key, numbers)| (key, numbers.shallow_clone())));
        self.gates.extend(other.gates.iter().map(|(&key, numbers)| (key, numbers.shallow_clone())));
        self.costs.extend(&other.costs);
        self.memory.extend(&other.memory);
        for (&group, activations) in &other.activations {
            let activations = activations.iter().map(Activation::shallow_clone);
            self.activations.entry(group).or_default().extend(activations);
        }
    }
}

impl Activation {
    /// The same statistics in the same memory.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        let statistics = self.statistics.iter().map(|(&signal, numbers)| (signal, numbers.shallow_clone())).collect();
        Self { layout: self.layout.clone(), statistics, ..*self }
    }
}
