//! A group: the axes that are cut together, and where in the stored tensors its coordinates are.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::deps::layout::Layout;
use crate::ids::{GroupId, NodeId, ValueId};

/// Axes that are cut together.
///
/// A *coordinate* is what a cut removes: one position of the group, and with it the slices at that position in every
/// member. Coordinates are counted `0..size()` as the network is now; [`coordinates`](Group::coordinates) gives
/// the number each had before the first cut, by which plans and reports name it.
///
/// # Contract
///
/// `coordinates()` is ascending and holds `size()` numbers below `initial_size()`. Every coordinate occurs in at least
/// one member, and no layout names a coordinate that is not below `size()`.
pub trait Group: fmt::Debug + Send + Sync {
    /// Which group it is; the same from the first step to the last.
    fn id(&self) -> GroupId;

    /// Its name: the first place where its coordinates are made, such as `layer1.0.conv1.weight:0`. Where several groups
    /// that can be cut share that dimension, as heads and the size of a head do, the number of its axis in it follows:
    /// `qkv.weight:0/1`.
    fn name(&self) -> &str;

    /// The coordinates that are left.
    fn size(&self) -> usize {
        self.coordinates().len()
    }

    /// The coordinates before the first cut.
    fn initial_size(&self) -> usize;

    /// The number before the first cut of each coordinate that is left.
    fn coordinates(&self) -> &[u32];

    /// The places in stored tensors where its coordinates occur.
    fn members(&self) -> &[Member];

    /// Why it may not be cut; `None` if it may.
    fn pin(&self) -> Option<&Pin>;

    /// The node at which cutting it changes a statistic; `None` where the cut network equals the masked one.
    fn inexact(&self) -> Option<NodeId>;

    /// What its coordinates are in the network. Default: [`Role::Channels`].
    fn role(&self) -> Role {
        Role::Channels
    }
}

/// One dimension of a stored tensor in which coordinates of a group occur.
#[derive(Clone, Debug)]
pub struct Member {
    /// The stored tensor.
    pub value: ValueId,
    /// Its name, shared by all members that it is of.
    pub name: Arc<str>,
    /// Whether it is trained; buffers and constants are sliced but not scored.
    pub trained: bool,
    /// The dimension.
    pub dim: usize,
    /// What the coordinates are there to the operation that reads it.
    pub side: Side,
    /// The operation that reads it and the argument it is there, such as `aten::batch_norm` and `weight`.
    pub reader: (NodeId, Arc<str>, Arc<str>),
    /// Which coordinate each position of the dimension belongs to.
    pub layout: Layout,
}

/// What coordinates in a dimension of a parameter are to the operation that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Its coordinates are made here: the output side of a layer that contracts another axis.
    Output,
    /// Its coordinates are summed over here: the input side of a layer.
    Input,
    /// One number or slice per coordinate, applied to it: biases, norms, scales, places.
    PerCoordinate,
}

/// What the coordinates of a group are in the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Heads: attention multiplies activations with activations for each by itself. Those of queries that share a head of keys
    /// are heads too.
    Heads,
    /// The dimensions of heads: attention sums over those of queries and keys, and gives on those of values.
    HeadDims,
    /// Neither: channels of convolutions, hidden units, the width of a transformer.
    #[default]
    Channels,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Heads, Self::HeadDims, Self::Channels];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heads => "heads",
            Self::HeadDims => "head-dims",
            Self::Channels => "channels",
        })
    }
}

/// Why an axis may not be cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
#[non_exhaustive]
pub enum Pin {
    /// It is an axis of an argument of the network.
    GraphInput,
    /// It is an axis of a result of the network.
    GraphOutput,
    /// An operation depends on every position of it.
    Operation {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: String,
        /// The factor of its rule.
        factor: String,
    },
    /// An operation has no rule.
    UnknownOp {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: String,
    },
    /// An operation has a rule that does not cover the form in which it is called.
    UnsupportedForm {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: String,
        /// What is not covered.
        what: String,
    },
    /// Two ways to divide the axis have no common refinement.
    NoRefinement {
        /// The node where they meet.
        node: NodeId,
        /// Its operation.
        op: String,
    },
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GraphInput => f.write_str("axis of a network input"),
            Self::GraphOutput => f.write_str("axis of a network output"),
            Self::Operation { node, op, factor } => write!(f, "pinned by {node} ({op}), factor {factor}"),
            Self::UnknownOp { node, op } => write!(f, "{node} ({op}) has no rule"),
            Self::UnsupportedForm { node, op, what } => write!(f, "{node} ({op}): no rule for {what}"),
            Self::NoRefinement { node, op } => write!(f, "no common refinement at {node} ({op})"),
        }
    }
}
