//! Sites: where activations of a group are read and summed over.

use std::collections::BTreeMap;

use crate::deps::expr::Expr;
use crate::deps::{Analysis, Group as _, Kept, Layout};
use crate::graph::Origin;
use crate::ids::{AxisId, GroupId, NodeId, ValueId};
use crate::ops::{NodeView, Term};

/// A node that multiplies an activation and sums over a dimension of it in which coordinates of a group occur.
#[derive(Clone, Debug)]
pub struct Site {
    /// The node.
    pub node: NodeId,
    /// The activation; of two that are multiplied, the first.
    pub value: ValueId,
    /// The dimension of the activation.
    pub dim: usize,
    /// Which coordinate each position of the dimension belongs to.
    pub layout: Layout,
    /// The parameter that the activation is multiplied by and the dimension of it that is summed over; `None` where that is no stored
    /// tensor.
    pub weight: Option<(ValueId, usize)>,
}

impl Analysis {
    /// The sites of every group that has some, in the order of the nodes, with the coordinates that are left.
    pub fn sites(&self, kept: &Kept) -> BTreeMap<GroupId, Vec<Site>> {
        let groups: BTreeMap<AxisId, GroupId> = self.groups().iter().map(|group| (group.axis(), group.id())).collect();
        let active = self.depends_on_input();
        let mut sites: BTreeMap<GroupId, Vec<Site>> = BTreeMap::new();
        for (node, _) in self.graph().nodes() {
            let Some(axes) = self.node_axes(node).filter(|axes| axes.known.form.rule.macs.is_some()) else { continue };
            let view = NodeView::new(self.graph(), node);
            let operands: Vec<(ValueId, &[Term])> = axes
                .known
                .form
                .rule
                .operands
                .iter()
                .zip(view.slots())
                .filter_map(|(terms, slot)| Some((slot.value?, terms.as_deref()?)))
                .collect();
            let made = |factor| axes.known.form.rule.results.iter().flatten().any(|term| mentions(term, factor));
            for (factor, e) in axes.factors.iter().enumerate().filter(|(factor, _)| !made(*factor)) {
                let place = |terms: &[Term]| terms.iter().position(|term| mentions(term, factor));
                let read: Vec<(ValueId, usize)> =
                    operands.iter().filter_map(|&(value, terms)| Some((value, place(terms)?))).collect();
                let activation = read.iter().find(|(value, _)| active[value.index()]);
                let Some(&(value, dim)) = activation.filter(|_| read.len() > 1) else { continue };
                let weight = read.iter().copied().find(|&(value, _)| self.graph().value(value).origin.is_stored());
                for (axis, layout) in kept.layouts(self, &self.dims(value)[dim]) {
                    if let Some(&group) = groups.get(&axis).filter(|_| e.contains(axis)) {
                        sites.entry(group).or_default().push(Site { node, value, dim, layout, weight });
                    }
                }
            }
        }
        sites
    }

    /// The dimension of a value over whose outermost part its samples are spread; `None` where that is not known.
    pub fn sample_dim(&self, value: ValueId) -> Option<usize> {
        let first = |&input: &ValueId| match self.dims(input).first() {
            Some(Expr::Axis(axis)) => Some(*axis),
            _ => None,
        };
        let batch: Vec<AxisId> = self.graph().inputs().iter().filter_map(first).collect();
        let outermost = |e: &Expr| match e {
            Expr::Axis(axis) => batch.contains(axis),
            Expr::Product(elements) => matches!(elements.first(), Some(Expr::Axis(axis)) if batch.contains(axis)),
            _ => false,
        };
        self.dims(value).iter().position(outermost)
    }

    /// For each value, whether it depends on an input of the network.
    fn depends_on_input(&self) -> Vec<bool> {
        let mut active: Vec<bool> = self.graph().values().map(|(_, value)| value.origin == Origin::Input).collect();
        for (_, node) in self.graph().nodes() {
            if node.inputs().any(|input| active[input.index()]) {
                // What is written in place depends on it from then on.
                for value in node.inputs().chain(node.results.iter().copied()) {
                    active[value.index()] = true;
                }
            }
        }
        active
    }
}

/// Whether a factor occurs in a term.
fn mentions(term: &Term, factor: usize) -> bool {
    match term {
        Term::Factor(index) | Term::Index(index, _) => *index == factor,
        Term::Product(terms) | Term::Sum(terms) => terms.iter().any(|term| mentions(term, factor)),
    }
}
