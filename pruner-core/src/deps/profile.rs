//! What a network costs node by node, and the memory that its activations take.

use serde::{Deserialize, Serialize};

use crate::deps::{Analysis, Kept};
use crate::graph::Origin;
use crate::ids::{NodeId, ValueId};
use crate::ops::{NodeView, zeros};

/// What one node costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeCost {
    /// The node.
    pub node: NodeId,
    /// Its operation.
    pub op: String,
    /// The layer that it is of, by the parameters that it reads: `conv1` for `conv1.weight`; empty where it reads none.
    pub layer: String,
    /// The sizes of its first result.
    pub shape: Vec<usize>,
    /// The elements of the parameters that no node before it reads.
    pub params: u64,
    /// Its multiply-accumulates.
    pub macs: u64,
}

impl Analysis {
    /// What the nodes cost that read a parameter or multiply, in their order. Together they cost what
    /// [`counts`](Self::counts) says, parameters that no node reads apart.
    pub fn node_costs(&self, kept: &Kept) -> Vec<NodeCost> {
        let graph = self.graph();
        let mut seen = vec![false; graph.values().len()];
        let mut costs = Vec::new();
        for (id, node) in graph.nodes() {
            let (mut layer, mut params) = (None, 0);
            for value in node.inputs().filter(|&value| graph.value(value).origin == Origin::Parameter) {
                layer.get_or_insert_with(|| layer_of(&graph.value(value).name).0);
                if !std::mem::replace(&mut seen[value.index()], true) {
                    params += self.elements(kept, value);
                }
            }
            let macs = self.macs(kept, id);
            if macs > 0 || layer.is_some() {
                let shape = node.results.first().map(|&result| self.sizes(kept, result)).unwrap_or_default();
                let layer = layer.unwrap_or_default().to_owned();
                costs.push(NodeCost { node: id, op: node.op.clone(), layer, shape, params, macs });
            }
        }
        costs
    }

    /// The most bytes that the inputs and results of nodes take at one time in a forward pass without gradients, where
    /// each is dropped after its last use and views take none. What operations need beside them is not known here.
    pub fn peak_activation_bytes(&self, kept: &Kept) -> u64 {
        let graph = self.graph();
        // The value whose memory each value is in: its own, or that of what it is a view of.
        let mut owner: Vec<ValueId> = graph.values().map(|(id, _)| id).collect();
        for (id, node) in graph.nodes() {
            let view = NodeView::new(graph, id);
            let shared = zeros(&view).shared.iter().find_map(|&slot| view.slots()[slot].value);
            if let Some(shared) = shared {
                for result in &node.results {
                    owner[result.index()] = owner[shared.index()];
                }
            }
        }
        let mut last_use = vec![None; owner.len()];
        for (id, node) in graph.nodes() {
            for value in node.inputs().chain(node.results.iter().copied()) {
                last_use[owner[value.index()].index()] = Some(id.index());
            }
        }
        for &output in graph.outputs() {
            last_use[owner[output.index()].index()] = Some(usize::MAX);
        }
        let bytes = |value: ValueId| {
            let value_of = graph.value(value);
            if value_of.origin.is_stored() {
                0
            } else {
                self.elements(kept, value) * value_of.meta.dtype.bytes() as u64
            }
        };
        let mut ends: Vec<Vec<ValueId>> = vec![Vec::new(); graph.nodes().len()];
        for (index, last) in last_use.iter().enumerate() {
            if let Some(ends) = last.and_then(|last| ends.get_mut(last)) {
                ends.push(ValueId::new(index));
            }
        }
        let mut now: u64 = graph.inputs().iter().map(|&input| bytes(input)).sum();
        let mut peak = now;
        for (id, node) in graph.nodes() {
            now +=
                node.results.iter().filter(|result| owner[result.index()] == **result).map(|&r| bytes(r)).sum::<u64>();
            peak = peak.max(now);
            now -= ends[id.index()].iter().map(|&ended| bytes(ended)).sum::<u64>();
        }
        peak
    }

    /// The sizes of a value with the coordinates that are left.
    pub fn sizes(&self, kept: &Kept, value: ValueId) -> Vec<usize> {
        self.dims(value).iter().map(|dim| kept.size(self, dim)).collect()
    }

    pub(super) fn elements(&self, kept: &Kept, value: ValueId) -> u64 {
        self.dims(value).iter().map(|dim| kept.size(self, dim) as u64).product()
    }
}

/// The layer that a parameter is of, and what it is there: `conv1` and `weight` of `conv1.weight`.
pub fn layer_of(parameter: &str) -> (&str, &str) {
    parameter.rsplit_once('.').unwrap_or((parameter, ""))
}
