//! The invariants of a graph, checked.
//!
//! 1. There is at least one node, and at least one output.
//! 2. Every value that a node reads or makes, and every input and output, is a value of the graph.
//! 3. What a node reads, and every output, is stored, an input, or a result of an earlier node.
//! 4. Results and origins agree: the result `i` of a node has the node and `i` as its origin, and every value whose
//!    origin is a node is that result of it.
//! 5. The inputs are the values whose origin is the input, each listed once.
//! 6. Parameters and buffers have names, and no two the same.
//! 7. No size is negative, and the number of elements of a tensor fits in 63 bits.
//! 8. An operation is named `namespace::name`, and its overload is empty or an identifier.
//! 9. The arguments of a node have names, and no two the same.
//! 10. A node reads a value or makes one.

#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::text::{is_plain_name, is_plain_overload};
use super::{Graph, Origin};
use crate::ids::{NodeId, ValueId};

/// Checks every invariant, and reports all that do not hold. A graph is found sound once, until it is changed.
pub fn verify(graph: &Graph) -> Result<(), VerifyError> {
    if graph.sound.get().is_some() {
        return Ok(());
    }
    let mut verifier = Verifier { graph, violations: Vec::new() };
    verifier.counts();
    verifier.nodes();
    verifier.interface();
    verifier.values();
    if !verifier.violations.is_empty() {
        return Err(VerifyError { violations: verifier.violations });
    }
    graph.sound.get_or_init(|| ());
    Ok(())
}

/// A graph breaks its invariants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// Every violation that was found.
    pub violations: Vec<Violation>,
}

impl std::error::Error for VerifyError {}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the graph is malformed:")?;
        self.violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// An invariant that does not hold, and where. A node is named by its id and operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// There are no nodes.
    #[error("the graph has no nodes")]
    NoNodes,
    /// There are no outputs.
    #[error("the graph has no outputs")]
    NoOutputs,
    /// A node reads or makes a value that is not there.
    #[error("{node} names {value}, which the graph does not have")]
    UnknownValue {
        /// The node.
        node: String,
        /// The value.
        value: ValueId,
    },
    /// An input or an output is a value that is not there.
    #[error("{what} {value} is no value of the graph")]
    UnknownInterface {
        /// `input` or `output`.
        what: &'static str,
        /// The value.
        value: ValueId,
    },
    /// A node reads a value that has not been made.
    #[error("{node} reads {value}, which {maker} makes later")]
    UsedBeforeMade {
        /// The node that reads.
        node: String,
        /// The value.
        value: ValueId,
        /// The node that makes it.
        maker: String,
    },
    /// A value that is read or returned is said to come from a node that is not there.
    #[error("{value} comes from {node}, which the graph does not have")]
    UnknownMaker {
        /// The value.
        value: ValueId,
        /// The node.
        node: NodeId,
    },
    /// A node lists a result whose origin is another.
    #[error("result {index} of {node} is {value}, whose origin is {origin:?}")]
    WrongOrigin {
        /// The node.
        node: String,
        /// Which of its results.
        index: usize,
        /// The value.
        value: ValueId,
        /// The origin of the value.
        origin: Origin,
    },
    /// The origin of a value is a node that does not list it.
    #[error("{value} is said to be result {index} of {node}, which does not list it there")]
    NotAResult {
        /// The value.
        value: ValueId,
        /// The node.
        node: String,
        /// Which of its results.
        index: usize,
    },
    /// An input is listed whose origin is another.
    #[error("{value} is listed as an input, and its origin is {origin:?}")]
    NotAnInput {
        /// The value.
        value: ValueId,
        /// The origin of the value.
        origin: Origin,
    },
    /// An input is listed more than once, or not at all.
    #[error("{value} is listed {count} times among the inputs")]
    InputCount {
        /// The value.
        value: ValueId,
        /// How often it is listed.
        count: usize,
    },
    /// A parameter or buffer has no name.
    #[error("{value} is a parameter or buffer without a name")]
    Unnamed {
        /// The value.
        value: ValueId,
    },
    /// Two parameters or buffers have the same name.
    #[error("{value} is named `{name}` like {first}")]
    SameName {
        /// The value.
        value: ValueId,
        /// Its name.
        name: String,
        /// The first value of that name.
        first: ValueId,
    },
    /// A size is negative, or there are too many elements.
    #[error("{value} has the impossible shape {shape:?}")]
    Shape {
        /// The value.
        value: ValueId,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// An operation is not named `namespace::name`, or its overload is no identifier.
    #[error("{node} has the operation `{op}` with the overload `{overload}`, expected a name such as `aten::add`")]
    OperationName {
        /// The node.
        node: NodeId,
        /// The operation.
        op: String,
        /// The overload.
        overload: String,
    },
    /// An argument has no name.
    #[error("argument {index} of {node} has no name")]
    UnnamedArgument {
        /// The node.
        node: String,
        /// Which of its arguments.
        index: usize,
    },
    /// Two arguments of a node have the same name.
    #[error("{node} has two arguments named `{argument}`")]
    SameArgument {
        /// The node.
        node: String,
        /// The name.
        argument: String,
    },
    /// A node reads no value and makes none.
    #[error("{node} reads no value and makes none")]
    Detached {
        /// The node.
        node: String,
    },
}

struct Verifier<'a> {
    graph: &'a Graph,
    violations: Vec<Violation>,
}

impl Verifier<'_> {
    fn check(&mut self, holds: bool, violation: impl FnOnce() -> Violation) {
        if !holds {
            self.violations.push(violation());
        }
    }

    fn has(&self, value: ValueId) -> bool {
        value.index() < self.graph.values.len()
    }

    fn counts(&mut self) {
        self.check(!self.graph.nodes.is_empty(), || Violation::NoNodes);
        self.check(!self.graph.outputs.is_empty(), || Violation::NoOutputs);
    }

    fn nodes(&mut self) {
        let graph = self.graph;
        let mut names = Vec::new();
        for (id, node) in graph.nodes() {
            let name = || graph.describe(id);
            let plain = is_plain_name(&node.op) && node.op.contains(':') && is_plain_overload(&node.overload);
            self.check(plain, || Violation::OperationName {
                node: id,
                op: node.op.clone(),
                overload: node.overload.clone(),
            });
            let reads_or_makes = !node.results.is_empty() || node.inputs().next().is_some();
            self.check(reads_or_makes, || Violation::Detached { node: name() });
            for (index, (argument, _)) in node.arguments.iter().enumerate() {
                self.check(!argument.is_empty(), || Violation::UnnamedArgument { node: name(), index });
            }
            names.extend(node.arguments.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty()));
            // Most names differ in length, which takes no look at them.
            names.sort_unstable_by_key(|name| (name.len(), *name));
            for same in names.windows(2).filter(|pair| pair[0] == pair[1]) {
                self.violations.push(Violation::SameArgument { node: name(), argument: same[0].to_owned() });
            }
            names.clear();
            for value in node.inputs() {
                self.read(id, value);
            }
            for (index, &value) in node.results.iter().enumerate() {
                if !self.has(value) {
                    self.violations.push(Violation::UnknownValue { node: name(), value });
                    continue;
                }
                let origin = graph.value(value).origin;
                self.check(origin == Origin::Node { node: id, index }, || Violation::WrongOrigin {
                    node: name(),
                    index,
                    value,
                    origin,
                });
            }
        }
    }

    fn read(&mut self, reader: NodeId, value: ValueId) {
        let graph = self.graph;
        if !self.has(value) {
            self.violations.push(Violation::UnknownValue { node: graph.describe(reader), value });
        } else if let Origin::Node { node: maker, .. } = graph.value(value).origin {
            // A maker that is not there is reported once, with the value.
            self.check(maker < reader || maker.index() >= graph.nodes.len(), || Violation::UsedBeforeMade {
                node: graph.describe(reader),
                value,
                maker: graph.describe(maker),
            });
        }
    }

    fn interface(&mut self) {
        let graph = self.graph;
        for (what, values) in [("input", &graph.inputs), ("output", &graph.outputs)] {
            for &value in values {
                self.check(value.index() < graph.values.len(), || Violation::UnknownInterface { what, value });
            }
        }
        let mut counts: BTreeMap<ValueId, usize> =
            graph.values().filter(|(_, value)| value.origin == Origin::Input).map(|(id, _)| (id, 0)).collect();
        for &value in graph.inputs.iter().filter(|value| value.index() < graph.values.len()) {
            match counts.get_mut(&value) {
                Some(count) => *count += 1,
                None => self.violations.push(Violation::NotAnInput { value, origin: graph.value(value).origin }),
            }
        }
        for (value, count) in counts {
            self.check(count == 1, || Violation::InputCount { value, count });
        }
    }

    fn values(&mut self) {
        let graph = self.graph;
        let mut named: HashMap<&str, ValueId> = HashMap::with_capacity(graph.values.len());
        for (id, value) in graph.values() {
            let shape = &value.meta.shape;
            let elements = shape.iter().try_fold(1_i64, |product, &size| product.checked_mul(size));
            self.check(elements.is_some() && shape.iter().all(|&size| size >= 0), || Violation::Shape {
                value: id,
                shape: shape.clone(),
            });
            match value.origin {
                Origin::Parameter | Origin::Buffer if value.name.is_empty() => {
                    self.violations.push(Violation::Unnamed { value: id });
                }
                Origin::Parameter | Origin::Buffer => match named.entry(&value.name) {
                    Entry::Vacant(entry) => _ = entry.insert(id),
                    Entry::Occupied(entry) => {
                        let (name, first) = (value.name.clone(), *entry.get());
                        self.violations.push(Violation::SameName { value: id, name, first });
                    }
                },
                Origin::Node { node, .. } if node.index() >= graph.nodes.len() => {
                    self.violations.push(Violation::UnknownMaker { value: id, node });
                }
                Origin::Node { node, index } => {
                    self.check(graph.node(node).results.get(index) == Some(&id), || Violation::NotAResult {
                        value: id,
                        node: graph.describe(node),
                        index,
                    });
                }
                Origin::Input | Origin::Constant => {}
            }
        }
    }
}
