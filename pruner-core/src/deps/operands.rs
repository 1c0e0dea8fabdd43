//! What the nodes of a graph read, found once for all that walk over them.

use crate::graph::Graph;
use crate::ids::{NodeId, ValueId};
use crate::ops::slots;

/// The value in every slot of every node.
#[derive(Debug)]
pub(super) struct Operands {
    values: Vec<Option<ValueId>>,
    /// For each node, where its slots end.
    ends: Vec<usize>,
}

impl Operands {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut operands = Self { values: Vec::new(), ends: Vec::with_capacity(graph.nodes().len()) };
        for (_, node) in graph.nodes() {
            slots(node).for_each(|slot| operands.values.push(slot.value));
            operands.ends.push(operands.values.len());
        }
        operands
    }

    /// The values in the slots of a node; `None` where one is absent.
    pub(super) fn of(&self, node: NodeId) -> &[Option<ValueId>] {
        let start = node.index().checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.values[start..self.ends[node.index()]]
    }

    /// The values that a node reads.
    pub(super) fn read(&self, node: NodeId) -> impl Iterator<Item = ValueId> + '_ {
        self.of(node).iter().filter_map(|value| *value)
    }
}
