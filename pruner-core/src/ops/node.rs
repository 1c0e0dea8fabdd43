//! A node as the functions of the table see it: typed arguments, and shapes.

use super::error::RuleError;
use crate::graph::{Argument, Dtype, Graph, Node};
use crate::ids::{NodeId, ValueId};

/// A node of a graph with the shapes of what it reads and makes.
#[derive(Clone, Debug)]
pub struct NodeView<'g> {
    graph: &'g Graph,
    id: NodeId,
    node: &'g Node,
    slots: Vec<Slot<'g>>,
}

/// A place where a node can read a tensor: an argument that is a tensor, an element of one that is a list of tensors,
/// or an argument that is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot<'g> {
    /// The argument.
    pub argument: &'g str,
    /// The place in the list, if the argument is one.
    pub index: Option<usize>,
    /// The tensor; `None` if it is absent.
    pub value: Option<ValueId>,
}

/// The places where a node can read a tensor, in the order of the schema.
pub(crate) fn slots(node: &Node) -> impl Iterator<Item = Slot<'_>> {
    node.arguments.iter().flat_map(|(argument, found)| {
        let (one, many) = match found {
            Argument::None => (Some(None), &[][..]),
            Argument::Value(value) => (Some(Some(*value)), &[][..]),
            Argument::Values(values) => (None, &values[..]),
            _ => (None, &[][..]),
        };
        let one = one.into_iter().map(|value| Slot { argument, index: None, value });
        one.chain(many.iter().enumerate().map(|(index, value)| Slot { argument, index: Some(index), value: *value }))
    })
}

/// The slots and shapes of the tensors of a list; an absent one has no shape.
pub type Listed<'g> = Vec<(usize, Option<&'g [i64]>)>;

impl<'g> NodeView<'g> {
    /// The node `id` of a graph.
    pub fn new(graph: &'g Graph, id: NodeId) -> Self {
        let node = graph.node(id);
        let mut slots = Vec::with_capacity(node.arguments.len());
        self::slots(node).for_each(|slot| slots.push(slot));
        Self { graph, id, node, slots }
    }

    /// The operation with its namespace.
    pub fn op(&self) -> &'g str {
        &self.node.op
    }

    /// The overload of the operation; may be empty.
    pub fn overload(&self) -> &'g str {
        &self.node.overload
    }

    /// How a message names the node.
    pub fn describe(&self) -> String {
        self.graph.describe(self.id)
    }

    /// The places where it can read a tensor, in the order of the schema.
    pub fn slots(&self) -> &[Slot<'g>] {
        &self.slots
    }

    /// The place of a tensor among the slots.
    pub fn slot(&self, argument: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.argument == argument)
    }

    /// The shape of the tensor in a slot; `None` if it is absent.
    pub fn operand(&self, slot: usize) -> Option<&'g [i64]> {
        self.slots.get(slot)?.value.map(|value| self.graph.shape(value))
    }

    /// The shapes of the results.
    pub fn results(&self) -> impl ExactSizeIterator<Item = &'g [i64]> + '_ {
        self.node.results.iter().map(|&value| self.graph.shape(value))
    }

    /// The shape of a result.
    pub fn result(&self, index: usize) -> Result<&'g [i64], RuleError> {
        let found = self.node.results.len();
        let count = || RuleError::Count { node: self.describe(), what: "results", expected: index + 1, found };
        self.node.results.get(index).map(|&value| self.graph.shape(value)).ok_or_else(count)
    }

    /// The shape of the tensor that is an argument.
    pub fn shape(&self, argument: &str) -> Result<&'g [i64], RuleError> {
        self.optional_shape(argument).ok_or_else(|| self.error(argument, "a tensor"))
    }

    /// The shape of the tensor that is an argument; `None` if it is absent or no tensor.
    pub fn optional_shape(&self, argument: &str) -> Option<&'g [i64]> {
        match self.argument(argument) {
            Some(Argument::Value(value)) => Some(self.graph.shape(*value)),
            _ => None,
        }
    }

    /// The slots and shapes of the tensors of a list; an absent one has no shape.
    pub fn list(&self, argument: &str) -> Result<Listed<'g>, RuleError> {
        match self.argument(argument) {
            Some(Argument::Values(_)) => {}
            Some(Argument::Ints(values)) if values.is_empty() => {}
            _ => return Err(self.error(argument, "a list of tensors")),
        }
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.argument == argument);
        Ok(slots.map(|(place, slot)| (place, slot.value.map(|value| self.graph.shape(value)))).collect())
    }

    /// Whether the elements of a tensor are truth values or bytes, which select when they index.
    pub fn is_mask(&self, slot: usize) -> bool {
        let value = self.slots.get(slot).and_then(|slot| slot.value);
        value.is_some_and(|value| matches!(self.graph.value(value).meta.dtype, Dtype::Bool | Dtype::U8))
    }

    /// An argument; `None` if it is absent.
    pub fn argument(&self, name: &str) -> Option<&'g Argument> {
        self.node.argument(name).filter(|argument| **argument != Argument::None)
    }

    /// Whether an argument is absent.
    pub fn is_none(&self, name: &str) -> bool {
        self.argument(name).is_none()
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Result<i64, RuleError> {
        match self.argument(name) {
            Some(Argument::Int(value)) => Ok(*value),
            Some(Argument::Bool(value)) => Ok(i64::from(*value)),
            _ => Err(self.error(name, "an integer")),
        }
    }

    /// An integer, or what the schema gives it when it is absent.
    pub fn int_or(&self, name: &str, default: i64) -> Result<i64, RuleError> {
        if self.is_none(name) { Ok(default) } else { self.int(name) }
    }

    /// A list of integers; an integer by itself is a list of one.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>, RuleError> {
        match self.argument(name) {
            Some(Argument::Ints(values)) => Ok(values.clone()),
            Some(Argument::Int(value)) => Ok(vec![*value]),
            Some(Argument::Values(values)) if values.is_empty() => Ok(Vec::new()),
            _ => Err(self.error(name, "a list of integers")),
        }
    }

    /// A truth value, or what the schema gives it when it is absent.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, RuleError> {
        match self.argument(name) {
            None => Ok(default),
            Some(Argument::Bool(value)) => Ok(*value),
            Some(Argument::Int(value)) => Ok(*value != 0),
            _ => Err(self.error(name, "a truth value")),
        }
    }

    /// A floating-point number, or what the schema gives it when it is absent.
    pub fn float_or(&self, name: &str, default: f64) -> Result<f64, RuleError> {
        match self.argument(name) {
            None => Ok(default),
            Some(Argument::Float(value)) => Ok(*value),
            Some(Argument::Int(value)) => Ok(*value as f64),
            _ => Err(self.error(name, "a number")),
        }
    }

    /// A string, or what the schema gives it when it is absent.
    pub fn str_or(&self, name: &str, default: &'g str) -> Result<&'g str, RuleError> {
        match self.argument(name) {
            None => Ok(default),
            Some(Argument::Str(value)) => Ok(value),
            _ => Err(self.error(name, "a string")),
        }
    }

    /// A dimension of a tensor of rank `rank`, counted from the front; `default` if the argument is absent.
    pub fn dim_or(&self, name: &str, default: i64, rank: usize) -> Result<usize, RuleError> {
        let dim = self.int_or(name, default)?;
        self.normalise(name, dim, rank)
    }

    /// A list of dimensions of a tensor of rank `rank`, counted from the front.
    pub fn dims(&self, name: &str, rank: usize) -> Result<Vec<usize>, RuleError> {
        self.ints(name)?.into_iter().map(|dim| self.normalise(name, dim, rank)).collect()
    }

    /// A dimension counted from the front, where a negative one counts from the back.
    pub fn normalise(&self, name: &str, dim: i64, rank: usize) -> Result<usize, RuleError> {
        // A tensor of rank 0 takes the dimensions of one of rank 1.
        let bound = rank.max(1) as i64;
        let from_front = if dim < 0 { dim.checked_add(bound) } else { Some(dim) };
        from_front.filter(|dim| (0..bound).contains(dim)).map(|dim| dim as usize).ok_or_else(|| RuleError::Dim {
            node: self.describe(),
            argument: name.to_owned(),
            dim,
            rank,
        })
    }

    /// That no size is negative, on which functions of the table rely.
    pub(super) fn check(&self) -> Result<(), RuleError> {
        let shapes = (0..self.slots.len()).filter_map(|slot| self.operand(slot)).chain(self.results());
        match shapes.flatten().find(|size| **size < 0) {
            None => Ok(()),
            Some(size) => Err(self.impossible(format!("a tensor has a dimension of size {size}"))),
        }
    }

    /// The error that an argument is not what it should be.
    pub fn error(&self, argument: &str, expected: &'static str) -> RuleError {
        RuleError::Argument { node: self.describe(), argument: argument.to_owned(), expected }
    }

    /// The error that the shapes are none that the operation takes and makes.
    pub fn impossible(&self, what: impl Into<String>) -> RuleError {
        RuleError::Impossible { node: self.describe(), what: what.into() }
    }

    /// That the row does not cover a form of the operation: what such a node touches is pinned.
    pub fn unsupported(&self, what: impl Into<String>) -> RuleError {
        RuleError::Unsupported { node: self.describe(), what: what.into() }
    }

    /// How a message names the tensor of a slot.
    pub fn slot_name(&self, slot: usize) -> String {
        match self.slots.get(slot) {
            Some(Slot { argument, index: Some(index), .. }) => format!("argument `{argument}[{index}]`"),
            Some(Slot { argument, .. }) => format!("argument `{argument}`"),
            None => format!("tensor {slot}"),
        }
    }
}
