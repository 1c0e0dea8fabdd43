//! The graph of ATen operations that a network is traced to: values, nodes, and how they are put together.
//!
//! A graph prints to and parses from a text form ([`text`]) and is checked by a verifier ([`verify`]).

pub mod dtype;
pub mod text;
pub mod verify;

use std::fmt;
use std::sync::{Arc, OnceLock};

pub use dtype::Dtype;

use crate::ids::{NodeId, ValueId};

/// What is known of a tensor without its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMeta {
    /// The size of each dimension.
    pub shape: Vec<i64>,
    /// The type of the elements.
    pub dtype: Dtype,
}

impl TensorMeta {
    /// A tensor of single-precision floats.
    pub fn f32(shape: impl Into<Vec<i64>>) -> Self {
        Self { shape: shape.into(), dtype: Dtype::F32 }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An argument of the network.
    Input,
    /// A trained tensor.
    Parameter,
    /// A tensor that the network keeps and does not train, such as a running mean.
    Buffer,
    /// A tensor that the network was built with and that belongs to no variable.
    Constant,
    /// A result of a node.
    Node {
        /// The node.
        node: NodeId,
        /// Which of its results.
        index: usize,
    },
}

impl Origin {
    /// Whether the value is stored with the network: a parameter, a buffer or a constant.
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Parameter | Self::Buffer | Self::Constant)
    }
}

/// A tensor that flows through the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The variable's name for a parameter or buffer; for others a name that need not be unique.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Its shape and element type.
    pub meta: TensorMeta,
}

/// An argument of a node, as the operation's schema has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// An optional argument that is absent.
    None,
    /// A tensor.
    Value(ValueId),
    /// A list of tensors, some of which may be absent.
    Values(Vec<Option<ValueId>>),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Str(String),
    /// A list of truth values.
    Bools(Vec<bool>),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A list of floating-point numbers.
    Floats(Vec<f64>),
    /// An element type.
    Dtype(Dtype),
    /// A device; execution replaces it by the device of the graph.
    Device(String),
    /// A memory layout, in libtorch's numbering.
    Layout(i64),
    /// A memory format, in libtorch's numbering.
    MemoryFormat(i64),
}

impl Argument {
    /// The values it holds, in order.
    pub fn values(&self) -> impl Iterator<Item = ValueId> + '_ {
        let (one, many) = match self {
            Self::Value(value) => (Some(*value), None),
            Self::Values(values) => (None, Some(values)),
            _ => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten().filter_map(|value| *value))
    }
}

impl From<ValueId> for Argument {
    fn from(value: ValueId) -> Self {
        Self::Value(value)
    }
}

impl From<i64> for Argument {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&[i64]> for Argument {
    fn from(value: &[i64]) -> Self {
        Self::Ints(value.to_vec())
    }
}

impl<const N: usize> From<[i64; N]> for Argument {
    fn from(value: [i64; N]) -> Self {
        Self::Ints(value.to_vec())
    }
}

/// One application of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation with its namespace, such as `aten::add`.
    pub op: String,
    /// The overload of the operation, such as `Tensor`; may be empty.
    pub overload: String,
    /// The arguments by the names of the operation's schema, in its order.
    pub arguments: Vec<(String, Argument)>,
    /// The results that are tensors; a result that is a list of tensors counts as so many results.
    pub results: Vec<ValueId>,
    /// Whether it runs without gradients whatever the mode of those around it.
    pub no_grad: bool,
}

impl Node {
    /// The argument called `name`.
    pub fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|(key, _)| key == name).map(|(_, argument)| argument)
    }

    /// The values that it reads, in the order of its arguments.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.arguments.iter().flat_map(|(_, argument)| argument.values())
    }
}

/// A network as a list of ATen operations in the order of their execution.
///
/// A clone shares the values and the nodes with what it was cloned from, until one of the two is changed.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    values: Arc<Vec<Value>>,
    nodes: Arc<Vec<Node>>,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    /// Set once it was verified, until it is changed.
    sound: OnceLock<()>,
}

impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        let is_shared = Arc::ptr_eq(&self.values, &other.values) && Arc::ptr_eq(&self.nodes, &other.nodes);
        (&self.inputs, &self.outputs) == (&other.inputs, &other.outputs)
            && (is_shared || (&self.values, &self.nodes) == (&other.values, &other.nodes))
    }
}

impl Graph {
    /// A graph of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The values, in the order of their ids.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (ValueId, &Value)> {
        self.values.iter().enumerate().map(|(index, value)| (ValueId::new(index), value))
    }

    /// The nodes, in the order of their execution.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId::new(index), node))
    }

    /// The arguments of the network, in order.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// The results of the network, in order.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The value `id`.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The node `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The shape of the value `id`.
    pub fn shape(&self, id: ValueId) -> &[i64] {
        &self.values[id.index()].meta.shape
    }

    /// The values stored with the network: parameters, buffers and constants.
    pub fn stored(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        self.values().filter(|(_, value)| value.origin.is_stored())
    }

    /// Adds a value that no node makes; `origin` is not [`Origin::Node`].
    pub fn add_value(&mut self, name: impl Into<String>, origin: Origin, meta: TensorMeta) -> ValueId {
        let id = self.push_value(Value { name: name.into(), origin, meta });
        if origin == Origin::Input {
            self.inputs.push(id);
        }
        id
    }

    /// Adds an argument of the network.
    pub fn add_input(&mut self, name: impl Into<String>, meta: TensorMeta) -> ValueId {
        self.add_value(name, Origin::Input, meta)
    }

    /// Adds a trained tensor.
    pub fn add_parameter(&mut self, name: impl Into<String>, meta: TensorMeta) -> ValueId {
        self.add_value(name, Origin::Parameter, meta)
    }

    /// Adds a node at the end and the values of its results.
    pub fn add_node(
        &mut self,
        op: impl Into<String>,
        overload: impl Into<String>,
        arguments: Vec<(String, Argument)>,
        results: Vec<TensorMeta>,
    ) -> NodeId {
        let node = NodeId::new(self.nodes.len());
        let results = results
            .into_iter()
            .enumerate()
            .map(|(index, meta)| {
                self.push_value(Value { name: String::new(), origin: Origin::Node { node, index }, meta })
            })
            .collect();
        let made = Node { op: op.into(), overload: overload.into(), arguments, results, no_grad: false };
        self.nodes_mut().push(made);
        node
    }

    /// Adds a node with one result, named arguments given as pairs, and returns the result.
    pub fn call(&mut self, op: &str, arguments: Vec<(&str, Argument)>, result: TensorMeta) -> ValueId {
        let (op, overload) = op.split_once('.').unwrap_or((op, ""));
        let arguments = arguments.into_iter().map(|(name, argument)| (name.to_owned(), argument)).collect();
        let node = self.add_node(op, overload, arguments, vec![result]);
        self.nodes[node.index()].results[0]
    }

    /// Says which values are the results of the network.
    pub fn set_outputs(&mut self, outputs: Vec<ValueId>) {
        self.sound.take();
        self.outputs = outputs;
    }

    /// The node `id`, to be changed.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes_mut()[id.index()]
    }

    /// The value `id`, to be changed.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values_mut()[id.index()]
    }

    fn push_value(&mut self, value: Value) -> ValueId {
        let id = ValueId::new(self.values.len());
        self.values_mut().push(value);
        id
    }

    fn values_mut(&mut self) -> &mut Vec<Value> {
        self.sound.take();
        Arc::make_mut(&mut self.values)
    }

    fn nodes_mut(&mut self) -> &mut Vec<Node> {
        self.sound.take();
        Arc::make_mut(&mut self.nodes)
    }

    /// How a message names the node: its id and operation.
    pub fn describe(&self, id: NodeId) -> String {
        format!("{id} ({})", self.node(id).op)
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::print(self, f)
    }
}
