//! Where in the text of a program the things of a graph stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::schema::SymInt;
use crate::ids::ValueId;

/// A size in the text.
#[derive(Clone, Debug)]
pub(super) struct SizeSite {
    pub(super) place: Range<usize>,
    pub(super) size: SymInt,
}

/// The metadata of a value in the text.
#[derive(Clone, Debug)]
pub(super) struct MetaSite {
    pub(super) value: ValueId,
    pub(super) sizes: Vec<SizeSite>,
    pub(super) strides: Vec<SizeSite>,
    pub(super) offset: SizeSite,
}

/// An argument in the text.
#[derive(Clone, Debug)]
pub(super) struct ArgumentSite {
    pub(super) place: Range<usize>,
    /// The names of symbolic sizes in it, by element; empty where it has none.
    pub(super) symbols: Vec<Option<String>>,
}

/// A node in the text.
#[derive(Clone, Debug)]
pub(super) struct NodeSite {
    /// The program or sub-graph that it is in, by its place among the scopes.
    pub(super) scope: usize,
    pub(super) name: String,
    pub(super) place: Range<usize>,
    pub(super) target: Range<usize>,
    pub(super) inputs: Range<usize>,
    /// By the names that the arguments have in the graph.
    pub(super) arguments: Vec<(String, ArgumentSite)>,
}

/// The names of a program or sub-graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// What a value is called there.
    pub(super) names: HashMap<ValueId, String>,
    pub(super) symbols: BTreeMap<String, SymInt>,
    /// Where the list of symbols stands.
    pub(super) symbols_place: Range<usize>,
    /// All names of nodes and values.
    pub(super) taken: BTreeSet<String>,
}

/// A switch between training and evaluation in the text.
#[derive(Clone, Debug)]
pub(super) struct SwitchSite {
    pub(super) place: Range<usize>,
}

/// All that can be edited.
#[derive(Clone, Debug, Default)]
pub(super) struct Sites {
    pub(super) scopes: Vec<Scope>,
    pub(super) metas: Vec<MetaSite>,
    /// For each node of the graph, where it stands; `None` for nodes that only the graph has.
    pub(super) nodes: Vec<Option<NodeSite>>,
    pub(super) switches: Vec<SwitchSite>,
}
