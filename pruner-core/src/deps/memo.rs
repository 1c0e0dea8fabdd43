//! Rules of nodes that are alike: a network repeats its layers, and a rule depends on arguments and shapes alone, as does how
//! zeros pass.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fnv::{FnvBuildHasher, FnvHasher};

use crate::deps::uses::Uses;
use crate::graph::{Argument, Graph, Node};
use crate::ids::{NodeId, ValueId};
use crate::ops::{self, NodeView, Rewrite, Rule, RuleError, Zeros};

/// The rules found so far.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Under the hash of a node, the nodes of that hash which had a rule worked out.
    known: HashMap<u64, Vec<(NodeId, Arc<Known>)>, FnvBuildHasher>,
}

/// What is known of a node whatever the network around it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) rule: Rule,
    pub(crate) uses: Uses,
    /// How it passes zeros on.
    pub(crate) zeros: Zeros,
}

impl Rules {
    /// What is known of a node; `None` if its operation has no row.
    pub(super) fn of(&mut self, graph: &Graph, id: NodeId) -> Result<Option<Arc<Known>>, RuleError> {
        let node = graph.node(id);
        let known = self.known.entry(hash(graph, node)).or_default();
        if let Some((_, found)) = known.iter().find(|(other, _)| alike(graph, graph.node(*other), node)) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(rule) = ops::rule(graph, id)? else { return Ok(None) };
        // Another operation that a node becomes reads what the node reads, and not what one like it reads.
        // (A node with an argument that is not a number is not like itself.)
        let shared = !rule.rewrites.iter().any(names_values) && alike(graph, node, node);
        let (uses, zeros) = (Uses::new(&rule), ops::zeros(&NodeView::new(graph, id)));
        let found = Arc::new(Known { rule, uses, zeros });
        if shared {
            known.push((id, Arc::clone(&found)));
        }
        Ok(Some(found))
    }
}

fn names_values(rewrite: &Rewrite) -> bool {
    match rewrite {
        Rewrite::Op { .. } => true,
        Rewrite::Value { value, .. } => value.values().next().is_some(),
        Rewrite::Size { .. } | Rewrite::Sizes { .. } => false,
    }
}

fn hash(graph: &Graph, node: &Node) -> u64 {
    let mut hasher = FnvHasher::default();
    node.op.hash(&mut hasher);
    for (_, argument) in &node.arguments {
        match argument {
            Argument::Int(value) => value.hash(&mut hasher),
            Argument::Ints(values) => values.hash(&mut hasher),
            _ => {}
        }
    }
    for value in node.inputs().chain(node.results.iter().copied()) {
        graph.shape(value).hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether two nodes differ only in which tensors they read and make, not in the shapes and types of these.
fn alike(graph: &Graph, a: &Node, b: &Node) -> bool {
    let same = |a: ValueId, b: ValueId| graph.value(a).meta == graph.value(b).meta;
    let arguments = |(a, b): (&Argument, &Argument)| match (a, b) {
        (Argument::Value(a), Argument::Value(b)) => same(*a, *b),
        (Argument::Values(a), Argument::Values(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| match (a, b) {
                    (Some(a), Some(b)) => same(*a, *b),
                    (a, b) => a == b,
                })
        }
        (a, b) => a == b,
    };
    (&a.op, &a.overload) == (&b.op, &b.overload)
        && a.arguments.len() == b.arguments.len()
        && a.arguments.iter().zip(&b.arguments).all(|(a, b)| a.0 == b.0 && arguments((&a.1, &b.1)))
        && a.results.len() == b.results.len()
        && a.results.iter().zip(&b.results).all(|(a, b)| same(*a, *b))
}
