//! Groups made by hand, and the tensors of their members.

use std::sync::Arc;

use pruner_core::deps::{Counts, Group, Layout, Member, Pin, Side};
use pruner_core::ids::{GroupId, NodeId, ValueId};
use pruner_core::importance::{Activation, Importance, Signal, SignalSet, Signals, Weights, score};
use tch::{Kind, Tensor};

/// A group of so many coordinates with given members.
#[derive(Debug)]
pub(crate) struct TestGroup {
    pub(crate) id: GroupId,
    pub(crate) coordinates: Vec<u32>,
    pub(crate) members: Vec<Member>,
}

impl Group for TestGroup {
    fn id(&self) -> GroupId {
        self.id
    }

    fn name(&self) -> &'static str {
        "conv1.weight:0"
    }

    fn initial_size(&self) -> usize {
        self.coordinates.iter().max().map_or(0, |last| *last as usize + 1)
    }

    fn coordinates(&self) -> &[u32] {
        &self.coordinates
    }

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn pin(&self) -> Option<&Pin> {
        None
    }

    fn inexact(&self) -> Option<NodeId> {
        None
    }
}

/// A group, the tensors that its members speak of, and the signals that were gathered.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) group: TestGroup,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) gathered: SignalSet,
    /// Signals of the tensors, each with the number of its tensor.
    pub(crate) of_weights: Vec<(Signal, usize, Tensor)>,
    pub(crate) activations: Vec<Activation>,
    pub(crate) gates: Vec<(Signal, Tensor)>,
    pub(crate) costs: Counts,
    pub(crate) memory: u64,
}

impl Case {
    pub(crate) fn new(size: usize) -> Self {
        let coordinates = (0..size as u32).collect();
        Self {
            group: TestGroup { id: GroupId::new(0), coordinates, members: Vec::new() },
            tensors: Vec::new(),
            gathered: SignalSet::empty(),
            of_weights: Vec::new(),
            activations: Vec::new(),
            gates: Vec::new(),
            costs: Counts::default(),
            memory: 0,
        }
    }

    /// With a trained member that a convolution reads.
    pub(crate) fn weight(self, tensor: Tensor, dim: usize, layout: Layout) -> Self {
        self.member(tensor, dim, layout, ("aten::conv2d", "weight"), true)
    }

    /// With a trained member whose positions are the coordinates.
    pub(crate) fn plain(self, tensor: Tensor, dim: usize) -> Self {
        let layout = Layout::Identity(self.group.coordinates.len());
        self.weight(tensor, dim, layout)
    }

    /// With the member of this number as one that reads the coordinates.
    pub(crate) fn input(mut self, index: usize) -> Self {
        self.group.members[index].side = Side::Input;
        self
    }

    pub(crate) fn member(
        mut self,
        tensor: Tensor,
        dim: usize,
        layout: Layout,
        (op, argument): (&str, &str),
        trained: bool,
    ) -> Self {
        let index = self.tensors.len();
        self.group.members.push(Member {
            value: ValueId::new(index),
            name: format!("parameter{index}").into(),
            trained,
            dim,
            side: Side::Output,
            reader: (NodeId::new(index), op.into(), argument.into()),
            layout,
        });
        self.tensors.push(if trained && tensor.is_floating_point() { tensor.set_requires_grad(true) } else { tensor });
        self
    }

    /// With gradients, those of `Σ tensor · gradient` over the tensors that get one.
    pub(crate) fn gradients(self, gradients: &[Option<&Tensor>]) -> Self {
        for (tensor, gradient) in self.tensors.iter().zip(gradients) {
            if let Some(gradient) = gradient {
                (tensor * *gradient).sum(Kind::Float).backward();
            }
        }
        self
    }

    /// With gradients drawn from a normal distribution.
    pub(crate) fn random_gradients(self) -> Self {
        for tensor in self.tensors.iter().filter(|tensor| tensor.requires_grad()) {
            (tensor * tensor.detach().randn_like()).sum(Kind::Float).backward();
        }
        self
    }

    /// With a signal of some tensors, in their order.
    pub(crate) fn signal(mut self, signal: Signal, numbers: &[Option<&Tensor>]) -> Self {
        self.gathered |= signal;
        let given = numbers.iter().enumerate().filter_map(|(index, numbers)| Some((index, (*numbers)?)));
        self.of_weights.extend(given.map(|(index, numbers)| (signal, index, numbers.shallow_clone())));
        self
    }

    /// With an activation that is multiplied by the tensor of this number, and its statistics.
    pub(crate) fn activation(
        mut self,
        tensor: Option<usize>,
        layout: Layout,
        places: u64,
        statistics: &[(Signal, &[f64])],
    ) -> Self {
        let weight = tensor.map(|index| (self.group.members[index].value, self.group.members[index].dim));
        let node = NodeId::new(self.activations.len());
        for (signal, _) in statistics {
            self.gathered |= *signal;
        }
        let statistics = statistics.iter().map(|(signal, numbers)| (*signal, Tensor::from_slice(numbers))).collect();
        self.activations.push(Activation { node, weight, layout, places, statistics });
        self
    }

    /// With a signal of gates.
    pub(crate) fn gate(mut self, signal: Signal, numbers: &[f64]) -> Self {
        self.gathered |= signal;
        self.gates.push((signal, Tensor::from_slice(numbers)));
        self
    }

    /// With what a coordinate costs.
    pub(crate) fn costs(mut self, macs: u64, params: u64, bytes: u64) -> Self {
        self.gathered |= Signal::Costs;
        (self.costs.macs, self.costs.params, self.costs.bytes) = (macs, params, bytes);
        self
    }

    /// With the bytes of activations that a coordinate takes.
    pub(crate) fn memory(mut self, bytes: u64) -> Self {
        self.gathered |= Signal::Memory;
        self.memory = bytes;
        self
    }

    /// Of what was gathered only this.
    pub(crate) fn only(mut self, wanted: SignalSet) -> Self {
        self.gathered &= wanted;
        self
    }

    fn signals(&self) -> Signals {
        let mut signals = Signals::new(self.gathered);
        for (signal, index, numbers) in &self.of_weights {
            signals.insert_weight(*signal, ValueId::new(*index), numbers.shallow_clone());
        }
        for activation in &self.activations {
            signals.insert_activation(self.group.id, activation.shallow_clone());
        }
        for (signal, numbers) in &self.gates {
            signals.insert_gate(*signal, self.group.id, numbers.shallow_clone());
        }
        signals.insert_cost(self.group.id, self.costs);
        signals.insert_memory(self.group.id, self.memory);
        signals
    }

    pub(crate) fn weights(&self) -> Weights {
        let mut weights = Weights::new(0).with_signals(self.signals());
        for (index, tensor) in self.tensors.iter().enumerate() {
            weights.insert(ValueId::new(index), tensor).expect("the tensors are in order");
        }
        weights
    }

    #[track_caller]
    pub(crate) fn scores(&self, importance: &dyn Importance) -> Vec<f32> {
        let score = score(importance, &self.group, &self.weights());
        numbers(&score.expect("the group can be scored").expect("the group has a score"))
    }

    /// Whether the criterion has something to say of the group.
    #[track_caller]
    pub(crate) fn is_scored(&self, importance: &dyn Importance) -> bool {
        score(importance, &self.group, &self.weights()).expect("that is no error").is_some()
    }

    #[track_caller]
    pub(crate) fn error(&self, importance: &dyn Importance) -> String {
        score(importance, &self.group, &self.weights()).expect_err("the group cannot be scored").to_string()
    }
}

/// conv (2 filters over 1 channel, 1×2), batch norm and conv (1 filter over 2 channels, 1×1), with the statistics of the
/// norm as untrained members.
pub(crate) fn conv_bn_conv() -> Case {
    let batch_norm = |argument| ("aten::batch_norm", argument);
    Case::new(2)
        .plain(tensor(&[3.0, -4.0, 1.0, 2.0], &[2, 1, 1, 2]), 0)
        .member(tensor(&[-12.0, 2.0], &[2]), 0, Layout::Identity(2), batch_norm("weight"), true)
        .member(tensor(&[0.0, 4.0], &[2]), 0, Layout::Identity(2), batch_norm("bias"), true)
        .member(tensor(&[1e6, 0.0], &[2]), 0, Layout::Identity(2), batch_norm("running_mean"), false)
        .plain(tensor(&[84.0, 0.0], &[1, 2, 1, 1]), 1)
        .input(4)
}

pub(crate) fn tensor(elements: &[f32], shape: &[i64]) -> Tensor {
    Tensor::from_slice(elements).reshape(shape)
}

pub(crate) fn table(coordinates: &[Option<u32>]) -> Layout {
    Layout::Table(coordinates.iter().map(|coordinate| coordinate.unwrap_or(Layout::NONE)).collect::<Arc<[u32]>>())
}

pub(crate) fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor).expect("scores are a vector of single precision")
}

#[track_caller]
pub(crate) fn close(found: &[f32], expected: &[f32]) {
    // A small score may be what is left of terms that are as large as those of the largest one.
    let largest = expected.iter().fold(0.0_f32, |largest, score| largest.max(score.abs()));
    let rounding = |expected: f32| 1e-5 * expected.abs().max(1.0) + f32::EPSILON * largest;
    let near = |(found, expected): (&f32, &f32)| (found - expected).abs() <= rounding(*expected);
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(near),
        "found {found:?}, expected {expected:?}"
    );
}
