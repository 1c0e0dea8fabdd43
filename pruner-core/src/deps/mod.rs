//! Axis unification: which axes of a network must be cut together.
//!
//! [`Analysis::new`] walks the graph once. Every dimension of every value gets an expression of axis variables
//! ([`Expr`]); the rule of every node says which expressions are equal, and `axes.rs` makes them so. A *group* is a
//! variable that occurs in a parameter. [`kept`] evaluates the expressions once coordinates are gone, and [`Analysis::rewrite`]
//! gives the graph of what is left.

mod axes;
mod costs;
mod count;
mod divide;
mod explain;
mod expr;
pub mod group;
mod groups;
pub mod kept;
pub mod layout;
mod memo;
mod memory;
mod operands;
mod positions;
mod profile;
mod rewrite;
mod roles;
mod sides;
mod sites;
#[cfg(test)]
mod soundness;
mod uses;
mod zeros;

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub use axes::SizeMismatch;
use axes::{Axes, Axis, Cause};
pub use costs::Tally;
pub use count::Counts;
pub use explain::Step;
pub use expr::Expr;
pub use group::{Group, Member, Pin, Role, Side};
pub use groups::AxisGroup;
pub use kept::Kept;
pub use layout::Layout;
use memo::Known;
use operands::Operands;
pub use profile::{NodeCost, layer_of};
pub use rewrite::BurntIn;
pub use sites::Site;

use crate::graph::verify::{VerifyError, verify};
use crate::graph::{Graph, Origin};
use crate::ids::{AxisId, NodeId, ValueId};
use crate::ops::{Mark, RuleError, Term};

/// Why a graph cannot be analysed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The graph has no nodes.
    #[error("the graph has no nodes: nothing was computed from its inputs")]
    Empty,
    /// The graph breaks its invariants.
    #[error(transparent)]
    Malformed(#[from] VerifyError),
    /// No parameter has an influence on an output.
    #[error("no output depends on a parameter: trace a network whose variables are in the `VarStore`")]
    NoParameter,
    /// A rule does not fit its node.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The axes of a node contradict each other.
    #[error("{node}: {source}")]
    Size {
        /// The node, with its operation.
        node: String,
        /// The sizes.
        source: SizeMismatch,
    },
    /// A node makes a value of another shape than its rule says.
    #[error("{node}: result {index} has shape {shape:?}, and the rule of the operation gives {expected:?}")]
    Shape {
        /// The node, with its operation.
        node: String,
        /// Which result.
        index: usize,
        /// The shape in the graph.
        shape: Vec<i64>,
        /// The shape by the rule.
        expected: Vec<usize>,
    },
}

/// The axes of a node: its rule, and the expression that each factor of the rule stands for.
#[derive(Clone, Debug)]
pub(crate) struct NodeAxes {
    pub(crate) known: Known,
    pub(crate) factors: Vec<Expr>,
}

/// For each node, its axes, or why it has no rule.
type Nodes = [Result<NodeAxes, Pin>];

/// What is known of the axes of a graph: the groups, and how every dimension depends on them.
#[derive(Clone, Debug)]
pub struct Analysis {
    graph: Graph,
    /// For each value, an expression per dimension.
    dims: Vec<Vec<Expr>>,
    /// For each node, its axes, or why it has no rule.
    nodes: Vec<Result<NodeAxes, Pin>>,
    axes: Vec<Axis>,
    groups: Vec<AxisGroup>,
    /// For each axis variable, what is counted that depends on it; found when it is first asked for.
    dependents: OnceLock<Vec<costs::Dependents>>,
    unknown_ops: BTreeMap<String, NodeId>,
}

impl Analysis {
    /// Finds the groups of a graph.
    pub fn new(graph: &Graph) -> Result<Self, AnalysisError> {
        if graph.nodes().len() == 0 {
            return Err(AnalysisError::Empty);
        }
        verify(graph)?;
        if !depends_on_parameter(graph) {
            return Err(AnalysisError::NoParameter);
        }
        let mut walk = Walk::new(graph);
        for (id, _) in graph.nodes() {
            walk.node(id)?;
        }
        Ok(walk.finish())
    }

    /// The graph that was analysed, as it was before any cut.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// All groups, pinned ones included, in the order in which the network uses them; the `index`th has that id.
    pub fn groups(&self) -> &[AxisGroup] {
        &self.groups
    }

    /// The operations that have no rule, or none for a form in which they are called, each with the first such node. What
    /// these nodes touch is pinned.
    pub fn unknown_ops(&self) -> &BTreeMap<String, NodeId> {
        &self.unknown_ops
    }

    /// The expression of each dimension of a value.
    pub fn dims(&self, value: ValueId) -> &[Expr] {
        &self.dims[value.index()]
    }

    fn axis_size(&self, axis: AxisId) -> usize {
        self.axes[axis.index()].size
    }

    pub(crate) fn node_axes(&self, node: NodeId) -> Option<&NodeAxes> {
        self.nodes[node.index()].as_ref().ok()
    }
}

/// Whether some output is computed from a parameter.
fn depends_on_parameter(graph: &Graph) -> bool {
    let mut trained: Vec<bool> = graph.values().map(|(_, value)| value.origin == Origin::Parameter).collect();
    for (_, node) in graph.nodes() {
        // A node may write to what it reads, so all that it touches depends on all that it reads.
        if node.inputs().any(|input| trained[input.index()]) {
            for value in node.inputs().chain(node.results.iter().copied()) {
                trained[value.index()] = true;
            }
        }
    }
    graph.outputs().iter().any(|output| trained[output.index()])
}

/// The analysis under way.
struct Walk<'a> {
    graph: &'a Graph,
    operands: Operands,
    rules: memo::Rules,
    axes: Axes,
    dims: Vec<Vec<Expr>>,
    nodes: Vec<Result<NodeAxes, Pin>>,
    unknown_ops: BTreeMap<String, NodeId>,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut axes = Axes::default();
        let dims = graph
            .values()
            .map(|(_, value)| match value.origin {
                Origin::Node { .. } => Vec::new(),
                origin => {
                    let dims: Vec<_> = value.meta.shape.iter().map(|&size| axes.fresh(size as usize)).collect();
                    if origin == Origin::Input {
                        for dim in &dims {
                            axes.pin(dim, Cause::GraphInput);
                        }
                    }
                    dims
                }
            })
            .collect();
        let nodes = Vec::with_capacity(graph.nodes().len());
        let (operands, rules) = (Operands::new(graph), memo::Rules::default());
        Self { graph, operands, rules, axes, dims, nodes, unknown_ops: BTreeMap::new() }
    }

    fn node(&mut self, id: NodeId) -> Result<(), AnalysisError> {
        let node = self.graph.node(id);
        let axes = match self.rules.of(self.graph, id) {
            Ok(Some(known)) => {
                self.axes.look_at(id);
                let factors = self.apply(id, &known)?;
                Ok(NodeAxes { known, factors })
            }
            Ok(None) => Err(Pin::UnknownOp { node: id, op: node.op.clone() }),
            Err(RuleError::Unsupported { what, .. }) => {
                Err(Pin::UnsupportedForm { node: id, op: node.op.clone(), what })
            }
            Err(error) => return Err(error.into()),
        };
        if let Err(pin) = &axes {
            self.without_rule(id, pin);
        }
        self.nodes.push(axes);
        Ok(())
    }

    /// Makes equal what the rule of a node says is equal, and gives the expression that each factor stands for.
    fn apply(&mut self, id: NodeId, known: &Known) -> Result<Vec<Expr>, AnalysisError> {
        let (graph, rule) = (self.graph, &known.form.rule);
        let node = graph.node(id);
        let size = |source| AnalysisError::Size { node: graph.describe(id), source };
        let mut factors: Vec<Option<Expr>> = vec![None; rule.factors.len()];
        let mut composite = Vec::new();
        let operands = rule.operands.iter().zip(self.operands.of(id));
        for (terms, value) in operands.filter_map(|(terms, value)| Some((terms.as_ref()?, (*value)?))) {
            for (term, dim) in terms.iter().zip(&self.dims[value.index()]) {
                match term {
                    Term::Factor(index) => match &factors[*index] {
                        Some(known) => self.axes.unify(known, dim).map_err(size)?,
                        None => factors[*index] = Some(dim.clone()),
                    },
                    Term::Product(terms) if terms.is_empty() => {}
                    _ => composite.push((term, dim.clone())),
                }
            }
        }
        // Nodes of other sizes may share the rule: of a factor that a result alone has, it tells the size.
        let size_of = |factor: usize| {
            let has = |terms: &Vec<Term>| terms.iter().position(|term| *term == Term::Factor(factor));
            let mut made = node.results.iter().zip(&rule.results);
            let size = made.find_map(|(&value, terms)| Some(graph.shape(value)[has(terms)?]));
            size.unwrap_or(rule.factors[factor].size) as usize
        };
        let factors: Vec<Expr> = factors
            .into_iter()
            .enumerate()
            .map(|(factor, known)| known.unwrap_or_else(|| self.axes.fresh(size_of(factor))))
            .collect();
        for (term, dim) in composite {
            let e = self.expr(term, &factors);
            self.axes.unify(&e, &dim).map_err(size)?;
        }
        for (index, (factor, e)) in rule.factors.iter().zip(&factors).enumerate() {
            match factor.mark {
                Mark::Free => {}
                Mark::Inexact => self.axes.mark_inexact(e, id),
                Mark::Pinned => self.axes.pin(e, Cause::Operation { node: id, factor: index }),
            }
        }
        for (index, (&value, terms)) in node.results.iter().zip(&rule.results).enumerate() {
            let dims: Vec<_> = terms.iter().map(|term| self.expr(term, &factors)).collect();
            let shape = graph.shape(value);
            let expected = || dims.iter().map(|dim| self.axes.size(dim));
            if !expected().map(|size| size as i64).eq(shape.iter().copied()) {
                let (shape, expected) = (shape.to_vec(), expected().collect());
                return Err(AnalysisError::Shape { node: graph.describe(id), index, shape, expected });
            }
            self.dims[value.index()] = dims;
        }
        Ok(factors)
    }

    fn expr(&mut self, term: &Term, factors: &[Expr]) -> Expr {
        match term {
            Term::Factor(index) => factors[*index].clone(),
            Term::Product(terms) => Expr::product(terms.iter().map(|term| self.expr(term, factors)).collect()),
            Term::Sum(terms) => Expr::sum(terms.iter().map(|term| self.expr(term, factors)).collect()),
            Term::Index(index, indices) => self.axes.index(&factors[*index], indices),
        }
    }

    /// Pins all that a node without a rule touches.
    fn without_rule(&mut self, id: NodeId, pin: &Pin) {
        let node = self.graph.node(id);
        for &value in &node.results {
            let shape = self.graph.shape(value);
            self.dims[value.index()] = shape.iter().map(|&size| self.axes.fresh(size as usize)).collect();
        }
        for value in node.inputs().chain(node.results.iter().copied()) {
            for dim in &self.dims[value.index()] {
                self.axes.pin(dim, Cause::NoRule(id));
            }
        }
        if !self.unknown_ops.contains_key(&node.op) {
            tracing::warn!("{pin}: the axes that it touches are not pruned; `register_op!` adds a rule");
            self.unknown_ops.insert(node.op.clone(), id);
        }
    }

    fn finish(mut self) -> Analysis {
        for &output in self.graph.outputs() {
            for dim in &self.dims[output.index()] {
                self.axes.pin(dim, Cause::GraphOutput);
            }
        }
        for dim in self.dims.iter_mut().flatten() {
            *dim = self.axes.resolve(dim);
        }
        for e in self.nodes.iter_mut().flatten().flat_map(|node| &mut node.factors) {
            *e = self.axes.resolve(e);
        }
        let mut axes = self.axes.into_axes();
        zeros::mark_inexact(self.graph, &self.operands, &self.dims, &self.nodes, &mut axes);
        let mut analysis = Analysis {
            graph: self.graph.clone(),
            dims: self.dims,
            nodes: self.nodes,
            axes,
            groups: Vec::new(),
            dependents: OnceLock::new(),
            unknown_ops: self.unknown_ops,
        };
        analysis.groups = groups::collect(&analysis, &self.operands);
        analysis
    }
}
