//! What a network costs: channels, parameters, multiply-accumulates and bytes.

use serde::{Deserialize, Serialize};

use crate::deps::{Analysis, Group, Kept};
use crate::ids::NodeId;

/// The size and the work of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// The coordinates of all groups that may be cut.
    pub channels: u64,
    /// The elements of all parameters that the network uses.
    pub params: u64,
    /// The multiply-accumulates of one forward pass on inputs of the traced shape. Convolutions, matrix products,
    /// attention and recurrent layers count; element-wise operations, norms and pooling do not.
    pub macs: u64,
    /// The bytes of all parameters and buffers.
    pub bytes: u64,
}

impl Analysis {
    /// What the network costs with the coordinates that are left.
    pub fn counts(&self, kept: &Kept) -> Counts {
        let mut counts = Counts::default();
        for group in self.groups().iter().filter(|group| group.pin().is_none()) {
            counts.channels += kept.of(group.axis()).map_or(group.initial_size(), <[u32]>::len) as u64;
        }
        for (id, _) in self.graph().stored() {
            self.count_stored(id, self.elements(kept, id), &mut counts);
        }
        counts.macs = self.graph().nodes().map(|(node, _)| self.macs(kept, node)).sum();
        counts
    }

    /// The multiply-accumulates of one node.
    pub fn macs(&self, kept: &Kept, node: NodeId) -> u64 {
        self.node_axes(node).map_or(0, |axes| {
            axes.known.form.rule.macs.as_ref().map_or(0, |term| kept.term_size(self, term, &axes.factors) as u64)
        })
    }
}
