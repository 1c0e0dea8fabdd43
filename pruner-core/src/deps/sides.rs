//! Sides: what the coordinates of a stored tensor are to the operation that reads them.

use crate::deps::group::Side;
use crate::deps::operands::Operands;
use crate::deps::{Analysis, NodeAxes};
use crate::ids::{AxisId, NodeId, ValueId};

/// The first reader of each value: the node, and which of its operands the value is.
pub(super) struct Readers<'a> {
    pub(super) analysis: &'a Analysis,
    first: Vec<Option<(NodeId, usize)>>,
    /// The values that are read, in the order in which they are first.
    pub(super) order: Vec<ValueId>,
}

impl<'a> Readers<'a> {
    pub(super) fn new(analysis: &'a Analysis, operands: &Operands) -> Self {
        let mut first = vec![None; analysis.graph().values().len()];
        let mut order = Vec::with_capacity(first.len());
        for (node, _) in analysis.graph().nodes() {
            for (slot, value) in operands.of(node).iter().enumerate() {
                let Some(value) = *value else { continue };
                let reader = &mut first[value.index()];
                if reader.is_none() {
                    *reader = Some((node, slot));
                    order.push(value);
                }
            }
        }
        Self { analysis, first, order }
    }

    /// The first reader of a value.
    pub(super) fn of(&self, value: ValueId) -> Option<(NodeId, usize)> {
        self.first[value.index()]
    }

    /// What an axis in a dimension of a value is to the node that reads it: summed over, made by summing over another, or neither.
    /// Where that node only puts the dimensions in another order, as of a weight that is transposed first, it is what it is to the next.
    pub(super) fn side(&self, value: ValueId, dim: usize, axis: AxisId) -> Side {
        self.side_at_reader(value, dim, axis).unwrap_or(Side::PerCoordinate)
    }

    fn side_at_reader(&self, value: ValueId, dim: usize, axis: AxisId) -> Option<Side> {
        let (node, slot) = self.of(value)?;
        let NodeAxes { known, factors } = self.analysis.node_axes(node)?;
        let rule = &known.form.rule;
        let terms = rule.operands.get(slot)?.as_ref()?;
        if let ([_], [result], [reordered]) =
            (&rule.operands[..], &rule.results[..], &self.analysis.graph().node(node).results[..])
            && result.len() == terms.len()
            && terms.iter().all(|term| result.contains(term))
        {
            let dim = result.iter().position(|term| *term == terms[dim])?;
            return self.side_at_reader(*reordered, dim, axis);
        }
        if dim < terms.len() && known.form.uses.sums_over(terms, dim, &|factor| factors[factor].contains(axis)) {
            return Some(Side::Input);
        }
        known.form.uses.sums(slot).then_some(Side::Output)
    }
}
