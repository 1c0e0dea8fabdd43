//! The graph of what is left: shapes of all values, and the sizes that are burnt into arguments.

use std::fmt;

use crate::deps::{Analysis, Kept, NodeAxes};
use crate::graph::{Argument, Graph, Node, Origin, Value};
use crate::ids::{NodeId, ValueId};
use crate::ops::{Rewrite, Term};

/// Something of the network's code that a cut makes wrong where the code itself goes on being run instead of its graph.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BurntIn {
    /// An argument must be another one.
    Argument {
        /// The node, with its operation.
        node: String,
        /// The argument.
        argument: String,
        /// What it is in the code.
        is: Argument,
        /// What it must be.
        must_be: Argument,
    },
    /// An operation must be another one, since its parts are no longer equal.
    Operation {
        /// The node, with its operation.
        node: String,
        /// The operation that it must be.
        must_be: String,
    },
    /// A tensor that belongs to no variable must be sliced.
    Constant {
        /// Its name in the graph.
        name: String,
        /// Its shape in the code.
        is: Vec<i64>,
        /// The shape that it must have.
        must_be: Vec<i64>,
    },
}

impl fmt::Display for BurntIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { node, argument, is, must_be } => write!(f, "{node}: {argument}={is} must be {must_be}"),
            Self::Operation { node, must_be } => write!(f, "{node} must be {must_be}"),
            Self::Constant { name, is, must_be } => write!(f, "constant `{name}` of shape {is:?} must be {must_be:?}"),
        }
    }
}

impl Analysis {
    /// What in the traced code contradicts the coordinates that are left. Empty where the code can go on being run on
    /// the cut variables; the rewritten graph is right in any case.
    pub fn burnt_in(&self, kept: &Kept) -> Vec<BurntIn> {
        let left = self.rewrite(kept);
        let mut found = Vec::new();
        for (id, was) in self.graph().stored().filter(|(_, value)| value.origin == Origin::Constant) {
            if left.shape(id) != was.meta.shape {
                let (is, must_be) = (was.meta.shape.clone(), left.shape(id).to_vec());
                found.push(BurntIn::Constant { name: was.name.clone(), is, must_be });
            }
        }
        for ((id, was), (_, is)) in self.graph().nodes().zip(left.nodes()) {
            let node = self.graph().describe(id);
            if was.op != is.op {
                found.push(BurntIn::Operation { node, must_be: is.op.clone() });
                continue;
            }
            for (argument, is) in &is.arguments {
                let was = was.argument(argument).unwrap_or(&Argument::None);
                if was != is {
                    let (argument, was, is) = (argument.clone(), was.clone(), is.clone());
                    found.push(BurntIn::Argument { node: node.clone(), argument, is: was, must_be: is });
                }
            }
        }
        found
    }

    /// The graph with the coordinates that are left. Arguments that no size changed for stay as they were written.
    pub fn rewrite(&self, kept: &Kept) -> Graph {
        let mut graph = self.graph().clone();
        for (id, _) in self.graph().values() {
            for (size, dim) in graph.value_mut(id).meta.shape.iter_mut().zip(self.dims(id)) {
                *size = kept.size(self, dim) as i64;
            }
        }
        for (id, _) in self.graph().nodes() {
            if let Some(axes) = self.node_axes(id).filter(|axes| !axes.known.form.rule.rewrites.is_empty()) {
                self.rewrite_node(kept, axes, graph.node_mut(id));
            }
        }
        graph
    }

    /// Whether a graph is what [`rewrite`](Self::rewrite) gives.
    pub fn is_rewritten(&self, kept: &Kept, graph: &Graph) -> bool {
        let own = self.graph();
        if kept.is_all() {
            return own == graph;
        }
        let is_value = |((id, own), (_, value)): ((ValueId, &Value), (ValueId, &Value))| {
            let (shape, dims) = (&value.meta.shape, self.dims(id));
            (&own.name, own.origin, own.meta.dtype) == (&value.name, value.origin, value.meta.dtype)
                && shape.len() == own.meta.shape.len()
                && shape.iter().zip(dims).all(|(&size, dim)| size == kept.size(self, dim) as i64)
        };
        let is_node = |((id, own), (_, node)): ((NodeId, &Node), (NodeId, &Node))| {
            let Some(axes) = self.node_axes(id).filter(|axes| !axes.known.form.rule.rewrites.is_empty()) else {
                return own == node;
            };
            let mut own = own.clone();
            self.rewrite_node(kept, axes, &mut own);
            own == *node
        };
        (own.inputs(), own.outputs()) == (graph.inputs(), graph.outputs())
            && (own.values().len(), own.nodes().len()) == (graph.values().len(), graph.nodes().len())
            && own.values().zip(graph.values()).all(is_value)
            && own.nodes().zip(graph.nodes()).all(is_node)
    }

    fn rewrite_node(&self, kept: &Kept, axes: &NodeAxes, node: &mut Node) {
        let all = Kept::all();
        let new_size = |term: &Term| {
            let size = kept.term_size(self, term, &axes.factors);
            (size != all.term_size(self, term, &axes.factors)).then_some(size as i64)
        };
        for rewrite in &axes.known.form.rule.rewrites {
            match rewrite {
                Rewrite::Op { when, op, overload, arguments } => {
                    if when.iter().any(|term| new_size(term).is_some()) {
                        node.op.clone_from(op);
                        node.overload.clone_from(overload);
                        node.arguments.clone_from(arguments);
                    }
                }
                Rewrite::Size { argument, term } => {
                    if let Some(size) = new_size(term) {
                        set(node, argument, Argument::Int(size));
                    }
                }
                Rewrite::Sizes { argument, terms } => {
                    if let Some(Argument::Ints(sizes)) = argument_mut(node, argument) {
                        for (size, term) in sizes.iter_mut().zip(terms).filter(|(size, _)| **size != -1) {
                            *size = new_size(term).unwrap_or(*size);
                        }
                    }
                }
                Rewrite::Value { when, argument, value } => {
                    if new_size(when).is_some() {
                        set(node, argument, value.clone());
                    }
                }
            }
        }
    }
}

fn argument_mut<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Argument> {
    node.arguments.iter_mut().find(|(key, _)| key == name).map(|(_, argument)| argument)
}

/// Gives an argument a value; one that was left out, and so had its default, is added.
fn set(node: &mut Node, name: &str, value: Argument) {
    match argument_mut(node, name) {
        Some(argument) => *argument = value,
        None => node.arguments.push((name.to_owned(), value)),
    }
}
