//! The graph of what is left: shapes of all values, and the sizes that are burnt into arguments.

use crate::deps::{Analysis, Kept, NodeAxes};
use crate::graph::{Argument, Graph, Node};
use crate::ops::{Rewrite, Term};

impl Analysis {
    /// The graph with the coordinates that are left. Arguments that no size changed for stay as they were written.
    pub fn rewrite(&self, kept: &Kept) -> Graph {
        let mut graph = self.graph().clone();
        for (id, _) in self.graph().values() {
            for (size, dim) in graph.value_mut(id).meta.shape.iter_mut().zip(self.dims(id)) {
                *size = kept.size(self, dim) as i64;
            }
        }
        for (id, _) in self.graph().nodes() {
            if let Some(axes) = self.node_axes(id).filter(|axes| !axes.rule.rewrites.is_empty()) {
                self.rewrite_node(kept, axes, graph.node_mut(id));
            }
        }
        graph
    }

    fn rewrite_node(&self, kept: &Kept, axes: &NodeAxes, node: &mut Node) {
        let all = Kept::all();
        let new_size = |term: &Term| {
            let size = kept.term_size(self, term, &axes.factors);
            (size != all.term_size(self, term, &axes.factors)).then_some(size as i64)
        };
        for rewrite in &axes.rule.rewrites {
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

fn set(node: &mut Node, name: &str, value: Argument) {
    if let Some(argument) = argument_mut(node, name) {
        *argument = value;
    }
}
