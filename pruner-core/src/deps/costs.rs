//! What a network costs while coordinates go and come back: only what depends on them is counted again.

use std::collections::BTreeSet;

use crate::deps::zeros::zeros_of;
use crate::deps::{Analysis, Counts, Group, Kept};
use crate::graph::Origin;
use crate::ids::{AxisId, GroupId, NodeId, ValueId};

/// What is counted of an axis variable's.
#[derive(Clone, Debug, Default)]
pub(super) struct Dependents {
    /// The nodes whose multiply-accumulates depend on it.
    nodes: Vec<NodeId>,
    /// The stored tensors whose elements do.
    stored: Vec<ValueId>,
}

/// The dependents of every axis variable.
fn dependents(analysis: &Analysis) -> Vec<Dependents> {
    let mut dependents = vec![Dependents::default(); analysis.axes.len()];
    for (node, _) in analysis.graph().nodes() {
        for axis in axes_of_macs(analysis, node) {
            dependents[axis.index()].nodes.push(node);
        }
    }
    for (value, _) in analysis.graph().stored() {
        for axis in axes_of_value(analysis, value) {
            dependents[axis.index()].stored.push(value);
        }
    }
    dependents
}

/// Whether the results of a node are in memory of their own and not perhaps in that of what it reads.
fn takes_memory(analysis: &Analysis, node: NodeId) -> bool {
    zeros_of(analysis.graph(), &analysis.nodes, node).shared.is_empty()
}

fn axes_of_macs(analysis: &Analysis, node: NodeId) -> BTreeSet<AxisId> {
    let mut found = BTreeSet::new();
    if let Some(axes) = analysis.node_axes(node)
        && let Some(term) = &axes.known.form.rule.macs
    {
        term.each_factor(&mut |factor| axes.factors[factor].each_axis(&mut |axis| _ = found.insert(axis)));
    }
    found
}

fn axes_of_value(analysis: &Analysis, value: ValueId) -> BTreeSet<AxisId> {
    let mut found = BTreeSet::new();
    analysis.dims(value).iter().for_each(|dim| dim.each_axis(&mut |axis| _ = found.insert(axis)));
    found
}

impl Analysis {
    /// What the network costs less once the first coordinate that is left of a group is gone too. The coordinates of a group
    /// cost the same, unless a dimension has unequal numbers of their positions. Nothing is freed of a group of which nothing
    /// is left.
    pub fn freed(&self, kept: &Kept, group: GroupId) -> Counts {
        let axis = self.groups()[group.index()].axis();
        let (first, after) = self.without_first(kept, group);
        let (before, after) = (self.counts_of(kept, axis), self.counts_of(&after, axis));
        let channels = first.filter(|_| self.groups()[group.index()].pin().is_none()).map_or(0, |_| 1);
        Counts { channels, ..before.less(after) }
    }

    /// The bytes that the results of all nodes take less once the first coordinate that is left of a group is gone too. A
    /// result that may be in the memory of what its node reads, as views are, takes none.
    pub fn freed_activation_bytes(&self, kept: &Kept, group: GroupId) -> u64 {
        let (axis, after) = (self.groups()[group.index()].axis(), self.without_first(kept, group).1);
        let made = self.graph().nodes().filter(|(id, _)| takes_memory(self, *id)).flat_map(|(_, node)| &node.results);
        let dependent = made.filter(|value| self.dims(**value).iter().any(|dim| dim.contains(axis)));
        let freed = |&value: &ValueId| {
            let elements = self.elements(kept, value) - self.elements(&after, value);
            elements * self.graph().value(value).meta.dtype.bytes() as u64
        };
        dependent.map(freed).sum()
    }

    /// The first coordinate that is left of a group, and what is left without it.
    fn without_first(&self, kept: &Kept, group: GroupId) -> (Option<u32>, Kept) {
        let first = kept.of(self.groups()[group.index()].axis()).map_or(Some(0), |left| left.first().copied());
        let mut after = kept.clone();
        after.remove(self, group, first.as_slice());
        (first, after)
    }

    fn dependents(&self, axis: AxisId) -> &Dependents {
        &self.dependents.get_or_init(|| dependents(self))[axis.index()]
    }

    /// What depends on an axis variable costs.
    fn counts_of(&self, kept: &Kept, axis: AxisId) -> Counts {
        let Dependents { nodes, stored } = self.dependents(axis);
        let macs = nodes.iter().map(|&node| self.macs(kept, node)).sum();
        let mut counts = Counts { macs, ..Counts::default() };
        for &value in stored {
            self.count_stored(value, self.elements(kept, value), &mut counts);
        }
        counts
    }

    /// Adds a stored tensor of so many elements to what a network costs.
    pub(super) fn count_stored(&self, value: ValueId, elements: u64, counts: &mut Counts) {
        let value = self.graph().value(value);
        if value.origin == Origin::Parameter {
            counts.params += elements;
        }
        if value.origin != Origin::Constant {
            counts.bytes += elements * value.meta.dtype.bytes() as u64;
        }
    }
}

/// What a network costs, kept up to date while coordinates of its groups go and come back.
///
/// At every moment [`counts`](Self::counts) is [`Analysis::counts`] of [`kept`](Self::kept); a change takes the time of what
/// depends on the group, not that of the network.
#[derive(Clone, Debug)]
pub struct Tally<'a> {
    analysis: &'a Analysis,
    kept: Kept,
    counts: Counts,
    /// For each group, what depends on its axis costs now.
    of_group: Vec<Option<Counts>>,
    /// For each group, the groups that something depends on with it, itself included.
    neighbours: Vec<Vec<GroupId>>,
}

impl<'a> Tally<'a> {
    /// Of what is left of a network.
    pub fn new(analysis: &'a Analysis, kept: Kept) -> Self {
        let mut group_of = vec![None; analysis.axes.len()];
        for group in analysis.groups() {
            group_of[group.axis().index()] = Some(group.id());
        }
        let neighbours = |group: &super::AxisGroup| {
            let Dependents { nodes, stored } = analysis.dependents(group.axis());
            let axes = nodes.iter().map(|&node| axes_of_macs(analysis, node));
            let axes = axes.chain(stored.iter().map(|&value| axes_of_value(analysis, value)));
            let found: BTreeSet<GroupId> = axes.flatten().filter_map(|axis| group_of[axis.index()]).collect();
            found.into_iter().collect()
        };
        Self {
            analysis,
            counts: analysis.counts(&kept),
            kept,
            of_group: vec![None; analysis.groups().len()],
            neighbours: analysis.groups().iter().map(neighbours).collect(),
        }
    }

    /// What the network costs now.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The coordinates that are left.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The groups of which a coordinate frees something else once this group changes; itself is one.
    pub fn neighbours(&self, group: GroupId) -> &[GroupId] {
        &self.neighbours[group.index()]
    }

    /// Takes coordinates of a group away, by their numbers before the first cut; those that are gone already stay so.
    pub fn remove(&mut self, group: GroupId, coordinates: &[u32]) {
        self.change(group, |kept, analysis| kept.remove_each(analysis, group, coordinates));
    }

    /// Puts coordinates of a group back; those that are there already stay so.
    pub fn restore(&mut self, group: GroupId, coordinates: &[u32]) {
        self.change(group, |kept, analysis| kept.restore(analysis, group, coordinates));
    }

    /// What the network costs less once these coordinates, all of which are left, are gone too.
    pub fn freed(&mut self, group: GroupId, coordinates: &[u32]) -> Counts {
        let before = self.of(group);
        let axis = self.analysis.groups()[group.index()].axis();
        self.kept.remove_each(self.analysis, group, coordinates);
        let after = self.analysis.counts_of(&self.kept, axis);
        self.kept.restore(self.analysis, group, coordinates);
        let free = self.analysis.groups()[group.index()].pin().is_none();
        Counts { channels: if free { coordinates.len() as u64 } else { 0 }, ..before.less(after) }
    }

    /// What depends on the axis of a group costs now.
    fn of(&mut self, group: GroupId) -> Counts {
        let axis = self.analysis.groups()[group.index()].axis();
        *self.of_group[group.index()].get_or_insert_with(|| self.analysis.counts_of(&self.kept, axis))
    }

    fn change(&mut self, id: GroupId, change: impl FnOnce(&mut Kept, &Analysis)) {
        let group = &self.analysis.groups()[id.index()];
        let size = |kept: &Kept| kept.of(group.axis()).map_or(group.initial_size(), <[u32]>::len) as u64;
        let (before, size_before) = (self.of(id), size(&self.kept));
        change(&mut self.kept, self.analysis);
        let after = self.analysis.counts_of(&self.kept, group.axis());
        self.counts = self.counts.less(before).plus(after);
        if group.pin().is_none() {
            self.counts.channels = self.counts.channels - size_before + size(&self.kept);
        }
        for neighbour in &self.neighbours[id.index()] {
            self.of_group[neighbour.index()] = None;
        }
        self.of_group[id.index()] = Some(after);
    }
}

impl Counts {
    fn less(self, other: Self) -> Self {
        Self {
            channels: self.channels - other.channels,
            params: self.params - other.params,
            macs: self.macs - other.macs,
            bytes: self.bytes - other.bytes,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            channels: self.channels + other.channels,
            params: self.params + other.params,
            macs: self.macs + other.macs,
            bytes: self.bytes + other.bytes,
        }
    }
}
