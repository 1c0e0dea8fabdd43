//! Rules of nodes that are alike: a network repeats its layers, and a rule depends on arguments and shapes alone, as does how
//! zeros pass. Layers that differ in their widths alone have rules of the same form.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fnv::{FnvBuildHasher, FnvHasher};

use crate::deps::uses::Uses;
use crate::graph::{Argument, Graph, Node};
use crate::ids::{NodeId, ValueId};
use crate::ops::{self, Choice, NodeView, Pattern, Rewrite, Rule, RuleError, Source, Zeros};

/// The rules found so far.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Under the hash of a node, the nodes of that hash which had a rule worked out.
    known: HashMap<u64, Vec<(NodeId, Known)>, FnvBuildHasher>,
    /// For each pattern, the rules that it gave.
    forms: HashMap<*const Pattern, Vec<Arc<Form>>, FnvBuildHasher>,
}

/// What is known of a node whatever the network around it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) form: Arc<Form>,
    /// How it passes zeros on.
    pub(crate) zeros: Arc<Zeros>,
}

/// A rule that nodes may share which differ in the sizes of its factors, with what follows from it.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) rule: Rule,
    pub(crate) uses: Uses,
}

impl From<Rule> for Form {
    fn from(rule: Rule) -> Self {
        Self { uses: Uses::new(&rule), rule }
    }
}

impl Rules {
    /// What is known of a node; `None` if its operation has no row.
    pub(super) fn of(&mut self, graph: &Graph, id: NodeId) -> Result<Option<Known>, RuleError> {
        let node = graph.node(id);
        let known = self.known.entry(hash(graph, node)).or_default();
        if let Some((_, found)) = known.iter().find(|(other, _)| alike(graph, graph.node(*other), node)) {
            return Ok(Some(found.clone()));
        }
        let view = NodeView::new(graph, id);
        let Some(source) = ops::source(&view)? else { return Ok(None) };
        let form = match source {
            Source::Pattern(Choice { pattern, size }) => {
                let forms = self.forms.entry(pattern).or_default();
                if let Some(form) = forms.iter().find(|form| form.rule.fits(&view, size)) {
                    Arc::clone(form)
                } else {
                    let form: Arc<Form> = Arc::new(source.rule(&view)?.into());
                    forms.push(Arc::clone(&form));
                    form
                }
            }
            Source::Function(_) => Arc::new(source.rule(&view)?.into()),
        };
        // Another operation that a node becomes reads what the node reads, and not what one like it reads.
        // (A node with an argument that is not a number is not like itself.)
        let shared = !form.rule.rewrites.iter().any(names_values) && alike(graph, node, node);
        let found = Known { form, zeros: Arc::new(ops::zeros(&view)) };
        if shared {
            known.push((id, found.clone()));
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
        // One number takes less than each size by itself.
        graph.shape(value).iter().fold(0_i64, |all, size| all.wrapping_mul(31).wrapping_add(*size)).hash(&mut hasher);
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
