//! Sides: what the coordinates of a stored tensor are to the operation that reads them.

use crate::deps::group::Side;
use crate::deps::{Analysis, NodeAxes};
use crate::ids::{AxisId, NodeId, ValueId};
use crate::ops::{NodeView, Term};

/// Where a value is read first: the node, which of its operands it is, and the argument that this is.
pub(super) type Reader<'a> = (NodeId, usize, &'a str);

/// The first reader of each value.
pub(super) struct Readers<'a> {
    pub(super) analysis: &'a Analysis,
    readers: Vec<Option<Reader<'a>>>,
}

impl<'a> Readers<'a> {
    pub(super) fn new(analysis: &'a Analysis) -> Self {
        let graph = analysis.graph();
        let mut readers = vec![None; graph.values().len()];
        for (id, _) in graph.nodes() {
            for (index, slot) in NodeView::new(graph, id).slots().iter().enumerate() {
                if let Some(value) = slot.value {
                    readers[value.index()].get_or_insert((id, index, slot.argument));
                }
            }
        }
        Self { analysis, readers }
    }

    /// The first reader of a value.
    pub(super) fn of(&self, value: ValueId) -> Option<Reader<'a>> {
        self.readers[value.index()]
    }

    /// What an axis in a dimension of a value is to the node that reads it: summed over, made by summing over another, or neither.
    /// Where that node only puts the dimensions in another order, as of a weight that is transposed first, it is what it is to the next.
    pub(super) fn side(&self, value: ValueId, dim: usize, axis: AxisId) -> Side {
        self.side_at_reader(value, dim, axis).unwrap_or(Side::PerCoordinate)
    }

    fn side_at_reader(&self, value: ValueId, dim: usize, axis: AxisId) -> Option<Side> {
        let (node, slot, _) = self.of(value)?;
        let NodeAxes { rule, factors, .. } = self.analysis.node_axes(node)?;
        let terms = rule.operands.get(slot)?.as_ref()?;
        if let ([_], [result], [reordered]) =
            (&rule.operands[..], &rule.results[..], &self.analysis.graph().node(node).results[..])
            && result.len() == terms.len()
            && terms.iter().all(|term| result.contains(term))
        {
            let dim = result.iter().position(|term| *term == terms[dim])?;
            return self.side_at_reader(*reordered, dim, axis);
        }
        let given = |factor: usize| rule.results.iter().flatten().any(|term| term.mentions(factor));
        // Whether a term has factors that `of` tells, and the node sums over all of them.
        let summed = |term: &Term, of: &dyn Fn(usize) -> bool| {
            let (mut any, mut kept) = (false, false);
            term.each_factor(&mut |factor| {
                any |= of(factor);
                kept |= of(factor) && given(factor);
            });
            any && !kept
        };
        if summed(terms.get(dim)?, &|factor| factors[factor].contains(axis)) {
            return Some(Side::Input);
        }
        terms.iter().any(|term| summed(term, &|_| true)).then_some(Side::Output)
    }
}
